/* SPDX-License-Identifier: Apache-2.0 */
/* What has no form in C or in the runtime, file by file. */
#include "clashes.h"
#include "model.h"
#include "names.h"
#include "options.h"
#include "rules.h"
#include "text.h"

#include <ctype.h>
#include <string.h>

typedef Google__Protobuf__FieldDescriptorProto field_proto;

/* Extension numbers of mesh.v1, also of options that are not there yet. */
enum { MESH_FIRST = 51001, MESH_LAST = 51099, VALIDATE = 1159 };

/* An option of mesh.v1 or of buf.validate in a place where this generator knows none. */
static void refuse_options(const ProtobufCMessage *options, const struct place *place,
                           const uint32_t *known)
{
    for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
        uint32_t tag = options->unknown_fields[i].tag;
        const uint32_t *k = known;

        while (*k != 0 && *k != tag) {
            k++;
        }
        if (*k == 0 && (tag == VALIDATE || (tag >= MESH_FIRST && tag <= MESH_LAST))) {
            problem(place, "the option with number %u is not supported here", tag);
        }
    }
}

/* ---- files ------------------------------------------------------------------------------------
 */

static bool is_c_package(const char *name)
{
    if (!isalpha((unsigned char)*name)) {
        return false;
    }
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_' && *name != '.') {
            return false;
        }
    }
    return true;
}

static void refuse_in_file(const struct file *file)
{
    static const uint32_t none[] = {0};
    const struct place place = place_of_file(file);
    const struct place syntax = {.file = file, .path = {12}, .depth = 1};

    if (file->proto->syntax == NULL || strcmp(file->proto->syntax, "proto3") != 0) {
        problem(&syntax,
                "only proto3 is supported (required fields, groups and extensions are not)");
    }
    if (!name_has_suffix(file->name, ".proto")) {
        problem(&place, "the name of a contract ends in .proto");
    }
    if (file->c_package != NULL && !is_c_package(file->c_package)) {
        problem(&place, "c_package = \"%s\" is no name in C", file->c_package);
    }
    if (*file->package == '\0') { /* without one, a message may be FILE in C */
        problem(&syntax, "a contract needs a package");
    }
    refuse_options(file->proto->options != NULL ? &file->proto->options->base : NULL, &place, none);
}

/* The names that begin with the prefix belong to others. */
static void refuse_taken(const struct place *place, const char *prefix)
{
    if (name_library(prefix) != NULL) {
        problem(place, "names in C that begin with %s_ are taken: choose another c_package",
                name_library(prefix));
    }
}

/* ---- messages ---------------------------------------------------------------------------------
 */

/* Why the message itself cannot travel: parts of proto2 in it; NULL if it can. */
static const char *proto2_part(const struct message *message)
{
    if (message->proto->n_extension_range > 0) {
        return gen_printf("%s allows extensions", message->full_name);
    }
    for (size_t i = 0; i < message->n_fields; i++) {
        const field_proto *field = message->fields[i].proto;

        if (field->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED) {
            return gen_printf("%s has required fields", message->full_name);
        }
        if (field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP) {
            return gen_printf("%s has groups", message->full_name);
        }
    }
    return NULL;
}

/* The reason of a message inside it that has one. */
static const char *inside(const struct message *message)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        if (message->fields[i].message != NULL && message->fields[i].message->unsupported != NULL) {
            return message->fields[i].message->unsupported;
        }
    }
    return NULL;
}

static bool spread_unsupported(const struct file *file, bool begin)
{
    bool changed = false;

    for (size_t i = 0; i < file->n_messages; i++) {
        struct message *message = file->messages[i];

        if (message->unsupported == NULL) {
            message->unsupported = begin ? proto2_part(message) : inside(message);
            changed |= message->unsupported != NULL;
        }
    }
    return changed;
}

static void find_unsupported(const struct model *model)
{
    bool changed = true;

    for (size_t i = 0; i < model->n_files; i++) {
        spread_unsupported(&model->files[i], true);
    }
    while (changed) {
        changed = false;
        for (size_t i = 0; i < model->n_files; i++) {
            changed |= spread_unsupported(&model->files[i], false);
        }
    }
}

/* An imported message is refused where it is used: its own file may be nobody's to change. */
static void refuse_use(const struct place *place, const char *user, const struct message *message)
{
    if (message->unsupported != NULL && !message->place.file->generate) {
        problem(place, "%s: %s, which is not supported", user, message->unsupported);
    }
}

static void refuse_in_field(const struct field *field)
{
    static const uint32_t known[] = {VALIDATE, 51003, 0};

    if (name_is_reserved(field->c_name)) {
        problem(&field->place, "a field cannot be named %s in C", field->proto->name);
    }
    if (field->message != NULL) {
        refuse_use(&field->place, field->proto->name, field->message);
    }
    refuse_options(field->proto->options != NULL ? &field->proto->options->base : NULL,
                   &field->place, known);
}

/* Rules that nothing checks would be a promise that nobody keeps. */
static void refuse_unchecked(const struct message *message)
{
    static const char reason[] = "%s: no request leads to %s, so that its rules would never be "
                                 "checked";

    if (message->checked || !message->sent) {
        return;
    }
    for (size_t i = 0; i < message->n_fields; i++) {
        if (has_rules(message->fields[i].rules)) {
            problem(&message->fields[i].place, reason, message->fields[i].proto->name,
                    message->proto->name);
        }
    }
    for (size_t i = 0; i < message->n_oneofs; i++) {
        if (message->oneofs[i].required) {
            problem(&message->oneofs[i].place, reason, message->oneofs[i].proto->name,
                    message->proto->name);
        }
    }
}

static void refuse_in_message(const struct message *message)
{
    static const uint32_t known[] = {VALIDATE, 51001, 51002, 0};
    static const uint32_t known_oneof[] = {VALIDATE, 0};

    refuse_unchecked(message);
    refuse_options(message->proto->options != NULL ? &message->proto->options->base : NULL,
                   &message->place, known);
    for (size_t i = 0; i < message->n_fields; i++) {
        refuse_in_field(&message->fields[i]);
    }
    for (size_t i = 0; i < message->n_oneofs; i++) {
        const struct oneof *oneof = &message->oneofs[i];

        refuse_options(oneof->proto->options != NULL ? &oneof->proto->options->base : NULL,
                       &oneof->place, known_oneof);
    }
}

/* ---- events -----------------------------------------------------------------------------------
 */

static bool is_plain(const struct field *field, int type)
{
    return field != NULL && !field->repeated && field->case_name == NULL &&
           (int)field->proto->type == type;
}

/* True for <system>.<source>.v<number>. */
static bool is_event_package(const char *package)
{
    size_t size;

    for (int i = 0; i < 2; i++) {
        size = strcspn(package, ".");
        if (size == 0 || package[size] == '\0') {
            return false;
        }
        package += size + 1;
    }
    size = strspn(package + 1, "0123456789");
    return *package == 'v' && size > 0 && package[1 + size] == '\0';
}

static void refuse_in_event(const struct message *event)
{
    const Mesh__V1__EventOptions *options = event->event;

    refuse_taken(&event->place, event->place.file->prefix);
    if (!is_event_package(event->place.file->package)) {
        problem(&event->place,
                "the package of an event is <system>.<service>.v<number>, not \"%s\"",
                event->place.file->package);
    }
    if (event->inbox) {
        problem(&event->place, "%s cannot be an event and an inbox", event->proto->name);
    }
    if (*options->key == '\0') {
        problem(&event->place, "the event %s has no key", event->proto->name);
    } else if (!is_plain(message_field(event, options->key),
                         GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING)) {
        problem(&event->place, "the key of an event is a string field without `optional`: \"%s\"",
                options->key);
    }
    if (*options->version != '\0' &&
        !is_plain(message_field(event, options->version),
                  GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT64)) {
        problem(&event->place,
                "the version of an event is an int64 field without `optional`: \"%s\"",
                options->version);
    }
}

/* Only the handler of the first would ever be called. */
static void refuse_twice(const struct message *inbox, size_t number)
{
    const struct field *field = &inbox->fields[number];

    for (size_t i = 0; i < number; i++) {
        if (inbox->fields[i].message == field->message) {
            problem(&field->place, "%s: the event %s is in the inbox twice", field->proto->name,
                    field->message->full_name);
            return;
        }
    }
}

static void refuse_in_inbox(const struct message *inbox)
{
    if (inbox->place.file->n_services != 1) {
        refuse_taken(&inbox->place, inbox->place.file->prefix);
    }
    for (size_t i = 0; i < inbox->n_fields; i++) {
        const struct field *field = &inbox->fields[i];

        if (field->message == NULL || field->message->event == NULL) {
            problem(&field->place, "%s: every field of an inbox is an event (mesh.v1.event)",
                    field->proto->name);
        } else if (field->repeated || field->case_name != NULL) {
            problem(&field->place, "%s: the fields of an inbox are neither repeated nor optional",
                    field->proto->name);
        } else {
            refuse_twice(inbox, i);
        }
    }
    if (inbox->n_fields == 0) {
        problem(&inbox->place, "the inbox %s has no events", inbox->proto->name);
    }
}

/* ---- services ---------------------------------------------------------------------------------
 */

static void refuse_in_method(const struct method *method)
{
    static const uint32_t none[] = {0};
    const struct message *const types[] = {method->request, method->response};

    if (name_is_reserved(method->snake) || name_is_reserved(name_c_lower(method->proto->name))) {
        problem(&method->place, "a method cannot be named %s: %s is a word of C",
                method->proto->name, method->snake);
    }
    for (size_t i = 0; i < 2; i++) {
        refuse_use(&method->place, method->proto->name, types[i]);
        if (types[i]->inbox) {
            problem(&method->place, "%s: an inbox is never sent", method->proto->name);
        }
    }
    refuse_options(method->proto->options != NULL ? &method->proto->options->base : NULL,
                   &method->place, none);
}

static void refuse_in_service(const struct service *service)
{
    static const uint32_t none[] = {0};

    refuse_taken(&service->place, service->prefix);
    refuse_options(service->proto->options != NULL ? &service->proto->options->base : NULL,
                   &service->place, none);
    for (size_t i = 0; i < service->n_methods; i++) {
        refuse_in_method(&service->methods[i]);
    }
}

/* ---- all --------------------------------------------------------------------------------------
 */

/* Rules are turned into code wherever a request can reach them, also in imported files. */
static void refuse_all_rules(const struct file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        for (size_t k = 0; k < file->messages[i]->n_fields; k++) {
            refuse_rules(&file->messages[i]->fields[k]);
        }
    }
}

static void refuse_messages(const struct file *file)
{
    const struct message *inbox = NULL;

    for (size_t i = 0; i < file->n_messages; i++) {
        const struct message *message = file->messages[i];

        refuse_in_message(message);
        if (message->event != NULL) {
            refuse_in_event(message);
        }
        if (message->inbox) {
            refuse_in_inbox(message);
            if (inbox != NULL) {
                problem(&message->place, "a file has one inbox: %s is the second",
                        message->proto->name);
            }
            inbox = message;
        }
    }
}

void refuse(const struct model *model)
{
    find_unsupported(model);
    for (size_t i = 0; i < model->n_files; i++) {
        const struct file *file = &model->files[i];

        if (!file->foreign) {
            refuse_all_rules(file);
        }
        if (file->generate) {
            refuse_in_file(file);
            refuse_messages(file);
            for (size_t k = 0; k < file->n_services; k++) {
                refuse_in_service(&file->services[k]);
            }
        }
    }
    refuse_clashes(model);
}
