/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be generated: collected, so that one run of protoc shows all of it. */
#include "characters.h"
#include "model.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text problems;

struct place place_of_file(const struct file *file)
{
    return (struct place){.file = file};
}

struct place place_inside(const struct place *outer, uint32_t kind, uint32_t number)
{
    struct place inner = *outer;

    /* protoc itself limits nesting to 32 levels: enough for the path below any of them. */
    if (inner.depth + 2 <= sizeof(inner.path) / sizeof(inner.path[0])) {
        inner.path[inner.depth++] = kind;
        inner.path[inner.depth++] = number;
    }
    return inner;
}

/* How much of the place the location covers; 0 if it is about something else. */
static size_t matching_depth(const Google__Protobuf__SourceCodeInfo__Location *location,
                             const struct place *place)
{
    if (location->n_path == 0 || location->n_path > place->depth || location->n_span < 3) {
        return 0;
    }
    for (size_t i = 0; i < location->n_path; i++) {
        if (location->path[i] != (int32_t)place->path[i]) {
            return 0;
        }
    }
    return location->n_path;
}

/* "line:column:", or nothing where protoc did not say. */
static const char *line_of(const struct place *place)
{
    const Google__Protobuf__SourceCodeInfo *info = place->file->proto->source_code_info;
    const Google__Protobuf__SourceCodeInfo__Location *best = NULL;
    size_t best_depth = 0;

    for (size_t i = 0; info != NULL && i < info->n_location; i++) {
        size_t depth = matching_depth(info->location[i], place);

        if (depth > best_depth) {
            best = info->location[i];
            best_depth = depth;
        }
    }
    if (best == NULL) {
        return "1:1:";
    }
    return gen_printf("%d:%d:", best->span[0] + 1, best->span[1] + 1);
}

/* A problem is one line of UTF-8. */
static void clean(char *text)
{
    while (*text != '\0') {
        const char *next = text;
        uint32_t character;

        if (character_read(&next, &character) && character >= 0x20 && character != 0x7f) {
            text += next - text;
        } else {
            *text++ = '?';
        }
    }
}

void problem(const struct place *place, const char *format, ...)
{
    va_list arguments;
    char text[1024];

    va_start(arguments, format);
    if (vsnprintf(text, sizeof(text), format, arguments) < 0) {
        abort();
    }
    va_end(arguments);
    clean(text);
    text_printf(&problems, "%s%s:%s %s", problems.size > 0 ? "\n" : "", place->file->name,
                line_of(place), text);
}

char *problems_text(void)
{
    return problems.data;
}
