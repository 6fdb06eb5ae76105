/* SPDX-License-Identifier: Apache-2.0 */
/* The customercenter service of the fashion store. */
#include "customercenter_sql.h"
#include "service.h"

static const struct mesh_served services[] = {
    {&customercenter_service_type, &customercenter_service_handlers}, {0}};

int main(int argc, char **argv)
{
    static const struct mesh_app_spec spec = {
        .system = "fashion",
        .name = "customercenter",
        .summary = "Shows customers their orders, payments and deliveries.",
        .services = services,
        .migrations = customercenter_migrations,
        .inbox = &customercenter_inbox_type,
        .inbox_handlers = &customercenter_service_inbox,
        .start = customercenter_service_start,
        .stop = customercenter_service_stop,
    };

    return mesh_main(argc, argv, &spec);
}
