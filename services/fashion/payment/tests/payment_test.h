/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the payment service have in common: requests, events, and what is in the table.
 */
#ifndef PAYMENT_TEST_H
#define PAYMENT_TEST_H

#include "fixture.h"
#include "payment.h"
#include "payment_sql.h"
#include "service.h"
#include "test.h"

#define NONE PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_UNSPECIFIED
#define PAID PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID
#define CANCELLED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_CANCELLED
#define REJECTED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_REJECTED

static struct payment_service service = {.limit_krw = 1000000};

static int setup(void **state __attribute__((unused)))
{
    service.db = fixture_start("fashion-payment", payment_migrations);
    return 0;
}

static int teardown(void **state __attribute__((unused)))
{
    fixture_stop();
    return 0;
}

static inline enum mesh_status pay(struct mesh_ctx *ctx, const char *order_id, int64_t amount_krw,
                                   Payment__PayResponse *ret_response)
{
    Payment__PayRequest request = PAYMENT__PAY_REQUEST__INIT;

    payment__pay_response__init(ret_response);
    request.order_id = order_id;
    request.amount_krw = amount_krw;
    return rpc_pay(ctx, &service, &request, ret_response);
}

static inline void reject_order(const char *order_id, bool payment_asked)
{
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;

    event.order_id = order_id;
    event.reason = "PAY_WINDOW_PASSED";
    event.payment_asked = payment_asked;
    event.version = 3;
    HANDLE(on_order_rejected, &service, &event);
}

static inline void cancel_delivery(const char *order_id)
{
    Delivery__DeliveryCancelled event = DELIVERY__DELIVERY_CANCELLED__INIT;

    event.delivery_id = order_id;
    event.order_id = order_id;
    event.version = 2;
    HANDLE(on_delivery_cancelled, &service, &event);
}

/* -1: the order has no payment. */
static inline int64_t status_of(const char *order_id)
{
    return FIXTURE_INT64("select status::bigint from payments where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

static inline int64_t n_payments_of(const char *order_id)
{
    return FIXTURE_INT64("select count(*) from payments where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

#endif
