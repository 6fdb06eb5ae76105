/* SPDX-License-Identifier: Apache-2.0 */
#include "db/only_reads.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Words, each with a blank behind it. */

/* What a statement that reads may begin with. */
static const char beginnings[] = "select with values table fetch begin declare rollback ";

/* What makes it one that writes, wherever it stands. */
static const char writers[] = "insert update delete merge into call copy ";

/* What may stand before a parenthesis: words of the grammar, and functions that change nothing. */
static const char harmless[] =
    "all and any array as between by case distinct else except exists filter from in "
    "intersect join lateral like limit materialized not offset on or over select some then "
    "union using values when where "
    "abs array_agg array_length avg bool_and bool_or cardinality cast ceil clock_timestamp "
    "coalesce concat count current_schema current_setting date_trunc decode encode extract "
    "floor format generate_series greatest jsonb_agg jsonb_build_object least length lower "
    "max min now nullif numeric pg_backend_pid pg_current_snapshot pg_sleep pg_snapshot_xip "
    "pg_snapshot_xmax pg_snapshot_xmin pg_visible_in_snapshot rank round row row_number "
    "set_config string_agg substr substring sum to_char trim unnest upper varchar ";

struct word {
    const char *at;
    size_t size;
};

static bool is_one_of(struct word word, const char *list)
{
    while (*list != '\0') {
        size_t size = strcspn(list, " ");

        if (size == word.size && strncasecmp(list, word.at, size) == 0) {
            return true;
        }
        list += size + 1;
    }
    return false;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

/* Behind blanks and comments; NULL if a comment has no end, or another one within it. */
static const char *skip_blanks(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\r\n\f\v");
        if (strncmp(at, "--", 2) == 0) {
            at += strcspn(at, "\n");
        } else if (strncmp(at, "/*", 2) == 0) {
            const char *end = strstr(at + 2, "*/");
            const char *inner = strstr(at + 2, "/*");

            if (end == NULL || (inner != NULL && inner < end)) {
                return NULL;
            }
            at = end + 2;
        } else {
            return at;
        }
    }
}

/* Behind a text or a name; NULL if it has no end or could be read in two ways. */
static const char *skip_quoted(const char *at)
{
    const char *end = strchr(at + 1, *at);

    return end == NULL || memchr(at, '\\', (size_t)(end - at)) != NULL ? NULL : end + 1;
}

static struct word word_at(const char *at)
{
    struct word word = {at, 0};

    while (is_word_char(at[word.size])) {
        word.size++;
    }
    return word;
}

static const char *unless_called(const char *at)
{
    at = at != NULL ? skip_blanks(at) : NULL;
    return at != NULL && *at != '(' ? at : NULL;
}

/* Behind the next piece of a statement; NULL if it may write. */
static const char *pass(const char *at)
{
    struct word word = word_at(at);

    if (word.size > 0) {
        if (is_one_of(word, writers)) {
            return NULL;
        }
        at += word.size;
        return is_one_of(word, harmless) ? at : unless_called(at);
    }
    switch (*at) {
    case '\'':
        return skip_quoted(at);
    case '"':
        return unless_called(skip_quoted(at));
    case '.': /* the function of a schema may be any */
        at = skip_blanks(at + 1);
        return at != NULL ? unless_called(at + word_at(at).size) : NULL;
    case '$': /* a parameter, or else the beginning of a text */
        return isdigit((unsigned char)at[1]) ? at + 2 : NULL;
    default:
        return at + 1;
    }
}

bool mesh__only_reads(const char *sql)
{
    const char *at = skip_blanks(sql);

    if (at == NULL || !is_one_of(word_at(at), beginnings)) {
        return false;
    }
    while (at != NULL && *at != '\0') {
        at = pass(at);
        at = at != NULL ? skip_blanks(at) : NULL;
    }
    return at != NULL;
}
