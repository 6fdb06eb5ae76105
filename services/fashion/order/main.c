/* SPDX-License-Identifier: Apache-2.0 */
/* The order service of the fashion store. */
#include "fashion/delivery/v1/delivery.mesh.h"
#include "fashion/payment/v1/payment.mesh.h"
#include "fashion/product/v1/product.mesh.h"
#include "order_sql.h"
#include "service.h"

static const struct mesh_served services[] = {{&order_service_type, &order_service_handlers}, {0}};

static const struct mesh_service_type *const product_types[] = {&product_service_type, NULL};
static const struct mesh_service_type *const payment_types[] = {&payment_service_type, NULL};
static const struct mesh_service_type *const delivery_types[] = {&delivery_service_type, NULL};

static const struct mesh_peer peers[] = {
    {"product", 1000, product_types},
    {"payment", 500, payment_types}, /* longer than this and the order is paid a little later */
    {"delivery", 1000, delivery_types},
    {0},
};

static const struct mesh_job jobs[] = {
    {.name = "sweep", .interval_ms = 500, .run = sweep_run},
    {0},
};

int main(int argc, char **argv)
{
    static const struct mesh_app_spec spec = {
        .system = "fashion",
        .name = "order",
        .summary = "Takes orders: stock, money, then delivery.",
        .services = services,
        .peers = peers,
        .migrations = order_migrations,
        .publishes = true,
        .inbox = &order_inbox_type,
        .inbox_handlers = &order_service_inbox,
        .settings = order_service_settings,
        .jobs = jobs,
        .start = order_service_start,
        .stop = order_service_stop,
    };

    return mesh_main(argc, argv, &spec);
}
