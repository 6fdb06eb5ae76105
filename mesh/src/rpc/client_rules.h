/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy does to one call: whether it may be made, how long it may take, what is tried
 * again. The layers stand in ARCHITECTURE.md, "The mesh policy".
 */
#ifndef MESH_RPC_CLIENT_RULES_H
#define MESH_RPC_CLIENT_RULES_H

#include "core/ctx_impl.h"
#include "policy/policy.h"
#include "rpc/backoff.h"
#include "rpc/breaker.h"
#include "rpc/client_transport.h"
#include "rpc/endpoints.h"

struct mesh_client;
struct mesh__method_state;

#define MESH__CONNECT_MS 500         /* how long a call waits for an endpoint to become ready */
#define MESH__RETRIED "mesh-retried" /* goes down all hops of a retry: nobody there retries */
#define MESH__FAULT "x-mesh-fault"   /* asks for the fault of that name; goes on, too */

/* Why a call is not made, or not any more. All but the first two are of this side alone. */
enum mesh__refusal {
    MESH__NOT_REFUSED,
    MESH__REFUSED_LATE,      /* the deadline has passed */
    MESH__REFUSED_CANCELLED, /* by the context */
    MESH__REFUSED_BREAKER,
    MESH__REFUSED_WORKERS,
    MESH__REFUSED_REQUESTS, /* attempts in flight */
    MESH__REFUSED_PENDING,
    MESH__REFUSED_NO_ENDPOINT,
    MESH__REFUSED_FAULT,
    MESH__N_REFUSALS
};

/* What a call or an attempt has come to, apart from the context, which speaks of another by then.
 */
struct mesh__result {
    enum mesh_status status;
    struct mesh__error error; /* unless that is MESH_OK */
    enum mesh__breaker_outcome outcome;
};

/* One call, from mesh__rules_begin() to mesh__rules_end(). */
struct mesh__rules {
    struct mesh_client *client;
    const struct mesh_method *method;
    struct mesh__method_state *state;
    struct mesh__policy *policy; /* held */
    const struct mesh__route_values *values;
    int64_t started_ns;
    int64_t deadline_ns;
    bool own_time;                /* the deadline is the policy's, not the caller's */
    bool peers_time;              /* and the peer had all of it: none went by on this side */
    bool once;                    /* the caller is a retry itself */
    bool cut;                     /* the last attempt was, by its own timer */
    bool given_up;                /* as a mesh of ours says that the last attempt has failed in */
    struct mesh__failure failure; /* of the last attempt; {0}: none */
    struct mesh__result last; /* of the last attempt that another was to follow; MESH_OK: none */
    int64_t ended_ns;         /* when it was over; 0: it is not yet */
    bool judged;              /* the breaker knows the outcome */
    bool waits;               /* it has a place among the workers that wait */
    int64_t n_attempts;       /* sent */
    int64_t retries;
    int64_t n_places; /* retries and hedges under way, each with a place in the budget */
    struct mesh__breaker_pass pass;
    struct mesh__backoff backoff;
    struct mesh__pick pick;
    int64_t refused_ms; /* with a refusal: when to come again */
};

/* Unless it is MESH__NOT_REFUSED, there is nothing to end. */
enum mesh__refusal mesh__rules_begin(struct mesh__rules *rules, const struct mesh_ctx *ctx,
                                     struct mesh_client *client, const struct mesh_method *method);
enum mesh_status mesh__refusal_status(const struct mesh__rules *rules, enum mesh__refusal refusal);
/*
 * Sets the error of a refusal and returns its status; after an attempt that has failed, that is its
 * failure, which no other attempt has followed. For the breaker, that no endpoint could be
 * reached and that the policy's own time is over are failures of the peer.
 */
MESH_STATUS mesh__rules_refuse(struct mesh_ctx *ctx, struct mesh__rules *rules,
                               enum mesh__refusal refusal);

enum mesh__again {
    MESH__AGAIN,
    MESH__AGAIN_NOT,    /* it is none of the failures that are tried again */
    MESH__AGAIN_NO_MORE /* enough, or too much, was tried: nobody above should either */
};

/*
 * Whether to try again after that failure; if so, a place in the budget is held and *ret_pause_ns
 * is how long to wait. pushback: what the peer says of it, NULL: nothing.
 */
enum mesh__again mesh__rules_retry(struct mesh__rules *rules, const struct mesh__failure *failure,
                                   const char *pushback, int64_t *ret_pause_ns);
/* Whether one more attempt may run beside those under way; if so, a place is held. */
bool mesh__rules_take_place(struct mesh__rules *rules);
/* What was granted has ended. */
void mesh__rules_give_place(struct mesh__rules *rules);

/*
 * An endpoint for an attempt, with a place among those in flight. MESH__PICKED with *ret_endpoint
 * NULL: an endpoint is ready, but too many attempts are in flight.
 */
enum mesh__picked mesh__rules_pick(struct mesh__rules *rules, struct mesh__endpoint **ret_endpoint);
/* Nothing was sent to what was picked. */
void mesh__rules_unpick(const struct mesh__rules *rules, struct mesh__endpoint *endpoint);
/* No endpoint could be reached in time: as mesh__rules_retry() for that failure. */
enum mesh__again mesh__rules_not_ready(struct mesh__rules *rules, int64_t *ret_pause_ns);

/*
 * The faults of the policy for the attempt that is about to be sent. True: it is aborted.
 * *ret_delay_ms is how long it is held back; 0: it is not.
 */
bool mesh__rules_fault(const struct mesh__rules *rules, const struct mesh_ctx *ctx,
                       int64_t *ret_delay_ms);

/* For the breaker: the call has failed, or not, by what its peer says. Once; the end does it, too.
 */
void mesh__rules_judge(struct mesh__rules *rules, enum mesh__breaker_outcome outcome);
/* What a status means for the breaker, after mesh__attempt_tell(); before its error is marked as
 * final. */
enum mesh__breaker_outcome mesh__rules_outcome(const struct mesh_ctx *ctx,
                                               const struct mesh__rules *rules,
                                               enum mesh_status status);
/* status: the final one, for the metrics; a call that is not judged yet counts nowhere. */
void mesh__rules_end(struct mesh__rules *rules, enum mesh_status status);

#endif
