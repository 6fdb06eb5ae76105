/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS on_delivery_cancelled(struct mesh_ctx *ctx, struct customercenter_service *service,
                                  struct mesh_tx *tx, const Delivery__DeliveryCancelled *event)
{
    struct part_news news = {.order_id = event->order_id,
                             .id = event->delivery_id,
                             .status = DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED,
                             .version = event->version};

    mesh_signal_raise_after_commit(service->changed, tx);
    return store_put_delivery(ctx, tx, &news);
}
