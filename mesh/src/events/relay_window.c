/* SPDX-License-Identifier: Apache-2.0 */
#include "events/relay_window.h"

#include "core/condition.h"

#include <stdio.h>
#include <string.h>

void mesh__window_init(struct mesh__window *window)
{
    memset(window, 0, sizeof(*window));
    pthread_mutex_init(&window->lock, NULL);
    mesh__condition_init(&window->changed);
}

void mesh__window_done(struct mesh__window *window)
{
    pthread_cond_destroy(&window->changed);
    pthread_mutex_destroy(&window->lock);
}

static struct mesh__slot *slot_of(struct mesh__window *window, uint64_t token)
{
    return &window->slots[token % BROKER_WINDOW];
}

bool mesh__window_add(struct mesh__window *window, int64_t id, const char *message_id,
                      uint64_t *ret_token)
{
    bool added = false;

    pthread_mutex_lock(&window->lock);
    if (!window->broken && window->next - window->oldest < BROKER_WINDOW) {
        struct mesh__slot *slot = slot_of(window, window->next);

        *slot = (struct mesh__slot){.id = id, .state = MESH__SLOT_SENT};
        (void)snprintf(slot->message_id, sizeof(slot->message_id), "%s", message_id);
        *ret_token = window->next++;
        added = true;
    }
    pthread_mutex_unlock(&window->lock);
    return added;
}

bool mesh__window_oldest(struct mesh__window *window, struct mesh__slot *ret_slot)
{
    bool acknowledged = false;

    pthread_mutex_lock(&window->lock);
    if (window->oldest < window->next) {
        const struct mesh__slot *slot = slot_of(window, window->oldest);

        if (slot->state == MESH__SLOT_STORED || slot->state == MESH__SLOT_DUPLICATE) {
            *ret_slot = *slot;
            acknowledged = true;
        }
    }
    pthread_mutex_unlock(&window->lock);
    return acknowledged;
}

void mesh__window_retire(struct mesh__window *window)
{
    pthread_mutex_lock(&window->lock);
    window->oldest++;
    pthread_mutex_unlock(&window->lock);
}

bool mesh__window_empty(struct mesh__window *window)
{
    bool empty;

    pthread_mutex_lock(&window->lock);
    empty = window->oldest == window->next;
    pthread_mutex_unlock(&window->lock);
    return empty;
}

bool mesh__window_broken(struct mesh__window *window)
{
    bool broken;

    pthread_mutex_lock(&window->lock);
    broken = window->broken;
    pthread_mutex_unlock(&window->lock);
    return broken;
}

static void break_locked(struct mesh__window *window, const char *reason)
{
    if (!window->broken) {
        window->broken = true;
        (void)snprintf(window->reason, sizeof(window->reason), "%s", reason);
    }
}

void mesh__window_refuse(struct mesh__window *window, const char *reason)
{
    pthread_mutex_lock(&window->lock);
    slot_of(window, window->oldest)->state = MESH__SLOT_FAILED;
    break_locked(window, reason);
    pthread_mutex_unlock(&window->lock);
}

void mesh__window_ack(struct mesh__window *window, uint64_t token, const struct broker_ack *ack)
{
    pthread_mutex_lock(&window->lock);
    if (token >= window->oldest && token < window->next) {
        struct mesh__slot *slot = slot_of(window, token);

        if (ack->stored) {
            slot->state = ack->duplicate ? MESH__SLOT_DUPLICATE : MESH__SLOT_STORED;
            slot->sequence = ack->sequence;
        } else {
            slot->state = MESH__SLOT_FAILED;
            window->full = window->broken ? window->full : ack->full;
            break_locked(window, ack->error);
        }
        /* Only the oldest lets anything move, unless the others are waited for, too. */
        if (token == window->oldest || window->broken) {
            pthread_cond_signal(&window->changed);
        }
    }
    pthread_mutex_unlock(&window->lock);
}

void mesh__window_gone(struct mesh__window *window)
{
    pthread_mutex_lock(&window->lock);
    window->gone = true;
    break_locked(window, "the connection to the broker was lost");
    pthread_cond_signal(&window->changed);
    pthread_mutex_unlock(&window->lock);
}

void mesh__window_wait(struct mesh__window *window, int64_t deadline_ns)
{
    pthread_mutex_lock(&window->lock);
    while (!window->broken && window->oldest < window->next &&
           slot_of(window, window->oldest)->state == MESH__SLOT_SENT) {
        if (!mesh__condition_wait(&window->changed, &window->lock, deadline_ns)) {
            break;
        }
    }
    pthread_mutex_unlock(&window->lock);
}

static bool has_open(struct mesh__window *window)
{
    for (uint64_t token = window->oldest; token < window->next; token++) {
        if (slot_of(window, token)->state == MESH__SLOT_SENT) {
            return true;
        }
    }
    return false;
}

bool mesh__window_drain(struct mesh__window *window, int64_t deadline_ns)
{
    bool drained = true;

    pthread_mutex_lock(&window->lock);
    while (drained && !window->gone && has_open(window)) {
        drained = mesh__condition_wait(&window->changed, &window->lock, deadline_ns);
    }
    pthread_mutex_unlock(&window->lock);
    return drained;
}

void mesh__window_reset(struct mesh__window *window)
{
    pthread_mutex_lock(&window->lock);
    window->oldest = window->next;
    window->broken = false;
    window->full = false;
    window->gone = false;
    window->reason[0] = '\0';
    pthread_mutex_unlock(&window->lock);
}
