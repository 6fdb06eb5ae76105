/* SPDX-License-Identifier: Apache-2.0 */
#include "core/thread.h"

#include "core/fatal.h"

#include <signal.h>

static void block_signals(sigset_t *ret_before)
{
    /* Blocked, they would end the process before anybody could say where. */
    static const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t set;

    (void)sigfillset(&set);
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        (void)sigdelset(&set, crashes[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &set, ret_before);
}

bool mesh__thread_try(pthread_t *ret_thread, const char *name, size_t stack_bytes,
                      void *(*run)(void *arg), void *arg)
{
    pthread_attr_t attributes;
    sigset_t before;
    bool made;

    if (pthread_attr_init(&attributes) != 0 ||
        (stack_bytes > 0 && pthread_attr_setstacksize(&attributes, stack_bytes) != 0)) {
        mesh__fatal("the attributes of a thread cannot be set");
    }
    block_signals(&before);
    made = pthread_create(ret_thread, &attributes, run, arg) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (made) {
        (void)pthread_setname_np(*ret_thread, name); /* shown by ps and gdb */
    }
    return made;
}

void mesh__thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg), void *arg)
{
    if (!mesh__thread_try(ret_thread, name, 0, run, arg)) {
        mesh__fatal("cannot start the thread %s", name);
    }
}
