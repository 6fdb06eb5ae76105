/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS on_order_placed(struct mesh_ctx *ctx, struct customercenter_service *service,
                            struct mesh_tx *tx, const Order__OrderPlaced *event)
{
    struct order_news news = {.order_id = event->order_id,
                              .customer_id = event->customer_id,
                              .product_code = event->product_code,
                              .size = event->size,
                              .quantity = event->quantity,
                              .total_krw = event->total_krw,
                              .status = ORDER__ORDER_STATUS__ORDER_STATUS_PLACED,
                              .version = event->version};

    mesh_signal_raise_after_commit(service->changed, tx);
    return store_put_order(ctx, tx, &news);
}
