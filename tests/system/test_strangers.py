# SPDX-License-Identifier: Apache-2.0
"""Whoever reaches an internal RPC with an order that is not his hurts that order at most, and never the books."""
import grpc
import pytest

from cluster import eventually
from store import (DELIVERY_CANCELLED, PAYMENT_CANCELLED, PAYMENT_PENDING, REJECTED, SHIPPED, Delivery, new_id, reason)


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
