/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoint of a destination an attempt goes to. */
#ifndef MESH_RPC_ENDPOINT_CHOICE_H
#define MESH_RPC_ENDPOINT_CHOICE_H

#include "policy/policy.h"
#include "rpc/ejection.h"

#define MESH__ENDPOINTS_MAX 256 /* of one destination */

/* One endpoint's part, inside of what its owner keeps of it; starts as {0}. */
struct mesh__endpoint {
    struct mesh__ejection_host ejection;
    _Atomic bool ready;
    _Atomic int64_t in_flight;            /* attempts */
    _Atomic int64_t n_burdens, burden_ns; /* and when the last one came */
};

/* What an attempt can choose from. */
struct mesh__endpoint_choice {
    struct mesh__endpoint *const *endpoints;
    size_t n;                            /* no more than MESH__ENDPOINTS_MAX */
    struct mesh__endpoint *const *tried; /* by the same call; taken again only if all were */
    size_t n_tried;
    enum mesh__load_balancer balancer;
    struct mesh__ejection *ejection; /* of these endpoints */
    _Atomic uint64_t *turn;          /* of the destination, for round robin */
};

/*
 * NULL if none is ready. The attempt is in flight there until mesh__endpoint_leave(). ret_panic:
 * ejections were ignored, for too few endpoints are left.
 */
struct mesh__endpoint *mesh__endpoint_choose(const struct mesh__endpoint_choice *choice,
                                             bool *ret_panic);
void mesh__endpoint_leave(struct mesh__endpoint *endpoint);
/*
 * For some seconds it weighs as much as one more attempt in flight there. A hedge elsewhere has
 * answered before an attempt, which ends early: who is slow would look idle. Or it has refused one
 * as too much: who sheds load is quick, and would look idle, too, and get more of it.
 */
void mesh__endpoint_burden(struct mesh__endpoint *endpoint);

#endif
