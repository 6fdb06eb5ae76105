/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to the message broker: a table of functions in our own types that a test can replace. */
#ifndef MESH_EVENTS_BROKER_H
#define MESH_EVENTS_BROKER_H

#include "mesh/ctx.h"

#define BROKER_WINDOW 256 /* publications of one connection under way at the same time */
#define BROKER_ID_SIZE 129
#define BROKER_NAME_SIZE 129
#define BROKER_SERVERS 16 /* of a list; more are not used */

/* Never reconnects by itself: once closed, its owner makes a new one. */
struct broker_connection;

/* A message of a stream, one block of memory: freed by free(). */
struct broker_message {
    struct broker_message *next; /* for its owner */
    const char *subject;
    const char *id;             /* its message id; "" if the publisher gave none */
    const char *consumer;       /* the consumer that delivered it */
    uint64_t sequence;          /* in the stream */
    uint64_t consumer_sequence; /* 1, 2, 3, ... of this consumer: a gap is a lost delivery */
    uint64_t pending;           /* how many more the consumer has to deliver */
    int64_t time_us;            /* when the broker stored it */
    const uint8_t *data;
    size_t size;
};

/* A copy of it and of what it points to, in one block. */
struct broker_message *mesh__broker_message_new(const struct broker_message *from);

/* Cuts a list at its commas, in place; empty elements are left out. Returns how many there are. */
int mesh__broker_split(char *list, const char **ret_elements, int max);

struct broker_ack {
    bool stored;
    bool duplicate;    /* stored before, under the same message id */
    uint64_t sequence; /* where it is stored */
    const char *error; /* if it was not stored; lives as long as the callback */
    bool full;         /* ... because there was no room; a smaller one may have had some */
};

enum broker_pull_state {
    BROKER_PULL_ALIVE,
    BROKER_PULL_ENDED,
    BROKER_PULL_REFUSED /* the consumer is gone, or of no use any more */
};

/* By the headers Status and Description of a note: how a pull ends. A consumer that was deleted is
 * told like that, too. */
enum broker_pull_state mesh__pull_state(const char *status, const char *description);

struct broker_pull_note {
    uint64_t tag; /* of the pull */
    enum broker_pull_state state;
    /* With BROKER_PULL_ALIVE: the consumer has looked at everything up to this sequence of the
     * stream, having delivered so many. 0, 0 if the broker does not say. */
    uint64_t stream_sequence;
    uint64_t consumer_sequence;
};

/*
 * Called on threads of the library, also before connect() has returned; none may block. After
 * close() has returned no more come.
 */
struct broker_callbacks {
    void *arg;
    void (*on_closed)(void *arg);
    void (*on_ack)(void *arg, uint64_t token, const struct broker_ack *ack);
    void (*on_message)(void *arg, struct broker_message *message); /* owns message */
    void (*on_pull)(void *arg, const struct broker_pull_note *note);
    void (*on_ping)(void *arg, const char *subject);
};

struct broker_options {
    const char *url;  /* of one server; tls:// demands TLS and a certificate of that host */
    const char *ca;   /* who may have signed it, in PEM; NULL: who the system trusts */
    const char *name; /* shown by the broker's monitoring */
    struct broker_callbacks callbacks;
};

struct broker_stream_config {
    const char *name;
    const char *subject; /* a pattern */
    int64_t max_bytes;   /* then it takes no more */
    int64_t max_age_s;
    int64_t duplicates_s; /* how long message ids are remembered */
    int64_t message_size; /* of the largest one; 0: whatever it takes */
};

struct broker_stream {
    int64_t created_us;
    uint64_t first_sequence; /* first > last: empty */
    uint64_t last_sequence;
    int64_t size;       /* in bytes */
    int64_t max_bytes;  /* 0 or less: there is no limit */
    int64_t max_age_us; /* the same */
};

/* What tells one message from another at the same sequence. */
struct broker_identity {
    char id[BROKER_ID_SIZE];
    int64_t time_us;
};

struct broker_consumer {
    char name[BROKER_NAME_SIZE];
    uint64_t pending; /* messages that it has to deliver */
};

struct broker_publication {
    const char *subject;
    const char *id;
    const void *data;
    size_t size;
};

/*
 * Functions that wait do so for less than a second, then fail with MESH_UNAVAILABLE; only the name
 * of a server may take longer to look up. Those without ctx may be called from any thread.
 */
struct broker {
    MESH_STATUS (*connect)(struct mesh_ctx *ctx, const struct broker_options *options,
                           struct broker_connection **ret_connection);
    void (*close)(struct broker_connection *connection); /* NULL is fine */
    /* What waits on it in another thread fails at once, and whatever is tried later. */
    void (*interrupt)(struct broker_connection *connection);
    void (*server_id)(struct broker_connection *connection, char ret_id[BROKER_ID_SIZE]);

    /* Creates the stream, or checks that it keeps what we ask for: MESH_FAILED_PRECONDITION. */
    MESH_STATUS (*stream_ensure)(struct mesh_ctx *ctx, struct broker_connection *connection,
                                 const struct broker_stream_config *config,
                                 struct broker_stream *ret_stream);
    /* MESH_NOT_FOUND: there is no such stream. */
    MESH_STATUS (*stream_state)(struct mesh_ctx *ctx, struct broker_connection *connection,
                                const char *stream, struct broker_stream *ret_stream);
    /* MESH_NOT_FOUND: nothing is stored there. */
    MESH_STATUS (*message_identity)(struct mesh_ctx *ctx, struct broker_connection *connection,
                                    const char *stream, uint64_t sequence,
                                    struct broker_identity *ret_identity);

    /* At most BROKER_WINDOW under way; on_ack tells the outcome of each that returned MESH_OK. */
    MESH_STATUS (*publish)(struct mesh_ctx *ctx, struct broker_connection *connection,
                           const struct broker_publication *publication, uint64_t token);

    /*
     * Makes an ordered consumer: in order from a sequence on, without acknowledgements, kept by the
     * broker for as long as somebody pulls. It delivers what is pulled, up to n messages for each
     * pull, and reports with the pull's tag: alive every heartbeat_ms, ended when it gives up
     * before n, or refused. One pull at a time.
     */
    MESH_STATUS (*consumer_open)(struct mesh_ctx *ctx, struct broker_connection *connection,
                                 const char *stream, const char *subject, uint64_t from,
                                 struct broker_consumer *ret_consumer);
    MESH_STATUS (*consumer_pull)(struct mesh_ctx *ctx, struct broker_connection *connection,
                                 const char *stream, const char *consumer, uint64_t tag, int n);
    /* Asks the broker to forget it; does not wait. */
    void (*consumer_close)(struct broker_connection *connection, const char *stream,
                           const char *consumer);

    /* Lossy messages without content, outside of streams. subject may end in a wildcard. */
    MESH_STATUS (*ping_subscribe)(struct mesh_ctx *ctx, struct broker_connection *connection,
                                  const char *subject);
    void (*ping)(struct broker_connection *connection, const char *subject);

    int64_t heartbeat_ms;
};

/* The table in force. */
extern const struct broker *mesh__broker;

#endif
