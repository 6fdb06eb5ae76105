# SPDX-License-Identifier: Apache-2.0
"""Everything is killed once under load, and afterwards the books are right (kill -9, so that nothing can say goodbye).

The seed is printed; CMESH_KILL_SEED=N runs the same order of victims again.
"""
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import time

from books import books_are_right
from cluster import SERVICES, eventually
from load import Load

ORDERS = int(os.environ.get("CMESH_KILL_ORDERS", "300"))
STOCK = 1000000
ARTICLES = 4


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
