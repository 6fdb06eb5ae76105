/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that stands where a test puts it. */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include "core/clock.h"

#include <string.h>

static int64_t fake_ns;
static int64_t fake_us;
static unsigned char fake_byte; /* what random bytes are made of */

static int64_t fake_monotonic_ns(void)
{
    return fake_ns;
}

static int64_t fake_wall_us(void)
{
    return fake_us;
}

static void fake_random(void *bytes, size_t size)
{
    memset(bytes, fake_byte, size);
}

__attribute__((unused)) static const struct mesh_clock fake_clock = {fake_monotonic_ns,
                                                                     fake_wall_us, fake_random};

#endif
