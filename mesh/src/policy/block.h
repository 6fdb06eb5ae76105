/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an object of a policy by the table of what it may hold. */
#ifndef MESH_POLICY_BLOCK_H
#define MESH_POLICY_BLOCK_H

#include "policy/fields.h"
#include "policy/reader.h"

/* An object whose members are rows of a table, and perhaps some more. */
struct mesh__block {
    const struct mesh__fields *table;
    void *values;
    bool *set;
    bool defaults;      /* rows for routes alone are unknown */
    const char *others; /* "a|b": known members that somebody else reads; may be empty */
};

/* False with a sentence. */
bool mesh__block_read(struct mesh__policy_reader *reader, struct mesh__block *block,
                      const struct mesh__json *json, const char *place);

#endif
