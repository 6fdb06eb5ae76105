# SPDX-License-Identifier: Apache-2.0
"""Everything is killed once under load, and afterwards the books are right (kill -9, so that nothing can say goodbye).

The seed is printed; CMESH_KILL_SEED=N runs the same order of victims again.
"""
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import grpc

from books import books_are_right
from cluster import SERVICES, eventually
from store import new_id

ORDERS = int(os.environ.get("CMESH_KILL_ORDERS", "300"))
THREADS = 16
PAUSE = 0.1  # between two orders of a thread
STOCK = 1000000
ARTICLES = 4
FINAL_CODES = (grpc.StatusCode.FAILED_PRECONDITION,)
# What may be repeated: the outcome is open. Anything else is a bug.
OPEN_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED,
              grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED)


def until_final(call, seconds=30):
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
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def kill_server(pid):
    """kill -9 of a server and all its processes."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state(pid) == "T")  # from here on it makes no more of them
    pids = [*children(pid), pid]
    for p in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signal.SIGKILL)
    eventually(lambda: all(state(p) == "Z" for p in pids), 10)


def start_server(variable):
    subprocess.run(["bash", "-c", os.environ[variable]], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def restart_postgres(pause):
    folder = pathlib.Path(os.environ["TEST_PG_DIR"])
    kill_server(int((folder / "postmaster.pid").read_text().split()[0]))
    # Nothing of it runs; but where the first process of a container reaps late, its number looks alive.
    for lock in (folder / "postmaster.pid", *folder.parent.glob(".s.PGSQL.*.lock")):
        lock.unlink()
    time.sleep(pause)
    start_server("TEST_PG_START")
    os.environ["TEST_PG_PID"] = (folder / "postmaster.pid").read_text().split()[0]


def restart_nats(pause):
    pid_file = pathlib.Path(os.environ["TEST_NATS_DIR"]).parent / "nats.pid"
    kill_server(int(pid_file.read_text()))
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
    request_id = new_id()
    answer = until_final(lambda: store.place(products[number % ARTICLES], 1 + number % 3, customer=f"kill-{number}",
                                             request_id=request_id, timeout=3))
    assert answer is not None  # there is enough of everything
    if number % 5 == 0:
        by = store.cancel if number % 2 else store.cancel_delivery
        until_final(lambda: by_either(store, by, answer.order.order_id))
    return answer.order.order_id


class Load:
    """Customers who come one after the other to each of the threads, until the load is stopped."""

    def __init__(self, store, products):
        self.numbers = itertools.count()
        self.over = threading.Event()
        self.ids = []
        self.pool = concurrent.futures.ThreadPoolExecutor(THREADS)
        self.threads = [self.pool.submit(self.follow, store, products) for _ in range(THREADS)]

    def follow(self, store, products):
        while not self.over.wait(PAUSE):
            self.ids.append(shop(store, products, next(self.numbers)))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.pool.shutdown()

    def wait_for_more(self, n):
        wanted = len(self.ids) + n

        def done():
            for thread in self.threads:
                if thread.done():
                    thread.result()  # it has failed
            return len(self.ids) >= wanted

        eventually(done, 30, f"{n} more orders")

    def result(self):
        for thread in self.threads:
            thread.result()
        return self.ids


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
    products = [store.register(stock=STOCK) for _ in range(ARTICLES)]

    with Load(store, products) as load:
        for victim in victims:
            load.wait_for_more(rng.randrange(ORDERS // 8))
            print(f"{len(load.ids)} orders: kill {victim}")
            restart(cluster, victim, rng.uniform(0, 0.5))
        load.wait_for_more(max(1, ORDERS - len(load.ids)))
    ids = load.result()
    eventually(lambda: books_are_right(store, products, STOCK, ids), 30, "the books are right")
