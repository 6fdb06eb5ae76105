# SPDX-License-Identifier: Apache-2.0
"""The echo service, called by a service under a policy: what that costs, and what it is worth."""
import contextlib
import copy
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/system"))
from cluster import Process, free_port  # noqa: E402

SERVICE_MS = 20  # of a call, on its worker
WORKERS = 4
CAPACITY = WORKERS * 1000 // SERVICE_MS  # calls per second of one peer
SLOWER_MS = 200
OPEN_CLIENTS = 256  # more than are ever under way: what is due is called at once
WINDOW_S, WINDOW_PERCENT, WINDOW_MORE = 10, 20, 100  # the budget's rate: docs/policy.md
COST_FIGURES = {"cpu_us_per_call": min, "allocations_per_call": min, "p50_ms": statistics.median,
                "p99_ms": statistics.median, "per_second": statistics.median}
NORMAL_SHARE, NORMAL_TIMES = 0.95, 2  # of the calls, of the p99: what counts as normal again


# ---- policies ------------------------------------------------------------------------------------
def policy(route=None, destination=None):
    rule = {"service": "echo", "grpcService": "echo.v1.EchoService", "methods": ["Echo"], **(route or {})}
    return {"schema": "mesh-policy/v1", "mode": "library", "routes": {"echo": rule},
            "defaults": {"destination": destination or {}}}


NO_BREAKER = {"circuitBreaker": {"consecutiveFailures": 0, "failureRatePercent": 0, "slowCallRatePercent": 0}}
ROUTE_OFF = {"timeout": "0s", "retries": {"attempts": 0}}
DESTINATION_OFF = {"loadBalancer": "ROUND_ROBIN", "workerLimit": 1024, **NO_BREAKER,
                   "connectionPool": {"http": {"http2MaxRequests": 1000000, "http1MaxPendingRequests": 1000000}},
                   "outlierDetection": {"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 0}}
OFF = policy(ROUTE_OFF, DESTINATION_OFF)
ON = policy({"timeout": "2s", "retries": {"attempts": 2, "perTryTimeout": "600ms"},
             "hedging": {"delay": "1s", "maxAttempts": 2}},
            {"loadBalancer": "LEAST_REQUEST", "workerLimit": 256,
             "circuitBreaker": {"slowCallRatePercent": 50, "slowCallDuration": "1s"}})
SHORT = policy({"timeout": "250ms"})
# All that a peer with too much to do says is tried again: the worst for it.
GREEDY = policy({"timeout": "250ms", "retries": {"attempts": 2, "retryOn": [
    "connect-failure", "refused-stream", "reset", "unavailable", "resource-exhausted"]}})
HEDGED = policy({"timeout": "2s", "hedging": {"delay": f"{2 * SERVICE_MS}ms"}})


def without_breaker(value):
    value = copy.deepcopy(value)
    value["defaults"]["destination"].update(NO_BREAKER)
    return value


# ---- peers and calls -----------------------------------------------------------------------------
class Echoes:
    """Echo services: they need neither database nor broker."""

    free_port = staticmethod(free_port)

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []

    def binary(self, service):
        return pathlib.Path(os.environ["CMESH_BUILD"]) / f"bench/bench-{service}"

    def env(self, _):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "ECHO_", "CALLER_"))}
        return {**env, "MESH_LAME_DUCK_MS": "0"}

    @contextlib.contextmanager
    def running(self, *settings):
        """One with each of these settings; all together are what a client calls."""
        started = []
        try:
            for values in settings:
                process = Process(self, "echo", len(self.processes))
                process.settings = {name: str(value) for name, value in values.items()}
                self.processes.append(process)
                process.start()
                started.append(process)
            yield ",".join(f"127.0.0.1:{p.grpc_port}" for p in started)
        finally:
            for process in started:
                process.stop()

    def limited(self, *more_ms):
        """Peers of CAPACITY each; so much slower than the others."""
        return self.running(*({"MESH_WORKERS": WORKERS, "ECHO_DELAY_MS": SERVICE_MS + ms} for ms in more_ms))

    def call(self, target, value, *phases):
        """What became of the phases, each (clients, rate, seconds), called by a service with that policy."""
        file = self.folder / "policy.json"
        file.write_text(json.dumps(value))
        said = " ".join(str(number) for phase in phases for number in phase)
        print("bench-caller", said, file=sys.stderr)  # how far it is
        env = {**self.env("caller"), "MESH_PEER_ECHO": target, "MESH_POLICY_FILE": str(file), "CALLER_PHASES": said,
               "MESH_WORKERS": str(2 * OPEN_CLIENTS), "MESH_LOG_LEVEL": "error",
               **{f"MESH_{kind}_LISTEN": f"127.0.0.1:{self.free_port()}" for kind in ("GRPC", "HTTP")}}
        out = subprocess.run([self.binary("caller"), "serve"], env=env, check=True, stdout=subprocess.PIPE, text=True,
                             timeout=sum(phase[2] for phase in phases) + 180).stdout
        return json.loads(out)


def n_calls(phase):
    return phase["complete"] + phase["pending"] + sum(phase["failed"].values())


def goodput(phase):
    return round(phase["complete"] / phase["seconds"], 1)


# ---- what it costs -------------------------------------------------------------------------------
def cost(echoes, target, clients, rounds):
    """Everything on and everything off, in turns of a second: the middle one of each figure; of CPU and allocations the
    least, as whatever disturbs can only add to it."""
    found = {"on": [], "off": []}
    for number in range(rounds):
        for name in ("on", "off") if number % 2 else ("off", "on"):
            phase, = echoes.call(target, ON if name == "on" else OFF, (clients, 0, 1))
            for figure, total in (("cpu_us_per_call", "load_cpu_us"), ("allocations_per_call", "allocations")):
                phase[figure] = phase[total] / max(1, phase["complete"])
            found[name].append(phase)
    result = {name: {figure: round(choose(p[figure] for p in phases), 2) for figure, choose in COST_FIGURES.items()}
              for name, phases in found.items()}
    for name, phases in found.items():
        result[name]["failed"] = sum(sum(p["failed"].values()) for p in phases)
    for figure in ("cpu_us_per_call", "allocations_per_call"):
        result[f"more_{figure}"] = round(result["on"][figure] - result["off"][figure], 2)
    return result


# ---- overload ------------------------------------------------------------------------------------
def overload(echoes, seconds):
    """Good answers per second at one, two and four times what the peer can do."""
    with echoes.limited(0) as target:
        phases = echoes.call(target, SHORT, (OPEN_CLIENTS, CAPACITY // 2, 1),
                             *((OPEN_CLIENTS, times * CAPACITY, seconds) for times in (1, 2, 4)))[1:]
    return {"capacity": CAPACITY, "loads": {p["rate"] // CAPACITY: {**p, "goodput": goodput(p)} for p in phases},
            "share": round(goodput(phases[2]) / max(1, *map(goodput, phases)), 3)}


def is_normal(phase, before):
    return (phase["complete"] >= NORMAL_SHARE * n_calls(phase) > 0 and
            phase["p99_ms"] <= NORMAL_TIMES * before["p99_ms"])


def aftermath(echoes, overload_s, after_s, value=GREEDY):
    """Half of the capacity, four times the capacity, and half again: after how many seconds three of them are as before."""
    rate = CAPACITY // 2
    with echoes.limited(0) as target:
        before, during, *after = echoes.call(target, value, (OPEN_CLIENTS, rate, 3), (OPEN_CLIENTS, 4 * CAPACITY, overload_s),
                                             *[(OPEN_CLIENTS, rate, 1)] * after_s)
    normal = [is_normal(phase, before) for phase in after]
    normal_after_s = next((i for i in range(len(normal) - 2) if all(normal[i:i + 3])), None)
    return {"before": before, "during": during, "after": after, "normal_after_s": normal_after_s,
            "extra": extra(after[-1], 3 + overload_s + after_s)}


def extra(phase, seconds):
    """Retries and hedges of a run that this phase has ended, and how many the budget allows at most."""
    so_far = phase["so_far"]
    n = so_far["retries"] + so_far["hedges"]
    first = so_far["attempts"] - n
    allowed = first * WINDOW_PERCENT // 100 + WINDOW_MORE * math.ceil(seconds / WINDOW_S)
    return {"attempts": so_far["attempts"], "retries_and_hedges": n, "allowed": allowed}


# ---- one that is slow ----------------------------------------------------------------------------
def with_last(echoes, last_ms, seconds, value):
    with echoes.limited(0, 0, last_ms) as target:
        begin, phase = echoes.call(target, value, *((OPEN_CLIENTS // 4, 3 * CAPACITY // 2, s) for s in (1, seconds)))
    hedges = {k: phase["so_far"][k] - begin["so_far"][k] for k in ("hedges", "hedges_won")}
    return {**phase, **hedges, "hedged_share": round(hedges["hedges"] / max(1, n_calls(phase)), 4)}


def one_slow(echoes, seconds, rounds=3, value=HEDGED):
    """Half of the load that three healthy replicas can bear: all healthy, and one of them slower; the middle one of some
    turns."""
    found = []
    for _ in range(rounds):
        healthy, slow = (with_last(echoes, ms, seconds, value) for ms in (0, SLOWER_MS))
        times = round(slow["p99_ms"] / healthy["p99_ms"], 2) if healthy["complete"] else 0
        found.append({"healthy": healthy, "one slow": slow, "p99_times": times})
    found.sort(key=lambda result: result["p99_times"])
    return {**found[len(found) // 2], "each": [result["p99_times"] for result in found]}
