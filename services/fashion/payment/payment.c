/* SPDX-License-Identifier: Apache-2.0 */
#include "payment.h"

#include "mesh/time.h"

#include <inttypes.h>

#define NONE PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_UNSPECIFIED
#define PENDING PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PENDING
#define PAID PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID
#define CANCELLED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_CANCELLED
#define REJECTED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_REJECTED

#define N_STATUSES (REJECTED + 1)

/* Every pair of event and status. */
static const Payment__PaymentStatus after[PAYMENT_N_EVENTS][N_STATUSES] = {
    [PAYMENT_ORDER_REJECTED] =
        {
            [NONE] = CANCELLED,  /* overtook Pay, which then finds it */
            [PENDING] = PENDING, /* never stored */
            [PAID] = CANCELLED,
            [CANCELLED] = CANCELLED,
            [REJECTED] = REJECTED,
        },
    [PAYMENT_DELIVERY_CANCELLED] =
        {
            [NONE] = CANCELLED,
            [PENDING] = PENDING,
            [PAID] = CANCELLED,
            [CANCELLED] = CANCELLED,
            [REJECTED] = REJECTED,
        },
};

Payment__PaymentStatus payment_after(enum payment_event event, Payment__PaymentStatus status)
{
    if ((size_t)status >= N_STATUSES) {
        return status; /* written by a newer version */
    }
    return after[event][status];
}

Payment__PaymentStatus payment_decide(int64_t amount_krw, int64_t limit_krw)
{
    return amount_krw > limit_krw ? REJECTED : PAID;
}

MESH_STATUS payment_check(struct mesh_ctx *ctx, const struct payment *payment, int64_t amount_krw)
{
    if (payment->status == CANCELLED) {
        return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "PAYMENT_CANCELLED",
                                "the payment of order %s was cancelled", payment->order_id);
    }
    if (payment->amount_krw != amount_krw) {
        return mesh_fail_reason(ctx, MESH_ALREADY_EXISTS, "PAYMENT_DIFFERS",
                                "order %s was to be paid with %" PRId64 " KRW before",
                                payment->order_id, payment->amount_krw);
    }
    if (payment->status == REJECTED) {
        return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED",
                                "the payment of order %s was declined", payment->order_id);
    }
    return MESH_OK;
}

Payment__Payment *payment_describe(struct mesh_ctx *ctx, const struct payment *payment)
{
    Payment__Payment *message = mesh_alloc(ctx, sizeof(*message));

    payment__payment__init(message);
    message->payment_id = payment->payment_id;
    message->order_id = payment->order_id;
    message->status = payment->status;
    message->amount_krw = payment->amount_krw;
    message->create_time = mesh_timestamp(ctx, payment->created_us);
    message->update_time = mesh_timestamp(ctx, payment->updated_us);
    return message;
}

void payment_describe_completed(const struct payment *payment, Payment__PaymentCompleted *ret_event)
{
    payment__payment_completed__init(ret_event);
    ret_event->payment_id = payment->payment_id;
    ret_event->order_id = payment->order_id;
    ret_event->amount_krw = payment->amount_krw;
    ret_event->version = payment->version;
}

void payment_describe_cancelled(const struct payment *payment, Payment__PaymentCancelled *ret_event)
{
    payment__payment_cancelled__init(ret_event);
    ret_event->payment_id = payment->payment_id;
    ret_event->order_id = payment->order_id;
    ret_event->amount_krw = payment->amount_krw;
    ret_event->version = payment->version;
}
