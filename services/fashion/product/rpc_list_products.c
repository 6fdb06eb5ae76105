/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_list_products(struct mesh_ctx *ctx, struct product_service *service,
                              const Product__ListProductsRequest *request,
                              Product__ListProductsResponse *response)
{
    struct mesh_page page;
    struct product_list list;
    size_t shown;

    MESH_TRY(mesh_page_read(ctx, request->page_size, request->page_token, &page));
    MESH_TRY(store_list_products(ctx, service->db, &page, &list));
    shown = list.n > (size_t)page.size ? (size_t)page.size : list.n;
    response->products = mesh_alloc(ctx, shown * sizeof(Product__Product *));
    response->n_products = shown;
    for (size_t i = 0; i < shown; i++) {
        response->products[i] = product_describe(ctx, &list.products[i]);
    }
    if (list.n > shown) {
        response->next_page_token = mesh_page_token(ctx, list.products[shown - 1].product_id);
    }
    return MESH_OK;
}
