/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

/* The order's one payment: the first try makes it, and tells; repeats find it. */
static MESH_STATUS find_or_pay(struct mesh_ctx *ctx, struct payment_service *service,
                               const Payment__PayRequest *request, struct payment **ret_payment)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    Payment__PaymentCompleted event;
    struct payment *payment;

    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(store_insert_payment(
        ctx, tx, request, payment_decide(request->amount_krw, service->limit_krw), &payment));
    if (payment == NULL) {
        MESH_TRY(store_read_payment_of_order(ctx, tx, request->order_id, &payment));
    } else if (payment->status == PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID) {
        payment_describe_completed(payment, &event);
        MESH_TRY(payment_emit_payment_completed(ctx, tx, &event));
    }
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    *ret_payment = payment;
    return MESH_OK;
}

MESH_STATUS rpc_pay(struct mesh_ctx *ctx, struct payment_service *service,
                    const Payment__PayRequest *request, Payment__PayResponse *response)
{
    struct payment *payment;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(find_or_pay(ctx, service, request, &payment));
    if (payment == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "order %s has a payment that cannot be read",
                         request->order_id);
    }
    MESH_TRY(payment_check(ctx, payment, request->amount_krw));
    response->payment = payment_describe(ctx, payment);
    return MESH_OK;
}
