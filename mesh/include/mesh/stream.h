/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a streaming call, blocking, on the handler's and on the caller's side. */
#ifndef MESH_STREAM_H
#define MESH_STREAM_H

#include "mesh/service.h"

struct mesh_stream;

/*
 * Reads the next message. At the end of the peer's messages MESH_OK with *ret_message NULL. The
 * message is valid until the next read on this stream. On the server a message is guarded and
 * validated as a unary request is. MESH_CANCELLED when the call was cancelled,
 * MESH_DEADLINE_EXCEEDED at its deadline, and on the server MESH_UNAVAILABLE when it drains and
 * nothing comes for half a second.
 */
MESH_STATUS mesh_stream_read(struct mesh_ctx *ctx, struct mesh_stream *stream,
                             ProtobufCMessage **ret_message);
/*
 * Writes one message and waits until the transport has taken it (flow control: a slow reader makes
 * the writer wait). MESH_CANCELLED or MESH_DEADLINE_EXCEEDED when the call is over.
 */
MESH_STATUS mesh_stream_write(struct mesh_ctx *ctx, struct mesh_stream *stream,
                              const ProtobufCMessage *message);

/*
 * Handler's side only: sends the initial metadata now, so that the caller learns that its call was
 * taken on; otherwise it goes with the first message. MESH_CANCELLED when the call is over.
 */
MESH_STATUS mesh_stream_send_initial_metadata(struct mesh_ctx *ctx, struct mesh_stream *stream);

/* Caller's side only: no more messages will be written. */
MESH_STATUS mesh_stream_close_send(struct mesh_ctx *ctx, struct mesh_stream *stream);
/*
 * Caller's side only: waits for the status of the call, dropping messages that were not read. A
 * failure's text and details are in ctx.
 */
MESH_STATUS mesh_stream_finish(struct mesh_ctx *ctx, struct mesh_stream *stream);
/* Caller's side only: ends the call with MESH_CANCELLED; mesh_stream_finish() then returns it. */
void mesh_stream_cancel(struct mesh_stream *stream);

#endif
