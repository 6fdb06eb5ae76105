/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/descriptor_index.h"

#include "core/arena.h"
#include "core/fatal.h"
#include "google/protobuf/descriptor.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
    const char *name;
    size_t file;
};

struct extension {
    const char *type;
    int32_t number;
    size_t file;
};

/* Elements of one size, in one piece that grows. */
struct list {
    void *items;
    size_t n;
    size_t room;
};

struct descriptor_index {
    struct mesh_arena *arena; /* of all texts */
    struct list files;        /* of struct descriptor_file, in order of adding */
    struct list symbols;      /* of struct symbol, by name once sorted */
    struct list extensions;   /* of struct extension */
};

static void *push(struct list *list, size_t item_size)
{
    if (list->n == list->room) {
        list->room = list->room == 0 ? 16 : 2 * list->room;
        list->items = mesh__reallocarray(list->items, list->room, item_size);
    }
    return (char *)list->items + item_size * list->n++;
}

static const char *copy(struct descriptor_index *index, const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(mesh__arena_alloc(index->arena, size), text, size);
}

static const char *join(struct descriptor_index *index, const char *scope, const char *name)
{
    const char *dot = scope[0] == '\0' ? "" : ".";
    size_t size = strlen(scope) + strlen(dot) + strlen(name) + 1;
    char *full = mesh__arena_alloc(index->arena, size);

    (void)snprintf(full, size, "%s%s%s", scope, dot, name); /* there is room for all */
    return full;
}

/* Types are written with a leading dot in descriptors, and by some in questions. */
static const char *without_dot(const char *name)
{
    return name[0] == '.' ? name + 1 : name;
}

struct descriptor_index *mesh__descriptors_new(void)
{
    struct descriptor_index *index = mesh__calloc(1, sizeof(*index));

    index->arena = mesh__arena_new(0);
    return index;
}

void mesh__descriptors_free(struct descriptor_index *index)
{
    if (index == NULL) {
        return;
    }
    free(index->files.items);
    free(index->symbols.items);
    free(index->extensions.items);
    mesh__arena_free(index->arena);
    free(index);
}

/* ---- adding ------------------------------------------------------------------------------- */

/* Returns the full name, for what is declared inside. */
static const char *add_symbol(struct descriptor_index *index, const char *scope, const char *name)
{
    struct symbol *symbol = push(&index->symbols, sizeof(*symbol));

    symbol->name = join(index, scope, name);
    symbol->file = index->files.n - 1;
    return symbol->name;
}

static void add_enum(struct descriptor_index *index, const char *scope,
                     const Google__Protobuf__EnumDescriptorProto *type)
{
    (void)add_symbol(index, scope, type->name);
    for (size_t i = 0; i < type->n_value; i++) {
        (void)add_symbol(index, scope, type->value[i]->name); /* beside their enum, not inside */
    }
}

static void add_extension(struct descriptor_index *index, const char *scope,
                          const Google__Protobuf__FieldDescriptorProto *field)
{
    struct extension *extension = push(&index->extensions, sizeof(*extension));

    extension->type = copy(index, without_dot(field->extendee));
    extension->number = field->number;
    extension->file = index->files.n - 1;
    (void)add_symbol(index, scope, field->name);
}

static void add_message(struct descriptor_index *index, const char *scope,
                        const Google__Protobuf__DescriptorProto *type)
{
    const char *name = add_symbol(index, scope, type->name);

    for (size_t i = 0; i < type->n_field; i++) {
        (void)add_symbol(index, name, type->field[i]->name);
    }
    for (size_t i = 0; i < type->n_oneof_decl; i++) {
        (void)add_symbol(index, name, type->oneof_decl[i]->name);
    }
    for (size_t i = 0; i < type->n_enum_type; i++) {
        add_enum(index, name, type->enum_type[i]);
    }
    for (size_t i = 0; i < type->n_extension; i++) {
        add_extension(index, name, type->extension[i]);
    }
    for (size_t i = 0; i < type->n_nested_type; i++) {
        add_message(index, name, type->nested_type[i]); /* as deep as our own protos */
    }
}

static void add_service(struct descriptor_index *index, const char *scope,
                        const Google__Protobuf__ServiceDescriptorProto *service)
{
    const char *name = add_symbol(index, scope, service->name);

    for (size_t i = 0; i < service->n_method; i++) {
        (void)add_symbol(index, name, service->method[i]->name);
    }
}

static void add_symbols(struct descriptor_index *index,
                        const Google__Protobuf__FileDescriptorProto *proto)
{
    const char *package = proto->package == NULL ? "" : proto->package;

    for (size_t i = 0; i < proto->n_message_type; i++) {
        add_message(index, package, proto->message_type[i]);
    }
    for (size_t i = 0; i < proto->n_enum_type; i++) {
        add_enum(index, package, proto->enum_type[i]);
    }
    for (size_t i = 0; i < proto->n_extension; i++) {
        add_extension(index, package, proto->extension[i]);
    }
    for (size_t i = 0; i < proto->n_service; i++) {
        add_service(index, package, proto->service[i]);
    }
}

static void add_file(struct descriptor_index *index, const uint8_t *bytes, size_t size)
{
    Google__Protobuf__FileDescriptorProto *proto =
        google__protobuf__file_descriptor_proto__unpack(NULL, size, bytes);
    struct descriptor_file *file;

    if (proto == NULL || proto->name == NULL) {
        mesh__fatal("a descriptor in this program is malformed");
    }
    if (mesh__descriptors_by_name(index, proto->name) == DESCRIPTOR_NONE) {
        file = push(&index->files, sizeof(*file));
        file->name = copy(index, proto->name);
        file->bytes = bytes;
        file->size = size;
        file->n_imports = proto->n_dependency;
        file->imports =
            mesh__arena_alloc(index->arena, proto->n_dependency * sizeof(*file->imports));
        for (size_t i = 0; i < proto->n_dependency; i++) {
            file->imports[i] = copy(index, proto->dependency[i]);
        }
        add_symbols(index, proto);
    }
    google__protobuf__file_descriptor_proto__free_unpacked(proto, NULL);
}

/* Reads the tag and length of the next file of a set. */
static size_t read_header(const uint8_t **at, const uint8_t *end)
{
    size_t size = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;

    if (*(*at)++ != 0x0a) { /* field 1, length-delimited: all that a set has */
        mesh__fatal("a descriptor set in this program is malformed");
    }
    while (*at < end && (byte & 0x80) != 0 && shift < 32) {
        byte = *(*at)++;
        size |= (size_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    if ((byte & 0x80) != 0 || size > (size_t)(end - *at)) {
        mesh__fatal("a descriptor set in this program is cut off");
    }
    return size;
}

void mesh__descriptors_add(struct descriptor_index *index, const uint8_t *set, size_t size)
{
    const uint8_t *end = set + size;

    while (set < end) {
        size_t file_size = read_header(&set, end);

        add_file(index, set, file_size);
        set += file_size;
    }
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct symbol *)left)->name, ((const struct symbol *)right)->name);
}

void mesh__descriptors_sort(struct descriptor_index *index)
{
    if (index->symbols.n > 0) {
        qsort(index->symbols.items, index->symbols.n, sizeof(struct symbol), by_name);
    }
}

/* ---- finding ------------------------------------------------------------------------------ */

size_t mesh__descriptors_count(const struct descriptor_index *index)
{
    return index->files.n;
}

const struct descriptor_file *mesh__descriptors_file(const struct descriptor_index *index,
                                                     size_t file)
{
    return (const struct descriptor_file *)index->files.items + file;
}

size_t mesh__descriptors_by_name(const struct descriptor_index *index, const char *name)
{
    for (size_t i = 0; i < index->files.n; i++) {
        if (strcmp(mesh__descriptors_file(index, i)->name, name) == 0) {
            return i;
        }
    }
    return DESCRIPTOR_NONE;
}

size_t mesh__descriptors_by_symbol(const struct descriptor_index *index, const char *symbol)
{
    struct symbol key = {.name = without_dot(symbol)};
    const struct symbol *found;

    if (index->symbols.n == 0) {
        return DESCRIPTOR_NONE;
    }
    found = bsearch(&key, index->symbols.items, index->symbols.n, sizeof(key), by_name);
    return found == NULL ? DESCRIPTOR_NONE : found->file;
}

size_t mesh__descriptors_by_extension(const struct descriptor_index *index, const char *type,
                                      int32_t number)
{
    const struct extension *extensions = index->extensions.items;

    for (size_t i = 0; i < index->extensions.n; i++) {
        if (extensions[i].number == number && strcmp(extensions[i].type, without_dot(type)) == 0) {
            return extensions[i].file;
        }
    }
    return DESCRIPTOR_NONE;
}

size_t mesh__descriptors_extensions(const struct descriptor_index *index, const char *type,
                                    size_t max, int32_t *ret_numbers)
{
    const struct extension *extensions = index->extensions.items;
    size_t n = 0;

    for (size_t i = 0; i < index->extensions.n; i++) {
        if (strcmp(extensions[i].type, without_dot(type)) == 0) {
            if (n < max) {
                ret_numbers[n] = extensions[i].number;
            }
            n++;
        }
    }
    return n;
}
