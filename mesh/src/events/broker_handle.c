/* SPDX-License-Identifier: Apache-2.0 */
#include "events/broker_handle.h"

#include <pthread.h>
#include <stddef.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t left;
    struct broker_handle *first;
    uintptr_t last_number;
} known = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0};

void mesh__handle_add(struct broker_handle *handle)
{
    pthread_mutex_lock(&known.lock);
    handle->number = ++known.last_number;
    handle->users = 0;
    handle->next = known.first;
    known.first = handle;
    pthread_mutex_unlock(&known.lock);
}

void mesh__handle_remove(struct broker_handle *handle)
{
    struct broker_handle **at = &known.first;

    pthread_mutex_lock(&known.lock);
    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    while (handle->users > 0) {
        pthread_cond_wait(&known.left, &known.lock);
    }
    pthread_mutex_unlock(&known.lock);
}

struct broker_handle *mesh__handle_enter(uintptr_t number)
{
    struct broker_handle *handle;

    pthread_mutex_lock(&known.lock);
    handle = known.first;
    while (handle != NULL && handle->number != number) {
        handle = handle->next;
    }
    if (handle != NULL) {
        handle->users++;
    }
    pthread_mutex_unlock(&known.lock);
    return handle;
}

void mesh__handle_leave(struct broker_handle *handle)
{
    pthread_mutex_lock(&known.lock);
    if (--handle->users == 0) {
        pthread_cond_broadcast(&known.left);
    }
    pthread_mutex_unlock(&known.lock);
}
