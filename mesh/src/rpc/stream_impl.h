/* SPDX-License-Identifier: Apache-2.0 */
/* What the two kinds of stream (a handler's and a caller's) have in common. */
#ifndef MESH_RPC_STREAM_IMPL_H
#define MESH_RPC_STREAM_IMPL_H

#include "mesh/stream.h"

/* The functions of mesh/stream.h for one kind of stream; those a kind does not offer are NULL. */
struct mesh__stream_ops {
    MESH_STATUS (*read)(struct mesh_ctx *ctx, struct mesh_stream *stream,
                        ProtobufCMessage **ret_message);
    MESH_STATUS (*write)(struct mesh_ctx *ctx, struct mesh_stream *stream,
                         const ProtobufCMessage *message);
    MESH_STATUS (*send_initial_metadata)(struct mesh_ctx *ctx, struct mesh_stream *stream);
    MESH_STATUS (*close_send)(struct mesh_ctx *ctx, struct mesh_stream *stream);
    MESH_STATUS (*finish)(struct mesh_ctx *ctx, struct mesh_stream *stream);
    void (*cancel)(struct mesh_stream *stream);
};

/* The first member of each kind. */
struct mesh_stream {
    const struct mesh__stream_ops *ops;
};

#endif
