/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/inflate.h"

#include "core/fatal.h"

#include <string.h>
#include <zlib.h>

#define LARGEST_WINDOW 15
#define WITH_GZIP_HEADER 16

static MESH_STATUS run(z_stream *stream, size_t max, struct mesh__text *out)
{
    unsigned char piece[8192];
    int result;

    do {
        stream->next_out = piece;
        stream->avail_out = sizeof(piece);
        result = inflate(stream, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END) {
            return MESH_INVALID_ARGUMENT; /* wrong, or cut off */
        }
        if (sizeof(piece) - stream->avail_out > max - out->size) {
            return MESH_RESOURCE_EXHAUSTED;
        }
        mesh__text_add(out, (const char *)piece, sizeof(piece) - stream->avail_out);
    } while (result != Z_STREAM_END);
    return stream->avail_in == 0 ? MESH_OK : MESH_INVALID_ARGUMENT;
}

MESH_STATUS mesh__inflate(enum wire_encoding encoding, const uint8_t *bytes, size_t size,
                          size_t max, struct mesh__text *out)
{
    z_stream stream = {.avail_in = (uInt)size};
    enum mesh_status status;

    if (size > UINT32_MAX) {
        return MESH_RESOURCE_EXHAUSTED;
    }
    memcpy(&stream.next_in, &bytes, sizeof(bytes)); /* it is only read */
    if (inflateInit2(&stream, LARGEST_WINDOW + (encoding == WIRE_GZIP ? WITH_GZIP_HEADER : 0)) !=
        Z_OK) {
        mesh__fatal("out of memory: inflate");
    }
    status = run(&stream, max, out);
    (void)inflateEnd(&stream);
    return status;
}
