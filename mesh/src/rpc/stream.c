/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/stream.h"

#include "rpc/stream_impl.h"

static const char not_offered[] = "this side of the stream cannot do that";

MESH_STATUS mesh_stream_read(struct mesh_ctx *ctx, struct mesh_stream *stream,
                             ProtobufCMessage **ret_message)
{
    if (stream->ops->read == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s", not_offered);
    }
    return stream->ops->read(ctx, stream, ret_message);
}

MESH_STATUS mesh_stream_write(struct mesh_ctx *ctx, struct mesh_stream *stream,
                              const ProtobufCMessage *message)
{
    if (stream->ops->write == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s", not_offered);
    }
    return stream->ops->write(ctx, stream, message);
}

MESH_STATUS mesh_stream_send_initial_metadata(struct mesh_ctx *ctx, struct mesh_stream *stream)
{
    if (stream->ops->send_initial_metadata == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s", not_offered);
    }
    return stream->ops->send_initial_metadata(ctx, stream);
}

MESH_STATUS mesh_stream_close_send(struct mesh_ctx *ctx, struct mesh_stream *stream)
{
    if (stream->ops->close_send == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s", not_offered);
    }
    return stream->ops->close_send(ctx, stream);
}

MESH_STATUS mesh_stream_finish(struct mesh_ctx *ctx, struct mesh_stream *stream)
{
    if (stream->ops->finish == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s", not_offered);
    }
    return stream->ops->finish(ctx, stream);
}

void mesh_stream_cancel(struct mesh_stream *stream)
{
    if (stream->ops->cancel != NULL) {
        stream->ops->cancel(stream);
    }
}
