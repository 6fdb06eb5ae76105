/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the order service have in common: requests, orders in every status, time that
 * passes in Postgres, and what was told. */
#ifndef ORDER_TEST_H
#define ORDER_TEST_H

#include "fake_peers.h"
#include "fixture.h"
#include "order_sql.h"
#include "service.h"
#include "store.h"
#include "test.h"

#define STATUS(name) ORDER__ORDER_STATUS__ORDER_STATUS_##name
#define N_STATUSES 6 /* RECEIVED is 1, REJECTED is 6 */

static struct order_service service;

static int setup(void **state __attribute__((unused)))
{
    service.db = fixture_start("fashion-order", order_migrations);
    return 0;
}

static int teardown(void **state __attribute__((unused)))
{
    fixture_stop();
    return 0;
}

/* No order, no event, everybody well. */
static inline void begin(void)
{
    fake_reset();
    service.pay_window_ms = 600000;
    service.pay_retry_ms = 2000;
    service.received_timeout_ms = 30000;
    FIXTURE_INT64("with gone as (delete from orders returning 1) select count(*) from gone",
                  MESH_NO_ARGS);
    FIXTURE_INT64("with gone as (delete from outbox returning 1) select count(*) from gone",
                  MESH_NO_ARGS);
}

/* Two shirts; lives in ctx. */
static inline Order__PlaceOrderRequest *request_of(struct mesh_ctx *ctx)
{
    Order__PlaceOrderRequest *request = mesh_alloc(ctx, sizeof(*request));

    order__place_order_request__init(request);
    request->request_id = mesh_new_id(ctx);
    request->customer_id = "c1";
    request->product_code = "4000";
    request->size = "S";
    request->quantity = 2;
    return request;
}

static inline enum mesh_status place(struct mesh_ctx *ctx, const Order__PlaceOrderRequest *request,
                                     Order__PlaceOrderResponse *ret_response)
{
    order__place_order_response__init(ret_response);
    return rpc_place_order(ctx, &service, request, ret_response);
}

/* The same where the answer does not matter. */
static inline enum mesh_status try_place(struct mesh_ctx *ctx,
                                         const Order__PlaceOrderRequest *request)
{
    Order__PlaceOrderResponse response;

    return place(ctx, request, &response);
}

static inline enum mesh_status pay(struct mesh_ctx *ctx, const char *order_id,
                                   Order__PayOrderResponse *ret_response)
{
    Order__PayOrderRequest request = ORDER__PAY_ORDER_REQUEST__INIT;

    order__pay_order_response__init(ret_response);
    request.order_id = order_id;
    return rpc_pay_order(ctx, &service, &request, ret_response);
}

static inline enum mesh_status cancel(struct mesh_ctx *ctx, const char *order_id,
                                      Order__CancelOrderResponse *ret_response)
{
    Order__CancelOrderRequest request = ORDER__CANCEL_ORDER_REQUEST__INIT;

    order__cancel_order_response__init(ret_response);
    request.order_id = order_id;
    return rpc_cancel_order(ctx, &service, &request, ret_response);
}

/* Whether another sweep is to follow at once. */
static inline bool sweep(void)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    bool more = false;

    CHECK_INT(sweep_run(ctx, &service, &more), MESH_OK);
    return more;
}

static inline void start_delivery(const char *order_id)
{
    Delivery__DeliveryStarted event = DELIVERY__DELIVERY_STARTED__INIT;

    event.order_id = order_id;
    HANDLE(on_delivery_started, &service, &event);
}

static inline void cancel_delivery(const char *order_id)
{
    Delivery__DeliveryCancelled event = DELIVERY__DELIVERY_CANCELLED__INIT;

    event.order_id = order_id;
    HANDLE(on_delivery_cancelled, &service, &event);
}

/* What is in the table; lives in ctx. */
static inline struct order *stored(struct mesh_ctx *ctx, const char *order_id)
{
    struct order *order;

    CHECK_INT(store_get_order(ctx, &service, order_id, &order), MESH_OK);
    CHECK(order != NULL);
    return order;
}

static inline struct order *stored_for(struct mesh_ctx *ctx,
                                       const Order__PlaceOrderRequest *request)
{
    struct order *order;

    CHECK_INT(store_get_order_of_request(ctx, &service, request->request_id, &order), MESH_OK);
    CHECK(order != NULL);
    return order;
}

/* Takes a request for an order to this status, as it gets there in life. */
static inline struct order *take_to(struct mesh_ctx *ctx, const Order__PlaceOrderRequest *request,
                                    Order__OrderStatus status)
{
    const char *order_id;

    if (status == STATUS(RECEIVED)) {
        fake_answer(FAKE_RESERVE, MESH_UNAVAILABLE, NULL);
    } else if (status == STATUS(PAYMENT_PENDING)) {
        fake_answer(FAKE_PAY, MESH_UNAVAILABLE, NULL);
    } else if (status == STATUS(REJECTED)) {
        fake_answer(FAKE_PAY, MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED");
    }
    mesh_ignore(try_place(ctx, request)); /* the table tells */
    order_id = stored_for(ctx, request)->order_id;
    if (status == STATUS(SHIPPED) || status == STATUS(CANCELLED)) {
        start_delivery(order_id);
    }
    if (status == STATUS(CANCELLED)) {
        cancel_delivery(order_id);
    }
    fake_reset();
    CHECK_INT(stored(ctx, order_id)->status, status);
    return stored(ctx, order_id);
}

static inline struct order *given(struct mesh_ctx *ctx, Order__OrderStatus status)
{
    return take_to(ctx, request_of(ctx), status);
}

/* Its next try is due. */
static inline void make_due(const char *order_id)
{
    CHECK_INT(FIXTURE_INT64("update orders set next_try_at = now() - interval '1 second' "
                            "where order_id = $1 returning 0::bigint",
                            MESH_ARGS(mesh_uuid(order_id))),
              0);
}

/* Its pay window is over; not due yet. */
static inline void make_late(const char *order_id)
{
    CHECK_INT(FIXTURE_INT64("update orders set pay_before = now() where order_id = $1 "
                            "returning 0::bigint",
                            MESH_ARGS(mesh_uuid(order_id))),
              0);
}

static inline int64_t n_orders(void)
{
    return FIXTURE_INT64("select count(*) from orders", MESH_NO_ARGS);
}

/* Events of any name. */
static inline int64_t n_events(const char *order_id)
{
    return FIXTURE_INT64("select count(*) from outbox where key = $1",
                         MESH_ARGS(mesh_text(order_id)));
}

/* The order has this status, and of the events that settle one exactly those that belong to it. */
static inline void check_told(struct mesh_ctx *ctx, const char *order_id, Order__OrderStatus status)
{
    bool placed = status == STATUS(PLACED) || status == STATUS(SHIPPED);
    bool cancelled = status == STATUS(CANCELLED);

    CHECK_INT(stored(ctx, order_id)->status, status);
    CHECK_INT(fixture_events("OrderPlaced", order_id), placed || cancelled);
    CHECK_INT(fixture_events("OrderCancelled", order_id), cancelled);
    CHECK_INT(fixture_events("OrderRejected", order_id), status == STATUS(REJECTED));
}

#endif
