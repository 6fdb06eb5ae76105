# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom in what the charts render: every address, port and name that one side says, the other side has."""
import base64
import re

import yaml

from charts import FASHION, METHODS, SERVICES, containers, find, mode_of, pods, run_service

CALLS = {name: set(service.get("calls", [])) for name, service in yaml.safe_load((FASHION / "values.yaml").read_text())["services"].items()}
DOMAIN = "shop.svc.cluster.local"


def let_in(things, service):
    """Who may call a service, by its NetworkPolicy."""
    rules = find(things, "NetworkPolicy", f"fashion-{service}")["spec"]["ingress"]
    return [peer for rule in rules if {"port": 9090, "protocol": "TCP"} in rule["ports"] for peer in rule["from"]]


def test_a_gateway_comes_in_where_a_route_leads_and_nowhere_else(text, things):
    routes = {thing["metadata"]["name"].removeprefix("fashion-"): thing["spec"] for thing in things if thing["kind"] == "GRPCRoute"}
    assert bool(routes) == ("parentRefs:" in text)
    for service in SERVICES:
        of_release = [peer for peer in let_in(things, service) if "app.kubernetes.io/instance" in peer.get("podSelector", {}).get("matchLabels", {})]
        gateways = routes[service]["parentRefs"] if service in routes else []
        assert len(let_in(things, service)) == len(of_release) + len(gateways), service
    for service, route in routes.items():
        (rule,) = route["rules"]
        (backend,) = rule["backendRefs"]
        spec = find(things, "Service", backend["name"])["spec"]
        assert spec["selector"]["app.kubernetes.io/name"] == f"fashion-{service}" and "clusterIP" not in spec
        assert backend["port"] in {port["port"] for port in spec["ports"] if port["name"] == "grpc"}
        assert {match["method"]["service"] for match in rule["matches"]} == {name for name in METHODS if name.startswith(f"fashion.{service}.")}


def test_calls_come_in_and_go_out_as_the_values_say(things):
    def peers(rules, side):
        return {name.removeprefix("fashion-")
                for rule in rules for peer in rule.get(side, []) if {"port": 9090, "protocol": "TCP"} in rule["ports"]
                if (name := peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name"))}
    for service in SERVICES:
        spec = find(things, "NetworkPolicy", f"fashion-{service}")["spec"]
        assert peers(spec["ingress"], "from") == {caller for caller in SERVICES if service in CALLS[caller]} | {"client"}
        assert peers(spec["egress"], "to") == CALLS[service]


def test_a_sidecar_is_told_of_those_that_its_service_calls(things):
    sidecars = {thing["metadata"]["name"]: thing["spec"]["egress"] for thing in things if thing["kind"] == "Sidecar"}
    assert len(sidecars) == (len(SERVICES) if mode_of(things) == "istio" else 0)
    for name, (rule,) in sidecars.items():
        assert set(rule["hosts"]) == {"istio-system/*", *(f"./fashion-{peer}.{DOMAIN}" for peer in CALLS[name.removeprefix("fashion-")])}


def test_istiod_is_reached_by_all_in_the_modes_with_istio(things):
    istiod = {"ports": [{"port": 15010, "protocol": "TCP"}, {"port": 15012, "protocol": "TCP"}],
              "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}}]}
    for name in [*SERVICES, "client"]:
        assert (istiod in find(things, "NetworkPolicy", f"fashion-{name}")["spec"]["egress"]) == (mode_of(things) != "library"), name


def ports_of(container):
    """By number and by name."""
    return {port[key] for port in container.get("ports", []) for key in ("containerPort", "name")}


def listening(things):
    """The ports of each pod's containers; a pod is known by its labels."""
    for name, kind, labels, pod in pods(things):
        if kind in ("Deployment", "StatefulSet"):
            yield name, labels, set().union(*map(ports_of, pod["containers"]))


def test_a_container_listens_on_the_ports_that_it_says(things):
    for service in SERVICES:
        help_text = run_service(service, "--help", check=True).stdout
        ports = {port["name"]: port["containerPort"] for port in find(things, "Deployment", f"fashion-{service}")["spec"]["template"]["spec"]["containers"][0]["ports"]}
        assert ports == {"grpc": 9090, "http-metrics": 9091}
        assert re.search(r"MESH_GRPC_LISTEN .*0\.0\.0\.0:9090", help_text) and re.search(r"MESH_HTTP_LISTEN .*0\.0\.0\.0:9091", help_text)
    for thing in things:
        if thing["kind"] == "ConfigMap" and "nats.conf" in thing["data"]:
            conf = thing["data"]["nats.conf"]
            assert {int(port) for port in re.findall(r"^(?:http_)?port: (\d+)$", conf, re.M)} == {4222, 8222}
            assert re.search(r"authorization \{\s+token: \$NATS_TOKEN\s+\}", conf), "anybody could publish"
            assert {4222, 8222} < dict((name, ports) for name, _, ports in listening(things))["fashion-nats"]


def test_every_port_that_is_named_is_one_that_somebody_listens_on(things):
    pods_ports = list(listening(things))

    def check(who, labels, wanted):
        found = [ports for _, theirs, ports in pods_ports if labels.items() <= theirs.items()]
        assert found and all(wanted <= ports for ports in found), f"{who}: {wanted} of {labels}"

    for thing in things:
        name, spec = f"{thing['kind']} {thing['metadata']['name']}", thing.get("spec", {})
        if thing["kind"] == "Service":
            check(name, spec["selector"], {port.get("targetPort", port["port"]) for port in spec["ports"]})
            if "clusterIP" in spec:  # of a Service without an address nothing turns the one port into the other
                names = {port["targetPort"]: port["port"] for port in spec["ports"]}
                check(name, spec["selector"], set(names.values()))
        if thing["kind"] == "NetworkPolicy":
            for rule in spec.get("ingress", []):
                check(name, spec["podSelector"]["matchLabels"], {port["port"] for port in rule["ports"]})
            for rule in spec.get("egress", []):
                for peer in rule.get("to", []):
                    labels = peer.get("podSelector", {}).get("matchLabels", {})
                    if "app.kubernetes.io/instance" in labels:
                        check(name, labels, {port["port"] for port in rule["ports"]})
                    if "cnpg.io/cluster" in labels:
                        find(things, "Cluster", labels["cnpg.io/cluster"])
                        assert [port["port"] for port in rule["ports"]] == [5432], name
    for _, _, _, pod in pods(things):
        for container in containers(pod):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                for kind in ("httpGet", "grpc", "tcpSocket"):
                    assert container.get(probe, {}).get(kind, {}).get("port") in ports_of(container) | {None}, f"{container['name']} {probe}"


def test_every_address_that_a_service_is_given_is_there(things):
    services = {thing["metadata"]["name"]: {port["port"] for port in thing["spec"]["ports"]} for thing in things if thing["kind"] == "Service"}
    secrets = {thing["metadata"]["name"]: thing["data"] for thing in things if thing["kind"] == "Secret"}
    n_addresses = 0
    for _, _, _, pod in pods(things):
        for container in containers(pod):
            for item in container.get("env", []):
                value = item.get("value", "")
                reference = item.get("valueFrom", {}).get("secretKeyRef")
                if reference and reference["name"] in secrets:
                    value = base64.b64decode(secrets[reference["name"]][reference["key"]]).decode()
                for host, domain, port in re.findall(r"([a-z0-9-]+)\.(shop\.svc\.[a-z.]*[a-z])\.?:(\d+)", value):
                    assert int(port) in services[host] and domain == DOMAIN, f"{item['name']}={value}"
                    n_addresses += 1
    assert n_addresses >= sum(len(calls) for calls in CALLS.values())


def test_prometheus_looks_where_the_metrics_are(things):
    monitors = [thing["spec"] for thing in things if thing["kind"] == "ServiceMonitor"]
    assert monitors
    for spec in monitors:
        (endpoint,) = spec["endpoints"]
        found = [thing for thing in things if thing["kind"] == "Service" and spec["selector"]["matchLabels"].items() <= thing["metadata"]["labels"].items()]
        assert sorted(thing["metadata"]["name"] for thing in found) == [f"fashion-{service}" for service in SERVICES]
        for thing in found:
            (port,) = [port for port in thing["spec"]["ports"] if port["name"] == endpoint["port"]]
            assert (port["port"], port["appProtocol"], endpoint["path"]) == (9091, "http", "/metrics")


def test_the_store_lets_in_the_services_that_use_it(things):
    for store in ("postgres", "nats"):
        for thing in things:
            if thing["kind"] == "NetworkPolicy" and thing["metadata"]["name"] == f"fashion-{store}":
                (rule,) = thing["spec"]["ingress"]
                for service in SERVICES:
                    labels = find(things, "Deployment", f"fashion-{service}")["spec"]["template"]["metadata"]["labels"]
                    assert any(peer["podSelector"].get("matchLabels", {}).items() <= labels.items() for peer in rule["from"]), service
