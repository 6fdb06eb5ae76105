/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pg_cancel.h"

#include "core/condition.h"
#include "core/fatal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct pg_cancel {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void *request;
    void (*send)(void *request);
    void (*release)(void *request);
    bool sent;
    int n_owners; /* the thread and the connection */
};

/* Called with the mutex held. */
static void disown(struct pg_cancel *cancel)
{
    bool last = --cancel->n_owners == 0;

    pthread_mutex_unlock(&cancel->mutex);
    if (last) {
        cancel->release(cancel->request);
        pthread_cond_destroy(&cancel->changed);
        pthread_mutex_destroy(&cancel->mutex);
        free(cancel);
    }
}

static void *run(void *arg)
{
    struct pg_cancel *cancel = arg;

    cancel->send(cancel->request);
    pthread_mutex_lock(&cancel->mutex);
    cancel->sent = true;
    pthread_cond_signal(&cancel->changed);
    disown(cancel);
    return NULL;
}

/* Signals are for the threads that the process started on purpose. */
static bool start_thread(struct pg_cancel *cancel)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attr;
    pthread_t thread;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attr, run, cancel);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

struct pg_cancel *mesh__pg_cancel_new(void *request, void (*send)(void *request),
                                      void (*release)(void *request))
{
    struct pg_cancel *cancel = mesh__calloc(1, sizeof(*cancel));

    *cancel =
        (struct pg_cancel){.request = request, .send = send, .release = release, .n_owners = 2};
    pthread_mutex_init(&cancel->mutex, NULL);
    mesh__condition_init(&cancel->changed);
    if (!start_thread(cancel)) {
        cancel->n_owners = 1; /* never sent: the wait for it ends at its deadline */
    }
    return cancel;
}

bool mesh__pg_cancel_wait(struct pg_cancel *cancel, int64_t deadline_ns)
{
    bool in_time = true;
    bool sent;

    pthread_mutex_lock(&cancel->mutex);
    while (!cancel->sent && in_time) {
        in_time = mesh__condition_wait(&cancel->changed, &cancel->mutex, deadline_ns);
    }
    sent = cancel->sent;
    pthread_mutex_unlock(&cancel->mutex);
    return sent;
}

void mesh__pg_cancel_free(struct pg_cancel *cancel)
{
    if (cancel != NULL) {
        pthread_mutex_lock(&cancel->mutex);
        disown(cancel);
    }
}
