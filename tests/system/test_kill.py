# SPDX-License-Identifier: Apache-2.0
"""Everything is killed once under load, and afterwards the books are right.

The seed is printed; CMESH_KILL_SEED=N runs the same order of victims again.
"""
import collections
import concurrent.futures
import os
import pathlib
import random
import signal
import subprocess
import time

import grpc
import pytest

from cluster import SERVICES, eventually
from store import (CANCELLED, DELIVERY_CANCELLED, PAID, PAYMENT_CANCELLED, PLACED, REJECTED, SHIPPED, STARTED, new_id)

ORDERS = int(os.environ.get("CMESH_KILL_ORDERS", "300"))
THREADS = 16
START_STOCK = 10000
ARTICLES = 4
FINAL_CODES = (grpc.StatusCode.FAILED_PRECONDITION,)
# What may be repeated: the outcome is open. Anything else is a bug.
OPEN_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED,
              grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED)


@pytest.fixture(scope="module")
def settings():
    return {"ORDER_PAY_RETRY_MS": "200"}


def until_final(call, seconds=60):
    """Repeats a call until its outcome is known: its answer, or None for a refusal."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except grpc.RpcError as e:
            if e.code() in FINAL_CODES:
                return None
            assert e.code() in OPEN_CODES, e
            assert time.monotonic() < end, f"no final answer: {e}"
        time.sleep(0.05)


def children(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(p) for p in text.split()]


def kill_server(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    eventually(lambda: not any(pathlib.Path(f"/proc/{p}/stat").exists() and "Z" not in state(p) for p in pids), 10)


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def start_server(variable):
    subprocess.run(["bash", "-c", os.environ[variable]], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def restart_postgres(pause):
    pid_file = pathlib.Path(os.environ["TEST_PG_DIR"]) / "postmaster.pid"
    pid = int(pid_file.read_text().split()[0])
    kill_server([pid, *children(pid)])
    time.sleep(pause)
    start_server("TEST_PG_START")
    os.environ["TEST_PG_PID"] = pid_file.read_text().split()[0]


def restart_nats(pause):
    pid_file = pathlib.Path(os.environ["TEST_NATS_DIR"]).parent / "nats.pid"
    kill_server([int(pid_file.read_text())])
    time.sleep(pause)
    start_server("TEST_NATS_START")
    os.environ["TEST_NATS_PID"] = pid_file.read_text()


def restart(cluster, victim, pause):
    if victim == "postgres":
        restart_postgres(pause)
    elif victim == "nats":
        restart_nats(pause)
    else:
        cluster[victim].kill()
        time.sleep(pause)
        cluster[victim].start()


def shop(store, products, number):
    """One customer's visit: an order, and for every fifth a change of mind."""
    product = products[number % ARTICLES]
    request_id = new_id()
    answer = until_final(lambda: store.place(product, 1 + number % 3, customer=f"kill-{number}",
                                             request_id=request_id, timeout=3))
    if answer is None:
        return None
    if number % 5 == 0:
        by = store.cancel if number % 2 else store.cancel_delivery
        until_final(lambda: by_either(store, by, answer.order.order_id))
    return answer.order.order_id


def by_either(store, cancel, order_id):
    """The merchandiser cannot cancel what delivery does not know yet; the customer can."""
    try:
        return cancel(order_id)
    except grpc.RpcError as e:
        if e.code() != grpc.StatusCode.NOT_FOUND:
            raise
    return store.cancel(order_id)


def test_FS_N_2_CP_23_PX_2_PX_11_kill_9_of_everything_leaves_the_books_right(cluster, store):
    seed = int(os.environ.get("CMESH_KILL_SEED", time.time_ns() % 1000000))
    print(f"CMESH_KILL_SEED={seed}")
    rng = random.Random(seed)
    victims = [*SERVICES, "postgres", "nats"]
    rng.shuffle(victims)
    products = [store.register(stock=START_STOCK) for _ in range(ARTICLES)]

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        visits = [pool.submit(shop, store, products, n) for n in range(ORDERS)]
        for i, victim in enumerate(victims):
            wanted = ORDERS * (i + 1) // (len(victims) + 2)
            eventually(lambda: sum(v.done() for v in visits) >= wanted, 30, f"{wanted} orders before {victim}")
            print(f"{sum(v.done() for v in visits)} orders: kill {victim}")
            restart(cluster, victim, rng.uniform(0, 0.5))
        ids = [v.result() for v in visits]
    assert_books(store, products, [i for i in ids if i])


def assert_books(store, products, ids):
    def settled():
        orders = [o for o in store.all_orders() if o.product_code in {p.code for p in products}]
        counts = collections.Counter(o.status for o in orders)
        assert set(counts) <= {SHIPPED, CANCELLED, REJECTED}, counts  # nothing RECEIVED, PENDING or PLACED is left
        return orders

    orders = eventually(settled, 30, "all orders reach their end")
    assert set(ids) <= {o.order_id for o in orders}
    assert len(orders) == len({o.customer_id for o in orders})  # a repeat is never a second order
    live = {o.order_id: o for o in orders if o.status == SHIPPED}
    eventually(lambda: stock_is_right(store, products, live.values()), 15, "stock = start - live")
    eventually(lambda: payments_are_right(store, orders, live), 15, "one payment PAID for each live order")
    eventually(lambda: deliveries_are_right(store, orders, live), 15, "one delivery for each live order")
    eventually(lambda: dashboards_are_right(store, orders), 15, "the dashboard shows the truth")


def stock_is_right(store, products, live):
    for product in products:
        sold = sum(o.quantity for o in live if o.product_code == product.code)
        assert store.stock(product) == START_STOCK - sold, (product.code, store.stock(product), START_STOCK - sold)
    return True


def payments_are_right(store, orders, live):
    for order in orders:
        try:
            payment = store.get_payment(order.order_id)
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.NOT_FOUND and order.order_id not in live, order
            continue
        assert payment.status == (PAID if order.order_id in live else PAYMENT_CANCELLED), (order, payment)
        if order.order_id in live:
            assert (payment.payment_id, payment.amount_krw) == (order.payment_id, order.total_krw)
    return True


def deliveries_are_right(store, orders, live):
    known = {o.order_id for o in orders}
    deliveries = [d for d in store.all_deliveries() if d.order_id in known]
    assert len(deliveries) == len({d.order_id for d in deliveries})
    started = {d.order_id for d in deliveries if d.status == STARTED}
    assert started == set(live)
    assert all(d.status in (STARTED, DELIVERY_CANCELLED) for d in deliveries)
    return True


def dashboards_are_right(store, orders):
    rows = {d.order_id: d for d in store.all_dashboards()}
    for order in orders:
        if order.status == REJECTED:
            assert order.order_id not in rows or rows[order.order_id].order_status == REJECTED
            continue
        row = rows[order.order_id]
        paid, delivered = (PAID, STARTED) if order.status == SHIPPED else (PAYMENT_CANCELLED, DELIVERY_CANCELLED)
        assert (row.order_status, row.payment_status, row.delivery_status) == (order.status, paid, delivered), row
        assert (row.quantity, row.total_krw, row.payment_id) == (order.quantity, order.total_krw, order.payment_id)
    return True
