# SPDX-License-Identifier: Apache-2.0
"""E2E-FS: the end-to-end scenario of the fashion store, step by step."""
import asyncio
import os

import grpc
import nats
import pytest

from cluster import eventually
from policy import Breaker
from store import (CANCELLED, DELIVERY_CANCELLED, PAID, PAYMENT_CANCELLED, PAYMENT_PENDING, PLACED, REJECTED,
                   SHIPPED, STARTED, detail, reason)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def settings():
    # A pay window of 5 s, so that step 7 can see orders pass it.
    return {"ORDER_PAY_RETRY_MS": "300", "ORDER_PAY_WINDOW_MS": "5000"}


@pytest.fixture(scope="module")
def seen():
    """What one step leaves for the next."""
    return {}


def stream_events():
    """(subject, correlation id, CloudEvent bytes) of everything on the system's stream."""

    async def read():
        connection = await nats.connect(os.environ["TEST_NATS_URL"])
        try:
            context = connection.jetstream()
            name = (await context.streams_info())[0].config.name
            last = (await context.stream_info(name)).state
            return [await context.get_msg(name, i) for i in range(max(1, last.first_seq), last.last_seq + 1)]
        finally:
            await connection.close()

    return asyncio.run(read())


def events_named(name, key):
    return [m for m in stream_events() if m.subject.endswith("." + name) and key.encode() in m.data]


def test_step_1_FS_F_1_the_md_registers_a_product(store, seen):
    product = store.register(code="4000", size="S", price=50000, stock=100)
    seen["product"] = product
    assert store.stock(product) == 100
    eventually(lambda: len(events_named("ProductRegistered", product.product_id)) == 1)


def test_step_2_FS_F_2_FS_F_3_an_order_takes_stock_and_money(store, seen):
    answer = store.place(seen["product"], quantity=2, expected=100000)
    seen["order"] = answer.order
    assert answer.order.status == PLACED
    assert store.stock(seen["product"]) == 98
    payment = store.get_payment(answer.order.order_id)
    assert (payment.status, payment.amount_krw) == (PAID, 100000)


def test_step_3_FS_F_5_FS_F_6_the_delivery_starts_and_the_dashboard_shows_it(store, seen):
    order_id = seen["order"].order_id
    delivery = eventually(lambda: store.get_delivery(order_id))
    assert delivery.status == STARTED
    eventually(lambda: store.get_order(order_id).status == SHIPPED)
    row = eventually(lambda: (d := store.get_dashboard(order_id)).order_status == SHIPPED
                     and d.payment_status == PAID and d)
    assert (row.product_code, row.size, row.quantity, row.total_krw) == ("4000", "S", 2, 100000)
    assert row.delivery_id == delivery.delivery_id


def test_step_4_FS_D_1_too_much_is_refused_and_leaves_no_trace(store, seen):
    with pytest.raises(grpc.RpcError) as error:
        store.place(seen["product"], quantity=1000, customer="too-much")
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "INSUFFICIENT_STOCK"
    assert store.stock(seen["product"]) == 98
    refused = store.all_orders("too-much")
    assert [o.status for o in refused] == [REJECTED]
    with pytest.raises(grpc.RpcError) as error:
        store.get_payment(refused[0].order_id)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert store.all_dashboards("too-much") == []


def test_step_5_FS_N_1_without_payment_the_order_waits(cluster, store, seen):
    cluster["payment"].stop()
    answer = store.place(seen["product"], quantity=1)
    seen["pending"] = answer.order
    assert answer.order.status == PAYMENT_PENDING
    assert answer.retry_after.ToMilliseconds() > 0
    assert store.stock(seen["product"]) == 97
    eventually(lambda: store.get_dashboard(answer.order.order_id).order_status == PAYMENT_PENDING)
    assert events_named("OrderPlaced", answer.order.order_id) == []
    with pytest.raises(grpc.RpcError) as error:
        store.get_delivery(answer.order.order_id)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_step_6_FS_N_3_the_breaker_opens_and_orders_are_pending_at_once(cluster, store, seen):
    refused = {"destination": "payment", "reason": "circuit_open"}
    seen["breaker"] = Breaker(cluster)
    seen["waiting"] = []

    def place_until(reached):
        answer = store.place(seen["product"], quantity=1)
        assert answer.order.status == PAYMENT_PENDING and answer.retry_after.ToMilliseconds() > 0
        seen["waiting"].append(answer.order.order_id)
        return reached()

    eventually(lambda: place_until(lambda: seen["breaker"].state() == "open"), 20, "the breaker is open")
    before = cluster["order"].metric("mesh_client_refused_total", **refused)
    eventually(lambda: place_until(lambda: cluster["order"].metric("mesh_client_refused_total", **refused) > before))
    for order_id in seen["waiting"]:
        assert events_named("OrderPlaced", order_id) == []


def test_step_7_pending_orders_are_paid_or_given_up(cluster, store, seen):
    order_id = seen["pending"].order_id
    # Whatever is left unpaid past the pay window is given up: its stock returns.
    for left in (order_id, *seen["waiting"]):
        eventually(lambda: store.get_order(left).status == REJECTED, 15)
        assert store.get_order(left).reject_reason == "PAY_WINDOW_PASSED"
    eventually(lambda: store.stock(seen["product"]) == 98)
    eventually(lambda: store.get_dashboard(order_id).order_status == REJECTED)

    by_hand = store.place(seen["product"], quantity=1).order
    by_sweep = store.place(seen["product"], quantity=1).order
    assert (by_hand.status, by_sweep.status) == (PAYMENT_PENDING, PAYMENT_PENDING)
    cluster["payment"].start()
    eventually(lambda: store.pay(by_hand.order_id).order.status in (PLACED, SHIPPED))
    eventually(lambda: store.get_order(by_sweep.order_id).status in (PLACED, SHIPPED))
    fresh = []

    def recovered():
        fresh.append(store.place(seen["product"], quantity=1).order)
        return fresh[-1].status == PLACED and seen["breaker"].has_opened_and_recovered()

    eventually(recovered, 20, "the breaker is closed")
    seen["by_hand"] = by_hand
    for order in (by_hand, by_sweep, *fresh):
        eventually(lambda: store.get_delivery(order.order_id).status == STARTED)
        assert store.get_payment(order.order_id).status == PAID


def test_step_8_FS_N_2_orders_go_on_without_delivery(cluster, store, seen):
    cluster["delivery"].stop()
    order = store.place(seen["product"], quantity=1).order
    seen["late"] = order
    assert order.status == PLACED
    assert store.get_payment(order.order_id).status == PAID
    row = eventually(lambda: (d := store.get_dashboard(order.order_id)).payment_status == PAID and d)
    assert (row.order_status, row.delivery_id) == (PLACED, "")


def test_step_9_two_replicas_of_delivery_start_it_once(cluster, store, seen):
    cluster["delivery"].start(wait=False)
    cluster.add_replica("delivery")
    cluster["delivery"].wait_ready()
    order_id = seen["late"].order_id
    eventually(lambda: store.get_dashboard(order_id).order_status == SHIPPED)
    assert len([d for d in store.all_deliveries() if d.order_id == order_id]) == 1


def test_step_10_FS_F_7_FS_F_8_FS_F_9_the_md_cancels(store, seen):
    order_id = seen["order"].order_id
    before = store.stock(seen["product"])
    assert store.cancel_delivery(order_id).status == DELIVERY_CANCELLED
    assert store.get_delivery(order_id).status == DELIVERY_CANCELLED
    eventually(lambda: store.get_payment(order_id).status == PAYMENT_CANCELLED)
    eventually(lambda: store.get_order(order_id).status == CANCELLED)
    eventually(lambda: store.stock(seen["product"]) == before + 2)
    eventually(lambda: (d := store.get_dashboard(order_id)).order_status == CANCELLED
               and d.payment_status == PAYMENT_CANCELLED)


def test_step_11_FS_D_3_a_second_cancel_changes_nothing_and_the_customer_can_cancel(store, seen):
    before = store.stock(seen["product"])
    assert store.cancel_delivery(seen["order"].order_id).status == DELIVERY_CANCELLED
    assert store.cancel(seen["order"].order_id).status == CANCELLED
    order_id = seen["by_hand"].order_id
    store.cancel(order_id)
    eventually(lambda: store.get_order(order_id).status == CANCELLED)
    eventually(lambda: store.get_payment(order_id).status == PAYMENT_CANCELLED)
    eventually(lambda: store.get_delivery(order_id).status == DELIVERY_CANCELLED)
    eventually(lambda: store.get_dashboard(order_id).order_status == CANCELLED)
    eventually(lambda: store.stock(seen["product"]) == before + 1)
    assert store.cancel(order_id).status == CANCELLED
    assert store.stock(seen["product"]) == before + 1


def test_step_12_the_books_are_right(store, seen):
    orders = [o for o in store.all_orders() if o.product_code == "4000"]
    live = [o for o in orders if o.status in (PLACED, SHIPPED)]
    assert live and all(o.status in (PLACED, SHIPPED, CANCELLED, REJECTED) for o in orders)
    assert store.stock(seen["product"]) == 100 - sum(o.quantity for o in live)
    for order in orders:
        try:
            paid = store.get_payment(order.order_id).status == PAID
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.NOT_FOUND
            paid = False
        assert paid == (order.status in (PLACED, SHIPPED)), order
    started = [d.order_id for d in store.all_deliveries() if d.status == STARTED]
    assert sorted(started) == sorted(o.order_id for o in live)
