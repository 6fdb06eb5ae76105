/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller's unary calls and streams have in common: the thread's queue, one attempt and its
 * end. */
#ifndef MESH_RPC_CLIENT_CALL_H
#define MESH_RPC_CLIENT_CALL_H

#include "core/ctx_impl.h"
#include "mesh/client.h"
#include "mesh/stream.h"
#include "rpc/call_metrics.h"
#include "rpc/client_transport.h"
#include "rpc/wire.h"

struct mesh__method_metrics;

struct mesh_client {
    char *name; /* of the destination, for texts */
    int64_t timeout_ms;
    struct wire_channel *channel;
    _Atomic(struct mesh__method_metrics *) metrics; /* of the methods called so far */
};

/* ---- the thread's queue ------------------------------------------------------------------- */

/* One started batch; its address is the tag. Used by the thread that started it only. */
struct mesh__op {
    bool pending;
    bool ok; /* once it is no longer pending */
};

/* The queue of this thread, made at its first use. */
struct wire_queue *mesh__client_queue(void);
/* Takes completions, of whichever operations, until op is done (true) or until_ns has passed. */
bool mesh__op_wait(struct mesh__op *op, int64_t until_ns);

/* ---- one attempt -------------------------------------------------------------------------- */

/* A call on the wire, from its start to its status. */
struct mesh__attempt {
    struct wire_call *wire;
    const struct mesh_client *client;
    const struct mesh_method *method;
    struct mesh__call_metrics *metrics;
    int64_t started_ns;
    int64_t deadline_ns;
};

/* MESH_CANCELLED or MESH_DEADLINE_EXCEEDED if there is no point in sending anything. */
enum mesh_status mesh__attempt_refused(const struct mesh_ctx *ctx, int64_t deadline_ns);
/* Sets the text of such a refusal. */
MESH_STATUS mesh__attempt_refuse(struct mesh_ctx *ctx, const struct mesh_client *client,
                                 const struct mesh_method *method, enum mesh_status status);
/*
 * Makes the call on the wire. This is the seam around the library's call_new: choosing an endpoint,
 * retries, breaker and limits belong around it.
 */
void mesh__attempt_start(struct mesh__attempt *attempt, const struct mesh_ctx *ctx,
                         struct mesh_client *client, const struct mesh_method *method,
                         int64_t started_ns, int64_t deadline_ns);
/* What is sent first: trace, correlation id and the context's own pairs; in ctx's arena. */
const struct wire_pair *mesh__attempt_metadata(struct mesh_ctx *ctx, size_t *ret_n);
/* Starts a batch whose completion is op. */
void mesh__attempt_batch(const struct mesh__attempt *attempt, const struct wire_batch *batch,
                         struct mesh__op *op);
/*
 * Waits for op; cancels the call when ctx is cancelled. False: until_ns has passed and op is still
 * under way.
 */
bool mesh__attempt_await(const struct mesh_ctx *ctx, const struct mesh__attempt *attempt,
                         struct mesh__op *op, int64_t until_ns);
/* After WIRE_RECV_STATUS: the code, within those that gRPC knows. */
enum mesh_status mesh__attempt_code(const struct mesh__attempt *attempt);
/* After WIRE_RECV_STATUS of a call that failed: what kind of failure that is. */
struct mesh__failure mesh__attempt_failure(const struct mesh__attempt *attempt);
/* After WIRE_RECV_STATUS: puts the reply metadata and, if the call failed, text and details into
 * ctx. */
MESH_STATUS mesh__attempt_status(struct mesh_ctx *ctx, const struct mesh__attempt *attempt);
/* Unpacks a received message into ctx's arena and frees it. */
MESH_STATUS mesh__attempt_unpack(struct mesh_ctx *ctx, const struct mesh__attempt *attempt,
                                 struct wire_message *message, ProtobufCMessage **ret_message);
/* Counts the result and frees the call; nothing of it may be under way. */
void mesh__attempt_done(struct mesh__attempt *attempt, enum mesh_status status);

/* The request's bytes. */
struct wire_message *mesh__client_pack(const ProtobufCMessage *message);

/* ---- metrics ------------------------------------------------------------------------------ */

/* Finds or makes the metrics of a method; they live as long as the client. */
struct mesh__call_metrics *mesh__client_metrics(struct mesh_client *client,
                                                const struct mesh_method *method);
void mesh__client_metrics_free(struct mesh_client *client);

/* ---- streams ------------------------------------------------------------------------------ */

/* For a context that ends: cancels its streams, without waiting, and then waits for their ends. */
void mesh__streams_cancel(struct mesh__scope *scope);
void mesh__streams_drain(struct mesh__scope *scope);

#endif
