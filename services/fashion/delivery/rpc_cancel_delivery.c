/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED
#define CANCELLED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED

static MESH_STATUS tell_cancelled(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                  const struct delivery *delivery)
{
    Delivery__DeliveryCancelled event;

    delivery_describe_cancelled(delivery, &event);
    return delivery_emit_delivery_cancelled(ctx, tx, &event);
}

/* For an order that has no delivery: a late OrderPlaced will find the row and start nothing. The
 * event is told all the same, so that payment, stock and order follow. *ret_delivery is NULL if the
 * order has a delivery. */
static MESH_STATUS remember_cancel(struct mesh_ctx *ctx, struct delivery_service *service,
                                   struct mesh_tx *tx,
                                   const Delivery__CancelDeliveryRequest *request,
                                   struct delivery **ret_delivery)
{
    struct delivery wanted = {.order_id = request->order_id,
                              .status = CANCELLED,
                              .product_code = request->item->product_code,
                              .size = request->item->size,
                              .quantity = request->item->quantity,
                              .environment = service->environment};

    MESH_TRY(store_insert_delivery(ctx, tx, &wanted, ret_delivery));
    return *ret_delivery == NULL ? MESH_OK : tell_cancelled(ctx, tx, *ret_delivery);
}

static MESH_STATUS cancel(struct mesh_ctx *ctx, struct mesh_tx *tx, enum delivery_event command,
                          const char *order_id, struct delivery **ret_delivery)
{
    struct delivery *delivery;

    MESH_TRY(store_lock_delivery_of_order(ctx, tx, order_id, &delivery));
    if (delivery == NULL) {
        return delivery_fail_unknown_order(ctx, order_id);
    }
    if (delivery_after(command, delivery->status) == CANCELLED) {
        MESH_TRY(store_cancel_delivery(ctx, tx, delivery));
        MESH_TRY(tell_cancelled(ctx, tx, delivery));
    }
    *ret_delivery = delivery;
    return MESH_OK;
}

MESH_STATUS rpc_cancel_delivery(struct mesh_ctx *ctx, struct delivery_service *service,
                                const Delivery__CancelDeliveryRequest *request,
                                Delivery__CancelDeliveryResponse *response)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    enum delivery_event command =
        request->item == NULL ? DELIVERY_CANCEL : DELIVERY_CANCEL_BY_ORDER;
    struct delivery *delivery = NULL;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    if (request->item != NULL && delivery_after(command, NONE) == CANCELLED) {
        MESH_TRY(remember_cancel(ctx, service, tx, request, &delivery));
    }
    if (delivery == NULL) {
        MESH_TRY(cancel(ctx, tx, command, request->order_id, &delivery));
    }
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    response->delivery = delivery_describe(ctx, delivery);
    return MESH_OK;
}
