# SPDX-License-Identifier: Apache-2.0
"""The mesh policy of a store that runs: its file is changed under it, and what came of it is read as anybody can: from
metrics, log and /debug/mesh."""
import contextlib
import copy
import json
import os

from cluster import ROOT, eventually

LOCAL = json.loads((ROOT / "helm/fashion/policy.local.json").read_text())
PAY = "/fashion.payment.v1.PaymentService/Pay"
CALLS = {"grpc_service": "fashion.payment.v1.PaymentService", "grpc_method": "Pay"}
RESERVE = "/fashion.product.v1.ProductService/ReserveStock"
REFUSED = "the policy is refused, the one before stays in force"
STATES = ("closed", "open", "half-open")  # in the order of mesh_client_breaker_state


def policy_with(value, route, **rules):
    """That policy with more rules for one of its routes."""
    value = copy.deepcopy(value)
    value["routes"][route] |= rules
    return value


def overwrite(path, text):
    path.write_text(text)


def replace(path, text):
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def switch_data(path, text):
    """As the kubelet does it with a ConfigMap: the file is a link through ..data, which is switched to a new folder."""
    version = path.parent / f"..{os.urandom(4).hex()}"
    version.mkdir()
    (version / path.name).write_text(text)
    (path.parent / "..data.new").symlink_to(version.name)
    (path.parent / "..data.new").rename(path.parent / "..data")
    if not path.is_symlink():
        (path.parent / "link").symlink_to(f"..data/{path.name}")
        (path.parent / "link").rename(path)


def looks(process, result):
    return process.metric("mesh_policy_reloads_total", result=result)


def change(cluster, value, write=replace, service="order"):
    """Writes another policy and waits until the service has it in force."""
    process = cluster[service]
    before = looks(process, "ok")
    write(cluster.policy_file, value if isinstance(value, str) else json.dumps(value))
    eventually(lambda: looks(process, "ok") == before + 1, 10, "the new policy is in force")


@contextlib.contextmanager
def in_force(cluster, value, afterwards=LOCAL):
    """Another policy for a while."""
    change(cluster, value)
    try:
        yield
    finally:
        change(cluster, afterwards)


def debug(process):
    code, text = process.http("/debug/mesh")
    assert code == 200
    return json.loads(text)


def payment_seen_by_order(cluster):
    return debug(cluster["order"])["destinations"]["payment"]


def served(process):
    """Calls of Pay that this replica of payment has answered."""
    return process.metric("grpc_server_handled_total", **CALLS)


def calls(cluster):
    """Calls of Pay that order has made, and those of them that have failed."""
    metric = cluster["order"].metric
    n = metric("grpc_client_handled_total", **CALLS)
    return n, n - metric("grpc_client_handled_total", **CALLS, grpc_code="OK")


def log_lines(process, message):
    complete = process.log().rpartition("\n")[0].splitlines()
    return [line for line in map(json.loads, complete) if line["message"].startswith(message)]


class Breaker:
    """The circuit breaker of order's calls of Pay, from now on, when it is closed."""

    def __init__(self, cluster):
        self.order = cluster["order"]
        eventually(lambda: self.state() == "closed" and self._told_alike(), 20, "the breaker is closed")
        self.n_before = len(self._lines())

    def _lines(self):
        return [line for line in log_lines(self.order, "a circuit breaker has changed") if line["method"] == PAY]

    def _told_alike(self):
        """Log and metrics have told of the same changes."""
        lines = self._lines()
        return all(self.order.metric("mesh_client_breaker_changes_total", method=PAY, to=state) ==
                   sum(line["to"] == state for line in lines) for state in STATES)

    def changes(self):
        """(from, to) of each change."""
        return [(line["from"], line["to"]) for line in self._lines()[self.n_before:]]

    def state(self):
        return STATES[int(self.order.metric("mesh_client_breaker_state", destination="payment", method=PAY))]

    def wait_until(self, state):
        eventually(lambda: self.state() == state, 20, f"the breaker is {state}")

    def has_opened_and_recovered(self):
        """Closed, open, half-open, perhaps open again, closed."""
        changes = self.changes()
        assert changes[0] == ("closed", "open") and changes[-1] == ("half-open", "closed"), changes
        assert all(a[1] == b[0] for a, b in zip(changes, changes[1:])), changes
        assert ("open", "closed") not in changes and ("closed", "half-open") not in changes, changes
        return self._told_alike()
