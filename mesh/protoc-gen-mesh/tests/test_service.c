/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, dispatch and stubs of a service, with nothing behind them. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "fake_runtime.h"
#include "generator/features.mesh.h"
#include "generator/two_services.mesh.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "test.h"

struct features_service {
    int calls;
};

static struct mesh_ctx *ctx;
static Features__Text text = FEATURES__TEXT__INIT;
static Features__Everything everything = FEATURES__EVERYTHING__INIT;

static int setup(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

static const struct mesh_method *method(int index)
{
    fake = (struct fake_runtime){0};
    return &features_methods[index];
}

/* ---- tables -----------------------------------------------------------------------------------
 */

TEST(the_table_tells_how_to_call_each_method)
{
    const struct mesh_method *download = method(FEATURES_METHOD_DOWNLOAD);

    CHECK_TEXT(download->path, "/test.features.v1.FeatureService/Download");
    CHECK_TEXT(download->name, "Download");
    CHECK(download->request == &features__text__descriptor);
    CHECK(download->response == &features__everything__descriptor);
    CHECK_INT(features_service_type.n_methods, 11);
    CHECK_TEXT(features_service_type.name, "test.features.v1.FeatureService");
    CHECK(features_service_type.methods == features_methods);
}

TEST(kinds_and_idempotency_are_those_of_the_proto)
{
    CHECK_INT(method(FEATURES_METHOD_ACCEPT)->kind, MESH_UNARY);
    CHECK_INT(method(FEATURES_METHOD_DOWNLOAD)->kind, MESH_SERVER_STREAMING);
    CHECK_INT(method(FEATURES_METHOD_UPLOAD)->kind, MESH_CLIENT_STREAMING);
    CHECK_INT(method(FEATURES_METHOD_HTTP_CHAT)->kind, MESH_BIDI_STREAMING);
    CHECK_INT(method(FEATURES_METHOD_CHECK_TEXT)->idempotency, MESH_NO_SIDE_EFFECTS);
    CHECK_INT(method(FEATURES_METHOD_CHECK_NUMBERS)->idempotency, MESH_IDEMPOTENT);
    CHECK_INT(method(FEATURES_METHOD_ACCEPT)->idempotency, MESH_IDEMPOTENCY_UNKNOWN);
}

TEST(several_services_of_a_file_are_named_after_themselves)
{
    CHECK_TEXT(cat_service_type.name, "test.two.v1.CatService");
    CHECK_TEXT(dog_service_type.name, "test.two.v1.Dog");
    CHECK_TEXT(dog_methods[0].path, "/test.two.v1.Dog/Feed");
    CHECK_INT(silent_service_type.n_methods, 0);
}

/* ---- dispatch ---------------------------------------------------------------------------------
 */

static enum mesh_status accept_it(struct mesh_ctx *given, struct features_service *service,
                                  const Features__Everything *request,
                                  Features__Everything *response)
{
    (void)given;
    service->calls++;
    response->an_int64 = request->an_int64 + 1;
    return MESH_OK;
}

static enum mesh_status download(struct mesh_ctx *given, struct features_service *service,
                                 const Features__Text *request, struct mesh_stream *stream)
{
    service->calls++;
    CHECK(request == &text && stream == fake_stream);
    return features_download_write(given, stream, &everything);
}

static enum mesh_status upload(struct mesh_ctx *given, struct features_service *service,
                               struct mesh_stream *stream, Features__Everything *response)
{
    Features__Text *next = NULL;

    service->calls++;
    MESH_TRY(features_upload_read(given, stream, &next));
    response->an_int64 = next == &text;
    return MESH_OK;
}

static enum mesh_status chat(struct mesh_ctx *given, struct features_service *service,
                             struct mesh_stream *stream)
{
    service->calls++;
    return features_http_chat_write(given, stream, &everything);
}

static const struct features_handlers handlers = {
    .accept = accept_it,
    .download = download,
    .upload = upload,
    .http_chat = chat,
};

TEST(a_unary_method_reaches_its_handler)
{
    struct features_service service = {0};
    Features__Everything request = FEATURES__EVERYTHING__INIT;
    Features__Everything response = FEATURES__EVERYTHING__INIT;

    request.an_int64 = 41;
    CHECK(method(FEATURES_METHOD_ACCEPT)
              ->dispatch(ctx, &handlers, &service, &request.base, &response.base, NULL) == MESH_OK);
    CHECK_INT(service.calls, 1);
    CHECK_INT(response.an_int64, 42);
}

TEST(streaming_methods_reach_their_handlers)
{
    struct features_service service = {0};
    Features__Everything response = FEATURES__EVERYTHING__INIT;

    CHECK(method(FEATURES_METHOD_DOWNLOAD)
              ->dispatch(ctx, &handlers, &service, &text.base, NULL, fake_stream) == MESH_OK);
    CHECK_TEXT(fake.call, "write");
    CHECK(fake.message == &everything && fake.object == fake_stream);
    CHECK(method(FEATURES_METHOD_HTTP_CHAT)
              ->dispatch(ctx, &handlers, &service, NULL, NULL, fake_stream) == MESH_OK);
    CHECK_TEXT(fake.call, "write");
    method(FEATURES_METHOD_UPLOAD);
    fake.answer = &text.base;
    CHECK(features_methods[FEATURES_METHOD_UPLOAD].dispatch(
              ctx, &handlers, &service, NULL, &response.base, fake_stream) == MESH_OK);
    CHECK_INT(response.an_int64, 1);
    CHECK_INT(service.calls, 3);
}

TEST(a_handler_that_is_not_set_is_unimplemented)
{
    static const struct features_handlers none = {0};

    for (size_t i = 0; i < features_service_type.n_methods; i++) {
        CHECK(features_methods[i].dispatch(ctx, &none, NULL, &text.base, &everything.base,
                                           fake_stream) == MESH_UNIMPLEMENTED);
    }
    CHECK_TEXT(mesh_ctx_error(ctx), "test.features.v1.FeatureService does not implement HTTPChat");
}

/* ---- stubs ------------------------------------------------------------------------------------
 */

TEST(a_call_hands_over_the_request_and_brings_the_response)
{
    Features__Everything *response = NULL;

    fake = (struct fake_runtime){.answer = &everything.base};
    CHECK(features_accept(ctx, fake_client, &everything, &response) == MESH_OK);
    CHECK_TEXT(fake.call, "call");
    CHECK(fake.object == fake_client && fake.message == &everything);
    CHECK(fake.method == &features_methods[FEATURES_METHOD_ACCEPT]);
    CHECK(response == &everything);
}

TEST(a_failed_call_leaves_the_response_alone)
{
    Features__Everything *response = &everything;
    Features__Text *request = &text;

    fake = (struct fake_runtime){.status = MESH_UNAVAILABLE};
    CHECK(features_accept(ctx, fake_client, &everything, &response) == MESH_UNAVAILABLE);
    CHECK(features_accept_wait(ctx, fake_call, &response) == MESH_UNAVAILABLE);
    CHECK(features_download_receive(ctx, fake_stream, &response) == MESH_UNAVAILABLE);
    CHECK(features_upload_read(ctx, fake_stream, &request) == MESH_UNAVAILABLE);
    CHECK(response == &everything && request == &text);
}

TEST(a_call_in_two_steps_is_started_and_waited_for)
{
    Features__Everything *response = NULL;
    struct mesh_call *call;

    fake = (struct fake_runtime){.answer = &everything.base};
    call = features_accept_start(ctx, fake_client, &everything);
    CHECK_TEXT(fake.call, "start");
    CHECK(call == fake_call && fake.message == &everything);
    CHECK(fake.method == &features_methods[FEATURES_METHOD_ACCEPT]);
    CHECK(features_accept_wait(ctx, call, &response) == MESH_OK);
    CHECK(fake.object == fake_call && response == &everything);
}

TEST(streams_are_opened_with_their_request_if_they_have_one)
{
    struct mesh_stream *stream = NULL;

    fake = (struct fake_runtime){0};
    CHECK(features_download_open(ctx, fake_client, &text, &stream) == MESH_OK);
    CHECK(stream == fake_stream && fake.message == &text);
    CHECK(fake.method == &features_methods[FEATURES_METHOD_DOWNLOAD]);
    CHECK(features_upload_open(ctx, fake_client, &stream) == MESH_OK);
    CHECK(fake.message == NULL);
    CHECK(fake.method == &features_methods[FEATURES_METHOD_UPLOAD]);
    CHECK(features_http_chat_open(ctx, fake_client, &stream) == MESH_OK);
    CHECK(fake.method == &features_methods[FEATURES_METHOD_HTTP_CHAT]);
}

TEST(messages_go_both_ways_and_end_with_null)
{
    Features__Everything *response = NULL;

    fake = (struct fake_runtime){.answer = &everything.base};
    CHECK(features_http_chat_send(ctx, fake_stream, &text) == MESH_OK);
    CHECK_TEXT(fake.call, "write");
    CHECK(fake.message == &text);
    CHECK(features_http_chat_receive(ctx, fake_stream, &response) == MESH_OK);
    CHECK(response == &everything);
    fake.answer = NULL;
    CHECK(features_http_chat_receive(ctx, fake_stream, &response) == MESH_OK);
    CHECK(response == NULL);
}

/* ---- facts ------------------------------------------------------------------------------------
 */

static Google__Protobuf__FileDescriptorSet *unpack_files(const struct mesh_service_type *type)
{
    Google__Protobuf__FileDescriptorSet *set =
        google__protobuf__file_descriptor_set__unpack(NULL, type->files_size, type->files);

    CHECK(set != NULL);
    return set;
}

TEST(descriptors_hold_the_file_and_its_imports_before_it)
{
    Google__Protobuf__FileDescriptorSet *set = unpack_files(&features_service_type);

    CHECK_TEXT(set->file[set->n_file - 1]->name, "generator/features.proto");
    for (size_t i = 0; i < set->n_file; i++) {
        CHECK(set->file[i]->source_code_info == NULL);
        for (size_t k = 0; k < set->file[i]->n_dependency; k++) {
            size_t at = 0;

            while (at < i && strcmp(set->file[at]->name, set->file[i]->dependency[k]) != 0) {
                at++;
            }
            CHECK(at < i);
        }
    }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

TEST(descriptors_keep_the_options_of_fields)
{
    Google__Protobuf__FileDescriptorSet *set = unpack_files(&features_service_type);
    Google__Protobuf__FileDescriptorProto *file = set->file[set->n_file - 1];
    size_t n_options = 0;

    for (size_t i = 0; i < file->n_message_type; i++) {
        for (size_t k = 0; k < file->message_type[i]->n_field; k++) {
            const Google__Protobuf__FieldOptions *options =
                file->message_type[i]->field[k]->options;

            n_options += options != NULL ? options->base.n_unknown_fields : 0;
        }
    }
    CHECK(n_options > 40); /* rules are extensions, which protobuf-c does not know */
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

TEST(sensitive_fields_of_package_and_imports_are_listed)
{
    const char *found = "";

    for (size_t i = 0; features_service_type.sensitive[i] != NULL; i++) {
        const struct mesh_sensitive_type *type = features_service_type.sensitive[i];

        for (size_t k = 0; type->fields[k] != NULL; k++) {
            found = mesh_printf(ctx, "%s%s.%s ", found, type->descriptor->name, type->fields[k]);
        }
    }
    CHECK_TEXT(found, "test.imported.v1.Address.street test.features.v1.Everything.a_string "
                      "test.features.v1.Everything.some_bytes test.features.v1.TokenEntry.value "
                      "test.features.v1.ThingMade.secret ");
    CHECK(cat_service_type.sensitive[0] == NULL);
}

TEST_MAIN(setup, teardown)
