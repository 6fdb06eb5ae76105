/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a context, for the runtime only. */
#ifndef MESH_CORE_CTX_IMPL_H
#define MESH_CORE_CTX_IMPL_H

#include "core/arena.h"
#include "mesh/ctx.h"
#include "mesh/service.h"

#include <stdarg.h>
#include <stdatomic.h>

struct wire_call;
struct mesh_call;
struct mesh_stream;

#define MESH_CORRELATION_MAX 128

/* The W3C trace context (https://www.w3.org/TR/trace-context/) of a call. */
struct mesh__trace {
    char trace_id[33];  /* hex */
    char span_id[17];   /* hex: our own span */
    char parent_id[17]; /* hex: the caller's span, "" at the root */
    uint8_t flags;
    const char *state; /* tracestate: what tracing systems keep of the trace; NULL: none */
};

/* One pair of answer or outgoing metadata. */
struct mesh__pair {
    struct mesh__pair *next;
    const char *key;
    const void *value;
    size_t size;
};

struct mesh__violation {
    const char *field;
    const char *rule;
    const char *text;
};

/* The last failure of a call: what becomes grpc-status, grpc-message and grpc-status-details-bin.
 */
struct mesh__error {
    enum mesh_status status;
    const char *text;
    const char *reason;        /* ErrorInfo, NULL if none */
    const char *domain;        /* ErrorInfo */
    int64_t retry_ms;          /* RetryInfo, -1 if none */
    bool final;                /* enough was tried: callers are told not to try again */
    const char *resource_type; /* ResourceInfo, NULL if none */
    const char *resource_name;
    const struct mesh__violation *violations; /* BadRequest */
    size_t n_violations;
    const char *constraint; /* of the last SQL failure, NULL if none */
    char sqlstate[6];
};

/* What all views of one call share; lives in the arena. */
struct mesh__scope {
    struct mesh_arena *arena;
    struct mesh__error *error;
    struct mesh__trace trace;
    char correlation_id[MESH_CORRELATION_MAX + 1];
    char causation_id[129]; /* event id or trace id that caused this call */
    const char *event_id;   /* in event handlers */
    int64_t event_time_us;
    const char *service; /* this process's service name: the domain of ErrorInfo */
    const struct mesh__pair *request_metadata;
    struct mesh__pair *initial, *trailing, *outgoing; /* in reverse order of adding */
    const struct mesh__pair *reply_metadata;          /* of the last finished outgoing call */
    struct mesh__pair *notes;                         /* text values for the call's log line */
    struct mesh_call *calls;     /* outgoing calls not yet waited for; the client owns the list */
    struct mesh_stream *streams; /* outgoing streams not yet finished; the client owns the list */
    bool serves; /* a call of the server: what waits in it, its closing views too, holds a thread */
};

struct mesh_ctx {
    struct mesh__scope *scope;
    int64_t deadline_ns;          /* monotonic, MESH_NO_DEADLINE for none */
    const atomic_bool *cancelled; /* NULL: cannot be cancelled */
    const atomic_bool *stopping;  /* the server drains; NULL: it does not matter */
    struct wire_call
        *inbound; /* parent of outgoing calls; NULL for closing and background contexts */
};

/* Cancellation and drain are flags: nothing wakes for them, so whoever waits looks so often. */
#define MESH_LOOK_EVERY_MS 100
extern const char mesh__stopping_text[];
/* Fails if ctx was cancelled or its deadline has passed. */
MESH_STATUS mesh__ctx_in_time(struct mesh_ctx *ctx);
/* Fails if ctx lets nobody wait any longer: the same, or its server drains. */
MESH_STATUS mesh__ctx_may_wait(struct mesh_ctx *ctx);

/* A context of its own with a new arena: for event batches, jobs and tests. Free it with
 * mesh__ctx_free(). */
struct mesh_ctx *mesh__ctx_new(const char *service, size_t arena_cap, int64_t deadline_ns);
/* Cancels and drains what its calls left behind, then frees all memory. NULL is fine. */
void mesh__ctx_free(struct mesh_ctx *ctx);
/* Empties the context for the next use by the same thread. */
void mesh__ctx_reset(struct mesh_ctx *ctx, int64_t deadline_ns);
/* Set once by the client: drains the calls and streams of a scope before its memory goes. */
extern void (*mesh__ctx_drain)(struct mesh_ctx *ctx);

/* Takes the trace from a traceparent value, or starts a new one if it is NULL or not valid. */
void mesh__trace_from(struct mesh__trace *trace, const char *traceparent);
/* Writes "00-<trace>-<span>-<flags>" (55 characters and a NUL). */
void mesh__trace_format(const struct mesh__trace *trace, char ret_traceparent[56]);

#define MESH_TRACESTATE_MAX 512 /* a longer one is dropped, which the standard allows */
/* Takes the tracestate of the request, too, if its trace was taken; after mesh__trace_from(). */
void mesh__trace_take_state(struct mesh_ctx *ctx);

/* Whether a text can be the value of a metadata pair: printable ASCII, from 1 to max bytes. */
bool mesh__is_metadata_text(const char *text, size_t size, size_t max);

/* The serialized google.rpc.Status of ctx's error with its details, in ctx's arena. NULL if there
 * are no details. */
const uint8_t *mesh__error_details(struct mesh_ctx *ctx, enum mesh_status status, size_t *ret_size);
/* Sets ctx's error from a peer's answer. details may be NULL; bad details are ignored. */
void mesh__error_from_peer(struct mesh_ctx *ctx, enum mesh_status status, const char *text,
                           const uint8_t *details, size_t details_size);
/*
 * Marks ctx's error as one that callers should not try again, as the retries on this side are
 * spent. One without a reason gets this one, of the domain "mesh"; retry_ms -1: no RetryInfo.
 */
void mesh__error_is_final(struct mesh_ctx *ctx, const char *reason, int64_t retry_ms);
/* Makes one that was taken from ctx, or a view of the same call, its failure again; what SQL said
 * last stays. */
void mesh__error_put(struct mesh_ctx *ctx, const struct mesh__error *error);
#define MESH__MESH_DOMAIN "mesh" /* of ErrorInfo */
void mesh__error_clear(struct mesh_ctx *ctx);
/* The last failure of from, with all its details, becomes that of ctx, in ctx's memory. */
void mesh__error_copy(struct mesh_ctx *ctx, const struct mesh_ctx *from);

/* What a context's error keeps of each text; longer ones are cut between characters. */
#define MESH_ERROR_TEXT_MAX 1024
#define MESH_ERROR_NAME_MAX 128 /* of reasons, rules and type names */
#define MESH_VIOLATIONS_MAX 32
/* Text itself, or a copy in ctx's memory that is cut to max bytes and made valid UTF-8. */
const char *mesh__clean_text(struct mesh_ctx *ctx, const char *text, size_t max);

/* A copy of size bytes and a NUL. */
char *mesh__strndup(struct mesh_ctx *ctx, const void *bytes, size_t size);
char *mesh__vprintf(struct mesh_ctx *ctx, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Collects violations of a validator into ctx; mesh__violations_fail() is MESH_OK if there were
 * none. */
struct mesh_violations *mesh__violations_new(struct mesh_ctx *ctx);
/* Paths into a request of this type leave out the keys of maps that are sensitive, or inside of
 * what is. */
void mesh__violations_hide(struct mesh_violations *violations,
                           const ProtobufCMessageDescriptor *request,
                           const struct mesh_sensitive_type *const *sensitive);
MESH_STATUS mesh__violations_fail(struct mesh_ctx *ctx, struct mesh_violations *violations);

#endif
