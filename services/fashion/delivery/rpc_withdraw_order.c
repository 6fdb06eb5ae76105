/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"
#include "service.h"
#include "store.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED

/* For an order that has no delivery: a late OrderPlaced will find the row and start nothing. The
 * event is told all the same, so that payment, stock and order follow. *ret_delivery is NULL if the
 * order has a delivery. */
static MESH_STATUS remember(struct mesh_ctx *ctx, struct delivery_service *service,
                            struct mesh_tx *tx, const Delivery__WithdrawOrderRequest *request,
                            struct delivery **ret_delivery)
{
    struct delivery wanted = {.order_id = request->order_id,
                              .status = delivery_after(DELIVERY_WITHDRAW, NONE),
                              .product_code = request->product_code,
                              .size = request->size,
                              .quantity = request->quantity,
                              .environment = service->environment};

    MESH_TRY(store_insert_delivery(ctx, tx, &wanted, ret_delivery));
    return *ret_delivery == NULL ? MESH_OK : cancel_tell(ctx, tx, *ret_delivery);
}

MESH_STATUS rpc_withdraw_order(struct mesh_ctx *ctx, struct delivery_service *service,
                               const Delivery__WithdrawOrderRequest *request,
                               Delivery__WithdrawOrderResponse *response)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct delivery *delivery;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(remember(ctx, service, tx, request, &delivery));
    if (delivery == NULL) {
        MESH_TRY(store_lock_delivery_of_order(ctx, tx, request->order_id, &delivery));
        MESH_TRY(cancel_delivery(ctx, tx, DELIVERY_WITHDRAW, delivery));
    }
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    response->delivery = delivery_describe(ctx, delivery);
    return MESH_OK;
}
