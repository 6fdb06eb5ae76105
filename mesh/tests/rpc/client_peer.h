/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that does what a test tells it, on the gRPC seam: one blocking script per method. */
#ifndef CLIENT_PEER_H
#define CLIENT_PEER_H

#include "client_peer.pb-c.h"
#include "mesh/service.h"
#include "rpc/wire.h"

#include <stdatomic.h>

struct peer;
struct peer_call;

struct peer_script {
    const char *path;
    void (*run)(struct peer_call *call, void *arg);
};

/* Serves scripts (path NULL at the end), at most 8 calls at a time. port 0: any free one. */
struct peer *peer_new(const struct peer_script *scripts, void *arg, int port);
int peer_port(const struct peer *peer);
/* "127.0.0.1:port" */
const char *peer_target(const struct peer *peer);
/* Cancels what is under way and waits for the scripts to end. */
void peer_free(struct peer *peer);

/* The initialiser of a method of peer.Peer, whose messages are notes. */
#define PEER_METHOD(method_name, method_kind)                                                      \
    {                                                                                              \
        .path = "/peer.Peer/" method_name, .name = method_name, .kind = method_kind,               \
        .request = &peer__note__descriptor, .response = &peer__note__descriptor                    \
    }

/* Milliseconds from a monotonic time until now. */
int64_t peer_ms_since(int64_t start_ns);
/* Waits until a script has made value what is expected; false after 5 s. */
bool peer_await(atomic_int *value, int expected);

/* ---- for scripts -------------------------------------------------------------------------- */

struct wire_call *peer_wire(struct peer_call *call);
/* The first value of a key of the request; NULL if absent. */
const char *peer_metadata(struct peer_call *call, const char *key);
/* The next message; NULL at the end. Freed by the caller with peer__note__free_unpacked(). */
Peer__Note *peer_read(struct peer_call *call);
void peer_send_initial(struct peer_call *call, const struct wire_pair *pairs, size_t n);
/* False: the call is over. */
bool peer_write_bytes(struct peer_call *call, const void *bytes, size_t size);
bool peer_write(struct peer_call *call, const char *text, int64_t number);
void peer_end(struct peer_call *call, enum mesh_status status, const char *text,
              const struct wire_pair *pairs, size_t n);
/* Waits until the call is over; true if it was cancelled. */
bool peer_wait_over(struct peer_call *call);
/* Waits so long at most; true if it is over. */
bool peer_over_within(struct peer_call *call, int64_t ms);

#endif
