/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the seam's gRPC side share; nothing else includes this. */
#ifndef MESH_RPC_WIRE_GRPC_H
#define MESH_RPC_WIRE_GRPC_H

#include "rpc/wire.h"

#include <grpc/grpc.h>
#include <grpc/support/time.h>

/*
 * The distribution's core is not instrumented, so ThreadSanitizer does not see that a queue hands
 * a tag from the thread that started it to the thread that takes it.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WIRE_TSAN
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WIRE_TSAN
#endif
#ifdef WIRE_TSAN
#include <sanitizer/tsan_interface.h>
#define WIRE_HAND_OVER(tag) __tsan_release(tag)
#define WIRE_TAKE_OVER(tag) __tsan_acquire(tag)
#else
#define WIRE_HAND_OVER(tag) ((void)(tag))
#define WIRE_TAKE_OVER(tag) ((void)(tag))
#endif

struct wire_message {
    grpc_slice bytes;         /* what message_data() points into, unless buffer has one slice */
    grpc_byte_buffer *buffer; /* as received; NULL for a message of our own */
    enum wire_encoding encoding;
};

struct wire_call_metadata {
    grpc_metadata_array array;
    bool received;
    struct wire_pair *pairs; /* copies, made at the first question */
};

struct wire_call {
    grpc_call *call;
    bool server;  /* it was received */
    bool generic; /* details is filled in */
    grpc_call_details details;
    gpr_timespec deadline;
    int64_t deadline_ns;
    struct wire_call_metadata head; /* of the request on the server, initial on the client */
    struct wire_call_metadata tail;
    grpc_byte_buffer *message; /* received and not yet taken */
    int cancelled;
    grpc_status_code status;
    grpc_slice status_details;
    char *status_text;
    char *path;
};

/* One batch under way: the tag of the core. It keeps what the core must still find. */
struct wire_operation {
    void *tag;
    struct wire_call *call; /* NULL: of a queue or a channel */
    bool request;           /* of server_request() */
    unsigned ops;
    struct wire_message *message;
    grpc_byte_buffer *sent;
    grpc_slice status_text;
    size_t n_initial, n_trailing;
    grpc_metadata metadata[]; /* initial, then trailing */
};

/* Ends the process on what only a bug of ours can cause. */
void mesh__wire_must(grpc_call_error error, const char *what);
gpr_timespec mesh__wire_to_timespec(int64_t ns);
int64_t mesh__wire_from_timespec(gpr_timespec time);

struct wire_call *mesh__wire_call_new(void);
struct wire_operation *mesh__wire_operation_new(struct wire_call *call, size_t n_pairs, void *tag);
/* Puts what a completed operation has received into its call, and frees it. False if it failed. */
bool mesh__wire_operation_done(struct wire_operation *operation, bool ok);

/* Entries of struct wire. */
void mesh__wire_call_start(struct wire_call *call, const struct wire_batch *batch, void *tag);
void mesh__wire_call_cancel(struct wire_call *call);
void mesh__wire_call_expire(struct wire_call *call);
void mesh__wire_call_free(struct wire_call *call);
const char *mesh__wire_call_path(const struct wire_call *call);
int64_t mesh__wire_call_deadline_ns(const struct wire_call *call);
void mesh__wire_call_peer(const struct wire_call *call, char *ret_text, size_t size);
bool mesh__wire_call_metadata(struct wire_call *call, enum wire_metadata_kind kind, size_t i,
                              struct wire_pair *ret_pair);
size_t mesh__wire_call_message_size(const struct wire_call *call);
struct wire_message *mesh__wire_call_take_message(struct wire_call *call);
bool mesh__wire_call_was_cancelled(const struct wire_call *call);
enum mesh_status mesh__wire_call_status(const struct wire_call *call);
const char *mesh__wire_call_status_text(struct wire_call *call);
struct wire_message *mesh__wire_message_new(size_t size, uint8_t **ret_data);
const uint8_t *mesh__wire_message_data(struct wire_message *message, size_t *ret_size);
enum wire_encoding mesh__wire_message_encoding(const struct wire_message *message);
void mesh__wire_message_free(struct wire_message *message);

#endif
