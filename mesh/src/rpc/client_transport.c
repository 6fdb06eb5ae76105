/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that gRPC's core 1.51 puts into a status that no peer has sent. */
#include "rpc/client_call.h"

#include <string.h>

static const char *const prefixes[] = {
    "failed to connect to all addresses",
    "Received RST_STREAM with error code",
    "Received http2 header with status:",
    "Received message larger than max",
    "Socket closed",
    "GOAWAY received",
    "recvmsg:",
    "sendmsg:",
    "keepalive watchdog timeout",
    "DNS resolution failed",
    "DNS query cancelled",
    "empty address list",
    "Endpoint read failed",
    "Transport closed",
    "Stream removed",
    "HTTP proxy returned response code",
};

bool mesh__transport_text(const char *text)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}
