# SPDX-License-Identifier: Apache-2.0
"""The figures of bench/run; started by it, beside a Postgres and a nats-server of their own."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))
from cluster import SERVICES, Cluster, eventually  # noqa: E402

SECONDS = int(os.environ.get("SECONDS_EACH", "5"))
BUILD = pathlib.Path(os.environ["CMESH_BUILD"])


def memory_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serving_ms(process):
    """From exec to /readyz answering 200, which is when health says SERVING."""
    start = time.monotonic()
    process.start(wait=False)
    while process.http("/readyz")[0] != 200:
        if process.popen.poll() is not None:
            sys.exit(f"{process.service} ended:\n{process.tail()}")
        time.sleep(0.001)
    return (time.monotonic() - start) * 1000


def ceiling(clients):
    return float(subprocess.run([BUILD / "bench/bench-ceiling", os.environ["TEST_DATABASE_URL"], str(clients),
                                 str(SECONDS)], check=True, capture_output=True, text=True).stdout)


def orders(cluster, clients):
    before = {s: cpu_seconds(cluster[s].popen.pid) for s in SERVICES}
    out = subprocess.run([BUILD / "bench/bench-orders", f"127.0.0.1:{cluster['product'].grpc_port}",
                          f"127.0.0.1:{cluster['order'].grpc_port}", str(clients), str(SECONDS), str(clients)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    result = json.loads(out)
    result["cpu_us_per_order"] = {
        s: round((cpu_seconds(cluster[s].popen.pid) - before[s]) * 1e6 / max(1, result["placed"])) for s in SERVICES}
    return result


def main():
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(folder)
        result["exec_to_serving_ms"] = {s: round(serving_ms(cluster[s])) for s in SERVICES}
        for s in SERVICES:
            eventually(cluster[s].connected, 10, f"{s} connected to the broker")
        result["idle_memory_mb"] = {s: round(memory_mb(cluster[s].popen.pid), 1) for s in SERVICES}
        result["ceiling_orders_per_second"] = {n: ceiling(n) for n in (8, 32)}
        result["orders"] = {n: orders(cluster, n) for n in (1, 8, 32)}
        result["ratio_at_32"] = round(result["orders"][32]["orders_per_second"]
                                      / result["ceiling_orders_per_second"][32], 3)
        cluster.stop()
    (ROOT / "bench/result.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"{'service':<16}{'exec to SERVING':>17}{'idle memory':>13}{'CPU per order':>15}")
    for s in SERVICES:
        print(f"{s:<16}{result['exec_to_serving_ms'][s]:>14} ms{result['idle_memory_mb'][s]:>10} MB"
              f"{result['orders'][32]['cpu_us_per_order'][s]:>12} us")
    print(f"\n{'clients':<9}{'orders/s':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'pending':>9}{'failed':>8}{'ceiling':>9}")
    for n, o in result["orders"].items():
        print(f"{n:<9}{o['orders_per_second']:>9}{o['p50_ms']:>9}{o['p95_ms']:>9}{o['p99_ms']:>9}{o['pending']:>9}"
              f"{o['failed']:>8}{result['ceiling_orders_per_second'].get(n, 0):>9.0f}")
    print(f"\norders at 32 clients / ceiling at 32 connections: {result['ratio_at_32']}")


main()
