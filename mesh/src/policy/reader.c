/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/reader.h"

#include "core/arena.h"
#include "core/parse.h"
#include "core/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool mesh__policy_refuse(struct mesh__policy_reader *reader, const char *place, const char *format,
                         ...)
{
    char shown[512];
    char rest[768];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(rest, sizeof(rest), format, args);
    va_end(args);
    (void)snprintf(shown, sizeof(shown), "%s", place);
    for (char *c = shown; *c != '\0'; c++) {
        *c = (char)(iscntrl((unsigned char)*c) ? '?' : *c); /* keys are foreign */
    }
    (void)snprintf(reader->error, reader->error_size, "%s: %s %s.", reader->name, shown, rest);
    return false;
}

const char *mesh__policy_join(struct mesh__policy_reader *reader, const char *before,
                              const char *after)
{
    size_t size = strlen(before) + strlen(after) + 2;
    char *joined = mesh__arena_alloc(reader->arena, size);

    (void)snprintf(joined, size, "%s%s%s", before, before[0] == '\0' ? "" : ".", after);
    return joined;
}

const char *mesh__policy_place(struct mesh__policy_reader *reader, const char *array, size_t i)
{
    size_t size = strlen(array) + 24;
    char *place = mesh__arena_alloc(reader->arena, size);

    (void)snprintf(place, size, "%s[%zu]", array, i);
    return place;
}

/* "11", "\"abc\"", "an object", ... */
static void describe(const struct mesh__json *json, char *ret_text, size_t size)
{
    char shown[MESH__SHOWN_SIZE];

    switch (json->kind) {
    case MESH__JSON_OBJECT:
        (void)snprintf(ret_text, size, "an object");
        break;
    case MESH__JSON_ARRAY:
        (void)snprintf(ret_text, size, "%s", json->first == NULL ? "an empty array" : "an array");
        break;
    case MESH__JSON_STRING:
        (void)snprintf(ret_text, size, "\"%s\"", mesh__shown(json->text, shown));
        break;
    case MESH__JSON_NUMBER:
        (void)snprintf(ret_text, size, "%.15g", json->number);
        break;
    case MESH__JSON_BOOL:
        (void)snprintf(ret_text, size, "%s", json->number != 0 ? "true" : "false");
        break;
    case MESH__JSON_NULL:
        (void)snprintf(ret_text, size, "null");
        break;
    }
}

bool mesh__policy_refuse_value(struct mesh__policy_reader *reader, const char *place,
                               const struct mesh__json *json, const char *expected)
{
    char value[MESH__SHOWN_SIZE + 2];

    describe(json, value, sizeof(value));
    return mesh__policy_refuse(reader, place, "is %s, expected %s", value, expected);
}

bool mesh__policy_refuse_key(struct mesh__policy_reader *reader, const char *place,
                             const char *known)
{
    char list[512];

    mesh__list_choices(known, list, sizeof(list));
    return mesh__policy_refuse(reader, place, "is not a known key, expected %s", list);
}
