/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread's queue: all calls and streams of a thread complete on it, in any order. */
#include "core/clock.h"
#include "core/fatal.h"
#include "rpc/client_call.h"
#include "rpc/client_impl.h"

#include <pthread.h>

static _Thread_local struct wire_queue *thread_queue;
static pthread_key_t end_of_thread;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void thread_ends(void *queue)
{
    (void)queue; /* the same as thread_queue */
    mesh__client_thread_done();
}

static void make_key(void)
{
    if (pthread_key_create(&end_of_thread, thread_ends) != 0) {
        mesh__fatal("no keys left for data of threads");
    }
}

struct wire_queue *mesh__client_queue(void)
{
    if (thread_queue == NULL) {
        (void)pthread_once(&once, make_key); /* cannot fail */
        mesh__wire->start();
        thread_queue = mesh__wire->queue_new();
        if (pthread_setspecific(end_of_thread, thread_queue) != 0) {
            mesh__fatal("no memory for data of a thread");
        }
    }
    return thread_queue;
}

static void complete(const struct wire_event *event)
{
    struct mesh__op *op = event->tag;

    op->ok = event->ok;
    op->pending = false;
}

void mesh__client_thread_done(void)
{
    struct wire_event event;

    if (thread_queue == NULL) {
        return;
    }
    mesh__wire->queue_shutdown(thread_queue);
    do {
        event = mesh__wire->queue_next(thread_queue, MESH_NO_DEADLINE);
        if (event.kind == WIRE_COMPLETE) {
            complete(&event);
        }
    } while (event.kind != WIRE_SHUTDOWN);
    mesh__wire->queue_free(thread_queue);
    thread_queue = NULL;
    (void)pthread_setspecific(end_of_thread, NULL); /* cannot fail: the key has a value */
    mesh__wire->stop();
}

void *mesh__client_wake_tag(void)
{
    static _Thread_local struct mesh__op woken; /* of no operation */

    return &woken;
}

bool mesh__queue_turn(int64_t until_ns)
{
    struct wire_event event = mesh__wire->queue_next(mesh__client_queue(), until_ns);

    if (event.kind != WIRE_COMPLETE) {
        return false;
    }
    complete(&event);
    return true;
}

bool mesh__op_wait(struct mesh__op *op, int64_t until_ns)
{
    while (op->pending) {
        int64_t due_ns = mesh__calls_step();

        if (!mesh__queue_turn(due_ns < until_ns ? due_ns : until_ns) &&
            until_ns <= mesh__now_ns() && op->pending) {
            return false;
        }
    }
    return true;
}
