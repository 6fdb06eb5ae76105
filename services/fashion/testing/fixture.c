/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 256
#define TIMEOUT_MS 30000

static struct mesh_db *db;

static _Noreturn void give_up(const char *what, struct mesh_ctx *ctx)
{
    mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "fixture: %s: %s", what, mesh_ctx_error(ctx));
    exit(1);
}

struct mesh_db *fixture_db(void)
{
    return db;
}

struct mesh_ctx *fixture_ctx(void)
{
    return fixture_hurried_ctx(TIMEOUT_MS);
}

struct mesh_ctx *fixture_hurried_ctx(int64_t timeout_ms)
{
    return mesh__ctx_new("test", 0, mesh__in_ms(timeout_ms));
}

struct mesh_ctx *fixture_event_ctx(int64_t event_time_us)
{
    struct mesh_ctx *ctx = fixture_ctx();

    ctx->scope->event_time_us = event_time_us;
    return ctx;
}

static void make_schema(const char *url)
{
    static const struct mesh_sql statements[] = {
        {"drop_schema", "drop schema if exists fixture cascade"},
        {"drop_role", "drop role if exists fixture"},
        {"create_role", "create role fixture login"},
        {"create_schema", "create schema fixture authorization fixture"},
        {"set_path", "alter role fixture set search_path = fixture"},
    };
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct mesh_db *admin = mesh__db_new(&(struct mesh_db_options){.url = url,
                                                                   .schema = "public",
                                                                   .application_name = "fixture",
                                                                   .size = 1,
                                                                   .metric_label = "admin"});

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (mesh_db_query(ctx, admin, &statements[i], MESH_NO_ARGS, NULL) != MESH_OK) {
            give_up(statements[i].name, ctx);
        }
    }
    mesh__db_free(admin);
}

/* The same server as another role: with-servers trusts everybody. */
static char *url_of_role(const char *url, const char *role)
{
    const char *at = strchr(url, '@');
    const char *scheme = "postgresql://";
    char *changed = NULL;

    if (at == NULL || asprintf(&changed, "%s%s%s", scheme, role, at) < 0) {
        abort();
    }
    return changed;
}

struct mesh_db *fixture_start(const char *service, const struct mesh_migration *migrations)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *admin_url = getenv("TEST_DATABASE_URL");
    char *url;
    int applied;

    if (admin_url == NULL) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "run it by tests/support/with-servers");
        exit(77);
    }
    make_schema(admin_url);
    url = url_of_role(admin_url, "fixture");
    db = mesh__db_new(&(struct mesh_db_options){.url = url,
                                                .schema = "fixture",
                                                .application_name = service,
                                                .size = 8,
                                                .named = true,
                                                .metric_label = "main"});
    free(url);
    if (mesh__migrate(ctx, db, migrations, 0, &applied) != MESH_OK) {
        give_up("migrate", ctx);
    }
    return db;
}

void fixture_stop(void)
{
    mesh__db_free(db);
    db = NULL;
}

struct mesh_db *fixture_dead_db(void)
{
    return mesh__db_new(&(struct mesh_db_options){.url = "postgresql://nobody@127.0.0.1:1/none",
                                                  .schema = "fixture",
                                                  .application_name = "fixture",
                                                  .size = 1,
                                                  .named = true,
                                                  .metric_label = "dead"});
}

int64_t fixture_int64(const struct mesh_sql *sql, struct mesh_args args)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct mesh_rows *rows;

    if (mesh_db_query(ctx, db, sql, args, &rows) != MESH_OK) {
        give_up(sql->text, ctx);
    }
    return mesh_rows_count(rows) == 0 || mesh_row_is_null(rows, 0, 0) ? -1
                                                                      : mesh_row_int64(rows, 0, 0);
}

int64_t fixture_events(const char *name, const char *key)
{
    return FIXTURE_INT64(
        "select count(*) from outbox where subject like '%.' || $1::text and key = $2",
        MESH_ARGS(mesh_text(name), mesh_text(key)));
}

void fixture_await_lock(const atomic_bool *done)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    while (FIXTURE_INT64("select count(*) from pg_locks where not granted", MESH_NO_ARGS) == 0 &&
           (done == NULL || !atomic_load(done))) {
        if (mesh_ctx_remaining_ms(ctx) == 0) {
            give_up("nobody waits for a lock", ctx);
        }
    }
}

struct thread {
    pthread_t id;
    pthread_barrier_t *together;
    void (*run)(void *arg, int i);
    void *arg;
    int i;
};

static void *run_thread(void *arg)
{
    struct thread *thread = arg;

    pthread_barrier_wait(thread->together);
    thread->run(thread->arg, thread->i);
    return NULL;
}

void fixture_parallel(int n, void (*run)(void *arg, int i), void *arg)
{
    struct thread threads[MAX_THREADS];
    pthread_barrier_t together;

    if (n > MAX_THREADS || pthread_barrier_init(&together, NULL, (unsigned)n) != 0) {
        abort();
    }
    for (int i = 0; i < n; i++) {
        threads[i] = (struct thread){.together = &together, .run = run, .arg = arg, .i = i};
        if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0) {
            abort();
        }
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i].id, NULL);
    }
    pthread_barrier_destroy(&together);
}
