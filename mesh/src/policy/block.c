/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/block.h"

#include "core/parse.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_offered(const struct mesh__block *block, const struct mesh__field *field)
{
    return !block->defaults || !field->route_only;
}

/* "a|b": every member that the object at `relative` can have. */
static void list_members(const struct mesh__block *block, const char *relative,
                         struct mesh__text *text)
{
    const char *last = "";

    mesh__text_adds(text, relative[0] == '\0' ? block->others : "");
    for (size_t i = 0; i < block->table->n; i++) {
        const struct mesh__field *field = &block->table->fields[i];
        const char *member = is_offered(block, field) ? mesh__field_member(field, relative) : NULL;
        size_t size = member != NULL ? strcspn(member, ".") : 0;

        if (size > 0 && (strncmp(member, last, size) != 0 || last[size] != member[size])) {
            mesh__text_adds(text, text->size > 0 ? "|" : "");
            mesh__text_add(text, member, size);
            last = member;
        }
    }
}

static bool refuse_member(struct mesh__policy_reader *reader, const struct mesh__block *block,
                          const char *place, const char *relative)
{
    struct mesh__text known = {0};
    bool refused;

    list_members(block, relative, &known);
    refused = mesh__policy_refuse_key(reader, place, known.bytes);
    free(known.bytes);
    return refused;
}

static bool read_field(struct mesh__policy_reader *reader, struct mesh__block *block, size_t i,
                       const struct mesh__json *json, const char *place)
{
    const struct mesh__field *field = &block->table->fields[i];
    bool proxyless = reader->mode == MESH__MODE_PROXYLESS;
    char expected[320];
    int64_t value;

    if (proxyless && field->not_proxyless) {
        return mesh__policy_refuse(
            reader, place, "is set, expected it left out: nobody enforces it in mode proxyless");
    }
    if (!mesh__field_parse(field, json, &value)) {
        mesh__field_expected(field, expected, sizeof(expected));
        return mesh__policy_refuse_value(reader, place, json, expected);
    }
    if (proxyless && field->proxyless_max > 0 && value > field->proxyless_max) {
        (void)snprintf(expected, sizeof(expected), "at most %d in mode proxyless",
                       (int)field->proxyless_max);
        return mesh__policy_refuse_value(reader, place, json, expected);
    }
    if (proxyless && field->proxyless_only != NULL &&
        value != mesh__find_choice(field->choices, field->proxyless_only)) {
        (void)snprintf(expected, sizeof(expected), "%s in mode proxyless", field->proxyless_only);
        return mesh__policy_refuse_value(reader, place, json, expected);
    }
    mesh__field_set(block->values, i, value);
    block->set[i] = true;
    return true;
}

static bool read_object(struct mesh__policy_reader *reader, struct mesh__block *block,
                        const struct mesh__json *json, const char *place, const char *relative);

/* One member: a row, an object with rows in it, or unknown. */
static bool read_member(struct mesh__policy_reader *reader, struct mesh__block *block,
                        const struct mesh__json *json, const char *place, const char *relative)
{
    const char *inner_place = mesh__policy_join(reader, place, json->key);
    const char *inner = mesh__policy_join(reader, relative, json->key);
    bool plain = json->key[0] != '\0' && strchr(json->key, '.') == NULL;

    for (size_t i = 0; plain && i < block->table->n; i++) {
        const struct mesh__field *field = &block->table->fields[i];

        if (!is_offered(block, field)) {
            continue;
        }
        if (strcmp(field->path, inner) == 0) {
            return read_field(reader, block, i, json, inner_place);
        }
        if (mesh__field_member(field, inner) != NULL) {
            return read_object(reader, block, json, inner_place, inner);
        }
    }
    return refuse_member(reader, block, inner_place, relative);
}

/* Rows that must be there because the object that they stand in is. */
static bool check_required(struct mesh__policy_reader *reader, const struct mesh__block *block,
                           const char *place, const char *relative)
{
    char expected[320];

    for (size_t i = 0; i < block->table->n; i++) {
        const struct mesh__field *field = &block->table->fields[i];
        const char *member = mesh__field_member(field, relative);

        if (field->required && member != NULL && strchr(member, '.') == NULL && !block->set[i]) {
            mesh__field_expected(field, expected, sizeof(expected));
            return mesh__policy_refuse(reader, mesh__policy_join(reader, place, member),
                                       "is missing, expected %s", expected);
        }
    }
    return true;
}

static bool read_object(struct mesh__policy_reader *reader, struct mesh__block *block,
                        const struct mesh__json *json, const char *place, const char *relative)
{
    if (json->kind != MESH__JSON_OBJECT) {
        return mesh__policy_refuse_value(reader, place, json, "an object");
    }
    for (const struct mesh__json *member = json->first; member != NULL; member = member->next) {
        if (relative[0] == '\0' && mesh__find_choice(block->others, member->key) >= 0) {
            continue;
        }
        if (!read_member(reader, block, member, place, relative)) {
            return false;
        }
    }
    return check_required(reader, block, place, relative);
}

bool mesh__block_read(struct mesh__policy_reader *reader, struct mesh__block *block,
                      const struct mesh__json *json, const char *place)
{
    return read_object(reader, block, json, place, "");
}
