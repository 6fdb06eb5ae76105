/* SPDX-License-Identifier: Apache-2.0 */
#include "app/stop.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "core/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TURN_MS 500
/* A loop that has not turned for so long is stuck, whatever the load. */
#define STUCK_NS (30 * MESH_NS_PER_S)

struct mesh__stop {
    pthread_mutex_t mutex;
    pthread_cond_t asked_changed;
    int signal; /* the one that asked, 0 before */
    atomic_bool asked;
    _Atomic int64_t turned_ns;
    int signals_fd;
    int quit_fd;
    sigset_t old_mask;
    pthread_t thread;
};

static void take_signal(struct mesh__stop *stop)
{
    struct signalfd_siginfo info;

    if (read(stop->signals_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return;
    }
    if (atomic_exchange(&stop->asked, true)) {
        _exit(128 + (int)info.ssi_signo); /* the second: the user means it */
    }
    pthread_mutex_lock(&stop->mutex);
    stop->signal = (int)info.ssi_signo;
    pthread_cond_broadcast(&stop->asked_changed);
    pthread_mutex_unlock(&stop->mutex);
}

static void *run(void *arg)
{
    struct mesh__stop *stop = arg;
    struct pollfd fds[] = {{.fd = stop->signals_fd, .events = POLLIN},
                           {.fd = stop->quit_fd, .events = POLLIN}};

    while (fds[1].revents == 0) {
        atomic_store(&stop->turned_ns, mesh__now_ns());
        if (poll(fds, 2, TURN_MS) < 0 && errno != EINTR) {
            mesh__fatal("poll: %s", strerror(errno));
        }
        if (fds[0].revents != 0) {
            take_signal(stop);
        }
    }
    return NULL;
}

struct mesh__stop *mesh__stop_new(void)
{
    struct mesh__stop *stop = mesh__calloc(1, sizeof(*stop));
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &stop->old_mask);
    pthread_mutex_init(&stop->mutex, NULL);
    mesh__condition_init(&stop->asked_changed);
    atomic_store(&stop->turned_ns, mesh__now_ns());
    stop->signals_fd = signalfd(-1, &set, SFD_CLOEXEC);
    stop->quit_fd = eventfd(0, EFD_CLOEXEC);
    if (stop->signals_fd < 0 || stop->quit_fd < 0) {
        mesh__fatal("cannot take signals: %s", strerror(errno));
    }
    mesh__thread_start(&stop->thread, "mesh-stop", run, stop);
    return stop;
}

void mesh__stop_free(struct mesh__stop *stop)
{
    const uint64_t one = 1;

    if (stop == NULL) {
        return;
    }
    if (write(stop->quit_fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        mesh__fatal("cannot end the thread of the signals: %s", strerror(errno));
    }
    pthread_join(stop->thread, NULL);
    close(stop->signals_fd);
    close(stop->quit_fd);
    pthread_sigmask(SIG_SETMASK, &stop->old_mask, NULL);
    pthread_cond_destroy(&stop->asked_changed);
    pthread_mutex_destroy(&stop->mutex);
    free(stop);
}

bool mesh__stop_wait(struct mesh__stop *stop, int64_t until_ns)
{
    bool asked;

    pthread_mutex_lock(&stop->mutex);
    while (stop->signal == 0 && mesh__now_ns() < until_ns) {
        mesh__condition_wait(&stop->asked_changed, &stop->mutex, until_ns);
    }
    asked = stop->signal != 0;
    pthread_mutex_unlock(&stop->mutex);
    return asked;
}

const atomic_bool *mesh__stop_flag(const struct mesh__stop *stop)
{
    return &stop->asked;
}

const char *mesh__stop_signal(struct mesh__stop *stop)
{
    int number;

    pthread_mutex_lock(&stop->mutex);
    number = stop->signal;
    pthread_mutex_unlock(&stop->mutex);
    return number == 0 ? "" : number == SIGINT ? "SIGINT" : "SIGTERM";
}

bool mesh__stop_turns(const struct mesh__stop *stop)
{
    return mesh__now_ns() - atomic_load(&stop->turned_ns) < STUCK_NS;
}
