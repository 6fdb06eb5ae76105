/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam to gRPC: queues, calls, the server and channels, in our own types. wire_grpc.c is the
 * only file that includes grpc/; a test may point mesh__wire to another table.
 */
#ifndef MESH_RPC_WIRE_H
#define MESH_RPC_WIRE_H

#include "mesh/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_queue;   /* completions are taken from it, by one thread at a time */
struct wire_call;    /* one call, on either side; owns what was received on it */
struct wire_message; /* the bytes of one message */
struct wire_server;
struct wire_method; /* a registered method of a server */
struct wire_channel;

struct wire_pair {
    const char *key;
    const void *value;
    size_t size;
};

enum wire_op {
    WIRE_SEND_INITIAL = 1 << 0,
    WIRE_SEND_MESSAGE = 1 << 1,
    WIRE_SEND_CLOSE = 1 << 2,  /* client: no more messages */
    WIRE_SEND_STATUS = 1 << 3, /* server: the end of the call */
    WIRE_RECV_INITIAL = 1 << 4,
    WIRE_RECV_MESSAGE = 1 << 5,
    WIRE_RECV_STATUS = 1 << 6, /* client */
    WIRE_RECV_CLOSE =
        1 << 7 /* server: completes when the call is over; tells if it was cancelled */
};

/* What one call_start() does. Everything is copied, except message, whose ownership passes on
 * unless it is kept. */
struct wire_batch {
    unsigned ops; /* of enum wire_op */
    const struct wire_pair *initial;
    size_t n_initial;
    struct wire_message *message;
    bool keep_message; /* it stays the caller's, to be sent again */
    enum mesh_status status;
    const char *status_text; /* NULL: "" */
    const struct wire_pair *trailing;
    size_t n_trailing;
};

/* How the bytes of a message stand for it. */
enum wire_encoding {
    WIRE_PLAIN,
    WIRE_DEFLATE,
    WIRE_GZIP,
    WIRE_OTHER /* compressed by something else, or nobody knows by what */
};

enum wire_event_kind { WIRE_COMPLETE, WIRE_TIMEOUT, WIRE_SHUTDOWN };

struct wire_event {
    enum wire_event_kind kind;
    void *tag;
    bool ok; /* false: the operation did not happen (call over, server shutting down) */
};

/* Of a channel; in the order of the core's own, which may go from each to each. */
enum wire_channel_state {
    WIRE_IDLE,
    WIRE_CONNECTING,
    WIRE_READY,
    WIRE_FAILING, /* it waits before it tries again */
    WIRE_CLOSED   /* it was freed */
};

enum wire_metadata_kind {
    WIRE_REQUEST, /* server: metadata of the request */
    WIRE_INITIAL, /* client: after WIRE_RECV_INITIAL */
    WIRE_TRAILING /* client: after WIRE_RECV_STATUS */
};

struct wire_server_options {
    int max_connection_streams;      /* calls at the same time on one connection; 0: 100 */
    size_t memory_bytes;             /* what all connections may hold; 0: no limit */
    int max_metadata_bytes;          /* 0: 65536 */
    int max_connection_age_ms;       /* 0: none */
    int max_connection_age_grace_ms; /* 0: 10000 */
    int keepalive_ms;                /* a client that is silent so long is pinged; 0: 60000 */
    int keepalive_timeout_ms;        /* and has so long to answer; 0: 20000 */
};

struct wire_channel_options {
    const char *authority;    /* NULL: from the target */
    int max_message_bytes;    /* 0: 4 MiB */
    int keepalive_ms;         /* a peer that is silent so long during a call is pinged; 0: 30000 */
    int keepalive_timeout_ms; /* and has so long to answer; 0: 10000 */
    bool watch_health;        /* it is ready only while the peer's health service says SERVING */
};

struct wire {
    /* Counted; every start is paired with a stop. The log of the library goes through ours. */
    void (*start)(void);
    void (*stop)(void);

    struct wire_queue *(*queue_new)(void);
    /* Its thread does not look at connections itself: one of another queue must. */
    struct wire_queue *(*queue_new_told)(void);
    /* Waits until deadline_ns (monotonic). */
    struct wire_event (*queue_next)(struct wire_queue *queue, int64_t deadline_ns);
    /* After it, queue_next drains what is left and then answers WIRE_SHUTDOWN. */
    void (*queue_shutdown)(struct wire_queue *queue);
    void (*queue_free)(struct wire_queue *queue); /* after WIRE_SHUTDOWN was seen */
    /* Completes tag on the queue at once, from any thread; before queue_shutdown. */
    void (*queue_wake)(struct wire_queue *queue, void *tag);

    /*
     * The size of what is received has no limit but memory: the core would look at it no sooner
     * than we can, and would let the end of a stream look like that of a complete one.
     */
    struct wire_server *(*server_new)(const struct wire_server_options *options);
    /* Binds "host:port" exclusively (port 0: any free one). False if the port cannot be had. */
    bool (*server_listen)(struct wire_server *server, const char *address, int *ret_port);
    void (*server_add_queue)(struct wire_server *server, struct wire_queue *queue);
    struct wire_method *(*server_register)(struct wire_server *server,
                                           const char *path); /* before server_start */
    void (*server_start)(struct wire_server *server);
    /*
     * Asks for the next call of a method (NULL: of any method that is not registered). tag
     * completes on queue with ok = true and the call filled in, or false when the server shuts
     * down. The call is bound to queue. NULL if the server is already shutting down; then tag does
     * not complete.
     */
    struct wire_call *(*server_request)(struct wire_server *server, struct wire_method *method,
                                        struct wire_queue *queue, void *tag);
    /* Sends GOAWAY and refuses new calls; those asked for come back with ok = false. */
    void (*server_close)(struct wire_server *server);
    /* Closes it if that was not done, waits until all connections have ended, after grace_ns by
     * cancelling what is left. Cancelled calls must still be freed before their queue is shut down.
     */
    void (*server_shutdown)(struct wire_server *server, int64_t grace_ns);
    void (*server_free)(struct wire_server *server); /* after all queues were drained */

    struct wire_channel *(*channel_new)(const char *target,
                                        const struct wire_channel_options *options);
    void (*channel_free)(struct wire_channel *channel);
    /* try_connect: an idle one connects. */
    enum wire_channel_state (*channel_state)(struct wire_channel *channel, bool try_connect);
    /* tag completes once the state is another one than last; freeing the channel closes it. */
    void (*channel_watch)(struct wire_channel *channel, enum wire_channel_state last,
                          struct wire_queue *queue, void *tag);
    /* What waits before it connects again does so at once. */
    void (*channel_reset_backoff)(struct wire_channel *channel);
    /* parent may be NULL; with a parent, its cancellation and deadline reach this call too. */
    struct wire_call *(*call_new)(struct wire_channel *channel, struct wire_call *parent,
                                  struct wire_queue *queue, const char *path, int64_t deadline_ns);

    /* tag completes on the call's queue. At most one of each operation is under way at a time. */
    void (*call_start)(struct wire_call *call, const struct wire_batch *batch, void *tag);
    void (*call_cancel)(struct wire_call *call); /* any thread, any time before call_free */
    void (*call_expire)(struct wire_call *call); /* the same, as when its deadline has passed */
    void (*call_free)(struct wire_call *call);   /* after all its tags have completed */

    const char *(*call_path)(
        const struct wire_call *call); /* server, unregistered methods: "/pkg.Service/Method" */
    int64_t (*call_deadline_ns)(const struct wire_call *call); /* monotonic; INT64_MAX: none */
    /* Writes the peer's address, such as "ipv4:127.0.0.1:5000". */
    void (*call_peer)(const struct wire_call *call, char *ret_text, size_t size);
    /* The i-th pair; false beyond the last. It lives as long as the call. Keys and values are
     * NUL-terminated copies. */
    bool (*call_metadata)(struct wire_call *call, enum wire_metadata_kind kind, size_t i,
                          struct wire_pair *ret_pair);
    /* Its bytes while it was not taken; 0 without one. */
    size_t (*call_message_size)(const struct wire_call *call);
    /* The message received last, if any; ownership passes to the caller. NULL: the peer's messages
     * have ended. */
    struct wire_message *(*call_take_message)(struct wire_call *call);
    bool (*call_was_cancelled)(const struct wire_call *call);      /* after WIRE_RECV_CLOSE */
    enum mesh_status (*call_status)(const struct wire_call *call); /* after WIRE_RECV_STATUS */
    const char *(*call_status_text)(
        struct wire_call *call); /* after WIRE_RECV_STATUS; lives as long as the call */

    /* A message to be filled: *ret_data has room for size bytes. */
    struct wire_message *(*message_new)(size_t size, uint8_t **ret_data);
    /* The bytes in one piece; they live as long as the message. */
    const uint8_t *(*message_data)(struct wire_message *message, size_t *ret_size);
    enum wire_encoding (*message_encoding)(const struct wire_message *message);
    void (*message_free)(struct wire_message *message);
};

/* The table in force. */
extern const struct wire *mesh__wire;

#endif
