/* SPDX-License-Identifier: Apache-2.0 */
#include "events/events.h"

#include <stdint.h>

#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

int mesh__partition(const char *key)
{
    uint64_t hash = FNV_OFFSET;

    for (const unsigned char *at = (const unsigned char *)key; *at != '\0'; at++) {
        hash = (hash ^ *at) * FNV_PRIME;
    }
    return (int)(hash % MESH_PARTITIONS);
}
