/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOSING_MS 1000

const char mesh__stopping_text[] = "the server is stopping";

/* A context that owns its memory, as against a view. */
struct root {
    struct mesh_ctx ctx; /* first: a root's address is its context's */
    struct mesh__scope scope;
    struct mesh__error error;
};

void (*mesh__ctx_drain)(struct mesh_ctx *ctx);

static struct root *root_new(size_t arena_cap)
{
    struct root *root = mesh__calloc(1, sizeof(*root));

    root->scope.arena = mesh__arena_new(arena_cap);
    root->scope.error = &root->error;
    root->ctx.scope = &root->scope;
    mesh__error_clear(&root->ctx);
    return root;
}

static void drain(struct mesh_ctx *ctx)
{
    if (ctx->scope->calls != NULL || ctx->scope->streams != NULL) {
        assert(mesh__ctx_drain != NULL);
        mesh__ctx_drain(ctx);
    }
}

static struct root *root_of(struct mesh_ctx *ctx)
{
    struct root *root = (struct root *)ctx;

    assert(ctx->scope == &root->scope); /* a view is neither freed nor reset */
    return root;
}

struct mesh_ctx *mesh__ctx_new(const char *service, size_t arena_cap, int64_t deadline_ns)
{
    struct root *root = root_new(arena_cap);

    root->scope.service = service;
    root->ctx.deadline_ns = deadline_ns;
    mesh__trace_from(&root->scope.trace, NULL);
    return &root->ctx;
}

struct mesh_ctx *mesh_ctx_background(int64_t timeout_ms)
{
    return mesh__ctx_new("", 0, mesh__in_ms(timeout_ms));
}

void mesh__ctx_free(struct mesh_ctx *ctx)
{
    struct root *root;

    if (ctx == NULL) {
        return;
    }
    root = root_of(ctx);
    drain(ctx);
    mesh__arena_free(root->scope.arena);
    free(root);
}

void mesh__ctx_reset(struct mesh_ctx *ctx, int64_t deadline_ns)
{
    struct root *root = root_of(ctx);
    struct mesh_arena *arena = root->scope.arena;
    const char *service = root->scope.service;

    drain(ctx);
    mesh__arena_reset(arena);
    root->scope = (struct mesh__scope){.arena = arena, .error = &root->error, .service = service};
    *ctx = (struct mesh_ctx){.scope = &root->scope, .deadline_ns = deadline_ns};
    mesh__error_clear(ctx);
    mesh__trace_from(&root->scope.trace, NULL);
}

/* ---- memory ---- */

void *mesh_alloc(struct mesh_ctx *ctx, size_t size)
{
    return mesh__arena_alloc(ctx->scope->arena, size);
}

char *mesh_strdup(struct mesh_ctx *ctx, const char *text)
{
    return text != NULL ? mesh__strndup(ctx, text, strlen(text)) : NULL;
}

char *mesh__strndup(struct mesh_ctx *ctx, const void *bytes, size_t size)
{
    char *copy = mesh_alloc(ctx, size + 1); /* zeroed: ends with a NUL */

    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

char *mesh__vprintf(struct mesh_ctx *ctx, const char *format, va_list args)
{
    char buffer[256]; /* most texts are formatted once */
    va_list again;
    char *text;
    int size;

    va_copy(again, args);
    size = vsnprintf(buffer, sizeof(buffer), format, args);
    if (size < 0) { /* a wide character that the locale cannot show */
        text = mesh_strdup(ctx, format);
    } else if ((size_t)size < sizeof(buffer)) {
        text = mesh__strndup(ctx, buffer, (size_t)size);
    } else {
        text = mesh_alloc(ctx, (size_t)size + 1);
        if (vsnprintf(text, (size_t)size + 1, format, again) < 0) {
            text[0] = '\0';
        }
    }
    va_end(again);
    return text;
}

char *mesh_printf(struct mesh_ctx *ctx, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = mesh__vprintf(ctx, format, args);
    va_end(args);
    return text;
}

/* ---- time ---- */

int64_t mesh_ctx_remaining_ms(const struct mesh_ctx *ctx)
{
    int64_t left;

    if (ctx->deadline_ns == MESH_NO_DEADLINE) {
        return INT64_MAX;
    }
    if (__builtin_sub_overflow(ctx->deadline_ns, mesh__now_ns(), &left) || left <= 0) {
        return 0;
    }
    return left / MESH_NS_PER_MS + (left % MESH_NS_PER_MS != 0); /* 0 only when it has passed */
}

bool mesh_ctx_cancelled(const struct mesh_ctx *ctx)
{
    return ctx->cancelled != NULL && atomic_load_explicit(ctx->cancelled, memory_order_acquire);
}

bool mesh_ctx_stopping(const struct mesh_ctx *ctx)
{
    return ctx->stopping != NULL && atomic_load_explicit(ctx->stopping, memory_order_acquire);
}

MESH_STATUS mesh__ctx_in_time(struct mesh_ctx *ctx)
{
    if (mesh_ctx_cancelled(ctx)) {
        return mesh_fail(ctx, MESH_CANCELLED, "the call was cancelled");
    }
    if (mesh_ctx_remaining_ms(ctx) == 0) {
        return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "the deadline has passed");
    }
    return MESH_OK;
}

MESH_STATUS mesh__ctx_may_wait(struct mesh_ctx *ctx)
{
    MESH_TRY(mesh__ctx_in_time(ctx));
    if (mesh_ctx_stopping(ctx)) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "%s", mesh__stopping_text);
    }
    return MESH_OK;
}

MESH_STATUS mesh_ctx_sleep(struct mesh_ctx *ctx, int64_t ms)
{
    int64_t end_ns = mesh__in_ms(ms);
    int64_t now_ns;
    enum mesh_status status;

    while ((status = mesh__ctx_may_wait(ctx)) == MESH_OK && (now_ns = mesh__now_ns()) < end_ns) {
        int64_t look_ns = mesh__after_ms(now_ns, MESH_LOOK_EVERY_MS);
        int64_t until_ns = ctx->deadline_ns < end_ns ? ctx->deadline_ns : end_ns;

        mesh__sleep_until(look_ns < until_ns ? look_ns : until_ns);
    }
    return status;
}

/* ---- views and forks ---- */

static struct mesh_ctx *view(struct mesh_ctx *ctx, int64_t deadline_ns)
{
    struct mesh_ctx *narrow = mesh_alloc(ctx, sizeof(*narrow));

    *narrow = *ctx;
    narrow->deadline_ns = deadline_ns;
    return narrow;
}

struct mesh_ctx *mesh_ctx_timeout(struct mesh_ctx *ctx, int64_t timeout_ms)
{
    int64_t deadline_ns = mesh__in_ms(timeout_ms);

    return view(ctx, deadline_ns < ctx->deadline_ns ? deadline_ns : ctx->deadline_ns);
}

struct mesh_ctx *mesh_ctx_reserve(struct mesh_ctx *ctx, int64_t reserve_ms)
{
    int64_t deadline_ns = ctx->deadline_ns;
    int64_t reserve_ns;

    if (deadline_ns != MESH_NO_DEADLINE && reserve_ms > 0 &&
        (__builtin_mul_overflow(reserve_ms, MESH_NS_PER_MS, &reserve_ns) ||
         __builtin_sub_overflow(deadline_ns, reserve_ns, &deadline_ns))) {
        deadline_ns = 0;
    }
    return view(ctx, deadline_ns);
}

struct mesh_ctx *mesh_ctx_closing(struct mesh_ctx *ctx)
{
    struct mesh_ctx *closing = view(ctx, mesh__in_ms(CLOSING_MS));

    closing->cancelled = NULL;
    closing->stopping = NULL;
    closing->inbound = NULL;
    return closing;
}

struct mesh_ctx *mesh_ctx_fork(struct mesh_ctx *ctx)
{
    const struct mesh__scope *from = ctx->scope;
    struct root *root = root_new(mesh__arena_cap(from->arena));
    struct mesh__scope *scope = &root->scope;

    scope->service = from->service;
    scope->trace = from->trace;
    memcpy(scope->correlation_id, from->correlation_id, sizeof(scope->correlation_id));
    memcpy(scope->causation_id, from->causation_id, sizeof(scope->causation_id));
    /* These live as long as ctx, longer than its forks, and are never changed once they are in. */
    scope->event_id = from->event_id;
    scope->event_time_us = from->event_time_us;
    scope->request_metadata = from->request_metadata;
    scope->outgoing = from->outgoing;
    scope->serves = from->serves;
    root->ctx.deadline_ns = ctx->deadline_ns;
    root->ctx.cancelled = ctx->cancelled;
    root->ctx.stopping = ctx->stopping;
    root->ctx.inbound = ctx->inbound;
    return &root->ctx;
}

/* ---- identity ---- */

const char *mesh_ctx_correlation_id(const struct mesh_ctx *ctx)
{
    return ctx->scope->correlation_id;
}

void mesh_ctx_set_correlation_id(struct mesh_ctx *ctx, const char *correlation_id)
{
    char *kept = ctx->scope->correlation_id;
    size_t size = 0;

    if (correlation_id != NULL) {
        size = mesh__utf8_cut(correlation_id, sizeof(ctx->scope->correlation_id) - 1);
        memmove(kept, correlation_id, size);
    }
    kept[size] = '\0';
}

const char *mesh_ctx_trace_id(const struct mesh_ctx *ctx)
{
    return ctx->scope->trace.trace_id;
}
