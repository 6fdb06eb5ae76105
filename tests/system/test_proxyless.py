# SPDX-License-Identifier: Apache-2.0
"""Mode proxyless: the order service finds its peers by xDS. The gRPC core balances, retries and injects faults as it is told;
deadline, breaker and worker limit stay the runtime's."""
import concurrent.futures
import json
import os

import grpc
import pytest

import impostor
from books import wait_until_right
from cluster import ROOT, eventually
from load import Load
from policy import LOCAL, Breaker, calls, in_force, payment_seen_by_order, policy_with, served
from store import PAYMENT_PENDING, PLACED, SHIPPED, new_id
from xds import XdsServer, cluster as xds_cluster, endpoints, listener, routes

PROXYLESS = LOCAL | {"mode": "proxyless"}
NO_BREAKER = {"circuitBreaker": {"consecutiveFailures": 0, "failureRatePercent": 0}}
# A machine that is busy shall not make a call fail.
PATIENT = policy_with(policy_with(PROXYLESS, "pay", timeout="15s"), "reserve-stock", timeout="15s")
UNBROKEN = PATIENT | {"destinations": PATIENT["destinations"] | {"payment": NO_BREAKER}}
PEERS = ("product", "payment", "delivery")
STOCK = 1000000
ORDERS = 40
RETRIES = 3
USERS = 80  # more than there are workers
LIMIT = 32  # half of the workers, of which there are 64
SETTLED = 60  # seconds


def host(service):
    """As istiod knows it."""
    return f"{service}.fashion.svc.cluster.local:9090"


class Mesh:
    """What the xDS server tells: for each peer a name, its routes and one cluster for each replica; payment's can be others."""

    def __init__(self, cluster, xds):
        self.cluster = cluster
        self.xds = xds

    def resources(self, weights=None, replicas=None, **rules):
        told = []
        for service in PEERS:
            ports = {service: [self.cluster[service].grpc_port]}
            if service == "payment" and replicas:
                ports = {name: [p.grpc_port for p in processes] for name, processes in replicas.items()}
            own = rules if service == "payment" else {}
            to = weights if service == "payment" and weights else {name: 100 for name in ports}
            told += [listener(host(service)), routes(host(service), to, **own)]
            told += [r for name in ports for r in (xds_cluster(name), endpoints(name, ports[name]))]
        return told

    def tell(self, **rules):
        self.xds.tell(self.resources(**rules))
        self.wait_until_ready()

    def wait_until_ready(self):
        eventually(lambda: payment_seen_by_order(self.cluster)["endpoints"][0]["state"] == "ready", 20, "payment is connected")


@pytest.fixture(scope="module")
def settings():
    return {"ORDER_PAY_RETRY_MS": "200", "MESH_LOG_LEVEL": "info"}


@pytest.fixture(scope="module")
def mesh(cluster):
    xds = XdsServer(cluster.folder)
    order = cluster["order"]
    mesh = Mesh(cluster, xds)
    cluster.policy_file.write_text(json.dumps(PATIENT))
    xds.start()
    xds.tell(mesh.resources())
    order.stop()
    order.settings |= {f"MESH_PEER_{peer.upper()}": f"xds:///{host(peer)}" for peer in PEERS}
    order.settings["GRPC_XDS_BOOTSTRAP"] = str(xds.bootstrap)
    order.settings["ASAN_OPTIONS"] = f"{os.environ.get('ASAN_OPTIONS', '')}:suppressions={ROOT / 'tests/support/asan.supp'}"
    order.start()
    yield mesh
    xds.stop()


@pytest.fixture
def told(mesh):
    """The usual state, before and after a test that changes it."""
    mesh.tell()
    yield mesh
    if not mesh.xds.popen:  # a test that failed has left it so
        mesh.xds.start()
    mesh.tell()


@pytest.fixture
def product(store):
    return store.register(stock=STOCK)


def attempts(cluster):
    return cluster["order"].metric("mesh_client_attempts_total", destination="payment")


def refused(cluster, why, destination="payment"):
    return cluster["order"].metric("mesh_client_refused_total", destination=destination, reason=why)


def wait_until_paid(store, *orders):
    eventually(lambda: {store.get_order(o.order_id).status for o in orders} <= {PLACED, SHIPPED}, SETTLED, "it is paid")


def place(store, product, n=ORDERS):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: store.place(product, timeout=60).order.status, range(n)))


def test_an_order_goes_through_peers_that_are_found_by_xds(cluster, store, told, product):
    before = served(cluster["payment"])
    assert store.place(product, timeout=60).order.status in (PLACED, SHIPPED)
    assert served(cluster["payment"]) == before + 1
    (endpoint,) = payment_seen_by_order(cluster)["endpoints"]
    assert endpoint == {"address": f"xds:///{host('payment')}", "state": "ready", "ejected": False, "inFlight": 0}


def test_the_core_retries_as_the_route_says_and_the_runtime_does_not_multiply_it(cluster, store, told, product):
    tried = []

    def refuse(request, context, _pay):
        earlier = dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts", "0")
        tried.append((request, int(earlier)))
        context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    with in_force(cluster, UNBROKEN, PATIENT):
        told.tell(retries=RETRIES)
        with impostor.in_place_of_payment(cluster, refuse):
            told.wait_until_ready()
            before = calls(cluster)
            n_attempts = attempts(cluster)
            order = store.place(product, timeout=60).order
            assert order.status == PAYMENT_PENDING

            def every_call_was_tried_so_often():
                made = calls(cluster)[1] - before[1]
                assert made > 0 and attempts(cluster) - n_attempts == made
                assert [earlier for _, earlier in tried] == [i for _ in range(int(made)) for i in range(1 + RETRIES)]
                return True

            eventually(every_call_was_tried_so_often, 20)
        wait_until_paid(store, order)
    metric = cluster["order"].metric
    assert metric("mesh_client_retries_total", destination="payment") == 0
    assert metric("mesh_client_hedges_total", destination="payment") == 0


def test_a_call_that_succeeds_when_it_is_tried_again_is_one_good_call(cluster, store, told, product):
    tried = []

    def refuse_twice(request, context, pay):
        tried.append(request)
        if len(tried) <= 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return pay(request)

    told.tell(retries=RETRIES)
    with impostor.in_place_of_payment(cluster, refuse_twice):
        told.wait_until_ready()
        before = calls(cluster)
        assert store.place(product, timeout=60).order.status in (PLACED, SHIPPED)
        assert calls(cluster) == (before[0] + 1, before[1])
        assert len(tried) == 3 and len(set(tried)) == 1


def test_calls_are_shared_out_by_weight(cluster, store, told, product):
    many = cluster["payment"]
    few = cluster.add_replica("payment")
    replicas = {"many": [many], "few": [few]}
    told.tell(replicas=replicas, weights={"many": 90, "few": 10})
    before = served(many), served(few)
    eventually(lambda: place(store, product) and served(few) > before[1], 60, "the few have calls")
    assert served(many) - before[0] > served(few) - before[1]
    told.tell(replicas=replicas, weights={"few": 100})
    eventually(lambda: all_go_to(few, many, store, product), 20, "all calls go to the few")
    told.tell()
    eventually(lambda: all_go_to(many, few, store, product), 20, "all calls go to the many")
    few.stop()


def all_go_to(one, other, store, product):
    before = served(one), served(other)
    place(store, product, 8)
    return served(one) - before[0] >= 8 and served(other) == before[1]


def test_a_fault_of_the_route_is_the_cores_and_the_breaker_takes_it_for_payments_failure(cluster, store, told, product):
    breaker = Breaker(cluster)
    told.tell(fault={"abort": {"grpc_status": 14, "percentage": {"numerator": 100}}})
    eventually(lambda: store.place(product, timeout=60).order.status == PAYMENT_PENDING, 20, "the fault has come")
    before = served(cluster["payment"])
    eventually(lambda: store.place(product, timeout=60) and breaker.changes(), 20, "the breaker opens")
    order = store.place(product, timeout=60).order
    assert order.status == PAYMENT_PENDING
    assert served(cluster["payment"]) == before
    assert cluster["order"].metric("mesh_client_faults_total", destination="payment") == 0
    told.tell()
    eventually(breaker.has_opened_and_recovered, 60, "the breaker has recovered")
    wait_until_paid(store, order)


def test_a_delay_of_the_route_ends_with_the_deadline_of_the_policy(cluster, store, told, product):
    told.tell(fault={"delay": {"fixed_delay": "3600s", "percentage": {"numerator": 100}}})
    with in_force(cluster, policy_with(UNBROKEN, "pay", timeout="1s"), PATIENT):
        eventually(lambda: store.place(product, timeout=60).order.status == PAYMENT_PENDING, 20, "the fault has come")
        before = served(cluster["payment"])
        cut = cluster["order"].metric("mesh_client_timeouts_total", destination="payment", of="call")
        order = store.place(product, timeout=60).order
        assert order.status == PAYMENT_PENDING
        assert served(cluster["payment"]) == before
        assert cluster["order"].metric("mesh_client_timeouts_total", destination="payment", of="call") > cut
        told.tell()
        wait_until_paid(store, order)


def test_endpoints_come_and_go_while_calls_run_and_none_fails(cluster, store, told, product):
    first = cluster["payment"]
    before = calls(cluster)
    with Load(store, [product], cancels=False) as load:
        load.wait_for_more(ORDERS)
        second = cluster.add_replica("payment")
        told.tell(replicas={"payment": [first, second]})
        eventually(lambda: served(second) > 0, 20, "the new replica gets calls")
        load.wait_for_more(ORDERS)
        told.tell(replicas={"payment": [second]})
        eventually(lambda: gets_none(first, load), 20, "the one that is removed gets none")
        first.stop()
        load.wait_for_more(ORDERS)
        first.start()
        told.tell(replicas={"payment": [first]})
        eventually(lambda: gets_none(second, load), 20, "the other one gets none")
        second.stop()
        load.wait_for_more(ORDERS)
    known = load.result()
    after = calls(cluster)
    assert after[0] > before[0] and after[1] == before[1], (before, after)
    wait_until_right(cluster, store, [product], STOCK, known, SETTLED)


def gets_none(process, load):
    n = served(process)
    load.wait_for_more(8)
    return served(process) == n


def test_the_breaker_opens_when_payment_hangs_and_closes_again(cluster, store, told, product):
    payment = cluster["payment"]
    with in_force(cluster, policy_with(PATIENT, "pay", timeout="500ms"), PATIENT):
        breaker = Breaker(cluster)
        with payment.paused():
            orders = [store.place(product, timeout=60).order for _ in range(5)]
            assert {o.status for o in orders} == {PAYMENT_PENDING}
            breaker.wait_until("open")
            before = refused(cluster, "circuit_open")
            eventually(lambda: store.place(product, timeout=60) and refused(cluster, "circuit_open") > before, 20, "calls are refused")
        eventually(breaker.has_opened_and_recovered, 60, "the breaker has recovered")
    wait_until_paid(store, *orders)


def test_no_more_workers_wait_for_payment_than_may(cluster, store, told, product):
    patient = policy_with(UNBROKEN, "pay", timeout="30s")
    with in_force(cluster, patient, PATIENT), concurrent.futures.ThreadPoolExecutor(USERS) as pool:
        with cluster["payment"].paused():
            request_ids = [new_id() for _ in range(USERS)]
            orders = [pool.submit(store.place, product, request_id=i, timeout=60) for i in request_ids]
            eventually(lambda: payment_seen_by_order(cluster)["workersWaiting"] == LIMIT, 20, "as many wait as may")
            eventually(lambda: sum(o.done() for o in orders) == USERS - LIMIT, 20, "the others are answered")
            assert refused(cluster, "worker_limit") > 0
        wait_until_paid(store, *(o.result().order for o in orders if o.exception() is None))


def test_without_an_xds_server_calls_go_on_with_what_is_known(cluster, store, told, product):
    before = calls(cluster)
    with Load(store, [product], cancels=False) as load:
        load.wait_for_more(ORDERS)
        told.xds.stop()
        load.wait_for_more(2 * ORDERS)
        told.xds.start()
        second = cluster.add_replica("payment")
        told.tell(replicas={"payment": [second]})
        eventually(lambda: served(second) > 0, 60, "what is new is known")
        load.wait_for_more(ORDERS)
        told.tell()
        eventually(lambda: gets_none(second, load), 60, "the old state is known")
    load.result()
    assert calls(cluster)[1] == before[1]
    second.stop()


@pytest.mark.parametrize("bad, why", [
    (xds_cluster("payment", lb_policy="LEAST_REQUEST"), "LB policy is not supported"),
    (routes(host("payment"), {"payment": 1, "other": 1}), "incorrect total weight"),
], ids=["balancer", "weights"])
def test_what_the_core_refuses_of_the_xds_server_changes_nothing(cluster, store, told, product, bad, why):
    """What this version of the core does not know; the chart must not ask for it."""
    told.xds.tell([r for r in told.resources() if (r["@type"], r.get("name")) != (bad["@type"], bad["name"])] + [bad])
    assert why in told.xds.refusal(bad["@type"])
    assert set(place(store, product, 8)) <= {PLACED, SHIPPED}


def test_with_the_xds_server_away_at_the_start_calls_fail_clearly_until_it_comes(cluster, store, told, product):
    order = cluster["order"]
    told.xds.stop()
    order.stop()
    order.start()
    request_id = new_id()

    def fails():
        with pytest.raises(grpc.RpcError) as failure:
            store.place(product, request_id=request_id, timeout=60)
        assert (failure.value.code(), failure.value.details()) == (grpc.StatusCode.UNAVAILABLE, "product does not answer")
        return True

    eventually(fails, 20)  # the client may have to find the order service first
    assert refused(cluster, "no_endpoint", destination="product") > 0
    assert f"xDS channel for server unix:{told.xds.socket}" in order.log()  # why
    told.xds.start()
    told.xds.tell(told.resources())
    eventually(lambda: store.place(product, request_id=request_id, timeout=60).order.status in (PLACED, SHIPPED), 60, "it goes well")
