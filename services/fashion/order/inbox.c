/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

#include "store.h"

MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct order_service *service, struct mesh_tx *tx,
                        enum order_event event, const char *order_id)
{
    Order__OrderCancelled cancelled;
    Order__OrderStatus next;
    struct order *order;
    bool moved;

    MESH_TRY(store_read_order(ctx, tx, order_id, &order));
    if (order == NULL) {
        return order_fail_unknown(ctx, order_id);
    }
    next = order_after(event, order->status);
    if (next == ORDER__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED) {
        return MESH_OK;
    }
    MESH_TRY(store_move_order(ctx, service, tx, order, &(struct order_move){.to = next}, &moved));
    if (!moved) { /* moved between the two statements: look again with the next try */
        return mesh_fail(ctx, MESH_ABORTED, "order %s is being moved", order_id);
    }
    if (next != ORDER__ORDER_STATUS__ORDER_STATUS_CANCELLED) {
        return MESH_OK;
    }
    order_describe_cancelled(order, &cancelled);
    return order_emit_order_cancelled(ctx, tx, &cancelled);
}
