/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what RE2 reads, less what a contract does well without: see tests/refusals/rules.proto. */
#include "pattern.h"

#include <ctype.h>
#include <string.h>

enum { MOST_REPEATS = 1000, MOST_DEPTH = 32 };

struct reader {
    const char *at;
    struct pattern *pattern;
    const char *problem;
};

static void fail(struct reader *reader, const char *problem)
{
    if (reader->problem == NULL) {
        reader->problem = problem;
    }
}

static bool take(struct reader *reader, const char *expected)
{
    size_t size = strlen(expected);

    if (strncmp(reader->at, expected, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

static struct node *new_node(enum node_kind kind, struct node *inside)
{
    struct node *node = gen_alloc(sizeof(*node));

    node->kind = kind;
    node->inside = inside;
    return node;
}

/* ---- characters -------------------------------------------------------------------------------
 */

static uint32_t read_character(struct reader *reader)
{
    uint32_t character;

    if (!character_read(&reader->at, &character)) {
        fail(reader, "it is not UTF-8");
        return 0;
    }
    if (character < 0x20 || character == 0x7f) {
        fail(reader, "control characters are not supported; [[:space:]] has those between words");
    }
    return character;
}

/* What follows a \: a class, which is added to the set, or one character, which is returned. */
static bool read_escape(struct reader *reader, struct set *set, uint32_t *ret_character)
{
    char c = *reader->at;

    if (c != '\0' && strchr("dswDSW", c) != NULL) {
        reader->at++;
        set_add_class(set, c);
        return false;
    }
    if (!ispunct((unsigned char)c) || c == '_') {
        fail(reader, "after a \\ only punctuation and d, D, s, S, w and W are supported");
    } else {
        reader->at++;
    }
    *ret_character = (unsigned char)c;
    return true;
}

/* One end of a range in [...]: false if it was a whole class. */
static bool read_member(struct reader *reader, struct set *set, uint32_t *ret_character)
{
    if (take(reader, "[:")) {
        const char *end = strstr(reader->at, ":]");

        if (end == NULL || !set_add_named(set, reader->at, (size_t)(end - reader->at))) {
            fail(reader, "[: must begin a class such as [:alpha:]");
            return false;
        }
        reader->at = end + 2;
        return false;
    }
    if (take(reader, "\\")) {
        return read_escape(reader, set, ret_character);
    }
    *ret_character = read_character(reader);
    return true;
}

static void read_range(struct reader *reader, struct set *set)
{
    struct set upper = {0};
    uint32_t first = 0;
    uint32_t last;

    if (!read_member(reader, set, &first)) {
        return;
    }
    last = first;
    if (reader->at[0] == '-' && reader->at[1] != ']' && reader->at[1] != '\0') {
        reader->at++;
        if (!read_member(reader, &upper, &last)) {
            fail(reader, "a range ends in one character");
            return;
        }
    }
    if (last < first) {
        fail(reader, "a range is backwards");
    }
    set_add(set, first, last);
}

/* The inside of [...]; at points behind the opening bracket. */
static void read_set(struct reader *reader, struct set *set)
{
    bool negated = take(reader, "^");
    const char *begin = reader->at;

    /* A ] that comes first means itself. */
    while (reader->problem == NULL && (*reader->at != ']' || reader->at == begin)) {
        if (*reader->at == '\0') {
            fail(reader, "a [ has no ]");
            return;
        }
        read_range(reader, set);
    }
    if (reader->problem == NULL) {
        reader->at++;
    }
    if (negated) {
        set_negate(set);
    }
}

static struct node *read_one_character(struct reader *reader)
{
    struct node *node = new_node(NODE_CHARACTER, NULL);
    struct pattern *pattern = reader->pattern;
    struct set set = {0};
    uint32_t character = 0;

    if (take(reader, "[")) {
        read_set(reader, &set);
    } else if (take(reader, ".")) {
        set_add(&set, '\n', '\n');
        set_negate(&set);
    } else if (take(reader, "\\")) {
        if (read_escape(reader, &set, &character)) {
            set_add(&set, character, character);
        }
    } else {
        character = read_character(reader);
        set_add(&set, character, character);
    }
    set_sort(&set);
    if (pattern->ranges.n + set.n > UINT16_MAX) {
        fail(reader, "it has too many characters");
        return node;
    }
    node->first_range = (uint16_t)pattern->ranges.n;
    node->n_ranges = (uint16_t)set.n;
    for (size_t i = 0; i < set.n; i++) {
        set_add(&pattern->ranges, set.all[i].first, set.all[i].last);
    }
    return node;
}

/* ---- repeats ----------------------------------------------------------------------------------
 */

/* False if no number stands there as RE2 wants it. */
static bool read_number(struct reader *reader, uint16_t *ret_number)
{
    const char *begin = reader->at;
    unsigned number = 0;

    for (; isdigit((unsigned char)*reader->at); reader->at++) {
        number = number > MOST_REPEATS ? number : number * 10 + (unsigned)(*reader->at - '0');
    }
    if (number > MOST_REPEATS) {
        fail(reader, "a repeat is limited to 1000");
    }
    *ret_number = (uint16_t)number;
    return reader->at > begin && (*begin != '0' || reader->at == begin + 1);
}

/* {n}, {n,} or {n,m}; at points behind the brace. */
static void read_limits(struct reader *reader, struct node *repeat)
{
    bool well_formed = read_number(reader, &repeat->min);

    repeat->max = repeat->min;
    if (well_formed && take(reader, ",")) {
        repeat->max = NO_LIMIT;
        well_formed = *reader->at == '}' || read_number(reader, &repeat->max);
    }
    if (!well_formed || !take(reader, "}")) {
        fail(reader, "{ must begin a repeat such as {2} or {1,8}");
    } else if (repeat->max < repeat->min) {
        fail(reader, "a repeat is backwards");
    }
}

static bool is_quantifier(char c)
{
    return c != '\0' && strchr("*+?{", c) != NULL;
}

static struct node *read_quantifier(struct reader *reader, struct node *inside)
{
    struct node *repeat = new_node(NODE_REPEAT, inside);
    char c = *reader->at;

    if (!is_quantifier(c)) {
        return inside;
    }
    reader->at++;
    repeat->min = c == '+';
    repeat->max = c == '?' ? 1 : NO_LIMIT;
    if (c == '{') {
        read_limits(reader, repeat);
    }
    reader->pattern->endless |= repeat->max == NO_LIMIT;
    if (is_quantifier(*reader->at)) {
        fail(reader, "two quantifiers in a row (also lazy ones such as *?) are not supported");
    }
    return repeat;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static struct node *read_alternatives(struct reader *reader, int depth);

static struct node *read_group(struct reader *reader, int depth)
{
    struct node *group;

    if (depth > MOST_DEPTH) {
        fail(reader, "parentheses are nested too deep");
        return NULL;
    }
    if (!take(reader, "?:") && *reader->at == '?') {
        fail(reader, "of (? only (?: is supported");
    }
    group = read_alternatives(reader, depth);
    if (!take(reader, ")")) {
        fail(reader, "a ( has no )");
    }
    return group;
}

/* One thing with its quantifier: a group, an anchor or a character. */
static struct node *read_piece(struct reader *reader, int depth)
{
    const char c = *reader->at;

    if (is_quantifier(c)) {
        fail(reader, "a quantifier repeats nothing");
        return NULL;
    }
    if (c == '^' || c == '$') {
        reader->at++;
        if (is_quantifier(*reader->at)) {
            fail(reader, "a quantifier repeats nothing");
        }
        return new_node(c == '^' ? NODE_BEGIN : NODE_END, NULL);
    }
    return read_quantifier(reader, take(reader, "(") ? read_group(reader, depth + 1)
                                                     : read_one_character(reader));
}

static struct node *read_sequence(struct reader *reader, int depth)
{
    struct node *sequence = new_node(NODE_SEQUENCE, NULL);

    while (reader->problem == NULL && *reader->at != '\0' && strchr("|)", *reader->at) == NULL) {
        struct node *piece = read_piece(reader, depth);

        if (piece != NULL) {
            piece->before = sequence->inside;
            sequence->inside = piece;
        }
    }
    if (sequence->inside == NULL) {
        fail(reader, "an alternative is empty");
    }
    return sequence;
}

/* Up to the end or to the closing parenthesis. */
static struct node *read_alternatives(struct reader *reader, int depth)
{
    struct node *either = new_node(NODE_EITHER, NULL);

    do {
        struct node *alternative = read_sequence(reader, depth);

        alternative->before = either->inside;
        either->inside = alternative;
    } while (reader->problem == NULL && take(reader, "|"));
    return either;
}

struct pattern *pattern_read(const char *text, const char **ret_problem)
{
    struct pattern *pattern = gen_alloc(sizeof(*pattern));
    struct reader reader = {text, pattern, NULL};

    pattern->root = read_alternatives(&reader, 0);
    if (*reader.at != '\0') {
        fail(&reader, "a ) has no (");
    }
    *ret_problem = reader.problem;
    return reader.problem == NULL ? pattern : NULL;
}

static bool begins(const struct node *node)
{
    bool all = true;

    switch (node->kind) {
    case NODE_BEGIN:
        return true;
    case NODE_SEQUENCE: /* what stands before a ^ can only be empty */
        for (const struct node *part = node->inside; part != NULL; part = part->before) {
            if (begins(part)) {
                return true;
            }
        }
        return false;
    case NODE_EITHER:
        for (const struct node *way = node->inside; way != NULL; way = way->before) {
            all = all && begins(way);
        }
        return all;
    case NODE_REPEAT:
        return node->min > 0 && begins(node->inside);
    case NODE_CHARACTER:
    case NODE_END:
    default:
        return false;
    }
}

bool pattern_is_anchored(const struct pattern *pattern)
{
    return begins(pattern->root);
}
