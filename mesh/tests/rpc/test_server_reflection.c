/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection, both versions. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "rpc/server_impl.h"
#include "server_served.h"
#include "test.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

#define ASKED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERED(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

static struct served served;
static struct mesh_stream *stream;

static void open_reflection(const struct mesh_service_type *type)
{
    if (stream != NULL) {
        CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
    }
    CHECK(mesh_client_open(served.ctx, served.client, &type->methods[0], NULL, &stream) == MESH_OK);
}

static int setup(void **state)
{
    (void)state;
    served_init(&served);
    served_start(&served);
    open_reflection(&mesh__reflection_type);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    served_done(&served);
    return 0;
}

static char host[] = "here";

static const Response *ask(Request *request)
{
    ProtobufCMessage *message = NULL;
    const Response *response;

    request->host = host;
    CHECK(mesh_stream_write(served.ctx, stream, &request->base) == MESH_OK);
    CHECK(mesh_stream_read(served.ctx, stream, &message) == MESH_OK && message != NULL);
    response = (const Response *)message;
    MUST(response != NULL);
    CHECK_TEXT(response->valid_host, "here");
    CHECK(response->original_request->message_request_case == request->message_request_case);
    return response;
}

static const Response *ask_symbol(const char *symbol)
{
    Request request;

    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = ASKED(FILE_CONTAINING_SYMBOL);
    request.file_containing_symbol = mesh_strdup(served.ctx, symbol);
    return ask(&request);
}

static const Response *ask_file(const char *name)
{
    Request request;

    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = ASKED(FILE_BY_FILENAME);
    request.file_by_filename = mesh_strdup(served.ctx, name);
    return ask(&request);
}

/* True if the answer has the file (at a place, or anywhere for -1). */
static bool has_file(const Response *response, int place, const char *name)
{
    const Grpc__Reflection__V1__FileDescriptorResponse *files;
    bool found = false;

    if (response->message_response_case != ANSWERED(FILE_DESCRIPTOR_RESPONSE)) {
        return false;
    }
    files = response->file_descriptor_response;
    for (size_t i = 0; i < files->n_file_descriptor_proto; i++) {
        const ProtobufCBinaryData *bytes = &files->file_descriptor_proto[i];
        Google__Protobuf__FileDescriptorProto *file =
            google__protobuf__file_descriptor_proto__unpack(NULL, bytes->len, bytes->data);

        if (file == NULL) {
            return false;
        }
        found |= (place < 0 || place == (int)i) && strcmp(file->name, name) == 0;
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
    }
    return found;
}

static bool is_not_found(const Response *response)
{
    return response->message_response_case == ANSWERED(ERROR_RESPONSE) &&
           response->error_response->error_code == MESH_NOT_FOUND;
}

TEST(services_are_listed)
{
    static const char *const expected[] = {
        "check.v1.Check",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    Request request;
    const Response *response;
    char empty[] = "";

    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = ASKED(LIST_SERVICES);
    request.list_services = empty;
    response = ask(&request);
    CHECK(response->message_response_case == ANSWERED(LIST_SERVICES_RESPONSE));
    CHECK(response->list_services_response->n_service == 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_TEXT(response->list_services_response->service[i]->name, expected[i]);
    }
}

TEST(a_file_comes_with_what_it_imports)
{
    const Response *response = ask_file("served.proto");

    CHECK(has_file(response, 0, "served.proto"));
    CHECK(has_file(response, -1, "google/protobuf/descriptor.proto"));
    CHECK(has_file(response, -1, "google/protobuf/timestamp.proto"));
    CHECK(response->file_descriptor_response->n_file_descriptor_proto == 4);
}

TEST(a_file_that_is_imported_can_be_asked_for)
{
    CHECK(has_file(ask_file("google/protobuf/timestamp.proto"), 0,
                   "google/protobuf/timestamp.proto"));
}

TEST(every_kind_of_symbol_is_found)
{
    static const char *const symbols[] = {
        "check.v1.Check",
        "check.v1.Check.Echo",
        "check.v1.Words",
        ".check.v1.Words",
        "check.v1.Words.text",
        "check.v1.Words.Nested",
        "check.v1.Words.Nested.depth",
        "check.v1.Words.Nested.Depth",
        "check.v1.Words.Nested.DEPTH_DEEP",
        "check.v1.Colour",
        "check.v1.COLOUR_RED",
        "check.v1.marked",
    };

    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        CHECK(has_file(ask_symbol(symbols[i]), 0, "served.proto"));
    }
}

TEST(health_and_reflection_describe_themselves)
{
    CHECK(has_file(ask_symbol("grpc.health.v1.Health.Watch"), 0, "grpc/health/v1/health.proto"));
    CHECK(has_file(ask_symbol("grpc.reflection.v1.ServerReflection"), 0,
                   "grpc/reflection/v1/reflection.proto"));
    CHECK(has_file(ask_symbol("grpc.reflection.v1alpha.ServerReflection"), 0,
                   "grpc/reflection/v1alpha/reflection.proto"));
}

TEST(details_of_errors_are_described)
{
    CHECK(has_file(ask_symbol("google.rpc.ErrorInfo"), 0, "google/rpc/error_details.proto"));
    CHECK(has_file(ask_symbol("google.rpc.RetryInfo"), -1, "google/protobuf/duration.proto"));
}

TEST(what_is_not_there_is_not_found)
{
    CHECK(is_not_found(ask_symbol("check.v1.Nothing")));
    CHECK(is_not_found(ask_symbol("check.v1")));
    CHECK(is_not_found(ask_symbol("")));
    CHECK(is_not_found(ask_file("nothing.proto")));
    /* The stream goes on. */
    CHECK(has_file(ask_file("served.proto"), 0, "served.proto"));
}

TEST(an_extension_is_found_by_its_number)
{
    Request request;
    Grpc__Reflection__V1__ExtensionRequest extension;
    char type[] = "google.protobuf.FieldOptions";

    grpc__reflection__v1__extension_request__init(&extension);
    extension.containing_type = type;
    extension.extension_number = 51991;
    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = ASKED(FILE_CONTAINING_EXTENSION);
    request.file_containing_extension = &extension;
    CHECK(has_file(ask(&request), 0, "served.proto"));
    extension.extension_number = 51992;
    CHECK(is_not_found(ask(&request)));
}

TEST(the_extensions_of_a_type_are_numbered)
{
    Request request;
    const Response *response;
    const Grpc__Reflection__V1__ExtensionNumberResponse *numbers;
    bool found = false;
    char options[] = "google.protobuf.FieldOptions";
    char plain[] = "check.v1.Words";
    char nothing[] = "check.v1.Nothing";

    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = ASKED(ALL_EXTENSION_NUMBERS_OF_TYPE);
    request.all_extension_numbers_of_type = options;
    response = ask(&request);
    CHECK(response->message_response_case == ANSWERED(ALL_EXTENSION_NUMBERS_RESPONSE));
    CHECK_TEXT(response->all_extension_numbers_response->base_type_name, options);
    numbers = response->all_extension_numbers_response;
    for (size_t i = 0; i < numbers->n_extension_number; i++) {
        found |= numbers->extension_number[i] == 51991;
    }
    CHECK(found);
    request.all_extension_numbers_of_type = plain;
    response = ask(&request);
    CHECK(response->message_response_case == ANSWERED(ALL_EXTENSION_NUMBERS_RESPONSE));
    CHECK(response->all_extension_numbers_response->n_extension_number == 0);
    request.all_extension_numbers_of_type = nothing;
    CHECK(is_not_found(ask(&request)));
}

TEST(a_question_that_asks_nothing_is_an_error_in_band)
{
    Request request;
    const Response *response;

    grpc__reflection__v1__server_reflection_request__init(&request);
    response = ask(&request);
    CHECK(response->message_response_case == ANSWERED(ERROR_RESPONSE));
    CHECK(response->error_response->error_code == MESH_INVALID_ARGUMENT);
}

TEST(the_older_version_answers_the_same)
{
    open_reflection(&mesh__reflection_alpha_type);
    CHECK(has_file(ask_symbol("check.v1.Check"), 0, "served.proto"));
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
    stream = NULL;
}

/* ---- its limits --------------------------------------------------------------------------- */

static MESH_STATUS stay(struct mesh_ctx *ctx, struct served *s, const Check__V1__Words *request,
                        struct mesh_stream *chat)
{
    ProtobufCMessage *message = NULL;

    (void)s;
    (void)request;
    MESH_TRY(mesh_stream_send_initial_metadata(ctx, chat));
    return mesh_stream_read(ctx, chat, &message);
}

/* A server of its own for what fills it. */
static void begin_own(struct served *own)
{
    served_init(own);
    own->script = stay;
    own->options.stream_limit = 2;
    own->options.reflection_limit = 2;
}

TEST(idle_streams_do_not_keep_reflection_out)
{
    struct served own;
    struct mesh_stream *streams[2];
    struct mesh_stream *reflection;

    begin_own(&own);
    served_start(&own);
    for (size_t i = 0; i < 2; i++) {
        CHECK(mesh_client_open(own.ctx, own.client, served_method("Chat"), NULL, &streams[i]) ==
              MESH_OK);
    }
    while (own.n_entered < 2) {
        CHECK(served_call(&own, "Echo", "", NULL) == MESH_OK); /* it sends what is written */
    }
    for (size_t i = 0; i < 2; i++) { /* and its own limit is met by nobody else */
        CHECK(mesh_client_open(own.ctx, own.client, &mesh__reflection_type.methods[0], NULL,
                               &reflection) == MESH_OK);
        CHECK(mesh_stream_finish(own.ctx, reflection) == MESH_OK);
    }
    served_done(&own);
}

TEST(reflection_has_a_limit_of_its_own_and_idle_ones_make_room)
{
    struct served own;
    struct mesh_stream *streams[3];
    Request request;
    ProtobufCMessage *message = NULL;

    begin_own(&own);
    own.options.reflection_idle_ms = 1000;
    served_start(&own);
    grpc__reflection__v1__server_reflection_request__init(&request);
    request.message_request_case = ASKED(LIST_SERVICES);
    request.list_services = host;
    for (size_t i = 0; i < 3; i++) {
        CHECK(mesh_client_open(own.ctx, own.client, &mesh__reflection_type.methods[0], NULL,
                               &streams[i]) == MESH_OK);
        mesh_ignore(mesh_stream_write(own.ctx, streams[i], &request.base));
        CHECK(mesh_stream_read(own.ctx, streams[i], &message) ==
              (i < 2 ? MESH_OK : MESH_RESOURCE_EXHAUSTED));
    }
    for (size_t i = 0; i < 2; i++) { /* which nobody closes */
        CHECK(mesh_stream_read(own.ctx, streams[i], &message) == MESH_OK && message == NULL);
    }
    served_done(&own);
}

TEST_MAIN(setup, teardown)
