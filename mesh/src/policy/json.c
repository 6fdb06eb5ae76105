/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/json.h"

#include "core/arena.h"
#include "core/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *copy(struct mesh_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(mesh__arena_alloc(arena, size), text, size);
}

static struct mesh__json *new_value(struct mesh_arena *arena, json_t *value)
{
    struct mesh__json *made = mesh__arena_alloc(arena, sizeof(*made));

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        made->kind = MESH__JSON_OBJECT;
        break;
    case JSON_ARRAY:
        made->kind = MESH__JSON_ARRAY;
        break;
    case JSON_STRING:
        made->kind = MESH__JSON_STRING;
        made->text = copy(arena, json_string_value(value));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        made->kind = MESH__JSON_NUMBER;
        made->number = json_number_value(value);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        made->kind = MESH__JSON_BOOL;
        made->number = json_is_true(value) ? 1 : 0;
        break;
    case JSON_NULL:
        made->kind = MESH__JSON_NULL;
        break;
    }
    return made;
}

/* Recursion ends where the library's does, which reads 2048 levels at most. */
static struct mesh__json *convert(struct mesh_arena *arena, json_t *value)
{
    struct mesh__json *made = new_value(arena, value);
    const struct mesh__json **end = &made->first;
    struct mesh__json *inner;
    const char *key;
    json_t *member;
    size_t i;

    if (made->kind == MESH__JSON_OBJECT) {
        json_object_foreach(value, key, member)
        {
            inner = convert(arena, member);
            inner->key = copy(arena, key);
            *end = inner;
            end = &inner->next;
        }
    }
    if (made->kind == MESH__JSON_ARRAY) {
        json_array_foreach(value, i, member)
        {
            inner = convert(arena, member);
            *end = inner;
            end = &inner->next;
        }
    }
    return made;
}

const struct mesh__json *mesh__json_parse(struct mesh_arena *arena, const char *text, size_t size,
                                          char *error, size_t error_size)
{
    char shown[MESH__SHOWN_SIZE];
    json_error_t flaw;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &flaw);
    const struct mesh__json *made;

    if (value == NULL) {
        (void)snprintf(error, error_size, "line %d: %s", flaw.line, mesh__shown(flaw.text, shown));
        return NULL;
    }
    made = convert(arena, value);
    json_decref(value);
    return made;
}

const struct mesh__json *mesh__json_find(const struct mesh__json *object, const char *key)
{
    for (const struct mesh__json *member = object->first; member != NULL; member = member->next) {
        if (strcmp(member->key, key) == 0) {
            return member;
        }
    }
    return NULL;
}
