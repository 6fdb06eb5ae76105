/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_parts.h"

#include "app/http.h"
#include "core/text.h"
#include "db/db_impl.h"
#include "events/events.h"
#include "events/retention.h"
#include "rpc/client_impl.h"
#include "rpc/limit.h"
#include "rpc/server.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG_CHARS 9 /* " 3f9a01bc" */

struct fake *fake;

void fake_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* ---- database ------------------------------------------------------------------------------- */

struct mesh_db {
    int unused;
};

struct mesh_db *mesh__db_new(const struct mesh_db_options *options)
{
    size_t name = strlen(options->application_name) - TAG_CHARS; /* the tag is another each time */

    fake_say("db_new %s %s %.*s %d %s %s", options->url, options->schema, (int)name,
             options->application_name, options->size, options->named ? "named" : "unnamed",
             options->metric_label);
    return calloc(1, sizeof(struct mesh_db));
}

void mesh__db_free(struct mesh_db *db)
{
    if (db != NULL) {
        fake_say("db_free");
    }
    free(db);
}

MESH_STATUS mesh__db_check(struct mesh_ctx *ctx, struct mesh_db *db)
{
    enum mesh_status status = atomic_load(&fake->db);

    (void)db;
    atomic_fetch_add(&fake->db_checks, 1);
    return status == MESH_OK ? MESH_OK : mesh_fail(ctx, status, "no database");
}

MESH_STATUS mesh__db_check_session(struct mesh_ctx *ctx, struct mesh_db *db)
{
    enum mesh_status status = atomic_load(&fake->session);

    return status == MESH_OK ? mesh__db_check(ctx, db) : mesh_fail(ctx, status, "a pooler");
}

MESH_STATUS mesh_db_query(struct mesh_ctx *ctx, struct mesh_db *db, const struct mesh_sql *sql,
                          struct mesh_args args, struct mesh_rows **ret_rows)
{
    enum mesh_status status = atomic_load(&fake->pool);

    (void)sql;
    (void)args;
    (void)ret_rows;
    if (status != MESH_OK) {
        return mesh_fail(ctx, status, "the pool is busy");
    }
    return mesh__db_check(ctx, db);
}

MESH_STATUS mesh__migrate(struct mesh_ctx *ctx, struct mesh_db *db,
                          const struct mesh_migration *migrations, int64_t compatible_from,
                          int *ret_applied)
{
    enum mesh_status status = atomic_load(&fake->migrate);

    (void)db;
    (void)migrations;
    (void)compatible_from;
    if (status != MESH_OK) {
        return mesh_fail(ctx, status, "migration 0001_a was changed");
    }
    if (atomic_load(&fake->migrate_hangs)) {
        fake_say("migrating");
        while (!mesh_ctx_cancelled(ctx)) {
            (void)sched_yield();
        }
        return mesh_fail(ctx, MESH_CANCELLED, "migration 0001_a was not applied");
    }
    *ret_applied = 2;
    return MESH_OK;
}

MESH_STATUS mesh__migrate_check(struct mesh_ctx *ctx, struct mesh_db *db,
                                const struct mesh_migration *migrations, int64_t compatible_from)
{
    enum mesh_status status = atomic_load(&fake->migrate);

    (void)db;
    (void)migrations;
    (void)compatible_from;
    return status == MESH_OK ? MESH_OK : mesh_fail(ctx, status, "migration 0001_a is missing");
}

/* ---- leases --------------------------------------------------------------------------------- */

struct mesh__leases {
    int unused;
};

struct mesh__leases *mesh__leases_new(const struct mesh__leases_options *options)
{
    fake_say("leases_new %s %s", options->url, options->schema);
    return calloc(1, sizeof(struct mesh__leases));
}

struct mesh__lease_group *mesh__leases_add(struct mesh__leases *leases, const char *name, size_t n,
                                           void (*changed)(void *arg), void *arg)
{
    (void)leases;
    (void)changed;
    (void)arg;
    fake_say("leases_add %s %zu", name, n);
    return NULL; /* always ours */
}

void mesh__leases_start(struct mesh__leases *leases)
{
    if (leases != NULL) {
        fake_say("leases_start");
    }
}

void mesh__leases_stop(struct mesh__leases *leases)
{
    if (leases != NULL) {
        fake_say("leases_stop");
    }
}

void mesh__leases_free(struct mesh__leases *leases)
{
    free(leases);
}

uint64_t mesh__lease_term(const struct mesh__lease_group *group, size_t i)
{
    (void)group;
    (void)i;
    return 1;
}

void mesh__lease_left(struct mesh__lease_group *group, size_t i)
{
    (void)group;
    (void)i;
}

/* ---- real parts, by --wrap ------------------------------------------------------------------ */

/* The linker wants these names. NOLINTBEGIN(bugprone-reserved-identifier) */
void __real_mesh__http_stop(struct mesh__http *http);
void __wrap_mesh__http_stop(struct mesh__http *http);
void __real_mesh__policies_free(struct mesh__policies *policies);
void __wrap_mesh__policies_free(struct mesh__policies *policies);

void __wrap_mesh__http_stop(struct mesh__http *http)
{
    __real_mesh__http_stop(http);
    fake_say("http_stop");
}

void __wrap_mesh__policies_free(struct mesh__policies *policies)
{
    fake_say("policies_free");
    __real_mesh__policies_free(policies);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- clients -------------------------------------------------------------------------------- */

struct mesh_client {
    int unused;
};

struct mesh_client *mesh__client_new(const struct mesh__client_options *options)
{
    fake_say("client_new %s %s, %lld workers, of which %lld may wait", options->name,
             options->target, (long long)options->n_workers, (long long)options->waiting->max);
    return calloc(1, sizeof(struct mesh_client));
}

void mesh_client_free(struct mesh_client *client)
{
    fake_say("client_free");
    free(client);
}

void mesh__client_json(struct mesh_client *client, struct mesh__text *text)
{
    (void)client;
    mesh__text_adds(text, "{}");
}

void mesh__client_thread_done(void)
{
}

/* ---- events --------------------------------------------------------------------------------- */

struct mesh_events {
    void (*callback)(void *arg, const char *name);
    void *arg;
};

struct mesh_events *mesh__events_new(const struct mesh_events_options *options)
{
    fake_say("events_new %s %s %s %s %s", options->system, options->service, options->nats_url,
             options->session_url, options->schema);
    return calloc(1, sizeof(struct mesh_events));
}

MESH_STATUS mesh__events_check(struct mesh_ctx *ctx, struct mesh_events *events)
{
    enum mesh_status status = atomic_load(&fake->broker);

    (void)events;
    return status == MESH_OK ? MESH_OK : mesh_fail(ctx, status, "no broker");
}

void mesh__events_start(struct mesh_events *events)
{
    (void)events;
    fake_say("events_start");
}

void mesh__events_stop(struct mesh_events *events)
{
    (void)events;
    fake_say("events_stop");
}

void mesh__events_free(struct mesh_events *events)
{
    if (events != NULL) {
        fake_say("events_free");
    }
    free(events);
}

/* The broker sends what it gets back, as if to another replica. */
void mesh__events_ping(struct mesh_events *events, const char *name)
{
    fake_say("ping %s", name);
    events->callback(events->arg, name);
}

void mesh__events_on_ping(struct mesh_events *events, void (*callback)(void *arg, const char *name),
                          void *arg)
{
    events->callback = callback;
    events->arg = arg;
}

void mesh__retention_begin(struct mesh_ctx *ctx, struct mesh_db *db)
{
    (void)ctx;
    (void)db;
}

MESH_STATUS mesh__retention_run(struct mesh_ctx *ctx, void *retention, bool *ret_more)
{
    (void)ctx;
    (void)retention;
    (void)ret_more;
    return MESH_OK;
}

int64_t mesh__retention_interval_ms(const struct mesh__retention *retention)
{
    fake_say("retention %lld %lld", (long long)retention->outbox_keep_s,
             (long long)retention->inbox_keep_s);
    return 3600000;
}

/* ---- server --------------------------------------------------------------------------------- */

struct mesh_server {
    int unused;
};

struct mesh_server *mesh__server_new(const struct mesh_server_options *options,
                                     const struct mesh_served *services, void *state)
{
    (void)services;
    fake_say("server_new %s %s %d %d %s", options->service, options->listen, options->workers,
             options->max_message_bytes, (const char *)state);
    fake_say("server_limits %d %zu %d %d %d %zu %zu", options->queue_size, options->queue_bytes,
             options->stream_limit, options->watch_limit, options->max_connection_streams,
             options->memory_bytes, options->arena_bytes);
    fake_say("server_times %lld %lld %lld %lld %lld", (long long)options->default_deadline_ms,
             (long long)options->max_deadline_ms, (long long)options->lame_duck_ms,
             (long long)options->grace_ms, (long long)options->max_connection_age_ms);
    return calloc(1, sizeof(struct mesh_server));
}

bool mesh__server_start(struct mesh_server *server, int *ret_port, char *error, size_t error_size)
{
    (void)server;
    (void)snprintf(error, error_size, "cannot listen on 127.0.0.1:0");
    *ret_port = 4242;
    return !atomic_load(&fake->port_taken);
}

enum mesh__probe mesh__server_probe(const struct mesh_server *server, int64_t timeout_ms)
{
    (void)server;
    (void)timeout_ms;
    return atomic_load(&fake->probe);
}

void mesh__server_set_serving(struct mesh_server *server, bool serving)
{
    (void)server;
    fake_say("%s", serving ? "SERVING" : "NOT_SERVING");
}

void mesh__server_stop(struct mesh_server *server)
{
    (void)server;
    fake_say("server_stop");
    while (atomic_load(&fake->stop_hangs)) {
        pause();
    }
}

void mesh__server_free(struct mesh_server *server)
{
    if (server != NULL) {
        fake_say("server_free");
    }
    free(server);
}

void mesh_tx_after_commit(struct mesh_tx *tx, void (*hook)(void *arg), void *arg)
{
    (void)tx; /* these services have no transactions */
    (void)hook;
    (void)arg;
    abort();
}
