/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_get_dashboard(struct mesh_ctx *ctx, struct customercenter_service *service,
                              const Customercenter__GetDashboardRequest *request,
                              Customercenter__GetDashboardResponse *response)
{
    struct dashboard *dashboard;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(store_get_dashboard(ctx, service->db, request->order_id, &dashboard));
    if (dashboard == NULL) {
        return mesh_fail_resource(ctx, MESH_NOT_FOUND, "order", request->order_id,
                                  "order %s is not on the dashboard", request->order_id);
    }
    response->dashboard = dashboard_describe(ctx, dashboard);
    return MESH_OK;
}
