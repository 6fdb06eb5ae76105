/* SPDX-License-Identifier: Apache-2.0 */
/* A service of somebody else's. */
#include "hello_sql.h"
#include "service.h"

#include <stdlib.h>

static MESH_STATUS start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service)
{
    struct hello_service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        return mesh_fail(ctx, MESH_RESOURCE_EXHAUSTED, "no memory");
    }
    service->db = mesh_app_db(app);
    *ret_service = service;
    return MESH_OK;
}

int main(int argc, char **argv)
{
    static const struct hello_service_handlers handlers = {.greet = rpc_greet};
    static const struct mesh_served services[] = {{&hello_service_type, &handlers}, {0}};
    static const struct mesh_app_spec spec = {
        .system = "acme",
        .name = "hello",
        .summary = "Greets people.",
        .services = services,
        .migrations = hello_migrations,
        .publishes = true,
        .start = start,
        .stop = free,
    };

    return mesh_main(argc, argv, &spec);
}
