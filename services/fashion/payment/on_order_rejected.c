/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

MESH_STATUS on_order_rejected(struct mesh_ctx *ctx,
                              struct payment_service *service __attribute__((unused)),
                              struct mesh_tx *tx, const Order__OrderRejected *event)
{
    if (!event->payment_asked) {
        return MESH_OK; /* and Pay will never be called for it: no row is needed */
    }
    return inbox_apply(ctx, tx, PAYMENT_ORDER_REJECTED, event->order_id);
}
