# SPDX-License-Identifier: Apache-2.0
"""Customers under load: each repeats its order until it knows the outcome, whatever dies meanwhile."""
import concurrent.futures
import itertools
import threading
import time

import grpc

from cluster import eventually
from store import new_id

THREADS = 16
PAUSE = 0.1  # between two orders of a thread
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


def shop(store, products, number, cancels):
    """One customer's visit: an order, and for every fifth a change of mind if `cancels`."""
    request_id = new_id()
    answer = until_final(lambda: store.place(products[number % len(products)], 1 + number % 3, customer=f"kill-{number}",
                                             request_id=request_id, timeout=3))
    assert answer is not None  # there is enough of everything
    if cancels and number % 5 == 0:
        by = store.cancel if number % 2 else store.cancel_delivery
        until_final(lambda: by_either(store, by, answer.order.order_id))
    return answer.order.order_id


class Load:
    """Customers who come one after the other to each of the threads, until the load is stopped."""

    def __init__(self, store, products, cancels=True):
        self.cancels = cancels
        self.numbers = itertools.count()
        self.over = threading.Event()
        self.ids = []
        self.pool = concurrent.futures.ThreadPoolExecutor(THREADS)
        self.threads = [self.pool.submit(self.follow, store, products) for _ in range(THREADS)]

    def follow(self, store, products):
        while not self.over.wait(PAUSE):
            self.ids.append(shop(store, products, next(self.numbers), self.cancels))

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

        eventually(done, 30 + n / 10, f"{n} more orders")

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
