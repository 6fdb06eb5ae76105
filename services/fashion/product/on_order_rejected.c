/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

MESH_STATUS on_order_rejected(struct mesh_ctx *ctx, struct product_service *service,
                              struct mesh_tx *tx, const Order__OrderRejected *event)
{
    return inbox_apply(ctx, service, tx, RESERVATION_ORDER_REJECTED, event->order_id);
}
