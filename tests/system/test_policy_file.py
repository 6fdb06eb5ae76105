# SPDX-License-Identifier: Apache-2.0
"""The published schema and the services' own parser judge policies alike, as far as a schema can; and the store's own policy is fine."""
import copy
import json
import os
import pathlib
import subprocess

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("product", "order", "payment", "delivery", "customercenter")
SCHEMA = json.loads((ROOT / "helm/schema/mesh-policy.schema.json").read_text())
LOCAL = ROOT / "helm/fashion/policy.local.json"
PAY = {"service": "payment", "grpcService": "fashion.payment.v1.PaymentService", "methods": ["Pay"]}
PAYMENT = {"service": "payment", "grpcService": "fashion.payment.v1.PaymentService"}
FAULT = {"delay": {"fixedDelay": "1s", "percentage": {"value": 12.5}}, "abort": {"grpcStatus": "UNAVAILABLE"}, "header": {"exact": "a-1"}}


def policy(**parts):
    return {"schema": "mesh-policy/v1", "mode": "library", **parts}


def default(**route):
    return policy(defaults={"route": route})


def pay(**route):
    return policy(routes={"pay": {**PAY, **route}})


def payment(**destination):
    return policy(destinations={"payment": destination})


GOOD = {
    "nothing": policy(), "istio": policy() | {"mode": "istio"}, "empty_parts": policy(defaults={}, routes={}, destinations={}),
    "empty_defaults": policy(defaults={"route": {}, "destination": {}}), "local": json.loads(LOCAL.read_text()),
    "no_timeout": default(timeout="0s"), "seconds": default(timeout="1.25s"), "hour": default(timeout="1h"),
    "whole_as_float": default(retries={"attempts": 2.0}), "no_attempts": pay(retries={"attempts": 0}),
    "retry_on": pay(retries={"retryOn": ["reset-before-request", "deadline-exceeded"]}),
    "all_methods": policy(routes={"all": PAYMENT, "pay": PAY}), "fault": pay(fault=FAULT), "empty_fault": pay(fault={}),
    "calls": pay(calls=["fashion.order.v1.OrderService/GetOrder"]), "hedging": policy(routes={"get": {**PAYMENT, "methods": ["GetPayment"],
                                                                                           "hedging": {"delay": "5ms", "maxAttempts": 3}}}),
    "stranger": policy(routes={"x": {"service": "stranger", "grpcService": "x.v1.X", "methods": ["Do"]}}),
    "destination": payment(loadBalancer="ROUND_ROBIN", workerLimit=0, connectionPool={"http": {"http2MaxRequests": 5}},
                           outlierDetection={"consecutive5xxErrors": 0, "interval": "1s"}, retryBudget={"percent": 0},
                           circuitBreaker={"slowCallDuration": "400ms"}),
}
BAD = {
    "no_object": [], "no_schema": {"mode": "library"}, "other_schema": policy() | {"schema": "mesh-policy/v2"},
    "no_mode": {"schema": "mesh-policy/v1"}, "other_mode": policy() | {"mode": "sidecar"}, "unknown_part": policy(rules={}),
    "null": policy(routes=None), "list": policy(routes=[]), "unknown_default": policy(defaults={"timeout": "1s"}),
    "hedging_by_default": default(hedging={"delay": "5ms"}), "number_as_duration": default(timeout=1), "no_unit": default(timeout="500"),
    "blank": default(timeout="500 ms"), "fraction_of_ms": default(timeout="0.5ms"), "go_duration": default(timeout="1m30s"),
    "leading_zero": default(timeout="01s"), "too_fine": default(timeout="1.0005s"), "unknown_key": default(retrys={}),
    "many_attempts": default(retries={"attempts": 11}), "negative": default(retries={"attempts": -1}),
    "half_attempt": default(retries={"attempts": 1.5}), "attempts_as_text": default(retries={"attempts": "2"}),
    "attempts_as_bool": default(retries={"attempts": True}), "words_of_istio": default(retries={"retryOn": "reset,unavailable"}),
    "unknown_word": default(retries={"retryOn": ["5xx"]}), "word_twice": default(retries={"retryOn": ["reset", "reset"]}),
    "no_words": default(retries={"retryOn": []}), "attempts_0_and_more": default(retries={"attempts": 0, "perTryTimeout": "1s"}),
    "no_service": policy(routes={"x": {"grpcService": "x.v1.X"}}), "no_grpc_service": policy(routes={"x": {"service": "x"}}),
    "service_with_port": policy(routes={"x": {**PAY, "service": "payment:9090"}}), "capital": policy(routes={"x": {**PAY, "service": "Payment"}}),
    "path": policy(routes={"x": {**PAY, "grpcService": "/x.v1.X/"}}), "name": policy(routes={"a b": PAY}), "no_methods": pay(methods=[]),
    "method_twice": pay(methods=["Pay", "Pay"]), "method_as_path": pay(methods=["x.v1.X/Pay"]), "call_without_slash": pay(calls=["x.v1.X.Do"]),
    "hedging_without_delay": pay(hedging={"maxAttempts": 2}), "one_hedge": pay(hedging={"delay": "5ms", "maxAttempts": 1}),
    "fault_without_delay": pay(fault={"delay": {}}), "code_as_number": pay(fault={"abort": {"grpcStatus": 14}}),
    "ok_is_no_fault": pay(fault={"abort": {"grpcStatus": "OK"}}), "percentage": pay(fault={"delay": {"fixedDelay": "1s", "percentage": {"value": 101}}}),
    "http_fault": pay(fault={"abort": {"httpStatus": 503}}), "header_with_quote": pay(fault={"header": {"exact": 'a"b'}}),
    "header_with_backslash": pay(fault={"header": {"exact": "a\\b"}}),
    "destination_name": policy(destinations={"-x": {}}), "unknown_destination_key": payment(tcp={}), "balancer": payment(loadBalancer="RANDOM"),
    "balancer_of_istio": payment(loadBalancer={"simple": "RANDOM"}), "no_requests": payment(connectionPool={"http": {"http2MaxRequests": 0}}),
    "percent": payment(outlierDetection={"maxEjectionPercent": 101}),
}
# What no schema can say.
BEYOND = {
    "too_long": default(timeout="2h"), "too_short": payment(circuitBreaker={"window": "1ms"}),
    "does_not_fit": default(timeout="500ms", retries={"attempts": 2, "perTryTimeout": "200ms"}),
    "unknown_method": policy(routes={"x": {**PAY, "methods": ["Refund"]}}), "unknown_service": policy(routes={"x": {**PAY, "grpcService": "x.v1.X"}}),
    "twice": policy(routes={"a": PAY, "b": PAY}), "hedged_write": pay(hedging={"delay": "5ms"}),
    "not_in_proxyless": default(retries={"perTryTimeout": "100ms"}) | {"mode": "proxyless"},
}


def judge(text, folder, service="order"):
    """What the service says: None, or the sentence."""
    path = folder / "policy.json"
    path.write_text(text)
    program = pathlib.Path(os.environ["CMESH_BUILD"]) / f"services/fashion/{service}/fashion-{service}"
    done = subprocess.run([program, "policy", "check", path], capture_output=True, text=True, timeout=30)
    assert (done.returncode, bool(done.stdout), bool(done.stderr)) in ((0, True, False), (1, False, True)), done
    return done.stderr.strip() or None


def valid(value):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(value)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", GOOD)
def test_both_accept(name, tmp_path):
    assert judge(json.dumps(GOOD[name]), tmp_path) is None
    assert valid(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_both_refuse(name, tmp_path):
    assert judge(json.dumps(BAD[name]), tmp_path)
    assert not valid(BAD[name])


@pytest.mark.parametrize("name", BEYOND)
def test_the_service_refuses_what_no_schema_can(name, tmp_path):
    assert judge(json.dumps(BEYOND[name]), tmp_path)
    assert valid(BEYOND[name])


def properties(schema, path=()):
    """(path, key, schema) of every property there is."""
    for key, inner in schema.get("properties", {}).items():
        yield path, key, inner
        yield from properties(inner, (*path, key))


@pytest.mark.parametrize("part", ["route", "destination"])
def test_every_key_is_known_to_the_service(part, tmp_path):
    """A number at each end of its range and beyond it, wherever the schema has one."""
    for path, key, inner in properties(SCHEMA["$defs"][part]):
        if inner.get("type") not in ("integer", "number"):
            continue
        for number, fine in ((inner["minimum"], True), (inner["maximum"], True), (inner["minimum"] - 1, False), (inner["maximum"] + 1, False)):
            value = {}
            place = value
            for step in path:
                place[step] = {}
                place = place[step]
            place[key] = number
            for step, beside in (("delay", {"fixedDelay": "1ms"}), ("abort", {"grpcStatus": "ABORTED"})):
                if step in value.get("fault", {}):
                    value["fault"][step] |= beside
            if "hedging" in value:
                value["hedging"]["delay"] = "1ms"
            whole = policy(routes={"get": {**PAYMENT, "methods": ["GetPayment"], **value}}) if part == "route" else payment(**value)
            sentence = judge(json.dumps(whole), tmp_path)
            assert (sentence is None, valid(whole)) == (fine, fine), (path, key, number, sentence)
            assert fine or ".".join((*path, key)) in sentence


def test_every_object_of_the_schema_is_closed_and_described():
    def walk(schema):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False, schema
        for inner in schema.get("properties", {}).values():
            assert "description" in inner or "$ref" in inner, inner
            walk(inner)

    for schema in (SCHEMA, *SCHEMA["$defs"].values()):
        walk(schema)


@pytest.mark.parametrize("service", SERVICES)
def test_the_stores_policy_is_fine_for_every_service(service, tmp_path):
    assert judge(LOCAL.read_text(), tmp_path, service) is None


def test_the_order_service_asks_payment_for_half_a_second():
    """FS-N-3: the limit, and retries where they are safe."""
    program = pathlib.Path(os.environ["CMESH_BUILD"]) / "services/fashion/order/fashion-order"
    said = subprocess.run([program, "policy", "check", LOCAL], capture_output=True, text=True, timeout=30, check=True).stdout
    rows = [line.split() for line in said.split("/fashion.payment.v1.PaymentService/Pay\n")[1].splitlines()[:2]]
    assert rows == [["timeout", "500ms", "routes.pay"], ["retries.attempts", "2", "routes.pay"]]


def test_a_mistake_in_the_stores_policy_is_found(tmp_path):
    broken = copy.deepcopy(GOOD["local"])
    broken["routes"]["pay"]["retries"]["attempts"] = 11
    assert judge(json.dumps(broken), tmp_path).endswith(
        "policy.json: routes.pay.retries.attempts is 11, expected a whole number from 0 to 10.")
