/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection: v1 and v1alpha are the same on the wire, so one handler serves both names. */
#include "core/fatal.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "mesh/stream.h"
#include "rpc/descriptor_index.h"
#include "rpc/server_impl.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_IDLE_MS 10000

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

#define ASKED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

/* The descriptor set of health, of reflection and of the details of errors. */
__asm__(".pushsection .rodata\n"
        "mesh__rpc_files:\n"
        ".incbin \"" MESH_RPC_FILES "\"\n"
        "mesh__rpc_files_end:\n"
        ".popsection\n");
extern const uint8_t mesh__rpc_files[];
extern const uint8_t mesh__rpc_files_end[];

struct reflection {
    struct descriptor_index *index;
    const char **services; /* sorted */
    size_t n_services;
    int64_t idle_ms;
};

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

struct reflection *mesh__reflection_new(const struct mesh_service_type *const *types,
                                        size_t n_types, int64_t idle_ms)
{
    struct reflection *reflection = mesh__calloc(1, sizeof(*reflection));

    reflection->idle_ms = idle_ms > 0 ? idle_ms : DEFAULT_IDLE_MS;
    reflection->index = mesh__descriptors_new();
    reflection->services = mesh__calloc(n_types, sizeof(*reflection->services));
    reflection->n_services = n_types;
    for (size_t i = 0; i < n_types; i++) {
        reflection->services[i] = types[i]->name;
        mesh__descriptors_add(reflection->index, types[i]->files, types[i]->files_size);
    }
    mesh__descriptors_add(reflection->index, mesh__rpc_files,
                          (size_t)(mesh__rpc_files_end - mesh__rpc_files));
    mesh__descriptors_sort(reflection->index);
    qsort(reflection->services, n_types, sizeof(*reflection->services), by_text);
    return reflection;
}

void mesh__reflection_free(struct reflection *reflection)
{
    if (reflection == NULL) {
        return;
    }
    mesh__descriptors_free(reflection->index);
    free(reflection->services);
    free(reflection);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void answer_error(struct mesh_ctx *ctx, Response *response, enum mesh_status status,
                         const char *text)
{
    Grpc__Reflection__V1__ErrorResponse *error = mesh_alloc(ctx, sizeof(*error));

    grpc__reflection__v1__error_response__init(error);
    error->error_code = (int32_t)status;
    error->error_message = mesh_strdup(ctx, text);
    response->error_response = error;
    response->message_response_case = ANSWERED(ERROR_RESPONSE);
}

/* Puts a file, and then what it imports, behind those already there. */
static void add_file(const struct descriptor_index *index, size_t file, bool *added,
                     Grpc__Reflection__V1__FileDescriptorResponse *files)
{
    const struct descriptor_file *descriptor = mesh__descriptors_file(index, file);
    ProtobufCBinaryData *bytes = &files->file_descriptor_proto[files->n_file_descriptor_proto];

    if (added[file]) {
        return;
    }
    added[file] = true;
    files->n_file_descriptor_proto++;
    bytes->len = descriptor->size;
    memcpy(&bytes->data, &descriptor->bytes, sizeof(bytes->data)); /* it is read only */
    for (size_t i = 0; i < descriptor->n_imports; i++) {
        size_t import = mesh__descriptors_by_name(index, descriptor->imports[i]);

        if (import != DESCRIPTOR_NONE) {
            add_file(index, import, added, files); /* no deeper than there are files */
        }
    }
}

static void answer_file(struct mesh_ctx *ctx, const struct reflection *reflection, size_t file,
                        const char *asked, Response *response)
{
    Grpc__Reflection__V1__FileDescriptorResponse *files;
    size_t n = mesh__descriptors_count(reflection->index);

    if (file == DESCRIPTOR_NONE) {
        answer_error(ctx, response, MESH_NOT_FOUND, mesh_printf(ctx, "%s is not known", asked));
        return;
    }
    files = mesh_alloc(ctx, sizeof(*files));
    grpc__reflection__v1__file_descriptor_response__init(files);
    files->file_descriptor_proto = mesh_alloc(ctx, n * sizeof(*files->file_descriptor_proto));
    add_file(reflection->index, file, mesh_alloc(ctx, n * sizeof(bool)), files);
    response->file_descriptor_response = files;
    response->message_response_case = ANSWERED(FILE_DESCRIPTOR_RESPONSE);
}

static void answer_extensions(struct mesh_ctx *ctx, const struct reflection *reflection,
                              const char *type, Response *response)
{
    Grpc__Reflection__V1__ExtensionNumberResponse *numbers = mesh_alloc(ctx, sizeof(*numbers));
    size_t n = mesh__descriptors_extensions(reflection->index, type, 0, NULL);

    if (mesh__descriptors_by_symbol(reflection->index, type) == DESCRIPTOR_NONE) {
        answer_error(ctx, response, MESH_NOT_FOUND, mesh_printf(ctx, "%s is not known", type));
        return;
    }
    grpc__reflection__v1__extension_number_response__init(numbers);
    numbers->base_type_name = mesh_strdup(ctx, type);
    numbers->extension_number = mesh_alloc(ctx, n * sizeof(*numbers->extension_number));
    numbers->n_extension_number =
        mesh__descriptors_extensions(reflection->index, type, n, numbers->extension_number);
    response->all_extension_numbers_response = numbers;
    response->message_response_case = ANSWERED(ALL_EXTENSION_NUMBERS_RESPONSE);
}

static void answer_services(struct mesh_ctx *ctx, const struct reflection *reflection,
                            Response *response)
{
    Grpc__Reflection__V1__ListServiceResponse *list = mesh_alloc(ctx, sizeof(*list));
    size_t n = reflection->n_services;

    grpc__reflection__v1__list_service_response__init(list);
    list->n_service = n;
    list->service = mesh_alloc(ctx, n * sizeof(Grpc__Reflection__V1__ServiceResponse *));
    for (size_t i = 0; i < n; i++) {
        list->service[i] = mesh_alloc(ctx, sizeof(*list->service[i]));
        grpc__reflection__v1__service_response__init(list->service[i]);
        list->service[i]->name = mesh_strdup(ctx, reflection->services[i]);
    }
    response->list_services_response = list;
    response->message_response_case = ANSWERED(LIST_SERVICES_RESPONSE);
}

static void answer(struct mesh_ctx *ctx, const struct reflection *reflection, Request *request,
                   Response *response)
{
    const struct descriptor_index *index = reflection->index;
    const Grpc__Reflection__V1__ExtensionRequest *extension;
    const char *name;
    size_t file;

    response->valid_host = request->host;
    response->original_request = request;
    switch (request->message_request_case) {
    case ASKED(FILE_BY_FILENAME):
        name = request->file_by_filename;
        answer_file(ctx, reflection, mesh__descriptors_by_name(index, name), name, response);
        break;
    case ASKED(FILE_CONTAINING_SYMBOL):
        name = request->file_containing_symbol;
        answer_file(ctx, reflection, mesh__descriptors_by_symbol(index, name), name, response);
        break;
    case ASKED(FILE_CONTAINING_EXTENSION):
        extension = request->file_containing_extension;
        name = mesh_printf(ctx, "extension %d of %s", extension->extension_number,
                           extension->containing_type);
        file = mesh__descriptors_by_extension(index, extension->containing_type,
                                              extension->extension_number);
        answer_file(ctx, reflection, file, name, response);
        break;
    case ASKED(ALL_EXTENSION_NUMBERS_OF_TYPE):
        answer_extensions(ctx, reflection, request->all_extension_numbers_of_type, response);
        break;
    case ASKED(LIST_SERVICES):
        answer_services(ctx, reflection, response);
        break;
    default:
        answer_error(ctx, response, MESH_INVALID_ARGUMENT, "the request asks for nothing");
        break;
    }
}

/* One question and its answer; *ret_more is false at the end, which idleness is, too: a client that
 * asks again later opens another stream. */
static MESH_STATUS go_round(struct mesh_ctx *ctx, const struct reflection *reflection,
                            struct mesh_stream *stream, bool *ret_more)
{
    Response answered;
    ProtobufCMessage *asked = NULL;
    enum mesh_status status =
        mesh_stream_read(mesh_ctx_timeout(ctx, reflection->idle_ms), stream, &asked);

    *ret_more = false;
    if (status == MESH_DEADLINE_EXCEEDED && mesh_ctx_remaining_ms(ctx) > 0) {
        return MESH_OK;
    }
    if (status != MESH_OK || asked == NULL) {
        return status;
    }
    *ret_more = true;
    grpc__reflection__v1__server_reflection_response__init(&answered);
    answer(ctx, reflection, (Request *)asked, &answered);
    return mesh_stream_write(ctx, stream, &answered.base);
}

static MESH_STATUS info(struct mesh_ctx *ctx, const void *handlers, void *service,
                        const ProtobufCMessage *request, ProtobufCMessage *response,
                        struct mesh_stream *stream)
{
    bool more = true;

    (void)service;
    (void)request;
    (void)response;
    while (more) {
        cleanup_ctx struct mesh_ctx *round = mesh_ctx_fork(ctx); /* a long stream does not grow */
        enum mesh_status status = go_round(round, handlers, stream, &more);

        if (status != MESH_OK) {
            return mesh_fail(ctx, status, "%s", mesh_ctx_error(round));
        }
    }
    return MESH_OK;
}

/* ---- the services ------------------------------------------------------------------------- */

static const struct mesh_method methods[] = {{
    .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    .name = "ServerReflectionInfo",
    .kind = MESH_BIDI_STREAMING,
    .request = &grpc__reflection__v1__server_reflection_request__descriptor,
    .response = &grpc__reflection__v1__server_reflection_response__descriptor,
    .dispatch = info,
}};

static const struct mesh_method alpha_methods[] = {{
    .path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    .name = "ServerReflectionInfo",
    .kind = MESH_BIDI_STREAMING,
    .request = &grpc__reflection__v1__server_reflection_request__descriptor,
    .response = &grpc__reflection__v1__server_reflection_response__descriptor,
    .dispatch = info,
}};

const struct mesh_service_type mesh__reflection_type = {
    .name = "grpc.reflection.v1.ServerReflection",
    .methods = methods,
    .n_methods = 1,
};

const struct mesh_service_type mesh__reflection_alpha_type = {
    .name = "grpc.reflection.v1alpha.ServerReflection",
    .methods = alpha_methods,
    .n_methods = 1,
};
