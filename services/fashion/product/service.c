/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include "stock.h"

#include <stdlib.h>

const struct product_handlers product_service_handlers = {
    .register_product = rpc_register_product,
    .modify_product = rpc_modify_product,
    .get_product = rpc_get_product,
    .list_products = rpc_list_products,
    .reserve_stock = rpc_reserve_stock,
};

const struct product_inbox_handlers product_service_inbox = {
    .order_rejected = on_order_rejected,
    .delivery_cancelled = on_delivery_cancelled,
};

const struct mesh_setting product_service_settings[] = {
    {"PRODUCT_STOCK_EVENTS", MESH_SETTING_BOOL, "false", 0, 0,
     "Whether StockReserved and StockReleased are emitted; nothing in the store needs them."},
    {0},
};

MESH_STATUS product_service_start(struct mesh_ctx *ctx __attribute__((unused)),
                                  struct mesh_app *app, void **ret_service)
{
    struct product_service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        abort();
    }
    service->db = mesh_app_db(app);
    service->stock_events = mesh_app_bool(app, "PRODUCT_STOCK_EVENTS");
    service->reserving = mesh_batcher_new("reserve_stock", stock_reserve, service);
    *ret_service = service;
    return MESH_OK;
}

void product_service_stop(void *service)
{
    mesh_batcher_free(((struct product_service *)service)->reserving);
    free(service);
}
