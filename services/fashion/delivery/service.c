/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stdlib.h>

const struct delivery_handlers delivery_service_handlers = {
    .cancel_delivery = rpc_cancel_delivery,
    .get_delivery = rpc_get_delivery,
    .list_deliveries = rpc_list_deliveries,
    .withdraw_order = rpc_withdraw_order,
};

const struct delivery_inbox_handlers delivery_service_inbox = {
    .order_placed = on_order_placed,
};

const struct mesh_setting delivery_service_settings[] = {
    {"SYSENV", MESH_SETTING_TEXT, "LOCAL", 0, 0,
     "The environment this process runs in, such as PROD; shown by every delivery it starts."},
    {0},
};

MESH_STATUS delivery_service_start(struct mesh_ctx *ctx __attribute__((unused)),
                                   struct mesh_app *app, void **ret_service)
{
    struct delivery_service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        abort();
    }
    service->db = mesh_app_db(app);
    service->environment = mesh_app_text(app, "SYSENV");
    *ret_service = service;
    return MESH_OK;
}

void delivery_service_stop(void *service)
{
    free(service);
}
