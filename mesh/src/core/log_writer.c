/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log_writer.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/log_impl.h"
#include "core/log_line.h"
#include "core/thread.h"
#include "mesh/metrics.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)512 << 10)
#define PATIENCE_MS 1000
#define GAP_MS 5 /* between two writes: to be woken for each line would cost more than the line */

struct buffer {
    char bytes[BUFFER_BYTES];
    size_t size;
};

/* One buffer is filled while the thread writes the other. */
static struct buffer buffers[2];
static struct buffer *filling = &buffers[0];
static uint64_t n_dropped; /* since the thread looked last */
static bool stopping;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all above */
static pthread_cond_t filled;
static pthread_t thread;
static struct mesh_counter *dropped;

static atomic_bool buffered;  /* the thread runs */
static atomic_size_t pending; /* bytes that are not written yet */

static void write_all(const char *bytes, size_t size)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, size);

        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) { /* another process made it so */
            (void)poll(&fd, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return; /* nowhere to say so */
        }
    }
}

/* ---- the thread --------------------------------------------------------------------------- */

static void tell_dropped(uint64_t n)
{
    char line[MESH_LOG_LINE_MAX];
    struct mesh_log_field field = mesh_log_int("dropped", (int64_t)n);

    write_all(line,
              mesh__log_format(MESH_LOG_WARN, (struct mesh_log_fields){&field, 1},
                               "log lines were dropped: nobody reads them fast enough", line));
}

/* NULL: there is nothing and there will be nothing. */
static struct buffer *take(uint64_t *ret_dropped)
{
    struct buffer *full = NULL;

    (void)pthread_mutex_lock(&mutex);
    while (filling->size == 0 && !stopping) {
        (void)mesh__condition_wait(&filled, &mutex, MESH_NO_DEADLINE);
    }
    if (filling->size > 0) {
        full = filling;
        filling = &buffers[full == &buffers[0] ? 1 : 0];
        *ret_dropped = n_dropped;
        n_dropped = 0;
    }
    (void)pthread_mutex_unlock(&mutex);
    return full;
}

static void *write_lines(void *arg)
{
    struct buffer *full;
    uint64_t n = 0;

    (void)arg;
    while ((full = take(&n)) != NULL) {
        size_t size = full->size;

        write_all(full->bytes, size);
        full->size = 0; /* ours until the next take() */
        if (n > 0) {
            tell_dropped(n);
        }
        atomic_fetch_sub(&pending, size);
        (void)poll(NULL, 0, GAP_MS);
    }
    return NULL;
}

void mesh__log_put(const char *line, size_t size)
{
    bool fits;

    if (!atomic_load_explicit(&buffered, memory_order_acquire)) {
        write_all(line, size);
        return;
    }
    (void)pthread_mutex_lock(&mutex);
    fits = size <= sizeof(filling->bytes) - filling->size;
    if (fits) {
        memcpy(filling->bytes + filling->size, line, size);
        if (filling->size == 0) {
            (void)pthread_cond_signal(&filled);
        }
        filling->size += size;
        atomic_fetch_add(&pending, size);
    } else {
        n_dropped++; /* the buffer is not empty: the thread will come by */
    }
    (void)pthread_mutex_unlock(&mutex);
    if (!fits) {
        mesh_counter_add(dropped, 1);
    }
}

void mesh__log_flush(int patience_ms)
{
    for (; atomic_load(&pending) > 0 && patience_ms > 0; patience_ms--) {
        (void)poll(NULL, 0, 1);
    }
}

/* ---- crashes and forks -------------------------------------------------------------------- */

/* The other threads go on, so the lines need time and nothing else. Then the signal does its work.
 */
static void on_crash(int number)
{
    mesh__log_flush(PATIENCE_MS);
    (void)raise(number); /* blocked until we return; the handler was reset */
}

static void catch_crashes(void)
{
    static const int numbers[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    struct sigaction before;
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
            (void)sigaction(numbers[i], &action, NULL); /* a sanitizer keeps its own */
        }
    }
}

static void before_fork(void)
{
    (void)pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

/* There is no thread here, and what it was to write is the parent's. */
static void in_child(void)
{
    atomic_store(&buffered, false);
    atomic_store(&pending, 0);
    buffers[0].size = 0;
    buffers[1].size = 0; /* the thread may have been at it */
    n_dropped = 0;
    mesh__condition_init(&filled); /* the parent's thread does not wait here */
    (void)pthread_mutex_unlock(&mutex);
}

static void prepare(void)
{
    mesh__condition_init(&filled);
    dropped = mesh_counter("mesh_log_dropped_lines_total",
                           "Log lines that nobody has read fast enough.", NULL);
    (void)pthread_atfork(before_fork, after_fork, in_child); /* without memory: no child logs */
    catch_crashes();
}

/* ---- life --------------------------------------------------------------------------------- */

void mesh__log_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, prepare); /* cannot fail */
    stopping = false;
    mesh__thread_start(&thread, "mesh-log", write_lines, NULL);
    atomic_store(&buffered, true);
}

void mesh__log_stop(void)
{
    mesh__log_flush(PATIENCE_MS);
    if (!atomic_load(&buffered) || atomic_load(&pending) > 0) {
        return; /* it is stuck in its write, and ends with the process */
    }
    (void)pthread_mutex_lock(&mutex);
    atomic_store(&buffered, false);
    stopping = true;
    (void)pthread_cond_signal(&filled);
    (void)pthread_mutex_unlock(&mutex);
    (void)pthread_join(thread, NULL);
}
