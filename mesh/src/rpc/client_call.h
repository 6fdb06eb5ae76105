/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller's unary calls and streams have in common: the destination, the thread's queue, one
 * attempt and its end. */
#ifndef MESH_RPC_CLIENT_CALL_H
#define MESH_RPC_CLIENT_CALL_H

#include "core/ctx_impl.h"
#include "mesh/client.h"
#include "mesh/stream.h"
#include "rpc/call_metrics.h"
#include "rpc/client_counts.h"
#include "rpc/client_impl.h"
#include "rpc/client_rules.h"
#include "rpc/limit.h"
#include "rpc/retry_budget.h"
#include "rpc/wire.h"

#include <pthread.h>

/* ---- the destination ---------------------------------------------------------------------- */

/* What is kept of each method, from the first call to it for as long as the client lives. */
struct mesh__method_state {
    struct mesh__method_state *next;
    const struct mesh_method *method;
    const char *destination;
    struct mesh__call_metrics *metrics;
    struct mesh__breaker *breaker;
    struct mesh_gauge *breaker_state;
};

struct mesh_client {
    char *name; /* of the destination, for texts */
    struct mesh__endpoints *endpoints;
    struct mesh__retry_budget *budget;
    struct mesh__limit workers;  /* calls */
    struct mesh__limit requests; /* attempts in flight */
    struct mesh__limit pending;  /* calls that wait for an endpoint */
    int64_t n_workers;           /* of the process; 0: it has none */
    bool keeps_reserve;          /* callers have something to record afterwards */
    struct mesh__client_counts counts;
    _Atomic(struct mesh__method_state *) methods;
    size_t index; /* of the destination in the policies */
    struct mesh__policies *policies;
    struct mesh__policies *own_policies; /* those of a program that is no service */
    struct mesh_peer *own_peers;         /* and what they point to */
    char *own_name;
    pthread_mutex_t mutex;                   /* while a policy is put in force */
    _Atomic(struct mesh__policy *) in_force; /* held */
};

/* The policy of now, to be released; what it changes for this destination is in force. */
struct mesh__policy *mesh__client_policy(struct mesh_client *client,
                                         const struct mesh__destination_policy **ret_destination);
/* Finds or makes it. */
struct mesh__method_state *mesh__client_method(struct mesh_client *client,
                                               const struct mesh_method *method);
void mesh__client_methods_set(struct mesh_client *client,
                              const struct mesh__destination_values *values);
void mesh__client_methods_free(struct mesh_client *client);

/* ---- the thread's queue ------------------------------------------------------------------- */

/* One started batch; its address is the tag. Used by the thread that started it only. */
struct mesh__op {
    bool pending;
    bool ok; /* once it is no longer pending */
};

/* The queue of this thread, made at its first use. */
struct wire_queue *mesh__client_queue(void);
/* Wakes mesh__queue_turn() of this thread, when something else has changed that it waits for. */
void *mesh__client_wake_tag(void);
/* Takes one completion, of whichever operation; false when until_ns has passed without one. */
bool mesh__queue_turn(int64_t until_ns);
/*
 * Takes completions until op is done (true) or until_ns has passed. The thread's unary calls go on
 * meanwhile: mesh__calls_step().
 */
bool mesh__op_wait(struct mesh__op *op, int64_t until_ns);
/* Before the first call: contexts that end learn to drain their calls. */
void mesh__calls_init(void);
/*
 * Does what is due in the calls of this thread; returns when something will be. It may have taken
 * completions, of others too: then that is now.
 */
int64_t mesh__calls_step(void);

/* ---- one attempt -------------------------------------------------------------------------- */

/* How often who waits looks at a cancellation that the library cannot see. */
#define MESH__LOOK_NS (20 * MESH_NS_PER_MS)

/* A call on the wire, from its start to its status. */
struct mesh__attempt {
    struct wire_call *wire;
    const struct mesh__rules *rules;
    struct mesh__endpoint *endpoint;
    int64_t number; /* of the call's attempts, retries and hedges: from 1 */
    int64_t started_ns;
    int64_t deadline_ns; /* that of the call, or an earlier one of its own */
    int64_t ended_ns;    /* 0: nobody has seen its status yet */
    bool cancelled;      /* by this side */
};

/*
 * Makes the call on the wire, to an endpoint that was picked. The place among the requests in
 * flight was taken.
 */
void mesh__attempt_start(struct mesh__attempt *attempt, const struct mesh_ctx *ctx,
                         struct mesh__rules *rules, struct mesh__endpoint *endpoint,
                         int64_t deadline_ns);
/* What is sent first: trace, correlation id and the context's own pairs; in ctx's arena. */
const struct wire_pair *mesh__attempt_metadata(struct mesh_ctx *ctx,
                                               const struct mesh__rules *rules, size_t *ret_n);
/* Starts a batch whose completion is op. */
void mesh__attempt_batch(const struct mesh__attempt *attempt, const struct wire_batch *batch,
                         struct mesh__op *op);
/*
 * Waits for op; cancels the call when ctx is cancelled. False: until_ns has passed and op is still
 * under way.
 */
bool mesh__attempt_await(const struct mesh_ctx *ctx, struct mesh__attempt *attempt,
                         struct mesh__op *op, int64_t until_ns);
void mesh__attempt_cancel(struct mesh__attempt *attempt);
/* After WIRE_RECV_STATUS, before all that follows: learns whether this side has ended it. */
void mesh__attempt_over(struct mesh__attempt *attempt, const struct mesh_ctx *ctx);
/* After WIRE_RECV_STATUS: the code, within those that gRPC knows. */
enum mesh_status mesh__attempt_code(const struct mesh__attempt *attempt);
/* After WIRE_RECV_STATUS: its own deadline, not that of the call, has ended it. */
bool mesh__attempt_was_cut(const struct mesh__attempt *attempt);
/* After WIRE_RECV_STATUS: what kind of failure it is, and what the peer says of another try. */
struct mesh__failure mesh__attempt_failure(const struct mesh__attempt *attempt,
                                           const char **ret_pushback);
/* The same: the rules of its call learn of it. */
void mesh__attempt_tell(const struct mesh__attempt *attempt, struct mesh__rules *rules);
/* After WIRE_RECV_STATUS: puts the reply metadata into ctx. */
void mesh__attempt_reply(struct mesh_ctx *ctx, const struct mesh__attempt *attempt);
/* After WIRE_RECV_STATUS: if the call failed, puts text and details into ctx. */
MESH_STATUS mesh__attempt_status(struct mesh_ctx *ctx, const struct mesh__attempt *attempt);
/* Unpacks a received message into ctx's arena and frees it. */
MESH_STATUS mesh__attempt_unpack(struct mesh_ctx *ctx, const struct mesh__attempt *attempt,
                                 struct wire_message *message, ProtobufCMessage **ret_message);
/* The endpoint learns the result; the wire stays. again: what comes of it, for the log. */
void mesh__attempt_leave(struct mesh__attempt *attempt, const struct mesh_ctx *ctx,
                         enum mesh_status status, enum mesh__ejection_result result,
                         const char *again);
/* Frees the call; nothing of it may be under way. */
void mesh__attempt_free(struct mesh__attempt *attempt);

/* The request's bytes. */
struct wire_message *mesh__client_pack(const ProtobufCMessage *message);

/* ---- streams ------------------------------------------------------------------------------ */

/* For a context that ends: cancels its streams, without waiting, and then waits for their ends. */
void mesh__streams_cancel(struct mesh__scope *scope);
void mesh__streams_drain(struct mesh__scope *scope);

#endif
