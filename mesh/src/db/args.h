/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a statement in Postgres' binary format. */
#ifndef MESH_DB_ARGS_H
#define MESH_DB_ARGS_H

#include "db/pg.h"
#include "mesh/db.h"

/* Built-in types by their oid. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_CHAR = 18,
    PG_NAME = 19,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_OID = 26,
    PG_JSON = 114,
    PG_FLOAT8 = 701,
    PG_UNKNOWN = 705,
    PG_TEXT_ARRAY = 1009,
    PG_INT8_ARRAY = 1016,
    PG_BPCHAR = 1042,
    PG_VARCHAR = 1043,
    PG_DATE = 1082,
    PG_TIMESTAMP = 1114,
    PG_TIMESTAMPTZ = 1184,
    PG_NUMERIC = 1700,
    PG_UUID = 2950,
    PG_UUID_ARRAY = 2951,
    PG_JSONB = 3802,
    PG_XID8 = 5069,
    PG_FIRST_USER_TYPE = 16384 /* enums, domains' bases are built in */
};

/* Microseconds from the Unix epoch to Postgres', 2000-01-01 UTC. */
#define PG_EPOCH_US INT64_C(946684800000000)

/* The parameters of one statement; its memory is used again for the next. Starts as zeros. */
struct db_args {
    struct pg_params params;
    uint32_t *types;
    const char **values;
    int *sizes;
    int *formats;
    size_t n_max;
    uint8_t *bytes;
    size_t bytes_max;
};

/* Fills params with a copy of args. MESH_INTERNAL: *ret_problem says what is wrong. */
MESH_STATUS mesh__args_encode(struct db_args *to, struct mesh_args args, const char **ret_problem);
void mesh__args_done(struct db_args *to);

#endif
