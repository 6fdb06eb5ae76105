/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of characters in a pattern. */
#ifndef MESH_GEN_CHARACTERS_H
#define MESH_GEN_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From first to last, both included. */
struct range {
    uint32_t first;
    uint32_t last;
};

/* All zero is the empty set. */
struct set {
    struct range *all;
    size_t n;
    size_t capacity;
};

void set_add(struct set *set, uint32_t first, uint32_t last);
/* The letter of \d, \s or \w, or in upper case what is not in it. */
void set_add_class(struct set *set, char letter);
/* "alpha" of [:alpha:]; false if there is no such class. */
bool set_add_named(struct set *set, const char *name, size_t size);
/* Every range once, in order. */
void set_sort(struct set *set);
/* All other characters; a NUL is none. */
void set_negate(struct set *set);

/* Reads one character of UTF-8; false if the bytes there are none. */
bool character_read(const char **at, uint32_t *ret_character);

#endif
