/* SPDX-License-Identifier: Apache-2.0 */
#include "events/envelope.h"

#include "core/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <io/cloudevents/v1/cloudevents.pb.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_URL_PREFIX "type.googleapis.com/"
#define CONTENT_TYPE "application/protobuf"
#define US_PER_S INT64_C(1000000)
#define NS_PER_US 1000

/* The generator's names are long: they are used under these. */
typedef io_cloudevents_v1_CloudEvent cloud_event;
typedef io_cloudevents_v1_CloudEvent_AttributesEntry attribute;

#define ATTR(kind) io_cloudevents_v1_CloudEvent_CloudEventAttributeValue_ce_##kind##_tag

struct bytes {
    struct mesh_ctx *ctx; /* where a payload that is read goes */
    const uint8_t *data;
    size_t size;
};

/* ---- writing ---- */

static bool put_text(char *field, size_t field_size, const char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;

    if (size == 0 || size >= field_size) {
        return false;
    }
    memcpy(field, text, size + 1);
    return true;
}

static attribute *add_attribute(cloud_event *event, const char *name)
{
    attribute *added = &event->attributes[event->attributes_count++];

    (void)snprintf(added->key, sizeof(added->key), "%s", name);
    added->has_value = true;
    return added;
}

/* An absent text adds nothing; false if it is too long. */
static bool add_text(cloud_event *event, const char *name, const char *text)
{
    attribute *added;

    if (text == NULL || text[0] == '\0') {
        return true;
    }
    added = add_attribute(event, name);
    added->value.which_attr = ATTR(string);
    return put_text(added->value.attr.ce_string, sizeof(added->value.attr.ce_string), text);
}

static void add_time(cloud_event *event, int64_t time_us)
{
    attribute *added;
    int64_t rest = time_us % US_PER_S;

    if (time_us == 0) {
        return;
    }
    if (rest < 0) {
        rest += US_PER_S;
    }
    added = add_attribute(event, "time");
    added->value.which_attr = ATTR(timestamp);
    added->value.attr.ce_timestamp.seconds = (time_us - rest) / US_PER_S;
    added->value.attr.ce_timestamp.nanos = (int32_t)rest * NS_PER_US;
}

/* An integer of CloudEvents has 32 bits: a version, which has 64, is a text. */
static bool add_version(cloud_event *event, const struct mesh__envelope *envelope)
{
    char text[24];

    if (!envelope->has_version) {
        return true;
    }
    (void)snprintf(text, sizeof(text), "%" PRId64, envelope->version);
    return add_text(event, "aggregateversion", text);
}

static bool fill(cloud_event *event, const struct mesh__envelope *from)
{
    char type_url[sizeof(event->proto_data.type_url)];
    int size = snprintf(type_url, sizeof(type_url), TYPE_URL_PREFIX "%s", from->type);

    if (size < 0 || (size_t)size >= sizeof(type_url) || from->subject == NULL ||
        strlen(from->subject) > MESH_ENVELOPE_KEY_MAX) {
        return false;
    }
    event->has_proto_data = true;
    add_time(event, from->time_us);
    return put_text(event->id, sizeof(event->id), from->id) &&
           put_text(event->source, sizeof(event->source), from->source) &&
           put_text(event->spec_version, sizeof(event->spec_version), "1.0") &&
           put_text(event->type, sizeof(event->type), from->type) &&
           put_text(event->proto_data.type_url, sizeof(event->proto_data.type_url), type_url) &&
           add_text(event, "datacontenttype", CONTENT_TYPE) &&
           add_text(event, "subject", from->subject) &&
           add_text(event, "correlationid", from->correlation_id) &&
           add_text(event, "causationid", from->causation_id) &&
           add_text(event, "traceparent", from->traceparent) && add_version(event, from);
}

static bool write_payload(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct bytes *payload = *arg;

    return pb_encode_tag_for_field(stream, field) &&
           pb_encode_string(stream, payload->data, payload->size);
}

MESH_STATUS mesh__envelope_encode(struct mesh_ctx *ctx, const struct mesh__envelope *envelope,
                                  const uint8_t **ret_bytes, size_t *ret_size)
{
    cloud_event *event = mesh_alloc(ctx, sizeof(*event));
    struct bytes payload = {.data = envelope->payload, .size = envelope->payload_size};
    pb_ostream_t stream;
    size_t size;
    uint8_t *bytes;

    if (!fill(event, envelope)) {
        return mesh_fail(ctx, MESH_INTERNAL,
                         "event %s: an attribute of its envelope is missing or too long",
                         envelope->type);
    }
    event->proto_data.value.funcs.encode = write_payload;
    event->proto_data.value.arg = &payload;
    if (!pb_get_encoded_size(&size, io_cloudevents_v1_CloudEvent_fields, event)) {
        return mesh_fail(ctx, MESH_INTERNAL, "event %s: its envelope cannot be written",
                         envelope->type);
    }
    if (size > MESH_ENVELOPE_MAX) {
        return mesh_fail(ctx, MESH_INTERNAL,
                         "event %s: its envelope of %zu bytes is larger than %zu", envelope->type,
                         size, MESH_ENVELOPE_MAX);
    }
    bytes = mesh_alloc(ctx, size);
    stream = pb_ostream_from_buffer(bytes, size);
    if (!pb_encode(&stream, io_cloudevents_v1_CloudEvent_fields, event)) {
        return mesh_fail(ctx, MESH_INTERNAL, "event %s: its envelope cannot be written: %s",
                         envelope->type, PB_GET_ERROR(&stream));
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return MESH_OK;
}

/* ---- reading ---- */

static bool read_payload(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct bytes *payload = *arg;
    size_t size = stream->bytes_left;
    uint8_t *data = mesh_alloc(payload->ctx, size);

    (void)field;
    if (!pb_read(stream, data, size)) {
        return false;
    }
    payload->data = data;
    payload->size = size;
    return true;
}

/* The text of an attribute of any of the kinds that are texts; NULL for the others. */
static const char *attribute_text(const attribute *from)
{
    switch (from->value.which_attr) {
    case ATTR(string):
        return from->value.attr.ce_string;
    case ATTR(uri):
        return from->value.attr.ce_uri;
    case ATTR(uri_ref):
        return from->value.attr.ce_uri_ref;
    default:
        return NULL;
    }
}

/* A time that is not of the kind that CloudEvents names for it is no time. */
static void read_time(struct mesh__envelope *envelope, const attribute *from)
{
    const io_cloudevents_v1_CloudEvent_Time *time = &from->value.attr.ce_timestamp;
    int64_t time_us;

    if (from->value.which_attr == ATTR(timestamp) && time->nanos >= 0 &&
        !__builtin_mul_overflow(time->seconds, US_PER_S, &time_us) &&
        !__builtin_add_overflow(time_us, time->nanos / NS_PER_US, &time_us)) {
        envelope->time_us = time_us;
    }
}

static void read_version(struct mesh__envelope *envelope, const attribute *from)
{
    const char *text = attribute_text(from);
    char *end;

    if (from->value.which_attr == ATTR(integer)) {
        envelope->version = from->value.attr.ce_integer;
        envelope->has_version = true;
        return;
    }
    if (text == NULL || text[0] == '\0') {
        return;
    }
    errno = 0;
    envelope->version = strtoll(text, &end, 10);
    envelope->has_version = errno == 0 && *end == '\0';
}

static void read_attribute(struct mesh__envelope *envelope, const attribute *from)
{
    const struct {
        const char *name;
        const char **place;
    } texts[] = {{"subject", &envelope->subject},
                 {"correlationid", &envelope->correlation_id},
                 {"causationid", &envelope->causation_id},
                 {"traceparent", &envelope->traceparent}};
    const char *text = attribute_text(from);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (text != NULL && strcmp(from->key, texts[i].name) == 0) {
            *texts[i].place = text;
            return;
        }
    }
    if (strcmp(from->key, "time") == 0) {
        read_time(envelope, from);
    } else if (strcmp(from->key, "aggregateversion") == 0) {
        read_version(envelope, from);
    }
}

static bool is_utf8(const char *text)
{
    size_t size = strlen(text);

    return mesh__utf8_valid(text, size) == size;
}

static const char *check(const struct mesh__envelope *envelope, const cloud_event *event)
{
    const char *texts[] = {envelope->id,         envelope->source,         envelope->type,
                           envelope->subject,    envelope->correlation_id, envelope->causation_id,
                           envelope->traceparent};
    const char *payload_type = strrchr(event->proto_data.type_url, '/');

    if (envelope->id[0] == '\0' || envelope->source[0] == '\0' || envelope->type[0] == '\0') {
        return "id, source or type is missing";
    }
    if (strncmp(event->spec_version, "1.", 2) != 0) {
        return "not CloudEvents 1.x";
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!is_utf8(texts[i])) {
            return "an attribute is not UTF-8";
        }
    }
    if (event->has_proto_data &&
        (payload_type == NULL || strcmp(payload_type + 1, envelope->type) != 0)) {
        return "the payload is not of the type that the envelope names";
    }
    return NULL;
}

MESH_STATUS mesh__envelope_decode(struct mesh_ctx *ctx, const uint8_t *bytes, size_t size,
                                  struct mesh__envelope *ret_envelope)
{
    cloud_event *event;
    struct bytes payload = {.ctx = ctx};
    struct mesh__envelope envelope = {
        .subject = "", .correlation_id = "", .causation_id = "", .traceparent = ""};
    pb_istream_t stream = pb_istream_from_buffer(bytes, size);
    const char *broken;

    if (size > MESH_ENVELOPE_MAX) {
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "envelope of %zu bytes: larger than %zu", size,
                         MESH_ENVELOPE_MAX);
    }
    event = mesh_alloc(ctx, sizeof(*event)); /* zeroed, which is what the decoder starts from */
    event->binary_data.funcs.decode = read_payload;
    event->binary_data.arg = &payload;
    event->proto_data.value.funcs.decode = read_payload;
    event->proto_data.value.arg = &payload;
    if (!pb_decode_ex(&stream, io_cloudevents_v1_CloudEvent_fields, event, PB_DECODE_NOINIT)) {
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "envelope: %s", PB_GET_ERROR(&stream));
    }
    envelope.id = event->id;
    envelope.source = event->source;
    envelope.type = event->type;
    for (pb_size_t i = 0; i < event->attributes_count; i++) {
        read_attribute(&envelope, &event->attributes[i]);
    }
    broken = check(&envelope, event);
    if (broken != NULL) {
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "envelope: %s", broken);
    }
    envelope.payload = payload.data; /* none: an event message without any field set */
    envelope.payload_size = payload.size;
    *ret_envelope = envelope;
    return MESH_OK;
}
