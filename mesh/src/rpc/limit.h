/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many may do something at the same time: workers that wait for a destination and for all
 * destinations together, attempts in flight, calls that wait for an endpoint. Who finds no place
 * may wait for one, first come, first served.
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
    _Atomic int64_t n_waiting; /* threads, for a place here, or below and here */
};

/* False, and nothing is taken, if here or above no place is left. */
bool mesh__limit_take(struct mesh__limit *limit);
/* The same, but waits for a place until until_ns. A limit that is raised meanwhile is seen when the
 * next place is given back, or at the end. */
bool mesh__limit_wait(struct mesh__limit *limit, int64_t until_ns);
void mesh__limit_give(struct mesh__limit *limit);

/* Of so many workers, those that may wait for one destination: half of them. */
int64_t mesh__worker_limit(int64_t n_workers);
/* For all destinations together: four stay for calls that need none. */
int64_t mesh__worker_limit_of_all(int64_t n_workers);

#endif
