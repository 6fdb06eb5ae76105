/* SPDX-License-Identifier: Apache-2.0 */
/* The context of one call: deadline, cancellation, memory, error text, trace and metadata. */
#ifndef MESH_CTX_H
#define MESH_CTX_H

#include "mesh/cleanup.h"
#include "mesh/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One context belongs to one thread at a time. Everything allocated from it dies with it. The
 * runtime makes one for every call it serves, every batch of events and every run of a job.
 */
struct mesh_ctx;

/* ---- memory ------------------------------------------------------------------------------- */

/* Zeroed memory that lives as long as ctx; never NULL (out of memory ends the process). */
void *mesh_alloc(struct mesh_ctx *ctx, size_t size);
/* A copy of text; NULL stays NULL. */
char *mesh_strdup(struct mesh_ctx *ctx, const char *text);
/* A formatted string. */
char *mesh_printf(struct mesh_ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- failing ------------------------------------------------------------------------------ */

/*
 * Each sets the text (and details) of the failure and returns the status, so that a function says
 * `return mesh_fail(ctx, MESH_NOT_FOUND, "order %s does not exist", id);`. The text of the last
 * failure wins. Texts of MESH_INTERNAL and MESH_UNKNOWN go to the log and never to a client. What
 * is longer than 1024 bytes is cut. Texts are copied; no value of a sensitive field belongs into
 * one.
 */
MESH_STATUS mesh_fail(struct mesh_ctx *ctx, enum mesh_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a google.rpc.ErrorInfo whose reason is an UPPER_SNAKE_CASE constant that programs may test.
 */
MESH_STATUS mesh_fail_reason(struct mesh_ctx *ctx, enum mesh_status status, const char *reason,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* MESH_UNAVAILABLE with a google.rpc.RetryInfo: try the same call again after after_ms. */
MESH_STATUS mesh_fail_retry(struct mesh_ctx *ctx, int64_t after_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * The same because a call to a peer has failed just now: if enough was tried there, callers are
 * still told so, with its reason, and do not try again by themselves (docs/policy.md).
 */
MESH_STATUS mesh_fail_retry_peer(struct mesh_ctx *ctx, int64_t after_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* MESH_INVALID_ARGUMENT with a google.rpc.BadRequest that names the field by its path. */
MESH_STATUS mesh_fail_field(struct mesh_ctx *ctx, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a google.rpc.ResourceInfo (type such as "order", name such as its id). */
MESH_STATUS mesh_fail_resource(struct mesh_ctx *ctx, enum mesh_status status, const char *type,
                               const char *name, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The text of the last failure, also of a peer's; "" if there was none. */
const char *mesh_ctx_error(const struct mesh_ctx *ctx);
/* The ErrorInfo reason of the last failure, also of a peer's; "" if it has none. */
const char *mesh_ctx_error_reason(const struct mesh_ctx *ctx);
/*
 * True if the last failure is the mesh's, here or further down: refused by a breaker, a limit or a
 * fault, no endpoint, retries spent. Whatever its status, it says nothing of the business.
 */
bool mesh_ctx_error_is_of_mesh(const struct mesh_ctx *ctx);
/* The RetryInfo delay of the last failure in milliseconds; -1 if it has none. */
int64_t mesh_ctx_error_retry_ms(const struct mesh_ctx *ctx);

/* ---- time --------------------------------------------------------------------------------- */

/* Milliseconds until the deadline, 0 when it has passed, INT64_MAX when there is none. */
int64_t mesh_ctx_remaining_ms(const struct mesh_ctx *ctx);
/* True once the client has cancelled or gone away, or the server cuts calls off at its end. */
bool mesh_ctx_cancelled(const struct mesh_ctx *ctx);

/*
 * True once the server drains: a stop has begun, and what runs should come to its end. Reads of a
 * stream on which nothing comes any more and waits then end with MESH_UNAVAILABLE.
 */
bool mesh_ctx_stopping(const struct mesh_ctx *ctx);
/*
 * Does nothing for so long. MESH_CANCELLED, MESH_DEADLINE_EXCEEDED or, when the server drains,
 * MESH_UNAVAILABLE if the call is to end before.
 */
MESH_STATUS mesh_ctx_sleep(struct mesh_ctx *ctx, int64_t ms);

/*
 * Narrower views of the same call. They share memory, error text, trace and metadata with ctx, live
 * as long as ctx and are not freed.
 */
/* At most timeout_ms from now, never later than ctx's own deadline. */
struct mesh_ctx *mesh_ctx_timeout(struct mesh_ctx *ctx, int64_t timeout_ms);
/* Ends reserve_ms before ctx does, so that the outcome can still be recorded. */
struct mesh_ctx *mesh_ctx_reserve(struct mesh_ctx *ctx, int64_t reserve_ms);
/*
 * A view that the client's deadline and cancellation do not reach, with one second of its own: for
 * what must be recorded once something irrevocable may have happened.
 */
struct mesh_ctx *mesh_ctx_closing(struct mesh_ctx *ctx);

/*
 * A child with memory and an error text of its own, for calls that run in parallel or for one round
 * of a long loop. Deadline, cancellation, trace and correlation are ctx's. Freed by cleanup_ctx, at
 * the latest before ctx ends.
 */
struct mesh_ctx *mesh_ctx_fork(struct mesh_ctx *ctx);

/*
 * A context of no call, for programs that only make calls: with a trace of its own and timeout_ms
 * from now. Freed by cleanup_ctx.
 */
struct mesh_ctx *mesh_ctx_background(int64_t timeout_ms);

/* ---- identity and metadata ---------------------------------------------------------------- */

/* The business id that this call belongs to, carried on to peers, events and the log; "" if none.
 */
const char *mesh_ctx_correlation_id(const struct mesh_ctx *ctx);
/* Copied; at most 128 bytes are kept. */
void mesh_ctx_set_correlation_id(struct mesh_ctx *ctx, const char *correlation_id);
/* The W3C trace id, 32 lower-case hex digits. */
const char *mesh_ctx_trace_id(const struct mesh_ctx *ctx);

/*
 * The first value of a metadata key of the request (lower case; "-bin" keys hold raw bytes).
 * Returns NULL if absent. *ret_size, if not NULL, gets the size in bytes; a NUL follows the value.
 */
const char *mesh_ctx_metadata(const struct mesh_ctx *ctx, const char *key, size_t *ret_size);
/*
 * Key and value are copied. A key has lower-case letters, digits, '-', '_' and '.' only; any other
 * is a bug and ends the process. Without "-bin" at the key's end, what is not printable ASCII in
 * the value becomes '?'. Keys of the protocol ("grpc-status", "content-type", ...) are not sent in
 * answers.
 */
/* Answer metadata. Initial metadata added after the first message of a stream is ignored. */
void mesh_ctx_add_initial_metadata(struct mesh_ctx *ctx, const char *key, const void *value,
                                   size_t size);
void mesh_ctx_add_trailing_metadata(struct mesh_ctx *ctx, const char *key, const void *value,
                                    size_t size);
/* Metadata for the calls that this context makes, beside what the runtime sends itself. */
void mesh_ctx_add_outgoing_metadata(struct mesh_ctx *ctx, const char *key, const void *value,
                                    size_t size);
/* Metadata that the peer sent back on the last finished call: initial, then trailing. NULL if
 * absent. */
const char *mesh_ctx_reply_metadata(const struct mesh_ctx *ctx, const char *key, size_t *ret_size);

/* Adds a field to the one log line that the finished call gets, such as ("order_id", "%s", id).
 * The last value of a key stands; never a sensitive one. */
void mesh_ctx_note(struct mesh_ctx *ctx, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
