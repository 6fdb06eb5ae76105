# SPDX-License-Identifier: Apache-2.0
"""Postgres and the broker stop, and run out of disk, under load: clear errors, and nobody needs to restart a service."""
import os
import pathlib
import signal

import grpc
import pytest

import servers
from books import wait_until_right
from cluster import SERVICES, eventually
from load import OPEN_CODES, Load

ORDERS = int(os.environ.get("CMESH_OUTAGE_ORDERS", "120"))
STOCK = 1000000
SETTLED = 60  # seconds: an order that nobody asks for again is given up after 30


def pids(cluster):
    return {s: cluster[s].popen.pid for s in SERVICES}


@pytest.fixture(scope="module")
def settings():
    """The broker refuses a stream that may become larger than its disk."""
    return {"ORDER_PAY_RETRY_MS": "200", "MESH_STREAM_MAX_BYTES": str(32 << 20)}


def wait_until_ready(cluster):
    eventually(lambda: all(cluster[s].http("/readyz")[0] == 200 for s in SERVICES), 20, "everybody is ready")


@pytest.fixture
def products(store):
    return [store.register(stock=STOCK) for _ in range(4)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_postgres_stopped_and_started_again_under_load(cluster, store, products, how):
    before = pids(cluster)
    with Load(store, products) as load:
        load.wait_for_more(ORDERS // 3)
        servers.stop_postgres(how)
        refused = eventually(lambda: refusal(store, products[0]), 10, "an order is refused")
        assert refused.code() in OPEN_CODES, refused
        eventually(lambda: all(cluster[s].http("/readyz")[0] == 503 for s in SERVICES), 10, "nobody is ready")
        assert all(cluster[s].http("/livez")[0] == 200 for s in SERVICES)
        servers.start_postgres()
        wait_until_ready(cluster)
        load.wait_for_more(ORDERS // 3)
    wait_until_right(cluster, store, products, STOCK, load.result(), SETTLED)
    assert pids(cluster) == before


def refusal(store, product):
    """The error of an order that cannot be placed now; None if it was."""
    try:
        store.place(product, customer=f"refused-{os.urandom(4).hex()}", timeout=2)
    except grpc.RpcError as e:
        return e
    return None


def test_a_full_disk_under_postgres_is_a_clear_error_and_passes(cluster, store, products):
    before = pids(cluster)
    disk = servers.SmallDisk(servers.postgres_folder(), 700)
    servers.stop_postgres()
    disk.take_folder()
    try:
        servers.start_postgres()
        with Load(store, products) as load:
            load.wait_for_more(ORDERS // 3)
            disk.fill()
            refused = eventually(lambda: refusal(store, products[0]), 60, "an order is refused")
            assert refused.code() in OPEN_CODES, refused
            assert "No space left" not in refused.details() and "/" not in refused.details()  # it says no path
            disk.make_room()
            if not postgres_runs():  # it ends itself when it cannot write its log
                servers.start_postgres()
            load.wait_for_more(ORDERS // 3)
        wait_until_right(cluster, store, products, STOCK, load.result(), SETTLED)
        assert pids(cluster) == before
    finally:
        servers.stop_postgres()
        disk.remove()
        servers.start_postgres()
        wait_until_ready(cluster)


def postgres_runs():
    try:
        return not servers.gone(servers.postgres_pid())
    except FileNotFoundError:
        return False


def test_a_full_disk_under_the_broker_delays_events_and_passes(cluster, store, products):
    before = pids(cluster)
    disk = servers.SmallDisk(pathlib.Path(os.environ["TEST_NATS_DIR"]), 64)
    servers.stop_nats()
    disk.take_folder()
    try:
        servers.start_nats()
        with Load(store, products) as load:
            load.wait_for_more(ORDERS // 3)
            disk.fill()
            load.wait_for_more(ORDERS // 3)  # orders go on
            eventually(lambda: cluster["order"].metric("mesh_outbox_backlog") > 0, 30, "events wait")
            disk.make_room()
            servers.stop_nats()  # a nats-server that has met a full disk stores nothing until it is started again
            servers.start_nats()
            load.wait_for_more(1)
        wait_until_right(cluster, store, products, STOCK, load.result(), SETTLED)
        assert pids(cluster) == before
    finally:
        servers.stop_nats()
        disk.remove()
        servers.start_nats()
