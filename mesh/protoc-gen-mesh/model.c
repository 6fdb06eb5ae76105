/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "mesh/protoc-gen-mesh/pb_c_options.pb-c.h"
#include "names.h"
#include "options.h"
#include "text.h"

#include <string.h>

/* Extension numbers. */
enum { PB_C = 1019, VALIDATE = 1159, PREDEFINED = 1160, EVENT = 51001, INBOX = 51002, SENSITIVE };

/* Field numbers of descriptor.proto, as they stand in source paths. */
enum {
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_ONEOF = 8,
    SERVICE_METHOD = 2
};

static const char *dotted(const char *scope, const char *name)
{
    return *scope == '\0' ? name : gen_printf("%s.%s", scope, name);
}

/* The full name with protobuf-c's c_package in place of the package. */
static const char *with_c_package(const struct file *file, const char *full_name)
{
    size_t size = strlen(file->package);

    if (file->c_package == NULL) {
        return full_name;
    }
    return gen_printf("%s%s%s", file->c_package, size == 0 ? "." : "", full_name + size);
}

/* ---- first pass: everything by name -----------------------------------------------------------
 */

static void add_enumeration(struct file *file, const char *scope, const struct place *outer,
                            uint32_t kind, uint32_t number,
                            const Google__Protobuf__EnumDescriptorProto *proto)
{
    struct enumeration *enumeration = gen_alloc(sizeof(*enumeration));

    enumeration->proto = proto;
    enumeration->place = place_inside(outer, kind, number);
    enumeration->full_name = dotted(scope, proto->name);
    enumeration->c_type = name_c_type(with_c_package(file, enumeration->full_name));
    enumeration->c_lower = name_c_lower(with_c_package(file, enumeration->full_name));
    enumeration->c_upper = name_c_upper(with_c_package(file, enumeration->full_name));
    file->enumerations[file->n_enumerations++] = enumeration;
}

static void read_message_options(struct message *message)
{
    const ProtobufCMessage *options =
        message->proto->options != NULL ? &message->proto->options->base : NULL;
    const Mesh__Gen__PbCMessageOptions *pb_c;

    message->event = (const Mesh__V1__EventOptions *)option_message(
        options, EVENT, &mesh__v1__event_options__descriptor, &message->place);
    message->inbox = option_bool(options, INBOX);
    if (option_is_set(options, VALIDATE)) {
        problem(&message->place, "rules for a whole message (buf.validate.message) are not "
                                 "supported: put them on its fields");
    }
    pb_c = (const Mesh__Gen__PbCMessageOptions *)option_message(
        options, PB_C, &mesh__gen__pb_cmessage_options__descriptor, &message->place);
    if (pb_c != NULL && pb_c->base_field_name != NULL &&
        strcmp(pb_c->base_field_name, "base") != 0) {
        problem(&message->place, "base_field_name is not supported");
    }
}

static void add_message(struct file *file, const char *scope, struct place place,
                        const Google__Protobuf__DescriptorProto *proto)
{
    struct message *message = gen_alloc(sizeof(*message));

    message->proto = proto;
    message->place = place;
    message->full_name = dotted(scope, proto->name);
    message->c_type = name_c_type(with_c_package(file, message->full_name));
    message->c_lower = name_c_lower(with_c_package(file, message->full_name));
    message->c_upper = name_c_upper(with_c_package(file, message->full_name));
    if (!file->foreign) {
        read_message_options(message);
    }
    file->messages[file->n_messages++] = message;
    for (size_t i = 0; i < proto->n_enum_type; i++) {
        add_enumeration(file, message->full_name, &place, MESSAGE_ENUM, (uint32_t)i,
                        proto->enum_type[i]);
    }
    for (size_t i = 0; i < proto->n_nested_type; i++) {
        add_message(file, message->full_name, place_inside(&place, MESSAGE_NESTED, (uint32_t)i),
                    proto->nested_type[i]);
    }
}

static size_t count_messages(const Google__Protobuf__DescriptorProto *proto, size_t *n_enums)
{
    size_t n = 1;

    *n_enums += proto->n_enum_type;
    for (size_t i = 0; i < proto->n_nested_type; i++) {
        n += count_messages(proto->nested_type[i], n_enums);
    }
    return n;
}

static void read_file_options(struct file *file)
{
    const struct place place = place_of_file(file);
    const Mesh__Gen__PbCFileOptions *options = (const Mesh__Gen__PbCFileOptions *)option_message(
        file->proto->options != NULL ? &file->proto->options->base : NULL, PB_C,
        &mesh__gen__pb_cfile_options__descriptor, &place);

    if (options == NULL) {
        return;
    }
    file->c_package = options->c_package;
    if (file->generate && options->no_generate) {
        problem(&place, "no_generate leaves nothing to build on");
    }
    if (file->generate && options->has_gen_init_helpers && !options->gen_init_helpers) {
        problem(&place, "gen_init_helpers = false is not supported");
    }
}

static void name_everything(struct file *file)
{
    const Google__Protobuf__FileDescriptorProto *proto = file->proto;
    const struct place place = place_of_file(file);
    size_t n_enums = proto->n_enum_type;
    size_t n_messages = 0;

    for (size_t i = 0; i < proto->n_message_type; i++) {
        n_messages += count_messages(proto->message_type[i], &n_enums);
    }
    file->messages = gen_alloc(n_messages * sizeof(struct message *));
    file->enumerations = gen_alloc(n_enums * sizeof(struct enumeration *));
    for (size_t i = 0; i < proto->n_enum_type; i++) {
        add_enumeration(file, file->package, &place, FILE_ENUM, (uint32_t)i, proto->enum_type[i]);
    }
    for (size_t i = 0; i < proto->n_message_type; i++) {
        add_message(file, file->package, place_inside(&place, FILE_MESSAGE, (uint32_t)i),
                    proto->message_type[i]);
    }
}

/* ---- second pass: fields and methods find their types -----------------------------------------
 */

static const struct enumeration *find_enumeration(const struct model *model, const char *full_name)
{
    for (size_t f = 0; f < model->n_files; f++) {
        for (size_t i = 0; i < model->files[f].n_enumerations; i++) {
            if (strcmp(model->files[f].enumerations[i]->full_name, full_name) == 0) {
                return model->files[f].enumerations[i];
            }
        }
    }
    return NULL;
}

static void read_field_options(struct field *field)
{
    const ProtobufCMessage *options =
        field->proto->options != NULL ? &field->proto->options->base : NULL;
    const Mesh__Gen__PbCFieldOptions *pb_c;

    field->rules = (const Buf__Validate__FieldRules *)option_message(
        options, VALIDATE, &buf__validate__field_rules__descriptor, &field->place);
    field->sensitive = option_bool(options, SENSITIVE);
    if (option_is_set(options, PREDEFINED)) {
        problem(&field->place, "predefined rules (buf.validate.predefined) are not supported");
    }
    pb_c = (const Mesh__Gen__PbCFieldOptions *)option_message(
        options, PB_C, &mesh__gen__pb_cfield_options__descriptor, &field->place);
    if (pb_c != NULL && pb_c->string_as_bytes) {
        problem(&field->place, "string_as_bytes is not supported: use bytes");
    }
}

static void read_field(const struct model *model, const struct message *message,
                       struct field *field)
{
    const Google__Protobuf__FieldDescriptorProto *proto = field->proto;

    field->parent = message;
    field->c_name = name_c_field(proto->name);
    field->repeated =
        proto->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
    if (proto->has_oneof_index) {
        field->case_name = message->oneofs[proto->oneof_index].case_name;
    }
    if (proto->type_name != NULL && *proto->type_name == '.') {
        field->message = model_message(model, proto->type_name);
        field->enumeration = find_enumeration(model, proto->type_name + 1);
    }
    field->map = field->repeated && field->message != NULL && field->message->proto->options &&
                 field->message->proto->options->map_entry;
    if (!field->place.file->foreign) {
        read_field_options(field);
    }
}

static void read_oneofs(struct message *message)
{
    message->n_oneofs = message->proto->n_oneof_decl;
    message->oneofs = gen_alloc(message->n_oneofs * sizeof(struct oneof));
    for (size_t i = 0; i < message->n_oneofs; i++) {
        struct oneof *oneof = &message->oneofs[i];
        const Buf__Validate__OneofRules *rules;

        oneof->proto = message->proto->oneof_decl[i];
        oneof->place = place_inside(&message->place, MESSAGE_ONEOF, (uint32_t)i);
        oneof->case_name = gen_printf("%s_case", name_c_lower(oneof->proto->name));
        for (size_t k = 0; k < message->proto->n_field; k++) {
            const Google__Protobuf__FieldDescriptorProto *field = message->proto->field[k];

            oneof->synthetic |= field->proto3_optional && field->has_oneof_index &&
                                field->oneof_index == (int32_t)i;
        }
        rules = (const Buf__Validate__OneofRules *)option_message(
            oneof->proto->options != NULL ? &oneof->proto->options->base : NULL, VALIDATE,
            &buf__validate__oneof_rules__descriptor, &oneof->place);
        oneof->required = rules != NULL && rules->required;
    }
}

static void read_fields(const struct model *model, struct message *message)
{
    read_oneofs(message);
    message->n_fields = message->proto->n_field;
    message->fields = gen_alloc(message->n_fields * sizeof(struct field));
    for (size_t i = 0; i < message->n_fields; i++) {
        message->fields[i].proto = message->proto->field[i];
        message->fields[i].place = place_inside(&message->place, MESSAGE_FIELD, (uint32_t)i);
        read_field(model, message, &message->fields[i]);
    }
}

static void read_method(const struct model *model, struct method *method)
{
    const Google__Protobuf__MethodDescriptorProto *proto = method->proto;

    method->snake = name_snake(proto->name);
    method->request = model_message(model, proto->input_type);
    method->response = model_message(model, proto->output_type);
    method->client_streaming = proto->client_streaming;
    method->server_streaming = proto->server_streaming;
    method->idempotency = proto->options != NULL ? (int)proto->options->idempotency_level : 0;
}

static void read_service(const struct model *model, struct file *file, size_t number)
{
    struct service *service = &file->services[number];
    const struct place place = place_of_file(file);

    service->proto = file->proto->service[number];
    service->place = place_inside(&place, FILE_SERVICE, (uint32_t)number);
    service->full_name = dotted(file->package, service->proto->name);
    service->c_lower = name_c_lower(with_c_package(file, service->full_name));
    service->prefix = file->n_services == 1 && file->c_package != NULL
                          ? file->prefix
                          : name_snake(service->proto->name);
    service->state = name_has_suffix(service->prefix, "_service")
                         ? service->prefix
                         : gen_printf("%s_service", service->prefix);
    service->n_methods = service->proto->n_method;
    service->methods = gen_alloc(service->n_methods * sizeof(struct method));
    for (size_t i = 0; i < service->n_methods; i++) {
        service->methods[i].proto = service->proto->method[i];
        service->methods[i].place = place_inside(&service->place, SERVICE_METHOD, (uint32_t)i);
        read_method(model, &service->methods[i]);
    }
}

/* ---- files ------------------------------------------------------------------------------------
 */

static void begin_file(struct file *file, const Google__Protobuf__FileDescriptorProto *proto,
                       const Google__Protobuf__Compiler__CodeGeneratorRequest *request)
{
    static const char descriptors[] = "google.protobuf";
    const char *identifier;

    file->proto = proto;
    file->name = proto->name;
    file->stem = name_has_suffix(proto->name, ".proto")
                     ? gen_printf("%.*s", (int)(strlen(proto->name) - 6), proto->name)
                     : proto->name;
    file->package = proto->package != NULL ? proto->package : "";
    file->n_services = proto->n_service;
    for (size_t i = 0; i < request->n_file_to_generate; i++) {
        file->generate |= strcmp(request->file_to_generate[i], proto->name) == 0;
    }
    file->foreign =
        !file->generate && (strcmp(file->package, "buf.validate") == 0 ||
                            strncmp(file->package, descriptors, strlen(descriptors)) == 0);
    read_file_options(file);
    identifier = file->c_package != NULL ? file->c_package : file->package;
    file->prefix = name_identifier(*identifier != '\0' ? identifier : file->stem);
    name_everything(file);
}

struct model *model_new(const Google__Protobuf__Compiler__CodeGeneratorRequest *request)
{
    struct model *model = gen_alloc(sizeof(*model));

    model->n_files = request->n_proto_file;
    model->files = gen_alloc(model->n_files * sizeof(struct file));
    for (size_t i = 0; i < model->n_files; i++) {
        begin_file(&model->files[i], request->proto_file[i], request);
    }
    for (size_t f = 0; f < model->n_files; f++) {
        struct file *file = &model->files[f];

        for (size_t i = 0; i < file->n_messages; i++) {
            read_fields(model, file->messages[i]);
        }
        file->services = gen_alloc(file->n_services * sizeof(struct service));
        for (size_t i = 0; i < file->n_services; i++) {
            read_service(model, file, i);
        }
    }
    find_ways(model);
    return model;
}

const struct file *model_file(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->n_files; i++) {
        if (strcmp(model->files[i].name, name) == 0) {
            return &model->files[i];
        }
    }
    return NULL;
}

struct message *model_message(const struct model *model, const char *full_name)
{
    if (*full_name == '.') {
        full_name++;
    }
    for (size_t f = 0; f < model->n_files; f++) {
        for (size_t i = 0; i < model->files[f].n_messages; i++) {
            if (strcmp(model->files[f].messages[i]->full_name, full_name) == 0) {
                return model->files[f].messages[i];
            }
        }
    }
    return NULL;
}

const struct field *message_field(const struct message *message, const char *name)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        if (strcmp(message->fields[i].proto->name, name) == 0) {
            return &message->fields[i];
        }
    }
    return NULL;
}
