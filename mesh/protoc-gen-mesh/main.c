/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protoc-gen-mesh: writes <name>.mesh.h and <name>.mesh.c beside what protobuf-c makes of the same
 * <name>.proto. A plugin of protoc: reads a CodeGeneratorRequest, answers a CodeGeneratorResponse.
 */
#include "emit.h"
#include "model.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_message;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_message;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File response_file;

static void complain(const char *text)
{
    /* Where standard error is gone, nobody is left to be told. */
    (void)fprintf(stderr, "protoc-gen-mesh: %s\n", text);
}

static bool read_all(FILE *input, struct text *ret_bytes)
{
    char buffer[65536];
    size_t n;

    while ((n = fread(buffer, 1, sizeof(buffer), input)) > 0) {
        text_add(ret_bytes, buffer, n);
    }
    return ferror(input) == 0;
}

static void add_file(response_message *response, const char *name, char *content)
{
    response_file *file = gen_alloc(sizeof(*file));

    google__protobuf__compiler__code_generator_response__file__init(file);
    file->name = gen_printf("%s", name);
    file->content = content;
    response->file[response->n_file++] = file;
}

/* The only parameter is methods=<file>: where the facts about all methods go. */
static char *read_parameter(const char *parameter, const char **ret_methods)
{
    static const char methods[] = "methods=";

    *ret_methods = NULL;
    if (parameter == NULL || *parameter == '\0') {
        return NULL;
    }
    if (strncmp(parameter, methods, strlen(methods)) != 0 || strchr(parameter, ',') != NULL ||
        parameter[strlen(methods)] == '\0') {
        return gen_printf("unknown parameter \"%s\": only methods=<file> is known", parameter);
    }
    *ret_methods = parameter + strlen(methods);
    return NULL;
}

static void generate(const request_message *request, response_message *response)
{
    const char *methods;
    struct model *model;

    response->error = read_parameter(request->parameter, &methods);
    if (response->error != NULL) {
        return;
    }
    model = model_new(request);
    refuse(model);
    response->error = problems_text();
    if (response->error != NULL) {
        return;
    }
    response->file = gen_alloc((model->n_files * 2 + 1) * sizeof(response_file *));
    for (size_t i = 0; i < model->n_files; i++) {
        const struct file *file = &model->files[i];
        struct text header = {0};
        struct text source = {0};

        if (file->generate) {
            emit_header(&header, model, file);
            add_file(response, gen_printf("%s.mesh.h", file->stem), header.data);
            emit_source(&source, model, file);
            add_file(response, gen_printf("%s.mesh.c", file->stem), source.data);
        }
    }
    if (methods != NULL) {
        add_file(response, methods, methods_json(model));
    }
}

static int answer(response_message *response)
{
    size_t size = google__protobuf__compiler__code_generator_response__get_packed_size(response);
    uint8_t *bytes = gen_alloc(size);

    google__protobuf__compiler__code_generator_response__pack(response, bytes);
    if (fwrite(bytes, 1, size, stdout) != size || fflush(stdout) != 0) {
        perror("protoc-gen-mesh");
        return 1;
    }
    return 0;
}

int main(int argc, char **argv __attribute__((unused)))
{
    response_message response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
    request_message *request;
    struct text bytes = {0};

    if (argc > 1) {
        complain("it is run by protoc: protoc --plugin=protoc-gen-mesh --mesh_out=DIR ...");
        return 2;
    }
    if (!read_all(stdin, &bytes)) {
        perror("protoc-gen-mesh");
        return 1;
    }
    request = google__protobuf__compiler__code_generator_request__unpack(
        gen_allocator(), bytes.size, (const uint8_t *)text_string(&bytes));
    if (request == NULL) {
        complain("this is not a request of protoc");
        return 1;
    }
    response.has_supported_features = 1;
    response.supported_features =
        GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
    generate(request, &response);
    return answer(&response);
}
