/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time until an order shows: to the moment at which WatchDashboards brings its row to this
 * process for the first time. Nobody outside Postgres sees the moment of the commit, so it is
 * taken between two that are seen, by the clock of the one machine that all of this runs on:
 *
 *   begin   the order's update_time: now() of the transaction that placed it and wrote OrderPlaced;
 *           earlier than its commit by what the transaction takes
 *   answer  when PlaceOrder's answer was here; later than the commit by the way back
 */
#include "events.h"

#include "fashion/customercenter/v1/customercenter.mesh.h"
#include "mesh/id.h"
#include "mesh/time.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUDGES 100
#define SHOWN_WITHIN_US INT64_C(30000000) /* after the last order */
#define LOOK_MS 20

struct sighting {
    char order_id[MESH_UUID_SIZE];
    int64_t begin_us; /* of what was placed */
    int64_t at_us;    /* answered, or shown */
};

struct sightings {
    struct sighting *items;
    int64_t n;
    int64_t room;
};

struct events {
    struct orders *orders;
    pthread_mutex_t mutex; /* of the next two */
    struct sightings placed;
    struct sightings shown; /* every row; an order has several */
    struct mesh_client *dashboards;
    int64_t watch_ms;
    atomic_bool began; /* a row has come */
    atomic_bool over;  /* the watcher is to end with the next row */
    atomic_bool ended;
};

struct delays {
    int64_t *after_begin_us;
    int64_t *after_answer_us;
    int64_t n;
};

static void note(struct events *events, struct sightings *list, const char *order_id,
                 int64_t begin_us)
{
    struct sighting *sighting;
    int64_t at_us = mesh_now_us();

    (void)pthread_mutex_lock(&events->mutex);
    load_grow(&list->items, list->n, &list->room, sizeof(list->items[0]));
    sighting = &list->items[list->n++];
    (void)snprintf(sighting->order_id, sizeof(sighting->order_id), "%s", order_id);
    sighting->begin_us = begin_us;
    sighting->at_us = at_us;
    (void)pthread_mutex_unlock(&events->mutex);
}

static MESH_STATUS place(void *arg, int client __attribute__((unused)), int64_t number,
                         bool *ret_complete)
{
    struct events *events = arg;
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(ORDERS_TIMEOUT_MS);
    Order__PlaceOrderResponse *response;
    const Order__Order *order;
    enum mesh_status status = orders_place(ctx, events->orders, number, &response);

    if (status != MESH_OK) {
        load_tell(status, mesh_ctx_error(ctx));
        return status;
    }
    order = response->order;
    *ret_complete = order->status == ORDER__ORDER_STATUS__ORDER_STATUS_PLACED;
    if (*ret_complete) {
        note(events, &events->placed, order->order_id,
             order->update_time->seconds * 1000000 + order->update_time->nanos / 1000);
    }
    return MESH_OK;
}

static MESH_STATUS watch_rows(struct mesh_ctx *ctx, struct events *events)
{
    Customercenter__WatchDashboardsRequest request = CUSTOMERCENTER__WATCH_DASHBOARDS_REQUEST__INIT;
    struct mesh_stream *stream;

    request.customer_id = events->orders->customer_id;
    MESH_TRY(customercenter_watch_dashboards_open(ctx, events->dashboards, &request, &stream));
    while (!atomic_load(&events->over)) {
        Customercenter__WatchDashboardsResponse *response;

        MESH_TRY(customercenter_watch_dashboards_receive(ctx, stream, &response));
        if (response == NULL) {
            return mesh_fail(ctx, MESH_UNAVAILABLE, "no more rows come");
        }
        note(events, &events->shown, response->dashboard->order_id, 0);
        atomic_store(&events->began, true);
    }
    return MESH_OK;
}

static void *watch(void *arg)
{
    struct events *events = arg;
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(events->watch_ms);
    enum mesh_status status = watch_rows(ctx, events);

    if (status != MESH_OK) {
        (void)fprintf(stderr, "the watch has ended: %s: %s\n", mesh_status_name(status),
                      mesh_ctx_error(ctx));
    }
    atomic_store(&events->ended, true);
    return NULL;
}

/*
 * Places orders that are not counted until the watcher says so: they bring it rows. It begins some
 * time after the stream was opened, and a stream is ended by the thread that reads it.
 */
static MESH_STATUS nudge(struct mesh_ctx *ctx, struct events *events, atomic_bool *done)
{
    for (int i = 0; i < NUDGES; i++) {
        Order__PlaceOrderResponse *response;

        MESH_TRY(orders_place(ctx, events->orders, 0, &response));
        for (int waited_ms = 0; waited_ms < 500; waited_ms += LOOK_MS) {
            if (atomic_load(done)) {
                return MESH_OK;
            }
            MESH_TRY(mesh_ctx_sleep(ctx, LOOK_MS));
        }
    }
    return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "the dashboard shows nothing");
}

static int by_order_then_time(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;
    int order = strcmp(x->order_id, y->order_id);

    return order != 0 ? order : (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

static void sort(struct sightings *list)
{
    if (list->n > 0) {
        qsort(list->items, (size_t)list->n, sizeof(list->items[0]), by_order_then_time);
    }
}

/* Finds the first showing of each placed order. */
static void join(struct events *events, struct delays *delays)
{
    const struct sightings *placed = &events->placed, *shown = &events->shown;
    int64_t s = 0;

    (void)pthread_mutex_lock(&events->mutex);
    sort(&events->placed);
    sort(&events->shown);
    delays->n = 0;
    for (int64_t p = 0; p < placed->n; p++) {
        const struct sighting *order = &placed->items[p];

        while (s < shown->n && strcmp(shown->items[s].order_id, order->order_id) < 0) {
            s++;
        }
        if (s < shown->n && strcmp(shown->items[s].order_id, order->order_id) == 0) {
            delays->after_begin_us[delays->n] = shown->items[s].at_us - order->begin_us;
            delays->after_answer_us[delays->n] = shown->items[s].at_us - order->at_us;
            delays->n++;
        }
    }
    (void)pthread_mutex_unlock(&events->mutex);
}

/* What does not show in time is told as such. */
static void wait_until_shown(struct mesh_ctx *ctx, struct events *events, struct delays *delays)
{
    int64_t end_us = mesh_now_us() + SHOWN_WITHIN_US;

    delays->after_begin_us = calloc((size_t)events->placed.n + 1, sizeof(int64_t));
    delays->after_answer_us = calloc((size_t)events->placed.n + 1, sizeof(int64_t));
    if (delays->after_begin_us == NULL || delays->after_answer_us == NULL) {
        abort();
    }
    do {
        join(events, delays);
    } while (delays->n < events->placed.n && mesh_now_us() < end_us &&
             mesh_ctx_sleep(ctx, LOOK_MS) == MESH_OK);
    load_sort(delays->after_begin_us, delays->n);
    load_sort(delays->after_answer_us, delays->n);
}

static void print_delay(const char *name, const int64_t *times_us, int64_t n)
{
    (void)printf(", \"%s\": {\"p50_ms\": %.2f, \"p95_ms\": %.2f, \"p99_ms\": %.2f}", name,
                 load_percentile_ms(times_us, n, 0.50), load_percentile_ms(times_us, n, 0.95),
                 load_percentile_ms(times_us, n, 0.99));
}

static void place_and_print(struct mesh_ctx *ctx, struct events *events, struct load *load)
{
    struct load_result result;
    struct delays delays = {0};

    load->call = place;
    load->arg = events;
    load_run(load, &result);
    wait_until_shown(ctx, events, &delays);
    (void)printf("{");
    load_print(&result);
    (void)printf(", \"shown\": %" PRId64 ", \"not_shown\": %" PRId64, delays.n,
                 events->placed.n - delays.n);
    print_delay("shown_after_begin", delays.after_begin_us, delays.n);
    print_delay("shown_after_answer", delays.after_answer_us, delays.n);
    (void)printf("}\n");
    free(delays.after_begin_us);
    free(delays.after_answer_us);
    load_free(&result);
}

MESH_STATUS events_measure(struct mesh_ctx *ctx, struct orders *orders,
                           const char *dashboard_target, struct load *load)
{
    struct events events = {
        .orders = orders,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .dashboards = mesh_client_new("customercenter", dashboard_target, 0),
        .watch_ms = mesh_ctx_remaining_ms(ctx),
    };
    enum mesh_status status, ended;
    pthread_t watcher;

    if (pthread_create(&watcher, NULL, watch, &events) != 0) {
        abort();
    }
    status = nudge(ctx, &events, &events.began);
    if (status == MESH_OK) {
        place_and_print(ctx, &events, load);
    }
    atomic_store(&events.over, true);
    ended = nudge(ctx, &events, &events.ended); /* if not: the watcher's time is limited, too */
    (void)pthread_join(watcher, NULL);
    mesh_client_free(events.dashboards);
    free(events.placed.items);
    free(events.shown.items);
    return status == MESH_OK ? ended : status;
}
