/* SPDX-License-Identifier: Apache-2.0 */
/* An order and its rules: pure, no SQL, no network, no clock. */
#ifndef ORDER_ORDER_H
#define ORDER_ORDER_H

#include "fashion/order/v1/order.mesh.h"
#include "fashion/order/v1/order_events.mesh.h"
#include "mesh/idempotency.h"

struct order {
    const char *order_id;
    const char *request_id;
    uint8_t digest[MESH_DIGEST_SIZE];
    const char *customer_id;
    const char *product_code;
    const char *size;
    int64_t quantity;
    bool has_expected_total; /* as the request at hand says; not stored */
    int64_t expected_total_krw;
    Order__OrderStatus status;
    int64_t total_krw;
    bool payment_asked;
    const char *payment_id;    /* NULL until paid */
    const char *reject_reason; /* "" unless REJECTED */
    int64_t pay_before_us;     /* 0 unless it was PAYMENT_PENDING */
    bool too_late;             /* pay_before has passed */
    int64_t version;
    int64_t created_us;
    int64_t updated_us;
};

/* A peer's answer that settles the matter against the order; any other failure leaves the outcome
 * open. */
bool order_is_refusal(enum mesh_status status);

/* Why an order was rejected; where product or payment refused with a reason, it is theirs. */
#define ORDER_STOCK_REFUSED "STOCK_REFUSED"
#define ORDER_PAYMENT_REFUSED "PAYMENT_REFUSED"
#define ORDER_ABANDONED "ABANDONED" /* RECEIVED, and nobody went on with it */
#define ORDER_PAY_WINDOW_PASSED "PAY_WINDOW_PASSED"
#define ORDER_CANCELLED_BY_CUSTOMER "CANCELLED_BY_CUSTOMER"
#define ORDER_DELIVERY_CANCELLED_BEFORE_PAID "DELIVERY_CANCELLED"

enum order_event { ORDER_DELIVERY_STARTED, ORDER_DELIVERY_CANCELLED, ORDER_N_EVENTS };
/* The status of an order after an event from delivery: the same if nothing happens. */
Order__OrderStatus order_after(enum order_event event, Order__OrderStatus status);

/* The public form, in ctx's memory. */
Order__Order *order_describe(struct mesh_ctx *ctx, const struct order *order);
/* The events; strings are borrowed from order, other memory is ctx's. */
void order_describe_placed(const struct order *order, Order__OrderPlaced *ret_event);
void order_describe_pending(struct mesh_ctx *ctx, const struct order *order,
                            Order__OrderPaymentPending *ret_event);
void order_describe_rejected(const struct order *order, Order__OrderRejected *ret_event);
void order_describe_cancelled(const struct order *order, Order__OrderCancelled *ret_event);

/* The stored refusal of a REJECTED order: MESH_FAILED_PRECONDITION with its reason. */
MESH_STATUS order_fail_rejected(struct mesh_ctx *ctx, const struct order *order);
MESH_STATUS order_fail_unknown(struct mesh_ctx *ctx, const char *order_id);

#endif
