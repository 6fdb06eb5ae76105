# SPDX-License-Identifier: Apache-2.0
"""A store's policy while it runs: what /debug/mesh shows, how the file is changed and refused, and that a peer that hangs
takes its share of the workers and no more."""
import collections
import concurrent.futures
import json

import grpc
import pytest

import impostor
from books import wait_until_right
from cluster import eventually
from load import Known, Load, until_final
from policy import (LOCAL, PAY, REFUSED, change, debug, in_force, log_lines, looks, overwrite, payment_seen_by_order,
                    policy_with, replace, switch_data)
from store import CANCELLED, PAYMENT_PENDING, PLACED, SHIPPED, detail, new_id

STOCK = 1000000
LIMIT = 32  # half of the workers, of which there are 64
USERS = 80  # more than there are workers
NO_BREAKER = {"circuitBreaker": {"consecutiveFailures": 0, "failureRatePercent": 0}}


@pytest.fixture
def product(store):
    return store.register(stock=STOCK)


def effective(cluster):
    """What holds for Pay, {name: (value, where it is from)}."""
    values = debug(cluster["order"])["policy"]["destinations"]["payment"][PAY]
    return {name: (value["value"], value["from"]) for name, value in values.items()}


def test_debug_mesh_shows_what_holds_and_where_it_is_from(cluster, store, product):
    assert store.place(product).order.status == PLACED
    page = debug(cluster["order"])
    assert (page["policy"]["schema"], page["policy"]["mode"]) == ("mesh-policy/v1", "library")
    assert set(page["policy"]["destinations"]) == set(page["destinations"]) == {"product", "payment", "delivery"}
    pay = effective(cluster)
    assert pay["timeout"] == ("500ms", "routes.pay")
    assert pay["retries.attempts"] == (2, "routes.pay")
    assert pay["retries.perTryTimeout"] == ("0s", "default")
    assert page["policy"]["destinations"]["payment"]["circuitBreaker.openDuration"] == {"value": "1s", "from": "destinations.payment"}
    assert page["policy"]["destinations"]["delivery"]["/fashion.delivery.v1.DeliveryService/GetDelivery"]["timeout"] == {
        "value": "1s", "from": "defaults.route"}


def test_debug_mesh_shows_breakers_budgets_and_endpoints(cluster, store, product):
    assert store.place(product).order.status == PLACED
    payment = payment_seen_by_order(cluster)
    breaker = payment["circuitBreakers"][PAY]
    assert (breaker["state"], breaker["failuresInARow"]) == ("closed", 0) and breaker["calls"] >= 1
    assert payment["retryBudget"]["inFlight"] == 0 and payment["retryBudget"]["recentCalls"] >= 1
    (endpoint,) = payment["endpoints"]
    assert endpoint == {"address": f"ipv4:127.0.0.1:{cluster['payment'].grpc_port}", "state": "ready", "ejected": False, "inFlight": 0}
    assert (payment["workerLimit"], payment["workersWaiting"], payment["requestsInFlight"]) == (LIMIT, 0, 0)


def test_each_attempt_is_a_line_of_the_log(cluster, store, product):
    with impostor.in_place_of_payment(cluster, impostor.unavailable):
        order = store.place(product).order
        assert order.status == PAYMENT_PENDING

        def attempts():
            lines = [l for l in log_lines(cluster["order"], "attempt") if l["correlation_id"] == order.order_id]
            return [(l["number"], l["code"], l["then"]) for l in lines if l["method"] == PAY][:3]

        eventually(lambda: attempts() == [(1, "UNAVAILABLE", "retry"), (2, "UNAVAILABLE", "retry"), (3, "UNAVAILABLE", "result")])
    eventually(lambda: store.get_order(order.order_id).status in (PLACED, SHIPPED), 20)


@pytest.mark.parametrize("bad, why", [
    (json.dumps(policy_with(LOCAL, "pay", timeout="2s", retries={"attempts": 11})), "routes.pay.retries.attempts is 11"),
    (json.dumps(policy_with(LOCAL, "pay", methods=["Refund"])), "Refund"),
    (json.dumps(LOCAL)[:200], "policy.json"),
    ("", "policy.json"),
], ids=["value", "method", "half", "empty"])
def test_a_refused_change_leaves_the_old_policy_in_force_and_says_why(cluster, store, product, bad, why):
    order = cluster["order"]
    before = debug(order)["policy"]
    refused = looks(order, "refused")
    lines = len(log_lines(order, REFUSED))
    overwrite(cluster.policy_file, bad)
    eventually(lambda: looks(order, "refused") == refused + 1, 10, "the change is refused")
    (line,) = eventually(lambda: log_lines(order, REFUSED)[lines:])
    assert line["level"] == "error" and why in line["message"], line
    assert debug(order)["policy"] == before
    assert store.place(product).order.status == PLACED
    change(cluster, LOCAL)
    assert debug(order)["policy"] == before


@pytest.mark.parametrize("write", [overwrite, replace, switch_data])
def test_a_change_is_in_force_without_restart_or_failed_call(cluster, store, product, write):
    pid = cluster["order"].popen.pid
    failed = failed_calls(cluster)
    with Load(store, [product], cancels=False) as load:
        load.wait_for_more(10)
        for timeout in ("9s", "8s"):
            change(cluster, policy_with(LOCAL, "pay", timeout=timeout), write)
            assert effective(cluster)["timeout"] == (timeout, "routes.pay")
            load.wait_for_more(10)
        change(cluster, LOCAL, write)
    assert effective(cluster)["timeout"] == ("500ms", "routes.pay")
    load.result()
    assert cluster["order"].popen.pid == pid
    assert failed_calls(cluster) == failed


def failed_calls(cluster):
    """How many calls of Pay have not ended well, the policy's own time left aside: a machine may be busy."""
    metric = cluster["order"].metric
    calls = {"grpc_service": "fashion.payment.v1.PaymentService", "grpc_method": "Pay"}
    return metric("grpc_client_handled_total", **calls) - sum(
        metric("grpc_client_handled_total", **calls, grpc_code=code) for code in ("OK", "DEADLINE_EXCEEDED"))


def refused_by_the_mesh(call):
    """Whoever calls order through a mesh does not try again: the reason is the mesh's, and pushback says so."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    info = detail(error, "ErrorInfo")
    assert (error.code(), info.reason, info.domain) == (grpc.StatusCode.UNAVAILABLE, "FAULT", "mesh"), error
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "-1"
    return True


def test_a_fault_of_the_policy_is_never_taken_for_a_peers_refusal(cluster, store, product):
    """Whatever its code is: no order is rejected, and what became of it is found out later."""
    aborts = {"abort": {"grpcStatus": "FAILED_PRECONDITION"}}
    shipped = store.place(product).order.order_id
    eventually(lambda: store.get_order(shipped).status == SHIPPED)
    with in_force(cluster, policy_with(LOCAL, "pay", fault=aborts)):
        pending = store.place(product).order
        assert pending.status == PAYMENT_PENDING
        assert store.pay(pending.order_id).order.status == PAYMENT_PENDING
    request_id = new_id()
    with in_force(cluster, policy_with(LOCAL, "reserve-stock", fault=aborts)):
        assert refused_by_the_mesh(lambda: store.place(product, request_id=request_id))
    assert store.place(product, request_id=request_id).order.status == PLACED
    with in_force(cluster, policy_with(LOCAL, "withdraw-order", fault=aborts)):
        assert refused_by_the_mesh(lambda: store.cancel(shipped))
        assert store.get_order(shipped).status == SHIPPED
    store.cancel(shipped)
    eventually(lambda: store.get_order(shipped).status == CANCELLED)
    eventually(lambda: store.get_order(pending.order_id).status in (PLACED, SHIPPED), 20)


def test_a_crowd_gets_through_with_nothing_wrong(cluster, store, product):
    """More orders at once than there are workers: who finds no place to wait for a peer waits a moment for one."""
    crowd = 150
    refused = lambda: cluster["order"].metric("mesh_client_refused_total", reason="worker_limit")
    patient = policy_with(policy_with(LOCAL, "pay", timeout="10s"), "reserve-stock", timeout="10s")  # of a busy machine
    with in_force(cluster, patient), concurrent.futures.ThreadPoolExecutor(crowd) as pool:
        def gets_through():
            before = refused()
            orders = [pool.submit(store.place, product, customer=f"crowd-{i}", timeout=60) for i in range(crowd)]
            concurrent.futures.wait(orders)
            return collections.Counter(order.result().order.status for order in orders) == {PLACED: crowd} and refused() == before

        # On a busy machine nobody may leave in that moment. Without the wait one crowd in twenty gets through.
        eventually(lambda: all(gets_through() for _ in range(3)), 20, "three crowds after each other get through")


def test_FS_N_3_with_payment_hanging_everything_else_goes_on(cluster, store, product):
    """Only as many workers wait for it as may; orders beyond are pending at once, and what needs no payment is as ever."""
    known = Known()

    def place(i):
        request_id = new_id()  # product's limit may be reached: then it is asked again
        return until_final(lambda: known.place(store, product, 1, f"hanging-{i}", request_id, timeout=60))

    shipped = known.place(store, product, customer="early-1")
    to_cancel = known.place(store, product, customer="early-2")
    eventually(lambda: store.get_order(shipped).status == store.get_order(to_cancel).status == SHIPPED)
    patient = policy_with(LOCAL, "pay", timeout="30s") | {"destinations": LOCAL["destinations"] | {"payment": NO_BREAKER}}
    with in_force(cluster, patient), concurrent.futures.ThreadPoolExecutor(USERS) as pool:
        cluster["payment"].pause()
        try:
            orders = [pool.submit(place, i) for i in range(USERS)]
            eventually(lambda: payment_seen_by_order(cluster)["workersWaiting"] == LIMIT, 20, "as many wait for payment as may")
            eventually(lambda: sum(o.done() for o in orders) == USERS - LIMIT, 20, "the others are answered")
            for _ in range(20):
                assert store.get_order(shipped).status == SHIPPED
            assert store.all_orders("early-1")[0].order_id == shipped
            known.cancel(store.cancel, to_cancel)
            eventually(lambda: store.get_order(to_cancel).status == CANCELLED)
            late = [known.place(store, product, customer=f"late-{i}") for i in range(5)]
            assert {known.answers[i] for i in late} == {PAYMENT_PENDING}
            assert payment_seen_by_order(cluster)["workersWaiting"] == LIMIT  # all the while
            assert cluster["order"].metric("mesh_client_refused_total", destination="payment", reason="worker_limit") >= USERS - LIMIT
        finally:
            cluster["payment"].go_on()
        for order in orders:
            order.result()
    wait_until_right(cluster, store, [product], STOCK, known, 60)
