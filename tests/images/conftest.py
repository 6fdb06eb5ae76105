# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.umask(0o022)  # what is unpacked is for others, too
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "images")]

from image import Image, can_run  # noqa: E402


def build(out, *names, **env):
    subprocess.run([ROOT / "images/build", *names], env=os.environ | {"IMAGES_OUT": str(out)} | env, check=True)
    return out


@pytest.fixture(scope="session")
def session_folder():
    """Others may look into it, unlike into pytest's own; and nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="cmesh-images.") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@pytest.fixture
def folder(session_folder):
    path = pathlib.Path(tempfile.mkdtemp(dir=session_folder))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def all_images(session_folder):
    """Every image, unpacked, by its name."""
    out = build(session_folder / "built")
    return {path.stem: Image(path, session_folder / path.stem) for path in sorted(out.glob("*.tar"))}


@pytest.fixture
def started(folder):
    """Starts commands in images; ends what still runs."""
    if not can_run():
        pytest.skip("no user namespaces for who is not root")
    running = []

    def start(image, *arguments, **more):
        running.append(image.start(folder / f"log-{len(running)}", *arguments, **more))
        return running[-1]

    yield start
    for process in reversed(running):
        process.stop()
