# SPDX-License-Identifier: Apache-2.0
"""Everything is killed once under load, and afterwards the books are right (kill -9, so that nothing can say goodbye).

Victims and moments come from the seed in the test's name. CMESH_KILL_SEEDS="N ..." runs others, CMESH_KILL_ORDERS=N
places more orders.
"""
import os
import random
import time

import pytest

from books import wait_until_right
from cluster import SERVICES
from load import Load
from servers import restart_nats, restart_postgres

SEEDS = os.environ.get("CMESH_KILL_SEEDS", "1 2 3").split()
ORDERS = int(os.environ.get("CMESH_KILL_ORDERS", "200"))
STOCK = 1000000
SETTLED = 60  # seconds
ARTICLES = 4


def restart(cluster, victim, pause):
    if victim == "postgres":
        restart_postgres(pause)
    elif victim == "nats":
        restart_nats(pause)
    else:
        cluster[victim].kill()
        time.sleep(pause)
        cluster[victim].start()


@pytest.mark.parametrize("seed", SEEDS)
def test_FS_N_2_CP_23_PX_2_PX_11_kill_9_of_everything_leaves_the_books_right(cluster, store, seed):
    rng = random.Random(int(seed))
    victims = [*SERVICES, "postgres", "nats"]
    rng.shuffle(victims)
    products = [store.register(stock=STOCK) for _ in range(ARTICLES)]

    with Load(store, products) as load:
        for victim in victims:
            load.wait_for_more(rng.randrange(ORDERS // 8))
            print(f"{load.placed} orders: kill {victim}")
            restart(cluster, victim, rng.uniform(0, 0.5))
        load.wait_for_more(max(1, ORDERS - load.placed))
    wait_until_right(cluster, store, products, STOCK, load.result(), SETTLED)
