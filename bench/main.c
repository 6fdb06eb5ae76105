/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-load: the load generator, on our own client stubs. Targets are host:port.
 *
 *   register PRODUCT ARTICLES                    puts the articles into the catalogue
 *   orders ORDER CLIENTS SECONDS ARTICLES        places orders, article after article
 *   events ORDER CUSTOMERCENTER CLIENTS SECONDS ARTICLES RATE
 *                                                the same at RATE per second, and watches them show
 *   echo ECHO CLIENTS SECONDS                    calls the echo service
 *
 * Each client calls again when it has its answer. Without a rate, client c of n has the articles c,
 * c + n, c + 2n ...: its own ones where n divides ARTICLES. Prints one JSON object.
 */
#include "argument.h"
#include "echo/v1/echo.mesh.h"
#include "events.h"
#include "mesh/id.h"

#include <stdio.h>
#include <string.h>

#define MAX_RATE 1000000

struct arguments {
    const char *targets[2];
    int clients;
    int seconds;
    int articles;
    int rate;
};

static MESH_STATUS run_and_print(struct mesh_ctx *ctx, const struct load *load)
{
    struct load_result result;
    bool any;

    load_run(load, &result);
    (void)printf("{");
    load_print(&result);
    (void)printf("}\n");
    any = result.complete > 0;
    load_free(&result);
    return any ? MESH_OK : mesh_fail(ctx, MESH_UNAVAILABLE, "no call was complete");
}

static MESH_STATUS register_articles(struct mesh_ctx *ctx, const struct arguments *arguments)
{
    return orders_register(ctx, arguments->targets[0], arguments->articles);
}

static MESH_STATUS place_orders(struct mesh_ctx *ctx, const struct arguments *arguments)
{
    struct orders orders = {
        .order = mesh_client_new("order", arguments->targets[0], ORDERS_TIMEOUT_MS),
        .customer_id = mesh_new_id(ctx),
        .articles = arguments->articles,
    };
    struct load load = {.clients = arguments->clients,
                        .seconds = arguments->seconds,
                        .call = orders_call,
                        .arg = &orders};
    enum mesh_status status = run_and_print(ctx, &load);

    mesh_client_free(orders.order);
    return status;
}

static MESH_STATUS watch_events(struct mesh_ctx *ctx, const struct arguments *arguments)
{
    struct orders orders = {
        .order = mesh_client_new("order", arguments->targets[0], ORDERS_TIMEOUT_MS),
        .customer_id = mesh_new_id(ctx),
        .articles = arguments->articles,
    };
    struct load load = {
        .clients = arguments->clients, .seconds = arguments->seconds, .rate = arguments->rate};
    enum mesh_status status = events_measure(ctx, &orders, arguments->targets[1], &load);

    mesh_client_free(orders.order);
    return status;
}

static MESH_STATUS call_echo(void *arg, int client __attribute__((unused)),
                             int64_t number __attribute__((unused)),
                             bool *ret_complete __attribute__((unused)))
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(ORDERS_TIMEOUT_MS);
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoResponse *response;
    enum mesh_status status;

    request.text = "thirty-two bytes, as an id has..";
    status = echo_echo(ctx, arg, &request, &response);
    if (status != MESH_OK) {
        load_tell(status, mesh_ctx_error(ctx));
    }
    return status;
}

static MESH_STATUS call_echoes(struct mesh_ctx *ctx, const struct arguments *arguments)
{
    struct mesh_client *echo = mesh_client_new("echo", arguments->targets[0], ORDERS_TIMEOUT_MS);
    struct load load = {.clients = arguments->clients,
                        .seconds = arguments->seconds,
                        .call = call_echo,
                        .arg = echo};
    enum mesh_status status = run_and_print(ctx, &load);

    mesh_client_free(echo);
    return status;
}

/* The letters of `arguments`: t target, c clients, s seconds, a articles, r rate. */
static const struct command {
    const char *name;
    const char *arguments;
    const char *usage;
    MESH_STATUS (*run)(struct mesh_ctx *ctx, const struct arguments *arguments);
} commands[] = {
    {"register", "ta", "PRODUCT ARTICLES", register_articles},
    {"orders", "tcsa", "ORDER CLIENTS SECONDS ARTICLES", place_orders},
    {"events", "ttcsar", "ORDER CUSTOMERCENTER CLIENTS SECONDS ARTICLES RATE", watch_events},
    {"echo", "tcs", "ECHO CLIENTS SECONDS", call_echoes},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool read_number(char kind, const char *text, struct arguments *arguments)
{
    switch (kind) {
    case 'c':
        return (arguments->clients = argument_number(text, LOAD_MAX_CLIENTS)) != 0;
    case 's':
        return (arguments->seconds = argument_number(text, LOAD_MAX_SECONDS)) != 0;
    case 'a':
        return (arguments->articles = argument_number(text, ORDERS_MAX_ARTICLES)) != 0;
    default:
        return (arguments->rate = argument_number(text, MAX_RATE)) != 0;
    }
}

/* NULL: wrong usage. */
static const struct command *read_arguments(int argc, char **argv, struct arguments *ret_arguments)
{
    const struct command *command = NULL;
    size_t n_targets = 0;

    for (size_t i = 0; i < N_COMMANDS && argc > 1; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) {
            command = &commands[i];
        }
    }
    if (command == NULL || (size_t)argc != strlen(command->arguments) + 2) {
        return NULL;
    }
    for (int i = 2; i < argc; i++) {
        char kind = command->arguments[i - 2];

        if (kind == 't') {
            ret_arguments->targets[n_targets++] = argv[i];
        } else if (!read_number(kind, argv[i], ret_arguments)) {
            return NULL;
        }
    }
    return command;
}

int main(int argc, char **argv)
{
    cleanup_ctx struct mesh_ctx *ctx = NULL;
    struct arguments arguments = {0};
    const struct command *command = read_arguments(argc, argv, &arguments);

    if (command == NULL) {
        for (size_t i = 0; i < N_COMMANDS; i++) {
            (void)fprintf(stderr, "usage: bench-load %s %s\n", commands[i].name, commands[i].usage);
        }
        return 2;
    }
    ctx = mesh_ctx_background((int64_t)(arguments.seconds + 120) * 1000);
    if (command->run(ctx, &arguments) != MESH_OK) {
        (void)fprintf(stderr, "bench-load %s: %s\n", command->name, mesh_ctx_error(ctx));
        return 1;
    }
    return 0;
}
