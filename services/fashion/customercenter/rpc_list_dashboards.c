/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_list_dashboards(struct mesh_ctx *ctx, struct customercenter_service *service,
                                const Customercenter__ListDashboardsRequest *request,
                                Customercenter__ListDashboardsResponse *response)
{
    struct mesh_page page;
    struct dashboard_list list;
    size_t shown;

    MESH_TRY(mesh_page_read(ctx, request->page_size, request->page_token, &page));
    MESH_TRY(store_list_dashboards(ctx, service->db, request->customer_id, &page, &list));
    shown = list.n > (size_t)page.size ? (size_t)page.size : list.n;
    response->dashboards = mesh_alloc(ctx, shown * sizeof(Customercenter__Dashboard *));
    response->n_dashboards = shown;
    for (size_t i = 0; i < shown; i++) {
        response->dashboards[i] = dashboard_describe(ctx, &list.dashboards[i]);
    }
    if (list.n > shown) {
        response->next_page_token = mesh_page_token(ctx, list.dashboards[shown - 1].order_id);
    }
    return MESH_OK;
}
