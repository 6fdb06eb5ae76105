/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns of buf.validate, which are RE2's: read into a tree, written as an automaton. */
#ifndef MESH_GEN_PATTERN_H
#define MESH_GEN_PATTERN_H

#include "characters.h"
#include "text.h"

enum { NO_LIMIT = UINT16_MAX };

enum node_kind {
    NODE_CHARACTER,
    NODE_BEGIN,
    NODE_END,
    NODE_SEQUENCE, /* of the parts from `inside` backwards */
    NODE_EITHER,   /* one of them */
    NODE_REPEAT    /* `inside`, at least min and at most max times */
};

/* A part of a pattern, linked to the one before it in a sequence or among alternatives. */
struct node {
    enum node_kind kind;
    struct node *inside;
    struct node *before;
    uint16_t min;
    uint16_t max; /* NO_LIMIT: as often as there is text */
    uint16_t first_range;
    uint16_t n_ranges;
};

struct pattern {
    struct node *root;
    struct set ranges; /* of all its characters, each one's together */
    bool endless;      /* something in it repeats as often as there is text */
};

/* NULL and *ret_problem if it is more than is supported. */
struct pattern *pattern_read(const char *text, const char **ret_problem);
/* It can match at the beginning of a text only. */
bool pattern_is_anchored(const struct pattern *pattern);

/* automaton.c: writes `static const struct mesh_pattern pattern`; false and nothing if it would
 * have more than MESH_PATTERN_STEPS_MAX steps. */
bool emit_automaton(struct text *out, const char *indent, const struct pattern *pattern);

#endif
