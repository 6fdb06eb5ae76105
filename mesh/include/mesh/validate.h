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
    int64_t index;                  /* element of a list; -1 for none */
    const char *map_key;            /* key of an entry of a map; NULL for none */
    bool bare;                      /* the key is a number or a bool: shown without quotes */
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
/* Within the range of google.protobuf.Duration and .Timestamp, nanos with the sign that belongs
 * there. */
bool mesh_is_duration(int64_t seconds, int32_t nanos);
bool mesh_is_timestamp(int64_t seconds, int32_t nanos);

/*
 * A pattern as protoc-gen-mesh writes it down: an automaton. Every step that the text may have led
 * to is followed at once, so that matching takes no memory and, for each character, no step twice.
 */
enum mesh_pattern_kind {
    MESH_PATTERN_MATCHED,
    MESH_PATTERN_CHARACTER, /* one of its ranges, and goes on at next */
    MESH_PATTERN_EITHER,    /* goes on at next and at other */
    MESH_PATTERN_BEGIN,     /* of the text, and goes on at next */
    MESH_PATTERN_END        /* of the text, and goes on at next */
};

#define MESH_PATTERN_STEPS_MAX 1000

struct mesh_pattern_step {
    uint8_t kind; /* enum mesh_pattern_kind */
    uint16_t next;
    uint16_t other; /* of a character: the first of its ranges */
    uint16_t n_ranges;
};

/* Characters from first to last, both included. */
struct mesh_pattern_range {
    uint32_t first;
    uint32_t last;
};

struct mesh_pattern {
    const struct mesh_pattern_step *steps;
    uint16_t n_steps;
    uint16_t start;
    bool anchored; /* tried at the beginning of the text only */
    const struct mesh_pattern_range *ranges;
};

bool mesh_matches(const struct mesh_pattern *pattern, const char *text);

#endif
