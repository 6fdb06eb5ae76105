/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads a policy, and the one sentence that says what is wrong in it and where. */
#ifndef MESH_POLICY_READER_H
#define MESH_POLICY_READER_H

#include "policy/json.h"
#include "policy/policy.h"

struct mesh_arena;

/* A place is a path in the file, such as "routes.pay.retries.retryOn[1]". */
struct mesh__policy_reader {
    struct mesh_arena *arena;
    const char *name; /* of the file */
    char *error;
    size_t error_size;
    const char *xds_peer;  /* as in struct mesh__policy_options */
    const char *only_mode; /* the same */
    enum mesh__policy_mode mode;
};

/* Writes "<file>: <place> <the rest>." and returns false. */
bool mesh__policy_refuse(struct mesh__policy_reader *reader, const char *place, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));
/* "... is <value>, expected <expected>." */
bool mesh__policy_refuse_value(struct mesh__policy_reader *reader, const char *place,
                               const struct mesh__json *json, const char *expected);
/* "... is not a known key, expected <one of a|b|c>." */
bool mesh__policy_refuse_key(struct mesh__policy_reader *reader, const char *place,
                             const char *known);

/* "before.after"; lives in the arena, as the next does. */
const char *mesh__policy_join(struct mesh__policy_reader *reader, const char *before,
                              const char *after);
/* "array[i]" */
const char *mesh__policy_place(struct mesh__policy_reader *reader, const char *array, size_t i);

#endif
