/* SPDX-License-Identifier: Apache-2.0 */
#include "orders.h"

#include "fashion/product/v1/product.mesh.h"
#include "mesh/id.h"

#include <inttypes.h>

static const char *article_code(struct mesh_ctx *ctx, int64_t number)
{
    return mesh_printf(ctx, "bench-%" PRId64, number);
}

MESH_STATUS orders_register(struct mesh_ctx *ctx, const char *product_target, int articles)
{
    struct mesh_client *product = mesh_client_new("product", product_target, 5000);
    enum mesh_status status = MESH_OK;

    for (int i = 0; i < articles && status == MESH_OK; i++) {
        Product__RegisterProductRequest request = PRODUCT__REGISTER_PRODUCT_REQUEST__INIT;
        Product__RegisterProductResponse *response;

        request.request_id = mesh_new_id(ctx);
        request.code = article_code(ctx, i);
        request.name = "Bench";
        request.size = "S";
        request.unit_price_krw = 50000;
        request.stock = 1000000000;
        status = product_register_product(ctx, product, &request, &response);
        if (status == MESH_ALREADY_EXISTS) {
            status = MESH_OK;
        }
    }
    mesh_client_free(product);
    return status;
}

MESH_STATUS orders_place(struct mesh_ctx *ctx, const struct orders *orders, int64_t number,
                         Order__PlaceOrderResponse **ret_response)
{
    Order__PlaceOrderRequest request = ORDER__PLACE_ORDER_REQUEST__INIT;

    request.request_id = mesh_new_id(ctx);
    request.customer_id = orders->customer_id;
    request.product_code = article_code(ctx, number % orders->articles);
    request.size = "S";
    request.quantity = 1;
    return order_place_order(ctx, orders->order, &request, ret_response);
}

MESH_STATUS orders_call(void *arg, int client __attribute__((unused)), int64_t number,
                        bool *ret_complete)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(ORDERS_TIMEOUT_MS);
    Order__PlaceOrderResponse *response;
    enum mesh_status status = orders_place(ctx, arg, number, &response);

    if (status != MESH_OK) {
        load_tell(status, mesh_ctx_error(ctx));
        return status;
    }
    *ret_complete = response->order->status == ORDER__ORDER_STATUS__ORDER_STATUS_PLACED;
    return MESH_OK;
}
