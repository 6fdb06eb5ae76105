/* SPDX-License-Identifier: Apache-2.0 */
#include "saga.h"
#include "store.h"

MESH_STATUS rpc_pay_order(struct mesh_ctx *ctx, struct order_service *service,
                          const Order__PayOrderRequest *request, Order__PayOrderResponse *response)
{
    struct order *order;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(store_get_order(ctx, service, request->order_id, &order));
    if (order == NULL) {
        return order_fail_unknown(ctx, request->order_id);
    }
    if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING) {
        if (order->too_late) {
            MESH_TRY(saga_give_up(ctx, service, &order, ORDER_PAY_WINDOW_PASSED));
        } else {
            MESH_TRY(saga_pay(ctx, service, &order));
        }
    }
    if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_CANCELLED) {
        return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "ORDER_CANCELLED",
                                "order %s was cancelled", order->order_id);
    }
    return saga_answer(ctx, service, order, &response->order, &response->retry_after);
}
