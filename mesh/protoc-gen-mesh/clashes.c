/* SPDX-License-Identifier: Apache-2.0 */
#include "clashes.h"

#include "emit.h"
#include "names.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct name {
    const char *c_name;
    const char *proto_name;
    struct place place;
    size_t found; /* when: sorting must be stable */
};

struct names {
    struct name *all;
    size_t n;
    size_t capacity;
};

static void add(struct names *names, const char *c_name, const char *proto_name,
                const struct place *place)
{
    if (names->n == names->capacity) {
        size_t capacity = names->capacity * 2 + 256;
        struct name *all = gen_alloc(capacity * sizeof(*all));

        if (names->n > 0) {
            memcpy(all, names->all, names->n * sizeof(*all));
        }
        names->all = all;
        names->capacity = capacity;
    }
    names->all[names->n] = (struct name){c_name, proto_name, *place, names->n};
    names->n++;
}

/* ---- what protobuf-c defines ------------------------------------------------------------------
 */

static void add_enumeration(struct names *names, const struct enumeration *enumeration)
{
    add(names, enumeration->c_type, enumeration->full_name, &enumeration->place);
    add(names, gen_printf("%s__descriptor", enumeration->c_lower), enumeration->full_name,
        &enumeration->place);
    for (size_t i = 0; i < enumeration->proto->n_value; i++) {
        const char *value = enumeration->proto->value[i]->name;
        const struct place place = place_inside(&enumeration->place, 2, (uint32_t)i);

        add(names, gen_printf("%s__%s", enumeration->c_upper, value),
            gen_printf("%s.%s", enumeration->full_name, value), &place);
    }
}

static void add_members(struct names *names, const struct message *message)
{
    const char *scope = gen_printf("struct %s.", message->c_type);

    add(names, gen_printf("%sbase", scope), "the first member of every message", &message->place);
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct field *field = &message->fields[i];
        const char *full_name = gen_printf("%s.%s", message->full_name, field->proto->name);

        add(names, gen_printf("%s%s", scope, field->c_name), full_name, &field->place);
        if (field->repeated) {
            add(names, gen_printf("%sn_%s", scope, field->c_name),
                gen_printf("the size of %s", full_name), &field->place);
        }
        if (field->proto->has_oneof_index) {
            const char *oneof = message->proto->oneof_decl[field->proto->oneof_index]->name;

            add(names,
                gen_printf("%s__%s_%s", message->c_upper, name_c_upper(oneof),
                           name_c_upper(field->proto->name)),
                full_name, &field->place);
        }
        if (field->proto->proto3_optional) {
            add(names, gen_printf("%s_has_%s", message->c_lower, field->c_name), full_name,
                &field->place);
        }
    }
    for (size_t i = 0; i < message->n_oneofs; i++) {
        const struct oneof *oneof = &message->oneofs[i];
        const char *full_name = gen_printf("%s.%s", message->full_name, oneof->proto->name);

        add(names, gen_printf("%s%s", scope, oneof->case_name), full_name, &oneof->place);
        add(names,
            gen_printf("%s__%s__NOT_SET", message->c_upper, name_c_upper(oneof->proto->name)),
            full_name, &oneof->place);
        add(names, gen_printf("%s__%sCase", message->c_type, name_c_type(oneof->proto->name)),
            full_name, &oneof->place);
    }
}

static void add_message(struct names *names, const struct message *message)
{
    add(names, message->c_type, message->full_name, &message->place);
    /* Upper and lower case are made in another way than the type. */
    add(names, gen_printf("%s__descriptor", message->c_lower), message->full_name, &message->place);
    add_members(names, message);
}

/* ---- what protoc-gen-mesh defines -------------------------------------------------------------
 */

/* A function or a variable: others have some, too. */
static void add_external(struct names *names, const char *c_name, const char *proto_name,
                         const struct place *place)
{
    const char *reason = name_library(c_name) == NULL ? name_of_c(c_name) : NULL;

    if (reason != NULL && place->file->generate) {
        problem(place, "%s: %s", proto_name, reason);
    }
    add(names, c_name, proto_name, place);
}

static void add_method(struct names *names, const struct service *service,
                       const struct method *method)
{
    static const char *const unary[] = {"", "_start", "_wait", NULL};
    static const char *const streaming[] = {"_open", "_send", "_read", "_receive", "_write", NULL};
    const char *full_name = gen_printf("%s.%s", service->full_name, method->proto->name);
    bool streams = method->client_streaming || method->server_streaming;

    add(names, gen_printf("struct %s_handlers.%s", service->prefix, method->snake), full_name,
        &method->place);
    for (const char *const *suffix = streams ? streaming : unary; *suffix != NULL; suffix++) {
        add_external(names, gen_printf("%s_%s%s", service->prefix, method->snake, *suffix),
                     full_name, &method->place);
    }
    /* protobuf-c's own form of the service: a function, and a member of a struct. */
    add(names, gen_printf("struct %s.%s", service->c_lower, name_c_lower(method->proto->name)),
        full_name, &method->place);
    add(names, gen_printf("%s__%s", service->c_lower, name_c_lower(method->proto->name)), full_name,
        &method->place);
}

static void add_service(struct names *names, const struct service *service)
{
    add_external(names, gen_printf("%s_type", service->state), service->full_name, &service->place);
    add_external(names, gen_printf("%s_methods", service->prefix), service->full_name,
                 &service->place);
    add(names, gen_printf("struct %s_handlers", service->prefix), service->full_name,
        &service->place);
    add(names, gen_printf("struct %s.base", service->c_lower), "the first member of every service",
        &service->place);
    add(names, gen_printf("%s__descriptor", service->c_lower), service->full_name, &service->place);
    add(names, gen_printf("%s__init", service->c_lower), service->full_name, &service->place);
    for (size_t i = 0; i < service->n_methods; i++) {
        add_method(names, service, &service->methods[i]);
    }
}

static void add_event(struct names *names, const struct message *event)
{
    add_external(names, event_name(event), event->full_name, &event->place);
    add_external(
        names, gen_printf("%s_emit_%s", event->place.file->prefix, name_snake(event->proto->name)),
        event->full_name, &event->place);
}

static void add_inbox(struct names *names, const struct message *inbox)
{
    const char *prefix = inbox_prefix(inbox->place.file);

    add_external(names, gen_printf("%s_inbox_type", prefix), inbox->full_name, &inbox->place);
    add(names, gen_printf("struct %s_inbox_handlers", prefix), inbox->full_name, &inbox->place);
}

static void add_file(struct names *names, const struct file *file)
{
    const struct place place = place_of_file(file);

    add(names, emit_guard(file), file->name, &place);
    for (size_t i = 0; i < file->n_enumerations; i++) {
        add_enumeration(names, file->enumerations[i]);
    }
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct message *message = file->messages[i];

        add_message(names, message);
        if (message->event != NULL) {
            add_event(names, message);
        }
        if (message->inbox) {
            add_inbox(names, message);
        }
    }
    for (size_t i = 0; i < file->n_services; i++) {
        add_service(names, &file->services[i]);
    }
}

/* ---- comparing --------------------------------------------------------------------------------
 */

static int compare(const void *left, const void *right)
{
    const struct name *a = left;
    const struct name *b = right;
    int result = strcmp(a->c_name, b->c_name);

    return result != 0 ? result : (a->found > b->found) - (a->found < b->found);
}

static bool same_place(const struct place *left, const struct place *right)
{
    return left->file == right->file && left->depth == right->depth &&
           memcmp(left->path, right->path, left->depth * sizeof(left->path[0])) == 0;
}

/* Two twins share many names: one of them says enough. */
static bool is_told(const struct names *told, const struct name *first, const struct name *second)
{
    for (size_t i = 0; i + 1 < told->n; i += 2) {
        if (same_place(&told->all[i].place, &first->place) &&
            same_place(&told->all[i + 1].place, &second->place)) {
            return true;
        }
    }
    return false;
}

static void tell(struct names *told, const struct name *first, const struct name *second)
{
    bool generate = second->place.file->generate;

    if ((!generate && !first->place.file->generate) || is_told(told, first, second)) {
        return;
    }
    problem(generate ? &second->place : &first->place, "%s and %s would both be %s in C",
            first->proto_name, second->proto_name, second->c_name);
    add(told, first->c_name, first->proto_name, &first->place);
    add(told, second->c_name, second->proto_name, &second->place);
}

void refuse_clashes(const struct model *model)
{
    struct names names = {NULL, 0, 0};
    struct names told = {NULL, 0, 0};

    for (size_t i = 0; i < model->n_files; i++) {
        if (!model->files[i].foreign) {
            add_file(&names, &model->files[i]);
        }
    }
    if (names.n > 0) {
        qsort(names.all, names.n, sizeof(*names.all), compare);
    }
    for (size_t i = 1; i < names.n; i++) {
        if (strcmp(names.all[i - 1].c_name, names.all[i].c_name) == 0) {
            tell(&told, &names.all[i - 1], &names.all[i]);
        }
    }
}
