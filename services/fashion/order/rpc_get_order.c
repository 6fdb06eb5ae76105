/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_get_order(struct mesh_ctx *ctx, struct order_service *service,
                          const Order__GetOrderRequest *request, Order__GetOrderResponse *response)
{
    struct order *order;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(store_get_order(ctx, service, request->order_id, &order));
    if (order == NULL) {
        return order_fail_unknown(ctx, request->order_id);
    }
    response->order = order_describe(ctx, order);
    return MESH_OK;
}
