/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server share: methods, calls, their answers, the threads' queues. */
#ifndef MESH_RPC_SERVER_IMPL_H
#define MESH_RPC_SERVER_IMPL_H

#include "core/ctx_impl.h"
#include "core/listen.h"
#include "mesh/log.h"
#include "rpc/call_metrics.h"
#include "rpc/server.h"
#include "rpc/stream_impl.h"
#include "rpc/wire.h"

#include <pthread.h>

#define MAX_ADDRESSES 16

struct server_call;
struct workers;
struct stream_threads;
struct health;
struct reflection;

/* Who serves a method's calls. Queue threads never block. */
enum server_lane {
    SERVER_WORKER, /* a worker, over the bounded queue */
    SERVER_STREAM, /* a thread of its own */
    SERVER_INLINE, /* unary, answered by the queue thread itself */
    SERVER_WATCH,  /* the queue thread and health.c */
    SERVER_UNKNOWN /* methods that are not served */
};

/* One thread that takes completions. */
struct server_queue {
    struct mesh_server *server;
    struct wire_queue *wire;
    pthread_t thread;
    bool running;
    struct mesh_ctx *ctx; /* for the answers that the thread gives itself */
    /* Of the thread alone: the calls that have come and are not over, the oldest first. */
    struct server_call *oldest, *newest;
    int n_incomplete; /* of them: unary calls whose message is still to come */
    int64_t swept_ns;
};

struct server_method {
    struct mesh_server *server;
    const struct mesh_service_type *type;
    const struct mesh_method *method;
    const void *handlers;
    void *state;
    enum server_lane lane;
    enum mesh_log_level log_level; /* of its calls */
    struct server_queue *queue;
    struct stream_threads *threads; /* of SERVER_STREAM */
    struct wire_method *wire;       /* NULL for SERVER_UNKNOWN */
    atomic_int n_running;           /* calls that are not over */
    struct mesh__call_metrics *metrics;
    const ProtobufCFieldDescriptor *request_id; /* shown in the log; NULL: it has none */
};

struct mesh_server {
    struct mesh_server_options options;
    struct wire_server *wire;
    struct mesh__address addresses[MAX_ADDRESSES]; /* that it listens on */
    size_t n_addresses;
    struct server_queue unary, stream;
    struct server_method *methods;
    size_t n_methods;
    struct server_method unknown;
    bool started;
    atomic_bool stopping;    /* it drains */
    atomic_size_t n_calls;   /* requested or under way */
    atomic_size_t n_untaken; /* bytes of answers that their clients have not taken */
    pthread_mutex_t mutex;   /* for no_calls alone */
    pthread_cond_t no_calls; /* n_calls has become 0, as it does in a stop only */
    struct mesh_counter *untaken;
    struct workers *workers;
    struct stream_threads *stream_threads, *reflection_threads;
    struct health *health;
    struct reflection *reflection;
};

/* ---- calls -------------------------------------------------------------------------------- */

/* A tag on a queue: done runs on the queue's thread. A started tag holds a reference to the call.
 */
struct server_tag {
    void (*done)(struct server_call *call, bool ok);
    struct server_call *call;
};

/* One call from the request for it to its end. Freed with its last reference. */
struct server_call {
    struct server_method *method;
    struct wire_call *wire;
    struct server_call *older, *newer; /* in the list of its queue thread */
    struct server_call *next;          /* in a queue of waiting calls */
    size_t waiting_bytes;              /* of its request, while it waits for a worker */
    int64_t waiting_ns;                /* since when it does */
    atomic_int refs;
    atomic_bool cancelled;
    char peer[64]; /* cut if it is longer */
    int64_t started_ns;
    int64_t deadline_ns;
    _Atomic int64_t answered_ns; /* 0: not yet */
    size_t answer_bytes;         /* of the answer, until it was taken */
    bool given_up;
    bool initial_sent;
    struct server_tag requested, received, closed, answered;
    bool incomplete;  /* its message is waited for; on the queue thread */
    bool has_message; /* or will have none */
    void *owner;      /* the lane's own: the stream, or the watcher */
    void (*closed_hook)(struct server_call *call); /* told of the end, on the queue thread */
    void (*release)(struct server_call *call);     /* frees owner with the last reference */
};

/* Asks for the next call of a method. */
void mesh__call_request(struct server_method *method);
/* On the queue thread, now and then: cancels calls whose answers are not taken. */
void mesh__calls_sweep(struct server_queue *queue);
/* Starts a batch on a call. */
void mesh__call_batch(struct server_call *call, const struct wire_batch *batch,
                      struct server_tag *tag);
void mesh__call_ref(struct server_call *call);
void mesh__call_unref(struct server_call *call);

/* Gives the call to a clean context, and takes it back: what the context holds then ends. */
void mesh__call_enter(struct server_call *call, struct mesh_ctx *ctx);
void mesh__call_leave(struct mesh_ctx *ctx);

/*
 * Answers the call, once: initial and trailing metadata, status and details from ctx. reply (may be
 * NULL) is sent if status is MESH_OK. request may be NULL. Logs and counts the call.
 */
void mesh__call_finish(struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                       const ProtobufCMessage *request, struct wire_message *reply);
/* The whole answer to a call that no handler sees; reason counts it as rejected unless NULL. */
void mesh__call_refuse(struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                       const char *reason, const char *text);
/* Initial metadata, in ctx's memory. */
const struct wire_pair *mesh__call_initial(struct mesh_ctx *ctx, size_t *ret_n);
/*
 * Inflates, guards, unpacks into memory (ctx, or a context of its own) and frees what was received;
 * NULL stands for a request that never came. Failures are ctx's.
 */
MESH_STATUS mesh__call_unpack(const struct server_call *call, struct mesh_ctx *ctx,
                              struct mesh_ctx *memory, struct wire_message *bytes,
                              ProtobufCMessage **ret_message);
/* Runs the rules of the method on a request. */
MESH_STATUS mesh__call_validate(const struct server_call *call, struct mesh_ctx *ctx,
                                const ProtobufCMessage *request);
struct wire_message *mesh__call_pack(const ProtobufCMessage *message);
/* Packs the response of a handler; fails if too many answers wait for their clients. */
MESH_STATUS mesh__call_reply(const struct server_call *call, struct mesh_ctx *ctx,
                             const ProtobufCMessage *response, struct wire_message **ret_reply);
/* An empty response of the method, in ctx's memory. */
ProtobufCMessage *mesh__call_response(const struct server_call *call, struct mesh_ctx *ctx);
/* A unary call from its bytes to its answer, on this thread. */
void mesh__call_run(struct server_call *call, struct mesh_ctx *ctx);

/* One log line and the metrics of a call that is being answered. */
void mesh__call_log(const struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                    const ProtobufCMessage *request);

/* ---- metrics ------------------------------------------------------------------------------ */

/* A call that no handler sees. */
void mesh__server_count_rejected(const char *reason);

/* ---- threads ------------------------------------------------------------------------------ */

/* A thread with the stack that handlers get. False: the system has none. */
bool mesh__server_thread(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg);
struct workers *mesh__workers_new(struct mesh_server *server);
void mesh__workers_start(struct workers *workers);
/* Takes the call over; false if the queue is full. */
bool mesh__workers_add(struct workers *workers, struct server_call *call);
/* Runs what waits, then joins the threads. */
void mesh__workers_free(struct workers *workers);

struct stream_threads *mesh__stream_threads_new(struct mesh_server *server, int limit);
/* Takes the call over; false if there are as many streams as there may be. */
bool mesh__stream_threads_add(struct stream_threads *threads, struct server_call *call);
void mesh__stream_threads_free(struct stream_threads *threads);

/* Serves a streaming call on this thread. reader is for the messages read. */
void mesh__stream_run(struct server_call *call, struct mesh_ctx *ctx, struct mesh_ctx *reader);

/* ---- health and reflection ---------------------------------------------------------------- */

extern const struct mesh_service_type mesh__health_type;
extern const struct mesh_service_type mesh__reflection_type;
extern const struct mesh_service_type mesh__reflection_alpha_type;

/* Knows the services of these types, all NOT_SERVING. */
struct health *mesh__health_new(const struct mesh_service_type *const *types, size_t n_types,
                                int watch_limit);
void mesh__health_free(struct health *health);
void mesh__health_set(struct health *health, bool serving);
/* Ends all watches, and those that still come. */
void mesh__health_stop(struct health *health);
/* Takes a call of Watch over, on the queue thread. */
void mesh__health_watch(struct server_call *call);

/* Knows these types, the descriptors of health and reflection themselves and of error details. */
struct reflection *mesh__reflection_new(const struct mesh_service_type *const *types,
                                        size_t n_types, int64_t idle_ms);
void mesh__reflection_free(struct reflection *reflection);

#endif
