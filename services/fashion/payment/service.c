/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stdlib.h>

const struct payment_handlers payment_service_handlers = {
    .pay = rpc_pay,
    .get_payment = rpc_get_payment,
};

const struct payment_inbox_handlers payment_service_inbox = {
    .order_rejected = on_order_rejected,
    .delivery_cancelled = on_delivery_cancelled,
};

const struct mesh_setting payment_service_settings[] = {
    {"PAYMENT_LIMIT_KRW", MESH_SETTING_INT64, "100000000", 1, INT64_MAX,
     "The largest amount in KRW that is paid; more is declined."},
    {0},
};

MESH_STATUS payment_service_start(struct mesh_ctx *ctx __attribute__((unused)),
                                  struct mesh_app *app, void **ret_service)
{
    struct payment_service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        abort();
    }
    service->db = mesh_app_db(app);
    service->limit_krw = mesh_app_int64(app, "PAYMENT_LIMIT_KRW");
    *ret_service = service;
    return MESH_OK;
}

void payment_service_stop(void *service)
{
    free(service);
}
