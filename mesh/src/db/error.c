/* SPDX-License-Identifier: Apache-2.0 */
#include "db/error.h"

#include "core/ctx_impl.h"
#include "mesh/db.h"
#include "mesh/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A failover or restart takes longer than this, a dropped connection does not. */
#define RETRY_MS 100

static const struct meaning {
    const char *prefix; /* of the SQLSTATE; the first that fits counts */
    enum mesh_status status;
    bool drop;
    const char *text;
} meanings[] = {
    {"23505", MESH_ALREADY_EXISTS, false, "a row with this key exists already"},
    {"40001", MESH_ABORTED, false, "another transaction was in the way"},
    {"40P01", MESH_ABORTED, false, "another transaction was in the way"},
    {"55P03", MESH_ABORTED, false, "another transaction holds the lock"},
    {"57014", MESH_DEADLINE_EXCEEDED, false, "the database did not answer in time"},
    {"22003", MESH_OUT_OF_RANGE, false, "a number is beyond the range of its column"},
    {"22008", MESH_OUT_OF_RANGE, false, "a time is beyond the range of its column"},
    {"08", MESH_UNAVAILABLE, true, "the connection to the database was lost"},
    {"25006", MESH_UNAVAILABLE, true, "the database takes no writes"}, /* no longer the primary */
    {"25P03", MESH_UNAVAILABLE, true, "the connection to the database was lost"},
    {"25P04", MESH_UNAVAILABLE, true, "the connection to the database was lost"},
    {"26000", MESH_UNAVAILABLE, true, "the connection to the database was reset"},
    {"53", MESH_UNAVAILABLE, false, "the database lacks resources"},
    {"57P", MESH_UNAVAILABLE, true, "the database is stopping or starting"},
    {"58", MESH_UNAVAILABLE, true, "the database has a fault of its system"},
};

/* NULL: a failure that a caller can do nothing about. */
static const struct meaning *meaning_of(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strncmp(sqlstate, meanings[i].prefix, strlen(meanings[i].prefix)) == 0) {
            return &meanings[i];
        }
    }
    return NULL;
}

bool mesh__db_error_lasts(const char *sqlstate)
{
    return sqlstate[0] != '\0' && meaning_of(sqlstate) == NULL;
}

static void copy(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from);
}

static void count_error(const char *sqlstate)
{
    const char *labels[] = {"sqlstate", sqlstate, NULL};

    mesh_counter_add(mesh_counter("mesh_db_errors_total", "Failures reported by Postgres.", labels),
                     1);
}

void mesh__db_error_set(struct db_error *error, enum mesh_status status, const char *format, ...)
{
    va_list args;

    *error = (struct db_error){.status = status};
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
}

/* Messages about data (class 22) quote the data. */
static void describe(struct db_error *error, struct db_error_source source,
                     const struct pg_error *pg)
{
    bool quotes = source.has_values && strncmp(pg->sqlstate, "22", 2) == 0;

    (void)snprintf(error->detail, sizeof(error->detail), "%s: %s (SQLSTATE %s)", source.statement,
                   quotes ? "a value is not valid" : pg->message, pg->sqlstate);
}

void mesh__db_error_sql(struct db_error *error, struct db_error_source source,
                        const struct pg_error *pg)
{
    const struct meaning *meaning = meaning_of(pg->sqlstate);

    /* Class 25: its session is not in the state that it should be in. */
    *error = (struct db_error){.status = MESH_INTERNAL,
                               .drop = pg->fatal || strncmp(pg->sqlstate, "25", 2) == 0};
    copy(error->sqlstate, sizeof(error->sqlstate), pg->sqlstate);
    copy(error->constraint, sizeof(error->constraint), pg->constraint);
    describe(error, source, pg);
    count_error(error->sqlstate);

    if (meaning != NULL) {
        error->status = meaning->status;
        error->drop = error->drop || meaning->drop;
        copy(error->text, sizeof(error->text), meaning->text);
        return;
    }
    if (source.was_ready && strcmp(pg->sqlstate, "0A000") == 0) {
        /* A migration changed what a prepared statement returns: a new connection prepares anew. */
        error->status = MESH_UNAVAILABLE;
        error->drop = true;
        copy(error->text, sizeof(error->text), "the database's tables were changed");
        return;
    }
    copy(error->text, sizeof(error->text), error->detail);
    error->detail[0] = '\0';
}

const char *mesh__db_error_why(const struct db_error *error)
{
    return error->detail[0] != '\0' ? error->detail : error->text;
}

MESH_STATUS mesh__db_error_fail(struct mesh_ctx *ctx, const struct db_error *error)
{
    struct mesh__error *kept;
    enum mesh_status status;

    if (error->status == MESH_UNAVAILABLE) {
        status = mesh_fail_retry(ctx, RETRY_MS, "%s", error->text);
    } else {
        status = mesh_fail(ctx, error->status, "%s", error->text);
    }
    /* That a row exists is often expected, and the constraint says it all. */
    if (error->detail[0] != '\0' && error->status != MESH_ALREADY_EXISTS) {
        mesh_ctx_note(ctx, "db_error", "%s", error->detail);
    }
    kept = ctx->scope->error;
    memcpy(kept->sqlstate, error->sqlstate, sizeof(kept->sqlstate));
    kept->constraint = error->constraint[0] != '\0' ? mesh_strdup(ctx, error->constraint) : NULL;
    return status;
}

const char *mesh_ctx_constraint(const struct mesh_ctx *ctx)
{
    const char *constraint = ctx->scope->error->constraint;

    return constraint != NULL ? constraint : "";
}
