# SPDX-License-Identifier: Apache-2.0
"""Prints what bench/run has measured."""
# What a busy system may answer; anything else is a fault.
EXPECTED = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


def print_table(title, head, rows):
    """The first column to the left, the others to the right."""
    rows = [[("-" if cell is None else str(cell)) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    print(f"\n{title}")
    for row in rows:
        print("  " + row[0].ljust(widths[0]) + "".join("  " + cell.rjust(width)
                                                       for cell, width in zip(row[1:], widths[1:])))


def load_row(load):
    return [round(load["per_second"]), load["p50_ms"], load["p95_ms"], load["p99_ms"], load["pending"],
            sum(load["failed"].values())]


LOAD_HEAD = ["per s", "p50 ms", "p95 ms", "p99 ms", "pending", "failed"]


def loads(result):
    """Every measurement with calls, by what it is called."""
    for kind in ("orders", "hot", "echo"):
        for clients, load in result[kind].items():
            yield f"{kind}, {clients} clients", load
    for name, load in result["events"].items():
        yield f"events, {name}", load
    if "outage" in result:
        yield "orders, the broker away", result["outage"]["away"]
        yield "orders, the broker back", result["outage"]["busy"]


def print_failures(result):
    for name, load in loads(result):
        for code, n in load["failed"].items():
            print(f"  {name}: {n} x {code}" + ("" if code in EXPECTED else "   UNEXPECTED: a fault, not load"))
        if load.get("not_shown"):
            print(f"  {name}: {load['not_shown']} orders did not show within 30 s   UNEXPECTED")
        if "drained_after_s" in load and load["drained_after_s"] is None:
            print(f"  {name}: events had not drained a minute later")


def ratio(a, b):
    return round(a["per_second"] / b["per_second"], 3) if b["per_second"] else 0


def print_orders(result):
    print_table("Ceiling: the raw Postgres work of an order, orders per second",
                ["connections", "3 transactions", "4 transactions", "5 transactions (as PlaceOrder)"],
                [[n, *(round(c[t]["per_second"]) for t in (3, 4, 5))] for n, c in result["ceiling"].items()])
    print_table("Orders, complete, through gRPC, distinct articles", ["clients", *LOAD_HEAD, "drained after s"],
                [[n, *load_row(o), o["drained_after_s"]] for n, o in result["orders"].items()])
    print_table("The same of one article; beside it the raw update of its row, one by one",
                ["clients", *LOAD_HEAD, "drained after s", "of distinct", "raw row per s"],
                [[n, *load_row(o), o["drained_after_s"], ratio(o, result["orders"][n]),
                  round(result["hot_row"][n]["per_second"])] for n, o in result["hot"].items()])
    names = list(next(iter(result["orders"].values()))["cpu_us_per_order"])
    print_table("CPU per order, events included, in us", ["clients", *names, "all"],
                [[n, *(round(cpu) for cpu in o["cpu_us_per_order"].values()), round(sum(o["cpu_us_per_order"].values()))]
                 for n, o in result["orders"].items()])


def print_events(result):
    rows = []
    for name, e in result["events"].items():
        begin, answer = e["shown_after_begin"], e["shown_after_answer"]
        rows.append([name, e["rate"], round(e["per_second"]), e["shown"], e["not_shown"], begin["p50_ms"], begin["p99_ms"],
                     answer["p50_ms"], answer["p99_ms"]])
    print_table("Events: from the begin of the transaction that placed the order (before the commit), and from PlaceOrder's\n"
                "answer (after it), until WatchDashboards shows it",
                ["load", "wanted per s", "per s", "shown", "not shown", "begin p50 ms", "p99 ms", "answer p50 ms", "p99 ms"], rows)


def print_processes(result):
    print_table("Processes", ["service", "exec to SERVING ms", "idle MB", "after the run MB"],
                [[s, ms, result["memory_idle_mb"].get(s), result["memory_after_mb"].get(s)]
                 for s, ms in result["exec_to_serving_ms"].items()])
    print_table("Echo: a call without a database", ["clients", *LOAD_HEAD, "server's CPU per call us"],
                [[n, *load_row(e), e["cpu_us_per_call"]] for n, e in result["echo"].items()])


def share(part, whole):
    return round(part / whole, 3) if whole else 0


def print_handling(result):
    h = result["handling"]
    print_table(f"Handling an event: the raw work for Postgres, {h['batch']} of the cheapest effects a transaction,\n"
                f"in turns of {h['turn_ms']} ms",
                ["what", "events per s", "of the one above it"],
                [["cursor and effects alone", h["bare"], None],
                 ["and the inbox, as always", h["inbox"], share(h["inbox"], h["bare"])],
                 ["and while other keys are parked", h["parked"], share(h["parked"], h["inbox"])],
                 ["as always, with a purge in each turn", h["purge"], f"{share(h['purge'], h['inbox'])} of as always"]])
    print(f"  {h['purges']} purges, which took {purge_ms(h)} ms of handling each" +
          (f"; {h['refused']} found a lock in their way" if h["refused"] else ""))


def purge_ms(handling):
    return round(handling["turn_ms"] * (1 - share(handling["purge"], handling["inbox"])))


def print_failures_of_others(result):
    t = result["takeover"]
    print(f"\nTakeover: an owner of partitions hangs until another one works for it: {t['s']} s "
          f"(middle of {', '.join(map(str, t['each_s']))})")
    if "outage" in result:
        print_outage(result["outage"])


def print_outage(o):
    print_table(f"The broker away for {o['away_s']} s, {o['clients']} clients; then back, under the same load for "
                f"{o['busy_s']} s",
                ["orders", *LOAD_HEAD], [["while away", *load_row(o["away"])], ["while it drains", *load_row(o["busy"])]])
    print(f"  {o['events']} events were handled in {o['empty_after_s']} s, {o['events_per_second']} per second" +
          ("" if o["drained"] else "   NOT ALL OF THEM: a fault"))
    names = list(o["memory_mb"])
    print_table("Memory meanwhile, in MB", ["service", *names],
                [[s, *(o["memory_mb"][n][s] for n in names)] for s in o["memory_mb"]["before"]])


def aims(result):
    of = ratio(result["orders"][32], result["ceiling"][32][4])
    hot = min(ratio(hot, result["orders"][n]) for n, hot in result["hot"].items())
    echo = result["echo"][32]["cpu_us_per_call"]
    event = result["events"]["low"]["shown_after_begin"]["p50_ms"]
    idle = max(result["memory_idle_mb"].values())
    serving = max(ms for s, ms in result["exec_to_serving_ms"].items() if s != "all at once")
    rows = [("orders at 32 clients / ceiling of 4 transactions", ">= 0.25", of, of >= 0.25),
            ("one article / distinct articles, the worse", ">= 0.8", hot, hot >= 0.8),
            ("echo at 32 clients, server's CPU per call", "<= 25 us", echo, echo <= 25),
            ("event shown, low load, p50 after begin", "<= 10 ms", event, event <= 10),
            ("idle memory, largest service", "<= 20 MB", idle, idle <= 20),
            ("exec to SERVING, slowest service alone", "<= 100 ms", serving, serving <= 100),
            ("takeover from an owner that hangs", "<= 5 s", result["takeover"]["s"], result["takeover"]["s"] <= 5)]
    return [{"what": what, "aim": aim, "measured": measured, "met": met} for what, aim, measured, met in rows]


def print_tables(result):
    print(f"{result['cpus']} CPUs, load average {result['load_average_before']:.1f} before and "
          f"{result['load_average_after']:.1f} after; {result['seconds_each']} s each")
    if result["load_average_before"] > result["cpus"] / 2:
        print("The machine had other work before the run: figures that were taken beside it are too poor to compare.")
    print_orders(result)
    print_events(result)
    print_processes(result)
    print_handling(result)
    print_failures_of_others(result)
    print_failures(result)
    print_table("Aims", ["what", "aim", "measured", ""],
                [[a["what"], a["aim"], a["measured"], "met" if a["met"] else "missed"] for a in result["aims"]])
