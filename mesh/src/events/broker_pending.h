/* SPDX-License-Identifier: Apache-2.0 */
/* Which publication an answer of the broker belongs to. */
#ifndef MESH_EVENTS_BROKER_PENDING_H
#define MESH_EVENTS_BROKER_PENDING_H

#include "events/broker.h"

#include <pthread.h>

/* Publications are known by the address of their message while they are under way. */
struct broker_pending {
    pthread_mutex_t lock;
    struct {
        const void *message; /* NULL: free */
        uint64_t token;
    } places[BROKER_WINDOW];
    size_t next; /* where the next answer is expected: they come in order, usually */
};

void mesh__pending_init(struct broker_pending *pending);
void mesh__pending_done(struct broker_pending *pending);
/* False: BROKER_WINDOW are under way. */
bool mesh__pending_add(struct broker_pending *pending, const void *message, uint64_t token);
/* False: it is not under way. */
bool mesh__pending_take(struct broker_pending *pending, const void *message, uint64_t *ret_token);

#endif
