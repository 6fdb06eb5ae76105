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


def gone(pid):
    """Has every thread of it ended? A zombie with threads left still holds its port."""
    try:
        return state(pid) == "Z" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True


def kill_server(pid):
    """kill -9 of a server and all its processes."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state(pid) == "T")  # from here on it makes no more of them
    pids = [*children(pid), pid]
    for p in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, signal.SIGKILL)
    eventually(lambda: all(gone(p) for p in pids), 10)


def start_server(variable):
    subprocess.run(["bash", "-c", os.environ[variable]], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def postgres_folder():
    return pathlib.Path(os.environ["TEST_PG_DIR"])


def postgres_pid():
    return int((postgres_folder() / "postmaster.pid").read_text().split()[0])


def stop_postgres(sig=signal.SIGINT):
    """In order: SIGINT is `fast`, SIGQUIT is `immediate`."""
    pid = postgres_pid()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)
    eventually(lambda: gone(pid), 30, "Postgres ends")


def start_postgres():
    # Nothing of it runs; but where the first process of a container reaps late, its number looks alive.
    folder = postgres_folder()
    for lock in (folder / "postmaster.pid", *folder.parent.glob(".s.PGSQL.*.lock")):
        lock.unlink(missing_ok=True)
    start_server("TEST_PG_START")


def restart_postgres(pause):
    kill_server(postgres_pid())
    time.sleep(pause)
    start_postgres()


def nats_pid():
    return int(pathlib.Path(os.environ["TEST_NATS_DIR"]).with_suffix(".pid").read_text())


def stop_nats():
    kill_server(nats_pid())


def start_nats():
    start_server("TEST_NATS_START")


def restart_nats(pause):
    stop_nats()
    time.sleep(pause)
    start_nats()


class SmallDisk:
    """A file system of some megabytes for a server's folder; it can be filled to the last byte."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        self.mount = folder.parent / f"{folder.name}.disk"
        self.aside = folder.parent / f"{folder.name}.aside"
        self.mount.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.mount],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.mount.rmdir()
            pytest.skip(f"no file system of limited size can be mounted here: {mounted.stderr.strip()}")
        self.ballast = self.mount / "ballast"

    def take_folder(self):
        """The server is stopped."""
        subprocess.run(["cp", "-a", f"{self.folder}/.", self.mount], check=True)
        shutil.copystat(self.folder, self.mount)
        stat = self.folder.stat()
        os.chown(self.mount, stat.st_uid, stat.st_gid)
        self.folder.rename(self.aside)
        self.folder.symlink_to(self.mount)

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
