/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for client, streams and outbox: remembers what generated code asked them for. */
#ifndef MESH_GEN_FAKE_RUNTIME_H
#define MESH_GEN_FAKE_RUNTIME_H

#include "mesh/client.h"
#include "mesh/event.h"
#include "mesh/stream.h"

struct fake_runtime {
    const char *call;   /* the name of the last function */
    const void *object; /* client, stream or call that it was given */
    const struct mesh_method *method;
    const struct mesh_event_type *event;
    const void *message;      /* request, message or event that it was given */
    ProtobufCMessage *answer; /* handed out by the next call, read or wait */
    enum mesh_status status;  /* returned by the next call */
};
extern struct fake_runtime fake;

/* Opaque to generated code: any address will do. */
extern struct mesh_client *const fake_client;
extern struct mesh_stream *const fake_stream;
extern struct mesh_call *const fake_call;
extern struct mesh_tx *const fake_tx;

#endif
