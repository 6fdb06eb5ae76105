# SPDX-License-Identifier: Apache-2.0
"""A second reading of docs/policy.md, of what a policy comes to for each method; and policies by chance."""
from charts import METHODS, SERVICES

FIELDS = ("timeout", "retries.attempts", "retries.perTryTimeout", "retries.retryOn", "retries.backoff", "hedging.delay",
          "fault.delay.fixedDelay", "fault.delay.percentage.value", "fault.abort.grpcStatus", "fault.abort.percentage.value",
          "fault.header.exact")
STANDARD = {
    "timeout": 2000, "retries.attempts": 2, "retries.perTryTimeout": 0, "retries.backoff": 25, "hedging.delay": 0,
    "retries.retryOn": {"connect-failure", "refused-stream", "reset", "cancelled", "unavailable"},
    "fault.delay.fixedDelay": 0, "fault.delay.percentage.value": 100, "fault.abort.grpcStatus": None,
    "fault.abort.percentage.value": 100, "fault.header.exact": None}
DESTINATION = {
    "loadBalancer": "LEAST_REQUEST", "connectionPool.http.http2MaxRequests": 1024,
    "connectionPool.http.http1MaxPendingRequests": 1024, "outlierDetection.consecutive5xxErrors": 5,
    "outlierDetection.consecutiveGatewayErrors": 5, "outlierDetection.interval": 10000, "outlierDetection.baseEjectionTime": 30000,
    "outlierDetection.maxEjectionPercent": 50, "outlierDetection.minHealthPercent": 0, "retryBudget.percent": 20,
    "retryBudget.minRetryConcurrency": 3}
TYPES = {service: next(name for name in METHODS if name.startswith(f"fashion.{service}.")) for service in SERVICES}
UNITS = (("ms", 1), ("s", 1000), ("m", 60000), ("h", 3600000))


def ms(text):
    unit, scale = next((unit, scale) for unit, scale in UNITS if text.endswith(unit))
    return round(float(text.removesuffix(unit)) * scale)


def words(retry_on):
    """What it means: reset-before-request is another name of two."""
    both = {"connect-failure", "refused-stream"} if "reset-before-request" in retry_on else set()
    return set(retry_on) - {"reset-before-request"} | both


def value_at(tree, path):
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    if isinstance(tree, list):
        return words(tree)
    is_time = path.rsplit(".", 1)[-1] in ("timeout", "perTryTimeout", "backoff", "delay", "fixedDelay", "interval", "baseEjectionTime")
    return ms(tree) if is_time and isinstance(tree, str) else tree


def flat(tree, paths):
    return {path: value for path in paths if (value := value_at(tree, path)) is not None}


def destination(policy, service):
    return DESTINATION | flat(policy.get("defaults", {}).get("destination", {}), DESTINATION) | \
        flat(policy.get("destinations", {}).get(service, {}), DESTINATION)


def method(policy, service, name):
    """What calls of one method get."""
    routes = [route for route in policy.get("routes", {}).values() if route["service"] == service]
    named = next((route for route in routes if name in route.get("methods", [])), None)
    route = named or next((route for route in routes if "methods" not in route), {})
    own, facts = flat(route, FIELDS), METHODS[TYPES[service]][name]
    values = STANDARD | flat(policy["defaults"]["route"], FIELDS) | own
    streams, repeatable = facts["kind"] != "UNARY", facts["idempotency"] != "IDEMPOTENCY_UNKNOWN"
    meant = own if named else {}
    if streams and "timeout" not in meant:
        values["timeout"] = 0
    if not repeatable or (streams and "retries.perTryTimeout" not in meant):
        values["retries.perTryTimeout"] = 0
    if not repeatable:
        values["retries.attempts"] = 0
    if streams or facts["idempotency"] != "NO_SIDE_EFFECTS":
        values["hedging.delay"] = 0
    return values


def rest(policy, service):
    """What calls get of whose method nothing is known."""
    whole = next((route for route in policy.get("routes", {}).values() if route["service"] == service and "methods" not in route), {})
    return STANDARD | flat(policy["defaults"]["route"], FIELDS) | flat(whole, FIELDS) | {"retries.attempts": 0}


def fits(values):
    tries = values["retries.attempts"] + 1
    return not values["timeout"] or (tries * values["retries.perTryTimeout"] <= values["timeout"] > values["hedging.delay"])


def is_valid(policy):
    """Whether every time fits into the one around it, of rules that no service of the store is subject to, too."""
    defaults = STANDARD | flat(policy["defaults"]["route"], FIELDS)
    alone = [defaults | own for route in policy.get("routes", {}).values() if "retries.perTryTimeout" in (own := flat(route, FIELDS))]
    return all(map(fits, [defaults, *alone, *(method(policy, service, name) for service in SERVICES for name in METHODS[TYPES[service]])]))


# ---- by chance ------------------------------------------------------------------------------

def duration(chance, least, most):
    value = chance.choice([chance.randint(least, most), chance.randint(least, min(most, least + 2000))])
    forms = [f"{value}ms", f"{value // 1000}.{value % 1000:03d}s"]
    forms += [f"{value // scale}{unit}" for unit, scale in UNITS if value % scale == 0]
    return chance.choice(forms)


def some(chance, **parts):
    """Some of them; each is made only if it is taken."""
    return {name: make() for name, make in parts.items() if chance.random() < 0.4}


def retries(chance, mode):
    words = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"]
    if chance.random() < 0.2:
        return {"attempts": 0}
    value = some(chance, attempts=lambda: chance.randint(1, 4 if mode == "proxyless" else 10), backoff=lambda: duration(chance, 1, 10000))
    if chance.random() < 0.4:
        value["retryOn"] = [chance.choice(words)]
        value["retryOn"] += chance.sample([word for word in [*words, "connect-failure", "refused-stream", "reset", "reset-before-request"]
                                           if word not in value["retryOn"]], chance.randint(0, 5))
    if mode != "proxyless" and chance.random() < 0.4:
        value["perTryTimeout"] = duration(chance, 1, 2000)
    return value


def fault(chance):
    percentage = lambda: {"value": chance.choice([0, 100, 12.5, chance.randint(1, 99)])}
    value = some(chance, delay=lambda: {"fixedDelay": duration(chance, 1, 5000), **some(chance, percentage=percentage)},
                 abort=lambda: {"grpcStatus": chance.choice(["UNAVAILABLE", "INTERNAL", "ABORTED"]), **some(chance, percentage=percentage)},
                 header=lambda: {"exact": chance.choice(["a-1", "y", "12", "it's", '#:{', "a:b"])})
    return value


def route(chance, mode, service, names):
    kinds = METHODS[TYPES[service]]
    value = {"service": service, "grpcService": TYPES[service], **({"methods": names} if names else {})}
    value |= some(chance, timeout=lambda: chance.choice(["0s", duration(chance, 1, 20000), duration(chance, 500, 3600000)]),
                  retries=lambda: retries(chance, mode), fault=lambda: fault(chance))
    harmless = all(kinds[name] == {"idempotency": "NO_SIDE_EFFECTS", "kind": "UNARY"} for name in names or kinds)
    if mode == "library" and harmless and chance.random() < 0.3:
        value["hedging"] = {"delay": duration(chance, 1, 2000), **some(chance, maxAttempts=lambda: chance.randint(2, 5))}
    return value


def one_destination(chance, mode):
    pool = lambda: {"http": some(chance, http2MaxRequests=lambda: chance.randint(1, 1000000), http1MaxPendingRequests=lambda: chance.randint(1, 1000000))}
    value = some(chance, connectionPool=pool, workerLimit=lambda: chance.randint(0, 1024),
                 loadBalancer=lambda: chance.choice(["ROUND_ROBIN", "ROUND_ROBIN" if mode == "proxyless" else "LEAST_REQUEST"]),
                 circuitBreaker=lambda: some(chance, consecutiveFailures=lambda: chance.randint(0, 1000), window=lambda: duration(chance, 1000, 600000),
                                             openDuration=lambda: duration(chance, 10, 600000)))
    if mode != "proxyless":
        value |= some(chance, retryBudget=lambda: some(chance, percent=lambda: chance.randint(0, 100), minRetryConcurrency=lambda: chance.randint(0, 1000)),
                      outlierDetection=lambda: some(chance, consecutive5xxErrors=lambda: chance.randint(0, 1000), interval=lambda: duration(chance, 100, 3600000),
                                                    baseEjectionTime=lambda: duration(chance, 1, 3600000), maxEjectionPercent=lambda: chance.randint(0, 100),
                                                    consecutiveGatewayErrors=lambda: chance.randint(0, 1000), minHealthPercent=lambda: chance.randint(0, 100)))
    return value


def routes(chance, mode):
    made = {}
    for service in SERVICES:
        if chance.random() < 0.4:
            made[f"{service}-all"] = route(chance, mode, service, None)
        left = sorted(METHODS[TYPES[service]])
        while left and chance.random() < 0.5:
            names = chance.sample(left, chance.randint(1, len(left)))
            left = [name for name in left if name not in names]
            made[f"{service}-{len(left)}"] = route(chance, mode, service, names)
    return made


def by_chance(chance, mode):
    """A valid policy; made again until all times fit."""
    while True:
        policy = {"mode": mode, "defaults": {"route": {"timeout": chance.choice(["0s", duration(chance, 1, 5000), duration(chance, 1, 3600000)])}}}
        if chance.random() < 0.8:  # what is left out is a null over what the chart says
            policy["defaults"]["destination"] = one_destination(chance, mode) if chance.random() < 0.6 else {}
        if chance.random() < 0.8:
            policy["routes"] = routes(chance, mode)
        if chance.random() < 0.8:
            policy["destinations"] = {service: one_destination(chance, mode) for service in SERVICES if chance.random() < 0.6}
        if chance.random() < 0.6:
            policy["defaults"]["route"]["retries"] = retries(chance, mode)
        if is_valid(policy):
            return policy


def instead_of(chart, own):
    """The values that say `own` and nothing of what the chart says: null takes a value away."""
    if not (isinstance(chart, dict) and isinstance(own, dict)):
        return own
    return dict.fromkeys(chart) | {key: instead_of(chart.get(key), value) for key, value in own.items()}
