/* SPDX-License-Identifier: Apache-2.0 */
#include "fashion/delivery/v1/delivery.mesh.h"
#include "saga.h"
#include "store.h"

#include <string.h>

#define RETRY_AFTER_MS 1000

/*
 * A paid order ends where its goods are: delivery cancels once, even if OrderPlaced has not arrived
 * there, and payment, stock and this order follow its event.
 */
static MESH_STATUS withdraw(struct mesh_ctx *ctx, struct order_service *service,
                            const struct order *order)
{
    Delivery__WithdrawOrderRequest request = DELIVERY__WITHDRAW_ORDER_REQUEST__INIT;
    Delivery__WithdrawOrderResponse *response;

    request.order_id = order->order_id;
    request.product_code = order->product_code;
    request.size = order->size;
    request.quantity = order->quantity;
    if (delivery_withdraw_order(mesh_ctx_reserve(ctx, SAGA_ANSWER_MS), service->delivery, &request,
                                &response) != MESH_OK) {
        return mesh_fail_retry_peer(ctx, RETRY_AFTER_MS,
                                    "delivery does not answer; order %s is as it was",
                                    order->order_id);
    }
    return MESH_OK;
}

static MESH_STATUS cancel(struct mesh_ctx *ctx, struct order_service *service, struct order **order)
{
    if ((*order)->status == ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED ||
        (*order)->status == ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING) {
        MESH_TRY(saga_reject(ctx, service, order, ORDER_CANCELLED_BY_CUSTOMER));
        /* If somebody moved it first: go on from what it is now. */
    }
    switch ((*order)->status) {
    case ORDER__ORDER_STATUS__ORDER_STATUS_PLACED:
    case ORDER__ORDER_STATUS__ORDER_STATUS_SHIPPED:
        return withdraw(ctx, service, *order);
    case ORDER__ORDER_STATUS__ORDER_STATUS_CANCELLED:
        return MESH_OK;
    case ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED:
        if (strcmp((*order)->reject_reason, ORDER_CANCELLED_BY_CUSTOMER) == 0) {
            return MESH_OK; /* this cancel, or an earlier one that it repeats */
        }
        return order_fail_rejected(ctx, *order);
    default: /* RECEIVED became PAYMENT_PENDING just now */
        return mesh_fail_retry(ctx, RETRY_AFTER_MS, "order %s is being placed", (*order)->order_id);
    }
}

MESH_STATUS rpc_cancel_order(struct mesh_ctx *ctx, struct order_service *service,
                             const Order__CancelOrderRequest *request,
                             Order__CancelOrderResponse *response)
{
    struct order *order;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(store_get_order(ctx, service, request->order_id, &order));
    if (order == NULL) {
        return order_fail_unknown(ctx, request->order_id);
    }
    MESH_TRY(cancel(ctx, service, &order));
    response->order = order_describe(ctx, order);
    return MESH_OK;
}
