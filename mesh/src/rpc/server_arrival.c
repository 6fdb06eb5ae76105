/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on a queue thread: how they come, to whom they go, and which are given up. */
#include "core/clock.h"
#include "core/fatal.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#include <limits.h>
#include <stdio.h>

#define SLOW_MS 100         /* a request that takes longer counts as slow */
#define SLOW_LEAST 16       /* there may be so many of them in any case */
#define ANSWER_MS 2000      /* a client has at least so long to take its answer */
#define ANSWER_LEAST_MS 100 /* and this when there are too many */

/* ---- the list of a queue thread ----------------------------------------------------------- */

static void list(struct server_call *call)
{
    struct server_queue *queue = call->method->queue;

    call->older = queue->newest;
    *(call->older != NULL ? &call->older->newer : &queue->oldest) = call;
    queue->newest = call;
}

static void unlist(struct server_call *call)
{
    struct server_queue *queue = call->method->queue;

    *(call->older != NULL ? &call->older->newer : &queue->oldest) = call->newer;
    *(call->newer != NULL ? &call->newer->older : &queue->newest) = call->older;
}

/* ---- arrival ------------------------------------------------------------------------------ */

static void set_deadline(struct server_call *call)
{
    const struct mesh_server_options *options = &call->method->server->options;
    int64_t deadline_ns = mesh__wire->call_deadline_ns(call->wire);

    if (call->method->lane == SERVER_WORKER || call->method->lane == SERVER_INLINE) {
        int64_t longest_ns = mesh__in_ms(options->max_deadline_ms);

        if (deadline_ns == MESH_NO_DEADLINE) {
            deadline_ns = mesh__in_ms(options->default_deadline_ms);
        }
        deadline_ns = deadline_ns < longest_ns ? deadline_ns : longest_ns;
    }
    call->deadline_ns = deadline_ns;
}

static void refuse_unknown(struct server_call *call, struct mesh_ctx *ctx)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "method %.200s is not served here",
                   mesh__wire->call_path(call->wire)); /* a long one is cut */
    mesh__call_refuse(call, ctx, MESH_UNIMPLEMENTED, NULL, text);
}

/* To whoever serves it, with a reference of its own. */
static void hand_on(struct server_call *call)
{
    struct mesh_server *server = call->method->server;
    struct mesh_ctx *ctx = call->method->queue->ctx;

    switch (call->method->lane) {
    case SERVER_WORKER:
        mesh__call_ref(call);
        if (!mesh__workers_add(server->workers, call)) {
            mesh__call_refuse(call, ctx, MESH_RESOURCE_EXHAUSTED, "queue_full",
                              "the server has too much to do");
            mesh__call_unref(call);
        }
        break;
    case SERVER_STREAM:
        mesh__call_ref(call);
        if (!mesh__stream_threads_add(call->method->threads, call)) {
            mesh__call_refuse(call, ctx, MESH_RESOURCE_EXHAUSTED, "stream_limit",
                              "the server has too many streams");
            mesh__call_unref(call);
        }
        break;
    case SERVER_INLINE:
        mesh__call_ref(call);
        mesh__call_run(call, ctx);
        break;
    case SERVER_WATCH:
        mesh__health_watch(call);
        break;
    case SERVER_UNKNOWN:
        refuse_unknown(call, ctx);
        break;
    }
}

/* ---- requests that are not complete ------------------------------------------------------- */

static void refuse_incomplete(struct server_call *call, enum mesh_status status, const char *reason,
                              const char *text)
{
    call->incomplete = false;
    call->method->queue->n_incomplete--;
    mesh__call_refuse(call, call->method->queue->ctx, status, reason, text);
}

static const char too_many[] = "too many requests are not complete, and this is the oldest";

/* Nobody can keep others out by requests that never end: the oldest go first. */
static void make_room(struct server_queue *queue)
{
    struct server_call *call = queue->oldest;

    while (queue->n_incomplete > queue->server->options.queue_size) {
        if (call->incomplete) {
            refuse_incomplete(call, MESH_RESOURCE_EXHAUSTED, "incomplete_limit", too_many);
        }
        call = call->newer; /* there are as many as were counted */
    }
}

static const char gone[] = "the client went away before its request was complete";

static void on_received(struct server_call *call, bool ok)
{
    if (!call->incomplete) {
        return; /* it was refused meanwhile */
    }
    if (!ok) {
        refuse_incomplete(call, MESH_CANCELLED, "cancelled", gone);
        return;
    }
    call->incomplete = false;
    call->has_message = true;
    call->method->queue->n_incomplete--;
    hand_on(call);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void on_answered(struct server_call *call, bool ok)
{
    (void)ok; /* whether the client was still there does not matter any more */
    atomic_fetch_sub(&call->method->server->n_untaken, call->answer_bytes);
    call->answer_bytes = 0;
}

static void on_closed(struct server_call *call, bool ok)
{
    if (!ok || mesh__wire->call_was_cancelled(call->wire)) {
        atomic_store_explicit(&call->cancelled, true, memory_order_release);
    }
    if (call->incomplete) { /* on_received() is still to come */
        refuse_incomplete(call, MESH_CANCELLED, "cancelled", gone);
    }
    unlist(call);
    if (call->closed_hook != NULL) {
        call->closed_hook(call);
    }
}

/* Until when a client may take the answer that it was given. */
static int64_t answer_deadline(const struct server_call *call, int64_t answered_ns)
{
    int64_t least_ns = mesh__after_ms(answered_ns, ANSWER_MS);
    int64_t deadline_ns = call->deadline_ns;

    if (atomic_load(&call->method->server->stopping)) {
        return least_ns;
    }
    if (deadline_ns == MESH_NO_DEADLINE) { /* a stream's end */
        deadline_ns = mesh__after_ms(answered_ns, call->method->server->options.max_deadline_ms);
    }
    return deadline_ns > least_ns ? deadline_ns : least_ns;
}

static void give_up(struct server_call *call)
{
    call->given_up = true;
    mesh_counter_add(call->method->server->untaken, 1);
    mesh__wire->call_cancel(call->wire);
}

static void sweep_answered(struct server_queue *queue, int64_t now_ns)
{
    struct mesh_server *server = queue->server;
    size_t n_bytes = atomic_load(&server->n_untaken);

    for (struct server_call *call = queue->oldest; call != NULL; call = call->newer) {
        int64_t answered_ns = atomic_load(&call->answered_ns);
        bool full = n_bytes > server->options.memory_bytes &&
                    now_ns >= mesh__after_ms(answered_ns, ANSWER_LEAST_MS);

        if (answered_ns != 0 && !call->given_up &&
            (full || now_ns >= answer_deadline(call, answered_ns))) {
            n_bytes -= call->answer_bytes;
            give_up(call);
        }
    }
}

/* How much of a request has come nobody tells us, so that each counts as the largest. */
static int slow_limit(const struct mesh_server_options *options)
{
    size_t limit = options->memory_bytes / (size_t)options->max_message_bytes;

    return limit < SLOW_LEAST ? SLOW_LEAST : limit > INT_MAX ? INT_MAX : (int)limit;
}

static void sweep_incomplete(struct server_queue *queue, int64_t now_ns)
{
    int limit = slow_limit(&queue->server->options);
    int n_slow = 0;

    for (struct server_call *call = queue->newest; call != NULL; call = call->older) {
        if (!call->incomplete || now_ns < mesh__after_ms(call->started_ns, SLOW_MS)) {
            continue;
        }
        if (atomic_load(
                &queue->server->stopping)) { /* it has not begun: another server can do it */
            refuse_incomplete(call, MESH_UNAVAILABLE, "stopping", mesh__stopping_text);
        } else if (now_ns >= call->deadline_ns) {
            refuse_incomplete(call, MESH_DEADLINE_EXCEEDED, "expired",
                              "the deadline passed before the request was complete");
        } else if (++n_slow > limit) {
            refuse_incomplete(call, MESH_RESOURCE_EXHAUSTED, "incomplete_limit", too_many);
        }
    }
}

void mesh__calls_sweep(struct server_queue *queue)
{
    int64_t now_ns = mesh__now_ns();

    sweep_incomplete(queue, now_ns);
    sweep_answered(queue, now_ns);
    queue->swept_ns = now_ns;
}

/* ---- asking for calls --------------------------------------------------------------------- */

static void accept_call(struct server_call *call)
{
    struct server_queue *queue = call->method->queue;
    enum server_lane lane = call->method->lane;

    list(call);
    set_deadline(call);
    mesh__wire->call_peer(call->wire, call->peer, sizeof(call->peer)); /* known while it is there */
    mesh__call_started(call->method->metrics);
    mesh__call_batch(call, &(struct wire_batch){.ops = WIRE_RECV_CLOSE}, &call->closed);
    if (lane != SERVER_WORKER && lane != SERVER_INLINE) {
        hand_on(call);
        return;
    }
    call->incomplete = true;
    queue->n_incomplete++;
    mesh__call_batch(call, &(struct wire_batch){.ops = WIRE_RECV_MESSAGE}, &call->received);
    make_room(queue);
}

static void on_requested(struct server_call *call, bool ok)
{
    if (!ok) {
        return; /* the server is shutting down; the reference of the tag was the only one */
    }
    mesh__call_request(call->method);
    call->started_ns = mesh__now_ns();
    (void)atomic_fetch_add(&call->method->n_running, 1);
    accept_call(call);
}

void mesh__call_request(struct server_method *method)
{
    struct server_call *call = mesh__calloc(1, sizeof(*call));

    call->method = method;
    atomic_init(&call->refs, 1); /* the tag's */
    call->requested = (struct server_tag){on_requested, call};
    call->received.done = on_received;
    call->closed.done = on_closed;
    call->answered.done = on_answered;
    (void)atomic_fetch_add(&method->server->n_calls, 1);
    call->wire = mesh__wire->server_request(method->server->wire, method->wire, method->queue->wire,
                                            &call->requested);
    if (call->wire == NULL) {
        mesh__call_unref(call);
    }
}
