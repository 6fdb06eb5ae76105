/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

MESH_STATUS on_delivery_cancelled(struct mesh_ctx *ctx,
                                  struct payment_service *service __attribute__((unused)),
                                  struct mesh_tx *tx, const Delivery__DeliveryCancelled *event)
{
    return inbox_apply(ctx, tx, PAYMENT_DELIVERY_CANCELLED, event->order_id);
}
