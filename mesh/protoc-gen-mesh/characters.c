/* SPDX-License-Identifier: Apache-2.0 */
#include "characters.h"

#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LAST_CHARACTER 0x10ffff

void set_add(struct set *set, uint32_t first, uint32_t last)
{
    if (set->n == set->capacity) {
        size_t capacity = set->capacity * 2 + 16;
        struct range *all = gen_alloc(capacity * sizeof(*all));

        if (set->n > 0) {
            memcpy(all, set->all, set->n * sizeof(*all));
        }
        set->all = all;
        set->capacity = capacity;
    }
    set->all[set->n++] = (struct range){first, last};
}

static int compare(const void *left, const void *right)
{
    const struct range *a = left;
    const struct range *b = right;

    return (a->first > b->first) - (a->first < b->first);
}

void set_sort(struct set *set)
{
    size_t n = 0;

    if (set->n == 0) {
        return;
    }
    qsort(set->all, set->n, sizeof(*set->all), compare);
    for (size_t i = 1; i < set->n; i++) {
        if (set->all[i].first > set->all[n].last + 1) {
            set->all[++n] = set->all[i];
        } else if (set->all[i].last > set->all[n].last) {
            set->all[n].last = set->all[i].last;
        }
    }
    set->n = n + 1;
}

void set_negate(struct set *set)
{
    struct set others = {0};
    uint32_t from = 1;

    set_sort(set);
    for (size_t i = 0; i < set->n; i++) {
        if (set->all[i].first > from) {
            set_add(&others, from, set->all[i].first - 1);
        }
        from = set->all[i].last + 1;
    }
    if (from <= LAST_CHARACTER) {
        set_add(&others, from, LAST_CHARACTER);
    }
    *set = others;
}

/* Pairs of first and last. */
static void add_pairs(struct set *set, const char *pairs)
{
    for (; *pairs != '\0'; pairs += 2) {
        set_add(set, (unsigned char)pairs[0], (unsigned char)pairs[1]);
    }
}

struct named {
    const char *name;
    const char *pairs;
};

/* As RE2 has them: \s is not [:space:]. */
static const struct named names[] = {{"alnum", "09AZaz"},
                                     {"alpha", "AZaz"},
                                     {"ascii", "\x01\x7f"},
                                     {"blank", "\t\t  "},
                                     {"cntrl", "\x01\x1f\x7f\x7f"},
                                     {"digit", "09"},
                                     {"graph", "!~"},
                                     {"lower", "az"},
                                     {"print", " ~"},
                                     {"punct", "!/:@[`{~"},
                                     {"space", "\t\r  "},
                                     {"upper", "AZ"},
                                     {"word", "09AZ__az"},
                                     {"xdigit", "09AFaf"},
                                     {"\\d", "09"},
                                     {"\\s", "\t\n\f\r  "},
                                     {"\\w", "09AZ__az"}};

bool set_add_named(struct set *set, const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) == size && memcmp(names[i].name, name, size) == 0) {
            add_pairs(set, names[i].pairs);
            return true;
        }
    }
    return false;
}

void set_add_class(struct set *set, char letter)
{
    const char name[] = {'\\', (char)tolower((unsigned char)letter)};
    struct set class = {0};

    set_add_named(&class, name, sizeof(name));
    if (isupper((unsigned char)letter)) {
        set_negate(&class);
    }
    for (size_t i = 0; i < class.n; i++) {
        set_add(set, class.all[i].first, class.all[i].last);
    }
}

bool character_read(const char **at, uint32_t *ret_character)
{
    const unsigned char *bytes = (const unsigned char *)*at;
    size_t size = 1;
    uint32_t character = *bytes;

    if (*bytes >= 0xc0) {
        size = *bytes < 0xe0 ? 2 : *bytes < 0xf0 ? 3 : 4;
        character = *bytes & (0x7fU >> size);
    }
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return false;
        }
        character = character << 6 | (bytes[i] & 0x3fU);
    }
    *at += size;
    *ret_character = character;
    return (*bytes < 0x80 || *bytes >= 0xc0) && character <= LAST_CHARACTER;
}
