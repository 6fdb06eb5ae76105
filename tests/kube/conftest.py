# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "tests/helm")]

import stubs  # noqa: E402,F401  (others import what it makes)
from kube import make_namespace  # noqa: E402

NAMESPACE = "cmesh-test"
IMAGES = ROOT / "build/images"


@pytest.fixture(scope="session")
def figures():
    """Takes down what was measured: figures(what, value). No test asserts a time."""
    lines = []
    yield lambda what, value: lines.append(f"{what:52} {value}")
    text = "".join(f"{line}\n" for line in lines)
    print(text)
    if "KUBE_FIGURES" in os.environ:
        pathlib.Path(os.environ["KUBE_FIGURES"]).write_text(text)


@pytest.fixture(scope="session")
def images(figures):
    """Loads them into the cluster, by KUBE_LOAD; without it they are there already."""
    for archive in sorted([*IMAGES.glob("*.tar"), *(IMAGES / "next").glob("*.tar")]):
        tag = version() + ("-next" if archive.parent.name == "next" else "")
        name = f"{os.environ.get('KUBE_REGISTRY', 'cmesh.local')}/{archive.stem}:{tag}"
        if os.environ.get("KUBE_LOAD"):
            subprocess.run(["bash", "-c", os.environ["KUBE_LOAD"]], env=os.environ | {"NAME": name, "ARCHIVE": str(archive)}, check=True)
        figures(f"image {archive.stem}:{tag}", f"{archive.stat().st_size / 1e6:.1f} MB")


def version():
    text = (ROOT / "CMakeLists.txt").read_text()
    return text.partition("project(cmesh VERSION ")[2].split()[0].rstrip(")")


@pytest.fixture(scope="module")
def namespace(request):
    """One of the module's own, empty."""
    name = f"{NAMESPACE}-{request.module.__name__.removeprefix('test_').replace('_', '-')}"
    make_namespace(name)
    yield name
    if not os.environ.get("KUBE_KEEP"):
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=True)
