# SPDX-License-Identifier: Apache-2.0
"""The Postgres and the nats-server of the test: killed, stopped, started again, and moved to a small disk."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from cluster import eventually


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def kill_server(pid):
    """kill -9 of a server and all its processes."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state(pid) == "T")  # from here on it makes no more of them
    pids = [*children(pid), pid]
    for p in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signal.SIGKILL)
    eventually(lambda: all(state(p) == "Z" for p in pids), 10)


def start_server(variable):
    subprocess.run(["bash", "-c", os.environ[variable]], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def restart_postgres(pause):
    folder = pathlib.Path(os.environ["TEST_PG_DIR"])
    kill_server(int((folder / "postmaster.pid").read_text().split()[0]))
    # Nothing of it runs; but where the first process of a container reaps late, its number looks alive.
    for lock in (folder / "postmaster.pid", *folder.parent.glob(".s.PGSQL.*.lock")):
        lock.unlink()
    time.sleep(pause)
    start_server("TEST_PG_START")
    os.environ["TEST_PG_PID"] = (folder / "postmaster.pid").read_text().split()[0]


def restart_nats(pause):
    stop_nats()
    time.sleep(pause)
    start_nats()


def postgres_folder():
    return pathlib.Path(os.environ["TEST_PG_DIR"])


def stop_postgres(sig=signal.SIGINT):
    """In order: SIGINT is `fast`, SIGQUIT is `immediate`."""
    pid = int((postgres_folder() / "postmaster.pid").read_text().split()[0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)
    eventually(lambda: state(pid) == "Z", 30, "Postgres ends")


def start_postgres():
    (postgres_folder() / "postmaster.pid").unlink(missing_ok=True)
    start_server("TEST_PG_START")
    os.environ["TEST_PG_PID"] = (postgres_folder() / "postmaster.pid").read_text().split()[0]


def stop_nats():
    pid_file = pathlib.Path(os.environ["TEST_NATS_DIR"]).parent / "nats.pid"
    kill_server(int(pid_file.read_text()))


def start_nats():
    start_server("TEST_NATS_START")
    pid_file = pathlib.Path(os.environ["TEST_NATS_DIR"]).parent / "nats.pid"
    os.environ["TEST_NATS_PID"] = pid_file.read_text()


class SmallDisk:
    """A file system of some megabytes with a server's folder on it; it can be filled to the last byte."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        self.mount = folder.parent / f"{folder.name}.disk"
        self.aside = folder.parent / f"{folder.name}.aside"
        self.mount.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.mount],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"no file system of limited size can be mounted here: {mounted.stderr.strip()}")
        subprocess.run(["cp", "-a", f"{folder}/.", self.mount], check=True)
        shutil.copystat(folder, self.mount)
        stat = folder.stat()
        os.chown(self.mount, stat.st_uid, stat.st_gid)
        folder.rename(self.aside)
        folder.symlink_to(self.mount)
        self.ballast = self.mount / "ballast"

    def fill(self):
        with contextlib.suppress(OSError), open(self.ballast, "wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(1 << 16))

    def make_room(self):
        self.ballast.unlink(missing_ok=True)

    def remove(self):
        """The server is stopped. Its folder is an ordinary one again."""
        self.make_room()
        self.folder.unlink()
        shutil.rmtree(self.aside)
        subprocess.run(["cp", "-a", f"{self.mount}/.", self._fresh()], check=True)
        subprocess.run(["umount", self.mount], check=True)
        self.mount.rmdir()

    def _fresh(self):
        stat = self.mount.stat()
        self.folder.mkdir(mode=stat.st_mode & 0o777)
        os.chown(self.folder, stat.st_uid, stat.st_gid)
        return self.folder
