# SPDX-License-Identifier: Apache-2.0
"""The fashion store as real processes beside a Postgres and a nats-server of its own.

Runs under tests/support/with-servers. CMESH_BUILD names the build folder with the services.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import grpc
import nats.js.errors
import psycopg

from broker import with_jetstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("product", "payment", "delivery", "customercenter", "order")
PEERS = {"order": ("product", "payment", "delivery")}
PARTITIONS = 8


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def eventually(check, seconds=5.0, what=""):
    """Calls check until it returns something true, and returns that. Fails after `seconds`."""
    end = time.monotonic() + seconds
    error = None
    while True:
        try:
            value = check()
            error = None
            if value:
                return value
        except (AssertionError, grpc.RpcError) as e:
            error = e
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what or check}") from error
        time.sleep(0.02)


class Process:
    """One service process (a service may have several: replicas)."""

    def __init__(self, cluster, service, index):
        self.service = service
        self.cluster = cluster
        self.grpc_port = cluster.free_port()
        self.http_port = cluster.free_port()
        self.log_path = cluster.folder / f"{service}-{index}.log"
        self.settings = {}  # of this process alone
        self.popen = None

    def start(self, wait=True):
        env = self.cluster.env(self.service) | self.settings
        env["MESH_GRPC_LISTEN"] = f"127.0.0.1:{self.grpc_port}"
        env["MESH_HTTP_LISTEN"] = f"127.0.0.1:{self.http_port}"
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [self.cluster.binary(self.service), "serve"], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        if wait:
            self.wait_ready()

    def http(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=2) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError:
            return 0, ""

    def wait_ready(self):
        def ready():
            if self.popen.poll() is not None:
                raise RuntimeError(f"{self.service} ended with {self.popen.returncode}:\n" + self.tail())
            return self.http("/readyz")[0] == 200

        eventually(ready, 20, f"{self.service} ready")

    def tail(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-20:])

    def log(self):
        return self.log_path.read_text(errors="replace")

    def metric(self, name, **labels):
        """The sum of all samples of that name that have these labels."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith(name) and line[len(name)] in "{ ":
                if all(f'{k}="{v}"' in line for k, v in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def partitions(self):
        """Those that this replica reads."""
        return [i for i in range(PARTITIONS) if self.metric("mesh_lease_held", lease=f"partition/{i}")]

    def connected(self):
        """Are all of its connections to the broker there? A service is ready without."""
        lines = [x for x in self.http("/metrics")[1].splitlines() if x.startswith("mesh_broker_connected")]
        return lines and all(x.endswith(" 1") for x in lines)

    def stop(self, expect=0):
        if self.popen is None:
            return
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(30)
        self.popen = None
        assert code == expect, f"{self.service} ended with {code}:\n{self.tail()}"

    def kill(self):
        assert self.popen.poll() is None, f"{self.service} has ended with {self.popen.returncode}:\n{self.tail()}"
        self.popen.kill()
        self.popen.wait(10)
        self.popen = None

    def pause(self):
        """A thread that the kernel does not come to may work for a moment longer."""
        self.popen.send_signal(signal.SIGSTOP)
        eventually(self._is_stopped, 10, f"{self.service} is stopped")

    def _is_stopped(self):
        threads = pathlib.Path(f"/proc/{self.popen.pid}/task").iterdir()
        try:
            return all((t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in threads)
        except FileNotFoundError:
            return False  # a thread has ended meanwhile

    def go_on(self):
        self.popen.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self):
        self.pause()
        try:
            yield
        finally:
            self.go_on()


def forget_earlier(admin):
    """Database and stream of the cluster before this one, if there was one beside these servers."""
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database if exists fashion with (force)")
    with_jetstream(delete_stream)
    files = pathlib.Path(os.environ["TEST_NATS_DIR"]) / "jetstream/$G/streams/fashion"
    # The broker removes its files after it has answered, and those of a new one with them.
    eventually(lambda: not files.exists(), 10)


async def delete_stream(js):
    try:
        await js.delete_stream("fashion")
    except nats.js.errors.NotFoundError:
        pass


class Cluster:
    free_port = staticmethod(free_port)

    def __init__(self, folder, settings=None):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(os.environ["CMESH_BUILD"])
        self.settings = settings or {}
        self.policy_file = self.folder / "policy" / "policy.json"  # its own: it may change
        self.policy_file.parent.mkdir()
        shutil.copy(ROOT / "helm/fashion/policy.local.json", self.policy_file)
        self.processes = {s: [Process(self, s, 0)] for s in SERVICES}
        admin = os.environ["TEST_DATABASE_URL"]
        self.database_url = admin.rsplit("/", 1)[0] + "/fashion"
        forget_earlier(admin)
        sql = subprocess.run([ROOT / "services/create_system", "fashion", *SERVICES], check=True,
                             capture_output=True).stdout
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", admin], input=sql, check=True,
                       stdout=subprocess.DEVNULL)
        for service in SERVICES:
            subprocess.run([self.binary(service), "migrate"], env=self.env(service), check=True,
                           capture_output=True)

    def binary(self, service):
        return self.build / "services" / "fashion" / service / f"fashion-{service}"

    def sanitized(self):
        """A sanitizer keeps memory that was freed, and more of it beside: what a service takes tells nothing."""
        return any(name in self.binary(SERVICES[0]).read_bytes() for name in (b"__asan_init", b"__tsan_init"))

    def role_url(self, service):
        return self.database_url.replace("postgres@", f"fashion_{service}@")

    def env(self, service):
        foreign = ("MESH_", "DATABASE_", "NATS_", "PG", "SYSENV", *(f"{s.upper()}_" for s in SERVICES))
        env = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        env.update(
            DATABASE_URL=self.role_url(service),
            NATS_URL=os.environ["TEST_NATS_URL"],
            MESH_LAME_DUCK_MS="0",
            MESH_LOG_FORMAT="json",
            MESH_LOG_LEVEL="debug",
            MESH_POLICY_FILE=str(self.policy_file),
        )
        for peer in PEERS.get(service, ()):
            env[f"MESH_PEER_{peer.upper()}"] = f"127.0.0.1:{self.processes[peer][0].grpc_port}"
        env.update({k: v for k, v in self.settings.items() if k.startswith((service.upper() + "_", "MESH_"))})
        if service == "delivery" and "SYSENV" in self.settings:
            env["SYSENV"] = self.settings["SYSENV"]
        return env

    def __getitem__(self, service):
        return self.processes[service][0]

    def address(self, service):
        return f"127.0.0.1:{self[service].grpc_port}"

    def start(self):
        for service in SERVICES:
            self[service].start(wait=False)
        for service in SERVICES:
            self[service].wait_ready()

    def add_replica(self, service):
        process = Process(self, service, len(self.processes[service]))
        self.processes[service].append(process)
        process.start()
        return process

    def wait_until_shared_out(self, service, seconds=10):
        """Until the replicas that run read all partitions, none of them more than its part."""
        live = [p for p in self.processes[service] if p.popen is not None]

        def shared_out():
            counts = [len(p.partitions()) for p in live]
            assert sum(counts) == PARTITIONS, counts
            assert max(counts) <= -(-PARTITIONS // len(live)), counts
            return True

        eventually(shared_out, seconds, f"the partitions of {service} are shared out")

    def stop(self):
        """Ends everything, in the order of ./run; every process must end cleanly."""
        failures = []
        for service in reversed(SERVICES):
            for process in self.processes[service]:
                try:
                    process.stop()
                except (AssertionError, subprocess.TimeoutExpired) as e:
                    failures.append(e)
                    if process.popen is not None:
                        process.kill()
        assert not failures, failures

    def query(self, sql, *args):
        """Looks into the database as an administrator: for what no API shows, such as grants."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql, args).fetchall()
