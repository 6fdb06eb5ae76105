/* SPDX-License-Identifier: Apache-2.0 */
/* The delivery service of the fashion store. */
#include "delivery_sql.h"
#include "service.h"

static const struct mesh_served services[] = {{&delivery_service_type, &delivery_service_handlers},
                                              {0}};

int main(int argc, char **argv)
{
    static const struct mesh_app_spec spec = {
        .system = "fashion",
        .name = "delivery",
        .summary = "Starts a delivery for every paid order and cancels deliveries.",
        .services = services,
        .migrations = delivery_migrations,
        .publishes = true,
        .inbox = &delivery_inbox_type,
        .inbox_handlers = &delivery_service_inbox,
        .settings = delivery_service_settings,
        .start = delivery_service_start,
        .stop = delivery_service_stop,
    };

    return mesh_main(argc, argv, &spec);
}
