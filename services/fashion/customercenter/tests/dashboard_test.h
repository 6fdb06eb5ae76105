/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the customercenter service have in common: the events of one order's life. */
#ifndef DASHBOARD_TEST_H
#define DASHBOARD_TEST_H

#include "app/signals.h"
#include "customercenter_sql.h"
#include "fixture.h"
#include "service.h"
#include "test.h"

#define ORDER(name) ORDER__ORDER_STATUS__ORDER_STATUS_##name
#define DELIVERY(name) DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_##name
#define PAYMENT(name) PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_##name

#define PAYMENT_ID "0191a1f0-0000-7000-8000-00000000000a"
#define DELIVERY_ID "0191a1f0-0000-7000-8000-00000000000d"

static struct customercenter_service service;
static struct mesh__signals *signals;

static int setup(void **state __attribute__((unused)))
{
    signals = mesh__signals_new();
    service.changed = mesh__signals_get(signals, "dashboards");
    service.db = fixture_start("fashion-customercenter", customercenter_migrations);
    return 0;
}

static int teardown(void **state __attribute__((unused)))
{
    fixture_stop();
    mesh__signals_free(signals);
    return 0;
}

/* Each applies its event, with the version that it has in an order's life, as part of tx. */
typedef enum mesh_status apply_event(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                     const char *order_id);

static inline enum mesh_status order_payment_pending(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                                     const char *order_id)
{
    Order__OrderPaymentPending event = ORDER__ORDER_PAYMENT_PENDING__INIT;

    event.order_id = order_id;
    event.customer_id = "c1";
    event.product_code = "4000";
    event.size = "S";
    event.quantity = 2;
    event.total_krw = 100000;
    event.version = 2;
    return on_order_payment_pending(ctx, &service, tx, &event);
}

static inline enum mesh_status order_placed(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                            const char *order_id)
{
    Order__OrderPlaced event = ORDER__ORDER_PLACED__INIT;

    event.order_id = order_id;
    event.customer_id = "c1";
    event.product_code = "4000";
    event.size = "S";
    event.quantity = 2;
    event.total_krw = 100000;
    event.payment_id = PAYMENT_ID;
    event.version = 3;
    return on_order_placed(ctx, &service, tx, &event);
}

static inline enum mesh_status order_rejected(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                              const char *order_id)
{
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;

    event.order_id = order_id;
    event.reason = "PAY_WINDOW_PASSED";
    event.payment_asked = true;
    event.version = 3;
    return on_order_rejected(ctx, &service, tx, &event);
}

static inline enum mesh_status order_cancelled(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                               const char *order_id)
{
    Order__OrderCancelled event = ORDER__ORDER_CANCELLED__INIT;

    event.order_id = order_id;
    event.version = 5;
    return on_order_cancelled(ctx, &service, tx, &event);
}

static inline enum mesh_status payment_completed(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                                 const char *order_id)
{
    Payment__PaymentCompleted event = PAYMENT__PAYMENT_COMPLETED__INIT;

    event.order_id = order_id;
    event.payment_id = PAYMENT_ID;
    event.amount_krw = 100000;
    event.version = 1;
    return on_payment_completed(ctx, &service, tx, &event);
}

static inline enum mesh_status payment_cancelled(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                                 const char *order_id)
{
    Payment__PaymentCancelled event = PAYMENT__PAYMENT_CANCELLED__INIT;

    event.order_id = order_id;
    event.payment_id = PAYMENT_ID;
    event.amount_krw = 100000;
    event.version = 2;
    return on_payment_cancelled(ctx, &service, tx, &event);
}

static inline enum mesh_status delivery_started(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                                const char *order_id)
{
    Delivery__DeliveryStarted event = DELIVERY__DELIVERY_STARTED__INIT;

    event.order_id = order_id;
    event.delivery_id = DELIVERY_ID;
    event.product_code = "4000";
    event.size = "S";
    event.quantity = 2;
    event.version = 1;
    return on_delivery_started(ctx, &service, tx, &event);
}

static inline enum mesh_status delivery_cancelled(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                                  const char *order_id)
{
    Delivery__DeliveryCancelled event = DELIVERY__DELIVERY_CANCELLED__INIT;

    event.order_id = order_id;
    event.delivery_id = DELIVERY_ID;
    event.product_code = "4000";
    event.size = "S";
    event.quantity = 2;
    event.version = 2;
    return on_delivery_cancelled(ctx, &service, tx, &event);
}

/* Applies one event in a transaction of its own. */
static inline void apply(apply_event *event, const char *order_id)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_event_ctx(1600000000000000);
    cleanup_tx struct mesh_tx *tx = NULL;

    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(event(ctx, tx, order_id), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
}

/* NULL: it does not show. Lives in ctx. */
static inline Customercenter__Dashboard *dashboard_of(struct mesh_ctx *ctx, const char *order_id)
{
    Customercenter__GetDashboardRequest request = CUSTOMERCENTER__GET_DASHBOARD_REQUEST__INIT;
    Customercenter__GetDashboardResponse response = CUSTOMERCENTER__GET_DASHBOARD_RESPONSE__INIT;
    enum mesh_status status;

    request.order_id = order_id;
    status = rpc_get_dashboard(ctx, &service, &request, &response);
    CHECK(status == MESH_OK || status == MESH_NOT_FOUND);
    return response.dashboard;
}

#endif
