# SPDX-License-Identifier: Apache-2.0
"""The memory of every service is flat under load. Not for a build with sanitizers. CMESH_FLAT_S=N: for so many seconds."""
import os
import statistics
import time

import memory
from books import wait_until_right
from cluster import SERVICES
from load import Load

FLAT_S = int(os.environ.get("CMESH_FLAT_S", "600"))
STOCK = 10000000
EARLY, LATE = (0.3, 0.5), (0.8, 1.0)  # of that time
GROWTH_KB = 2 << 10  # from one to the other: in ten minutes less than 30 bytes for an order


def test_the_memory_of_every_service_is_flat_under_load(cluster, store):
    assert not cluster.sanitized()
    products = [store.register(stock=STOCK) for _ in range(4)]
    samples = []
    with Load(store, products) as load:
        begun = time.monotonic()
        while (at := (time.monotonic() - begun) / FLAT_S) < 1:
            samples.append((at, {s: memory.now_kb(cluster[s]) for s in SERVICES}))
            load.wait_for_more(20)
    wait_until_right(cluster, store, products, STOCK, load.result(), 60)

    def mean_kb(service, first, last):
        return statistics.mean(kb[service] for at, kb in samples if first <= at < last)

    means = {s: (mean_kb(s, *EARLY), mean_kb(s, *LATE)) for s in SERVICES}
    print(f"{load.placed} orders, kB early and late: {means}")
    assert all(late - early < GROWTH_KB for early, late in means.values()), means
