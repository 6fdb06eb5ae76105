#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the interop cases of gRPC both ways and prints one line for each:
#   run.sh OUR_SERVER OUR_CLIENT OTHER_SERVER OTHER_CLIENT
# where the other two take the flags of grpc-go's interop server and client.
set -u
if [ $# -ne 4 ]; then
    echo "usage: $0 OUR_SERVER OUR_CLIENT OTHER_SERVER OTHER_CLIENT" >&2
    exit 2
fi
our_server=$1 our_client=$2 other_server=$3 other_client=$4
cases="empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
    timeout_on_sleeping_server status_code_and_message special_status_message cancel_after_begin
    cancel_after_first_response custom_metadata unimplemented_method unimplemented_service"
work=$(mktemp -d)
failed=0
server=
trap 'stop_server; rm -rf "$work"' EXIT

stop_server() {
    if [ -n "$server" ]; then
        kill "$server" 2> "$work/ignored" # it may be gone already
        wait "$server"
        server_code=$?
        server=
    fi
}

accepts() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> "$work/ignored"; }

# start COMMAND...: a server on a free port, which is put in place of PORT.
start() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 10000))
        accepts $port && continue
        "${@//PORT/$port}" > "$work/server.log" 2>&1 &
        server=$!
        for _ in $(seq 200); do
            accepts $port && kill -0 $server && return 0
            kill -0 $server 2> "$work/ignored" || break
            sleep 0.05
        done
        stop_server
    done
    return 1
}

# run_case SIDE CASE COMMAND...
run_case() {
    local side=$1 name=$2
    shift 2
    if timeout 30 "$@" > "$work/case.log" 2>&1; then
        echo "ok interop.$side.$name"
    else
        echo "FAILED interop.$side.$name: $(tail -n 1 "$work/case.log")"
        failed=1
    fi
}

if start env MESH_GRPC_LISTEN=127.0.0.1:PORT MESH_HTTP_LISTEN=127.0.0.1:0 MESH_LAME_DUCK_MS=0 \
    "$our_server" serve; then
    for name in $cases; do
        run_case server "$name" "$other_client" \
            -server_host 127.0.0.1 -server_port "$port" -test_case "$name"
    done
    stop_server
    if [ "$server_code" -ne 0 ]; then
        echo "FAILED interop.server.stop: exit code $server_code: $(tail -n 1 "$work/server.log")"
        failed=1
    fi
else
    echo "FAILED interop.server: $our_server did not start"
    failed=1
fi

if start "$other_server" -port PORT; then
    for name in $cases; do
        run_case client "$name" "$our_client" "127.0.0.1:$port" "$name"
    done
    stop_server
else
    echo "FAILED interop.client: $other_server did not start"
    failed=1
fi
exit $failed
