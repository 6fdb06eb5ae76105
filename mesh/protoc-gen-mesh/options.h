/* SPDX-License-Identifier: Apache-2.0 */
/* Options of others: protobuf-c keeps them as unknown fields. */
#ifndef MESH_GEN_OPTIONS_H
#define MESH_GEN_OPTIONS_H

#include "model.h"

/*
 * The message extension `number` of an options message, or NULL if it is not set. A part of it that
 * the descriptor does not know is a problem at `place`: nothing may be ignored silently.
 */
ProtobufCMessage *option_message(const ProtobufCMessage *options, uint32_t number,
                                 const ProtobufCMessageDescriptor *descriptor,
                                 const struct place *place);
/* A bool extension; false if it is not set. */
bool option_bool(const ProtobufCMessage *options, uint32_t number);
bool option_is_set(const ProtobufCMessage *options, uint32_t number);

#endif
