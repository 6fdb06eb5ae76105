# SPDX-License-Identifier: Apache-2.0
import pytest

import stubs  # noqa: F401  (store imports what it makes)
from cluster import Cluster
from store import Store

FAILED_STEP = pytest.StashKey()


def pytest_runtest_makereport(item, call):
    if call.excinfo is not None and item.get_closest_marker("e2e"):
        item.parent.stash.setdefault(FAILED_STEP, item.name)


def pytest_runtest_setup(item):
    """The steps of the scenario stand on each other: one cause, and not a heap of consequences, is to be read."""
    failed = item.parent.stash.get(FAILED_STEP, None)
    if failed:
        pytest.fail(f"it stands on {failed}, which failed", pytrace=False)


@pytest.fixture(scope="module")
def settings():
    """A module overrides it to run its services with other settings."""
    return {"ORDER_PAY_RETRY_MS": "200"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, settings):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), settings)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def store(cluster):
    with Store(cluster) as store:
        yield store
