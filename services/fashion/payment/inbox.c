/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

#include "store.h"

#define NONE PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_UNSPECIFIED
#define CANCELLED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_CANCELLED

MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct mesh_tx *tx, enum payment_event event,
                        const char *order_id)
{
    Payment__PaymentCancelled cancelled;
    struct payment *payment;

    /* Without a look first: a Pay under way is waited for, a later one finds this row. */
    if (payment_after(event, NONE) == CANCELLED) {
        MESH_TRY(store_insert_tombstone(ctx, tx, order_id));
    }
    MESH_TRY(store_lock_payment_of_order(ctx, tx, order_id, &payment));
    if (payment == NULL || payment_after(event, payment->status) == payment->status) {
        return MESH_OK;
    }
    MESH_TRY(store_cancel_payment(ctx, tx, payment));
    payment_describe_cancelled(payment, &cancelled);
    return payment_emit_payment_cancelled(ctx, tx, &cancelled);
}
