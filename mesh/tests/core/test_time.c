/* SPDX-License-Identifier: Apache-2.0 */
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "mesh/time.h"
#include "test.h"

TEST(a_timestamp_has_whole_seconds_and_nanoseconds)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(1000);
    Google__Protobuf__Timestamp *time = mesh_timestamp(ctx, 1700000000123456);

    CHECK_INT(time->seconds, 1700000000);
    CHECK_INT(time->nanos, 123456000);
}

TEST(nanoseconds_count_forward_before_1970_too)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(1000);
    Google__Protobuf__Timestamp *time = mesh_timestamp(ctx, -1);

    CHECK_INT(time->seconds, -1);
    CHECK_INT(time->nanos, 999999000);
}

TEST(a_duration_has_whole_seconds_and_nanoseconds)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(1000);
    Google__Protobuf__Duration *duration = mesh_duration(ctx, 2500);

    CHECK_INT(duration->seconds, 2);
    CHECK_INT(duration->nanos, 500000000);
}

TEST_MAIN(NULL, NULL)
