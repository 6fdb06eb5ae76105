/* SPDX-License-Identifier: Apache-2.0 */
#include "events/broker_pending.h"

#include <string.h>

void mesh__pending_init(struct broker_pending *pending)
{
    memset(pending, 0, sizeof(*pending));
    pthread_mutex_init(&pending->lock, NULL);
}

void mesh__pending_done(struct broker_pending *pending)
{
    pthread_mutex_destroy(&pending->lock);
}

/* The first place with this message, from a place on; BROKER_WINDOW if there is none. */
static size_t find(const struct broker_pending *pending, const void *message, uint64_t from)
{
    for (size_t i = 0; i < BROKER_WINDOW; i++) {
        size_t at = (from + i) % BROKER_WINDOW;

        if (pending->places[at].message == message) {
            return at;
        }
    }
    return BROKER_WINDOW;
}

bool mesh__pending_add(struct broker_pending *pending, const void *message, uint64_t token)
{
    size_t at;

    pthread_mutex_lock(&pending->lock);
    at = find(pending, NULL, token);
    if (at < BROKER_WINDOW) {
        pending->places[at].message = message;
        pending->places[at].token = token;
    }
    pthread_mutex_unlock(&pending->lock);
    return at < BROKER_WINDOW;
}

bool mesh__pending_take(struct broker_pending *pending, const void *message, uint64_t *ret_token)
{
    size_t at;

    pthread_mutex_lock(&pending->lock);
    at = find(pending, message, pending->next);
    if (at < BROKER_WINDOW) {
        pending->places[at].message = NULL;
        *ret_token = pending->places[at].token;
        pending->next = (at + 1) % BROKER_WINDOW;
    }
    pthread_mutex_unlock(&pending->lock);
    return at < BROKER_WINDOW;
}
