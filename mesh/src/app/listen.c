/* SPDX-License-Identifier: Apache-2.0 */
#include "app/listen.h"

#include "app/values.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } name = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof(name);

    if (getsockname(fd, &name.any, &size) != 0) {
        return 0;
    }
    return ntohs(name.any.sa_family == AF_INET6 ? name.ipv6.sin6_port : name.ipv4.sin_port);
}

/* -1 with errno. */
static int listen_on(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int error;

    if (fd < 0) {
        return -1;
    }
    /* A port in TIME_WAIT is free; one with a listener is not. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, 64) == 0) {
        return fd;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

int mesh__listen(const char *address, int *ret_port, char *error, size_t error_size)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    char host[MESH__HOST_SIZE];
    char service[8];
    int64_t port;
    int fd;
    int failure;

    if (!mesh__parse_address(address, 0, host, &port)) {
        (void)snprintf(error, error_size, "%s is not host:port", address);
        return -1;
    }
    (void)snprintf(service, sizeof(service), "%" PRId64, port);
    failure = getaddrinfo(host, service, &hints, &info);
    if (failure != 0) {
        (void)snprintf(error, error_size, "cannot listen on %s: %s", address,
                       gai_strerror(failure));
        return -1;
    }
    fd = listen_on(info);
    if (fd < 0) {
        (void)snprintf(error, error_size, "cannot listen on %s: %s", address, strerror(errno));
    } else {
        *ret_port = bound_port(fd);
    }
    freeaddrinfo(info);
    return fd;
}
