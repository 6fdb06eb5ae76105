/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"
#include "store.h"

MESH_STATUS on_delivery_started(struct mesh_ctx *ctx, struct order_service *service,
                                struct mesh_tx *tx, const Delivery__DeliveryStarted *event)
{
    /* What it finds nearly always; then one statement does it, and there is nothing to tell. */
    struct order placed = {.order_id = event->order_id,
                           .status = ORDER__ORDER_STATUS__ORDER_STATUS_PLACED};
    const struct order_move ship = {.to = order_after(ORDER_DELIVERY_STARTED, placed.status)};
    bool shipped;

    MESH_TRY(store_move_order(ctx, service, tx, &placed, &ship, &shipped));
    if (shipped) {
        return MESH_OK;
    }
    return inbox_apply(ctx, service, tx, ORDER_DELIVERY_STARTED, event->order_id);
}
