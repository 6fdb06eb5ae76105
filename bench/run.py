# SPDX-License-Identifier: Apache-2.0
"""What bench/run measures; started by it, beside a Postgres and a nats-server of their own."""
import functools
import json
import os
import pathlib
import random
import socket
import statistics
import sys
import tempfile
import time

import programs
from programs import drain, make_raw_database
from table import aims, print_tables

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))
import failures  # noqa: E402
from cluster import SERVICES, Cluster, Process, eventually  # noqa: E402
from processes import Cpu  # noqa: E402

SECONDS = int(os.environ["SECONDS_EACH"])
AWAY_S = int(os.environ.get("AWAY_S", "0"))
ARTICLES = 256  # as in ceiling.c
CLIENTS = (1, 8, 32, 64)
CEILING_CLIENTS = (8, 32)
HOT_CLIENTS = (32, 64)
ECHO_CLIENTS = (1, 8, 32)
OUTAGE_CLIENTS = 32
SHARES = 8  # of a consumer, in handling.c
LOW_RATE = 20  # per second: an order is long done when the next one comes
STARTS = 3
# Shorter than the run, so that removing old events is a part of what is measured.
RETENTION = {"MESH_OUTBOX_KEEP_S": "30", "MESH_STREAM_MAX_AGE_S": "120", "MESH_INBOX_KEEP_S": "150"}


def listening_port():
    """Free, and not one of those that the kernel gives to clients, of which there are many here."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Bench(Cluster):
    """The services as in production, without the settings that the tests like; but with a short retention."""

    free_port = staticmethod(listening_port)

    def __init__(self, folder):
        super().__init__(folder)
        self.processes["echo"] = [Process(self, "echo", 0)]

    def env(self, service):
        env = super().env(service)
        for name in ("MESH_LOG_LEVEL", "MESH_LOG_FORMAT"):
            del env[name]
        return env if service == "echo" else {**env, **RETENTION}

    def binary(self, service):
        return self.build / "bench/bench-echo" if service == "echo" else super().binary(service)

    def stop(self):
        self["echo"].stop()
        super().stop()


program = functools.partial(programs.program, seconds=SECONDS)


# ---- start and memory --------------------------------------------------------------------------
def serving_ms(processes):
    """From just before exec to /readyz answering 200, which is when health says SERVING: for each, and for the last."""
    start = time.monotonic()
    left = dict(enumerate(processes))
    for process in processes:
        process.start(wait=False)
    times = {}
    while left:
        for number, process in list(left.items()):
            if process.http("/readyz")[0] == 200:
                times[process.service] = (time.monotonic() - start) * 1000
                del left[number]
            elif process.popen.poll() is not None:
                raise RuntimeError(f"{process.service} has ended:\n{process.tail()}")
        time.sleep(0.001)  # looking must not keep them from it
    return times, max(times.values())


def start_times(cluster):
    """The middle one of some starts: of each service alone, and of all at once. All are left running."""
    alone = {s: [] for s in SERVICES}
    for _ in range(STARTS):
        for service in SERVICES:
            alone[service].append(serving_ms([cluster[service]])[1])
            cluster[service].stop()
    together = []
    for number in range(STARTS):
        together.append(serving_ms([cluster[s] for s in SERVICES])[1])
        if number < STARTS - 1:
            cluster.stop()
    times = {s: statistics.median(times) for s, times in alone.items()}
    return {s: round(t) for s, t in {**times, "all at once": statistics.median(together)}.items()}


def memory(cluster):
    """Once it no longer changes."""
    looks = [None]

    def at_rest():
        looks.append(failures.memory_mb(cluster))
        time.sleep(0.5)
        return looks[-1] == looks[-2]

    eventually(at_rest, 20, "the memory of the services at rest")
    return looks[-1]


# ---- orders --------------------------------------------------------------------------------------
def orders(cluster, clients, articles):
    """CPU counts until everything has drained: an order's events are a part of it."""
    cpu = Cpu({s: cluster[s].popen.pid for s in SERVICES})
    result = program("bench-load", "orders", cluster.address("order"), clients, SECONDS, articles)
    result["drained_after_s"] = drain(cluster)
    result["cpu_us_per_order"] = cpu.us_per(result["complete"])
    result["cpu_us_per_order"]["load generator"] = round(result["load_cpu_us"] / max(1, result["complete"]))
    return result


def events(cluster, clients, rate):
    result = program("bench-load", "events", cluster.address("order"), cluster.address("customercenter"), clients,
                     SECONDS, ARTICLES, rate)
    result["rate"] = rate
    drain(cluster)
    return result


# ---- echo ------------------------------------------------------------------------------------------
def echoes(cluster):
    cluster["echo"].start()
    results = {}
    for clients in ECHO_CLIENTS:
        cpu = Cpu({"echo": cluster["echo"].popen.pid}, servers=False)
        results[clients] = program("bench-load", "echo", cluster.address("echo"), clients, SECONDS)
        results[clients]["cpu_us_per_call"] = cpu.us_per(results[clients]["complete"])["echo"]
    return results


def measure(cluster):
    result = {"seconds_each": SECONDS, "cpus": os.cpu_count(), "load_average_before": os.getloadavg()[0]}
    result["exec_to_serving_ms"] = start_times(cluster)
    result["memory_idle_mb"] = memory(cluster)
    raw_url = make_raw_database()
    program("bench-load", "register", cluster.address("product"), ARTICLES)
    program("bench-load", "orders", cluster.address("order"), 64, 1, ARTICLES)  # opens connections, prepares statements
    drain(cluster)
    result.update(ceiling={}, orders={}, hot={}, hot_row={})
    for clients in CLIENTS:  # what is compared stands side by side
        if clients in CEILING_CLIENTS:
            result["ceiling"][clients] = {n: program("bench-ceiling", raw_url, n, clients, SECONDS)
                                          for n in (3, 4, 5)}
        result["orders"][clients] = orders(cluster, clients, ARTICLES)
        if clients in HOT_CLIENTS:
            result["hot"][clients] = orders(cluster, clients, 1)
            result["hot_row"][clients] = program("bench-ceiling", raw_url, "hot", clients, SECONDS)
    peak = max(o["per_second"] for o in result["orders"].values())
    result["events"] = {"low": events(cluster, 1, LOW_RATE), "half of the peak": events(cluster, 32, max(1, round(peak / 2)))}
    result["memory_after_mb"] = memory(cluster)
    result["handling"] = program("bench-handling", raw_url, SHARES, SECONDS)
    result["takeover"] = failures.takeover(cluster, ARTICLES)
    if AWAY_S > 0:
        result["outage"] = failures.outage(cluster, AWAY_S, SECONDS, OUTAGE_CLIENTS, ARTICLES)
    result["echo"] = echoes(cluster)
    result["load_average_after"] = os.getloadavg()[0]
    return result


def main():
    with tempfile.TemporaryDirectory() as folder:
        cluster = Bench(folder)
        try:
            result = measure(cluster)
        finally:
            cluster.stop()
    result["aims"] = aims(result)
    (ROOT / "bench/result.json").write_text(json.dumps(result, indent=2) + "\n")
    print_tables(result)


if __name__ == "__main__":
    main()
