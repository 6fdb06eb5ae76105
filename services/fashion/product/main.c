/* SPDX-License-Identifier: Apache-2.0 */
/* The product service of the fashion store. */
#include "product_sql.h"
#include "service.h"

static const struct mesh_served services[] = {{&product_service_type, &product_service_handlers},
                                              {0}};

int main(int argc, char **argv)
{
    static const struct mesh_app_spec spec = {
        .system = "fashion",
        .name = "product",
        .summary = "Keeps the catalogue and the stock of each article.",
        .services = services,
        .migrations = product_migrations,
        .publishes = true,
        .inbox = &product_inbox_type,
        .inbox_handlers = &product_service_inbox,
        .settings = product_service_settings,
        .start = product_service_start,
        .stop = product_service_stop,
    };

    return mesh_main(argc, argv, &spec);
}
