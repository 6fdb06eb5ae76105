/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of what policy.json can say: name, type, range, default, meaning of each value. */
#ifndef MESH_POLICY_FIELDS_H
#define MESH_POLICY_FIELDS_H

#include "policy/policy.h"

#include <stdbool.h>

struct mesh__json;

#define MESH__POLICY_SCHEMA "mesh-policy/v1"

enum mesh__field_kind {
    MESH__FIELD_DURATION, /* in milliseconds */
    MESH__FIELD_WHOLE,
    MESH__FIELD_PERCENTAGE, /* any number, in millionths */
    MESH__FIELD_CHOICE,     /* a word of `choices`: which one */
    MESH__FIELD_SET,        /* words of `choices`: the sum of their bits */
    MESH__FIELD_STATUS,     /* the name of a gRPC code */
    MESH__FIELD_TEXT        /* visible characters; the value is a const char * */
};

struct mesh__field {
    const char *path; /* inside of a route or a destination: "retries.attempts" */
    enum mesh__field_kind kind;
    int64_t min, max;
    int64_t standard;
    const char *choices;
    const char *zero;      /* what 0 (or no text) means, which then is allowed beside min to max */
    const char *istio;     /* what it is by default there; NULL: the same */
    const char *meaning;   /* one sentence */
    bool required;         /* wherever the object is that it stands in */
    bool route_only;       /* not in defaults.route */
    bool not_proxyless;    /* nobody could enforce it there */
    int64_t proxyless_max; /* the C core does no more; 0: max */
    const char *proxyless_only; /* the one of the choices that the C core knows; NULL: all */
};

/* Of a struct with values, one after the other. */
struct mesh__fields {
    const struct mesh__field *fields;
    size_t n;
};

extern const struct mesh__fields mesh__route_fields;
extern const struct mesh__fields mesh__destination_fields;
/* Words of mode, in the order of enum mesh__policy_mode. */
#define MESH__POLICY_MODES "library|istio|proxyless"

/* The i-th value of a struct mesh__route_values or mesh__destination_values; of a text, its
 * address. */
int64_t mesh__field_get(const void *values, size_t i);
void mesh__field_set(void *values, size_t i, int64_t value);

/* The rest of the row's path inside of the object at `prefix`, which may be empty; NULL: it is
 * elsewhere. */
const char *mesh__field_member(const struct mesh__field *field, const char *prefix);

/* Whether a value of the right type is one of the field's. */
bool mesh__field_parse(const struct mesh__field *field, const struct mesh__json *json,
                       int64_t *ret_value);
/* Such as "a whole number from 0 to 10". */
void mesh__field_expected(const struct mesh__field *field, char *ret_text, size_t size);
/* The value as a file has it; of 0 (or no text, which no file can have), what that means if
 * `meaning` and it means something else. */
void mesh__field_print(const struct mesh__field *field, int64_t value, bool meaning,
                       struct mesh__text *text);

#endif
