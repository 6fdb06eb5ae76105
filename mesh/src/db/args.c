/* SPDX-License-Identifier: Apache-2.0 */
#include "db/args.h"

#include "core/fatal.h"
#include "db/uuid.h"

#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 65535                /* the protocol counts in 16 bits */
#define ELEMENTS_MAX (16 << 20)       /* far beyond what a statement should carry */
#define ARRAY_HEADER 20               /* dimensions, has nulls, type, length, lower bound */
#define UUID_ELEMENT (4 + UUID_BYTES) /* each element follows its size */
#define INT64_ELEMENT (4 + 8)

struct mesh_arg mesh_text(const char *text)
{
    return (struct mesh_arg){.kind = MESH_ARG_TEXT, .data = text};
}

struct mesh_arg mesh_uuid(const char *uuid)
{
    return (struct mesh_arg){.kind = MESH_ARG_UUID, .data = uuid};
}

struct mesh_arg mesh_int64(int64_t number)
{
    return (struct mesh_arg){.kind = MESH_ARG_INT64, .number = number};
}

struct mesh_arg mesh_bool(bool value)
{
    return (struct mesh_arg){.kind = MESH_ARG_BOOL, .number = value};
}

struct mesh_arg mesh_bytes(const void *bytes, size_t size)
{
    return (struct mesh_arg){.kind = MESH_ARG_BYTES, .data = bytes, .size = size};
}

struct mesh_arg mesh_time(int64_t unix_us)
{
    return (struct mesh_arg){.kind = MESH_ARG_TIME, .number = unix_us};
}

struct mesh_arg mesh_null(void)
{
    return (struct mesh_arg){.kind = MESH_ARG_NULL};
}

struct mesh_arg mesh_uuid_array(const char *const *uuids, size_t n)
{
    return (struct mesh_arg){.kind = MESH_ARG_UUID_ARRAY, .data = uuids, .size = n};
}

struct mesh_arg mesh_int64_array(const int64_t *numbers, size_t n)
{
    return (struct mesh_arg){.kind = MESH_ARG_INT64_ARRAY, .data = numbers, .size = n};
}

struct mesh_arg mesh_text_array(const char *const *texts, size_t n)
{
    return (struct mesh_arg){.kind = MESH_ARG_TEXT_ARRAY, .data = texts, .size = n};
}

/* ---- encoding ---- */

static uint8_t *put32(uint8_t *at, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return at + 4;
}

static uint8_t *put64(uint8_t *at, int64_t number)
{
    at = put32(at, (uint32_t)((uint64_t)number >> 32));
    return put32(at, (uint32_t)number);
}

static uint8_t *put_array_header(uint8_t *at, enum pg_type element, size_t n)
{
    at = put32(at, n > 0); /* an empty array has no dimension */
    at = put32(at, 0);
    at = put32(at, element);
    if (n > 0) {
        at = put32(at, (uint32_t)n);
        at = put32(at, 1);
    }
    return at;
}

/* Returns the end of what was written; NULL if a text is no UUID. */
static uint8_t *put_uuid_array(uint8_t *at, const char *const *uuids, size_t n)
{
    at = put_array_header(at, PG_UUID, n);
    for (size_t i = 0; i < n; i++) {
        at = put32(at, UUID_BYTES);
        if (!mesh__uuid_parse(uuids[i], at)) {
            return NULL;
        }
        at += UUID_BYTES;
    }
    return at;
}

static uint8_t *put_int64_array(uint8_t *at, const int64_t *numbers, size_t n)
{
    at = put_array_header(at, PG_INT8, n);
    for (size_t i = 0; i < n; i++) {
        at = put32(at, sizeof(int64_t));
        at = put64(at, numbers[i]);
    }
    return at;
}

static uint8_t *put_text_array(uint8_t *at, const char *const *texts, size_t n)
{
    at = put_array_header(at, PG_TEXT, n);
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(texts[i]);

        at = put32(at, (uint32_t)size);
        at = mempcpy(at, texts[i], size);
    }
    return at;
}

static size_t text_array_room(const char *const *texts, size_t n)
{
    size_t size = ARRAY_HEADER + n * 4;

    for (size_t i = 0; i < n; i++) {
        size += strlen(texts[i]);
    }
    return size;
}

static int64_t to_pg_time(int64_t unix_us)
{
    int64_t pg_us;

    /* Postgres' own minus infinity is the smallest number. */
    return __builtin_sub_overflow(unix_us, PG_EPOCH_US, &pg_us) ? INT64_MIN : pg_us;
}

static uint8_t *put(uint8_t *at, const struct mesh_arg *arg)
{
    switch (arg->kind) {
    case MESH_ARG_UUID:
        return mesh__uuid_parse(arg->data, at) ? at + UUID_BYTES : NULL;
    case MESH_ARG_INT64:
        return put64(at, arg->number);
    case MESH_ARG_TIME:
        return put64(at, to_pg_time(arg->number));
    case MESH_ARG_BOOL:
        *at = arg->number != 0;
        return at + 1;
    case MESH_ARG_UUID_ARRAY:
        return put_uuid_array(at, arg->data, arg->size);
    case MESH_ARG_INT64_ARRAY:
        return put_int64_array(at, arg->data, arg->size);
    case MESH_ARG_TEXT_ARRAY:
        return put_text_array(at, arg->data, arg->size);
    case MESH_ARG_TEXT:
        return (uint8_t *)stpcpy((char *)at, arg->data) + 1;
    case MESH_ARG_BYTES:
        return arg->size > 0 ? (uint8_t *)mempcpy(at, arg->data, arg->size) : at;
    case MESH_ARG_NULL:
        break;
    }
    return at;
}

/* Room that put() needs at most. */
static size_t room(const struct mesh_arg *arg)
{
    switch (arg->kind) {
    case MESH_ARG_UUID:
        return UUID_BYTES;
    case MESH_ARG_INT64:
    case MESH_ARG_TIME:
        return sizeof(int64_t);
    case MESH_ARG_BOOL:
        return 1;
    case MESH_ARG_UUID_ARRAY:
        return ARRAY_HEADER + arg->size * UUID_ELEMENT;
    case MESH_ARG_INT64_ARRAY:
        return ARRAY_HEADER + arg->size * INT64_ELEMENT;
    case MESH_ARG_TEXT_ARRAY:
        return text_array_room(arg->data, arg->size);
    case MESH_ARG_TEXT:
        return arg->data != NULL ? strlen(arg->data) + 1 : 0;
    case MESH_ARG_BYTES:
        return arg->size;
    case MESH_ARG_NULL:
        break;
    }
    return 0;
}

static enum pg_type type_of(enum mesh_arg_kind kind)
{
    switch (kind) {
    case MESH_ARG_UUID:
        return PG_UUID;
    case MESH_ARG_INT64:
        return PG_INT8;
    case MESH_ARG_TIME:
        return PG_TIMESTAMPTZ;
    case MESH_ARG_BOOL:
        return PG_BOOL;
    case MESH_ARG_BYTES:
        return PG_BYTEA;
    case MESH_ARG_UUID_ARRAY:
        return PG_UUID_ARRAY;
    case MESH_ARG_INT64_ARRAY:
        return PG_INT8_ARRAY;
    case MESH_ARG_TEXT_ARRAY:
        return PG_TEXT_ARRAY;
    case MESH_ARG_NULL:
    case MESH_ARG_TEXT:
        break;
    }
    return 0; /* the server infers it */
}

/* ---- memory ---- */

static void reserve(struct db_args *to, size_t n, size_t bytes)
{
    if (to->n_max < n) {
        to->n_max = 2 * n;
        to->types = mesh__reallocarray(to->types, to->n_max, sizeof(*to->types));
        to->values = mesh__reallocarray(to->values, to->n_max, sizeof(*to->values));
        to->sizes = mesh__reallocarray(to->sizes, to->n_max, sizeof(*to->sizes));
        to->formats = mesh__reallocarray(to->formats, to->n_max, sizeof(*to->formats));
    }
    if (to->bytes_max < bytes) {
        to->bytes_max = 2 * bytes;
        to->bytes = mesh__reallocarray(to->bytes, to->bytes_max, 1);
    }
}

static bool is_null(const struct mesh_arg *arg)
{
    return arg->kind == MESH_ARG_NULL ||
           (arg->data == NULL && (arg->kind == MESH_ARG_TEXT || arg->kind == MESH_ARG_UUID));
}

#define BYTES_MAX (INT32_MAX / 2)

static bool too_large(const struct mesh_arg *arg)
{
    if (arg->kind == MESH_ARG_BYTES) {
        return arg->size > BYTES_MAX;
    }
    return arg->size > ELEMENTS_MAX || (arg->kind == MESH_ARG_TEXT_ARRAY && room(arg) > BYTES_MAX);
}

/* Fills parameter i, with its bytes at `at`; returns their end, NULL if the value is not valid. */
static uint8_t *encode(struct db_args *to, size_t i, const struct mesh_arg *arg, uint8_t *at)
{
    uint8_t *end = at;

    to->types[i] = type_of(arg->kind);
    to->values[i] = NULL;
    to->sizes[i] = 0;
    to->formats[i] = arg->kind != MESH_ARG_TEXT;
    if (!is_null(arg)) {
        end = put(at, arg);
        to->values[i] = (const char *)at;
        to->sizes[i] = end != NULL ? (int)(end - at) : 0;
    }
    return end;
}

MESH_STATUS mesh__args_encode(struct db_args *to, struct mesh_args args, const char **ret_problem)
{
    size_t bytes = 0;
    uint8_t *at;

    if (args.n > ARGS_MAX) {
        *ret_problem = "too many parameters";
        return MESH_INTERNAL;
    }
    for (size_t i = 0; i < args.n; i++) {
        if (too_large(&args.values[i])) {
            *ret_problem = "a parameter is too large";
            return MESH_INTERNAL;
        }
        bytes += room(&args.values[i]);
    }
    reserve(to, args.n, bytes + 1); /* an empty value is no null pointer */
    at = to->bytes;
    for (size_t i = 0; i < args.n; i++) {
        const struct mesh_arg *arg = &args.values[i];

        at = encode(to, i, arg, at);
        if (at == NULL) {
            *ret_problem = "a parameter is not a UUID";
            return MESH_INTERNAL;
        }
    }
    to->params = (struct pg_params){(int)args.n, to->types, to->values, to->sizes, to->formats};
    return MESH_OK;
}

void mesh__args_done(struct db_args *to)
{
    free(to->types);
    free(to->values);
    free(to->sizes);
    free(to->formats);
    free(to->bytes);
    *to = (struct db_args){0};
}
