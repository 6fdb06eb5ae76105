/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down rather than called: presence, sensitive fields, descriptors, methods. */
#include "emit.h"
#include "names.h"

#include <stdlib.h>
#include <string.h>

/* ---- proto3 optional --------------------------------------------------------------------------
 */

void emit_presence_helpers(struct text *out, const struct file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct message *message = file->messages[i];

        for (size_t k = 0; k < message->n_fields; k++) {
            const struct field *field = &message->fields[k];

            if (field->proto->proto3_optional) {
                text_printf(out,
                            "\nstatic inline bool %s_has_%s(const %s *message)\n"
                            "{\n"
                            "    return (int)message->%s == %d;\n"
                            "}\n",
                            message->c_lower, name_c_field(field->proto->name), message->c_type,
                            field->case_name, field->proto->number);
            }
        }
    }
}

/* ---- sensitive fields -------------------------------------------------------------------------
 */

/* Marks the file and everything that it imports. */
static void mark_closure(const struct model *model, const struct file *file, bool *marks)
{
    if (marks[file - model->files]) {
        return;
    }
    marks[file - model->files] = true;
    for (size_t i = 0; i < file->proto->n_dependency; i++) {
        mark_closure(model, model_file(model, file->proto->dependency[i]), marks);
    }
}

static size_t n_sensitive(const struct message *message)
{
    size_t n = 0;

    for (size_t i = 0; i < message->n_fields; i++) {
        n += message->fields[i].sensitive;
    }
    return n;
}

static void emit_sensitive_type(struct text *out, const struct message *message)
{
    text_printf(out,
                "\nstatic const struct mesh_sensitive_type mesh__sensitive_%s = {\n"
                "    .descriptor = &%s__descriptor,\n"
                "    .fields = (const char *const[]){",
                message->c_lower, message->c_lower);
    for (size_t i = 0; i < message->n_fields; i++) {
        if (message->fields[i].sensitive) {
            text_printf(out, "\"%s\", ", message->fields[i].proto->name);
        }
    }
    text_printf(out, "NULL},\n};\n");
}

/* A service's own events need not be imported by it: the whole package counts. */
static bool *mark_package(const struct model *model, const struct file *file)
{
    bool *marks = gen_alloc(model->n_files * sizeof(bool));

    for (size_t i = 0; i < model->n_files; i++) {
        if (strcmp(model->files[i].package, file->package) == 0) {
            mark_closure(model, &model->files[i], marks);
        }
    }
    return marks;
}

void emit_sensitive_includes(struct text *out, const struct model *model, const struct file *file)
{
    const bool *marks = mark_package(model, file);

    for (size_t f = 0; f < model->n_files; f++) {
        bool needed = false;

        for (size_t i = 0; marks[f] && i < model->files[f].n_messages; i++) {
            needed |= n_sensitive(model->files[f].messages[i]) > 0;
        }
        if (needed) {
            text_printf(out, "#include \"%s.pb-c.h\"\n", model->files[f].stem);
        }
    }
}

void emit_sensitive(struct text *out, const struct model *model, const struct file *file)
{
    const bool *marks = mark_package(model, file);
    struct text list = {0};

    for (size_t f = 0; f < model->n_files; f++) {
        for (size_t i = 0; marks[f] && i < model->files[f].n_messages; i++) {
            const struct message *message = model->files[f].messages[i];

            if (n_sensitive(message) > 0) {
                emit_sensitive_type(out, message);
                text_printf(&list, "    &mesh__sensitive_%s,\n", message->c_lower);
            }
        }
    }
    text_printf(
        out,
        "\nstatic const struct mesh_sensitive_type *const mesh__sensitive[] = {\n%s    NULL,\n};\n",
        text_string(&list));
}

/* ---- descriptors for reflection ---------------------------------------------------------------
 */

static void emit_bytes(struct text *out, const uint8_t *bytes, size_t size)
{
    size_t column = 0;

    for (size_t i = 0; i < size; i++) {
        size_t before = out->size;

        text_printf(out, "%u,", bytes[i]);
        column += out->size - before;
        if (column > 94) {
            text_add(out, "\n", 1);
            column = 0;
        }
    }
}

void emit_descriptor_set(struct text *out, const struct model *model, const struct file *file)
{
    bool *marks = gen_alloc(model->n_files * sizeof(bool));
    Google__Protobuf__FileDescriptorSet set = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_SET__INIT;
    uint8_t *bytes;
    size_t size;

    mark_closure(model, file, marks);
    set.file = gen_alloc(model->n_files * sizeof(Google__Protobuf__FileDescriptorProto *));
    for (size_t i = 0; i < model->n_files; i++) {
        if (marks[i]) {
            Google__Protobuf__FileDescriptorProto *copy = gen_alloc(sizeof(*copy));

            *copy = *model->files[i].proto;
            copy->source_code_info = NULL;
            set.file[set.n_file++] = copy;
        }
    }
    size = google__protobuf__file_descriptor_set__get_packed_size(&set);
    bytes = gen_alloc(size);
    google__protobuf__file_descriptor_set__pack(&set, bytes);
    text_printf(out,
                "\n/* A google.protobuf.FileDescriptorSet: %s and its imports. */\n"
                "static const uint8_t mesh__file_set[%zu] = {\n",
                file->name, size);
    emit_bytes(out, bytes, size);
    text_printf(out, "};\n");
}

/* ---- methods.json -----------------------------------------------------------------------------
 */

static int compare_services(const void *left, const void *right)
{
    return strcmp((*(const struct service *const *)left)->full_name,
                  (*(const struct service *const *)right)->full_name);
}

static int compare_methods(const void *left, const void *right)
{
    return strcmp((*(const struct method *const *)left)->proto->name,
                  (*(const struct method *const *)right)->proto->name);
}

static void add_methods(struct text *out, const struct service *service)
{
    static const char *const levels[] = {"IDEMPOTENCY_UNKNOWN", "NO_SIDE_EFFECTS", "IDEMPOTENT"};
    static const char *const kinds[] = {"UNARY", "SERVER_STREAMING", "CLIENT_STREAMING",
                                        "BIDI_STREAMING"};
    const struct method **sorted = gen_alloc(service->n_methods * sizeof(struct method *));

    for (size_t i = 0; i < service->n_methods; i++) {
        sorted[i] = &service->methods[i];
    }
    qsort(sorted, service->n_methods, sizeof(struct method *), compare_methods);
    for (size_t i = 0; i < service->n_methods; i++) {
        const struct method *method = sorted[i];

        text_printf(out, "%s\n    \"%s\": {\"idempotency\": \"%s\", \"kind\": \"%s\"}",
                    i > 0 ? "," : "", method->proto->name, levels[method->idempotency % 3],
                    kinds[(method->client_streaming ? 2 : 0) + (method->server_streaming ? 1 : 0)]);
    }
}

char *methods_json(const struct model *model)
{
    const struct service **sorted;
    struct text out = {0};
    size_t n = 0;

    for (size_t f = 0; f < model->n_files; f++) {
        n += model->files[f].n_services;
    }
    sorted = gen_alloc(n * sizeof(struct service *));
    n = 0;
    for (size_t f = 0; f < model->n_files; f++) {
        for (size_t i = 0; model->files[f].generate && i < model->files[f].n_services; i++) {
            sorted[n++] = &model->files[f].services[i];
        }
    }
    qsort(sorted, n, sizeof(struct service *), compare_services);
    text_printf(&out, "{");
    for (size_t i = 0; i < n; i++) {
        text_printf(&out, "%s\n  \"%s\": {", i > 0 ? "," : "", sorted[i]->full_name);
        add_methods(&out, sorted[i]);
        text_printf(&out, sorted[i]->n_methods > 0 ? "\n  }" : "}");
    }
    text_printf(&out, n > 0 ? "\n}\n" : "}\n");
    return out.data;
}
