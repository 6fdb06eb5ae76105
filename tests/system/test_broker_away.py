# SPDX-License-Identifier: Apache-2.0
"""The broker is away while orders are placed. CMESH_AWAY_S=N: for so many seconds.

What waits for the broker waits in Postgres: a service holds a bounded part of it, whatever is behind.
"""
import os
import time

import memory
import servers
from books import wait_until_right
from cluster import SERVICES, eventually
from load import Load

AWAY_S = int(os.environ.get("CMESH_AWAY_S", "20"))
STOCK = 10000000
# Of memory that is more than under load with the broker: a reader holds 512 messages of each source and partition, that
# is 12288 of three sources, of less than 1 kB; a relay a page of 1000, as rows and on their way. Twice that, for what the
# allocator cannot give back. It does not depend on CMESH_AWAY_S: what is behind grows by 500 kB a second.
GROWTH_KB = 32 << 10


def drained(cluster):
    return all(cluster[s].metric("mesh_outbox_backlog") == 0 and cluster[s].metric("mesh_consumer_lag") == 0 for s in SERVICES)


def test_orders_go_on_while_the_broker_is_away_and_the_backlog_drains(cluster, store):
    products = [store.register(stock=STOCK) for _ in range(4)]
    with Load(store, products) as load:
        load.wait_for_more(400)  # it has what it needs under load
        for service in SERVICES:
            memory.forget_peak(cluster[service])
        before = {s: memory.now_kb(cluster[s]) for s in SERVICES}
        servers.stop_nats()
        try:
            end = time.monotonic() + AWAY_S
            while time.monotonic() < end:
                load.wait_for_more(10)
            eventually(lambda: cluster["order"].metric("mesh_outbox_backlog") > 0, 10, "events wait")
        finally:
            servers.start_nats()
    eventually(lambda: drained(cluster), 60 + AWAY_S, "the backlog is drained")
    grown = {s: memory.peak_kb(cluster[s]) - before[s] for s in SERVICES}
    print(f"{load.placed} orders, kB more at most: {grown}")
    wait_until_right(cluster, store, products, STOCK, load.result(), 60)
    assert cluster.sanitized() or max(grown.values()) < GROWTH_KB, grown
