/* SPDX-License-Identifier: Apache-2.0 */
/* Collects every broken rule of a request; generated validators call it, handlers rarely need to.
 */
#ifndef MESH_VALIDATE_H
#define MESH_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most 32 violations of one request are kept; the rest are counted. */
struct mesh_violations;

/*
 * The place inside a request while a validator walks it: a field's name, with an index for elements
 * of lists, linked to the place it is inside of. Lives on the validator's stack.
 */
struct mesh_path {
    const struct mesh_path *parent; /* NULL at the top */
    const char *field;              /* proto name */
    int64_t index;                  /* element of a repeated field; -1 for none */
    const char *map_key;            /* key of a map entry; NULL for none */
};

/*
 * Records that the field at `path` breaks `rule` (its buf.validate name, such as "string.uuid");
 * the text says what was expected.
 */
void mesh_violate(struct mesh_violations *violations, const struct mesh_path *path,
                  const char *rule, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The checks that need more than a comparison. Text is valid UTF-8 without NUL. */
bool mesh_is_uuid(const char *text);       /* RFC 9562, 36 characters, either case */
size_t mesh_utf8_length(const char *text); /* in code points */
/* pattern is a POSIX extended expression, compiled once per call site and kept in *cache. */
bool mesh_matches(void **cache, const char *pattern, const char *text);

#endif
