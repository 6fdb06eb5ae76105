/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "text.h"

#include <string.h>

/* Returns the bytes used by the varint, 0 if it is malformed. */
static size_t read_varint(const uint8_t *bytes, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size && i < 10; i++) {
        value |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if ((bytes[i] & 0x80) == 0) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

static const ProtobufCMessage *const *members(const ProtobufCMessage *message,
                                              const ProtobufCFieldDescriptor *field, size_t *ret_n)
{
    const uint8_t *start = (const uint8_t *)message;
    const void *member = start + field->offset;
    const void *quantifier = start + field->quantifier_offset;

    *ret_n = 0;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return NULL;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        *ret_n = *(const size_t *)quantifier;
        return *(const ProtobufCMessage *const *const *)member;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)quantifier != field->id) {
        return NULL;
    }
    *ret_n = *(const ProtobufCMessage *const *)member != NULL;
    return member;
}

static void refuse_unknown(const ProtobufCMessage *message, const struct place *place)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;

    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        problem(place, "field %u of %s is an option that protoc-gen-mesh does not support",
                message->unknown_fields[i].tag, descriptor->name);
    }
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        size_t n;
        const ProtobufCMessage *const *inner = members(message, &descriptor->fields[i], &n);

        for (size_t k = 0; k < n; k++) {
            refuse_unknown(inner[k], place);
        }
    }
}

/* ---- merging ----------------------------------------------------------------------------------
 */

struct wire_field {
    uint32_t number;
    unsigned type;
    const uint8_t *start; /* of the key */
    const uint8_t *payload;
    size_t payload_size;
    size_t size; /* with the key */
};

/* False if the bytes do not begin with a field. */
static bool read_field(const uint8_t *bytes, size_t size, struct wire_field *ret_field)
{
    uint64_t key = 0;
    uint64_t value = 0;
    size_t head = read_varint(bytes, size, &key);
    size_t body = 0;
    size_t skip = 0; /* the length before a payload */

    switch (key & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        body = read_varint(bytes + head, size - head, &value);
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        body = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        body = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        skip = read_varint(bytes + head, size - head, &value);
        if (skip == 0 || value > size - head - skip) {
            return false;
        }
        body = skip + (size_t)value;
        break;
    default:
        return false;
    }
    if (head == 0 || body == 0 || body > size - head) {
        return false;
    }
    *ret_field = (struct wire_field){(uint32_t)(key >> 3), key & 7,     bytes,
                                     bytes + head + skip,  body - skip, head + body};
    return true;
}

static void add_varint(struct text *text, uint64_t value)
{
    for (; value > 0x7f; value >>= 7) {
        const char byte = (char)(unsigned char)((value & 0x7f) | 0x80);

        text_add(text, &byte, 1);
    }
    text_add(text, &(char){(char)value}, 1);
}

static bool merge(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                  struct text *ret_merged);

/* Writes the singular message that all occurrences of `field` from here on make together; nothing
 * if there was one before, which has written it already. */
static bool merge_message(const ProtobufCFieldDescriptor *field, const uint8_t *all,
                          size_t all_size, const uint8_t *here, struct text *ret_merged)
{
    struct text together = {0};
    struct text inner = {0};
    struct wire_field next;

    for (size_t at = 0; at < all_size; at += next.size) {
        if (!read_field(all + at, all_size - at, &next)) {
            return false;
        }
        if (next.number != field->id || next.type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            continue;
        }
        if (next.start < here) {
            return true;
        }
        text_add(&together, (const char *)next.payload, next.payload_size);
    }
    if (!merge(field->descriptor, (const uint8_t *)text_string(&together), together.size, &inner)) {
        return false;
    }
    add_varint(ret_merged, (uint64_t)field->id << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
    add_varint(ret_merged, inner.size);
    text_add(ret_merged, text_string(&inner), inner.size);
    return true;
}

/*
 * protoc writes `a.b` and `a.c` as two occurrences of `a`, at any depth. To protobuf that is one
 * message; protobuf-c would keep the last one of them inside a oneof. So they are made one here.
 */
static bool merge(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                  struct text *ret_merged)
{
    struct wire_field next;

    for (size_t at = 0; at < size; at += next.size) {
        const ProtobufCFieldDescriptor *field;

        if (!read_field(bytes + at, size - at, &next)) {
            return false;
        }
        field = protobuf_c_message_descriptor_get_field(descriptor, next.number);
        if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ||
            field->label == PROTOBUF_C_LABEL_REPEATED ||
            next.type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            text_add(ret_merged, (const char *)next.start, next.size);
        } else if (!merge_message(field, bytes, size, next.start, ret_merged)) {
            return false;
        }
    }
    return true;
}

/* The other member of the same oneof that stands before `end`, or NULL. */
static const char *rival(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                         size_t end, const ProtobufCFieldDescriptor *field)
{
    struct wire_field next;

    for (size_t at = 0; at < end && read_field(bytes + at, end - at, &next); at += next.size) {
        const ProtobufCFieldDescriptor *other =
            protobuf_c_message_descriptor_get_field(descriptor, next.number);

        if (other != NULL && other != field && (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
            other->quantifier_offset == field->quantifier_offset) {
            return other->name;
        }
    }
    return NULL;
}

/* Two members of a oneof, of which one would be lost. bytes are merged and well-formed. */
static void refuse_rivals(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                          size_t size, const struct place *place)
{
    struct wire_field next;

    for (size_t at = 0; at < size && read_field(bytes + at, size - at, &next); at += next.size) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(descriptor, next.number);
        const char *other = NULL;

        if (field != NULL && (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            other = rival(descriptor, bytes, at, field);
        }
        if (other != NULL) {
            problem(place, "%s: %s and %s cannot both be set", descriptor->name, other,
                    field->name);
        }
        if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            next.type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            refuse_rivals(field->descriptor, next.payload, next.payload_size, place);
        }
    }
}

/* ---- extensions -------------------------------------------------------------------------------
 */

ProtobufCMessage *option_message(const ProtobufCMessage *options, uint32_t number,
                                 const ProtobufCMessageDescriptor *descriptor,
                                 const struct place *place)
{
    struct text bytes = {0};
    struct text merged = {0};
    ProtobufCMessage *message = NULL;

    if (options == NULL || !option_is_set(options, number)) {
        return NULL;
    }
    for (unsigned i = 0; i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
        uint64_t length = 0;
        size_t head;

        if (field->tag != number || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            continue;
        }
        head = read_varint(field->data, field->len, &length);
        if (head > 0 && length == field->len - head) {
            text_add(&bytes, (const char *)field->data + head, (size_t)length);
        }
    }
    if (merge(descriptor, (const uint8_t *)text_string(&bytes), bytes.size, &merged)) {
        refuse_rivals(descriptor, (const uint8_t *)text_string(&merged), merged.size, place);
        message = protobuf_c_message_unpack(descriptor, gen_allocator(), merged.size,
                                            (const uint8_t *)text_string(&merged));
    }
    if (message == NULL) {
        problem(place, "the option %s is malformed", descriptor->name);
        return NULL;
    }
    refuse_unknown(message, place);
    return message;
}

bool option_bool(const ProtobufCMessage *options, uint32_t number)
{
    uint64_t value = 0;

    if (options == NULL) {
        return false;
    }
    for (unsigned i = 0; i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];

        if (field->tag == number && field->wire_type == PROTOBUF_C_WIRE_TYPE_VARINT &&
            read_varint(field->data, field->len, &value) == 0) {
            value = 0;
        }
    }
    return value != 0;
}

bool option_is_set(const ProtobufCMessage *options, uint32_t number)
{
    if (options == NULL) {
        return false;
    }
    for (unsigned i = 0; i < options->n_unknown_fields; i++) {
        if (options->unknown_fields[i].tag == number) {
            return true;
        }
    }
    return false;
}
