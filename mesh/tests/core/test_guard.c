/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/guard.h"
#include "test.h"

#include <guard_test.pb-c.h>
#include <stdio.h>

static struct mesh_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", (size_t)4 << 20, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

/* What the guard says of a Tree with these bytes: "OK", or the text of the failure. */
static const char *says(const char *bytes, size_t size)
{
    enum mesh_status status;

    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    status = mesh__guard(ctx, &mesh__guardtest__tree__descriptor, (const uint8_t *)bytes, size);
    if (status == MESH_OK) {
        return "OK";
    }
    CHECK(status == MESH_INVALID_ARGUMENT || status == MESH_RESOURCE_EXHAUSTED);
    return mesh_ctx_error(ctx);
}

#define SAYS(bytes) says(bytes, sizeof(bytes) - 1)

TEST(an_empty_message_is_fine)
{
    ProtobufCMessage *message = NULL;

    CHECK_TEXT(says("", 0), "OK");
    CHECK(mesh__guard(ctx, &mesh__guardtest__tree__descriptor, NULL, 0) == MESH_OK);
    CHECK(mesh__unpack(ctx, &mesh__guardtest__tree__descriptor, NULL, 0, &message) == MESH_OK);
    CHECK(message != NULL);
}

TEST(every_kind_of_field_passes)
{
    CHECK_TEXT(SAYS("\x0a\x03"
                    "abc"
                    "\x12\x02\x00\xff"),
               "OK");
    CHECK_TEXT(SAYS("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "OK"); /* i32 = -1 */
    CHECK_TEXT(SAYS("\x4d\x01\x02\x03\x04"), "OK");                         /* f32 */
    CHECK_TEXT(SAYS("\x51\x01\x02\x03\x04\x05\x06\x07\x08"), "OK");         /* f64 */
    CHECK_TEXT(SAYS("\x80\xa4\xe8\x03\x05"), "OK");                         /* far */
    CHECK_TEXT(SAYS("\x8a\x01\x02\x10\x07"), "OK");                         /* leaf.amount */
    CHECK_TEXT(SAYS("\xfa\x01\x07\x0a\x01k\x12\x02\x10\x01"), "OK");        /* by_name */
}

TEST(scalars_may_be_packed_or_not)
{
    CHECK_TEXT(SAYS("\xba\x01\x03\x01\x02\x03"), "OK");     /* i32s packed */
    CHECK_TEXT(SAYS("\xb8\x01\x01\xb8\x01\x02"), "OK");     /* i32s not */
    CHECK_TEXT(SAYS("\xba\x01\x00"), "OK");                 /* none */
    CHECK_TEXT(SAYS("\xf2\x01\x02\x01\x02"), "OK");         /* unpacked, packed */
    CHECK_TEXT(SAYS("\xf0\x01\x01"), "OK");                 /* unpacked, not */
    CHECK_TEXT(SAYS("\xc5\x01\x01\x02\x03\x04"), "OK");     /* f32s not */
    CHECK_TEXT(SAYS("\xc2\x01\x04\x01\x02\x03\x04"), "OK"); /* f32s packed */
    CHECK_TEXT(SAYS("\xd2\x01\x02\x00\x01"), "OK");         /* bs packed */
    CHECK_TEXT(SAYS("\xd2\x01\x02\x00\x02"), "field \"bs[0]\": malformed number");
    CHECK_TEXT(SAYS("\xba\x01\x02\x01\x80"), "field \"i32s[0]\": malformed number");
    CHECK_TEXT(SAYS("\xba\x01\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
               "field \"i32s[0]\": malformed number");
    CHECK_TEXT(SAYS("\xc2\x01\x03\x01\x02\x03"), "field \"f32s[0]\": cut off");
    CHECK_TEXT(SAYS("\xca\x01\x04\x01\x02\x03\x04"), "field \"ds[0]\": cut off");
}

TEST(bytes_that_are_no_message_are_refused)
{
    CHECK_TEXT(SAYS("\x80"), "message mesh.guardtest.Tree: malformed tag");
    CHECK_TEXT(SAYS("\x00\x01"), "message mesh.guardtest.Tree: malformed tag"); /* number 0 */
    CHECK_TEXT(SAYS("\x80\x00\x01"), "message mesh.guardtest.Tree: malformed tag");
    CHECK_TEXT(SAYS("\xff\xff\xff\xff\x1f\x01"), "message mesh.guardtest.Tree: malformed tag");
    CHECK_TEXT(SAYS("\xff\xff\xff\xff\xff\x00\x01"), "message mesh.guardtest.Tree: malformed tag");
    CHECK_TEXT(SAYS("\x1e\x01"), "field \"i32\": malformed tag"); /* wire type 6 */
    CHECK_TEXT(SAYS("\x1f\x01"), "field \"i32\": malformed tag"); /* wire type 7 */
    CHECK_TEXT(SAYS("\x18"), "field \"i32\": malformed number");
    CHECK_TEXT(SAYS("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
               "field \"i32\": malformed number");
    CHECK_TEXT(SAYS("\x0a"), "field \"name\": malformed length");
    CHECK_TEXT(SAYS("\x0a\xff\xff\xff\xff\xff\x01"), "field \"name\": malformed length");
    CHECK_TEXT(SAYS("\x0a\x02x"), "field \"name\": longer than the message around it");
    CHECK_TEXT(SAYS("\x0a\xff\xff\xff\xff\x0f"),
               "field \"name\": longer than the message around it");
    CHECK_TEXT(SAYS("\x4d\x01\x02\x03"), "field \"f32\": longer than the message around it");
    CHECK_TEXT(SAYS("\x51\x01\x02\x03\x04"), "field \"f64\": longer than the message around it");
    CHECK_TEXT(SAYS("\x8a\x01\x03\x0a\x02x"), /* leaf.code */
               "field \"leaf.code\": longer than the message around it");
}

TEST(groups_are_refused_known_or_not)
{
    CHECK_TEXT(SAYS("\x1b\x1c"), "field \"i32\": groups are not supported");
    CHECK_TEXT(SAYS("\x1c"), "field \"i32\": groups are not supported");
    CHECK_TEXT(SAYS("\x9b\x06\x9c\x06"), "field \"99\": groups are not supported");
}

TEST(a_wrong_wire_type_is_refused)
{
    CHECK_TEXT(SAYS("\x08\x01"), "field \"name\": wrong wire type");
    CHECK_TEXT(SAYS("\x1a\x01\x01"), "field \"i32\": wrong wire type"); /* packed, but singular */
    CHECK_TEXT(SAYS("\x1d\x01\x02\x03\x04"), "field \"i32\": wrong wire type");
    CHECK_TEXT(SAYS("\x48\x01"), "field \"f32\": wrong wire type");
    CHECK_TEXT(SAYS("\x55\x01\x02\x03\x04"), "field \"f64\": wrong wire type");
    CHECK_TEXT(SAYS("\x88\x01\x01"), "field \"leaf\": wrong wire type");
    CHECK_TEXT(SAYS("\xa8\x01\x01"), "field \"names[0]\": wrong wire type");
    CHECK_TEXT(SAYS("\xe0\x01\x01"), "field \"leaves[0]\": wrong wire type");
    CHECK_TEXT(SAYS("\xb9\x01\x01\x02\x03\x04\x05\x06\x07\x08"),
               "field \"i32s[0]\": wrong wire type");
}

TEST(text_is_utf_8_without_nul)
{
    CHECK_TEXT(SAYS("\x0a\x02\xc3\x28"), "field \"name\": not valid UTF-8");
    CHECK_TEXT(SAYS("\x0a\x03"
                    "a\0b"),
               "field \"name\": a NUL in text");
    CHECK_TEXT(SAYS("\xaa\x01\x01"
                    "a\xaa\x01\x01"
                    "b\xaa\x01\x01\xff"),
               "field \"names[2]\": not valid UTF-8");
    CHECK_TEXT(SAYS("\xe2\x01\x00\x18\x05\xe2\x01\x03\x0a\x01\xff"),
               "field \"leaves[1].code\": not valid UTF-8");
    CHECK_TEXT(SAYS("\xfa\x01\x03\x0a\x01\xff"), "field \"by_name[0].key\": not valid UTF-8");
    CHECK_TEXT(SAYS("\xda\x02\x01\xff"), "field \"text_choice\": not valid UTF-8");
    CHECK_TEXT(SAYS("\x12\x02\xc3\x28"), "OK"); /* bytes are bytes */
}

TEST(a_singular_message_comes_once)
{
    CHECK_TEXT(SAYS("\x8a\x01\x00\x8a\x01\x00"), "field \"leaf\": given twice");
    CHECK_TEXT(SAYS("\x8a\x01\x00\x18\x01\x92\x01\x00"), "OK"); /* leaf, i32, child */
    CHECK_TEXT(SAYS("\xd2\x02\x00\xd2\x02\x00"), "field \"maybe_leaf\": given twice");
    CHECK_TEXT(SAYS("\xe2\x02\x00\xda\x02\x00\xe2\x02\x00"), "field \"leaf_choice\": given twice");
    CHECK_TEXT(SAYS("\x92\x01\x06\x8a\x01\x00\x8a\x01\x00"), "field \"child.leaf\": given twice");
    CHECK_TEXT(SAYS("\xea\x01\x03\x8a\x01\x00\xea\x01\x03\x8a\x01\x00"),
               "OK");                                   /* of two children */
    CHECK_TEXT(SAYS("\xe2\x01\x00\xe2\x01\x00"), "OK"); /* repeated */
    CHECK_TEXT(SAYS("\x18\x01\x18\x02"), "OK"); /* the last scalar wins, as the format says */
}

/* n messages, each but the last inside of the one before. Returns the start of the bytes. */
static const char *nest(unsigned n, char *bytes, size_t size, size_t *ret_size)
{
    size_t at = size;

    for (unsigned i = 1; i < n; i++) {
        size_t inside = size - at;

        CHECK(inside < 16384);
        if (inside >= 128) {
            bytes[--at] = (char)(inside >> 7);
            bytes[--at] = (char)(0x80 | (inside & 0x7f));
        } else {
            bytes[--at] = (char)inside;
        }
        bytes[--at] = 0x01;
        bytes[--at] = (char)0x92; /* child */
    }
    *ret_size = size - at;
    return bytes + at;
}

TEST(nesting_ends_at_64_messages)
{
    static char bytes[16384];
    size_t size;
    const char *start = nest(64, bytes, sizeof(bytes), &size);

    CHECK_TEXT(says(start, size), "OK");
    start = nest(65, bytes, sizeof(bytes), &size);
    CHECK(strstr(says(start, size), ".child\": nested too deep") != NULL ||
          strstr(says(start, size), "nested too deep") != NULL);
    start = nest(4000, bytes, sizeof(bytes), &size);
    CHECK(strstr(says(start, size), "nested too deep") != NULL);
}

TEST(unknown_fields_pass)
{
    CHECK_TEXT(SAYS("\x98\x06\x05"), "OK");
    CHECK_TEXT(SAYS("\x9a\x06\x03\xff\xff\xff"), "OK");
    CHECK_TEXT(SAYS("\xf8\xff\xff\xff\x0f\x05"), "OK"); /* number 2^29 - 1 */
    CHECK_TEXT(SAYS("\x9a\x06\x04\xff"), "field \"99\": longer than the message around it");
}

/* Writes n times the same field behind the bytes. */
static void repeat(char *bytes, const char *field, size_t field_size, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes + i * field_size, field, field_size);
    }
}

TEST(elements_are_counted_over_the_whole_message)
{
    static char bytes[5 * (MESH_GUARD_ELEMENTS + 1)];
    size_t n = MESH_GUARD_ELEMENTS;

    repeat(bytes, "\xe2\x01\x00", 3, n + 1); /* leaves */
    CHECK_TEXT(says(bytes, 3 * n), "OK");
    CHECK_TEXT(says(bytes, 3 * (n + 1)),
               "field \"leaves[65536]\": too many elements in one message");
    CHECK(ctx->scope->error->status == MESH_RESOURCE_EXHAUSTED);

    repeat(bytes, "\x98\x06\x00", 3, n + 1); /* unknown */
    CHECK_TEXT(says(bytes, 3 * n), "OK");
    CHECK_TEXT(says(bytes, 3 * (n + 1)), "field \"99\": too many elements in one message");

    memset(bytes, 0, sizeof(bytes)); /* packed; elements in two fields of two messages */
    repeat(bytes, "\xba\x01\x80\x80\x02", 5, 1); /* 32768 */
    repeat(bytes + 5 + 32768, "\x92\x01\x85\x80\x02\xba\x01\x80\x80\x02", 10, 1);
    CHECK_TEXT(says(bytes, 5 + 32768 + 10 + 32768), "OK");
    repeat(bytes + 5 + 32768 + 10 + 32768, "\xb8\x01\x01", 3, 1);
    CHECK(strstr(says(bytes, 5 + 32768 + 10 + 32768 + 3), "too many elements") != NULL);

    memset(bytes, 0, sizeof(bytes));
    repeat(bytes, "\xc2\x01\x84\x80\x10", 5, 1); /* f32s: 262148 bytes are 65537 elements */
    CHECK_TEXT(says(bytes, 5 + 262148), "field \"f32s[0]\": too many elements in one message");
}

/* ---- a message of more fields than are watched at once ---- */

#define MANY 700

static ProtobufCFieldDescriptor many_fields[MANY];
static const ProtobufCIntRange many_ranges[] = {{1, 0}, {0, MANY}};
static ProtobufCMessageDescriptor many = {.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
                                          .name = "mesh.guardtest.Many",
                                          .n_fields = MANY,
                                          .fields = many_fields,
                                          .n_field_ranges = 1,
                                          .field_ranges = many_ranges};

/* The guard's word on a Many in which these fields are set to empty messages. */
static const char *many_says(const unsigned *numbers, size_t n)
{
    uint8_t bytes[3 * 2 * MANY];
    size_t at = 0;

    for (unsigned i = 0; i < MANY; i++) {
        many_fields[i] = (ProtobufCFieldDescriptor){.name = "field",
                                                    .id = i + 1,
                                                    .label = PROTOBUF_C_LABEL_NONE,
                                                    .type = PROTOBUF_C_TYPE_MESSAGE,
                                                    .descriptor = &many};
    }
    for (size_t i = 0; i < n; i++) {
        unsigned tag = numbers[i] << 3 | 2;

        bytes[at++] = (uint8_t)(0x80 | (tag & 0x7f));
        bytes[at++] = (uint8_t)(tag >> 7);
        bytes[at++] = 0;
    }
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    return mesh__guard(ctx, &many, bytes, at) == MESH_OK ? "OK" : mesh_ctx_error(ctx);
}

TEST(a_message_of_very_many_fields_is_watched_too)
{
    unsigned numbers[MANY + 1];
    static const unsigned twice[] = {1, 2, 255, 256, 257, 258, 511, 512, 513, 514, 699, 700};

    for (unsigned i = 0; i < MANY; i++) {
        numbers[i] = i + 1;
    }
    CHECK_TEXT(many_says(numbers, MANY), "OK");
    for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        numbers[MANY] = twice[i];
        CHECK_TEXT(many_says(numbers, MANY + 1), "field \"field\": given twice");
    }
}

/* ---- unpacking ---- */

TEST(what_passes_is_unpacked_into_the_context)
{
    ProtobufCMessage *message = NULL;
    const Mesh__Guardtest__Tree *tree;

    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK(mesh__unpack(ctx, &mesh__guardtest__tree__descriptor,
                       (const uint8_t *)"\x0a\x03"
                                        "abc\xe2\x01\x02\x10\x07\xc8\x02\x00",
                       13, &message) == MESH_OK);
    tree = (const Mesh__Guardtest__Tree *)message;
    CHECK_TEXT(tree->name, "abc");
    CHECK_INT(tree->n_leaves, 1);
    CHECK_INT(tree->leaves[0]->amount, 7);
    CHECK(tree->_maybe_case == MESH__GUARDTEST__TREE___MAYBE_MAYBE && tree->maybe == 0);
}

TEST(what_does_not_pass_leaves_the_output_alone)
{
    ProtobufCMessage *message = NULL;

    CHECK(mesh__unpack(ctx, &mesh__guardtest__tree__descriptor, (const uint8_t *)"\x80", 1,
                       &message) == MESH_INVALID_ARGUMENT);
    CHECK(message == NULL);
}

TEST(a_message_that_swells_is_stopped_at_the_cap)
{
    static char bytes[3 * MESH_GUARD_ELEMENTS];
    ProtobufCMessage *message = NULL;

    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    repeat(bytes, "\xea\x01\x00", 3, MESH_GUARD_ELEMENTS); /* children: 300 bytes for each 3 */
    CHECK(mesh__unpack(ctx, &mesh__guardtest__tree__descriptor, (const uint8_t *)bytes,
                       sizeof(bytes), &message) == MESH_RESOURCE_EXHAUSTED);
    CHECK(message == NULL);
    CHECK(strstr(mesh_ctx_error(ctx), "too much memory") != NULL);
    CHECK(mesh__arena_used(ctx->scope->arena) < (size_t)5 << 20);
}

TEST_MAIN(setup, teardown)
