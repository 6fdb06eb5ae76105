/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/time.h"

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

#define US_PER_S 1000000
#define MS_PER_S 1000

Google__Protobuf__Timestamp *mesh_timestamp(struct mesh_ctx *ctx, int64_t unix_us)
{
    Google__Protobuf__Timestamp *time = mesh_alloc(ctx, sizeof(*time));
    int64_t rest_us = unix_us % US_PER_S;

    google__protobuf__timestamp__init(time);
    time->seconds = unix_us / US_PER_S;
    if (rest_us < 0) { /* nanos count forward, also before 1970 */
        time->seconds--;
        rest_us += US_PER_S;
    }
    time->nanos = (int32_t)rest_us * 1000;
    return time;
}

Google__Protobuf__Duration *mesh_duration(struct mesh_ctx *ctx, int64_t length_ms)
{
    Google__Protobuf__Duration *duration = mesh_alloc(ctx, sizeof(*duration));

    google__protobuf__duration__init(duration);
    duration->seconds = length_ms / MS_PER_S;
    duration->nanos = (int32_t)(length_ms % MS_PER_S) * 1000000;
    return duration;
}
