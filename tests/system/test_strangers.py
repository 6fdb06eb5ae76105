# SPDX-License-Identifier: Apache-2.0
"""Whoever reaches an internal RPC with an order that is not his hurts that order at most, and never the books; and whoever
reaches the broker holds up nothing with the largest message that it takes."""
import grpc
import nats.errors
import pytest

from broker import with_jetstream
from cluster import eventually
from store import (DELIVERY_CANCELLED, PAYMENT_CANCELLED, PAYMENT_PENDING, REJECTED, SHIPPED, Delivery, new_id, reason)
from wire import raw_field

MEGABYTE = 1 << 20


def withdraw(store, order_id, product):
    request = Delivery.WithdrawOrderRequest(order_id=order_id, product_code=product.code, size=product.size, quantity=1)
    return store.delivery.WithdrawOrder(request, timeout=store.timeout).delivery


def test_an_order_that_nobody_placed_can_be_withdrawn_and_holds_up_nothing(cluster, store):
    product = store.register()
    stranger = new_id()
    assert withdraw(store, stranger, product).status == DELIVERY_CANCELLED
    eventually(lambda: stranger in cluster["order"].log(), what="order has met the event")
    # So many that some are read behind the stranger's event.
    orders = [store.place(product).order.order_id for _ in range(40)]
    for order_id in orders:
        eventually(lambda: store.get_order(order_id).status == SHIPPED)
    assert store.stock(product) == 60


def test_FS_N_1_an_order_withdrawn_before_it_is_paid_is_never_placed(cluster, store):
    product = store.register()
    cluster["payment"].kill()
    try:
        order = store.place(product).order
        assert order.status == PAYMENT_PENDING
        withdraw(store, order.order_id, product)
        eventually(lambda: store.get_order(order.order_id).status == REJECTED)
    finally:
        cluster["payment"].start()
    assert store.get_order(order.order_id).reject_reason == "DELIVERY_CANCELLED"
    eventually(lambda: store.get_payment(order.order_id).status == PAYMENT_CANCELLED)
    with pytest.raises(grpc.RpcError) as error:
        store.pay(order.order_id)
    assert reason(error.value) == "DELIVERY_CANCELLED"
    eventually(lambda: store.stock(product) == 100)
    eventually(lambda: store.get_dashboard(order.order_id).order_status == REJECTED)
    assert store.get_delivery(order.order_id).status == DELIVERY_CANCELLED


def test_an_event_of_a_megabyte_is_parked_and_holds_up_nothing(cluster, store):
    product = store.register()
    order_id = store.place(product).order.order_id
    eventually(lambda: store.get_order(order_id).status == SHIPPED)

    async def publish(js):
        config = (await js.stream_info("fashion")).config
        await js.update_stream(config.evolve(max_msg_size=-1))  # who made the stream allows no such message
        event = await js.get_last_msg("fashion", "fashion.*.order.OrderPlaced")
        # A field that nobody knows is no error: it is well formed, and not a byte more is taken.
        head = len(raw_field(1999, bytes(MEGABYTE // 2))) - MEGABYTE // 2
        data = event.data + raw_field(1999, bytes(MEGABYTE - len(event.data) - head))
        assert len(data) == MEGABYTE
        with pytest.raises(nats.errors.MaxPayloadError):
            await js.publish(event.subject, data + b"0")
        await js.publish(event.subject, data)

    def parked(service):
        return [r[0] for r in cluster.query(f"select reason from fashion_{service}.dead_letter")]

    with_jetstream(publish)
    for service in ("delivery", "customercenter"):
        eventually(lambda s=service: parked(s) == [f"envelope of {MEGABYTE} bytes: larger than {1 << 18}"])
    # So many that some are read behind it.
    for order_id in [store.place(product).order.order_id for _ in range(40)]:
        eventually(lambda i=order_id: store.get_dashboard(i).order_status == SHIPPED)
