/* SPDX-License-Identifier: Apache-2.0 */
#include "app/readiness.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "db/db_impl.h"
#include "mesh/log.h"
#include "rpc/server.h"

#include <stdatomic.h>
#include <stdlib.h>

#define EVERY_MS 1000
#define PING_MS 1000
#define PROBE_MS 2000
#define PROBE_TURNS 5 /* unless it was silent: then at the next turn */
#define SILENT_MAX 3  /* in a row: a machine may be busy for a while */

struct mesh__readiness {
    const char *service;
    _Atomic(const char *) reason;
    _Atomic(const char *) dead; /* why the process is not alive */
    int n_silent;
    struct mesh_db *db;
    struct mesh_server *server;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    atomic_bool cancelled;
    bool started;
    pthread_t thread;
};

struct mesh__readiness *mesh__readiness_new(const char *service)
{
    struct mesh__readiness *readiness = mesh__calloc(1, sizeof(*readiness));

    readiness->service = service;
    atomic_store(&readiness->reason, "starting");
    pthread_mutex_init(&readiness->mutex, NULL);
    mesh__condition_init(&readiness->changed);
    return readiness;
}

void mesh__readiness_free(struct mesh__readiness *readiness)
{
    if (readiness == NULL) {
        return;
    }
    mesh__readiness_stop(readiness);
    pthread_cond_destroy(&readiness->changed);
    pthread_mutex_destroy(&readiness->mutex);
    free(readiness);
}

const char *mesh__readiness_reason(const struct mesh__readiness *readiness)
{
    return atomic_load(&readiness->reason);
}

const char *mesh__readiness_dead(const struct mesh__readiness *readiness)
{
    return atomic_load(&readiness->dead);
}

void mesh__readiness_set_reason(struct mesh__readiness *readiness, const char *reason)
{
    atomic_store(&readiness->reason, reason);
}

/*
 * A statement through the pool costs the server next to nothing. When it fails, the pool may just
 * be busy or hold a connection that has died: a connection of its own tells.
 */
static MESH_STATUS ping_database(struct mesh_ctx *ctx, struct mesh_db *db)
{
    static const struct mesh_sql ping = {.name = "mesh_ping", .text = "select 1"};

    if (mesh_db_query(mesh_ctx_timeout(ctx, PING_MS / 2), db, &ping, MESH_NO_ARGS, NULL) ==
        MESH_OK) {
        return MESH_OK;
    }
    return mesh__db_check(ctx, db);
}

static void follow(struct mesh__readiness *readiness, enum mesh_status status, const char *text)
{
    bool was_ready = mesh__readiness_reason(readiness) == NULL;
    bool ready = status == MESH_OK;

    if (ready == was_ready) {
        return;
    }
    mesh__readiness_set_reason(readiness, ready ? NULL : "the database does not answer");
    mesh__server_set_serving(readiness->server, ready);
    if (ready) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "the database answers again, ready");
    } else {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "not ready, the database does not answer: %s",
                 text);
    }
}

static bool pause_once(struct mesh__readiness *readiness)
{
    int64_t until_ns = mesh__in_ms(EVERY_MS);
    bool go_on;

    pthread_mutex_lock(&readiness->mutex);
    while (!readiness->stopping && mesh__now_ns() < until_ns) {
        mesh__condition_wait(&readiness->changed, &readiness->mutex, until_ns);
    }
    go_on = !readiness->stopping;
    pthread_mutex_unlock(&readiness->mutex);
    return go_on;
}

static void watch_database(struct mesh__readiness *readiness, struct mesh_ctx *ctx)
{
    enum mesh_status status;

    mesh__ctx_reset(ctx, mesh__in_ms(PING_MS));
    ctx->cancelled = &readiness->cancelled;
    status = ping_database(ctx, readiness->db);
    if (!atomic_load(&readiness->cancelled)) {
        follow(readiness, status, mesh_ctx_error(ctx));
    }
}

static void watch_port(struct mesh__readiness *readiness)
{
    enum mesh__probe probe = mesh__server_probe(readiness->server, PROBE_MS);

    if (probe == MESH__PROBE_SILENT && ++readiness->n_silent == SILENT_MAX) {
        atomic_store(&readiness->dead, "the gRPC port does not answer");
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS,
                 "not alive, the gRPC port has not answered %d times in a row", SILENT_MAX);
    } else if (probe == MESH__PROBE_ANSWERED) {
        readiness->n_silent = 0;
        if (atomic_exchange(&readiness->dead, NULL) != NULL) {
            mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "the gRPC port answers again, alive");
        }
    }
}

static void *watch(void *arg)
{
    struct mesh__readiness *readiness = arg;
    struct mesh_ctx *ctx = mesh__ctx_new(readiness->service, 0, MESH_NO_DEADLINE);

    for (unsigned turn = 1; pause_once(readiness); turn++) {
        if (readiness->db != NULL) {
            watch_database(readiness, ctx);
        }
        if (turn % PROBE_TURNS == 0 || readiness->n_silent > 0) {
            watch_port(readiness);
        }
    }
    mesh__ctx_free(ctx);
    return NULL;
}

void mesh__readiness_start(struct mesh__readiness *readiness, struct mesh_db *db,
                           struct mesh_server *server)
{
    readiness->db = db;
    readiness->server = server;
    mesh__readiness_set_reason(readiness, NULL);
    mesh__server_set_serving(server, true);
    mesh__thread_start(&readiness->thread, "mesh-health", watch, readiness);
    readiness->started = true;
}

void mesh__readiness_stop(struct mesh__readiness *readiness)
{
    if (!readiness->started) {
        return;
    }
    atomic_store(&readiness->cancelled, true);
    pthread_mutex_lock(&readiness->mutex);
    readiness->stopping = true;
    pthread_cond_broadcast(&readiness->changed);
    pthread_mutex_unlock(&readiness->mutex);
    pthread_join(readiness->thread, NULL);
    readiness->started = false;
}
