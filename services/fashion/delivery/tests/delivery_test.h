/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the delivery service have in common: requests, events, and what is in the
 * table. */
#ifndef DELIVERY_TEST_H
#define DELIVERY_TEST_H

#include "delivery.h"
#include "delivery_sql.h"
#include "fixture.h"
#include "service.h"
#include "test.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED
#define STARTED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_STARTED
#define CANCELLED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED

static struct delivery_service service = {.environment = "PROD"};

static int setup(void **state __attribute__((unused)))
{
    service.db = fixture_start("fashion-delivery", delivery_migrations);
    return 0;
}

static int teardown(void **state __attribute__((unused)))
{
    fixture_stop();
    return 0;
}

static inline void place_order(const char *order_id)
{
    Order__OrderPlaced event = ORDER__ORDER_PLACED__INIT;

    event.order_id = order_id;
    event.customer_id = "c1";
    event.product_code = "4000";
    event.size = "S";
    event.quantity = 2;
    event.total_krw = 100000;
    event.payment_id = order_id;
    event.version = 2;
    HANDLE(on_order_placed, &service, &event);
}

static inline enum mesh_status cancel(struct mesh_ctx *ctx, const char *order_id,
                                      Delivery__CancelDeliveryResponse *ret_response)
{
    Delivery__CancelDeliveryRequest request = DELIVERY__CANCEL_DELIVERY_REQUEST__INIT;

    delivery__cancel_delivery_response__init(ret_response);
    request.order_id = order_id;
    return rpc_cancel_delivery(ctx, &service, &request, ret_response);
}

static inline enum mesh_status withdraw(struct mesh_ctx *ctx, const char *order_id,
                                        Delivery__WithdrawOrderResponse *ret_response)
{
    Delivery__WithdrawOrderRequest request = DELIVERY__WITHDRAW_ORDER_REQUEST__INIT;

    delivery__withdraw_order_response__init(ret_response);
    request.order_id = order_id;
    request.product_code = "4000";
    request.size = "S";
    request.quantity = 2;
    return rpc_withdraw_order(ctx, &service, &request, ret_response);
}

/* -1: the order has no delivery. */
static inline int64_t status_of(const char *order_id)
{
    return FIXTURE_INT64("select status::bigint from deliveries where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

#endif
