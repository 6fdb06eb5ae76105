/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS on_order_cancelled(struct mesh_ctx *ctx, struct customercenter_service *service,
                               struct mesh_tx *tx, const Order__OrderCancelled *event)
{
    struct order_news news = {.order_id = event->order_id,
                              .status = ORDER__ORDER_STATUS__ORDER_STATUS_CANCELLED,
                              .version = event->version};

    mesh_signal_raise_after_commit(service->changed, tx);
    return store_end_order(ctx, tx, &news);
}
