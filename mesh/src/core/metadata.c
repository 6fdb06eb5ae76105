/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of a context, in and out, and the notes for its log line. */
#include "core/ctx_impl.h"
#include "core/fatal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *find(const struct mesh__pair *pair, const char *key, size_t *ret_size)
{
    for (; pair != NULL; pair = pair->next) {
        if (strcmp(pair->key, key) == 0) {
            if (ret_size != NULL) {
                *ret_size = pair->size;
            }
            return pair->value;
        }
    }
    return NULL;
}

const char *mesh_ctx_metadata(const struct mesh_ctx *ctx, const char *key, size_t *ret_size)
{
    return find(ctx->scope->request_metadata, key, ret_size);
}

const char *mesh_ctx_reply_metadata(const struct mesh_ctx *ctx, const char *key, size_t *ret_size)
{
    return find(ctx->scope->reply_metadata, key, ret_size);
}

static bool is_binary(const char *key)
{
    size_t size = strlen(key);

    return size >= 4 && memcmp(key + size - 4, "-bin", 4) == 0;
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

bool mesh__is_metadata_text(const char *text, size_t size, size_t max)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_printable(text[i])) {
            return false;
        }
    }
    return size > 0 && size <= max;
}

/* Adds a copy at the front. Whatever the caller hands over, the transport will accept the pair. */
static void add(struct mesh_ctx *ctx, struct mesh__pair **list, const char *key, const void *value,
                size_t size)
{
    struct mesh__pair *pair = mesh_alloc(ctx, sizeof(*pair));
    char *copy = mesh__strndup(ctx, value, size);

    if (key[0] == '\0' || key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] != '\0') {
        mesh__fatal("\"%s\" cannot be the key of metadata", key);
    }
    if (!is_binary(key)) {
        for (size_t i = 0; i < size; i++) {
            if (!is_printable(copy[i])) {
                copy[i] = '?'; /* one bad byte would fail the whole call */
            }
        }
    }
    *pair = (struct mesh__pair){*list, mesh_strdup(ctx, key), copy, size};
    *list = pair;
}

void mesh_ctx_add_initial_metadata(struct mesh_ctx *ctx, const char *key, const void *value,
                                   size_t size)
{
    add(ctx, &ctx->scope->initial, key, value, size);
}

void mesh_ctx_add_trailing_metadata(struct mesh_ctx *ctx, const char *key, const void *value,
                                    size_t size)
{
    add(ctx, &ctx->scope->trailing, key, value, size);
}

void mesh_ctx_add_outgoing_metadata(struct mesh_ctx *ctx, const char *key, const void *value,
                                    size_t size)
{
    add(ctx, &ctx->scope->outgoing, key, value, size);
}

void mesh_ctx_note(struct mesh_ctx *ctx, const char *key, const char *format, ...)
{
    struct mesh__pair *note = ctx->scope->notes;
    va_list args;
    char *text;

    va_start(args, format);
    text = mesh__vprintf(ctx, format, args);
    va_end(args);

    while (note != NULL && strcmp(note->key, key) != 0) {
        note = note->next;
    }
    if (note == NULL) {
        note = mesh_alloc(ctx, sizeof(*note));
        note->key = mesh_strdup(ctx, key);
        note->next = ctx->scope->notes;
        ctx->scope->notes = note;
    }
    note->value = text; /* the last one wins: a key stands once in a log line */
    note->size = strlen(text);
}
