# SPDX-License-Identifier: Apache-2.0
"""Each value does something: two others of it give two other renderings, somewhere."""
import json

import pytest
import yaml

from charts import EMBEDDED, FASHION, objects, overlay, rendered

# What is to be changed where: the policy's own values are test_policy.py's.
OWN = yaml.safe_load((FASHION / "values.yaml").read_text())
EXTERNAL = {"postgres": {"external": {"existingSecret": "fashion-databases"}}, "nats": {"external": {"existingSecret": "fashion-broker"}}}
CONTEXTS = {
    "embedded": EMBEDDED,
    "external": EXTERNAL,
    "url": overlay(EXTERNAL, {"nats": {"external": {"existingSecret": "", "url": "nats://broker:4222"}}}),
    "cnpg": {"postgres": {"mode": "cnpg"}, "nats": {"mode": "embedded"}},
    "istio": overlay(EMBEDDED, {"mesh": {"mode": "istio"}}),
    "exposed": overlay(EMBEDDED, {"services": {"order": {"exposed": True}}, "gateway": {"parents": {"edge": {"peer": {"podSelector": {}}}}}}),
}
PEERS = [{"a": {"podSelector": {"matchLabels": {"who": who}}}} for who in ("one", "two")]
# Two other values, where they do not follow from the one that is there.
OTHERS = {
    "defaults.calls": [["product"], ["delivery"]],
    "defaults.settings": [{"A": "1"}, {"A": "2"}],
    "defaults.logLevel": ["debug", "warn"],
    "defaults.database.existingSecret": ["one", "two"],
    "defaults.database.key": ["one", "two"],
    "defaults.database.sessionKey": ["one", "two"],
    "defaults.volumes": [{"a": {"mountPath": "/one", "size": "1Gi"}}, {"a": {"mountPath": "/two", "size": "1Gi"}}],
    "defaults.podAnnotations": [{"a": "1"}, {"a": "2"}],
    "defaults.nodeSelector": [{"a": "1"}, {"a": "2"}],
    "defaults.priorityClassName": ["one", "two"],
    "defaults.autoscaling.maxReplicas": [6, 7],
    "image.pullPolicy": ["Always", "Never"],
    "image.pullSecrets": [{"one": {}}, {"two": {}}],
    "postgres.mode": ["embedded", "cnpg"],
    "nats.mode": ["embedded"],
    "postgres.external.existingSecret": ["one", "two"],
    "postgres.cnpg.storage.storageClass": ["one", "two"],
    "postgres.embedded.storage.storageClass": ["one", "two"],
    "nats.embedded.storage.storageClass": ["one", "two"],
    "nats.external.url": ["nats://one:4222", "nats://two:4222"],
    "nats.external.existingSecret": ["one", "two"],
    "nats.external.caKey": ["one", "two"],
    "networkPolicy.clients": PEERS,
    "networkPolicy.monitoring": PEERS,
    "istio.principals": [{"a": f"cluster.local/ns/{who}/sa/x"} for who in ("one", "two")],
    "istio.tracingPercentage": [2, 3],
    "gateway.parents": [{who: {"peer": {"podSelector": {}}}} for who in ("one", "two")],
    "gateway.hostnames": [{"a": f"{who}.example.com"} for who in ("one", "two")],
    "tests.calls": [{"orders": {"method": f"fashion.order.v1.OrderService/{method}"}} for method in ("GetOrder", "PlaceOrder")],
    "monitoring.interval": ["20s", "30s"],
} | {f"{place}image": [{"tag": "1"}, {"digest": "sha256:" + "a" * 64}] for place in ("defaults.", "postgres.embedded.", "nats.embedded.", "tests.")}
# What one service alone can be given, as all of them together cannot.
ALONE = {"defaults.calls": "services.payment.calls", "defaults.volumes": "services.product.volumes"}
# Where it has an effect, by how the path begins; elsewhere the first one.
WHERE = {"postgres.mode": "external", "nats.mode": "external", "postgres.external": "external", "nats.external": "external", "nats.external.url": "url",
         "migration": "external", "defaults.database": "external", "postgres.cnpg": "cnpg", "istio": "istio", "gateway": "exposed",
         "defaults.exposed": "exposed"}


def leaves(node, place=""):
    """The paths of all values, and each; a map that is empty is one."""
    for name, value in node.items():
        path = f"{place}{name}"
        if isinstance(value, dict) and value and path not in OTHERS:
            yield from leaves(value, path + ".")
        else:
            yield path, value


# grpcServices: each service says its own, and what they do is test_network.py's and test_policy.py's.
LEAVES = dict(leaf for leaf in leaves({name: value for name, value in OWN.items() if name not in ("mesh", "services")})
              if leaf[0] != "defaults.grpcServices")


def others(path, value):
    if path in OTHERS:
        return OTHERS[path]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value + 2]
    if isinstance(value, str) and value:
        return ["1" + value, "2" + value]
    raise AssertionError(f"{path}: no other value is known, expected some in OTHERS")


def nested(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def render(context, over):
    """What comes of it, without what is made by chance."""
    return [thing for thing in objects(rendered(overlay(CONTEXTS[context], over))) if thing["kind"] != "Secret"]


@pytest.fixture(scope="module")
def unchanged():
    return {context: render(context, {}) for context in CONTEXTS}


def test_every_example_is_of_a_value_that_is_there():
    assert OTHERS.keys() | ALONE.keys() <= LEAVES.keys() and len(LEAVES) > 80


@pytest.mark.parametrize("path", LEAVES)
def test_a_value_has_an_effect(unchanged, path):
    context = max((begin for begin in WHERE if path.startswith(begin)), key=len, default=None)
    context = WHERE.get(context, "embedded")
    seen = [unchanged[context]]
    for value in others(path, LEAVES[path]):
        things = render(context, nested(ALONE.get(path, path), value))
        assert things not in seen, f"{path}={value}"
        seen.append(things)
