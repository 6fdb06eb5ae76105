/* SPDX-License-Identifier: Apache-2.0 */
#include "core/listen.h"

#include "core/parse.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where the port stands in both kinds. */
static in_port_t *port_of(struct mesh__address *address)
{
    return address->name.any.sa_family == AF_INET6 ? &address->name.ipv6.sin6_port
                                                   : &address->name.ipv4.sin_port;
}

int mesh__address_port(const struct mesh__address *address)
{
    struct mesh__address copy = *address;

    return ntohs(*port_of(&copy));
}

void mesh__address_set_port(struct mesh__address *address, int port)
{
    *port_of(address) = htons((uint16_t)port);
}

void mesh__address_format(const struct mesh__address *address, char ret_text[MESH__ADDRESS_TEXT])
{
    bool ipv6 = address->name.any.sa_family == AF_INET6;
    char host[MESH__ADDRESS_TEXT - 8] = "";

    (void)getnameinfo(&address->name.any, address->size, host, sizeof(host), NULL, 0,
                      NI_NUMERICHOST); /* cannot fail for an address in digits */
    (void)snprintf(ret_text, MESH__ADDRESS_TEXT, ipv6 ? "[%s]:%d" : "%s:%d", host,
                   mesh__address_port(address));
}

/* A name may stand in a file twice. */
static bool is_new(const struct addrinfo *info, const struct mesh__address *addresses, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (addresses[i].size == info->ai_addrlen &&
            memcmp(&addresses[i].name, info->ai_addr, info->ai_addrlen) == 0) {
            return false;
        }
    }
    return info->ai_addrlen <= sizeof(addresses->name);
}

size_t mesh__resolve(const char *address, struct mesh__address *ret_addresses, size_t max,
                     char *error, size_t error_size)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *first = NULL;
    char host[MESH__HOST_SIZE];
    char service[8];
    int64_t port;
    size_t n = 0;
    int failure;

    if (!mesh__parse_address(address, 0, host, &port)) {
        (void)snprintf(error, error_size, "%s is not host:port", address);
        return 0;
    }
    (void)snprintf(service, sizeof(service), "%" PRId64, port);
    failure = getaddrinfo(host, service, &hints, &first);
    if (failure != 0) {
        (void)snprintf(error, error_size, "cannot listen on %s: %s", address,
                       gai_strerror(failure));
        return 0;
    }
    for (const struct addrinfo *info = first; info != NULL && n < max; info = info->ai_next) {
        if (is_new(info, ret_addresses, n)) {
            memcpy(&ret_addresses[n].name, info->ai_addr, info->ai_addrlen);
            ret_addresses[n++].size = info->ai_addrlen;
        }
    }
    freeaddrinfo(first);
    return n;
}

int mesh__listen_on(const struct mesh__address *address)
{
    int fd = socket(address->name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int error;

    if (fd < 0) {
        return -1;
    }
    /* A port in TIME_WAIT is free; one with a listener is not. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, &address->name.any, address->size) == 0 && listen(fd, 64) == 0) {
        return fd;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

int mesh__listen(const char *address, int *ret_port, char *error, size_t error_size)
{
    struct mesh__address first;
    int fd;

    if (mesh__resolve(address, &first, 1, error, error_size) == 0) {
        return -1;
    }
    fd = mesh__listen_on(&first);
    if (fd < 0) {
        (void)snprintf(error, error_size, "cannot listen on %s: %s", address, strerror(errno));
        return -1;
    }
    if (getsockname(fd, &first.name.any, &first.size) == 0) {
        *ret_port = mesh__address_port(&first);
    }
    return fd;
}
