# SPDX-License-Identifier: Apache-2.0
"""The load generator of bench/ does what it says; no figure is looked at."""
import json
import subprocess

import pytest


def load(cluster, *arguments):
    return subprocess.run([cluster.build / "bench/bench-load", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)


def address(cluster, service):
    return f"127.0.0.1:{cluster[service].grpc_port}"


@pytest.fixture(scope="module")
def articles(cluster):
    for _ in range(2):  # those that are there stay
        done = load(cluster, "register", address(cluster, "product"), 2)
        assert done.returncode == 0, done.stderr
    return 2


def placed(cluster):
    return cluster.query("select count(*) from fashion_order.orders where status in (3, 4)")[0][0]


def test_counts_every_complete_order(cluster, articles):
    before = placed(cluster)
    done = load(cluster, "orders", address(cluster, "order"), 2, 1, articles)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["failed"] == {}
    assert placed(cluster) - before >= result["complete"] > 0  # a pending one may be paid meanwhile


def test_sees_every_order_on_the_dashboard(cluster, articles):
    done = load(cluster, "events", address(cluster, "order"), address(cluster, "customercenter"), 1, 1, articles, 10)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["shown"], result["not_shown"]) == (result["complete"], 0)
    assert result["complete"] > 0


def test_counts_failures_by_their_code(cluster):
    done = load(cluster, "echo", address(cluster, "order"), 1, 1)  # the order service does not know it
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["complete"] == 0
    assert list(result["failed"]) == ["UNIMPLEMENTED"]


@pytest.mark.parametrize("arguments", [(), ("orders",), ("echo", "x", "0", "1"), ("echo", "x", "1", "1", "1"), ("nothing",)])
def test_wrong_usage_is_told(cluster, arguments):
    done = load(cluster, *arguments)
    assert done.returncode == 2
    assert "usage: bench-load orders ORDER CLIENTS SECONDS ARTICLES" in done.stderr
