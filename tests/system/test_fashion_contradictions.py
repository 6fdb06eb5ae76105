# SPDX-License-Identifier: Apache-2.0
"""What the system that this one replaces did wrong (FS-X and PX rows) must be impossible here.

Rows shown elsewhere: FS-X-5, -6, -7, -8, -9, -10, -18, PX-3, -7, -9, -16 in test_fashion_rules.py; FS-X-1 and FS-X-4
also in test_e2e_fashion.py; PX-1, -2, -4, -5 also in the pg tests of mesh/src/events; PX-2 and -11 also in
test_kill.py. FS-X-16 is a slip of the pen in a document.
FS-X-13, -15, PX-12 and -13 belong to parts that do not exist yet.
"""
import concurrent.futures
import contextlib
import json
import os
import re
import time

import grpc
import psycopg
import pytest
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cluster import ROOT, SERVICES, eventually
from store import (PAID, PAYMENT_PENDING, PLACED, REJECTED, SHIPPED, Order, new_id, reason)
from test_fashion_rules import stream_events

METHODS = json.loads((ROOT / "helm/fashion/files/methods.json").read_text())


def names(order_id):
    return [n for _, n, _ in stream_events(order_id)]


@contextlib.contextmanager
def commits_fail(cluster, table):
    """While it lasts, every transaction that writes the table does all its work and then fails in COMMIT."""
    admin = os.environ["TEST_DATABASE_URL"].rsplit("/", 1)[0] + "/fashion"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"""
            create or replace function public.refuse() returns trigger language plpgsql as
                $$ begin raise exception 'this transaction shall fail'; end $$;
            create constraint trigger refuse after insert or update on {table} deferrable initially deferred
                for each row execute function public.refuse()""")
        try:
            yield
        finally:
            connection.execute(f"drop trigger refuse on {table}")


def test_FS_F_4_FS_X_1_FS_X_2_FS_X_3_no_payment_no_order_no_delivery(cluster, store):
    product = store.register()
    cluster["payment"].kill()
    try:
        orders = [store.place(product).order for _ in range(5)]
        assert {o.status for o in orders} == {PAYMENT_PENDING}
        for order in orders:
            eventually(lambda: "OrderPaymentPending" in names(order.order_id))
            assert "OrderPlaced" not in names(order.order_id)
            with pytest.raises(grpc.RpcError) as error:
                store.get_delivery(order.order_id)
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
    finally:
        cluster["payment"].start()
    for order in orders:
        eventually(lambda: store.get_order(order.order_id).status == SHIPPED)
        found = names(order.order_id)
        assert found.index("OrderPlaced") < found.index("DeliveryStarted")


def test_FS_X_4_insufficient_stock_is_never_accepted(store):
    product = store.register(stock=1)
    with pytest.raises(grpc.RpcError) as error:
        store.place(product, 2, customer="x4")
    assert reason(error.value) == "INSUFFICIENT_STOCK"
    assert [o.status for o in store.all_orders("x4")] == [REJECTED]


def test_FS_X_11_FS_X_12_the_dashboard_of_customercenter_shows_every_stage(store):
    product = store.register()
    order = store.place(product).order
    seen = eventually(lambda: (d := store.get_dashboard(order.order_id)).order_status == SHIPPED
                      and d.payment_status == PAID and d.delivery_id and d)
    assert seen.payment_id and seen.total_krw == 50000
    store.cancel(order.order_id)
    eventually(lambda: (d := store.get_dashboard(order.order_id)).order_status == Order.ORDER_STATUS_CANCELLED
               and d.payment_status != PAID)


def test_FS_X_17_the_payment_event_carries_the_amount(store):
    from fashion.payment.v1 import payment_events_pb2

    order = store.place(store.register(price=12345), 2).order
    event = eventually(lambda: [e for _, n, e in stream_events(order.order_id) if n == "PaymentCompleted"])[0]
    completed = payment_events_pb2.PaymentCompleted.FromString(event.proto_data.value or event.binary_data)
    assert completed.amount_krw == 24690


def test_FS_X_14_PX_7_state_survives_a_restart_of_every_service(cluster, store):
    product = store.register()
    order = store.place(product, 3).order
    eventually(lambda: store.get_dashboard(order.order_id).order_status == SHIPPED)
    for service in SERVICES:
        cluster[service].kill()
    for service in SERVICES:
        cluster[service].start(wait=False)
    for service in SERVICES:
        cluster[service].wait_ready()
    assert store.stock(product) == 97
    assert store.get_order(order.order_id).status == SHIPPED
    assert store.get_payment(order.order_id).status == PAID
    assert store.get_dashboard(order.order_id).order_status == SHIPPED


def test_PX_1_a_transaction_that_fails_publishes_nothing(cluster, store):
    product = store.register()
    with commits_fail(cluster, "fashion_payment.payments"):
        order = store.place(product).order
        assert order.status == PAYMENT_PENDING
        after = store.place(store.register()).order  # what payment would have published is overtaken by this
        eventually(lambda: "OrderPaymentPending" in names(after.order_id))
        assert "PaymentCompleted" not in names(order.order_id)
        with pytest.raises(grpc.RpcError) as error:
            store.get_payment(order.order_id)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
    eventually(lambda: store.get_order(order.order_id).status == SHIPPED)
    assert names(order.order_id).count("PaymentCompleted") == 1


def test_PX_4_PX_5_an_event_that_cannot_be_applied_now_is_not_lost(cluster, store):
    product = store.register()
    with contextlib.ExitStack() as tables:
        tables.enter_context(commits_fail(cluster, "fashion_customercenter.dashboard_orders"))
        tables.enter_context(commits_fail(cluster, "fashion_delivery.deliveries"))
        orders = [store.place(product, customer="px-5").order for _ in range(5)]
        for order in orders:
            eventually(lambda: "OrderPlaced" in names(order.order_id))
        for service in ("customercenter", "delivery"):
            eventually(lambda: "shall fail" in cluster[service].log(), what=f"{service} says why it cannot")
        assert store.all_dashboards("px-5") == []
    for order in orders:
        eventually(lambda: store.get_dashboard(order.order_id).order_status == SHIPPED, 15)
        assert store.get_delivery(order.order_id).order_id == order.order_id


def test_PX_2_PX_11_a_crash_after_the_payment_leaves_no_half_order(cluster, store):
    """kill -9 of order under load: whatever was half done is finished by a repeat of the same request."""
    product = store.register(stock=1000)
    requests = [new_id() for _ in range(100)]

    def place(request_id):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                return store.place(product, request_id=request_id, timeout=2).order.order_id
            except grpc.RpcError as e:
                assert e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                                    grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN), e
                time.sleep(0.05)
        raise AssertionError("no final answer")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = [pool.submit(place, r) for r in requests]
        eventually(lambda: sum(r.done() for r in results) >= 20, 30)
        cluster["order"].kill()
        cluster["order"].start()
        ids = [r.result() for r in results]
    assert len(set(ids)) == 100
    for order_id in ids:
        eventually(lambda: store.get_order(order_id).status == SHIPPED, 15)
        assert store.get_payment(order_id).status == PAID
    assert store.stock(product) == 900
    for order_id in ids[:10]:
        assert sorted(set(names(order_id))) == sorted(names(order_id))  # no event twice


def test_PX_6_what_changes_state_has_a_key_and_what_reads_has_no_effect():
    for service, methods in METHODS.items():
        for method, facts in methods.items():
            reads = method.startswith(("Get", "List", "Watch"))
            assert facts["idempotency"] == ("NO_SIDE_EFFECTS" if reads else "IDEMPOTENT"), (service, method)


def test_PX_8_only_the_commands_of_the_catalogue_exist(cluster):
    catalogue = {
        "product": {"RegisterProduct", "ModifyProduct", "GetProduct", "ListProducts", "ReserveStock"},
        "order": {"PlaceOrder", "PayOrder", "CancelOrder", "GetOrder", "ListOrders"},
        "payment": {"Pay", "GetPayment"},
        "delivery": {"CancelDelivery", "GetDelivery", "ListDeliveries", "WithdrawOrder"},
        "customercenter": {"GetDashboard", "ListDashboards", "WatchDashboards"},
    }
    for service, expected in catalogue.items():
        with grpc.insecure_channel(f"127.0.0.1:{cluster[service].grpc_port}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            served = [s for s in database.get_services() if s.startswith("fashion.")]
            assert len(served) == 1
            file = database.FindFileContainingSymbol(served[0])
            found = {m.name for s in file.service for m in s.method}
        assert found == expected


def test_PX_14_what_is_served_is_the_contract(cluster):
    """The descriptors that the services serve are those that a client compiles from our .proto files."""
    compiled = descriptor_pool.Default()
    for service in SERVICES:
        with grpc.insecure_channel(f"127.0.0.1:{cluster[service].grpc_port}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            for name in (s for s in database.get_services() if s.startswith("fashion.")):
                served = database.FindFileContainingSymbol(name)
                wanted = type(served)()
                compiled.FindFileContainingSymbol(name).CopyToProto(wanted)
                for field in (f for m in served.message_type for f in m.field):
                    field.ClearField("json_name")  # a compiler adds it, Python's does not keep it
                assert served == wanted, name


def test_PX_10_stock_is_never_read_and_written_back():
    """The only statements that write stock change it by a difference, under a condition."""
    for sql in (ROOT / "services/fashion/product/sql").glob("*.sql"):
        text = re.sub(r"--.*", "", sql.read_text()).lower()
        for value in re.findall(r"\bset\b.*?\bstock\s*=\s*([^,\n]+)", text, re.S):
            assert re.match(r"(\w+\.)?stock\s*[-+]", value.strip()), f"{sql.name}: stock = {value}"


def test_PX_15_times_are_utc_timestamps(store):
    before = time.time()
    order = store.place(store.register()).order
    assert before - 5 < order.create_time.seconds <= time.time() + 5
    event = eventually(lambda: stream_events(order.order_id))[0][2]
    assert before - 5 < event.attributes["time"].ce_timestamp.seconds <= time.time() + 5


def test_PX_15_the_last_second_of_a_year_is_in_that_year_and_the_first_in_the_next(cluster, store):
    """By the year of their weeks they would be in 2025 and in 2026."""
    order_id = store.place(store.register()).order.order_id
    for moment in ("2024-12-31T23:59:59Z", "2027-01-01T00:00:00Z"):
        cluster.query("update fashion_order.orders set created_at = %s where order_id = %s returning 1", moment, order_id)
        assert store.get_order(order_id).create_time.ToJsonString() == moment
