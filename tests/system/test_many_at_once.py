# SPDX-License-Identifier: Apache-2.0
"""Many at once on few articles, and many who watch."""
import concurrent.futures
import random

import grpc

from books import wait_until_right
from cluster import eventually
from fashion.customercenter.v1 import customercenter_pb2_grpc
from load import Known, until_final
from store import PAID, SHIPPED, Dashboard, Store, new_id, reason

WATCHERS = 20


def test_FS_D_2_FS_D_3_FS_X_9_orders_and_cancels_at_once_leave_the_books_right(cluster, store):
    rng = random.Random(1)
    products = [store.register(stock=60) for _ in range(3)]
    known = Known()
    ids = []
    refusals = []

    def act(number):
        try:
            if number % 4 < 2 or not ids:
                ids.append(known.place(store, products[number % 3], 1 + number % 2, customer=f"crowd-{new_id()}"))
            else:
                known.cancel(store.cancel if number % 4 == 2 else store.cancel_delivery, rng.choice(ids))
        except grpc.RpcError as e:
            busy = e.code() == grpc.StatusCode.UNAVAILABLE  # whatever limit was reached
            refusals.append(e.code() if busy else reason(e) or e.code())

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        list(pool.map(act, range(800)))
    # NOT_FOUND: the merchandiser was quicker than OrderPlaced. On a slow machine payment takes longer than its
    # timeout: then an order is pending, a cancel rejects it, and a second cancel finds that.
    assert set(refusals) <= {"INSUFFICIENT_STOCK", "CANCELLED_BY_CUSTOMER", grpc.StatusCode.NOT_FOUND,
                             grpc.StatusCode.UNAVAILABLE}
    # An order that was refused by a limit is RECEIVED, and given up after 30 s.
    wait_until_right(cluster, store, products, 60, known, 60)


def test_FS_D_3_a_thousand_repeats_of_one_request_by_32_clients_are_one_order_and_one_payment(cluster, store):
    product = store.register(stock=100)
    request_id = new_id()
    known = Known()

    def repeat(number):
        with Store(cluster) as client:
            for _ in range(1000 // 32 + (number < 1000 % 32)):
                assert until_final(lambda: known.place(client, product, 3, customer="repeater", request_id=request_id))

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(repeat, range(32)))
    (order_id,) = known.answers
    wait_until_right(cluster, store, [product], 100, known, 20)
    assert [o.order_id for o in store.all_orders("repeater")] == [order_id]
    assert store.get_payment(order_id).amount_krw == 3 * 50000


def test_FS_N_4_twenty_watchers_see_every_order_under_load(cluster, store):
    product = store.register(stock=100000)
    channels = [grpc.insecure_channel(f"127.0.0.1:{cluster['customercenter'].grpc_port}",
                                      options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(WATCHERS)]
    watches = [customercenter_pb2_grpc.DashboardServiceStub(c).WatchDashboards(Dashboard.WatchDashboardsRequest())
               for c in channels]
    seen = [{} for _ in watches]

    def follow(watch, rows):
        try:
            for answer in watch:
                rows[answer.dashboard.order_id] = answer.dashboard
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.CANCELLED

    with concurrent.futures.ThreadPoolExecutor(WATCHERS) as followers:
        try:
            for watch in watches:
                watch.initial_metadata()  # from here on no change is missed
            following = [followers.submit(follow, *pair) for pair in zip(watches, seen)]
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                ids = [a.order.order_id for a in pool.map(lambda _: store.place(product), range(300))]
            eventually(lambda: all(i in rows and (rows[i].order_status, rows[i].payment_status) == (SHIPPED, PAID)
                                   for rows in seen for i in ids), 20, "every watcher has seen every order shipped")
        finally:
            for watch in watches:
                watch.cancel()
    for future in following:
        future.result()
    for channel in channels:
        channel.close()
