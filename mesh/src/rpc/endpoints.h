/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints of one destination: found by its resolver, each with a channel that is kept
 * connected and whose state is watched. Thread-safe.
 */
#ifndef MESH_RPC_ENDPOINTS_H
#define MESH_RPC_ENDPOINTS_H

#include "rpc/endpoint_choice.h"
#include "rpc/wire.h"

#define MESH__TRIED_MAX 16 /* more attempts than these a call does not have */

struct mesh__text;
struct mesh__endpoints;

struct mesh__endpoints_options {
    const char *name; /* of the destination, for log and metrics */
    const char
        *target; /* what the resolver takes, or else one endpoint of any name that the core knows */
    const char *authority; /* what peers are called by (:authority) */
    bool watch_health;     /* who does not say SERVING is not ready */
};

/* Connecting begins at once. */
struct mesh__endpoints *mesh__endpoints_new(const struct mesh__endpoints_options *options);
/* After the last attempt has ended; NULL is fine. */
void mesh__endpoints_free(struct mesh__endpoints *endpoints);
/* Other rules from now on; what was counted is kept. */
void mesh__endpoints_set(struct mesh__endpoints *endpoints,
                         const struct mesh__destination_values *values);

/* What one call looks for; starts with queue and tag alone. */
struct mesh__pick {
    struct mesh__endpoint *tried[MESH__TRIED_MAX];
    size_t n_tried;
    struct wire_queue *queue; /* woken with tag when it is worth to look again */
    void *tag;
    struct mesh__pick *next; /* of those that wait */
    _Atomic bool waits;      /* ended by another thread */
    int64_t until_ns;        /* while it waits: when to look again in any case */
};

enum mesh__picked {
    MESH__PICKED,       /* an attempt is in flight there until mesh__endpoints_leave() */
    MESH__PICK_WAITS,   /* none is ready, and one is on its way to be; `pick` waits */
    MESH__PICK_HAS_NONE /* none is ready, and none can be reached or found at this time */
};

enum mesh__picked mesh__endpoints_pick(struct mesh__endpoints *endpoints, struct mesh__pick *pick,
                                       struct mesh__endpoint **ret_endpoint);
/* It waits no longer; for one that does not wait nothing happens. */
void mesh__endpoints_forget(struct mesh__endpoints *endpoints, struct mesh__pick *pick);
/* The end of an attempt, and what it says of the endpoint. */
void mesh__endpoints_leave(struct mesh__endpoints *endpoints, struct mesh__endpoint *endpoint,
                           enum mesh__ejection_result result);
/* An attempt has failed: looks soon whether the addresses are still those. */
void mesh__endpoints_look_up(struct mesh__endpoints *endpoints);
/* Before a probe: who waits before it connects again does so at once. */
void mesh__endpoints_connect(struct mesh__endpoints *endpoints);

/* Of one that was picked and not left. */
struct wire_channel *mesh__endpoint_channel(const struct mesh__endpoint *endpoint);
const char *mesh__endpoint_address(const struct mesh__endpoint *endpoint);

/* A JSON array, for people. */
void mesh__endpoints_json(struct mesh__endpoints *endpoints, struct mesh__text *text);

#endif
