/* SPDX-License-Identifier: Apache-2.0 */
/* A service's client that a policy governs, and peers that do what a list of acts tells them. */
#ifndef GOVERNED_H
#define GOVERNED_H

#include "client_peer.h"
#include "mesh/client.h"
#include "mesh/main.h"
#include "rpc/client_impl.h"
#include "rpc/limit.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- the client ----------------------------------------------------------------------------- */

/* Parts of a policy, each an object's inside with ' for ". NULL: nothing of it. */
struct governed_options {
    const char *target;
    const char *mode;            /* NULL: library */
    const char *route;           /* of defaults.route */
    const char *destination;     /* of defaults.destination */
    const char *routes;          /* whose service is SELF */
    int64_t n_workers;           /* as in mesh__client_options */
    struct mesh__limit *waiting; /* the same */
    const char *file; /* the policy goes there and is followed; NULL: it stays as it is */
};

struct governed {
    char name[32]; /* of the destination: no other client has it, so metrics are its own */
    struct mesh_peer peers[2];
    struct governed_options options;
    struct mesh__policies *policies;
    struct mesh_client *client;
    struct mesh_ctx *ctx; /* without a deadline; as if a call of a server were handled */
};

void governed_start(struct governed *governed, const struct governed_options *options);
void governed_done(struct governed *governed);
/* Other values in the options' file; returns when they are in force. */
void governed_change(struct governed *governed, const char *route, const char *destination);

/* "Ask" has no side effects, "Buy" may be repeated, "Count" may not; "Watch" streams answers to one
 * question, "Talk" both ways. */
const struct mesh_method *governed_method(const char *name);
/* One call in an emptied context. */
enum mesh_status governed_call(struct governed *governed, const char *method);
/* The same within so many milliseconds. */
enum mesh_status governed_call_within(struct governed *governed, const char *method, int64_t ms);
/* Starts one in ctx, which may be governed->ctx or a fork of it. */
struct mesh_call *governed_begin(struct governed *governed, struct mesh_ctx *ctx,
                                 const char *method);
enum mesh_status governed_end(struct mesh_ctx *ctx, struct mesh_call *call);
/* Waits until calls succeed; false after `ms`. Each failure is followed by the next call at once.
 */
bool governed_recovers(struct governed *governed, const char *method, int64_t ms);
/* The reason in the error of the last call. */
const char *governed_reason(const struct governed *governed);
/* The value of a metric of this destination; label NULL: it has no other. */
int64_t governed_count(const struct governed *governed, const char *metric, const char *label,
                       const char *value);
/* Retries, whatever allowed them. */
int64_t governed_retries(const struct governed *governed);
/* Whether that stands in mesh__client_json(). */
bool governed_shows(struct governed *governed, const char *part);
/* Whether so many endpoints are in that state, a word of mesh__client_json(). */
bool governed_has_endpoints(struct governed *governed, const char *state, int n);
/* Waits until they are; false after 10 s. */
bool governed_await_endpoints(struct governed *governed, const char *state, int n);

/* For tests whose peers fail all the time. */
#define NO_BREAKER                                                                                 \
    "'circuitBreaker':{'consecutiveFailures':0,'failureRatePercent':0,'slowCallRatePercent':0}"
#define NO_EJECTION "'outlierDetection':{'consecutive5xxErrors':0,'consecutiveGatewayErrors':0}"

/* ---- peers ---------------------------------------------------------------------------------- */

/* What becomes of one call; the last act of a list goes on for ever. */
struct act {
    enum mesh_status status; /* MESH_OK: with an answer */
    bool unreadable;         /* the answer */
    const char *pushback;    /* the trailer; NULL: none */
    bool hangs;              /* it waits until the call is over, or actor_release() */
    bool releases;           /* those that hang go on, and this one once they have */
    int n_messages;          /* of Watch, before the status */
    bool as_ours;            /* with the mark of our servers */
    const char *reason;      /* of ErrorInfo, of the domain "mesh"; NULL: none */
    const char *own_reason;  /* the same of its own domain */
};

#define ACTS_MAX 8

struct actor {
    struct peer *peer;
    pthread_mutex_t mutex; /* for what is to come */
    struct act acts[ACTS_MAX];
    size_t n_acts, at;
    atomic_int n_calls;     /* that have come */
    atomic_int n_retried;   /* of those, with mesh-retried: 1 */
    atomic_int n_hanging;   /* now */
    atomic_int n_cancelled; /* of those that hung */
    atomic_bool released;
    /* Of the call that has come last: */
    char fault[32];           /* x-mesh-fault */
    _Atomic int64_t given_ms; /* its deadline, from then on; -1: none */
};

/* Copies the acts; port 0: any. */
void actor_start(struct actor *actor, const struct act *acts, size_t n_acts, int port);
void actor_stop(struct actor *actor);
/* Other acts from now on. */
void actor_follow(struct actor *actor, const struct act *acts, size_t n_acts);
/* All that hang now, and later ones, answer. */
void actor_release(struct actor *actor);
const char *actor_target(const struct actor *actor);

/* Both arguments. */
#define ACTS(...)                                                                                  \
    (const struct act[]){__VA_ARGS__},                                                             \
        sizeof((const struct act[]){__VA_ARGS__}) / sizeof(struct act)

#endif
