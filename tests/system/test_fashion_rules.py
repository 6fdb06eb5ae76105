# SPDX-License-Identifier: Apache-2.0
"""Rules of the fashion store that the end-to-end scenario does not show; each test names its row."""
import collections
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import threading

import grpc
import psycopg
import pytest

from broker import with_jetstream
from cluster import SERVICES, eventually
from io_cloudevents import event_of
from load import FINAL_CODES, OPEN_CODES, until_final
from raw_http2 import Http2, message, request_headers
from servers import nats_pid
from store import (CANCELLED, DELIVERY_CANCELLED, PAID, PAYMENT_CANCELLED, PAYMENT_PENDING, PLACED, REJECTED, SHIPPED, STARTED,
                   Dashboard, Order, Product, detail, new_id, reason)


@pytest.fixture(scope="module")
def settings():
    return {"ORDER_PAY_RETRY_MS": "200", "PAYMENT_LIMIT_KRW": "1000000", "SYSENV": "PROD"}


def stream_events(order_id):
    """All events of one correlation id, in the order of the stream: (source, name, CloudEvent)."""
    async def read(js):
        name = (await js.streams_info())[0].config.name
        state = (await js.stream_info(name)).state
        messages = [await js.get_msg(name, i) for i in range(max(1, state.first_seq), state.last_seq + 1)]
        return [(m.subject.split(".")[2], m.subject.split(".")[3], event_of(m.data)) for m in messages]

    return [e for e in with_jetstream(read) if e[2].attributes["correlationid"].ce_string == order_id]


def placed_and_shipped(store, product, quantity=1, **more):
    order = store.place(product, quantity, **more).order
    assert order.status == PLACED
    eventually(lambda: store.get_order(order.order_id).status == SHIPPED)
    return order


@pytest.mark.smoke
def test_CP_22_FS_O_3_one_order_id_traces_through_all_services(store):
    order = placed_and_shipped(store, store.register())
    store.cancel(order.order_id)
    eventually(lambda: store.get_order(order.order_id).status == CANCELLED)
    eventually(lambda: store.get_payment(order.order_id).status == PAYMENT_CANCELLED)
    wanted = {("payment", "PaymentCompleted"), ("order", "OrderPlaced"), ("delivery", "DeliveryStarted"),
              ("delivery", "DeliveryCancelled"), ("payment", "PaymentCancelled"), ("order", "OrderCancelled")}
    eventually(lambda: {(s, n) for s, n, _ in stream_events(order.order_id)} == wanted)
    assert len(stream_events(order.order_id)) == len(wanted)  # each of them once
    traces = {e.attributes["traceparent"].ce_string.split("-")[1] for _, n, e in stream_events(order.order_id)
              if n in ("OrderPlaced", "PaymentCompleted", "DeliveryStarted")}
    assert len(traces) == 1


def test_FS_O_3_a_trace_of_the_caller_goes_through(store, cluster):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    product = store.register()
    request = Order.PlaceOrderRequest(request_id=new_id(), customer_id="c", product_code=product.code,
                                      size=product.size, quantity=1)
    order = store.order.PlaceOrder(request, timeout=5,
                                   metadata=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]).order
    eventually(lambda: stream_events(order.order_id))
    assert trace in stream_events(order.order_id)[0][2].attributes["traceparent"].ce_string
    for service in ("order", "product", "payment"):
        eventually(lambda: trace in cluster[service].log(), what=f"{service}'s log shows the trace")
    # A wrong one is ignored, not fatal.
    request.request_id = new_id()
    assert store.order.PlaceOrder(request, timeout=5, metadata=[("traceparent", "junk")]).order.status == PLACED


@pytest.mark.smoke
def test_FS_D_2_two_hundred_parallel_orders_never_oversell(cluster, store):
    product = store.register(stock=100)
    requests = [Order.PlaceOrderRequest(request_id=new_id(), customer_id="crowd", product_code=product.code, size=product.size,
                                        quantity=1) for _ in range(200)]
    headers = request_headers("/fashion.order.v1.OrderService/PlaceOrder")
    with contextlib.ExitStack() as stack:
        with cluster["order"].paused():  # until the last of them has been sent
            clients = [stack.enter_context(Http2(cluster["order"].grpc_port)) for _ in requests]
            streams = [c.call(headers, message(r.SerializeToString())) for c, r in zip(clients, requests)]
        assert {c.wait_for_end(s) for c, s in zip(clients, streams)} == {"answered"}
    counts = collections.Counter(c.status for c in clients)
    assert counts[grpc.StatusCode.OK.value[0]] <= 100 and counts[grpc.StatusCode.FAILED_PRECONDITION.value[0]] <= 100, counts
    assert set(counts) <= {c.value[0] for c in (grpc.StatusCode.OK, *FINAL_CODES, *OPEN_CODES)}, counts
    # A repeat tells what became of each: on a slow machine it may have been open.
    answers = [until_final(lambda r=r: store.order.PlaceOrder(r, timeout=3)) for r in requests]
    assert sum(a is not None for a in answers) == 100
    assert store.stock(product) == 0
    eventually(lambda: len([o for o in store.all_orders("crowd") if o.status == SHIPPED]) == 100, 20)


@pytest.mark.smoke
def test_PX_3_FS_D_3_the_same_request_id_is_one_order(store):
    product = store.register(stock=10)
    request_id = new_id()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        def repeat(_):
            while True:
                try:
                    return store.place(product, 2, request_id=request_id).order.order_id
                except grpc.RpcError as e:
                    assert e.code() == grpc.StatusCode.UNAVAILABLE  # being placed: repeat
        ids = set(pool.map(repeat, range(64)))
    assert len(ids) == 1
    assert store.stock(product) == 8
    events = eventually(lambda: [n for _, n, _ in stream_events(ids.copy().pop())].count("OrderPlaced"))
    assert events == 1
    with pytest.raises(grpc.RpcError) as error:
        store.place(product, 3, request_id=request_id)
    assert error.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert store.stock(product) == 8


def test_FS_D_4_FS_X_5_a_declined_payment_gives_the_stock_back(store):
    product = store.register(price=600000)
    with pytest.raises(grpc.RpcError) as error:
        store.place(product, 2, customer="declined")  # 1,200,000 is above the limit of these settings
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "PAYMENT_DECLINED"
    eventually(lambda: store.stock(product) == 100)
    order = store.all_orders("declined")[0]
    assert (order.status, order.reject_reason) == (REJECTED, "PAYMENT_DECLINED")
    assert store.all_dashboards("declined") == []


def test_FS_D_3_an_unknown_order_cannot_be_cancelled(store):
    for call in (store.cancel, store.cancel_delivery, store.pay, store.get_order):
        with pytest.raises(grpc.RpcError) as error:
            call(new_id())
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        assert detail(error.value, "ResourceInfo") is not None


def test_D_15_PX_9_a_wrong_expected_total_is_refused_before_anything_is_taken(store):
    product = store.register(price=50000)
    with pytest.raises(grpc.RpcError) as error:
        store.place(product, 2, expected=99999)
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "TOTAL_MISMATCH"
    assert store.stock(product) == 100


def test_FS_X_10_sizes_are_different_articles(store):
    code = f"sizes-{new_id()}"
    small, large = store.register(code=code, size="S"), store.register(code=code, size="L")
    store.place(large, 3)
    assert (store.stock(small), store.stock(large)) == (100, 97)


def test_FS_X_18_an_unknown_article_is_a_clear_refusal(store):
    missing = Product.Product(code="no-such-article", size="S")
    with pytest.raises(grpc.RpcError) as error:
        store.place(missing)
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "PRODUCT_NOT_FOUND"


def test_FS_X_6_FS_X_7_FS_X_8_FS_X_9_a_cancel_keeps_every_row_and_gives_back_once(store):
    product = store.register(stock=10)
    order = placed_and_shipped(store, product, 4)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: (store.cancel if i % 2 else store.cancel_delivery)(order.order_id), range(16)))
    eventually(lambda: store.get_order(order.order_id).status == CANCELLED)
    eventually(lambda: store.stock(product) == 10)
    assert store.get_delivery(order.order_id).status == DELIVERY_CANCELLED
    eventually(lambda: store.get_payment(order.order_id).status == PAYMENT_CANCELLED)
    names = [n for _, n, _ in stream_events(order.order_id)]
    assert names.count("DeliveryCancelled") == 1
    assert store.stock(product) == 10


def test_cancel_before_the_delivery_has_started(cluster, store):
    product = store.register(stock=10)
    with cluster["delivery"].paused():
        order = store.place(product, 4).order
        with pytest.raises(grpc.RpcError) as error:
            store.cancel(order.order_id)  # as a whole or not at all
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert detail(error.value, "RetryInfo") is not None
        assert store.get_order(order.order_id).status == PLACED
    eventually(lambda: store.cancel(order.order_id))
    eventually(lambda: store.get_order(order.order_id).status == CANCELLED)
    eventually(lambda: store.stock(product) == 10)
    assert store.get_delivery(order.order_id).status == DELIVERY_CANCELLED


def test_a_payment_slower_than_its_timeout_settles_itself(cluster, store):
    product = store.register(stock=10)
    with cluster["payment"].paused():
        answer = store.place(product, 1)
        assert answer.order.status == Order.ORDER_STATUS_PAYMENT_PENDING
        assert answer.retry_after.ToMilliseconds() == 200
        # An unpaid order is cancelled at once, whatever payment does later.
        second = store.place(product, 2).order
        assert store.cancel(second.order_id).status == REJECTED
    eventually(lambda: store.get_order(answer.order.order_id).status == SHIPPED)
    assert store.get_payment(answer.order.order_id).status == PAID
    eventually(lambda: store.stock(product) == 9)
    eventually(lambda: store.get_payment(second.order_id).status == PAYMENT_CANCELLED)


def test_FS_N_4_CP_25_the_dashboard_answers_with_all_other_services_stopped(cluster, store):
    order = placed_and_shipped(store, store.register())
    eventually(lambda: store.get_dashboard(order.order_id).order_status == SHIPPED)
    eventually(lambda: store.get_dashboard(order.order_id).payment_status == PAID)
    others = [s for s in SERVICES if s != "customercenter"]
    for service in others:
        cluster[service].stop()
    try:
        row = store.get_dashboard(order.order_id)
        assert (row.order_status, row.payment_status) == (SHIPPED, PAID)
        assert row in store.all_dashboards()
    finally:
        for service in others:
            cluster[service].start(wait=False)
        for service in others:
            cluster[service].wait_ready()
    placed = eventually(lambda: store.place(store.register()).order.status == PLACED)
    assert placed


def test_CP_23_missed_events_are_processed_after_an_outage(cluster, store):
    product = store.register(stock=1000)
    for service in ("delivery", "customercenter"):
        cluster[service].kill()
    orders = [store.place(product, customer="outage").order.order_id for _ in range(50)]
    for service in ("delivery", "customercenter"):
        cluster[service].start()
    eventually(lambda: len([d for d in store.all_deliveries() if d.order_id in orders]) == 50, 15)
    eventually(lambda: sorted(d.order_id for d in store.all_dashboards("outage") if d.order_status == SHIPPED)
               == sorted(orders), 15)
    assert all(d.status == STARTED for d in store.all_deliveries() if d.order_id in orders)


def test_FS_O_6_PX_7_each_service_has_its_own_schema_and_role(cluster):
    own = {"product": "products", "order": "orders", "payment": "payments", "delivery": "deliveries",
           "customercenter": "dashboards"}
    for service in SERVICES:
        with psycopg.connect(cluster.role_url(service), autocommit=True) as connection:
            connection.execute(f"select 1 from {own[service]} limit 1")
            for other in SERVICES:
                if other != service:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(f"select 1 from fashion_{other}.{own[other]} limit 1")


def test_FS_O_8_the_environment_is_reported_by_delivery(cluster, store):
    order = placed_and_shipped(store, store.register())
    assert store.get_delivery(order.order_id).environment == "PROD"
    del cluster.settings["SYSENV"]
    cluster["delivery"].stop()
    cluster["delivery"].start()
    order = placed_and_shipped(store, store.register())
    assert store.get_delivery(order.order_id).environment == "LOCAL"


@pytest.mark.smoke
def test_watch_streams_changes_of_every_replica_and_a_slow_watcher_hurts_nobody(cluster, store):
    product = store.register(stock=100000)
    replica = cluster.add_replica("customercenter")
    from fashion.customercenter.v1 import customercenter_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{replica.grpc_port}") as channel:
        other = customercenter_pb2_grpc.DashboardServiceStub(channel)
        slow = store.dashboard.WatchDashboards(Dashboard.WatchDashboardsRequest())  # never read
        watches = [stub.WatchDashboards(Dashboard.WatchDashboardsRequest(customer_id="watched"))
                   for stub in (store.dashboard, other)]
        seen = [{}, {}]

        def follow(i):
            try:
                for answer in watches[i]:
                    seen[i][answer.dashboard.order_id] = answer.dashboard
            except grpc.RpcError as e:
                assert e.code() == grpc.StatusCode.CANCELLED

        threads = [threading.Thread(target=follow, args=(i,)) for i in (0, 1)]
        for watch in watches:
            watch.initial_metadata()  # the handler runs: changes from now on are seen
        for thread in threads:
            thread.start()
        orders = [store.place(product, customer="watched").order.order_id for _ in range(20)]
        for i in (0, 1):
            eventually(lambda: all(o in seen[i] and seen[i][o].order_status == SHIPPED
                                   and seen[i][o].payment_status == PAID for o in orders), 10,
                       f"watcher {i} sees all orders shipped and paid")
        for watch in (*watches, slow):
            watch.cancel()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()
    replica.stop()


def test_more_watchers_that_do_not_read_than_there_are_connections_hold_none(cluster, store):
    order = placed_and_shipped(store, store.register())
    # Windows so small that a few unread rows stop the server's writing.
    options = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{cluster['customercenter'].grpc_port}", options=options) as channel:
        stub = type(store.dashboard)(channel)
        watches = [stub.WatchDashboards(Dashboard.WatchDashboardsRequest()) for _ in range(12)]  # the pool has 8
        for watch in watches:
            watch.initial_metadata()
        for _ in range(20):
            store.place(store.register(), customer="c" * 64)
        eventually(lambda: sum(d.order_status == SHIPPED for d in store.all_dashboards("c" * 64)) == 20)
        for _ in range(20):
            assert store.get_dashboard(order.order_id).order_status == SHIPPED
        for watch in watches:
            watch.cancel()


def test_lists_are_paged_newest_first(store):
    product = store.register(stock=1000)
    placed = [store.place(product, customer="pages").order.order_id for _ in range(5)]
    first = store.order.ListOrders(Order.ListOrdersRequest(page_size=2, customer_id="pages"))
    assert [o.order_id for o in first.orders] == placed[:2:-1]
    rest = store.pages(store.order.ListOrders,
                       Order.ListOrdersRequest(page_size=2, customer_id="pages", page_token=first.next_page_token),
                       "orders")
    assert [o.order_id for o in rest] == placed[2::-1]
    with pytest.raises(grpc.RpcError) as error:
        store.order.ListOrders(Order.ListOrdersRequest(page_token="junk"))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert detail(error.value, "BadRequest").field_violations[0].field == "page_token"


def test_validation_names_every_field_and_rule_at_once(store):
    with pytest.raises(grpc.RpcError) as error:
        store.order.PlaceOrder(Order.PlaceOrderRequest(request_id="x", quantity=-1))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    violations = {v.field: v for v in detail(error.value, "BadRequest").field_violations}
    assert set(violations) == {"request_id", "customer_id", "product_code", "size", "quantity"}
    assert all(v.description for v in violations.values())


def test_modify_product_by_difference_once_per_request(store):
    product = store.register(stock=10)
    request = Product.ModifyProductRequest(request_id=new_id(), product_id=product.product_id, stock_delta=5,
                                           unit_price_krw=60000)
    first = store.product.ModifyProduct(request).product
    assert (first.stock, first.unit_price_krw) == (15, 60000)
    assert store.product.ModifyProduct(request).product == first
    assert store.stock(product) == 15
    with pytest.raises(grpc.RpcError) as error:
        store.product.ModifyProduct(Product.ModifyProductRequest(
            request_id=new_id(), product_id=product.product_id, stock_delta=-16))
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert store.stock(product) == 15


def test_PX_16_a_lost_broker_is_in_no_probe(cluster, store):
    os.kill(nats_pid(), signal.SIGSTOP)  # hanging is worse than gone
    try:
        order = store.place(store.register()).order
        assert order.status == PLACED
        assert cluster["order"].http("/readyz")[0] == 200
        assert cluster["order"].http("/livez")[0] == 200
    finally:
        os.kill(nats_pid(), signal.SIGCONT)
    eventually(lambda: store.get_order(order.order_id).status == SHIPPED, 20)


@pytest.mark.smoke
def test_foreign_clients_of_health_reflection_and_metrics_are_served(cluster, store):
    store.place(store.register())  # some metrics begin with the first call
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    for service in SERVICES:
        with grpc.insecure_channel(f"127.0.0.1:{cluster[service].grpc_port}") as channel:
            names = [n for n in ProtoReflectionDescriptorDatabase(channel).get_services() if n.startswith("fashion.")]
            assert len(names) == 1
            health = health_pb2_grpc.HealthStub(channel)
            for name in ("", *names):
                assert health.Check(health_pb2.HealthCheckRequest(service=name)).status == 1
                assert next(iter(health.Watch(health_pb2.HealthCheckRequest(service=name)))).status == 1
            with pytest.raises(grpc.RpcError) as error:
                health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
        status, text = cluster[service].http("/metrics")
        assert status == 200
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        for name in ("grpc_server_started_total", "grpc_server_handled_total", "grpc_server_handling_seconds_bucket",
                     "mesh_server_queue_depth", "process_resident_memory_bytes"):
            assert f"\n{name}" in text, (service, name)
    assert "\ngrpc_client_handled_total" in cluster["order"].http("/metrics")[1]
    assert "\nmesh_outbox_backlog" in cluster["order"].http("/metrics")[1]


def test_every_finished_call_is_one_json_line(cluster, store):
    order = store.place(store.register()).order

    def calls_of_it():
        lines = [json.loads(line) for line in cluster["order"].log().splitlines() if line.startswith("{")]
        return [l for l in lines if l["message"] == "call" and l.get("correlation_id") == order.order_id
                and l["method"].endswith("/PlaceOrder")]

    calls = eventually(calls_of_it, 10, "the log's thread has written it")
    assert len(calls) == 1
    assert calls[0]["code"] == "OK" and calls[0]["ms"] >= 0 and len(calls[0]["trace_id"]) == 32
    assert calls[0]["request_id"] and calls[0]["peer"].startswith("ipv4:127.0.0.1:")
