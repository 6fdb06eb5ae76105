/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the migrations that a binary knows with those applied to a schema; no database here. */
#ifndef MESH_DB_MIGRATION_PLAN_H
#define MESH_DB_MIGRATION_PLAN_H

#include "db/sha256.h"
#include "mesh/db.h"

/* One that the binary knows. */
struct known_migration {
    int64_t number;
    int64_t compatible_from; /* a binary must know this one to run on the schema after it */
    char checksum[SHA256_HEX_SIZE];
    const char *name;
    const char *text;
};

/* One that was applied to the schema. */
struct applied_migration {
    int64_t number;
    int64_t compatible_from;
    const char *checksum;
    const char *name;
};

struct migration_plan {
    const struct known_migration *known;
    int64_t n_known;
    const struct applied_migration *applied;
    int64_t n_applied;
    int64_t first_new; /* index in known of the first one to be applied; n_known: none */
};

/* Reads a list with a NULL name at its end. A name without a number in order is a bug and ends the
 * process. */
void mesh__migrations_read(struct mesh_ctx *ctx, const struct mesh_migration *migrations,
                           const struct known_migration **ret_known, int64_t *ret_n);
/*
 * Fills plan->first_new. MESH_FAILED_PRECONDITION, with a sentence: an applied migration was
 * changed, one is missing before an applied one, or the schema is too new.
 */
MESH_STATUS mesh__migrations_compare(struct mesh_ctx *ctx, struct migration_plan *plan);

#endif
