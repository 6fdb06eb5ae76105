# SPDX-License-Identifier: Apache-2.0
import atexit
import os
import pathlib
import shutil
import sys
import tempfile

import grpc
import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FAILED_STEP = pytest.StashKey()


def generate_stubs():
    """Python code of our contracts, by grpcio-tools: what any foreign client would do."""
    from grpc_tools import protoc

    out = tempfile.mkdtemp(prefix="cmesh-stubs.")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    protos = [str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto/fashion").rglob("*.proto")]
    protos += ["mesh/v1/options.proto", "buf/validate/validate.proto", "protobuf-c/protobuf-c.proto"]
    include = os.path.join(os.path.dirname(protoc.__file__), "_proto")
    arguments = ["protoc", f"-I{include}", f"-I{ROOT}/proto", f"-I{ROOT}/proto/third_party", "-I/usr/include",
                 f"--python_out={out}", f"--grpc_python_out={out}", *protos]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed")
    for name in ("protobuf-c/protobuf-c.proto",):  # "-" is "_" in Python's module names
        assert (pathlib.Path(out) / name.replace("-", "_").replace(".proto", "_pb2.py")).exists()
    sys.path.insert(0, out)


generate_stubs()

from cluster import Cluster  # noqa: E402  (needs nothing of the stubs; kept beside its fixture)
from store import Store  # noqa: E402


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
