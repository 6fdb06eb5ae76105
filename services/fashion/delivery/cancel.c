/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel.h"

#include "store.h"

MESH_STATUS cancel_tell(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct delivery *delivery)
{
    Delivery__DeliveryCancelled event;

    delivery_describe_cancelled(delivery, &event);
    return delivery_emit_delivery_cancelled(ctx, tx, &event);
}

MESH_STATUS cancel_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx, enum delivery_event command,
                            struct delivery *delivery)
{
    if (delivery_after(command, delivery->status) == delivery->status) {
        return MESH_OK;
    }
    MESH_TRY(store_cancel_delivery(ctx, tx, delivery));
    return cancel_tell(ctx, tx, delivery);
}
