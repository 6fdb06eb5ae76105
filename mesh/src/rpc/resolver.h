/* SPDX-License-Identifier: Apache-2.0 */
/* Where a destination's endpoints are: looked up again and again, by a thread where that takes one.
 */
#ifndef MESH_RPC_RESOLVER_H
#define MESH_RPC_RESOLVER_H

#include "rpc/endpoint_choice.h"

#include <netdb.h>

#define MESH__ADDRESS_SIZE 64
#define MESH__RESOLVE_EVERY_MS 3000
#define MESH__RESOLVE_APART_MS 500 /* at least, however often a failure asks for it */

/* "ipv4:10.0.0.7:50051" or "ipv6:[::1]:50051": what a channel is made for. */
struct mesh__address {
    char text[MESH__ADDRESS_SIZE];
};

/* In the order of their texts, each once. Of more than there is room for, the last are left out. */
struct mesh__addresses {
    size_t n;
    struct mesh__address list[MESH__ENDPOINTS_MAX];
};

/* The seam to the system's look-up. Tests may point it elsewhere before threads are started. */
struct mesh__dns {
    int (*getaddrinfo)(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_first);
    void (*freeaddrinfo)(struct addrinfo *first);
};
extern const struct mesh__dns *mesh__dns;

/* Told by one thread at a time, and not by mesh__resolver_kick(). */
struct mesh__resolver_events {
    /* Those that are new, and those that are to be drained. */
    void (*changed)(void *arg, const struct mesh__address *added, size_t n_added,
                    const struct mesh__address *removed, size_t n_removed);
    /* The first failure of a row. The addresses so far stay. NULL: nobody is told. */
    void (*failed)(void *arg, const char *reason);
    void *arg;
};

struct mesh__resolver;

/* "xds:///name": whom the core of gRPC is told of by a server, and balances and retries itself. */
bool mesh__target_is_xds(const char *target);

/*
 * target: "host:port" (all addresses of the name; those of IPv4 if there are any),
 * "ip:port,ip:port", or "file:PATH" of a file with such addresses, by commas or white space. NULL
 * if it is none of them. Addresses that need no look-up are told before it returns.
 */
struct mesh__resolver *mesh__resolver_new(const char *target,
                                          const struct mesh__resolver_events *events);
/*
 * Nothing is told afterwards; it waits for what is being told, not for a look-up. Not to be called
 * under a lock that the events take. NULL is fine.
 */
void mesh__resolver_free(struct mesh__resolver *resolver);
/* Something has failed: look again soon. */
void mesh__resolver_kick(struct mesh__resolver *resolver);

#endif
