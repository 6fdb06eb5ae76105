/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_get_payment(struct mesh_ctx *ctx, struct payment_service *service,
                            const Payment__GetPaymentRequest *request,
                            Payment__GetPaymentResponse *response)
{
    struct payment *payment;

    if (request->by_case == PAYMENT__GET_PAYMENT_REQUEST__BY_ORDER_ID) {
        mesh_ctx_set_correlation_id(ctx, request->order_id);
        MESH_TRY(store_get_payment_of_order(ctx, service->db, request->order_id, &payment));
        if (payment == NULL) {
            return mesh_fail_resource(ctx, MESH_NOT_FOUND, "order", request->order_id,
                                      "order %s has no payment", request->order_id);
        }
    } else {
        MESH_TRY(store_get_payment(ctx, service->db, request->payment_id, &payment));
        if (payment == NULL) {
            return mesh_fail_resource(ctx, MESH_NOT_FOUND, "payment", request->payment_id,
                                      "payment %s does not exist", request->payment_id);
        }
    }
    response->payment = payment_describe(ctx, payment);
    return MESH_OK;
}
