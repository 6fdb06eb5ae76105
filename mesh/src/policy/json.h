/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON text as a tree: the seam to the library that reads it. */
#ifndef MESH_POLICY_JSON_H
#define MESH_POLICY_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct mesh_arena;

enum mesh__json_kind {
    MESH__JSON_OBJECT,
    MESH__JSON_ARRAY,
    MESH__JSON_STRING,
    MESH__JSON_NUMBER,
    MESH__JSON_BOOL,
    MESH__JSON_NULL
};

/* One value; those inside of an object or array are a list in the order of the text. */
struct mesh__json {
    enum mesh__json_kind kind;
    const char *key;  /* of a member of an object */
    const char *text; /* of a string */
    double number;    /* 0 or 1 of a bool */
    const struct mesh__json *first;
    const struct mesh__json *next;
};

/*
 * Reads one JSON text into the arena; an object that names a key twice is none. NULL with a clause
 * in error, such as "line 3: '}' expected near 'x'".
 */
const struct mesh__json *mesh__json_parse(struct mesh_arena *arena, const char *text, size_t size,
                                          char *error, size_t error_size);

/* The member of that name; NULL if there is none. */
const struct mesh__json *mesh__json_find(const struct mesh__json *object, const char *key);

#endif
