/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many may do something at the same time: workers that wait for a destination and for all
 * destinations together, attempts in flight, calls that wait for an endpoint.
 */
#ifndef MESH_RPC_LIMIT_H
#define MESH_RPC_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Starts as {0}: no limit. */
struct mesh__limit {
    struct mesh__limit *above; /* whose places are taken too, such as those of all destinations */
    _Atomic int64_t max;       /* 0: no limit. Lowered, it lets none in until enough have left. */
    _Atomic int64_t used;
};

/* False, and nothing is taken, if here or above no place is left. */
bool mesh__limit_take(struct mesh__limit *limit);
void mesh__limit_give(struct mesh__limit *limit);

/* Of so many workers, those that may wait for one destination: half of them. */
int64_t mesh__worker_limit(int64_t n_workers);
/* For all destinations together: four stay for calls that need none. */
int64_t mesh__worker_limit_of_all(int64_t n_workers);

#endif
