/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "customercenter_sql.h"
#include "mesh/event.h"

MESH_STATUS store_put_order(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct order_news *news)
{
    return mesh_tx_exec(ctx, tx, &sql_put_order,
                        MESH_ARGS(mesh_uuid(news->order_id), mesh_text(news->customer_id),
                                  mesh_text(news->product_code), mesh_text(news->size),
                                  mesh_int64(news->quantity), mesh_int64(news->total_krw),
                                  mesh_int64(news->status), mesh_int64(news->version),
                                  mesh_time(mesh_ctx_event_time_us(ctx))));
}

MESH_STATUS store_end_order(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct order_news *news)
{
    return mesh_tx_exec(ctx, tx, &sql_end_order,
                        MESH_ARGS(mesh_uuid(news->order_id), mesh_int64(news->status),
                                  mesh_text(news->reject_reason == NULL ? "" : news->reject_reason),
                                  mesh_int64(news->version),
                                  mesh_time(mesh_ctx_event_time_us(ctx))));
}

static MESH_STATUS put_part(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_sql *sql,
                            const struct part_news *news)
{
    return mesh_tx_exec(ctx, tx, sql,
                        MESH_ARGS(mesh_uuid(news->order_id), mesh_uuid(news->id),
                                  mesh_int64(news->status), mesh_int64(news->version),
                                  mesh_time(mesh_ctx_event_time_us(ctx))));
}

MESH_STATUS store_put_payment(struct mesh_ctx *ctx, struct mesh_tx *tx,
                              const struct part_news *news)
{
    return put_part(ctx, tx, &sql_put_payment, news);
}

MESH_STATUS store_put_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const struct part_news *news)
{
    return put_part(ctx, tx, &sql_put_delivery, news);
}
