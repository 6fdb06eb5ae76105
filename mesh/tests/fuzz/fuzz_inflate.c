/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed message; the first byte chooses the encoding. */
#include "fuzz.h"
#include "rpc/inflate.h"

#define MOST ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh__text out = {0};
    enum mesh_status status;

    if (size == 0) {
        return 0;
    }
    status =
        mesh__inflate(data[0] % 2 == 0 ? WIRE_GZIP : WIRE_DEFLATE, data + 1, size - 1, MOST, &out);
    MUST(status == MESH_OK || status == MESH_RESOURCE_EXHAUSTED || status == MESH_INVALID_ARGUMENT);
    MUST(out.size <= MOST);
    free(out.bytes);
    return 0;
}
