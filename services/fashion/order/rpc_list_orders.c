/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_list_orders(struct mesh_ctx *ctx, struct order_service *service,
                            const Order__ListOrdersRequest *request,
                            Order__ListOrdersResponse *response)
{
    struct mesh_page page;
    struct order_list list;
    size_t shown;

    MESH_TRY(mesh_page_read(ctx, request->page_size, request->page_token, &page));
    MESH_TRY(store_list_orders(ctx, service, request->customer_id, &page, &list));
    shown = list.n > (size_t)page.size ? (size_t)page.size : list.n;
    response->orders = mesh_alloc(ctx, shown * sizeof(Order__Order *));
    response->n_orders = shown;
    for (size_t i = 0; i < shown; i++) {
        response->orders[i] = order_describe(ctx, &list.orders[i]);
    }
    if (list.n > shown) {
        response->next_page_token = mesh_page_token(ctx, list.orders[shown - 1].order_id);
    }
    return MESH_OK;
}
