# SPDX-License-Identifier: Apache-2.0
"""Replicas of payment come, go and restart under load: the order service finds out by itself, and no call fails."""
import json
import os

import psycopg
import pytest

from books import wait_until_right
from cluster import eventually
from load import Timed
from policy import LOCAL, PAY, calls, change, payment_seen_by_order, policy_with, served
from store import PLACED, SHIPPED

ORDERS = int(os.environ.get("CMESH_ENDPOINT_ORDERS", "60"))
STOCK = 1000000
SETTLED = 60  # seconds
RENEWED = 5  # connections, at least


@pytest.fixture(scope="module")
def addresses(cluster):
    """The file that the order service finds payment in."""
    path = cluster.folder / "payment.addresses"
    tell(path, cluster["payment"])
    order = cluster["order"]
    order.stop()
    order.settings["MESH_PEER_PAYMENT"] = f"file:{path}"
    order.start()
    # A machine that is busy shall not make a call fail.
    change(cluster, policy_with(policy_with(LOCAL, "pay", timeout="15s"), "reserve-stock", timeout="15s"))
    return path


def tell(path, *processes):
    path.write_text("".join(f"{address(p)}\n" for p in processes))


def address(process):
    return f"127.0.0.1:{process.grpc_port}"


def endpoints(cluster):
    return {e["address"].removeprefix("ipv4:"): e for e in payment_seen_by_order(cluster)["endpoints"]}


def wait_until_known(cluster, *processes):
    eventually(lambda: set(endpoints(cluster)) == {address(p) for p in processes}, 10, "the endpoints are known")


def failed_attempts(cluster):
    metric = cluster["order"].metric
    return (metric("mesh_client_attempts_total", destination="payment") -
            metric("mesh_client_attempts_total", destination="payment", code="OK"))


def ends_well(cluster, store, load, product, before):
    known = load.result()
    assert set(known.answers.values()) <= {PLACED, SHIPPED}
    after = calls(cluster)
    assert after[0] > before[0] and after[1] == before[1], (before, after)
    wait_until_right(cluster, store, [product], STOCK, known, SETTLED)


def test_a_new_replica_gets_calls_and_one_that_is_removed_ends_its_own(cluster, store, addresses):
    product = store.register(stock=STOCK)
    first = cluster["payment"]
    before = calls(cluster)
    failed = failed_attempts(cluster)
    with Timed(store, [product]) as load:
        load.wait_for_more(ORDERS)
        second = cluster.add_replica("payment")
        tell(addresses, first, second)
        eventually(lambda: served(second) > 0, 10, "the new replica gets calls")
        load.wait_for_more(ORDERS)
        with psycopg.connect(cluster.database_url) as admin:
            admin.execute("lock table fashion_payment.payments in access exclusive mode")
            eventually(lambda: endpoints(cluster)[address(second)]["inFlight"] > 0, 10, "it has calls under way")
            tell(addresses, first)
            wait_until_known(cluster, first)
        load.wait_for_more(ORDERS)
        n = served(second)
        load.wait_for_more(ORDERS)
        assert served(second) == n  # nothing new
        second.stop()
        load.wait_for_more(ORDERS)
    ends_well(cluster, store, load, product, before)
    assert failed_attempts(cluster) == failed  # not even one that was tried again


def test_replicas_that_restart_and_end_connections_all_the_time_fail_no_call(cluster, store, addresses):
    product = store.register(stock=STOCK)
    replicas = [cluster["payment"], cluster.add_replica("payment")]
    tell(addresses, *replicas)
    wait_until_known(cluster, *replicas)
    before = calls(cluster)
    seen = connections(replicas)
    with Timed(store, [product]) as load:
        for replica in 2 * replicas:
            replica.stop()
            replica.settings["MESH_MAX_CONNECTION_AGE_MS"] = "200"
            replica.start()
            n = served(replica)
            eventually(lambda: served(replica) > n, 10, "it gets calls")
            load.wait_for_more(ORDERS)
    ends_well(cluster, store, load, product, before)
    assert len(connections(replicas) - seen) >= RENEWED * len(replicas)


def connections(replicas):
    """The other ends of all connections that have brought a Pay."""
    lines = (json.loads(line) for r in replicas for line in r.log().splitlines())
    return {(line["peer"], line["service"]) for line in lines if line["message"] == "call" and line["method"] == PAY}
