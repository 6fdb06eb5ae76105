# SPDX-License-Identifier: Apache-2.0
"""What bench/policy measures; started by it, beside a Postgres and a nats-server of their own."""
import json
import os
import pathlib
import tempfile

import governed
from governed import DESTINATION_OFF, ROUTE_OFF, Echoes
from programs import drain
from run import ARTICLES, SECONDS, Bench, program
from table import print_table

from policy import LOCAL, change  # of the tests  # noqa: E402  (run makes them known)

OVERLOAD_S = int(os.environ["OVERLOAD_S"])
COST_CLIENTS = (1, 8, 32)
ORDER_CLIENTS = 32
ORDER_ROUNDS = 4
AFTER_S = 10
STORE_OFF = {"schema": "mesh-policy/v1", "mode": "library",
             "defaults": {"route": ROUTE_OFF, "destination": DESTINATION_OFF}}


def orders(folder):
    """Orders per second with the store's policy and with everything off, in turns; the policy is changed while it runs."""
    cluster = Bench(folder)
    try:
        cluster.start()
        program("bench-load", "register", cluster.address("product"), ARTICLES)
        program("bench-load", "orders", cluster.address("order"), ORDER_CLIENTS, 1, ARTICLES)
        found = {"on": [], "off": []}
        now = "on"
        for number in range(ORDER_ROUNDS):
            for name in ("on", "off") if number % 2 else ("off", "on"):
                if name != now:
                    change(cluster, LOCAL if name == "on" else STORE_OFF)
                    now = name
                drain(cluster)
                found[name].append(program("bench-load", "orders", cluster.address("order"), ORDER_CLIENTS, SECONDS,
                                           ARTICLES))
        drain(cluster)
    finally:
        cluster.stop()
    rates = {name: round(sum(r["per_second"] for r in results) / ORDER_ROUNDS, 1) for name, results in found.items()}
    return {**found, "per_second": rates, "lost": round(1 - rates["on"] / rates["off"], 4)}


def measure(folder):
    result = {"seconds_each": SECONDS, "cpus": os.cpu_count(), "load_average_before": os.getloadavg()[0]}
    echoes = Echoes(folder)
    with echoes.running({}) as target:
        result["cost"] = {n: governed.cost(echoes, target, n, 2 * SECONDS) for n in COST_CLIENTS}
    result["overload"] = governed.overload(echoes, SECONDS)
    result["aftermath"] = governed.aftermath(echoes, OVERLOAD_S, AFTER_S)
    result["one_slow"] = governed.one_slow(echoes, SECONDS)
    result["orders"] = orders(folder)
    result["load_average_after"] = os.getloadavg()[0]
    return result


# ---- what is printed -----------------------------------------------------------------------------
def failed(load):
    return ", ".join(f"{n} {code}" for code, n in load["failed"].items()) or "-"


def print_cost(cost):
    print_table("Echo, called by a service: everything on, and everything off, in turns;\n"
                "of CPU and allocations the least, of times the middle one",
                ["clients", "CPU us a call on", "off", "more", "p50 ms on", "off", "p99 ms on", "off", "allocations on", "off",
                 "more", "failed"],
                [[n, c["on"]["cpu_us_per_call"], c["off"]["cpu_us_per_call"], c["more_cpu_us_per_call"],
                  c["on"]["p50_ms"], c["off"]["p50_ms"], c["on"]["p99_ms"], c["off"]["p99_ms"],
                  c["on"]["allocations_per_call"], c["off"]["allocations_per_call"], c["more_allocations_per_call"],
                  c["on"]["failed"] + c["off"]["failed"]] for n, c in cost.items()])


def print_overload(o, a):
    print_table(f"More calls than a peer can bear: {o['capacity']} per second are its capacity",
                ["times", "good per s", "p50 ms", "p99 ms", "failed"],
                [[n, p["goodput"], p["p50_ms"], p["p99_ms"], failed(p)] for n, p in o["loads"].items()])
    phases = [("before", a["before"]), ("four times the capacity", a["during"]),
              *((f"second {i} after", p) for i, p in enumerate(a["after"], 1))]
    print_table("Half of the capacity, far too much, and half again; all that can be tried again is",
                ["when", "s", "good per s", "p50 ms", "p99 ms", "failed"],
                [[when, p["seconds"], governed.goodput(p), p["p50_ms"], p["p99_ms"], failed(p)] for when, p in phases])
    e = a["extra"]
    print(f"  {e['attempts']} attempts, {e['retries_and_hedges']} of them retries; the budget allows {e['allowed']}")


def print_slow(s):
    print_table(f"Three replicas at half of their capacity, least request and hedging; one slower by {governed.SLOWER_MS} ms",
                ["", "good per s", "p50 ms", "p99 ms", "hedged", "hedges won", "failed"],
                [[name, governed.goodput(s[name]), s[name]["p50_ms"], s[name]["p99_ms"], s[name]["hedged_share"],
                  s[name]["hedges_won"], failed(s[name])] for name in ("healthy", "one slow")])
    print(f"  the middle one of some turns; their p99 / healthy: {', '.join(map(str, s['each']))}")


def print_orders(o):
    print_table(f"Orders, {ORDER_CLIENTS} clients, in turns",
                ["policy", "per s", *(f"turn {i + 1}" for i in range(ORDER_ROUNDS))],
                [[name, o["per_second"][name], *(round(r["per_second"]) for r in o[name])] for name in ("on", "off")])


def aims(result):
    cost, after, extras = result["cost"], result["aftermath"]["normal_after_s"], result["aftermath"]["extra"]
    cpu = max(c["more_cpu_us_per_call"] for c in cost.values())
    allocations = max(c["more_allocations_per_call"] for c in cost.values())
    rows = [("CPU more per call, the worst", "<= 3 us", cpu, cpu <= 3),
            ("allocations more per call, the worst", "0, to a tenth", allocations, allocations <= 0.1),
            ("good answers at four times the capacity / most", ">= 0.9", result["overload"]["share"],
             result["overload"]["share"] >= 0.9),
            ("normal again after an overload", "<= 5 s", after, after is not None and after <= 5),
            ("retries and hedges", f"<= {extras['allowed']}", extras["retries_and_hedges"],
             extras["retries_and_hedges"] <= extras["allowed"]),
            ("p99 with one slow replica / healthy", "<= 1.3", result["one_slow"]["p99_times"],
             result["one_slow"]["p99_times"] <= 1.3),
            ("orders lost by the policy", "<= 0.03", result["orders"]["lost"], result["orders"]["lost"] <= 0.03)]
    return [{"what": what, "aim": aim, "measured": measured, "met": met} for what, aim, measured, met in rows]


def print_tables(result):
    print(f"{result['cpus']} CPUs, load average {result['load_average_before']:.1f} before and "
          f"{result['load_average_after']:.1f} after; {result['seconds_each']} s each")
    print_cost(result["cost"])
    print_overload(result["overload"], result["aftermath"])
    print_slow(result["one_slow"])
    print_orders(result["orders"])
    print_table("Aims", ["what", "aim", "measured", ""],
                [[a["what"], a["aim"], a["measured"], "met" if a["met"] else "missed"] for a in result["aims"]])


def main():
    with tempfile.TemporaryDirectory() as folder:
        result = measure(folder)
    result["aims"] = aims(result)
    (pathlib.Path(__file__).parent / "policy_result.json").write_text(json.dumps(result, indent=2) + "\n")
    print_tables(result)


if __name__ == "__main__":
    main()
