/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stdlib.h>

const struct customercenter_handlers customercenter_service_handlers = {
    .get_dashboard = rpc_get_dashboard,
    .list_dashboards = rpc_list_dashboards,
    .watch_dashboards = rpc_watch_dashboards,
};

const struct customercenter_inbox_handlers customercenter_service_inbox = {
    .order_placed = on_order_placed,
    .order_payment_pending = on_order_payment_pending,
    .order_rejected = on_order_rejected,
    .order_cancelled = on_order_cancelled,
    .payment_completed = on_payment_completed,
    .payment_cancelled = on_payment_cancelled,
    .delivery_started = on_delivery_started,
    .delivery_cancelled = on_delivery_cancelled,
};

MESH_STATUS customercenter_service_start(struct mesh_ctx *ctx __attribute__((unused)),
                                         struct mesh_app *app, void **ret_service)
{
    struct customercenter_service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        abort();
    }
    service->db = mesh_app_db(app);
    service->changed = mesh_app_signal(app, "dashboards");
    *ret_service = service;
    return MESH_OK;
}

void customercenter_service_stop(void *service)
{
    free(service);
}
