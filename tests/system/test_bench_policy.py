# SPDX-License-Identifier: Apache-2.0
"""What bench/policy measures with, for a moment: whatever the times are, calls are answered, and retries have their bound."""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import governed  # noqa: E402

PATIENT = governed.policy({"timeout": "20s", "hedging": {"delay": f"{2 * governed.SERVICE_MS}ms"}}, governed.NO_BREAKER)


@pytest.fixture
def echoes(tmp_path):
    return governed.Echoes(tmp_path)


def test_what_a_policy_costs_is_measured_on_calls_that_succeed(echoes):
    with echoes.running({}) as target:
        cost = governed.cost(echoes, target, 4, 1)
    for name in ("on", "off"):
        assert cost[name]["per_second"] > 0
        assert cost[name]["failed"] == 0


def test_far_too_much_work_does_not_keep_a_peer_from_working(echoes):
    with echoes.limited(0) as target:
        phase, = echoes.call(target, governed.without_breaker(governed.policy({"timeout": "2s"})),
                             (governed.OPEN_CLIENTS, 4 * governed.CAPACITY, 3))
    assert phase["complete"] > 0
    assert set(phase["failed"]) <= {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
    assert governed.n_calls(phase) > 2 * governed.CAPACITY  # it was too much


@pytest.mark.parametrize("value", (governed.GREEDY, governed.without_breaker(governed.GREEDY)), ids=("breaker", "no breaker"))
def test_an_overload_leaves_nothing_behind_and_retries_stay_within_the_budget(echoes, value):
    found = governed.aftermath(echoes, 3, 4, value)
    extra = found["extra"]
    assert 0 < extra["retries_and_hedges"] <= extra["allowed"], extra
    assert found["during"]["complete"] > 0
    assert found["during"]["failed"]
    assert found["after"][-1]["complete"] > 0


def test_a_slow_replica_fails_no_call(echoes):
    found = governed.one_slow(echoes, 2, rounds=1, value=PATIENT)
    for name in ("healthy", "one slow"):
        assert found[name]["complete"] > 0
        assert found[name]["failed"] == {}
        extra = governed.extra(found[name], 3)
        assert extra["retries_and_hedges"] <= extra["allowed"], extra
    assert found["one slow"]["so_far"]["hedges"] > 0


@pytest.mark.parametrize("phases", ["1 0", "0 0 1", "1 -1 1", "257 0 1", "1 0 1 1", "x"])
def test_wrong_phases_are_told(echoes, phases):
    env = {**echoes.env("caller"), "MESH_PEER_ECHO": "127.0.0.1:1", "CALLER_PHASES": phases, "MESH_GRPC_LISTEN": "127.0.0.1:0",
           "MESH_HTTP_LISTEN": "127.0.0.1:0"}
    done = subprocess.run([echoes.binary("caller"), "serve"], env=env, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert "CALLER_PHASES is CLIENTS RATE SECONDS" in done.stderr
