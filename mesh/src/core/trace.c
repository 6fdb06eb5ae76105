/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"

#include <string.h>

#define TRACE_ID_AT 3
#define TRACE_ID_SIZE 32
#define PARENT_ID_AT 36
#define PARENT_ID_SIZE 16
#define FLAGS_AT 53
#define TRACEPARENT_SIZE 55
#define SAMPLED 0x01

static const char digits[] = "0123456789abcdef";

/* Random lower-case hex digits, not all zero, and a NUL. n is even. */
static void random_hex(char *ret_hex, size_t n)
{
    unsigned char bytes[TRACE_ID_SIZE / 2];
    unsigned char any = 0;

    mesh__random(bytes, n / 2);
    for (size_t i = 0; i < n / 2; i++) {
        any |= bytes[i];
        ret_hex[2 * i] = digits[bytes[i] >> 4];
        ret_hex[2 * i + 1] = digits[bytes[i] & 0x0f];
    }
    if (any == 0) { /* reserved for "not valid" */
        ret_hex[n - 1] = '1';
    }
    ret_hex[n] = '\0';
}

/* n lower-case hex digits; upper case is not valid in this header. */
static bool is_hex(const char *text, size_t n)
{
    return strspn(text, digits) >= n;
}

static bool is_id(const char *text, size_t n)
{
    return is_hex(text, n) && strspn(text, "0") < n;
}

static uint8_t hex_byte(const char *text)
{
    size_t high = (size_t)(strchr(digits, text[0]) - digits);
    size_t low = (size_t)(strchr(digits, text[1]) - digits);

    return (uint8_t)(high << 4 | low);
}

/* https://www.w3.org/TR/trace-context/#traceparent-header; later versions may append fields. */
static bool is_valid(const char *text)
{
    size_t size = strnlen(text, TRACEPARENT_SIZE + 1);

    if (size < TRACEPARENT_SIZE || !is_hex(text, 2) || memcmp(text, "ff", 2) == 0) {
        return false;
    }
    if (size > TRACEPARENT_SIZE && (memcmp(text, "00", 2) == 0 || text[TRACEPARENT_SIZE] != '-')) {
        return false;
    }
    return text[TRACE_ID_AT - 1] == '-' && text[PARENT_ID_AT - 1] == '-' &&
           text[FLAGS_AT - 1] == '-' && is_id(text + TRACE_ID_AT, TRACE_ID_SIZE) &&
           is_id(text + PARENT_ID_AT, PARENT_ID_SIZE) && is_hex(text + FLAGS_AT, 2);
}

void mesh__trace_from(struct mesh__trace *trace, const char *traceparent)
{
    if (traceparent != NULL && is_valid(traceparent)) {
        memcpy(trace->trace_id, traceparent + TRACE_ID_AT, TRACE_ID_SIZE);
        trace->trace_id[TRACE_ID_SIZE] = '\0';
        memcpy(trace->parent_id, traceparent + PARENT_ID_AT, PARENT_ID_SIZE);
        trace->parent_id[PARENT_ID_SIZE] = '\0';
        trace->flags = hex_byte(traceparent + FLAGS_AT) & SAMPLED; /* all that version 00 knows */
    } else {
        random_hex(trace->trace_id, TRACE_ID_SIZE);
        trace->parent_id[0] = '\0';
        trace->flags = SAMPLED;
    }
    random_hex(trace->span_id, PARENT_ID_SIZE);
    trace->state = NULL;
}

void mesh__trace_take_state(struct mesh_ctx *ctx)
{
    char state[MESH_TRACESTATE_MAX + 1];
    size_t size = 0;

    if (ctx->scope->trace.parent_id[0] == '\0') {
        return; /* it belongs to a trace that we do not go on with */
    }
    for (const struct mesh__pair *pair = ctx->scope->request_metadata; pair != NULL;
         pair = pair->next) {
        size_t comma = size > 0 ? 1 : 0; /* several headers are one list */

        if (strcmp(pair->key, "tracestate") != 0) {
            continue;
        }
        if (size + comma + pair->size > MESH_TRACESTATE_MAX ||
            !mesh__is_metadata_text(pair->value, pair->size, MESH_TRACESTATE_MAX)) {
            return;
        }
        memcpy(state + size, ",", comma);
        memcpy(state + size + comma, pair->value, pair->size);
        size += comma + pair->size;
    }
    ctx->scope->trace.state = size > 0 ? mesh__strndup(ctx, state, size) : NULL;
}

void mesh__trace_format(const struct mesh__trace *trace, char ret_traceparent[56])
{
    memcpy(ret_traceparent, "00-", TRACE_ID_AT);
    memcpy(ret_traceparent + TRACE_ID_AT, trace->trace_id, TRACE_ID_SIZE);
    ret_traceparent[PARENT_ID_AT - 1] = '-';
    memcpy(ret_traceparent + PARENT_ID_AT, trace->span_id, PARENT_ID_SIZE);
    ret_traceparent[FLAGS_AT - 1] = '-';
    ret_traceparent[FLAGS_AT] = digits[trace->flags >> 4];
    ret_traceparent[FLAGS_AT + 1] = digits[trace->flags & 0x0f];
    ret_traceparent[TRACEPARENT_SIZE] = '\0';
}
