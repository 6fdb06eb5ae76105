/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"
#include "service.h"
#include "store.h"

MESH_STATUS rpc_cancel_delivery(struct mesh_ctx *ctx, struct delivery_service *service,
                                const Delivery__CancelDeliveryRequest *request,
                                Delivery__CancelDeliveryResponse *response)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct delivery *delivery;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(store_lock_delivery_of_order(ctx, tx, request->order_id, &delivery));
    if (delivery == NULL) {
        return delivery_fail_unknown_order(ctx, request->order_id);
    }
    MESH_TRY(cancel_delivery(ctx, tx, DELIVERY_CANCEL, delivery));
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    response->delivery = delivery_describe(ctx, delivery);
    return MESH_OK;
}
