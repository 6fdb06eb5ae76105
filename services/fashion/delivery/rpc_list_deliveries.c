/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_list_deliveries(struct mesh_ctx *ctx, struct delivery_service *service,
                                const Delivery__ListDeliveriesRequest *request,
                                Delivery__ListDeliveriesResponse *response)
{
    struct mesh_page page;
    struct delivery_list list;
    size_t shown;

    MESH_TRY(mesh_page_read(ctx, request->page_size, request->page_token, &page));
    MESH_TRY(store_list_deliveries(ctx, service->db, &page, &list));
    shown = list.n > (size_t)page.size ? (size_t)page.size : list.n;
    response->deliveries = mesh_alloc(ctx, shown * sizeof(Delivery__Delivery *));
    response->n_deliveries = shown;
    for (size_t i = 0; i < shown; i++) {
        response->deliveries[i] = delivery_describe(ctx, &list.deliveries[i]);
    }
    if (list.n > shown) {
        response->next_page_token = mesh_page_token(ctx, list.deliveries[shown - 1].delivery_id);
    }
    return MESH_OK;
}
