/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows all ways through a pattern at once (Thompson's construction), because the text comes from
 * strangers: a matcher that tries one way after another, or that remembers the states it has seen,
 * can be made to need time or memory without bound.
 */
#include "core/pattern.h"

#include "core/utf8.h"

#include <assert.h>
#include <string.h>

/* The steps that the text has led to, each once. */
struct alive {
    size_t n;
    uint16_t list[MESH_PATTERN_STEPS_MAX];
    bool is[MESH_PATTERN_STEPS_MAX];
};

static void enter(struct alive *alive, uint16_t step)
{
    if (!alive->is[step]) {
        alive->is[step] = true;
        alive->list[alive->n++] = step;
    }
}

static void leave_all(struct alive *alive)
{
    while (alive->n > 0) {
        alive->is[alive->list[--alive->n]] = false;
    }
}

/* The character there, 0 at the end; bytes that are none read as U+FFFD, one by one. */
static uint32_t read_character(const char **at)
{
    const unsigned char *bytes = (const unsigned char *)*at;
    size_t size = mesh__utf8_step(*at, strnlen(*at, 4));
    uint32_t character;

    if (*bytes == '\0') {
        return 0;
    }
    *at += size > 0 ? size : 1;
    if (size <= 1) {
        return size == 1 ? *bytes : 0xfffd;
    }
    character = *bytes & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        character = character << 6 | (bytes[i] & 0x3fU);
    }
    return character;
}

static bool is_one_of(const struct mesh_pattern *pattern, const struct mesh_pattern_step *step,
                      uint32_t character)
{
    const struct mesh_pattern_range *ranges = &pattern->ranges[step->other];

    for (size_t i = 0; i < step->n_ranges; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Where the text is: before `character`, which is 0 at its end. */
struct position {
    bool begins;
    uint32_t character;
};

/* Follows the steps of `now` as far as they go without a character, and those that take this one
 * into `next`. True if one of them is the end of the pattern. */
static bool follow(const struct mesh_pattern *pattern, struct position position, struct alive *now,
                   struct alive *next)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct mesh_pattern_step *step = &pattern->steps[now->list[i]];

        if (step->kind == MESH_PATTERN_MATCHED) {
            return true;
        }
        if (step->kind == MESH_PATTERN_CHARACTER) {
            if (is_one_of(pattern, step, position.character)) {
                enter(next, step->next);
            }
        } else if (step->kind == MESH_PATTERN_EITHER) {
            enter(now, step->next);
            enter(now, step->other);
        } else if (step->kind == MESH_PATTERN_BEGIN ? position.begins : position.character == 0) {
            enter(now, step->next);
        }
    }
    return false;
}

bool mesh__pattern_run(const struct mesh_pattern *pattern, const char *text, uint64_t *steps)
{
    struct alive sets[2];
    struct alive *now = &sets[0];
    struct alive *next = &sets[1];
    struct position position = {.begins = true};
    bool matched = false;

    assert(pattern->n_steps <= MESH_PATTERN_STEPS_MAX);
    for (size_t i = 0; i < 2; i++) {
        sets[i].n = 0;
        memset(sets[i].is, 0, pattern->n_steps * sizeof(sets[i].is[0]));
    }
    do {
        struct alive *swap = now;

        position.character = read_character(&text);
        if (position.begins || !pattern->anchored) {
            enter(now, pattern->start);
        }
        matched = follow(pattern, position, now, next);
        *steps += now->n;
        leave_all(now);
        now = next;
        next = swap;
        position.begins = false;
    } while (!matched && position.character != 0 && (now->n > 0 || !pattern->anchored));
    return matched;
}

bool mesh_matches(const struct mesh_pattern *pattern, const char *text)
{
    uint64_t steps = 0;

    return mesh__pattern_run(pattern, text, &steps);
}
