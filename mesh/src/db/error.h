/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong with a transaction, kept so that every later call of it can say so again. */
#ifndef MESH_DB_ERROR_H
#define MESH_DB_ERROR_H

#include "db/pg.h"
#include "mesh/ctx.h"

struct db_error {
    enum mesh_status status; /* MESH_OK: nothing went wrong */
    bool drop;               /* the connection must not be used again */
    bool lasts;              /* to connect again would not help */
    char sqlstate[6];        /* "" if not from the server */
    char constraint[64];
    char text[512];   /* becomes the text of the call */
    char detail[256]; /* for the operator only; "" if text says it all */
};

/* What the server answered to. */
struct db_error_source {
    const char *statement;
    bool was_ready;  /* it had been prepared by an earlier transaction */
    bool has_values; /* it had parameters, which nobody may read in a log */
};

/* From an answer of the server. */
void mesh__db_error_sql(struct db_error *error, struct db_error_source source,
                        const struct pg_error *pg);
/* From this side. The detail is left empty. */
void mesh__db_error_set(struct db_error *error, enum mesh_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether a server that refuses to connect with that SQLSTATE will do so again; "": it did not. */
bool mesh__db_error_lasts(const char *sqlstate);
/* What an operator should read; lives as long as the error stays as it is. */
const char *mesh__db_error_why(const struct db_error *error);
/* Puts it into ctx and returns its status. */
MESH_STATUS mesh__db_error_fail(struct mesh_ctx *ctx, const struct db_error *error);

#endif
