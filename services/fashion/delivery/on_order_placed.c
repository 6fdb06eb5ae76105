/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/log.h"
#include "service.h"
#include "store.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED

MESH_STATUS on_order_placed(struct mesh_ctx *ctx, struct delivery_service *service,
                            struct mesh_tx *tx, const Order__OrderPlaced *event)
{
    struct delivery wanted = {.order_id = event->order_id,
                              .status = delivery_after(DELIVERY_ORDER_PLACED, NONE),
                              .product_code = event->product_code,
                              .size = event->size,
                              .quantity = event->quantity,
                              .environment = service->environment};
    Delivery__DeliveryStarted started;
    struct delivery *delivery;

    MESH_TRY(store_insert_delivery(ctx, tx, &wanted, &delivery));
    if (delivery == NULL) {
        return MESH_OK; /* started before, or cancelled before it could start */
    }
    mesh_log(MESH_LOG_INFO,
             MESH_LOG_FIELDS(mesh_log_text("order_id", delivery->order_id),
                             mesh_log_text("delivery_id", delivery->delivery_id),
                             mesh_log_text("environment", delivery->environment)),
             "delivery starts");
    delivery_describe_started(delivery, &started);
    return delivery_emit_delivery_started(ctx, tx, &started);
}
