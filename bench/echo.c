/* SPDX-License-Identifier: Apache-2.0 */
/* The echo service: no database, no peers, no events. */
#include "echo/v1/echo.mesh.h"
#include "mesh/main.h"

#include <stdlib.h>
#include <time.h>

struct echo_service {
    struct timespec delay; /* of each answer, on its worker */
};

static MESH_STATUS rpc_echo(struct mesh_ctx *ctx __attribute__((unused)),
                            struct echo_service *service, const Echo__EchoRequest *request,
                            Echo__EchoResponse *response)
{
    if (service->delay.tv_sec > 0 || service->delay.tv_nsec > 0) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &service->delay, NULL);
    }
    response->text = request->text;
    return MESH_OK;
}

static MESH_STATUS start(struct mesh_ctx *ctx __attribute__((unused)), struct mesh_app *app,
                         void **ret_service)
{
    struct echo_service *service = calloc(1, sizeof(*service));
    int64_t delay_ms = mesh_app_int64(app, "ECHO_DELAY_MS");

    if (service == NULL) {
        abort();
    }
    service->delay =
        (struct timespec){.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000};
    *ret_service = service;
    return MESH_OK;
}

int main(int argc, char **argv)
{
    static const struct echo_handlers handlers = {.echo = rpc_echo};
    static const struct mesh_served services[] = {{&echo_service_type, &handlers}, {0}};
    static const struct mesh_setting settings[] = {
        {"ECHO_DELAY_MS", MESH_SETTING_INT64, "0", 0, 10000,
         "Milliseconds that a worker sleeps over each call."},
        {0},
    };
    static const struct mesh_app_spec spec = {
        .system = "bench",
        .name = "echo",
        .summary = "Answers what it was asked.",
        .services = services,
        .settings = settings,
        .start = start,
        .stop = free,
    };

    return mesh_main(argc, argv, &spec);
}
