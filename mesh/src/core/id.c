/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/id.h"

#include "core/clock.h"
#include "mesh/time.h"

#include <stdatomic.h>

/*
 * The stamp of a UUID: milliseconds since 1970 and a 12-bit fraction of the millisecond (RFC 9562,
 * section 6.2, method 3), counted up where two ids would get the same one.
 */
#define FRACTION_BITS 12
#define STAMPS_PER_MS (UINT64_C(1) << FRACTION_BITS)
/* Further ahead of the clock than this, the clock was set back: follow it. */
#define FOLLOW_AFTER (UINT64_C(10000) * STAMPS_PER_MS)

static atomic_uint_fast64_t last_stamp;

static uint64_t next_stamp(void)
{
    uint64_t us = (uint64_t)mesh_now_us();
    uint64_t now = us / 1000 * STAMPS_PER_MS + us % 1000 * STAMPS_PER_MS / 1000;
    uint_fast64_t last = atomic_load_explicit(&last_stamp, memory_order_relaxed);
    uint64_t next;

    do {
        next = now > last || last - now > FOLLOW_AFTER ? now : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last_stamp, &last, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return next;
}

static void write_uuid(const unsigned char bytes[16], char ret_uuid[MESH_UUID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = ret_uuid;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 0x0f];
    }
    *at = '\0';
}

void mesh_uuid_v7(char ret_uuid[MESH_UUID_SIZE])
{
    unsigned char bytes[16];
    uint64_t stamp = next_stamp();
    uint64_t ms = stamp >> FRACTION_BITS;

    for (size_t i = 0; i < 6; i++) {
        bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
    }
    bytes[6] = (unsigned char)(0x70 | ((stamp >> 8) & 0x0f)); /* version 7 */
    bytes[7] = (unsigned char)(stamp & 0xff);
    mesh__random(bytes + 8, 8);
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f)); /* variant */
    write_uuid(bytes, ret_uuid);
}

const char *mesh_new_id(struct mesh_ctx *ctx)
{
    char *uuid = mesh_alloc(ctx, MESH_UUID_SIZE);

    mesh_uuid_v7(uuid);
    return uuid;
}

int64_t mesh_now_us(void)
{
    return mesh__clock->wall_us();
}
