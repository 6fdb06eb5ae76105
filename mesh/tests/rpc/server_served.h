/* SPDX-License-Identifier: Apache-2.0 */
/* A server with handlers that do what a test tells them, a client to it, and its log. */
#ifndef SERVER_SERVED_H
#define SERVER_SERVED_H

#include "mesh/client.h"
#include "mesh/stream.h"
#include "rpc/server.h"
#include "rpc/wire.h"
#include "served.pb-c.h"

#include <semaphore.h>
#include <stdatomic.h>

struct served;

typedef MESH_STATUS (*served_script)(struct mesh_ctx *ctx, struct served *served,
                                     const Check__V1__Words *request, struct mesh_stream *stream);

struct served {
    struct mesh_server_options options; /* the test may change them before served_start() */
    struct mesh_server *server;
    struct mesh_client *client;
    struct mesh_ctx *ctx; /* of the client's calls, with 10 s */
    char target[32];
    int port;
    bool captured; /* the log */

    /* What the unary handler of Fail and the streams do; NULL: nothing. */
    _Atomic(served_script) script;
    sem_t entered;         /* one per call that a handler of Wait or a script has begun */
    sem_t leave;           /* one lets one handler of Wait go on */
    atomic_int n_entered;  /* handlers begun, of whatever method */
    atomic_int n_finished; /* handlers done */
    atomic_int outcome;    /* a status that a script has seen; -1 before */
};

/* Fills in defaults; nothing runs yet. */
void served_init(struct served *served);
/* Serving, and with a client. Fails the test if it cannot. */
void served_start(struct served *served);
/* The same, but the log goes to standard error. */
void served_start_aloud(struct served *served);
/* Stops what runs. */
void served_done(struct served *served);

/* The methods of check.v1.Check. */
const struct mesh_method *served_method(const char *name);

/* Calls a unary method with a text and returns its status; *ret_reply may be NULL. */
enum mesh_status served_call(struct served *served, const char *method, const char *text,
                             Check__V1__Words **ret_reply);
/* Asks health's Check over the client; the status of serving, or minus the call's status. */
int served_health(struct served *served, const char *service);

/* A call on the wire, with a queue and a channel of its own. */
struct served_wire {
    struct wire_queue *queue;
    struct wire_channel *channel;
    struct wire_call *call;
};

/* Makes a call and starts it: the request, and all that a unary call receives. */
void served_wire_send(struct served_wire *wire, const struct served *served, const char *path,
                      int64_t deadline_ns, const void *bytes, size_t size);
/* Takes completions until one comes, for 10 s; its tag, and whether it was ok. */
void *served_wire_next(struct served_wire *wire, bool *ret_ok);
/* Makes a call without starting anything. */
void served_wire_open(struct served_wire *wire, const struct served *served, const char *path,
                      int64_t deadline_ns);
void served_wire_close(struct served_wire *wire);
/* A unary call with these bytes; *ret_reply (unpacked, to be freed; may be NULL) if it succeeds. */
enum mesh_status served_send(const struct served *served, const char *path, int64_t deadline_ns,
                             const void *bytes, size_t size, Check__V1__Words **ret_reply);

/* Ends the program if something does not hold that every test relies on. */
#define MUST(condition) ((condition) ? (void)0 : served_fail(#condition))
_Noreturn void served_fail(const char *what);

/* The value of a metric's line that begins with this text, such as "x_total{code=\"OK\"}"; 0 if it
 * is not there. */
double served_metric(const char *line);

/* The log since the start or the last call of this, in memory to be freed. */
char *served_take_log(void);
/* Waits until a line with the text is in the log and returns it, to be freed. */
char *served_wait_log(const char *text);

#endif
