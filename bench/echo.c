/* SPDX-License-Identifier: Apache-2.0 */
/* The echo service: no database, no peers, no events. */
#include "echo/v1/echo.mesh.h"
#include "mesh/main.h"

static MESH_STATUS rpc_echo(struct mesh_ctx *ctx __attribute__((unused)),
                            struct echo_service *service __attribute__((unused)),
                            const Echo__EchoRequest *request, Echo__EchoResponse *response)
{
    response->text = request->text;
    return MESH_OK;
}

int main(int argc, char **argv)
{
    static const struct echo_handlers handlers = {.echo = rpc_echo};
    static const struct mesh_served services[] = {{&echo_service_type, &handlers}, {0}};
    static const struct mesh_app_spec spec = {
        .system = "bench",
        .name = "echo",
        .summary = "Answers what it was asked.",
        .services = services,
    };

    return mesh_main(argc, argv, &spec);
}
