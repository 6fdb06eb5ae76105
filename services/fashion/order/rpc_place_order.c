/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/id.h"
#include "saga.h"
#include "store.h"

#include <string.h>

/* A known request id: the same request goes on with its order, another one is refused. */
static MESH_STATUS find_order(struct mesh_ctx *ctx, struct order_service *service,
                              const struct order *wanted, struct order **ret_order)
{
    struct order *found;

    if (store_get_order_of_request(ctx, service, wanted->request_id, &found) != MESH_OK) {
        return saga_fail_open(ctx);
    }
    if (found == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "request %s is known but has no order",
                         wanted->request_id);
    }
    if (memcmp(found->digest, wanted->digest, MESH_DIGEST_SIZE) != 0) {
        return mesh_fail_reused(ctx, wanted->request_id);
    }
    found->has_expected_total = wanted->has_expected_total;
    found->expected_total_krw = wanted->expected_total_krw;
    if (found->status == ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED &&
        store_touch_order(ctx, service, found) != MESH_OK) {
        return saga_fail_open(ctx);
    }
    *ret_order = found;
    return MESH_OK;
}

/* The intent is durable before anything moves; a repeat finds its row. */
static MESH_STATUS receive_order(struct mesh_ctx *ctx, struct order_service *service,
                                 const Order__PlaceOrderRequest *request, struct order **ret_order)
{
    struct order *order = mesh_alloc(ctx, sizeof(*order));
    enum mesh_status status;
    bool inserted;

    order->order_id = mesh_new_id(ctx);
    order->request_id = request->request_id;
    mesh_request_digest(ctx, &request->base, order->digest);
    order->customer_id = request->customer_id;
    order->product_code = request->product_code;
    order->size = request->size;
    order->quantity = request->quantity;
    order->has_expected_total = order__place_order_request_has_expected_total_krw(request);
    order->expected_total_krw = order->has_expected_total ? request->expected_total_krw : 0;
    order->reject_reason = "";

    status = store_insert_order(ctx, service, order, &inserted);
    if (status == MESH_UNKNOWN || status == MESH_ABORTED) {
        return saga_fail_open(ctx);
    }
    MESH_TRY(status);
    if (!inserted) {
        return find_order(ctx, service, order, ret_order);
    }
    *ret_order = order;
    return MESH_OK;
}

MESH_STATUS rpc_place_order(struct mesh_ctx *ctx, struct order_service *service,
                            const Order__PlaceOrderRequest *request,
                            Order__PlaceOrderResponse *response)
{
    struct order *order;

    MESH_TRY(receive_order(ctx, service, request, &order));
    /* The analyzer cannot see that no mesh_fail*() returns MESH_OK.
     * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    mesh_ctx_set_correlation_id(ctx, order->order_id);
    if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED) {
        MESH_TRY(saga_advance(ctx, service, &order));
    }
    return saga_answer(ctx, service, order, &response->order, &response->retry_after);
}
