# SPDX-License-Identifier: Apache-2.0
"""An xDS server (tests/xds) and what it tells its clients: resources as istiod makes them for gRPC without a sidecar."""
import json
import os
import queue
import subprocess
import threading

KIND = "type.googleapis.com/envoy."
FAULT = "envoy.filters.http.fault"
FAULT_KIND = KIND + "extensions.filters.http.fault.v3.HTTPFault"
ADS = {"ads": {}, "resource_api_version": "V3"}


def listener(name):
    """A name that clients may ask for."""
    filters = [{"name": FAULT, "typed_config": {"@type": FAULT_KIND}},
               {"name": "router", "typed_config": {"@type": KIND + "extensions.filters.http.router.v3.Router"}}]
    manager = {"@type": KIND + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
               "rds": {"route_config_name": name, "config_source": ADS}, "http_filters": filters}
    return {"@type": KIND + "config.listener.v3.Listener", "name": name, "api_listener": {"api_listener": manager}}


def routes(name, weights, retries=None, fault=None):
    """Where its calls go, {cluster: weight} with 100 in all, how often they are tried again, and what befalls them."""
    if len(weights) > 1:
        action = {"weighted_clusters": {"clusters": [{"name": c, "weight": w} for c, w in weights.items()]}}
    else:
        action = {"cluster": next(iter(weights))}
    if retries:
        action["retry_policy"] = {"retry_on": "connect-failure,refused-stream,unavailable,cancelled", "num_retries": retries,
                                  "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.100s"}}
    route = {"match": {"prefix": ""}, "route": action}
    if fault:
        route["typed_per_filter_config"] = {FAULT: {"@type": FAULT_KIND, **fault}}
    host = {"name": name, "domains": [name], "routes": [route]}
    return {"@type": KIND + "config.route.v3.RouteConfiguration", "name": name, "virtual_hosts": [host]}


def cluster(name, lb_policy="ROUND_ROBIN"):
    return {"@type": KIND + "config.cluster.v3.Cluster", "name": name, "type": "EDS", "eds_cluster_config": {"eds_config": ADS},
            "lb_policy": lb_policy}


def endpoints(name, ports):
    """Where the replicas of a cluster are."""
    found = [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports]
    locality = {"locality": {"zone": "here"}, "load_balancing_weight": 1, "lb_endpoints": found}
    return {"@type": KIND + "config.endpoint.v3.ClusterLoadAssignment", "cluster_name": name, "endpoints": [locality]}


class XdsServer:
    """One process at a Unix socket, as Istio's agent has it; it may end and start again, without what it has told."""

    def __init__(self, folder):
        self.socket = str(folder / "xds")
        self.bootstrap = folder / "xds-bootstrap.json"
        self.bootstrap.write_text(json.dumps({
            "xds_servers": [{"server_uri": f"unix:{self.socket}", "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
            "node": {"id": "sidecar~127.0.0.1~order.fashion~fashion.svc.cluster.local"}}))
        self.popen = None

    def start(self):
        self.said = {"listens": queue.Queue(), "serves": queue.Queue(), "refused": queue.Queue()}
        self.popen = subprocess.Popen([os.environ["XDS_SERVER"], self.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(self.popen.stdout, self.said), daemon=True).start()
        self.said["listens"].get(timeout=20)

    @staticmethod
    def _read(out, said):
        for line in map(json.loads, out):
            (key,) = said.keys() & line.keys()
            said[key].put(line)

    def stop(self):
        if self.popen:
            self.popen.kill()
            self.popen.wait(10)
            self.popen.stdin.close()
            self.popen = None

    def tell(self, resources):
        """From now on clients get these, and nothing else."""
        self.said["refused"] = queue.Queue()  # what was said of those before
        self.popen.stdin.write(json.dumps(resources) + "\n")
        self.popen.stdin.flush()
        self.said["serves"].get(timeout=20)

    def refusal(self, kind):
        """Why a client does not take resources of that kind."""
        while True:
            line = self.said["refused"].get(timeout=20)
            if line["refused"] == kind:
                return line["reason"]
