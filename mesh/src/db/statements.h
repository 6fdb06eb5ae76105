/* SPDX-License-Identifier: Apache-2.0 */
/* What one connection has prepared, by statement and types of parameters. */
#ifndef MESH_DB_STATEMENTS_H
#define MESH_DB_STATEMENTS_H

#include "db/pg.h"
#include "mesh/db.h"

enum statement_state { STATEMENT_ABSENT, STATEMENT_PENDING, STATEMENT_READY };

struct statement {
    uint64_t hash;
    enum statement_state state;
    bool only_reads;
    char name[64]; /* s_<name>_<hash>: within the 63 bytes that Postgres keeps */
};

/* Starts as zeros. */
struct statements {
    struct statement **slots;
    size_t n_slots;
    size_t n;
};

/* The one for this text with parameters of these types; made ABSENT if it is new. */
struct statement *mesh__statements_find(struct statements *statements, const struct mesh_sql *sql,
                                        const struct pg_params *params);
void mesh__statements_done(struct statements *statements);

#endif
