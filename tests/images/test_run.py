# SPDX-License-Identifier: Apache-2.0
"""What is in the images runs: with a root that is read only, as nobody special, and with nothing of this machine."""
import os
import pathlib
import signal
import subprocess
import uuid

import psycopg
import pytest
from cluster import ROOT, eventually, free_port
from image import folder_for_user

SERVICES = ("product", "payment", "delivery", "customercenter", "order")
PEERS = {"order": ("product", "payment", "delivery")}


class Store:
    """Services in their images, beside a Postgres and a NATS."""

    def __init__(self, images, started, database_url, nats_url):
        self.images, self.started, self.database_url, self.nats_url = images, started, database_url, nats_url
        self.port = {name: free_port() for name in SERVICES}

    def env(self, service):
        peers = {f"MESH_PEER_{peer.upper()}": f"127.0.0.1:{self.port[peer]}" for peer in PEERS.get(service, ())}
        return peers | {"MESH_GRPC_LISTEN": f"127.0.0.1:{self.port[service]}", "MESH_HTTP_LISTEN": "127.0.0.1:0",
                        "DATABASE_URL": self.database_url(service), "NATS_URL": self.nats_url, "MESH_LAME_DUCK_MS": "0"}

    def migrate(self, service):
        process = self.started(self.images[f"fashion-{service}"], "migrate", env=self.env(service))
        assert process.wait() == 0, process.said()

    def start(self, service):
        image = self.images[f"fashion-{service}"]
        process = self.started(image, *image.config["Cmd"], env=self.env(service))
        self.until_serving(service, process)
        return process

    def until_serving(self, service, process):
        def serving():
            process.refuse_ended()
            return '"SERVING"' in self.call(service, "grpc.health.v1.Health/Check")

        eventually(serving, 20, f"{service} serves")

    def call(self, service, method, request="{}"):
        """By the client image's grpcurl."""
        client = self.started(self.images["cmesh-client"], "-plaintext", "-max-time", "10", "-d", request,
                              f"127.0.0.1:{self.port[service]}", method)
        client.wait()
        return client.said()


@pytest.fixture
def servers_store(all_images, started):
    """On the servers of tests/support/with-servers."""
    admin = os.environ["TEST_DATABASE_URL"]
    with psycopg.connect(admin, autocommit=True) as db:  # of an earlier test
        db.execute("drop database if exists fashion")
    sql = subprocess.run([ROOT / "services/create_system", "fashion", *SERVICES], capture_output=True, check=True).stdout
    subprocess.run(["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", admin], input=sql, check=True)
    url = admin.rsplit("/", 1)[0].replace("postgres@", "fashion_{}@") + "/fashion"
    return Store(all_images, started, url.format, os.environ["TEST_NATS_URL"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_explains_itself(all_images, started, service):
    process = started(all_images[f"fashion-{service}"], "--help")
    assert process.wait() == 0
    assert "MESH_GRPC_LISTEN" in process.said()


def test_a_service_migrates_serves_and_stops(servers_store):
    servers_store.migrate("product")
    process = servers_store.start("product")
    status = pathlib.Path(f"/proc/{process.popen.pid}/status").read_text()
    assert "\nUid:\t0\t" not in status and "\nSeccomp" in status
    mounts = pathlib.Path(f"/proc/{process.popen.pid}/mountinfo").read_text().splitlines()
    assert [line.split()[5].split(",")[0] for line in mounts if line.split()[4] == "/"] == ["ro"]
    assert process.stop() == 0, process.said()


def password_folder(path, **passwords):
    path.mkdir(exist_ok=True)
    for name, password in passwords.items():
        (path / name).write_text(password + "\n")
    return path


class Postgres:
    def __init__(self, image, started, folder):
        self.image, self.started, self.port = image, started, free_port()
        self.data, self.sockets = folder_for_user(folder / "data"), folder_for_user(folder / "sockets")
        self.secrets = password_folder(folder / "secrets", **{name: f"{name}'s \\secret" for name in SERVICES})
        self.services = "product payment"

    def start(self):
        mounts = {"/var/lib/postgresql": self.data, "/var/run/postgresql": self.sockets, "/etc/cmesh/postgres": self.secrets}
        process = self.started(self.image, "-p", self.port, "-c", "fsync=off", mounts=mounts,
                               env={"CMESH_SYSTEM": "fashion", "CMESH_SERVICES": self.services})

        def ready():
            process.refuse_ended()
            return "ready to accept" in process.said().partition("is ready for")[2]

        eventually(ready, 30, "Postgres is ready")
        return process

    def query(self, service, *statements, password=None):
        """What the last one finds."""
        with psycopg.connect(host="127.0.0.1", port=self.port, user=f"fashion_{service}", dbname="fashion",
                             password=password or f"{service}'s \\secret") as db:
            return [db.execute(statement) for statement in statements][-1].fetchall()


    def superuser(self, password):
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/fashion"


@pytest.fixture
def postgres(all_images, started, folder):
    return Postgres(all_images["cmesh-postgres"], started, folder)


def test_postgres_keeps_its_data_and_learns_of_services_and_passwords(postgres):
    process = postgres.start()
    assert postgres.query("product", "select current_schema, current_setting('server_encoding'), now()::text like '%+00'") == [
        ("fashion_product", "UTF8", True)]
    postgres.query("product", "create table kept (n int)", "insert into kept values (7) returning n")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres.query("product", "select 1", password="wrong")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        postgres.query("payment", "select * from fashion_product.kept")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.superuser("guessed"))
    assert process.stop() == 0

    password_folder(postgres.secrets, product="another", superuser="mighty", **{"two-words": "x"})
    postgres.services = "product payment two-words"
    process = postgres.start()
    assert postgres.query("product", "select n from kept", password="another") == [(7,)]
    assert postgres.query("two_words", "select current_schema", password="x") == [("fashion_two_words",)]
    with psycopg.connect(postgres.superuser("mighty")) as db:
        assert db.execute("show is_superuser").fetchone() == ("on",)
    assert not any(word in process.said() for word in ("secret", "another", "mighty"))


def test_postgres_that_was_killed_comes_again(postgres):
    process = postgres.start()
    postgres.query("product", "create table kept (n int)", "insert into kept values (7) returning n")
    process.stop(signal.SIGKILL)
    postgres.start()
    assert postgres.query("product", "select n from kept") == [(7,)]


@pytest.mark.parametrize("env, sentence", [
    ({}, "CMESH_SYSTEM and CMESH_SERVICES must be set"),
    ({"CMESH_SYSTEM": "fashion", "CMESH_SERVICES": "product"}, "there is no password in /etc/cmesh/postgres/product"),
    ({"CMESH_SYSTEM": "fashion", "CMESH_SERVICES": "product;x"}, "\"product;x\" is no name of a system or service"),
])
def test_postgres_says_what_it_lacks(all_images, started, env, sentence):
    process = started(all_images["cmesh-postgres"], env=env)
    assert process.wait() == 1
    assert sentence in process.said()


def test_postgres_that_cannot_be_prepared_leaves_nothing_running(postgres):
    postgres.start().stop()
    (postgres.data / "data/pg_hba.conf").write_text("local all all reject\n")
    with pytest.raises(RuntimeError, match="pg_hba.conf rejects connection"):
        postgres.start()
    assert not (postgres.data / "data/postmaster.pid").exists()


def test_postgres_refuses_data_of_another_version(postgres):
    (folder_for_user(postgres.data / "data") / "PG_VERSION").write_text("9\n")
    with pytest.raises(RuntimeError, match="is of Postgres 9, this is"):
        postgres.start()


def test_the_images_together_are_a_store(all_images, started, postgres, folder):
    postgres.services = " ".join(SERVICES)
    postgres.start()
    nats_port = free_port()
    nats = all_images["cmesh-nats"]
    started(nats, *nats.config["Cmd"], "-a", "127.0.0.1", "-p", nats_port, mounts={"/data": folder_for_user(folder / "nats")})
    store = Store(all_images, started, lambda service: f"postgresql://fashion_{service}:{service}%27s%20%5Csecret"
                  f"@127.0.0.1:{postgres.port}/fashion", f"nats://127.0.0.1:{nats_port}")
    for service in SERVICES:
        store.migrate(service)
        store.start(service)
    sample = started(all_images["fashion-sample"], f"127.0.0.1:{store.port['product']}")
    assert sample.wait() == 0, sample.said()
    placed = store.call("order", "fashion.order.v1.OrderService/PlaceOrder", f'{{"request_id": "{uuid.uuid4()}", '
                        '"customer_id": "c-1", "product_code": "4000", "size": "S", "quantity": 2}')
    assert '"ORDER_STATUS_PLACED"' in placed, placed

    def on_the_dashboard():
        return "c-1" in store.call("customercenter", "fashion.customercenter.v1.DashboardService/ListDashboards")

    eventually(on_the_dashboard, 10, "the order is on the dashboard")
