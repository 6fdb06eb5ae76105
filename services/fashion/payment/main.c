/* SPDX-License-Identifier: Apache-2.0 */
/* The payment service of the fashion store. */
#include "payment_sql.h"
#include "service.h"

static const struct mesh_served services[] = {{&payment_service_type, &payment_service_handlers},
                                              {0}};

int main(int argc, char **argv)
{
    static const struct mesh_app_spec spec = {
        .system = "fashion",
        .name = "payment",
        .summary = "Takes the money for orders and gives it back.",
        .services = services,
        .migrations = payment_migrations,
        .publishes = true,
        .inbox = &payment_inbox_type,
        .inbox_handlers = &payment_service_inbox,
        .settings = payment_service_settings,
        .start = payment_service_start,
        .stop = payment_service_stop,
    };

    return mesh_main(argc, argv, &spec);
}
