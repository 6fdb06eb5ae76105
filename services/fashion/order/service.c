/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stdlib.h>

const struct order_handlers order_service_handlers = {
    .place_order = rpc_place_order,
    .pay_order = rpc_pay_order,
    .cancel_order = rpc_cancel_order,
    .get_order = rpc_get_order,
    .list_orders = rpc_list_orders,
};

const struct order_inbox_handlers order_service_inbox = {
    .delivery_started = on_delivery_started,
    .delivery_cancelled = on_delivery_cancelled,
};

const struct mesh_setting order_service_settings[] = {
    {"ORDER_PAY_WINDOW_MS", MESH_SETTING_INT64, "600000", 1000, 86400000,
     "Milliseconds after which an order that could not be paid is rejected."},
    {"ORDER_PAY_RETRY_MS", MESH_SETTING_INT64, "2000", 50, 60000,
     "Milliseconds before a pending payment is tried again; doubled each time, up to a minute."},
    {"ORDER_RECEIVED_TIMEOUT_MS", MESH_SETTING_INT64, "30000", 15000, 3600000,
     "Milliseconds after which an order that nobody goes on with is rejected; longer than any "
     "call."},
    {0},
};

MESH_STATUS order_service_start(struct mesh_ctx *ctx __attribute__((unused)), struct mesh_app *app,
                                void **ret_service)
{
    struct order_service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        abort();
    }
    service->db = mesh_app_db(app);
    service->product = mesh_app_peer(app, "product");
    service->payment = mesh_app_peer(app, "payment");
    service->delivery = mesh_app_peer(app, "delivery");
    service->pay_window_ms = mesh_app_int64(app, "ORDER_PAY_WINDOW_MS");
    service->pay_retry_ms = mesh_app_int64(app, "ORDER_PAY_RETRY_MS");
    service->received_timeout_ms = mesh_app_int64(app, "ORDER_RECEIVED_TIMEOUT_MS");
    *ret_service = service;
    return MESH_OK;
}

void order_service_stop(void *service)
{
    free(service);
}
