/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-caller: a service that calls the echo service (MESH_PEER_ECHO) under its policy, prints
 * what came of it as one JSON object, and ends.
 */
#include "allocations.h"
#include "echo/v1/echo.mesh.h"
#include "load.h"
#include "mesh/main.h"
#include "mesh/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ECHO "echo"
#define CALL_MS 10000 /* what a caller has: the policy's time is shorter */
#define READY_US 10000000
#define MAX_RATE 1000000
#define MAX_PHASES 64

struct phase {
    struct load load;
    pthread_t thread;
    struct load_result result;
    int64_t allocations;                           /* of the process meanwhile */
    int64_t attempts, retries, hedges, hedges_won; /* of the process, until its end */
};

struct caller {
    struct mesh_client *echo;
    pthread_t thread;
    struct phase phases[MAX_PHASES];
    int n_phases;
};

/* ---- calls ---------------------------------------------------------------------------------- */

static MESH_STATUS call_echo(struct mesh_ctx *ctx, struct mesh_client *echo)
{
    Echo__EchoRequest request = ECHO__ECHO_REQUEST__INIT;
    Echo__EchoResponse *response;

    request.text = "thirty-two bytes, as an id has..";
    return echo_echo(ctx, echo, &request, &response);
}

static MESH_STATUS call(void *arg, int client __attribute__((unused)),
                        int64_t number __attribute__((unused)),
                        bool *ret_complete __attribute__((unused)))
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(CALL_MS);
    enum mesh_status status = call_echo(ctx, arg);

    if (status != MESH_OK) {
        load_tell(status, mesh_ctx_error(ctx));
    }
    return status;
}

static bool answers(struct mesh_client *echo)
{
    int64_t until_us = load_now_us() + READY_US;

    do {
        cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(CALL_MS);

        if (call_echo(ctx, echo) == MESH_OK) {
            return true;
        }
    } while (load_now_us() < until_us);
    return false;
}

/* ---- phases --------------------------------------------------------------------------------- */

static int64_t count(const char *metric, const char *label, const char *value)
{
    const char *const labels[] = {"destination", ECHO, label, value, NULL};

    return (int64_t)mesh_counter_value(mesh_counter(metric, "", labels));
}

static void look(struct phase *phase)
{
    static const char *const reasons[] = {"connect-failure",    "refused-stream",    "reset",
                                          "cancelled",          "deadline-exceeded", "internal",
                                          "resource-exhausted", "unavailable"};

    phase->attempts = phase->retries = 0;
    for (int i = 0; i < LOAD_N_STATUSES; i++) {
        phase->attempts +=
            count("mesh_client_attempts_total", "code", mesh_status_name((enum mesh_status)i));
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        phase->retries += count("mesh_client_retries_total", "reason", reasons[i]);
    }
    phase->hedges = count("mesh_client_hedges_total", "result", "sent");
    phase->hedges_won = count("mesh_client_hedges_total", "result", "won");
}

static void *run_phase(void *arg)
{
    struct phase *phase = arg;
    int64_t before = allocations_so_far();

    load_run(&phase->load, &phase->result);
    phase->allocations = allocations_so_far() - before;
    return NULL;
}

/* Each begins when the time of the one before is over, even if that still waits for answers. */
static void run_phases(struct caller *caller)
{
    struct phase *phases = caller->phases;
    int64_t until_us = load_now_us();

    for (int i = 0; i < caller->n_phases; i++) {
        phases[i].load.arg = caller->echo;
        if (pthread_create(&phases[i].thread, NULL, run_phase, &phases[i]) != 0) {
            abort();
        }
        until_us += (int64_t)phases[i].load.seconds * 1000000;
        load_sleep_until(until_us);
        look(&phases[i]);
    }
    for (int i = 0; i < caller->n_phases; i++) {
        (void)pthread_join(phases[i].thread, NULL);
    }
    look(&phases[caller->n_phases - 1]); /* all of it */
}

static void print_phase(const struct phase *phase)
{
    (void)printf("{\"clients\": %d, \"rate\": %d, \"seconds\": %d, ", phase->load.clients,
                 phase->load.rate, phase->load.seconds);
    load_print(&phase->result);
    (void)printf(
        ", \"allocations\": %" PRId64 ", \"so_far\": {\"attempts\": %" PRId64
        ", \"retries\": %" PRId64 ", \"hedges\": %" PRId64 ", \"hedges_won\": %" PRId64 "}}",
        phase->allocations, phase->attempts, phase->retries, phase->hedges, phase->hedges_won);
}

static void *run(void *arg)
{
    struct caller *caller = arg;

    if (answers(caller->echo)) {
        run_phases(caller);
        (void)printf("[");
        for (int i = 0; i < caller->n_phases; i++) {
            (void)printf("%s", i == 0 ? "" : ", ");
            print_phase(&caller->phases[i]);
            load_free(&caller->phases[i].result);
        }
        (void)printf("]\n");
        (void)fflush(stdout);
    }
    (void)kill(getpid(), SIGTERM);
    return NULL;
}

/* ---- the service ---------------------------------------------------------------------------- */

/* Moves *text behind the number; false if there is none from min to max. */
static bool next_number(const char **text, long min, long max, int *ret_number)
{
    char *end;
    long number = strtol(*text, &end, 10);

    if (end == *text || number < min || number > max) {
        return false;
    }
    *text = end;
    *ret_number = (int)number;
    return true;
}

/* "CLIENTS RATE SECONDS", and more of it; false: it is something else. */
static bool read_phases(const char *text, struct caller *caller)
{
    do {
        struct load *load = &caller->phases[caller->n_phases].load;

        if (caller->n_phases == MAX_PHASES ||
            !next_number(&text, 1, LOAD_MAX_CLIENTS, &load->clients) ||
            !next_number(&text, 0, MAX_RATE, &load->rate) ||
            !next_number(&text, 1, LOAD_MAX_SECONDS, &load->seconds)) {
            return false;
        }
        load->call = call;
        caller->n_phases++;
    } while (*text != '\0');
    return true;
}

static MESH_STATUS start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service)
{
    struct caller *caller = calloc(1, sizeof(*caller));

    if (caller == NULL) {
        abort();
    }
    caller->echo = mesh_app_peer(app, ECHO);
    if (!read_phases(mesh_app_text(app, "CALLER_PHASES"), caller)) {
        free(caller);
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT,
                         "CALLER_PHASES is CLIENTS RATE SECONDS, once or more");
    }
    if (pthread_create(&caller->thread, NULL, run, caller) != 0) {
        abort();
    }
    *ret_service = caller;
    return MESH_OK;
}

static void stop(void *service)
{
    struct caller *caller = service;

    (void)pthread_join(caller->thread, NULL);
    free(caller);
}

int main(int argc, char **argv)
{
    static const struct mesh_service_type *const echo_types[] = {&echo_service_type, NULL};
    static const struct mesh_peer peers[] = {{ECHO, CALL_MS, echo_types}, {0}};
    static const struct mesh_served services[] = {{0}};
    static const struct mesh_setting settings[] = {
        {"CALLER_PHASES", MESH_SETTING_TEXT, NULL, 0, 0,
         "CLIENTS RATE SECONDS, once or more: calls per second of all clients together; 0: each "
         "calls again when it has its answer."},
        {0},
    };
    static const struct mesh_app_spec spec = {
        .system = "bench",
        .name = "caller",
        .summary = "Calls the echo service.",
        .services = services,
        .peers = peers,
        .settings = settings,
        .start = start,
        .stop = stop,
    };

    return mesh_main(argc, argv, &spec);
}
