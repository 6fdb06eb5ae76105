/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/validate.h"

#include "core/ctx_impl.h"
#include "core/guard.h"
#include "core/sensitive.h"
#include "core/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 256
#define MAP_KEY_MAX 64
#define NS_PER_S 1000000000
#define DURATION_MAX_S INT64_C(315576000000)
#define TIMESTAMP_MIN_S -INT64_C(62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define VIOLATIONS_SHOWN 3                    /* in the text; the details name all that were kept */

struct mesh_violations {
    struct mesh_ctx *ctx;
    const ProtobufCMessageDescriptor *request; /* NULL: nothing is hidden */
    const struct mesh_sensitive_type *const *sensitive;
    size_t n; /* found; the first MESH_VIOLATIONS_MAX are kept */
    struct mesh__violation kept[MESH_VIOLATIONS_MAX];
};

struct mesh_violations *mesh__violations_new(struct mesh_ctx *ctx)
{
    struct mesh_violations *violations = mesh_alloc(ctx, sizeof(*violations));

    violations->ctx = ctx;
    return violations;
}

void mesh__violations_hide(struct mesh_violations *violations,
                           const ProtobufCMessageDescriptor *request,
                           const struct mesh_sensitive_type *const *sensitive)
{
    violations->request = request;
    violations->sensitive = sensitive;
}

/* ---- the place ---- */

struct path_text {
    char bytes[PATH_SIZE];
    size_t used;
    const ProtobufCMessageDescriptor *message; /* that the next field is in; NULL: not known */
    bool hidden;                               /* inside of what is sensitive */
};

static void append(struct path_text *path, const char *text, size_t size)
{
    size_t left = sizeof(path->bytes) - 1 - path->used;

    if (size > left) {
        size = left;
    }
    memcpy(path->bytes + path->used, text, size);
    path->used += size;
}

/* [7] or ["key"], with quotes and backslashes in it escaped. */
static void append_map_key(struct path_text *path, const char *key, bool bare)
{
    size_t size = mesh__utf8_cut(key, MAP_KEY_MAX);

    append(path, "[\"", bare ? 1 : 2);
    for (size_t i = 0; i < size; i++) {
        if (key[i] == '"' || key[i] == '\\') {
            append(path, "\\", 1);
        }
        append(path, key + i, 1);
    }
    append(path, bare ? "]" : "\"]", bare ? 1 : 2);
}

/* Looks at the field that the path goes into. protobuf-c does not know which fields are maps: the
 * place does. */
static void descend(struct path_text *path, const struct mesh_path *place,
                    const struct mesh_sensitive_type *const *sensitive)
{
    const ProtobufCFieldDescriptor *field = NULL;

    if (path->message != NULL) {
        field = protobuf_c_message_descriptor_get_field_by_name(path->message, place->field);
        path->hidden = path->hidden || mesh__is_sensitive(sensitive, path->message, place->field);
    }
    path->message =
        field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
    if (path->message != NULL && place->map_key != NULL) {
        field = protobuf_c_message_descriptor_get_field_by_name(path->message, "value");
        path->message =
            field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
    }
}

static void append_place(struct path_text *path, const struct mesh_path *place)
{
    char index[32];

    if (path->used > 0) {
        append(path, ".", 1);
    }
    append(path, place->field, strlen(place->field));
    if (path->hidden && (place->map_key != NULL || place->index >= 0)) {
        append(path, "[*]", 3); /* what looks like an index may be a key */
    } else if (place->map_key != NULL) {
        append_map_key(path, place->map_key, place->bare);
    } else if (place->index >= 0) {
        int n = snprintf(index, sizeof(index), "[%" PRId64 "]", place->index);

        append(path, index, n > 0 ? (size_t)n : 0);
    }
}

static const char *path_text(const struct mesh_violations *violations,
                             const struct mesh_path *place)
{
    const struct mesh_path *places[MESH_GUARD_DEPTH]; /* what the guard lets in is no deeper */
    struct path_text path = {.message = violations->request};
    size_t n = 0;

    for (; place != NULL && n < MESH_GUARD_DEPTH; place = place->parent) {
        places[n++] = place;
    }
    while (n > 0) {
        descend(&path, places[--n], violations->sensitive);
        append_place(&path, places[n]);
    }
    path.bytes[path.used] = '\0';
    return mesh_strdup(violations->ctx, path.bytes);
}

/* ---- collecting ---- */

void mesh_violate(struct mesh_violations *violations, const struct mesh_path *path,
                  const char *rule, const char *format, ...)
{
    struct mesh__violation *violation;
    va_list args;

    if (violations->n++ >= MESH_VIOLATIONS_MAX) {
        return;
    }
    violation = &violations->kept[violations->n - 1];
    violation->field = path_text(violations, path);
    violation->rule = rule;
    va_start(args, format);
    violation->text = mesh__vprintf(violations->ctx, format, args);
    va_end(args);
}

enum mesh_status mesh__violations_fail(struct mesh_ctx *ctx, struct mesh_violations *violations)
{
    size_t n_kept = violations->n < MESH_VIOLATIONS_MAX ? violations->n : MESH_VIOLATIONS_MAX;
    const char *text = "";
    enum mesh_status status;

    if (violations->n == 0) {
        return MESH_OK;
    }
    for (size_t i = 0; i < n_kept && i < VIOLATIONS_SHOWN; i++) {
        const struct mesh__violation *violation = &violations->kept[i];

        text = mesh_printf(ctx, "%s%s%s: %s [%s]", text, i > 0 ? "; " : "", violation->field,
                           violation->text, violation->rule);
    }
    if (violations->n > VIOLATIONS_SHOWN) {
        text = mesh_printf(ctx, "%s; and %zu more", text, violations->n - VIOLATIONS_SHOWN);
    }
    status = mesh_fail(ctx, MESH_INVALID_ARGUMENT, "%s", text);
    ctx->scope->error->violations = violations->kept;
    ctx->scope->error->n_violations = n_kept;
    return status;
}

/* ---- checks ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool mesh_is_uuid(const char *text)
{
    size_t i = 0;

    for (; text[i] != '\0' && i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !is_hex(text[i])) {
            return false;
        }
    }
    return i == 36 && text[i] == '\0';
}

size_t mesh_utf8_length(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80; /* every byte but those that continue */
    }
    return n;
}

bool mesh_is_duration(int64_t seconds, int32_t nanos)
{
    return seconds >= -DURATION_MAX_S && seconds <= DURATION_MAX_S && nanos > -NS_PER_S &&
           nanos < NS_PER_S && (seconds <= 0 || nanos >= 0) && (seconds >= 0 || nanos <= 0);
}

bool mesh_is_timestamp(int64_t seconds, int32_t nanos)
{
    return seconds >= TIMESTAMP_MIN_S && seconds <= TIMESTAMP_MAX_S && nanos >= 0 &&
           nanos < NS_PER_S;
}
