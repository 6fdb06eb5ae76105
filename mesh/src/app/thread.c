/* SPDX-License-Identifier: Apache-2.0 */
#include "app/thread.h"

#include "core/fatal.h"

#include <string.h>

void mesh__thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg), void *arg)
{
    int error = pthread_create(ret_thread, NULL, run, arg);

    if (error != 0) {
        mesh__fatal("cannot start the thread %s: %s", name, strerror(error));
    }
    pthread_setname_np(*ret_thread, name); /* shown by ps and gdb; too long a name is refused */
}
