# SPDX-License-Identifier: Apache-2.0
"""What must be true of all orders of a store once everything has settled, read from each service's own API; and of its
events, which no API shows.

Every article that is looked at began with the same stock, and every order of it has a customer of its own.
"""
import collections
import concurrent.futures

import grpc

from cluster import SERVICES, eventually
from store import (CANCELLED, DELIVERY_CANCELLED, PAID, PAYMENT_CANCELLED, PLACED, REJECTED, SHIPPED, STARTED)

# Who handles what. (fashion.md, 1.4)
CONSUMERS = {
    "order.OrderPlaced": {"delivery", "customercenter"},
    "order.OrderPaymentPending": {"customercenter"},
    "order.OrderRejected": {"product", "payment", "customercenter"},
    "order.OrderCancelled": {"customercenter"},
    "payment.PaymentCompleted": {"customercenter"},
    "payment.PaymentCancelled": {"customercenter"},
    "delivery.DeliveryStarted": {"order", "customercenter"},
    "delivery.DeliveryCancelled": {"order", "product", "payment", "customercenter"},
    "product.ProductRegistered": set(),
}
CANCEL_REASONS = ("CANCELLED_BY_CUSTOMER", "DELIVERY_CANCELLED")


def wait_until_right(cluster, store, products, stock, known, seconds):
    eventually(lambda: books_are_right(store, products, stock, known), seconds, "the books are right")
    eventually(lambda: events_are_right(cluster), 10, "every event is handled")


def books_are_right(store, products, stock, known):
    """True, or an AssertionError. To be polled: it reads everything anew, for an order may still be on its way."""
    orders = store.all_orders()
    counts = collections.Counter(o.status for o in orders)
    assert set(counts) <= {SHIPPED, CANCELLED, REJECTED}, counts  # none is RECEIVED, PAYMENT_PENDING or PLACED
    own = [o for o in orders if o.product_code in {p.code for p in products}]
    outcomes_are_right(own, known)
    live = {o.order_id: o for o in orders if o.status == SHIPPED}
    stock_is_right(store, products, stock, live.values())
    payments_are_right(store, orders, live)
    deliveries_are_right(store, orders, live)
    dashboards_are_right(store, orders)
    return True


def outcomes_are_right(orders, known):
    assert set(known.answers) - {o.order_id for o in orders} == set()  # what was answered is known
    assert len(orders) == len({o.customer_id for o in orders})  # one each: a repeat is never a second order
    for order in orders:
        answer = known.answers.get(order.order_id)  # None: its customer was told nothing
        outcomes = {SHIPPED} if answer in (PLACED, SHIPPED) else {SHIPPED, REJECTED}
        if order.order_id in known.asked:
            outcomes.add(CANCELLED)
        else:
            assert order.reject_reason not in CANCEL_REASONS, order
        if order.order_id in known.cancelled:
            outcomes.remove(SHIPPED)
        assert order.status in outcomes, (order, answer)


def stock_is_right(store, products, stock, live):
    for product in products:
        sold = sum(o.quantity for o in live if o.product_code == product.code)
        assert store.stock(product) == stock - sold, (product.code, store.stock(product), stock - sold)


def payments_are_right(store, orders, live):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        payments = list(pool.map(lambda o: payment_of(store, o), orders))
    for order, payment in zip(orders, payments):
        if payment is None:
            assert order.order_id not in live, order
            continue
        assert payment.status == (PAID if order.order_id in live else PAYMENT_CANCELLED), (order, payment)
        if order.order_id in live:
            assert (payment.payment_id, payment.amount_krw) == (order.payment_id, order.total_krw)


def payment_of(store, order):
    try:
        return store.get_payment(order.order_id)
    except grpc.RpcError as e:
        if e.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return None


def deliveries_are_right(store, orders, live):
    deliveries = store.all_deliveries()
    assert {d.order_id for d in deliveries} - {o.order_id for o in orders} == set()
    assert len(deliveries) == len({d.order_id for d in deliveries})
    started = {d.order_id for d in deliveries if d.status == STARTED}
    assert started == set(live)
    assert all(d.status in (STARTED, DELIVERY_CANCELLED) for d in deliveries)


def dashboards_are_right(store, orders):
    rows = {d.order_id: d for d in store.all_dashboards()}
    assert set(rows) - {o.order_id for o in orders} == set()
    for order in orders:
        if order.status == REJECTED:
            assert order.order_id not in rows or rows[order.order_id].order_status == REJECTED
            continue
        assert order.order_id in rows
        row = rows[order.order_id]
        paid, delivered = (PAID, STARTED) if order.status == SHIPPED else (PAYMENT_CANCELLED, DELIVERY_CANCELLED)
        assert (row.order_status, row.payment_status, row.delivery_status) == (order.status, paid, delivered), row
        assert (row.quantity, row.total_krw, row.payment_id) == (order.quantity, order.total_krw, order.payment_id)


def nothing_is_parked(cluster):
    for service in SERVICES:
        parked = cluster.query(f"select subject, key, reason from fashion_{service}.dead_letter")
        assert parked == [], (service, parked)


def events_are_right(cluster):
    """True, or an AssertionError: every event is handled once by everybody who has to, and by nobody else; of an order
    none is told twice, or of one that is not there."""
    nothing_is_parked(cluster)
    orders = {row[0] for row in cluster.query("select order_id::text from fashion_order.orders")}
    expected = {service: set() for service in SERVICES}
    told = set()
    for source in SERVICES:
        for event_id, name, key in cluster.query(
                f"select event_id::text, split_part(subject, '.', 3) || '.' || split_part(subject, '.', 4), key"
                f" from fashion_{source}.outbox"):
            assert (name, key) not in told, (name, key)
            told.add((name, key))
            assert source == "product" or key in orders, (name, key)
            for service in CONSUMERS[name]:
                expected[service].add(event_id)
    for service in SERVICES:
        handled = cluster.query(f"select event_id::text from fashion_{service}.inbox")
        assert len(handled) == len(set(handled)), service
        assert_same(service, {row[0] for row in handled}, expected[service])
    return True


def assert_same(service, handled, expected):
    assert handled == expected, f"{service}: {len(expected - handled)} are not handled, {len(handled - expected)} nobody emitted"
