/* SPDX-License-Identifier: Apache-2.0 */
/* Making pools and running migrations, for the runtime. */
#ifndef MESH_DB_DB_IMPL_H
#define MESH_DB_DB_IMPL_H

#include "mesh/db.h"

struct mesh_db_options {
    const char *url;    /* libpq connection string or URI */
    const char *schema; /* "fashion_order": checked against current_schema() at each connect */
    const char *application_name; /* "fashion-order" */
    int size;                     /* connections; made when needed */
    bool named;               /* prepared statements by name (false behind a transaction pooler) */
    const char *metric_label; /* value of the label `pool` of its metrics */
    /*
     * Each transaction puts "<application_name> <trace id>" into pg_stat_activity. Costs about 10 %
     * of the server's time for a small transaction. Without it, statements that run for longer than
     * a second are logged with trace id and server process.
     */
    bool trace_application_name;
    const char *settings; /* "-c name=value ..." of its sessions, beside the usual; NULL: none */
};

struct mesh_db *mesh__db_new(const struct mesh_db_options *options);
void mesh__db_free(struct mesh_db *db);
/* Runs after each commit of a transaction that called mesh__tx_mark(): the relay's wake. */
void mesh__db_on_commit(struct mesh_db *db, void (*hook)(void *arg), void *arg);
void mesh__tx_mark(struct mesh_tx *tx);
/* A transaction that begins with the given statement ("begin isolation level repeatable read read
 * only") and ends with commit. */
MESH_STATUS mesh__tx_begin_as(struct mesh_ctx *ctx, struct mesh_db *db, const char *begin,
                              struct mesh_tx **ret_tx);
/* Sends what is queued and waits for it: reports the first failure of queued statements before the
 * commit. */
MESH_STATUS mesh__tx_flush(struct mesh_ctx *ctx, struct mesh_tx *tx);
/*
 * Which connection tx runs on: another number is another connection, and perhaps the server has
 * crashed in between. Then transaction ids of the time before can have been given out again.
 */
uint64_t mesh__tx_connection(struct mesh_tx *tx);
/*
 * Connects once: MESH_OK if the server answers and the schema is right; MESH_FAILED_PRECONDITION if
 * it refuses and will do so again, as for a wrong password.
 */
MESH_STATUS mesh__db_check(struct mesh_ctx *ctx, struct mesh_db *db);
/*
 * The same for what needs sessions: MESH_FAILED_PRECONDITION, with a sentence, behind a pooler that
 * gives one connection a session for no longer than a transaction.
 */
MESH_STATUS mesh__db_check_session(struct mesh_ctx *ctx, struct mesh_db *db);

/*
 * Applies the runtime's own migrations and then the service's, each in its own transaction, under
 * an advisory lock whose key is the schema, with lock_timeout. MESH_FAILED_PRECONDITION, with one
 * sentence: an applied file was changed, or the schema is too new for this binary. *ret_applied
 * counts the new ones.
 */
MESH_STATUS mesh__migrate(struct mesh_ctx *ctx, struct mesh_db *db,
                          const struct mesh_migration *migrations, int64_t compatible_from,
                          int *ret_applied);
/* What `serve` does instead: changes nothing; fails if a migration is missing, changed or too new.
 */
MESH_STATUS mesh__migrate_check(struct mesh_ctx *ctx, struct mesh_db *db,
                                const struct mesh_migration *migrations, int64_t compatible_from);

#endif
