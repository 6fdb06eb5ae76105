/* SPDX-License-Identifier: Apache-2.0 */
/* Times in messages: google.protobuf.Timestamp and Duration, in a context's memory. */
#ifndef MESH_TIME_H
#define MESH_TIME_H

#include "mesh/ctx.h"

struct Google__Protobuf__Timestamp;
struct Google__Protobuf__Duration;

/* The wall clock, in microseconds since the Unix epoch. */
int64_t mesh_now_us(void);

/* The message for microseconds since the Unix epoch (negative: before it). */
struct Google__Protobuf__Timestamp *mesh_timestamp(struct mesh_ctx *ctx, int64_t unix_us);
/* The message for a length of time that is not negative. */
struct Google__Protobuf__Duration *mesh_duration(struct mesh_ctx *ctx, int64_t length_ms);

#endif
