/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "core/utf8.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *mesh__clean_text(struct mesh_ctx *ctx, const char *text, size_t max)
{
    size_t size = mesh__utf8_cut(text, max);
    char *clean;
    size_t at = 0;

    if (mesh__utf8_valid(text, size) == size) {
        return text[size] == '\0' ? text : mesh__strndup(ctx, text, size);
    }
    clean = mesh_alloc(ctx, size * strlen(MESH_UTF8_REPLACEMENT) + 1);
    for (size_t i = 0; i < size;) {
        size_t step = mesh__utf8_step(text + i, size - i);
        const char *from = step != 0 ? text + i : MESH_UTF8_REPLACEMENT;
        size_t n = step != 0 ? step : strlen(MESH_UTF8_REPLACEMENT);

        memcpy(clean + at, from, n);
        at += n;
        i += step != 0 ? step : 1;
    }
    clean[mesh__utf8_cut(clean, max)] = '\0';
    return clean;
}

/* Replaces the failure by one without details. What SQL said last stays to be asked for. */
static struct mesh__error *set(struct mesh_ctx *ctx, enum mesh_status status, const char *text)
{
    struct mesh__error *error = ctx->scope->error;

    assert(status != MESH_OK);
    error->status = status;
    error->text = mesh__clean_text(ctx, text, MESH_ERROR_TEXT_MAX);
    error->reason = NULL;
    error->domain = NULL;
    error->retry_ms = -1;
    error->final = false;
    error->resource_type = NULL;
    error->resource_name = NULL;
    error->violations = NULL;
    error->n_violations = 0;
    return error;
}

/* Arguments may point into the last failure: the text is made before that is replaced. */
#define FORMAT(ctx, format, ret_text)                                                              \
    do {                                                                                           \
        va_list args_;                                                                             \
        va_start(args_, format);                                                                   \
        *(ret_text) = mesh__vprintf(ctx, format, args_);                                           \
        va_end(args_);                                                                             \
    } while (0)

enum mesh_status mesh_fail(struct mesh_ctx *ctx, enum mesh_status status, const char *format, ...)
{
    const char *text;

    FORMAT(ctx, format, &text);
    set(ctx, status, text);
    return status;
}

enum mesh_status mesh_fail_reason(struct mesh_ctx *ctx, enum mesh_status status, const char *reason,
                                  const char *format, ...)
{
    struct mesh__error *error;
    const char *text;

    FORMAT(ctx, format, &text);
    error = set(ctx, status, text);
    error->reason = mesh__clean_text(ctx, mesh_strdup(ctx, reason), MESH_ERROR_NAME_MAX);
    error->domain = ctx->scope->service;
    return status;
}

enum mesh_status mesh_fail_retry(struct mesh_ctx *ctx, int64_t after_ms, const char *format, ...)
{
    const char *text;

    FORMAT(ctx, format, &text);
    set(ctx, MESH_UNAVAILABLE, text)->retry_ms = after_ms > 0 ? after_ms : 0;
    return MESH_UNAVAILABLE;
}

enum mesh_status mesh_fail_retry_peer(struct mesh_ctx *ctx, int64_t after_ms, const char *format,
                                      ...)
{
    const struct mesh__error peers = *ctx->scope->error;
    struct mesh__error *error;
    const char *text;

    FORMAT(ctx, format, &text);
    error = set(ctx, MESH_UNAVAILABLE, text);
    error->retry_ms = after_ms > 0 ? after_ms : 0;
    if (peers.final) {
        error->final = true;
        error->reason = peers.reason;
        error->domain = peers.domain;
    }
    return MESH_UNAVAILABLE;
}

enum mesh_status mesh_fail_field(struct mesh_ctx *ctx, const char *field, const char *format, ...)
{
    struct mesh__violation *violation = mesh_alloc(ctx, sizeof(*violation));
    struct mesh__error *error;
    const char *text;

    FORMAT(ctx, format, &text);
    violation->field = mesh__clean_text(ctx, mesh_strdup(ctx, field), MESH_ERROR_TEXT_MAX);
    violation->text = mesh__clean_text(ctx, text, MESH_ERROR_TEXT_MAX);
    error = set(ctx, MESH_INVALID_ARGUMENT, mesh_printf(ctx, "%s: %s", field, text));
    error->violations = violation;
    error->n_violations = 1;
    return MESH_INVALID_ARGUMENT;
}

enum mesh_status mesh_fail_resource(struct mesh_ctx *ctx, enum mesh_status status, const char *type,
                                    const char *name, const char *format, ...)
{
    struct mesh__error *error;
    const char *text;

    FORMAT(ctx, format, &text);
    error = set(ctx, status, text);
    error->resource_type = mesh__clean_text(ctx, mesh_strdup(ctx, type), MESH_ERROR_NAME_MAX);
    error->resource_name = mesh__clean_text(ctx, mesh_strdup(ctx, name), MESH_ERROR_TEXT_MAX);
    return status;
}

const char *mesh_ctx_error(const struct mesh_ctx *ctx)
{
    return ctx->scope->error->text;
}

const char *mesh_ctx_error_reason(const struct mesh_ctx *ctx)
{
    const char *reason = ctx->scope->error->reason;

    return reason != NULL ? reason : "";
}

bool mesh_ctx_error_is_of_mesh(const struct mesh_ctx *ctx)
{
    const char *domain = ctx->scope->error->domain;

    return domain != NULL && strcmp(domain, MESH__MESH_DOMAIN) == 0;
}

int64_t mesh_ctx_error_retry_ms(const struct mesh_ctx *ctx)
{
    return ctx->scope->error->retry_ms;
}

void mesh__error_is_final(struct mesh_ctx *ctx, const char *reason, int64_t retry_ms)
{
    struct mesh__error *error = ctx->scope->error;

    error->final = true;
    if (error->reason == NULL) {
        error->reason = reason;
        error->domain = MESH__MESH_DOMAIN;
    }
    if (retry_ms >= 0) {
        error->retry_ms = retry_ms;
    }
}

void mesh__error_put(struct mesh_ctx *ctx, const struct mesh__error *error)
{
    struct mesh__error *old = ctx->scope->error;
    struct mesh__error put = *error;

    put.constraint = old->constraint;
    memcpy(put.sqlstate, old->sqlstate, sizeof put.sqlstate);
    *old = put;
}

void mesh__error_clear(struct mesh_ctx *ctx)
{
    *ctx->scope->error = (struct mesh__error){.text = "", .retry_ms = -1};
}

static const struct mesh__violation *copy_violations(struct mesh_ctx *ctx,
                                                     const struct mesh__error *from)
{
    struct mesh__violation *violations = mesh_alloc(ctx, from->n_violations * sizeof(*violations));

    for (size_t i = 0; i < from->n_violations; i++) {
        violations[i].field = mesh_strdup(ctx, from->violations[i].field);
        violations[i].rule = mesh_strdup(ctx, from->violations[i].rule);
        violations[i].text = mesh_strdup(ctx, from->violations[i].text);
    }
    return violations;
}

void mesh__error_copy(struct mesh_ctx *ctx, const struct mesh_ctx *from)
{
    struct mesh__error *error = ctx->scope->error;

    *error = *from->scope->error;
    error->text = mesh_strdup(ctx, error->text);
    error->reason = mesh_strdup(ctx, error->reason);
    error->domain = mesh_strdup(ctx, error->domain);
    error->resource_type = mesh_strdup(ctx, error->resource_type);
    error->resource_name = mesh_strdup(ctx, error->resource_name);
    error->constraint = mesh_strdup(ctx, error->constraint);
    error->violations = copy_violations(ctx, error);
}
