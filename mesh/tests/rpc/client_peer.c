/* SPDX-License-Identifier: Apache-2.0 */
#include "client_peer.h"

#include "core/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_THREADS 8

struct op {
    bool pending;
    bool ok;
};

struct peer_call {
    struct wire_call *wire;
    struct wire_queue *queue;
    struct op over, send, receive;
    bool initial_sent;
    bool ended;
};

struct peer_thread {
    struct peer *peer;
    struct wire_queue *queue;
    pthread_t thread;
};

struct peer {
    const struct peer_script *scripts;
    void *arg;
    struct wire_server *server;
    struct peer_thread threads[N_THREADS];
    int port;
    char target[32];
};

static bool wait_until(struct wire_queue *queue, const struct op *op, int64_t until_ns)
{
    while (op->pending) {
        struct wire_event event = mesh__wire->queue_next(queue, until_ns);
        struct op *done = event.tag;

        if (event.kind != WIRE_COMPLETE) {
            return false;
        }
        done->pending = false;
        done->ok = event.ok;
    }
    return true;
}

static bool wait_for(struct wire_queue *queue, struct op *op)
{
    return wait_until(queue, op, INT64_MAX) && op->ok;
}

static bool run_batch(struct peer_call *call, struct wire_batch batch, struct op *op)
{
    op->pending = true;
    mesh__wire->call_start(call->wire, &batch, op);
    return wait_for(call->queue, op);
}

struct wire_call *peer_wire(struct peer_call *call)
{
    return call->wire;
}

const char *peer_metadata(struct peer_call *call, const char *key)
{
    struct wire_pair pair;

    for (size_t i = 0; mesh__wire->call_metadata(call->wire, WIRE_REQUEST, i, &pair); i++) {
        if (strcmp(pair.key, key) == 0) {
            return pair.value;
        }
    }
    return NULL;
}

Peer__Note *peer_read(struct peer_call *call)
{
    struct wire_message *message;
    Peer__Note *note;
    const uint8_t *bytes;
    size_t size;

    (void)run_batch(call, (struct wire_batch){.ops = WIRE_RECV_MESSAGE}, &call->receive);
    message = mesh__wire->call_take_message(call->wire);
    if (message == NULL) {
        return NULL;
    }
    bytes = mesh__wire->message_data(message, &size);
    note = peer__note__unpack(NULL, size, bytes);
    mesh__wire->message_free(message);
    return note;
}

void peer_send_initial(struct peer_call *call, const struct wire_pair *pairs, size_t n)
{
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL, .initial = pairs, .n_initial = n};

    call->initial_sent = true;
    (void)run_batch(call, batch, &call->send);
}

bool peer_write_bytes(struct peer_call *call, const void *bytes, size_t size)
{
    uint8_t *data;
    struct wire_batch batch = {.ops = WIRE_SEND_MESSAGE};

    batch.message = mesh__wire->message_new(size, &data);
    if (size > 0) {
        memcpy(data, bytes, size);
    }
    if (!call->initial_sent) {
        batch.ops |= WIRE_SEND_INITIAL;
        call->initial_sent = true;
    }
    return run_batch(call, batch, &call->send);
}

bool peer_write(struct peer_call *call, const char *text, int64_t number)
{
    Peer__Note note = PEER__NOTE__INIT;
    uint8_t bytes[1024];

    note.text = text;
    note.number = number;
    if (peer__note__get_packed_size(&note) > sizeof bytes) {
        abort();
    }
    return peer_write_bytes(call, bytes, peer__note__pack(&note, bytes));
}

void peer_end(struct peer_call *call, enum mesh_status status, const char *text,
              const struct wire_pair *pairs, size_t n)
{
    struct wire_batch batch = {.ops = WIRE_SEND_STATUS,
                               .status = status,
                               .status_text = text,
                               .trailing = pairs,
                               .n_trailing = n};

    if (!call->initial_sent) {
        batch.ops |= WIRE_SEND_INITIAL;
    }
    call->ended = true;
    (void)run_batch(call, batch, &call->send);
}

bool peer_wait_over(struct peer_call *call)
{
    (void)wait_for(call->queue, &call->over);
    return mesh__wire->call_was_cancelled(call->wire);
}

bool peer_over_within(struct peer_call *call, int64_t ms)
{
    return wait_until(call->queue, &call->over, mesh__in_ms(ms));
}

static void serve(struct peer *peer, struct peer_call *call)
{
    const struct peer_script *script = peer->scripts;

    call->over.pending = true;
    mesh__wire->call_start(call->wire, &(struct wire_batch){.ops = WIRE_RECV_CLOSE}, &call->over);
    while (script->path != NULL && strcmp(script->path, mesh__wire->call_path(call->wire)) != 0) {
        script++;
    }
    if (script->path != NULL) {
        script->run(call, peer->arg);
    }
    if (!call->ended) {
        peer_end(call, script->path == NULL ? MESH_UNIMPLEMENTED : MESH_OK, "", NULL, 0);
    }
    (void)peer_wait_over(call);
    mesh__wire->call_free(call->wire);
}

static void *thread_main(void *arg)
{
    struct peer_thread *thread = arg;

    for (;;) {
        struct peer_call call = {.queue = thread->queue};
        struct op request = {.pending = true, .ok = false};

        call.wire = mesh__wire->server_request(thread->peer->server, NULL, thread->queue, &request);
        if (call.wire == NULL) {
            return NULL;
        }
        if (!wait_for(thread->queue, &request)) {
            mesh__wire->call_free(call.wire);
            return NULL;
        }
        serve(thread->peer, &call);
    }
}

struct peer *peer_new(const struct peer_script *scripts, void *arg, int port)
{
    struct peer *peer = calloc(1, sizeof *peer);
    char address[32];

    if (peer == NULL) {
        abort();
    }
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", port);

    mesh__wire->start();
    peer->scripts = scripts;
    peer->arg = arg;
    peer->server = mesh__wire->server_new(&(struct wire_server_options){.max_metadata_bytes = 0});
    if (!mesh__wire->server_listen(peer->server, address, &peer->port)) {
        abort();
    }
    (void)snprintf(peer->target, sizeof peer->target, "127.0.0.1:%d", peer->port);
    for (int i = 0; i < N_THREADS; i++) {
        peer->threads[i].peer = peer;
        peer->threads[i].queue = mesh__wire->queue_new();
        mesh__wire->server_add_queue(peer->server, peer->threads[i].queue);
    }
    mesh__wire->server_start(peer->server);
    for (int i = 0; i < N_THREADS; i++) {
        if (pthread_create(&peer->threads[i].thread, NULL, thread_main, &peer->threads[i]) != 0) {
            abort();
        }
    }
    return peer;
}

int peer_port(const struct peer *peer)
{
    return peer->port;
}

const char *peer_target(const struct peer *peer)
{
    return peer->target;
}

void peer_free(struct peer *peer)
{
    mesh__wire->server_shutdown(peer->server, 0);
    for (int i = 0; i < N_THREADS; i++) {
        struct wire_queue *queue = peer->threads[i].queue;

        (void)pthread_join(peer->threads[i].thread, NULL);
        mesh__wire->queue_shutdown(queue);
        while (mesh__wire->queue_next(queue, INT64_MAX).kind != WIRE_SHUTDOWN) {
        }
    }
    mesh__wire->server_free(peer->server);
    for (int i = 0; i < N_THREADS; i++) {
        mesh__wire->queue_free(peer->threads[i].queue);
    }
    mesh__wire->stop();
    free(peer);
}

int64_t peer_ms_since(int64_t start_ns)
{
    return (mesh__now_ns() - start_ns) / MESH_NS_PER_MS;
}

bool peer_await(atomic_int *value, int expected)
{
    int64_t limit_ns = mesh__in_ms(5000);

    while (*value != expected && mesh__now_ns() < limit_ns) {
        (void)sched_yield();
    }
    return *value == expected;
}
