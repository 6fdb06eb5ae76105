/* SPDX-License-Identifier: Apache-2.0 */
/* A payment and its rules: pure, no SQL, no network, no clock. */
#ifndef PAYMENT_PAYMENT_H
#define PAYMENT_PAYMENT_H

#include "fashion/payment/v1/payment.mesh.h"
#include "fashion/payment/v1/payment_events.mesh.h"

struct payment {
    const char *payment_id;
    const char *order_id;
    Payment__PaymentStatus status;
    int64_t amount_krw;
    int64_t version;
    int64_t created_us;
    int64_t updated_us;
};

/* What becomes of the first Pay of an order: PAID or REJECTED. */
Payment__PaymentStatus payment_decide(int64_t amount_krw, int64_t limit_krw);

enum payment_event { PAYMENT_ORDER_REJECTED, PAYMENT_DELIVERY_CANCELLED, PAYMENT_N_EVENTS };
/* The status of a payment after an event: the same if nothing happens. UNSPECIFIED: the order has
 * no payment. */
Payment__PaymentStatus payment_after(enum payment_event event, Payment__PaymentStatus status);

/*
 * The answer to Pay for an order that has this payment, the same for the first try and for every
 * repeat: MESH_OK, MESH_FAILED_PRECONDITION with reason PAYMENT_CANCELLED or PAYMENT_DECLINED, or
 * MESH_ALREADY_EXISTS if another amount was asked before.
 */
MESH_STATUS payment_check(struct mesh_ctx *ctx, const struct payment *payment, int64_t amount_krw);

/* The public form, in ctx's memory. */
Payment__Payment *payment_describe(struct mesh_ctx *ctx, const struct payment *payment);
/* The events; strings are borrowed from payment. */
void payment_describe_completed(const struct payment *payment,
                                Payment__PaymentCompleted *ret_event);
void payment_describe_cancelled(const struct payment *payment,
                                Payment__PaymentCancelled *ret_event);

#endif
