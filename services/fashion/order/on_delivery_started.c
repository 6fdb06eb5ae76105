/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

MESH_STATUS on_delivery_started(struct mesh_ctx *ctx, struct order_service *service,
                                struct mesh_tx *tx, const Delivery__DeliveryStarted *event)
{
    return inbox_apply(ctx, service, tx, ORDER_DELIVERY_STARTED, event->order_id);
}
