/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns are RE2 in buf.validate and POSIX extended expressions, byte by byte, in the runtime.
 * Accepted is only what both read in the same way.
 */
#include "rules.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

enum { MOST_REPEATS = 255 }; /* RE_DUP_MAX of POSIX */

struct reader {
    const char *at;
    const char *problem;
};

static void fail(struct reader *reader, const char *problem)
{
    if (reader->problem == NULL) {
        reader->problem = problem;
    }
}

/* What is wrong with the character inside [...] at `at`; NULL if nothing is. */
static const char *bracket_problem(const char *at)
{
    if (*at == '\0') {
        return "a [ has no ]";
    }
    if (*at == '\\') {
        return "\\ inside [...] means itself here";
    }
    if (*at == '[' && (at[1] == '.' || at[1] == '=')) {
        return "[. and [= are known to POSIX only";
    }
    if (*at == '[' && at[1] == ':' && strstr(at + 2, ":]") == NULL) {
        return "a [: has no :]";
    }
    return NULL;
}

/* The inside of [...]; at points behind the opening bracket. */
static void read_bracket(struct reader *reader)
{
    const char *begin = reader->at;

    if (*begin == '^') {
        fail(reader, "[^...] matches one byte here, not one character: list what is allowed");
        return;
    }
    /* A ] that comes first means itself. */
    for (; *reader->at != ']' || reader->at == begin; reader->at++) {
        const char *found = bracket_problem(reader->at);

        if (found != NULL) {
            fail(reader, found);
            return;
        }
        if (reader->at[0] == '[' && reader->at[1] == ':') {
            reader->at = strstr(reader->at + 2, ":]") + 1;
        }
    }
    reader->at++;
}

/* {n}, {n,} or {n,m}; at points behind the brace. */
static void read_repeats(struct reader *reader)
{
    long numbers[2] = {0, 0};
    size_t n = 0;

    for (; n < 2; n++) {
        if (!isdigit((unsigned char)*reader->at)) {
            break;
        }
        while (isdigit((unsigned char)*reader->at) && numbers[n] <= MOST_REPEATS) {
            numbers[n] = numbers[n] * 10 + (*reader->at++ - '0');
        }
        if (n == 0 && *reader->at == ',') {
            reader->at++;
        } else if (n == 0) {
            n++;
            break;
        }
    }
    if (n == 0 || *reader->at != '}') {
        fail(reader, "{ must begin a repeat such as {2} or {1,8} of at most 255");
        return;
    }
    reader->at++;
    if (numbers[0] > MOST_REPEATS || numbers[1] > MOST_REPEATS) {
        fail(reader, "a repeat is limited to 255");
    }
}

static bool is_quantifier(char c)
{
    return c != '\0' && strchr("*+?{", c) != NULL;
}

static void read_quantifier(struct reader *reader)
{
    char c = *reader->at;

    if (c == '*' || c == '+' || c == '?') {
        reader->at++;
    } else if (c == '{') {
        reader->at++;
        read_repeats(reader);
    } else {
        return;
    }
    if (is_quantifier(*reader->at)) {
        fail(reader, "two quantifiers in a row (also lazy ones such as *?) are not supported");
    }
}

/* One thing that may be repeated. */
static void read_atom(struct reader *reader)
{
    unsigned char c = (unsigned char)*reader->at++;

    switch (c) {
    case '[':
        read_bracket(reader);
        return;
    case '\\':
        if (*reader->at == '\0' || strchr(".[]()*+?{}|^$\\", *reader->at) == NULL) {
            fail(reader, "only . [ ] ( ) * + ? { } | ^ $ and \\ may follow a \\; write "
                         "[0-9], [A-Za-z0-9_] or [[:space:]] for \\d, \\w or \\s");
            return;
        }
        reader->at++;
        return;
    case '.':
        fail(reader, ". matches one byte here, also a line break: list what is allowed");
        return;
    default:
        if (c < 0x20 || c >= 0x7f) {
            fail(reader, "only printable ASCII is supported");
        }
        return;
    }
}

static void read_alternatives(struct reader *reader, int depth);

/* One thing with its quantifier: a group, an anchor or an atom. */
static void read_piece(struct reader *reader, int depth)
{
    char c = *reader->at;

    if (is_quantifier(c)) {
        fail(reader, c == '?' && depth > 0 && reader->at[-1] == '('
                         ? "(? is not supported"
                         : "a quantifier repeats nothing");
        return;
    }
    if (c == '^' || c == '$') {
        reader->at++;
        if (is_quantifier(*reader->at)) {
            fail(reader, "a quantifier repeats nothing");
        }
        return;
    }
    if (c == '(') {
        reader->at++;
        read_alternatives(reader, depth + 1);
        if (*reader->at != ')') {
            fail(reader, "a ( has no )");
            return;
        }
        reader->at++;
    } else {
        read_atom(reader);
    }
    read_quantifier(reader);
}

/* Up to the end or to the closing parenthesis. */
static void read_alternatives(struct reader *reader, int depth)
{
    const char *begin = reader->at; /* of the alternative */

    if (depth > 32) {
        fail(reader, "parentheses are nested too deep");
    }
    while (reader->problem == NULL && *reader->at != '\0' && *reader->at != ')') {
        if (*reader->at != '|') {
            read_piece(reader, depth);
            continue;
        }
        if (reader->at == begin) {
            break;
        }
        reader->at++;
        begin = reader->at;
    }
    if (reader->at == begin) {
        fail(reader, "an alternative is empty");
    }
}

const char *pattern_problem(const char *pattern)
{
    struct reader reader = {pattern, NULL};
    regex_t compiled;

    if (*pattern == '\0') {
        return "the pattern is empty";
    }
    read_alternatives(&reader, 0);
    if (*reader.at != '\0') {
        fail(&reader, "a ) has no (");
    }
    if (reader.problem != NULL) {
        return reader.problem;
    }
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        return "it is no POSIX extended regular expression";
    }
    regfree(&compiled);
    return NULL;
}

bool pattern_is_anchored(const char *pattern)
{
    /* Another alternative might begin anywhere. Those in parentheses are taken for one, too. */
    return *pattern == '^' && strchr(pattern, '|') == NULL;
}
