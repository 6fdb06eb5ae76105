/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"

#include "core/fatal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t kernel_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec * MESH_NS_PER_S + now.tv_nsec;
}

static int64_t kernel_wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void kernel_random(void *bytes, size_t size)
{
    unsigned char *at = bytes;

    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);

        if (n < 0 && errno != EINTR) {
            mesh__fatal("no randomness from the kernel: %s", strerror(errno));
        }
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
}

/* The conditions are made for this clock: core/condition.h. */
static bool kernel_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = deadline_ns / MESH_NS_PER_S,
                             .tv_nsec = deadline_ns % MESH_NS_PER_S};

    if (deadline_ns == MESH_NO_DEADLINE) {
        return pthread_cond_wait(condition, mutex) == 0;
    }
    return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}

static const struct mesh_clock kernel = {kernel_monotonic_ns, kernel_wall_us, kernel_random,
                                         kernel_wait};

const struct mesh_clock *mesh__clock = &kernel;

int64_t mesh__after_ms(int64_t start_ns, int64_t ms)
{
    int64_t ns;

    if (__builtin_mul_overflow(ms, MESH_NS_PER_MS, &ns) ||
        __builtin_add_overflow(start_ns, ns, &ns)) {
        return ms > 0 ? MESH_NO_DEADLINE : 0;
    }
    return ns;
}

int64_t mesh__in_ms(int64_t ms)
{
    return mesh__after_ms(mesh__now_ns(), ms);
}

/* What is left of the last piece; used from its end. */
static _Thread_local struct {
    const struct mesh_clock *source; /* bytes of another table are not used */
    size_t left;
    unsigned char bytes[512];
} pool;

static void forget_pool(void)
{
    pool.left = 0; /* parent and child of a fork must not hand out the same bytes */
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget_pool) != 0) {
        mesh__fatal("out of memory: pthread_atfork");
    }
}

void mesh__random(void *ret_bytes, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (size > sizeof(pool.bytes)) {
        mesh__clock->random(ret_bytes, size);
        return;
    }
    if (pool.left < size || pool.source != mesh__clock) {
        pthread_once(&once, watch_forks);
        pool.source = mesh__clock;
        pool.source->random(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
    }
    pool.left -= size;
    memcpy(ret_bytes, pool.bytes + pool.left, size);
}

int64_t mesh__random_between(int64_t low, int64_t high)
{
    uint64_t random;

    mesh__random(&random, sizeof(random));
    return low + (int64_t)(random % ((uint64_t)(high - low) + 1));
}
