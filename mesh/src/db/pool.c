/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pool.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "mesh/log.h"
#include "mesh/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* While the server cannot be reached one caller in so long may try; the others fail at once. */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 500
/* How often a waiting caller looks whether its call was cancelled. */
#define CANCEL_LOOK_NS (50 * MESH_NS_PER_MS)

/* A caller that waits for a connection; lives on its stack. */
struct waiter {
    struct waiter *next;
    pthread_cond_t granted;
    struct db_conn *conn; /* NULL: not yet */
};

struct mesh_db {
    struct mesh_db_options options;
    struct db_conn *conns;
    void (*on_commit)(void *arg);
    void *on_commit_arg;

    pthread_mutex_t mutex;
    struct db_conn *idle;  /* ready; the one used last comes first */
    struct db_conn *empty; /* not connected, or connecting */
    struct waiter *first_waiter;
    struct waiter **last_waiter; /* where the next one is linked */
    int n_ready;                 /* connections, idle or lent */
    bool down;                   /* the last attempt to connect failed */
    int64_t backoff_ms;
    int64_t next_try_ns;
    struct db_error down_error;

    struct mesh_gauge *idle_gauge;
    struct mesh_gauge *used_gauge;
    struct mesh_gauge *waiting_gauge;
    struct mesh_histogram *wait_seconds;
    struct mesh_counter *queries;
};

static struct mesh_gauge *state_gauge(const char *pool, const char *state)
{
    const char *labels[] = {"pool", pool, "state", state, NULL};

    return mesh_gauge("mesh_db_connections", "Connections to Postgres by state.", labels);
}

static void make_metrics(struct mesh_db *db)
{
    const char *labels[] = {"pool", db->options.metric_label, NULL};

    db->idle_gauge = state_gauge(db->options.metric_label, "idle");
    db->used_gauge = state_gauge(db->options.metric_label, "used");
    db->waiting_gauge =
        mesh_gauge("mesh_db_waiting", "Callers that wait for a connection.", labels);
    db->wait_seconds = mesh_histogram("mesh_db_wait_seconds",
                                      "Time that callers waited for a connection.", labels);
    db->queries = mesh_counter("mesh_db_queries_total", "Statements sent to Postgres.", labels);
}

struct mesh_db *mesh__db_new(const struct mesh_db_options *options)
{
    struct mesh_db *db = mesh__calloc(1, sizeof(*db));

    assert(options->size > 0);
    db->options = *options;
    db->options.url = mesh__strdup(options->url);
    db->options.schema = options->schema != NULL ? mesh__strdup(options->schema) : NULL;
    db->options.application_name =
        mesh__strdup(options->application_name != NULL ? options->application_name : "");
    db->options.settings = options->settings != NULL ? mesh__strdup(options->settings) : NULL;
    db->options.metric_label =
        mesh__strdup(options->metric_label != NULL ? options->metric_label : "main");
    db->conns = mesh__calloc((size_t)options->size, sizeof(*db->conns));
    for (int i = options->size - 1; i >= 0; i--) {
        db->conns[i].db = db;
        db->conns[i].options = &db->options;
        db->conns[i].next = db->empty;
        db->empty = &db->conns[i];
    }
    db->last_waiter = &db->first_waiter;
    pthread_mutex_init(&db->mutex, NULL);
    make_metrics(db);
    return db;
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text); /* made by mesh__strdup() */
}

void mesh__db_free(struct mesh_db *db)
{
    if (db == NULL) {
        return;
    }
    for (struct db_conn *conn = db->idle; conn != NULL; conn = conn->next) {
        mesh_gauge_add(db->idle_gauge, -1);
    }
    for (int i = 0; i < db->options.size; i++) {
        mesh__conn_done(&db->conns[i]);
    }
    pthread_mutex_destroy(&db->mutex);
    free(db->conns);
    free_text(db->options.url);
    free_text(db->options.schema);
    free_text(db->options.application_name);
    free_text(db->options.settings);
    free_text(db->options.metric_label);
    free(db);
}

void mesh__db_on_commit(struct mesh_db *db, void (*hook)(void *arg), void *arg)
{
    db->on_commit = hook;
    db->on_commit_arg = arg;
}

struct tx_hook mesh__pool_hook(const struct mesh_db *db)
{
    return (struct tx_hook){db->on_commit, db->on_commit_arg};
}

void mesh__pool_extra(const struct mesh_db *db, struct db_conn *ret_conn)
{
    *ret_conn = (struct db_conn){.options = &db->options};
}

const char *mesh__pool_schema(const struct mesh_db *db)
{
    return db->options.schema;
}

void mesh__pool_count_query(const struct mesh_db *db)
{
    mesh_counter_add(db->queries, 1);
}

/* ---- free connections; all with the mutex held ---- */

static struct db_conn *pop(struct db_conn **list)
{
    struct db_conn *conn = *list;

    *list = conn->next;
    conn->next = NULL;
    return conn;
}

static bool may_connect(const struct mesh_db *db)
{
    return !db->down || mesh__now_ns() >= db->next_try_ns;
}

/* A slot that is not connected is also lent when there is nothing to wait for: to fail at once. */
static struct db_conn *take_free(struct mesh_db *db)
{
    if (db->idle != NULL && db->first_waiter == NULL) {
        mesh_gauge_add(db->idle_gauge, -1);
        return pop(&db->idle);
    }
    if (db->empty != NULL && (may_connect(db) || db->n_ready == 0)) {
        return pop(&db->empty);
    }
    return NULL;
}

static void put_free(struct mesh_db *db, struct db_conn *conn)
{
    struct db_conn **list = conn->ready ? &db->idle : &db->empty;
    struct waiter *waiter = db->first_waiter;

    /* A waiter would only fail to connect while others may yet give a connection back. */
    if (waiter != NULL && (conn->ready || may_connect(db) || db->n_ready == 0)) {
        db->first_waiter = waiter->next;
        if (db->first_waiter == NULL) {
            db->last_waiter = &db->first_waiter;
        }
        waiter->conn = conn;
        pthread_cond_signal(&waiter->granted);
        return;
    }
    if (conn->ready) {
        mesh_gauge_add(db->idle_gauge, 1);
    }
    conn->next = *list;
    *list = conn;
}

static void leave_queue(struct mesh_db *db, const struct waiter *waiter)
{
    struct waiter **link = &db->first_waiter;

    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
    if (*link == NULL) {
        db->last_waiter = link;
    }
}

static int64_t next_look(const struct mesh_ctx *ctx, const struct mesh_db *db)
{
    int64_t look_ns = mesh__now_ns() + (ctx->cancelled != NULL ? CANCEL_LOOK_NS : MESH_NS_PER_S);

    if (db->down && db->empty != NULL && db->next_try_ns < look_ns) {
        look_ns = db->next_try_ns;
    }
    return look_ns < ctx->deadline_ns ? look_ns : ctx->deadline_ns;
}

/* Those that are lent may stay so for long: a slot that can be tried again is not left unused. */
static bool may_try(const struct mesh_db *db)
{
    return db->empty != NULL && may_connect(db);
}

/* Waits in the queue; NULL when the call's time is over. */
static struct db_conn *wait_for_free(struct mesh_ctx *ctx, struct mesh_db *db)
{
    struct waiter waiter = {0};

    mesh__condition_init(&waiter.granted);
    *db->last_waiter = &waiter;
    db->last_waiter = &waiter.next;
    mesh_gauge_add(db->waiting_gauge, 1);

    while (waiter.conn == NULL && !may_try(db) && mesh_ctx_remaining_ms(ctx) > 0 &&
           !mesh_ctx_cancelled(ctx)) {
        (void)mesh__condition_wait(&waiter.granted, &db->mutex, next_look(ctx, db));
    }
    if (waiter.conn == NULL) {
        leave_queue(db, &waiter);
        waiter.conn = may_try(db) ? pop(&db->empty) : NULL;
    }
    mesh_gauge_add(db->waiting_gauge, -1);
    pthread_cond_destroy(&waiter.granted);
    return waiter.conn;
}

/* ---- connecting ---- */

/* Whether this caller may try; while the server is down the next one has to wait for its turn. */
static bool begin_attempt(struct mesh_db *db, struct db_conn *conn)
{
    bool may;

    pthread_mutex_lock(&db->mutex);
    may = may_connect(db);
    if (may && db->down) {
        db->next_try_ns = mesh__in_ms(db->backoff_ms);
    } else if (!may) {
        conn->error = db->down_error;
    }
    pthread_mutex_unlock(&db->mutex);
    return may;
}

static void attempt_succeeded(struct mesh_db *db)
{
    bool was_down;

    pthread_mutex_lock(&db->mutex);
    was_down = db->down;
    db->down = false;
    db->backoff_ms = 0;
    db->n_ready++;
    pthread_mutex_unlock(&db->mutex);
    if (was_down) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("pool", db->options.metric_label)),
                 "the database can be reached again");
    }
}

static void attempt_failed(struct mesh_db *db, const struct db_error *error)
{
    bool was_down;

    pthread_mutex_lock(&db->mutex);
    was_down = db->down;
    db->down = true;
    db->down_error = *error;
    db->backoff_ms = was_down ? 2 * db->backoff_ms : BACKOFF_MIN_MS;
    if (db->backoff_ms > BACKOFF_MAX_MS) {
        db->backoff_ms = BACKOFF_MAX_MS;
    }
    db->next_try_ns = mesh__in_ms(db->backoff_ms);
    pthread_mutex_unlock(&db->mutex);
    if (!was_down) {
        mesh_log(MESH_LOG_WARN,
                 MESH_LOG_FIELDS(mesh_log_text("pool", db->options.metric_label),
                                 mesh_log_text("error", error->detail)),
                 "the database cannot be reached");
    }
}

/* A lent connection becomes ready, or conn->error says why it cannot. */
static enum mesh_status make_ready(struct mesh_ctx *ctx, struct mesh_db *db, struct db_conn *conn)
{
    enum mesh_status status;

    if (conn->ready && mesh__pg->alive(conn->pg)) {
        return MESH_OK;
    }
    if (conn->ready) { /* the server ended it while nobody used it */
        mesh__conn_close(conn);
        pthread_mutex_lock(&db->mutex);
        db->n_ready--;
        pthread_mutex_unlock(&db->mutex);
    }
    if (!begin_attempt(db, conn)) {
        return MESH_UNAVAILABLE;
    }
    status = mesh__conn_connect(ctx, conn);
    if (status == MESH_OK) {
        attempt_succeeded(db);
    } else if (status == MESH_UNAVAILABLE) {
        attempt_failed(db, &conn->error);
    }
    return status;
}

/* ---- lending ---- */

static MESH_STATUS out_of_time(struct mesh_ctx *ctx)
{
    if (mesh_ctx_cancelled(ctx)) {
        return mesh_fail(ctx, MESH_CANCELLED, "the call was cancelled");
    }
    return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "all database connections are in use");
}

static struct db_conn *lend(struct mesh_ctx *ctx, struct mesh_db *db)
{
    int64_t start_ns = 0;
    struct db_conn *conn;

    pthread_mutex_lock(&db->mutex);
    conn = take_free(db);
    if (conn == NULL) {
        start_ns = mesh__now_ns();
        conn = wait_for_free(ctx, db);
    }
    pthread_mutex_unlock(&db->mutex);
    mesh_histogram_observe(db->wait_seconds,
                           start_ns != 0 ? (double)(mesh__now_ns() - start_ns) / 1e9 : 0);
    if (conn != NULL) {
        mesh_gauge_add(db->used_gauge, 1);
    }
    return conn;
}

static void take_back(struct mesh_db *db, struct db_conn *conn, bool was_ready)
{
    mesh_gauge_add(db->used_gauge, -1);
    pthread_mutex_lock(&db->mutex);
    if (was_ready && !conn->ready) {
        db->n_ready--;
    }
    put_free(db, conn);
    pthread_mutex_unlock(&db->mutex);
}

static bool others_are_ready(struct mesh_db *db)
{
    bool ready;

    pthread_mutex_lock(&db->mutex);
    ready = db->n_ready > 0;
    pthread_mutex_unlock(&db->mutex);
    return ready;
}

MESH_STATUS mesh__pool_take(struct mesh_ctx *ctx, struct mesh_db *db, struct db_conn **ret_conn)
{
    for (;;) {
        struct db_conn *conn = lend(ctx, db);
        struct db_error error;
        enum mesh_status status;

        if (conn == NULL) {
            return out_of_time(ctx);
        }
        status = make_ready(ctx, db, conn);
        if (status == MESH_OK) {
            mesh__conn_begin(conn);
            *ret_conn = conn;
            return MESH_OK;
        }
        error = conn->error;
        take_back(db, conn, false);
        /* The server may have as many connections as it takes: wait for one of ours. */
        if (status != MESH_UNAVAILABLE || !others_are_ready(db) ||
            mesh_ctx_remaining_ms(ctx) == 0) {
            return mesh__db_error_fail(ctx, &error);
        }
    }
}

void mesh__pool_give(struct db_conn *conn)
{
    if (conn->error.drop || conn->n_ops > 0 || !mesh__pg->idle(conn->pg)) {
        mesh__conn_close(conn);
    }
    take_back(conn->db, conn, true);
}
