/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "db/pool.h"
#include "mesh/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What goes wrong here is no failure of a test but of its ground. */
static void require(bool fine, const char *what)
{
    if (!fine) {
        mesh__fatal("fixture: %s", what);
    }
}

static const char *url_of(const char *schema)
{
    static char url[512];
    const char *base = getenv("TEST_DATABASE_URL");

    require(base != NULL, "TEST_DATABASE_URL is not set");
    (void)snprintf(url, sizeof(url), "%s?options=-csearch_path%%3D%s", base, schema);
    return url;
}

struct mesh_db_options fixture_options(const char *schema, int size)
{
    return (struct mesh_db_options){.url = url_of(schema),
                                    .schema = schema,
                                    .application_name = "test",
                                    .size = size,
                                    .named = true,
                                    .metric_label = "test"};
}

struct mesh_db *fixture_pool(const char *schema, int size)
{
    struct mesh_db_options options = fixture_options(schema, size);

    return mesh__db_new(&options);
}

struct mesh_ctx *fixture_ctx(int64_t timeout_ms)
{
    return mesh__ctx_new("test", 0, mesh__in_ms(timeout_ms));
}

static void run(const char *schema, const char *text)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx(20000);
    struct mesh_db_options options = fixture_options(schema, 1);
    struct db_conn conn = {.options = &options};

    options.schema = NULL;
    require(mesh__conn_connect(ctx, &conn) == MESH_OK, conn.error.detail);
    mesh__conn_begin(&conn);
    require(mesh__conn_script(&conn, "script", text) &&
                mesh__conn_receive(ctx, &conn, mesh__until(ctx), NULL) == PG_READY,
            "no answer");
    require(conn.error.status == MESH_OK, mesh__db_error_why(&conn.error));
    mesh__conn_done(&conn);
}

void fixture_run(const char *schema, const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    require(vsnprintf(text, sizeof(text), format, args) < (int)sizeof(text), "too long");
    va_end(args);
    run(schema, text);
}

void fixture_make_schema(const char *schema)
{
    fixture_run("public", "drop schema if exists %s cascade; create schema %s", schema, schema);
}

const char *fixture_ask(const char *schema, const char *format, ...)
{
    static char answer[4096];
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx(20000);
    struct mesh_db *db = fixture_pool(schema, 1);
    struct mesh_rows *rows;
    char text[4096];
    char query[5000];
    va_list args;

    va_start(args, format);
    require(vsnprintf(text, sizeof(text), format, args) < (int)sizeof(text), "too long");
    va_end(args);
    (void)snprintf(query, sizeof(query), "select coalesce((%s)::text, 'null')", text);
    require(mesh_db_query(ctx, db, SQL(query), MESH_NO_ARGS, &rows) == MESH_OK,
            mesh_ctx_error(ctx));
    (void)snprintf(answer, sizeof(answer), "%s", mesh_row_text(rows, 0, 0));
    mesh__db_free(db);
    return answer;
}

void fixture_wait_until(const char *schema, const char *query)
{
    for (int i = 0; i < 1000; i++) {
        if (strcmp(fixture_ask(schema, "%s", query), "true") == 0) {
            return;
        }
        usleep(10000);
    }
    require(false, query);
}

static pid_t postmaster(void)
{
    char path[512];
    FILE *file;
    long pid = 0;

    (void)snprintf(path, sizeof(path), "%s/postmaster.pid", getenv("TEST_PG_DIR"));
    file = fopen(path, "re");
    if (file != NULL) {
        char line[64];

        if (fgets(line, sizeof(line), file) != NULL) {
            pid = strtol(line, NULL, 10);
        }
        (void)fclose(file);
    }
    return (pid_t)pid;
}

void fixture_stop_postgres(void)
{
    char command[600];

    (void)snprintf(command, sizeof(command), "kill -INT %d", (int)postmaster());
    require(system(command) == 0, command); /* NOLINT(cert-env33-c): our own server */
    while (postmaster() != 0) {
        usleep(5000);
    }
}

void fixture_start_postgres(void)
{
    require(system(getenv("TEST_PG_START")) == 0, "start"); /* NOLINT(cert-env33-c): as above */
}
