# SPDX-License-Identifier: Apache-2.0
"""What it costs when something hangs or is away: an owner of partitions, and the broker."""
import concurrent.futures
import contextlib
import statistics
import threading
import time

import memory
from cluster import SERVICES, eventually
from programs import drain, program
from servers import start_nats, stop_nats


# ---- takeover ------------------------------------------------------------------------------------
def first_effect(cluster, partitions, since):
    """Seconds from `since` until the transaction of the first effect in these partitions began."""
    return cluster.query("""select extract(epoch from min(created_at) - %s)::float8
                              from fashion_delivery.outbox
                             where created_at > %s and split_part(subject, '.', 2)::int = any(%s)""",
                         since, since, partitions)[0][0]


def take_over(cluster, owner):
    """An owner that hangs does nothing after `since`, so that what is done is the other's."""
    partitions = owner.partitions()
    with owner.paused():
        since = cluster.query("select clock_timestamp()")[0][0]
        eventually(lambda: first_effect(cluster, partitions, since) is not None, 30, "somebody took over")
        return first_effect(cluster, partitions, since)


@contextlib.contextmanager
def orders_meanwhile(cluster, articles):
    over = threading.Event()

    def place():
        while not over.is_set():
            program("bench-load", "orders", cluster.address("order"), 4, 1, articles, seconds=1)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        placing = pool.submit(place)
        try:
            yield
        finally:
            over.set()
        placing.result()


def takeover(cluster, articles, times=3):
    """From an owner of partitions that hangs to what another replica does in its place: the middle one, and all."""
    replicas = [cluster["delivery"], cluster.add_replica("delivery")]
    found = []
    with orders_meanwhile(cluster, articles):
        for number in range(times):
            cluster.wait_until_shared_out("delivery", 30)
            found.append(take_over(cluster, replicas[number % 2]))
    cluster.wait_until_shared_out("delivery", 30)
    replicas[1].stop()
    drain(cluster)
    return {"s": round(statistics.median(found), 2), "each_s": [round(s, 2) for s in found]}


# ---- the broker away -----------------------------------------------------------------------------
def memory_mb(cluster):
    return {s: round(memory.now_kb(cluster[s]) / 1024, 1) for s in SERVICES}


def handled(cluster):
    return sum(cluster[s].metric("mesh_consumer_handled_total") for s in SERVICES)


def outage(cluster, away_s, busy_s, clients, articles):
    """Full load without a broker, then with it while the backlog drains, then none until it has."""
    def load(seconds):
        return program("bench-load", "orders", cluster.address("order"), clients, seconds, articles, seconds=seconds)

    before, n_before = memory_mb(cluster), handled(cluster)
    stop_nats()
    try:
        away = load(away_s)
        while_away = memory_mb(cluster)
    finally:
        start_nats()
    start = time.monotonic()
    busy = load(busy_s)
    while_busy = memory_mb(cluster)
    drained = drain(cluster, patience=600 + 2 * away_s, look=1) is not None
    empty_s = time.monotonic() - start
    events = handled(cluster) - n_before
    return {"away_s": away_s, "busy_s": busy_s, "clients": clients, "away": away, "busy": busy,
            "drained": drained, "empty_after_s": round(empty_s, 1), "events": round(events),
            "events_per_second": round(events / empty_s),
            "memory_mb": {"before": before, "away": while_away, "busy": while_busy, "drained": memory_mb(cluster)}}
