/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of messages, by their descriptors. */
#ifndef MESH_CORE_FIELD_H
#define MESH_CORE_FIELD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* The members of a oneof share their memory: one that is not set must not be looked at. */
bool mesh__field_is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* The field `string request_id`; NULL if the type has none. */
const ProtobufCFieldDescriptor *mesh__field_request_id(const ProtobufCMessageDescriptor *type);

#endif
