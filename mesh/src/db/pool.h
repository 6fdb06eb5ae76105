/* SPDX-License-Identifier: Apache-2.0 */
/* The pool: connections made when needed, lent for one transaction, waited for in order. */
#ifndef MESH_DB_POOL_H
#define MESH_DB_POOL_H

#include "db/conn.h"

/* Lends a connection, waiting until ctx's deadline. */
MESH_STATUS mesh__pool_take(struct mesh_ctx *ctx, struct mesh_db *db, struct db_conn **ret_conn);
/* Gives it back; closes it if its error says so, or if it is not done with its transaction. */
void mesh__pool_give(struct db_conn *conn);
/* What mesh__db_on_commit() registered. */
struct tx_hook mesh__pool_hook(const struct mesh_db *db);
/* A connection beside the pool, for one long task; ended by mesh__conn_done(). */
void mesh__pool_extra(const struct mesh_db *db, struct db_conn *ret_conn);
const char *mesh__pool_schema(const struct mesh_db *db);
void mesh__pool_count_query(const struct mesh_db *db);

#endif
