# SPDX-License-Identifier: Apache-2.0
"""What bench/ measures with does what it says; no figure is looked at."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import failures  # noqa: E402
from programs import command_of, make_raw_database, program  # noqa: E402


def load(*arguments):
    return subprocess.run(command_of("bench-load", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)


@pytest.fixture(scope="module")
def articles(cluster):
    for _ in range(2):  # those that are there stay
        done = load("register", cluster.address("product"), 2)
        assert done.returncode == 0, done.stderr
    return 2


def placed(cluster):
    return cluster.query("select count(*) from fashion_order.orders where status in (3, 4)")[0][0]


def test_counts_every_complete_order(cluster, articles):
    before = placed(cluster)
    done = load("orders", cluster.address("order"), 2, 1, articles)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["failed"] == {}
    assert placed(cluster) - before >= result["complete"] > 0  # a pending one may be paid meanwhile


def test_sees_every_order_on_the_dashboard(cluster, articles):
    done = load("events", cluster.address("order"), cluster.address("customercenter"), 1, 1, articles, 10)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["shown"], result["not_shown"]) == (result["complete"], 0)
    assert result["complete"] > 0


def test_counts_failures_by_their_code(cluster):
    done = load("echo", cluster.address("order"), 1, 1)  # the order service does not know it
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["complete"] == 0
    assert list(result["failed"]) == ["UNIMPLEMENTED"]


def test_every_way_to_handle_an_event_has_its_turn():
    handling = program("bench-handling", make_raw_database(), 2, 2, seconds=2)
    assert all(handling[kind] > 0 for kind in ("bare", "inbox", "parked", "purge"))
    assert handling["purges"] > 0


def test_sees_another_replica_take_over(cluster, articles):
    assert failures.takeover(cluster, articles, times=2)["s"] > 0
    assert cluster.processes["delivery"][1].popen is None


def test_sees_a_backlog_drain(cluster, articles):
    outage = failures.outage(cluster, 1, 1, 2, articles)
    assert outage["drained"]
    # One at the order, one or two at the delivery, three at the dashboard.
    assert outage["events"] >= 5 * (outage["away"]["complete"] + outage["busy"]["complete"]) > 0


@pytest.mark.parametrize("arguments", [(), ("orders",), ("echo", "x", "0", "1"), ("echo", "x", "1", "1", "1"), ("nothing",)])
def test_wrong_usage_is_told(arguments):
    done = load(*arguments)
    assert done.returncode == 2
    assert "usage: bench-load orders ORDER CLIENTS SECONDS ARTICLES" in done.stderr
