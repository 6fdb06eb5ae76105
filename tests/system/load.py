# SPDX-License-Identifier: Apache-2.0
"""Customers under load: each repeats its order until it knows the outcome, whatever dies meanwhile."""
import collections
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


class Known:
    """What customers know of their orders; the books are held against it."""

    def __init__(self):
        self.answers = {}  # order id: the status that it was answered with
        self.asked = set()  # somebody asked to cancel these, whatever came of it,
        self.cancelled = set()  # and was told that these are

    def place(self, store, *args, **kwargs):
        """Store.place, remembered."""
        order = store.place(*args, **kwargs).order
        self.answers[order.order_id] = order.status
        return order.order_id

    def cancel(self, by, order_id):
        """Cancels with `by`, remembered."""
        self.asked.add(order_id)
        by(order_id)
        self.cancelled.add(order_id)
        return order_id


class Load:
    """Customers who come one after the other to each of the threads, until the load is stopped. While `cancels`, every
    fifth changes his mind."""

    pause = PAUSE

    def __init__(self, store, products, cancels=True, threads=THREADS):
        self.cancels = cancels
        self.name = new_id()
        self.numbers = itertools.count()
        self.over = threading.Event()
        self.known = Known()
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.threads = [self.pool.submit(self.follow, store, products) for _ in range(threads)]

    def follow(self, store, products):
        while not self.over.wait(self.pause):
            self.shop(store, products, next(self.numbers))

    def shop(self, store, products, number):
        """One customer's visit."""
        request_id = new_id()
        order_id = until_final(lambda: self.known.place(store, products[number % len(products)], 1 + number % 3,
                                                        f"{self.name}-{number}", request_id, timeout=3))
        assert order_id is not None  # there is enough of everything
        if self.cancels and number % 5 == 0:
            by = store.cancel if number % 2 else store.cancel_delivery
            until_final(lambda: self.known.cancel(lambda i: by_either(store, by, i), order_id))

    @property
    def placed(self):
        return len(self.known.answers)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.pool.shutdown()

    def wait_for_more(self, n):
        wanted = self.placed + n

        def done():
            for thread in self.threads:
                if thread.done():
                    thread.result()  # it has failed
            return self.placed >= wanted

        eventually(done, 30 + n / 10, f"{n} more orders")

    def result(self):
        for thread in self.threads:
            thread.result()
        return self.known


class Timed(Load):
    """A load that keeps every answer: (when it was asked, how long it took, the order's status or the text of an error)."""

    pause = 0.5

    def __init__(self, *args, **kwargs):
        self.answers = []
        super().__init__(*args, cancels=False, **kwargs)

    def shop(self, store, products, number):
        request_id = new_id()
        until_final(lambda: self.ask(store, products[number % len(products)], f"{self.name}-{number}", request_id))

    def ask(self, *args):
        began = time.monotonic()
        said = None
        try:
            order_id = self.known.place(args[0], args[1], 1, args[2], args[3], timeout=20)
            said = self.known.answers[order_id]
            return order_id
        except grpc.RpcError as e:
            said = e.details()
            raise
        finally:
            self.answers.append((began, time.monotonic() - began, said))

    def report(self, what, since, until):
        """Prints how fast the answers were that were asked for and given in between; what was said, and how often."""
        answers = [a for a in self.answers if since <= a[0] and a[0] + a[1] < until]
        times = sorted(1000 * took for _, took, _ in answers) or [0]
        said = collections.Counter(s for _, _, s in answers)
        print(f"{what}: {len(answers)} answers in {until - since:.1f} s, p50 {times[len(times) // 2]:.0f} ms,"
              f" p99 {times[len(times) * 99 // 100]:.0f} ms, longest {times[-1]:.0f} ms, {dict(said)}")
        return said


def by_either(store, cancel, order_id):
    """The merchandiser cannot cancel what delivery does not know yet; the customer can."""
    try:
        return cancel(order_id)
    except grpc.RpcError as e:
        if e.code() != grpc.StatusCode.NOT_FOUND:
            raise
    return store.cancel(order_id)
