# SPDX-License-Identifier: Apache-2.0
"""Everything is killed once under load, and afterwards the books are right (kill -9, so that nothing can say goodbye).

The seed is printed; CMESH_KILL_SEED=N runs the same order of victims again.
"""
import os
import random
import time

from books import books_are_right
from cluster import SERVICES, eventually
from load import Load
from servers import restart_nats, restart_postgres

ORDERS = int(os.environ.get("CMESH_KILL_ORDERS", "300"))
STOCK = 1000000
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
