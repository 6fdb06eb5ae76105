# SPDX-License-Identifier: Apache-2.0
"""One block of values, three readers: what the services' parser makes of policy.json, and Istio of VirtualService and DestinationRule."""
import concurrent.futures
import copy
import json
import os
import random
import re

import pytest
import yaml

import policy_model
from charts import EMBEDDED, FASHION, METHODS, SERVICES, check_policy, find, objects, overlay, policy_of, rendered, template
from policy_model import TYPES, ms, words

CHART = yaml.safe_load((FASHION / "values.yaml").read_text())
PEERS = ("product", "payment", "delivery")  # of order
NONE = ("none", "no hedging", "no delay", "no abort", "every call")
TIMES = ("timeout", "retries.perTryTimeout", "retries.backoff", "hedging.delay", "fault.delay.fixedDelay", "outlierDetection.interval",
         "outlierDetection.baseEjectionTime")
N = int(os.environ.get("CMESH_POLICIES", "200"))


# ---- what the services make of it ------------------------------------------------------------

def value_of(path, text):
    if path in TIMES:
        return 0 if text in NONE else ms(text)
    if path == "retries.retryOn":
        return set(text.split(", "))
    if path in ("loadBalancer", "fault.abort.grpcStatus", "fault.header.exact"):
        return None if text in NONE else text
    return float(text)


def parsed(printed):
    """What `policy check` prints: per destination and per path of a method its values."""
    blocks, at = {}, None
    for line in printed.splitlines()[2:]:
        if not line.startswith(" "):
            at = blocks.setdefault(line, {})
            continue
        path, text = line[2:45].strip(), re.sub(r" +\S+$", "", line[46:]).strip()
        if path in policy_model.FIELDS or path in policy_model.DESTINATION:
            at[path] = value_of(path, text)
    return blocks


def check_parser(text, mode, folder):
    """Every service accepts it; what order's parser says of its peers, as if nobody else did a part of it."""
    path = folder / "policy.json"
    path.write_text(text)
    for service in SERVICES:
        code, said = check_policy(service, path)
        assert code == 0, said
    path.write_text(text.replace(f'"mode": "{mode}"', '"mode": "library"'))
    code, said = check_policy("order", path)
    assert code == 0, said
    return parsed(said)


# ---- what Istio makes of it ------------------------------------------------------------------

def matches(match, path, headers):
    uri = match["uri"]
    return (path == uri["exact"] if "exact" in uri else path.startswith(uri["prefix"])) and \
        all(headers.get(name) == value["exact"] for name, value in match.get("headers", {}).items())


def routed(service, path, headers):
    """The first rule that matches, as the values of a route."""
    rule = next(rule for rule in service["spec"]["http"] if any(matches(match, path, headers) for match in rule["match"]))
    retries = rule["retries"]
    assert set(retries) == {"attempts"} if retries["attempts"] == 0 else {"attempts", "retryOn", "backoff"} <= set(retries)
    assert rule["route"] == [{"destination": {"host": service["spec"]["hosts"][0], "port": {"number": 9090}}}]
    got = {"timeout": ms(rule.get("timeout", "0s")), "retries.attempts": retries["attempts"]}
    if retries["attempts"]:
        got |= {"retries.retryOn": words(retries["retryOn"].split(",")), "retries.backoff": ms(retries["backoff"]),
                "retries.perTryTimeout": ms(retries.get("perTryTimeout", "0s"))}
    return got, rule.get("fault", {})


def expected_fault(values, header):
    if values["fault.header.exact"] not in (None, header):
        return {}
    fault = {}
    if values["fault.delay.fixedDelay"]:
        fault["delay"] = (values["fault.delay.fixedDelay"], values["fault.delay.percentage.value"])
    if values["fault.abort.grpcStatus"]:
        fault["abort"] = (values["fault.abort.grpcStatus"], values["fault.abort.percentage.value"])
    return fault


def given_fault(fault):
    given = {}
    if "delay" in fault:
        given["delay"] = (ms(fault["delay"]["fixedDelay"]), fault["delay"]["percentage"]["value"])
    if "abort" in fault:
        given["abort"] = (fault["abort"]["grpcStatus"], fault["abort"]["percentage"]["value"])
    return given


def check_rule(service, path, values, mode):
    for header in (None, "another", values["fault.header.exact"]):
        got, fault = routed(service, path, {"x-mesh-fault": header} if header else {})
        wanted = values | ({"timeout": 0} if mode == "proxyless" else {})
        assert got == {name: wanted[name] for name in got}, path
        assert given_fault(fault) == expected_fault(values, header), path


def check_traffic(things, policy, service):
    virtual = find(things, "VirtualService", f"fashion-{service}")
    for name in METHODS[TYPES[service]]:
        check_rule(virtual, f"/{TYPES[service]}/{name}", policy_model.method(policy, service, name), policy["mode"])
    for path, values in ((f"/{TYPES[service]}/NotThereYet", policy_model.rest(policy, service)),
                         ("/acme.v1.Other/Do", policy_model.rest(policy | {"routes": {}}, service))):
        got, fault = routed(virtual, path, {})
        assert got == {"timeout": 0 if policy["mode"] == "proxyless" else values["timeout"], "retries.attempts": 0} and not fault
    assert routed(virtual, "/grpc.health.v1.Health/Watch", {})[0] == {"timeout": 0, "retries.attempts": 0}


def check_destination(things, policy, service):
    rule = find(things, "DestinationRule", f"fashion-{service}")["spec"]["trafficPolicy"]
    wanted = policy_model.destination(policy, service)
    if policy["mode"] == "proxyless":
        assert rule == {"tls": {"mode": "DISABLE"}, "loadBalancer": {"simple": "ROUND_ROBIN"}, "connectionPool": {
            "http": {"http2MaxRequests": wanted["connectionPool.http.http2MaxRequests"]}}}
        return
    assert rule.pop("tls") == {"mode": "ISTIO_MUTUAL"}
    rule["loadBalancer"] = rule["loadBalancer"].pop("simple")
    assert policy_model.flat(rule, wanted) == wanted
    assert {key for block in ("outlierDetection", "retryBudget") for key in rule[block]} == \
        {path.split(".")[1] for path in wanted if path.startswith(("outlier", "retryB"))}


# ---- the tests -------------------------------------------------------------------------------

def check_all(policy, folder):
    things = objects(rendered(EMBEDDED | {"mesh": policy_model.instead_of(CHART["mesh"], policy)}))
    text = policy_of(things)
    assert json.loads(text) == policy | {"schema": "mesh-policy/v1"}
    blocks = check_parser(text, policy["mode"], folder)
    for service in PEERS:
        destination = policy_model.destination(policy, service)
        assert {path: blocks[service][path] for path in destination} == destination
        for name in METHODS[TYPES[service]]:
            assert blocks[f"/{TYPES[service]}/{name}"] == policy_model.method(policy, service, name), name
    kinds = {thing["kind"] for thing in things}
    assert ("VirtualService" in kinds) == (policy["mode"] != "library")
    for service in SERVICES if policy["mode"] != "library" else ():
        check_traffic(things, policy, service)
        check_destination(things, policy, service)


def test_policies_by_chance_say_the_same_to_all_readers(tmp_path):
    def one(seed):
        folder = tmp_path / str(seed)
        folder.mkdir()
        policy = policy_model.by_chance(random.Random(seed), ("library", "istio", "proxyless")[seed % 3])
        try:
            check_all(policy, folder)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {json.dumps(policy)}") from error

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(N)))


def places(tree, above=()):
    """The path of everything in it."""
    for key, value in tree.items() if isinstance(tree, dict) else ():
        yield (*above, key)
        yield from places(value, (*above, key))


@pytest.mark.parametrize("place", list(places(CHART["mesh"])), ids=".".join)
def test_what_null_takes_away_is_no_word_of_the_policy_or_must_be_there(place, tmp_path):
    values, left = None, copy.deepcopy(CHART["mesh"])
    for key in reversed(place):
        values = {key: values}
    above = left
    for key in place[:-1]:
        above = above[key]
    del above[place[-1]]
    process = template(overlay(EMBEDDED, {"mesh": values}))
    if process.returncode == 0:
        text = policy_of(objects(process.stdout))
        assert json.loads(text) == left | {"schema": "mesh-policy/v1"}
        check_parser(text, left["mode"], tmp_path)
    else:
        # It must be there itself, or what holds instead of it does not fit to the rest.
        assert re.search(r"mesh.* missing|at '/mesh.*': missing property|mesh\..* expected", process.stderr), process.stderr


@pytest.mark.parametrize("mode", ["library", "istio", "proxyless"])
def test_the_stores_own_policy_says_the_same_to_all_readers(mode, tmp_path):
    things = objects(rendered(overlay(EMBEDDED, {"mesh": {"mode": mode}})))
    policy = json.loads(policy_of(things))
    check_parser(policy_of(things), mode, tmp_path)
    for service in SERVICES if mode != "library" else ():
        check_traffic(things, policy, service)
        check_destination(things, policy, service)


def test_the_policy_of_the_local_store_is_what_the_chart_renders():
    values = yaml.safe_load((FASHION / "ci/local-values.yaml").read_text())
    assert json.loads(policy_of(objects(rendered(values)))) == json.loads((FASHION / "policy.local.json").read_text())
