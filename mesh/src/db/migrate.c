/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies migrations, on a connection of its own: many statements in one go, each file in one
 * transaction together with the row that says it was applied.
 */
#include "core/ctx_impl.h"
#include "db/migration_plan.h"
#include "db/pool.h"
#include "mesh/log.h"
#include "mesh_sql.h"

#include <assert.h>
#include <string.h>

/* A wait for a lock holds up everybody who comes later: give up soon, and try again. */
#define SESSION_SETTINGS "set lock_timeout = '5s'; set statement_timeout = 0;"
#define UNDEFINED_TABLE "42P01"

struct owner {
    const char *name;
    const struct mesh_migration *migrations;
    int64_t compatible_from; /* the oldest migration that this binary can run on; 0: the newest */
};

/* Whoever migrates is an operator and is told everything. */
static MESH_STATUS tell(struct mesh_ctx *ctx, const struct db_error *error, const char *what)
{
    return mesh_fail(ctx, error->status, "%s: %s", what, mesh__db_error_why(error));
}

/* ---- what was applied ---- */

static void read_applied(struct mesh_ctx *ctx, const struct mesh_rows *rows,
                         struct migration_plan *plan)
{
    int64_t n = mesh_rows_count(rows);
    struct applied_migration *applied = mesh_alloc(ctx, (size_t)n * sizeof(*applied) + 1);

    for (int64_t i = 0; i < n; i++) {
        applied[i].number = mesh_row_int64(rows, i, 0);
        applied[i].name = mesh_row_text(rows, i, 1);
        applied[i].checksum = mesh_row_text(rows, i, 2);
        applied[i].compatible_from = mesh_row_int64(rows, i, 3);
    }
    plan->applied = applied;
    plan->n_applied = n;
}

/* ---- applying ---- */

static MESH_STATUS apply(struct mesh_ctx *ctx, struct db_conn *conn, const struct owner *owner,
                         const struct known_migration *known)
{
    /* The names were checked when they were embedded: no quote is in any of the values. */
    const char *script =
        mesh_printf(ctx,
                    "%s\n;\ninsert into migration (owner, number, name, checksum, compatible_from) "
                    "values ('%s', %lld, '%s', '%s', %lld)",
                    known->text, owner->name, (long long)known->number, known->name,
                    known->checksum, (long long)known->compatible_from);
    enum mesh_status status = mesh__conn_run_script(ctx, conn, known->name, script);

    if (status != MESH_OK) {
        return tell(ctx, &conn->error,
                    mesh_printf(ctx, "migration %s was not applied", known->name));
    }
    mesh_log(MESH_LOG_INFO,
             MESH_LOG_FIELDS(mesh_log_text("owner", owner->name),
                             mesh_log_text("migration", known->name)),
             "migration applied");
    return MESH_OK;
}

static MESH_STATUS apply_owner(struct mesh_ctx *ctx, struct db_conn *conn,
                               const struct owner *owner, int *n_applied)
{
    struct mesh_rows *rows = mesh__rows_new(ctx, mesh__sql_list_migrations.name);
    struct migration_plan plan;

    mesh__migrations_read(ctx, owner->migrations, &plan.known, &plan.n_known);
    if (mesh__conn_run(ctx, conn, &mesh__sql_list_migrations, MESH_ARGS(mesh_text(owner->name)),
                       rows) != MESH_OK) {
        return tell(ctx, &conn->error, "the applied migrations cannot be read");
    }
    read_applied(ctx, rows, &plan);
    MESH_TRY(mesh__migrations_compare(ctx, &plan));
    for (int64_t i = plan.first_new; i < plan.n_known; i++) {
        MESH_TRY(apply(ctx, conn, owner, &plan.known[i]));
        ++*n_applied;
    }
    return MESH_OK;
}

static MESH_STATUS lock(struct mesh_ctx *ctx, struct db_conn *conn)
{
    if (mesh__conn_run_script(ctx, conn, "set_timeouts", SESSION_SETTINGS) != MESH_OK) {
        return tell(ctx, &conn->error, "the session cannot be set up");
    }
    if (mesh__conn_run(ctx, conn, &mesh__sql_lock_migrations, MESH_NO_ARGS, NULL) == MESH_OK) {
        return MESH_OK;
    }
    if (conn->error.status == MESH_ABORTED) {
        return mesh_fail(ctx, MESH_ABORTED, "another migration of schema %s is running",
                         conn->options->schema);
    }
    return tell(ctx, &conn->error, "the lock for migrations cannot be had");
}

static MESH_STATUS migrate(struct mesh_ctx *ctx, struct db_conn *conn, const struct owner *owners,
                           int *n_applied)
{
    if (mesh__conn_connect(ctx, conn) != MESH_OK) {
        return tell(ctx, &conn->error, "no migration was applied");
    }
    MESH_TRY(lock(ctx, conn)); /* ends with the connection */
    if (mesh__conn_run(ctx, conn, &mesh__sql_create_migrations, MESH_NO_ARGS, NULL) != MESH_OK) {
        return tell(ctx, &conn->error, "the table of migrations cannot be made");
    }
    for (const struct owner *owner = owners; owner->name != NULL; owner++) {
        MESH_TRY(apply_owner(ctx, conn, owner, n_applied));
    }
    return MESH_OK;
}

/* Ends with a NULL name. */
static void list_owners(const struct mesh_migration *migrations, int64_t compatible_from,
                        struct owner ret_owners[3])
{
    ret_owners[0] = (struct owner){"mesh", mesh_migrations, 0};
    ret_owners[1] = (struct owner){"service", migrations, compatible_from};
    ret_owners[2] = (struct owner){NULL, NULL, 0};
}

MESH_STATUS mesh__migrate(struct mesh_ctx *ctx, struct mesh_db *db,
                          const struct mesh_migration *migrations, int64_t compatible_from,
                          int *ret_applied)
{
    struct owner owners[3];
    struct db_conn conn;
    enum mesh_status status;
    int n_applied = 0;

    list_owners(migrations, compatible_from, owners);
    mesh__pool_extra(db, &conn);
    status = migrate(ctx, &conn, owners, &n_applied);
    mesh__conn_done(&conn);
    if (status == MESH_OK) {
        *ret_applied = n_applied;
    }
    return status;
}

/* ---- checking ---- */

static MESH_STATUS list_applied(struct mesh_ctx *ctx, struct mesh_db *db, const struct owner *owner,
                                struct migration_plan *plan)
{
    struct mesh_rows *rows;
    enum mesh_status status = mesh_db_query(ctx, db, &mesh__sql_list_migrations,
                                            MESH_ARGS(mesh_text(owner->name)), &rows);

    if (status == MESH_OK) {
        read_applied(ctx, rows, plan);
    } else if (strcmp(ctx->scope->error->sqlstate, UNDEFINED_TABLE) == 0) {
        plan->n_applied = 0;
        status = MESH_OK;
    }
    return status;
}

static MESH_STATUS check_owner(struct mesh_ctx *ctx, struct mesh_db *db, const struct owner *owner)
{
    struct migration_plan plan = {0};
    int64_t needed = owner->compatible_from;

    mesh__migrations_read(ctx, owner->migrations, &plan.known, &plan.n_known);
    if (needed == 0) {
        needed = plan.n_known;
    }
    assert(needed <= plan.n_known);
    MESH_TRY(list_applied(ctx, db, owner, &plan));
    MESH_TRY(mesh__migrations_compare(ctx, &plan));
    if (plan.n_applied < needed) {
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION,
                         "migration %s was not applied to schema %s: run `migrate` first",
                         plan.known[needed - 1].name, mesh__pool_schema(db));
    }
    return MESH_OK;
}

MESH_STATUS mesh__migrate_check(struct mesh_ctx *ctx, struct mesh_db *db,
                                const struct mesh_migration *migrations, int64_t compatible_from)
{
    struct owner owners[3];

    list_owners(migrations, compatible_from, owners);
    for (const struct owner *owner = owners; owner->name != NULL; owner++) {
        MESH_TRY(check_owner(ctx, db, owner));
    }
    return MESH_OK;
}
