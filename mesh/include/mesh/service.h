/* SPDX-License-Identifier: Apache-2.0 */
/* What protoc-gen-mesh writes down about a service: its methods, their types and how to call them.
 */
#ifndef MESH_SERVICE_H
#define MESH_SERVICE_H

#include "mesh/ctx.h"

#include <protobuf-c/protobuf-c.h>

struct mesh_stream;
struct mesh_tx;
struct mesh_violations;

enum mesh_method_kind {
    MESH_UNARY,
    MESH_SERVER_STREAMING,
    MESH_CLIENT_STREAMING,
    MESH_BIDI_STREAMING
};

/* google.protobuf.MethodOptions.IdempotencyLevel. */
enum mesh_idempotency { MESH_IDEMPOTENCY_UNKNOWN, MESH_NO_SIDE_EFFECTS, MESH_IDEMPOTENT };

struct mesh_method {
    const char *path; /* "/fashion.order.v1.OrderService/PlaceOrder" */
    const char *name; /* "PlaceOrder" */
    enum mesh_method_kind kind;
    enum mesh_idempotency idempotency;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    /* Adds every broken rule of a request to violations; NULL where the proto has no rules. */
    void (*validate)(struct mesh_violations *violations, const ProtobufCMessage *request);
    /*
     * Calls the typed handler in the table `handlers`; MESH_UNIMPLEMENTED if it is not set. request
     * is NULL for client and bidirectional streams; response is NULL unless the method is unary or
     * client streaming, and is initialised by the caller; stream is NULL for unary methods.
     */
    MESH_STATUS (*dispatch)(struct mesh_ctx *ctx, const void *handlers, void *service,
                            const ProtobufCMessage *request, ProtobufCMessage *response,
                            struct mesh_stream *stream);
};

/*
 * A message type with fields marked (mesh.v1.sensitive), generated for every message that has any,
 * so that the runtime never prints their values.
 */
struct mesh_sensitive_type {
    const ProtobufCMessageDescriptor *descriptor;
    const char *const *fields; /* names, NULL at the end */
};

struct mesh_service_type {
    const char *name; /* "fashion.order.v1.OrderService" */
    const struct mesh_method *methods;
    size_t n_methods;
    /* A serialized google.protobuf.FileDescriptorSet of its file and all imports, for reflection.
     */
    const uint8_t *files;
    size_t files_size;
    /* What its requests, answers and events hold; NULL at the end; NULL: nothing. */
    const struct mesh_sensitive_type *const *sensitive;
};

/* A message that is a domain event: (mesh.v1.event) in the proto. */
struct mesh_event_type {
    const char *name;      /* "OrderPlaced" */
    const char *full_name; /* "fashion.order.v1.OrderPlaced" */
    const char *system;    /* "fashion" */
    const char *source;    /* "order": the service that publishes it */
    const ProtobufCMessageDescriptor *descriptor;
    size_t key_offset;        /* offset in the C struct of the key, a const char * */
    ptrdiff_t version_offset; /* offset of the aggregate version, an int64_t; -1 if there is none */
};

/* One event that a service reacts to: a field of its message marked (mesh.v1.inbox). */
struct mesh_inbox_entry {
    const struct mesh_event_type *event;
    /* Calls the typed handler in the table `handlers`; an unset handler is MESH_UNIMPLEMENTED. */
    MESH_STATUS (*dispatch)(struct mesh_ctx *ctx, const void *handlers, void *service,
                            struct mesh_tx *tx, const ProtobufCMessage *event);
};

struct mesh_inbox_type {
    const struct mesh_inbox_entry *entries;
    size_t n_entries;
};

#endif
