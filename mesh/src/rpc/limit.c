/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/limit.h"

#include <stdatomic.h>
#include <stddef.h>

#define WORKERS_LEFT 4

static bool take_here(struct mesh__limit *limit)
{
    int64_t max = atomic_load(&limit->max);
    int64_t used = atomic_load(&limit->used);

    do {
        if (max > 0 && used >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&limit->used, &used, used + 1));
    return true;
}

bool mesh__limit_take(struct mesh__limit *limit)
{
    for (struct mesh__limit *at = limit; at != NULL; at = at->above) {
        if (!take_here(at)) {
            for (struct mesh__limit *taken = limit; taken != at; taken = taken->above) {
                atomic_fetch_sub(&taken->used, 1);
            }
            return false;
        }
    }
    return true;
}

void mesh__limit_give(struct mesh__limit *limit)
{
    for (; limit != NULL; limit = limit->above) {
        atomic_fetch_sub(&limit->used, 1);
    }
}

int64_t mesh__worker_limit(int64_t n_workers)
{
    return n_workers > 2 ? n_workers / 2 : 1;
}

int64_t mesh__worker_limit_of_all(int64_t n_workers)
{
    return n_workers > WORKERS_LEFT ? n_workers - WORKERS_LEFT : 1;
}
