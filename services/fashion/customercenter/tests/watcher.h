/* SPDX-License-Identifier: Apache-2.0 */
/* A watcher is a thread in the handler with a stream of our own, which keeps what it is sent. */
#ifndef WATCHER_H
#define WATCHER_H

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "dashboard_test.h"
#include "rpc/stream_impl.h"

#include <pthread.h>
#include <stdatomic.h>

#define MAX_ROWS 4096
#define PATIENCE_S 10

struct row {
    char order_id[MESH_UUID_SIZE];
    Order__OrderStatus status;
};

struct watcher {
    struct mesh_stream stream; /* first */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct row rows[MAX_ROWS];
    size_t n_rows;
    bool blocked; /* the client does not read */
    bool writing;
    bool accepted;                /* initial metadata was sent */
    const char *placed_meanwhile; /* an order that is placed just before; NULL: none */
    atomic_bool cancelled;
    atomic_bool stopping; /* the server drains */
    Customercenter__WatchDashboardsRequest request;
    struct customercenter_service replica; /* that it is connected to */
    enum mesh_status status;
};

static inline MESH_STATUS write_row(struct mesh_ctx *ctx, struct mesh_stream *stream,
                                    const ProtobufCMessage *message)
{
    const Customercenter__WatchDashboardsResponse *response = (const void *)message;
    struct watcher *watcher = (struct watcher *)stream;
    struct row *row;

    pthread_mutex_lock(&watcher->mutex);
    watcher->writing = true;
    pthread_cond_broadcast(&watcher->changed);
    while (watcher->blocked) {
        pthread_cond_wait(&watcher->changed, &watcher->mutex);
    }
    watcher->writing = false;
    row = &watcher->rows[watcher->n_rows];
    watcher->n_rows += watcher->n_rows + 1 < MAX_ROWS;
    memcpy(row->order_id, response->dashboard->order_id, MESH_UUID_SIZE);
    row->status = response->dashboard->order_status;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->mutex);
    return mesh_ctx_cancelled(ctx) ? MESH_CANCELLED : MESH_OK;
}

static inline MESH_STATUS accept_call(struct mesh_ctx *ctx __attribute__((unused)),
                                      struct mesh_stream *stream)
{
    struct watcher *watcher = (struct watcher *)stream;

    if (watcher->placed_meanwhile != NULL) {
        apply(order_placed, watcher->placed_meanwhile);
    }
    pthread_mutex_lock(&watcher->mutex);
    watcher->accepted = true;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->mutex);
    return MESH_OK;
}

static const struct mesh__stream_ops stream_ops = {.write = write_row,
                                                   .send_initial_metadata = accept_call};

static inline void *run_watcher(void *arg)
{
    struct watcher *watcher = arg;
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);

    ctx->cancelled = &watcher->cancelled;
    ctx->stopping = &watcher->stopping;
    watcher->status =
        rpc_watch_dashboards(ctx, &watcher->replica, &watcher->request, &watcher->stream);
    mesh__ctx_free(ctx);
    return NULL;
}

/* False when `until` did not become true in time. */
static inline bool wait_for(struct watcher *watcher, bool (*until)(struct watcher *, const void *),
                            const void *arg)
{
    struct timespec end;
    bool met;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&watcher->mutex);
    while (!(met = until(watcher, arg)) && error == 0) {
        error = pthread_cond_timedwait(&watcher->changed, &watcher->mutex, &end);
    }
    pthread_mutex_unlock(&watcher->mutex);
    return met;
}

static inline bool has_row(struct watcher *watcher, const void *arg)
{
    const struct row *wanted = arg;

    for (size_t i = 0; i < watcher->n_rows; i++) {
        if (strcmp(watcher->rows[i].order_id, wanted->order_id) == 0 &&
            watcher->rows[i].status == wanted->status) {
            return true;
        }
    }
    return false;
}

static inline bool is_writing(struct watcher *watcher, const void *arg __attribute__((unused)))
{
    return watcher->writing;
}

static inline struct row row_of(const char *order_id, Order__OrderStatus status)
{
    struct row row = {.status = status};

    memcpy(row.order_id, order_id, sizeof(row.order_id));
    return row;
}

static inline void check_sees(struct watcher *watcher, const char *order_id,
                              Order__OrderStatus status)
{
    struct row wanted = row_of(order_id, status);

    CHECK(wait_for(watcher, has_row, &wanted));
}

static inline bool is_accepted(struct watcher *watcher, const void *arg __attribute__((unused)))
{
    return watcher->accepted;
}

/* Of one customer or order unless they are "". */
static inline void prepare(struct watcher *watcher, const char *customer_id, const char *order_id)
{
    *watcher = (struct watcher){.stream.ops = &stream_ops, .replica = service};
    pthread_mutex_init(&watcher->mutex, NULL);
    pthread_cond_init(&watcher->changed, NULL);
    customercenter__watch_dashboards_request__init(&watcher->request);
    watcher->request.customer_id = customer_id;
    watcher->request.order_id = order_id;
}

/* Changes from now on are seen. */
static inline void start(struct watcher *watcher)
{
    CHECK_INT(pthread_create(&watcher->thread, NULL, run_watcher, watcher), 0);
    CHECK(wait_for(watcher, is_accepted, NULL));
}

/* Of everything. */
static inline void begin(struct watcher *watcher)
{
    prepare(watcher, "", "");
    start(watcher);
}

static inline void set_blocked(struct watcher *watcher, bool blocked)
{
    pthread_mutex_lock(&watcher->mutex);
    watcher->blocked = blocked;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->mutex);
}

static inline void end_by(struct watcher *watcher, atomic_bool *flag, enum mesh_status expected)
{
    atomic_store(flag, true);
    pthread_join(watcher->thread, NULL);
    CHECK_INT(watcher->status, expected);
    pthread_cond_destroy(&watcher->changed);
    pthread_mutex_destroy(&watcher->mutex);
}

static inline void end(struct watcher *watcher)
{
    end_by(watcher, &watcher->cancelled, MESH_CANCELLED);
}

#endif
