/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the wire format (https://protobuf.dev/programming-guides/encoding/) along a descriptor. It
 * refuses what protobuf_c_message_unpack() would refuse, and what that accepts wrongly or at any
 * price.
 */
#include "core/guard.h"

#include "core/ctx_impl.h"
#include "core/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 256
#define HEADER_VARINT_MAX 5 /* bytes of tags and lengths */
#define VARINT_MAX 10       /* bytes of values */
#define WIRE_START_GROUP 3
#define WIRE_END_GROUP 4
#define REPEAT_WINDOW 256 /* fields watched for repetition in one pass */

/* One message on the way down, and the field in it that is looked at. */
struct level {
    const struct level *parent;
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *start, *at, *end;
    unsigned depth; /* 1 at the top */
    unsigned hint;  /* index of the last known field: the next one is often near */

    const uint8_t *field_at; /* its tag */
    uint32_t number;         /* 0: its tag could not be read */
    unsigned wire_type;
    const ProtobufCFieldDescriptor *field; /* NULL: not in the descriptor */
    const uint8_t *value;                  /* without the length of a length-prefixed one */
    size_t value_size;

    unsigned window_start; /* index of the first watched field */
    uint64_t seen[REPEAT_WINDOW / 64];
};

/* The walk as a whole; the first fault ends it. */
struct walk {
    size_t n_elements;
    enum mesh_status status;
    const char *fault; /* NULL: none yet */
    char path[PATH_SIZE];
};

/* ---- reading ---- */

/* The size of the varint at `at`; 0 if it does not end within max bytes or before end. */
static size_t read_varint(const uint8_t *at, const uint8_t *end, size_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t left = (size_t)(end - at);

    for (size_t i = 0; i < max && i < left; i++) {
        value |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if ((at[i] & 0x80) == 0) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

static const ProtobufCFieldDescriptor *find_field(struct level *level)
{
    const ProtobufCMessageDescriptor *descriptor = level->descriptor;
    const ProtobufCFieldDescriptor *field;

    for (unsigned i = level->hint; i < level->hint + 2 && i < descriptor->n_fields; i++) {
        if (descriptor->fields[i].id == level->number) {
            level->hint = i;
            return &descriptor->fields[i];
        }
    }
    field = protobuf_c_message_descriptor_get_field(descriptor, level->number);
    if (field != NULL) {
        level->hint = (unsigned)(field - descriptor->fields);
    }
    return field;
}

/* Each answers NULL, or what is wrong. */
static const char *read_tag(struct level *level)
{
    uint64_t tag = 0;
    size_t n = read_varint(level->at, level->end, HEADER_VARINT_MAX, &tag);

    level->field_at = level->at;
    level->number = 0;
    if (n == 0 || tag > UINT32_MAX || tag >> 3 == 0) {
        return "malformed tag";
    }
    level->number = (uint32_t)(tag >> 3);
    level->wire_type = (unsigned)(tag & 7);
    level->field = find_field(level);
    level->at += n;
    return NULL;
}

static const char *read_value(struct level *level)
{
    uint64_t size = 0;
    size_t n = 0;

    switch (level->wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        size = read_varint(level->at, level->end, VARINT_MAX, &(uint64_t){0});
        if (size == 0) {
            return "malformed number";
        }
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        size = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        size = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        n = read_varint(level->at, level->end, HEADER_VARINT_MAX, &size);
        if (n == 0) {
            return "malformed length";
        }
        break;
    case WIRE_START_GROUP:
    case WIRE_END_GROUP:
        return "groups are not supported";
    default:
        return "malformed tag";
    }
    level->value = level->at + n;
    if (size > (size_t)(level->end - level->value)) {
        return "longer than the message around it";
    }
    level->value_size = (size_t)size;
    level->at = level->value + size;
    return NULL;
}

static const char *next_field(struct level *level)
{
    const char *fault = read_tag(level);

    return fault != NULL ? fault : read_value(level);
}

/* ---- telling the place ---- */

/* How many elements of the same field stand before this one. */
static size_t index_of_element(const struct level *level)
{
    struct level again = *level;
    size_t n = 0;

    again.at = level->start;
    while (again.at < level->field_at && next_field(&again) == NULL) {
        n += again.number == level->number;
    }
    return n;
}

static void print_field(const struct level *level, char *path, size_t *used)
{
    const char *dot = *used > 0 ? "." : "";
    char *at = path + *used;
    size_t left = PATH_SIZE - *used;
    int n = 0;

    if (level->number == 0) {
        return;
    }
    if (level->field == NULL) {
        n = snprintf(at, left, "%s%" PRIu32, dot, level->number);
    } else if (level->field->label == PROTOBUF_C_LABEL_REPEATED) {
        n = snprintf(at, left, "%s%s[%zu]", dot, level->field->name, index_of_element(level));
    } else {
        n = snprintf(at, left, "%s%s", dot, level->field->name);
    }
    *used += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left - 1;
}

static bool refuse(struct walk *walk, const struct level *level, enum mesh_status status,
                   const char *fault)
{
    const struct level *levels[MESH_GUARD_DEPTH];
    size_t n = 0;
    size_t used = 0;

    walk->status = status;
    walk->fault = fault;
    walk->path[0] = '\0';
    for (; level != NULL; level = level->parent) {
        levels[n++] = level;
    }
    while (n > 0) {
        print_field(levels[--n], walk->path, &used);
    }
    return false;
}

/* ---- checking ---- */

static bool count_elements(struct walk *walk, const struct level *level, size_t n)
{
    walk->n_elements += n;
    if (walk->n_elements <= MESH_GUARD_ELEMENTS) {
        return true;
    }
    return refuse(walk, level, MESH_RESOURCE_EXHAUSTED, "too many elements in one message");
}

static bool check_text(struct walk *walk, const struct level *level)
{
    const char *text = (const char *)level->value;

    if (memchr(text, '\0', level->value_size) != NULL) {
        return refuse(walk, level, MESH_INVALID_ARGUMENT, "a NUL in text");
    }
    if (mesh__utf8_valid(text, level->value_size) != level->value_size) {
        return refuse(walk, level, MESH_INVALID_ARGUMENT, "not valid UTF-8");
    }
    return true;
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

static bool check_packed_varints(struct walk *walk, const struct level *level)
{
    const uint8_t *at = level->value;
    const uint8_t *end = at + level->value_size;
    /* protobuf-c reads packed booleans as one byte each */
    size_t max = level->field->type == PROTOBUF_C_TYPE_BOOL ? 1 : VARINT_MAX;

    while (at < end) {
        uint64_t value = 0;
        size_t n = read_varint(at, end, max, &value);

        if (n == 0 || (max == 1 && value > 1)) {
            return refuse(walk, level, MESH_INVALID_ARGUMENT, "malformed number");
        }
        if (!count_elements(walk, level, 1)) {
            return false;
        }
        at += n;
    }
    return true;
}

static bool check_packed(struct walk *walk, const struct level *level)
{
    unsigned wire_type = wire_type_of(level->field->type);
    size_t element = wire_type == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;

    if (wire_type == PROTOBUF_C_WIRE_TYPE_VARINT) {
        return check_packed_varints(walk, level);
    }
    if (level->value_size % element != 0) {
        return refuse(walk, level, MESH_INVALID_ARGUMENT, "cut off");
    }
    return count_elements(walk, level, level->value_size / element);
}

/* protobuf-c loses parts of a singular message that comes twice, or fails on it. */
static bool check_once(struct walk *walk, struct level *level)
{
    const ProtobufCFieldDescriptor *field = level->field;
    size_t i = (size_t)(field - level->descriptor->fields);
    uint64_t bit;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED ||
        i < level->window_start || i - level->window_start >= REPEAT_WINDOW) {
        return true;
    }
    i -= level->window_start;
    bit = UINT64_C(1) << (i % 64);
    if ((level->seen[i / 64] & bit) != 0) {
        return refuse(walk, level, MESH_INVALID_ARGUMENT, "given twice");
    }
    level->seen[i / 64] |= bit;
    return true;
}

static bool check_message(struct walk *walk, struct level *level);

static bool check_submessage(struct walk *walk, const struct level *parent)
{
    struct level level = {.parent = parent,
                          .descriptor = parent->field->descriptor,
                          .start = parent->value,
                          .at = parent->value,
                          .end = parent->value + parent->value_size,
                          .depth = parent->depth + 1};

    if (level.depth > MESH_GUARD_DEPTH) {
        return refuse(walk, parent, MESH_INVALID_ARGUMENT, "nested too deep");
    }
    return check_message(walk, &level);
}

static bool check_field(struct walk *walk, struct level *level)
{
    const ProtobufCFieldDescriptor *field = level->field;
    unsigned wire_type;

    if (field == NULL) {
        return count_elements(walk, level, 1); /* kept as unknown, which costs memory too */
    }
    wire_type = wire_type_of(field->type);
    if (level->wire_type != wire_type) {
        if (field->label == PROTOBUF_C_LABEL_REPEATED &&
            level->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            return check_packed(walk, level);
        }
        return refuse(walk, level, MESH_INVALID_ARGUMENT, "wrong wire type");
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED && !count_elements(walk, level, 1)) {
        return false;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        return check_text(walk, level);
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return check_once(walk, level) && check_submessage(walk, level);
    }
    return true;
}

/* A message of very many fields: watches those beyond the first window, one window at a time. */
static bool check_repeats(struct walk *walk, struct level *level)
{
    while (level->descriptor->n_fields - level->window_start > REPEAT_WINDOW) {
        level->window_start += REPEAT_WINDOW;
        memset(level->seen, 0, sizeof(level->seen));
        level->at = level->start;
        while (level->at < level->end && next_field(level) == NULL) {
            if (level->field != NULL && !check_once(walk, level)) {
                return false;
            }
        }
    }
    return true;
}

static bool check_message(struct walk *walk, struct level *level)
{
    while (level->at < level->end) {
        const char *fault = next_field(level);

        if (fault != NULL) {
            return refuse(walk, level, MESH_INVALID_ARGUMENT, fault);
        }
        if (!check_field(walk, level)) {
            return false;
        }
    }
    return level->descriptor->n_fields <= REPEAT_WINDOW || check_repeats(walk, level);
}

enum mesh_status mesh__guard(struct mesh_ctx *ctx, const ProtobufCMessageDescriptor *descriptor,
                             const uint8_t *bytes, size_t size)
{
    static const uint8_t none[1];
    struct walk walk = {.status = MESH_OK};
    struct level top = {.descriptor = descriptor, .depth = 1};

    top.start = bytes != NULL ? bytes : none; /* an empty message may have no bytes */
    top.at = top.start;
    top.end = top.start + size;
    if (check_message(&walk, &top)) {
        return MESH_OK;
    }
    if (walk.path[0] == '\0') {
        return mesh_fail(ctx, walk.status, "message %s: %s", descriptor->name, walk.fault);
    }
    return mesh_fail(ctx, walk.status, "field \"%s\": %s", walk.path, walk.fault);
}

enum mesh_status mesh__unpack(struct mesh_ctx *ctx, const ProtobufCMessageDescriptor *descriptor,
                              const uint8_t *bytes, size_t size, ProtobufCMessage **ret_message)
{
    struct mesh_arena *arena = ctx->scope->arena;
    ProtobufCAllocator allocator = mesh__arena_allocator(arena);
    ProtobufCMessage *message;

    MESH_TRY(mesh__guard(ctx, descriptor, bytes, size));
    message = protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    if (message != NULL) {
        *ret_message = message;
        return MESH_OK;
    }
    if (mesh__arena_exceeded(arena)) {
        return mesh_fail(ctx, MESH_RESOURCE_EXHAUSTED, "message %s: takes too much memory",
                         descriptor->name);
    }
    return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "message %s: malformed", descriptor->name);
}
