/* SPDX-License-Identifier: Apache-2.0 */
/* Where a server listens: what a name stands for, and taking a TCP port. */
#ifndef MESH_CORE_LISTEN_H
#define MESH_CORE_LISTEN_H

#include <netinet/in.h>
#include <stddef.h>

/* One address of TCP. */
struct mesh__address {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } name;
    socklen_t size;
};

#define MESH__ADDRESS_TEXT 96

/*
 * What "host:port" stands for, each once, at most max (more are left out). 0 with a sentence in
 * error if it is none or the name is not known.
 */
size_t mesh__resolve(const char *address, struct mesh__address *ret_addresses, size_t max,
                     char *error, size_t error_size);
/* "127.0.0.1:9090", "[::1]:9090" */
void mesh__address_format(const struct mesh__address *address, char ret_text[MESH__ADDRESS_TEXT]);
int mesh__address_port(const struct mesh__address *address);
void mesh__address_set_port(struct mesh__address *address, int port);

/* A socket that listens on the address alone, closed by exec; -1 with errno. */
int mesh__listen_on(const struct mesh__address *address);
/*
 * Listens on the first that "host:port" stands for (port 0: any free one). -1 with a sentence in
 * error if the port cannot be had.
 */
int mesh__listen(const char *address, int *ret_port, char *error, size_t error_size);

#endif
