/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the server's port answers, seen from outside. */
#include "core/clock.h"
#include "rpc/server_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_HEADER 9
#define TYPE_AT 3
#define SETTINGS 4

static struct mesh__address reachable(struct mesh__address address)
{
    if (address.name.any.sa_family == AF_INET &&
        address.name.ipv4.sin_addr.s_addr == htonl(INADDR_ANY)) {
        address.name.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (address.name.any.sa_family == AF_INET6 &&
               IN6_IS_ADDR_UNSPECIFIED(&address.name.ipv6.sin6_addr)) {
        address.name.ipv6.sin6_addr = in6addr_loopback;
    }
    return address;
}

static bool wait_for(int fd, short events, int64_t until_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int64_t left_ms = (until_ns - mesh__now_ns()) / MESH_NS_PER_MS;

    return left_ms > 0 && poll(&poll_fd, 1, (int)left_ms) > 0;
}

static enum mesh__probe connect_to(int fd, const struct mesh__address *address, int64_t until_ns)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (connect(fd, &address->name.any, address->size) != 0) {
        error = errno;
    }
    if (error == EINPROGRESS) {
        if (!wait_for(fd, POLLOUT, until_ns)) {
            return MESH__PROBE_SILENT;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
            return MESH__PROBE_UNKNOWN;
        }
    }
    if (error == ECONNREFUSED || error == ETIMEDOUT) {
        return MESH__PROBE_SILENT;
    }
    return error == 0 ? MESH__PROBE_ANSWERED : MESH__PROBE_UNKNOWN;
}

/* The kernel takes connections for a listener that is dead; the first frame comes from a living
 * one. */
static enum mesh__probe first_frame(int fd, int64_t until_ns)
{
    uint8_t header[FRAME_HEADER];
    size_t size = 0;

    while (size < sizeof(header)) {
        ssize_t n;

        if (!wait_for(fd, POLLIN, until_ns)) {
            return MESH__PROBE_SILENT;
        }
        n = recv(fd, header + size, sizeof(header) - size, 0);
        if (n <= 0) {
            return MESH__PROBE_UNKNOWN; /* it was accepted, and dropped: too little memory */
        }
        size += (size_t)n;
    }
    return header[TYPE_AT] == SETTINGS ? MESH__PROBE_ANSWERED : MESH__PROBE_SILENT;
}

static enum mesh__probe probe(const struct mesh__address *address, int64_t until_ns)
{
    int fd = socket(address->name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum mesh__probe result;

    if (fd < 0) {
        return MESH__PROBE_UNKNOWN;
    }
    result = connect_to(fd, address, until_ns);
    if (result == MESH__PROBE_ANSWERED) {
        result = first_frame(fd, until_ns);
    }
    (void)close(fd);
    return result;
}

enum mesh__probe mesh__server_probe(const struct mesh_server *server, int64_t timeout_ms)
{
    enum mesh__probe worst = MESH__PROBE_ANSWERED;

    for (size_t i = 0; i < server->n_addresses && worst != MESH__PROBE_SILENT; i++) {
        struct mesh__address address = reachable(server->addresses[i]);
        enum mesh__probe result = probe(&address, mesh__in_ms(timeout_ms));

        worst = result != MESH__PROBE_ANSWERED ? result : worst;
    }
    return worst;
}
