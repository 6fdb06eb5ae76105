/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire guard against random messages: what protobuf-c writes passes, and what passes protobuf-c
 * reads, writes and reads again as the same.
 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/guard.h"
#include "test.h"

#include <guard_test.pb-c.h>

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

/* xorshift64*: the same numbers in every run. */
static uint64_t seed = 88172645463325252U;

static unsigned pick(unsigned n)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (unsigned)((seed * 2685821657736338717U) >> 33) % n;
}

struct text {
    uint8_t *bytes;
    size_t size;
};

static void put_varint(struct text *text, uint64_t value)
{
    while (value >= 0x80) {
        text->bytes[text->size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    text->bytes[text->size++] = (uint8_t)value;
}

static void put_message(struct text *text, const ProtobufCMessageDescriptor *descriptor, int depth);

static void put_sized(struct text *text, const ProtobufCFieldDescriptor *field, int depth)
{
    static const char *const texts[] = {"", "a", "text of some length", "\xe2\x82\xac", "\xff"};
    uint8_t inside[4096];
    struct text value = {inside, 0};

    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (depth > 0) {
            put_message(&value, field->descriptor, depth - 1);
        }
    } else {
        const char *chosen = texts[pick(50) == 0 ? 4 : pick(4)];

        value.size = strlen(chosen);
        memcpy(inside, chosen, value.size);
    }
    put_varint(text, value.size);
    memcpy(text->bytes + text->size, inside, value.size);
    text->size += value.size;
}

static void put_field(struct text *text, const ProtobufCFieldDescriptor *field, int depth)
{
    static const uint8_t eight[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned wire_type = PROTOBUF_C_WIRE_TYPE_VARINT;
    size_t fixed = 0;

    switch (field->type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        wire_type = PROTOBUF_C_WIRE_TYPE_32BIT;
        fixed = 4;
        break;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        wire_type = PROTOBUF_C_WIRE_TYPE_64BIT;
        fixed = 8;
        break;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        break;
    default:
        break;
    }
    put_varint(text, (uint64_t)field->id << 3 | wire_type);
    if (fixed > 0) {
        memcpy(text->bytes + text->size, eight, fixed);
        text->size += fixed;
    } else if (wire_type == PROTOBUF_C_WIRE_TYPE_VARINT) {
        put_varint(text, pick(4) == 0 ? (uint64_t)-1 : pick(300));
    } else {
        put_sized(text, field, depth);
    }
}

static void put_message(struct text *text, const ProtobufCMessageDescriptor *descriptor, int depth)
{
    unsigned n = pick(5);

    for (unsigned i = 0; i < n && text->size < 600; i++) {
        put_field(text, &descriptor->fields[pick(descriptor->n_fields)], depth);
    }
}

static void change(struct text *text)
{
    unsigned n = pick(4);

    for (unsigned i = 0; i < n && text->size > 0; i++) {
        size_t at = pick((unsigned)text->size);

        switch (pick(4)) {
        case 0:
            text->bytes[at] = (uint8_t)pick(256);
            break;
        case 1:
            text->bytes[at] ^= (uint8_t)(1U << pick(8));
            break;
        case 2:
            text->size = at;
            break;
        default:
            memmove(text->bytes + at, text->bytes + at + 1, text->size - at - 1);
            text->size--;
            break;
        }
    }
}

/* Whether the text passed; if it did, protobuf-c must make sense of it. */
static bool check(const struct text *text)
{
    const ProtobufCMessageDescriptor *descriptor = &mesh__guardtest__tree__descriptor;
    /* In a piece of memory of its own size: reading beyond it is seen. */
    cleanup_free uint8_t *bytes = mesh__calloc(text->size, 1);
    ProtobufCMessage *message = NULL;
    ProtobufCMessage *again = NULL;
    uint8_t *packed;
    uint8_t *packed_again;
    size_t size;

    memcpy(bytes, text->bytes, text->size);
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    if (mesh__guard(ctx, descriptor, bytes, text->size) != MESH_OK) {
        CHECK(mesh_ctx_error(ctx)[0] != '\0');
        return false;
    }
    CHECK(mesh__unpack(ctx, descriptor, bytes, text->size, &message) == MESH_OK);
    size = protobuf_c_message_get_packed_size(message);
    packed = mesh_alloc(ctx, size);
    packed_again = mesh_alloc(ctx, size);
    CHECK_INT(protobuf_c_message_pack(message, packed), size);
    CHECK(mesh__unpack(ctx, descriptor, packed, size, &again) == MESH_OK);
    CHECK_INT(protobuf_c_message_get_packed_size(again), size);
    protobuf_c_message_pack(again, packed_again);
    CHECK(memcmp(packed, packed_again, size) == 0);
    return true;
}

TEST(what_passes_can_be_read)
{
    static uint8_t bytes[8192];
    unsigned n_passed = 0;
    unsigned n_refused = 0;

    for (int i = 0; i < 60000; i++) {
        struct text text = {bytes, 0};

        put_message(&text, &mesh__guardtest__tree__descriptor, 4);
        if (i % 2 == 0) {
            change(&text);
        }
        if (check(&text)) {
            n_passed++;
        } else {
            n_refused++;
        }
    }
    CHECK(n_passed > 10000 && n_refused > 10000); /* it looks at both */
}

TEST_MAIN(setup, teardown)
