# SPDX-License-Identifier: Apache-2.0
"""What must be true of all orders of some articles once everything has settled, read from each service's own API.

Every article began with the same stock, every order has a customer of its own, and `ids` are orders that were answered.
"""
import collections

import grpc

from store import (CANCELLED, DELIVERY_CANCELLED, PAID, PAYMENT_CANCELLED, REJECTED, SHIPPED, STARTED)


def books_are_right(store, products, stock, ids):
    """True, or an AssertionError. To be polled: it reads everything anew, for an order may still be on its way."""
    orders = [o for o in store.all_orders() if o.product_code in {p.code for p in products}]
    counts = collections.Counter(o.status for o in orders)
    assert set(counts) <= {SHIPPED, CANCELLED, REJECTED}, counts  # none is RECEIVED, PAYMENT_PENDING or PLACED
    assert set(ids) <= {o.order_id for o in orders}  # what was answered is known
    assert len(orders) == len({o.customer_id for o in orders})  # one each: a repeat is never a second order
    live = {o.order_id: o for o in orders if o.status == SHIPPED}
    stock_is_right(store, products, stock, live.values())
    payments_are_right(store, orders, live)
    deliveries_are_right(store, orders, live)
    dashboards_are_right(store, orders)
    return True


def stock_is_right(store, products, stock, live):
    for product in products:
        sold = sum(o.quantity for o in live if o.product_code == product.code)
        assert store.stock(product) == stock - sold, (product.code, store.stock(product), stock - sold)


def payments_are_right(store, orders, live):
    for order in orders:
        try:
            payment = store.get_payment(order.order_id)
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.NOT_FOUND and order.order_id not in live, order
            continue
        assert payment.status == (PAID if order.order_id in live else PAYMENT_CANCELLED), (order, payment)
        if order.order_id in live:
            assert (payment.payment_id, payment.amount_krw) == (order.payment_id, order.total_krw)


def deliveries_are_right(store, orders, live):
    known = {o.order_id for o in orders}
    deliveries = [d for d in store.all_deliveries() if d.order_id in known]
    assert len(deliveries) == len({d.order_id for d in deliveries})
    started = {d.order_id for d in deliveries if d.status == STARTED}
    assert started == set(live)
    assert all(d.status in (STARTED, DELIVERY_CANCELLED) for d in deliveries)


def dashboards_are_right(store, orders):
    rows = {d.order_id: d for d in store.all_dashboards()}
    for order in orders:
        if order.status == REJECTED:
            assert order.order_id not in rows or rows[order.order_id].order_status == REJECTED
            continue
        assert order.order_id in rows
        row = rows[order.order_id]
        paid, delivered = (PAID, STARTED) if order.status == SHIPPED else (PAYMENT_CANCELLED, DELIVERY_CANCELLED)
        assert (row.order_status, row.payment_status, row.delivery_status) == (order.status, paid, delivered), row
        assert (row.quantity, row.total_krw, row.payment_id) == (order.quantity, order.total_krw, order.payment_id)
