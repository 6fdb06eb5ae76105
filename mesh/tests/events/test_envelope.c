/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/utf8.h"
#include "events/envelope.h"
#include "test.h"

#include <io/cloudevents/v1/cloudevents.pb.h>
#include <pb_encode.h>
#include <stdio.h>

#define ID "0190a3b4-0000-7000-8000-000000000001"
#define TYPE "test.counter.v1.Counted"

static struct mesh_ctx *ctx;

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

static struct mesh__envelope sample(void)
{
    return (struct mesh__envelope){.id = ID,
                                   .source = "/test/counter",
                                   .type = TYPE,
                                   .subject = "k-1",
                                   .correlation_id = "k-1",
                                   .causation_id = "cause",
                                   .traceparent =
                                       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                   .time_us = INT64_C(1700000000123456),
                                   .has_version = true,
                                   .version = INT64_C(5000000000),
                                   .payload = (const uint8_t *)"\x0a\x00\xff",
                                   .payload_size = 3};
}

static struct mesh__envelope round_trip(const struct mesh__envelope *envelope)
{
    struct mesh__envelope back;
    const uint8_t *bytes;
    size_t size;

    CHECK(mesh__envelope_encode(ctx, envelope, &bytes, &size) == MESH_OK);
    CHECK(mesh__envelope_decode(ctx, bytes, size, &back) == MESH_OK);
    return back;
}

/* What a foreign writer might send; the caller fills in the rest. */
static io_cloudevents_v1_CloudEvent *foreign(void)
{
    io_cloudevents_v1_CloudEvent *event = mesh_alloc(ctx, sizeof(*event));

    strcpy(event->id, "any");
    strcpy(event->source, "/elsewhere");
    strcpy(event->spec_version, "1.0");
    strcpy(event->type, TYPE);
    return event;
}

static enum mesh_status decode(io_cloudevents_v1_CloudEvent *event, struct mesh__envelope *ret)
{
    static uint8_t bytes[1 << 16];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));

    CHECK(pb_encode(&stream, io_cloudevents_v1_CloudEvent_fields, event));
    return mesh__envelope_decode(ctx, bytes, stream.bytes_written, ret);
}

static void add(io_cloudevents_v1_CloudEvent *event, const char *key, const char *text)
{
    io_cloudevents_v1_CloudEvent_AttributesEntry *entry =
        &event->attributes[event->attributes_count++];

    (void)snprintf(entry->key, sizeof(entry->key), "%s", key);
    entry->has_value = true;
    entry->value.which_attr = io_cloudevents_v1_CloudEvent_CloudEventAttributeValue_ce_string_tag;
    (void)snprintf(entry->value.attr.ce_string, sizeof(entry->value.attr.ce_string), "%s", text);
}

static bool write_x(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    (void)arg;
    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, (const pb_byte_t *)"x", 1);
}

TEST(an_envelope_comes_back_as_it_was_written)
{
    struct mesh__envelope envelope = sample();
    struct mesh__envelope back = round_trip(&envelope);

    CHECK_TEXT(back.id, envelope.id);
    CHECK_TEXT(back.source, envelope.source);
    CHECK_TEXT(back.type, envelope.type);
    CHECK_TEXT(back.subject, envelope.subject);
    CHECK_TEXT(back.correlation_id, envelope.correlation_id);
    CHECK_TEXT(back.causation_id, envelope.causation_id);
    CHECK_TEXT(back.traceparent, envelope.traceparent);
    CHECK(back.time_us == envelope.time_us);
    CHECK(back.has_version && back.version == envelope.version);
    CHECK_INT(back.payload_size, 3);
    assert_memory_equal(back.payload, envelope.payload, 3);
}

TEST(absent_attributes_are_empty)
{
    struct mesh__envelope envelope = {
        .id = ID, .source = "/test/counter", .type = TYPE, .subject = "k"};
    struct mesh__envelope back = round_trip(&envelope);

    CHECK_TEXT(back.correlation_id, "");
    CHECK_TEXT(back.causation_id, "");
    CHECK_TEXT(back.traceparent, "");
    CHECK(back.time_us == 0 && !back.has_version && back.payload_size == 0);
}

TEST(times_before_1970_and_extreme_versions_survive)
{
    struct mesh__envelope envelope = sample();
    const int64_t versions[] = {INT64_MIN, -1, 0, INT64_MAX};

    envelope.time_us = -1;
    CHECK(round_trip(&envelope).time_us == -1);
    for (size_t i = 0; i < 4; i++) {
        envelope.version = versions[i];
        CHECK(round_trip(&envelope).version == versions[i]);
    }
}

TEST(an_envelope_of_exactly_the_limit_passes_and_one_byte_more_is_refused)
{
    struct mesh__envelope envelope = sample();
    struct mesh__envelope back;
    const uint8_t *bytes;
    size_t size;

    envelope.payload_size = MESH_ENVELOPE_MAX - 1000;
    envelope.payload = mesh_alloc(ctx, MESH_ENVELOPE_MAX);
    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_OK);
    envelope.payload_size += MESH_ENVELOPE_MAX - size;
    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_OK);
    CHECK(size == MESH_ENVELOPE_MAX);
    CHECK(mesh__envelope_decode(ctx, bytes, size, &back) == MESH_OK);
    envelope.payload_size++;
    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_INTERNAL);
    CHECK(mesh__envelope_decode(ctx, bytes, MESH_ENVELOPE_MAX + 1, &back) == MESH_INVALID_ARGUMENT);
}

TEST(a_key_that_is_too_long_is_refused)
{
    struct mesh__envelope envelope = sample();
    char key[MESH_ENVELOPE_KEY_MAX + 2] = "";
    const uint8_t *bytes;
    size_t size;

    memset(key, 'k', MESH_ENVELOPE_KEY_MAX);
    envelope.subject = key;
    CHECK_TEXT(round_trip(&envelope).subject, key);
    key[MESH_ENVELOPE_KEY_MAX] = 'k';
    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_INTERNAL);
}

TEST(an_envelope_of_another_writer_is_read)
{
    io_cloudevents_v1_CloudEvent *event = foreign();
    struct mesh__envelope back;

    add(event, "subject", "k-2");
    add(event, "colour", "unknown attributes are ignored");
    event->attributes[event->attributes_count] = (io_cloudevents_v1_CloudEvent_AttributesEntry){
        .key = "aggregateversion",
        .has_value = true,
        .value = {.which_attr =
                      io_cloudevents_v1_CloudEvent_CloudEventAttributeValue_ce_integer_tag,
                  .attr.ce_integer = 7}};
    event->attributes_count++;
    event->binary_data.funcs.encode = write_x; /* bytes instead of a protobuf Any */
    CHECK(decode(event, &back) == MESH_OK);
    CHECK_TEXT(back.subject, "k-2");
    CHECK(back.has_version && back.version == 7);
    CHECK(back.payload_size == 1 && back.payload[0] == 'x');
}

TEST(what_is_no_usable_event_is_refused)
{
    io_cloudevents_v1_CloudEvent *event = foreign();
    struct mesh__envelope back;

    CHECK(decode(event, &back) == MESH_OK);
    event->id[0] = '\0';
    CHECK(decode(event, &back) == MESH_INVALID_ARGUMENT);
    event = foreign();
    strcpy(event->spec_version, "2.0");
    CHECK(decode(event, &back) == MESH_INVALID_ARGUMENT);
    event = foreign();
    add(event, "subject", "\xff\xfe");
    CHECK(decode(event, &back) == MESH_INVALID_ARGUMENT);
    event = foreign();
    event->has_proto_data = true;
    strcpy(event->proto_data.type_url, "type.googleapis.com/test.other.v1.Thing");
    CHECK(decode(event, &back) == MESH_INVALID_ARGUMENT);
    CHECK(mesh__envelope_decode(ctx, (const uint8_t *)"", 0, &back) == MESH_INVALID_ARGUMENT);
}

TEST(more_attributes_than_there_is_room_for_are_refused)
{
    /* One entry {key: "k", value: {ce_string: "v"}}, thirty times, after the required fields. */
    static const uint8_t entry[] = {0x2a, 8, 0x0a, 1, 'k', 0x12, 3, 0x1a, 1, 'v'};
    uint8_t bytes[1024];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));
    struct mesh__envelope back;

    CHECK(pb_encode(&stream, io_cloudevents_v1_CloudEvent_fields, foreign()));
    for (int i = 0; i < 24; i++) {
        CHECK(pb_write(&stream, entry, sizeof(entry)));
    }
    CHECK(mesh__envelope_decode(ctx, bytes, stream.bytes_written, &back) == MESH_OK);
    CHECK(pb_write(&stream, entry, sizeof(entry)));
    CHECK(mesh__envelope_decode(ctx, bytes, stream.bytes_written, &back) == MESH_INVALID_ARGUMENT);
}

static bool is_text(const char *text)
{
    return mesh__utf8_valid(text, strlen(text)) == strlen(text);
}

/* Whatever it is, it is refused or understood, and costs memory in proportion. */
static void check_bytes(const uint8_t *bytes, size_t size)
{
    /* A copy of exact size, so that the sanitizer sees a read behind its end. */
    uint8_t *exact = malloc(size + 1);
    struct mesh__envelope back;
    enum mesh_status status;

    memcpy(exact, bytes, size);
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    status = mesh__envelope_decode(ctx, exact, size, &back);
    free(exact);
    CHECK(status == MESH_OK || status == MESH_INVALID_ARGUMENT);
    CHECK(mesh__arena_used(ctx->scope->arena) < 64 * ((size_t)1024 + size));
    if (status == MESH_OK) {
        CHECK(back.id[0] != '\0' && is_text(back.id) && is_text(back.type) &&
              is_text(back.subject) && is_text(back.traceparent) && is_text(back.correlation_id));
        CHECK(back.payload_size <= size);
    }
}

TEST(truncated_envelopes_do_no_harm)
{
    struct mesh__envelope envelope = sample();
    const uint8_t *bytes;
    uint8_t copy[1024];
    size_t size;

    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_OK);
    CHECK(size < sizeof(copy));
    memcpy(copy, bytes, size);
    for (size_t cut = 0; cut <= size; cut++) {
        check_bytes(copy, cut);
    }
}

TEST(hostile_bytes_do_no_harm)
{
    struct mesh__envelope envelope = sample();
    const uint8_t *bytes;
    uint8_t original[1024];
    size_t size;

    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_OK);
    CHECK(size < sizeof(original));
    memcpy(original, bytes, size);
    srandom(1);
    for (int round = 0; round < 50000; round++) {
        uint8_t copy[1024];
        long changes = random() % 8;

        memcpy(copy, original, size);
        for (long i = 0; i <= changes; i++) {
            copy[(size_t)random() % size] = (uint8_t)random();
        }
        check_bytes(copy, size);
    }
}

TEST_MAIN(setup, teardown)
