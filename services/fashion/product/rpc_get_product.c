/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_get_product(struct mesh_ctx *ctx, struct product_service *service,
                            const Product__GetProductRequest *request,
                            Product__GetProductResponse *response)
{
    struct product *product;

    if (request->by_case == PRODUCT__GET_PRODUCT_REQUEST__BY_SKU) {
        MESH_TRY(store_get_product_of_sku(ctx, service->db, request->sku, &product));
        if (product == NULL) {
            return product_fail_unknown_sku(ctx, request->sku);
        }
    } else {
        MESH_TRY(store_get_product(ctx, service->db, request->product_id, &product));
        if (product == NULL) {
            return product_fail_unknown(ctx, request->product_id);
        }
    }
    response->product = product_describe(ctx, product);
    return MESH_OK;
}
