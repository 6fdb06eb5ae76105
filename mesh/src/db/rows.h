/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as they arrive, copied into a context so that nothing of the server's answer is kept. */
#ifndef MESH_DB_ROWS_H
#define MESH_DB_ROWS_H

#include "db/pg.h"
#include "mesh/db.h"

/* Of the statement of that name; lives as long as ctx. */
struct mesh_rows *mesh__rows_new(struct mesh_ctx *ctx, const char *statement);
/* Adds the rows that this result holds; false beyond the cap of ctx's memory. */
bool mesh__rows_add(struct mesh_ctx *ctx, struct mesh_rows *rows, const struct pg_result *result);
/* The statement has ended well. */
void mesh__rows_end(struct mesh_rows *rows, const struct pg_result *result);

#endif
