// SPDX-License-Identifier: Apache-2.0

// An xDS server for tests, at the Unix socket of that name. Each line of its input is all that it serves from then on, a
// JSON array of resources with their @type; each line of its output is a JSON object: where it listens, what it serves,
// and what a client refuses.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"sync"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// All clients get the same.
type everybody struct{}

func (everybody) ID(*core.Node) string { return "" }

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}

// The version of each kind that a stream was sent last.
var sent sync.Map

type sending struct {
	stream int64
	kind   string
}

func onResponse(_ context.Context, stream int64, request *discovery.DiscoveryRequest, response *discovery.DiscoveryResponse) {
	sent.Store(sending{stream, request.GetTypeUrl()}, response.GetVersionInfo())
}

// What a client refuses is told, and is not sent to it again.
func onRequest(stream int64, request *discovery.DiscoveryRequest) error {
	if refusal := request.GetErrorDetail(); refusal != nil {
		say(map[string]any{"refused": request.GetTypeUrl(), "reason": refusal.GetMessage()})
		if version, ok := sent.Load(sending{stream, request.GetTypeUrl()}); ok {
			request.VersionInfo = version.(string)
		}
	}
	return nil
}

func snapshot(version int, line []byte) (*cache.Snapshot, error) {
	resources := map[string][]types.Resource{}
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil {
		return nil, err
	}
	for _, text := range raw {
		var packed anypb.Any
		if err := protojson.Unmarshal(text, &packed); err != nil {
			return nil, err
		}
		resource, err := packed.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		resources[packed.GetTypeUrl()] = append(resources[packed.GetTypeUrl()], resource)
	}
	return cache.NewSnapshot(strconv.Itoa(version), resources)
}

func main() {
	states := cache.NewSnapshotCache(false, everybody{}, nil)
	callbacks := server.CallbackFuncs{StreamRequestFunc: onRequest, StreamResponseFunc: onResponse}
	xds := server.NewServer(context.Background(), states, callbacks)
	_ = os.Remove(os.Args[1]) // what one that was killed has left
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	door := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(door, xds)
	go func() { log.Fatal(door.Serve(listener)) }()
	say(map[string]any{"listens": os.Args[1]})

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for version := 1; lines.Scan(); version++ {
		state, err := snapshot(version, lines.Bytes())
		if err != nil {
			log.Fatal(err)
		}
		if err := states.SetSnapshot(context.Background(), "", state); err != nil {
			log.Fatal(err)
		}
		say(map[string]any{"serves": version})
	}
}
