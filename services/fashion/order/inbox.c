/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

#include "mesh/log.h"
#include "saga.h"
#include "store.h"

/* The row of an order is there before anything is done for it elsewhere, and it stays: an event
 * without one is a stranger's, and no later try would find it. */
static MESH_STATUS ignore_stranger(struct mesh_ctx *ctx, const char *order_id)
{
    mesh_log(MESH_LOG_WARN,
             MESH_LOG_FIELDS(mesh_log_text("order_id", order_id),
                             mesh_log_text("event_id", mesh_ctx_event_id(ctx))),
             "an event of an order that does not exist is ignored");
    return MESH_OK;
}

MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct order_service *service, struct mesh_tx *tx,
                        enum order_event event, const char *order_id)
{
    struct order_move move = {.to = ORDER__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED};
    struct order *order;
    bool moved;

    MESH_TRY(store_read_order(ctx, tx, order_id, &order));
    if (order == NULL) {
        return ignore_stranger(ctx, order_id);
    }
    move.to = order_after(event, order->status);
    if (move.to == order->status) {
        return MESH_OK;
    }
    if (move.to == ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED) {
        move.reject_reason = ORDER_DELIVERY_CANCELLED_BEFORE_PAID;
    }
    MESH_TRY(store_move_order(ctx, service, tx, order, &move, &moved));
    if (!moved) { /* moved between the two statements: look again with the next try */
        return mesh_fail(ctx, MESH_ABORTED, "order %s is being moved", order_id);
    }
    return saga_tell(ctx, tx, order);
}
