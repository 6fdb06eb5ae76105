/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/resolver.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "core/parse.h"
#include "core/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_PREFIX "file:"
#define XDS_PREFIX "xds:"
#define SEPARATORS ", \t\r\n"
#define LIST_SIZE 16384 /* bytes of a list, in a file or not */
#define REASON_SIZE 512

enum kind { FIXED, NAME, FROM_FILE };

struct mesh__resolver {
    struct mesh__resolver_events events;
    enum kind kind;
    char *path; /* of FROM_FILE */
    char host[MESH__HOST_SIZE];
    int64_t port;
    /* Of the one who looks and tells: */
    struct mesh__addresses known, found;
    bool failing;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t woken;
    bool looking; /* outside of the lock, for who knows how long */
    bool kicked, stopped;
    bool left_alone; /* stopped while it was looking: the thread frees it */
};

static const struct mesh__dns system_dns = {getaddrinfo, freeaddrinfo};

const struct mesh__dns *mesh__dns = &system_dns;

/* ---- addresses ---------------------------------------------------------------------------- */

static void insert(struct mesh__addresses *addresses, const struct mesh__address *address)
{
    size_t at = 0;
    int compared = -1;

    while (at < addresses->n && (compared = strcmp(addresses->list[at].text, address->text)) < 0) {
        at++;
    }
    if (at == MESH__ENDPOINTS_MAX || (at < addresses->n && compared == 0)) {
        return;
    }
    if (addresses->n < MESH__ENDPOINTS_MAX) {
        addresses->n++;
    }
    memmove(&addresses->list[at + 1], &addresses->list[at],
            (addresses->n - 1 - at) * sizeof(*address));
    addresses->list[at] = *address;
}

/* `bytes` of an address of that family. */
static void add(struct mesh__addresses *addresses, int family, const void *bytes, int64_t port)
{
    char ip[INET6_ADDRSTRLEN];
    struct mesh__address address;

    (void)inet_ntop(family, bytes, ip, sizeof(ip)); /* there is room for both families */
    (void)snprintf(address.text, sizeof(address.text),
                   family == AF_INET ? "ipv4:%s:%lld" : "ipv6:[%s]:%lld", ip, (long long)port);
    insert(addresses, &address);
}

/* "ip:port"; false if it is none. */
static bool add_ip(struct mesh__addresses *addresses, const char *text)
{
    char host[MESH__HOST_SIZE];
    struct in6_addr bytes; /* larger than that of IPv4 */
    int64_t port;

    if (!mesh__parse_address(text, 1, host, &port)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        int family = i == 0 ? AF_INET : AF_INET6;

        if (inet_pton(family, host, &bytes) == 1) {
            add(addresses, family, &bytes, port);
            return true;
        }
    }
    return false;
}

/* Each address of a list, whose text it destroys. NULL, or what is no address. */
static const char *add_list(struct mesh__addresses *addresses, char *list)
{
    char *rest = NULL;

    for (char *item = strtok_r(list, SEPARATORS, &rest); item != NULL;
         item = strtok_r(NULL, SEPARATORS, &rest)) {
        if (!add_ip(addresses, item)) {
            return item;
        }
    }
    return NULL;
}

/* ---- looking ------------------------------------------------------------------------------ */

static bool look_up_name(struct mesh__resolver *resolver, char reason[REASON_SIZE])
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    static const int families[] = {AF_INET, AF_INET6};
    struct addrinfo *first;
    int failure = mesh__dns->getaddrinfo(resolver->host, NULL, &hints, &first);

    if (failure != 0) {
        (void)snprintf(reason, REASON_SIZE, "%s: %s", resolver->host,
                       failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
        return false;
    }
    /* With two families every replica would stand twice. */
    for (size_t i = 0; i < 2 && resolver->found.n == 0; i++) {
        for (const struct addrinfo *info = first; info != NULL; info = info->ai_next) {
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;

            if (info->ai_family != families[i]) {
                continue;
            }
            memcpy(&v4, info->ai_addr, sizeof(v4)); /* the smaller of the two */
            if (families[i] == AF_INET) {
                add(&resolver->found, AF_INET, &v4.sin_addr, resolver->port);
            } else {
                memcpy(&v6, info->ai_addr, sizeof(v6));
                add(&resolver->found, AF_INET6, &v6.sin6_addr, resolver->port);
            }
        }
    }
    mesh__dns->freeaddrinfo(first);
    return true;
}

/* All of a small file with a NUL behind; false with errno. */
static bool read_file(const char *path, char text[LIST_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t n = 0;
    int failure;

    if (fd < 0) {
        return false;
    }
    while (size < LIST_SIZE - 1 && (n = read(fd, text + size, LIST_SIZE - 1 - size)) > 0) {
        size += (size_t)n;
    }
    failure = n < 0 ? errno : EFBIG;
    (void)close(fd);
    text[size] = '\0';
    errno = failure;
    return n == 0;
}

static bool look_into_file(struct mesh__resolver *resolver, char reason[REASON_SIZE])
{
    char text[LIST_SIZE];
    const char *bad;

    if (!read_file(resolver->path, text)) {
        (void)snprintf(reason, REASON_SIZE, "%s: %s", resolver->path, strerror(errno));
        return false;
    }
    bad = add_list(&resolver->found, text);
    if (bad != NULL) {
        (void)snprintf(reason, REASON_SIZE, "%s: not an address with a port: %.100s",
                       resolver->path, bad);
    }
    return bad == NULL;
}

static bool look(struct mesh__resolver *resolver, char reason[REASON_SIZE])
{
    bool found;

    resolver->found.n = 0;
    found =
        resolver->kind == NAME ? look_up_name(resolver, reason) : look_into_file(resolver, reason);
    if (found && resolver->found.n == 0) {
        (void)snprintf(reason, REASON_SIZE, "%s: no address",
                       resolver->kind == NAME ? resolver->host : resolver->path);
        return false;
    }
    return found;
}

/* ---- telling ------------------------------------------------------------------------------ */

/* Those of `of` that are not in `other`. */
static size_t only_in(const struct mesh__addresses *of, const struct mesh__addresses *other,
                      struct mesh__address *ret_list)
{
    size_t n = 0;
    size_t at = 0;

    for (size_t i = 0; i < of->n; i++) {
        int compared = 1;

        while (at < other->n && (compared = strcmp(other->list[at].text, of->list[i].text)) < 0) {
            at++;
        }
        if (at == other->n || compared != 0) {
            ret_list[n++] = of->list[i];
        }
    }
    return n;
}

static void tell_found(struct mesh__resolver *resolver)
{
    const struct mesh__resolver_events *events = &resolver->events;
    struct mesh__address added[MESH__ENDPOINTS_MAX];
    struct mesh__address removed[MESH__ENDPOINTS_MAX];
    size_t n_added = only_in(&resolver->found, &resolver->known, added);
    size_t n_removed = only_in(&resolver->known, &resolver->found, removed);

    resolver->failing = false;
    resolver->known = resolver->found;
    if (n_added + n_removed > 0) {
        events->changed(events->arg, added, n_added, removed, n_removed);
    }
}

static void tell_failure(struct mesh__resolver *resolver, const char *reason)
{
    const struct mesh__resolver_events *events = &resolver->events;

    if (!resolver->failing && events->failed != NULL) {
        events->failed(events->arg, reason);
    }
    resolver->failing = true;
}

/* ---- the thread --------------------------------------------------------------------------- */

static void destroy(struct mesh__resolver *resolver)
{
    (void)pthread_cond_destroy(&resolver->woken);
    (void)pthread_mutex_destroy(&resolver->lock);
    free(resolver->path);
    free(resolver);
}

/* Until it is time to look again, or to stop; under the lock. */
static void pause_between(struct mesh__resolver *resolver)
{
    int64_t now_ns = mesh__now_ns();
    int64_t soon_ns = mesh__after_ms(now_ns, MESH__RESOLVE_APART_MS);
    int64_t late_ns = mesh__after_ms(now_ns, MESH__RESOLVE_EVERY_MS);

    while (!resolver->stopped && mesh__now_ns() < (resolver->kicked ? soon_ns : late_ns)) {
        (void)mesh__condition_wait(&resolver->woken, &resolver->lock,
                                   resolver->kicked ? soon_ns : late_ns);
    }
}

static void look_and_tell(struct mesh__resolver *resolver)
{
    char reason[REASON_SIZE];
    bool found;
    bool stopped;

    resolver->kicked = false;
    resolver->looking = true;
    (void)pthread_mutex_unlock(&resolver->lock);
    found = look(resolver, reason);
    (void)pthread_mutex_lock(&resolver->lock);
    resolver->looking = false;
    stopped = resolver->stopped;
    (void)pthread_mutex_unlock(&resolver->lock);
    if (found && !stopped) {
        tell_found(resolver);
    } else if (!stopped) {
        tell_failure(resolver, reason);
    }
    (void)pthread_mutex_lock(&resolver->lock);
}

static void *thread_main(void *arg)
{
    struct mesh__resolver *resolver = arg;
    bool left_alone;

    (void)pthread_mutex_lock(&resolver->lock);
    while (!resolver->stopped) {
        look_and_tell(resolver);
        pause_between(resolver);
    }
    left_alone = resolver->left_alone;
    (void)pthread_mutex_unlock(&resolver->lock);
    if (left_alone) {
        destroy(resolver);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------- */

/* False if the target is none. */
static bool parse(struct mesh__resolver *resolver, const char *target)
{
    char list[LIST_SIZE];

    if (strncmp(target, FILE_PREFIX, strlen(FILE_PREFIX)) == 0) {
        resolver->kind = FROM_FILE;
        resolver->path = mesh__strdup(target + strlen(FILE_PREFIX));
        return resolver->path[0] != '\0';
    }
    if (strlen(target) >= sizeof(list)) {
        return false;
    }
    memcpy(list, target, strlen(target) + 1);
    resolver->kind = FIXED;
    if (add_list(&resolver->found, list) == NULL) {
        return resolver->found.n > 0;
    }
    resolver->kind = NAME;
    return strpbrk(target, SEPARATORS) == NULL &&
           mesh__parse_address(target, 1, resolver->host, &resolver->port);
}

bool mesh__target_is_xds(const char *target)
{
    return strncmp(target, XDS_PREFIX, strlen(XDS_PREFIX)) == 0;
}

struct mesh__resolver *mesh__resolver_new(const char *target,
                                          const struct mesh__resolver_events *events)
{
    struct mesh__resolver *resolver = mesh__calloc(1, sizeof(*resolver));

    (void)pthread_mutex_init(&resolver->lock, NULL);
    mesh__condition_init(&resolver->woken);
    resolver->events = *events;
    if (!parse(resolver, target)) {
        destroy(resolver);
        return NULL;
    }
    if (resolver->kind == FIXED) {
        tell_found(resolver);
    } else {
        mesh__thread_start(&resolver->thread, "resolver", thread_main, resolver);
    }
    return resolver;
}

void mesh__resolver_free(struct mesh__resolver *resolver)
{
    bool left_alone;

    if (resolver == NULL) {
        return;
    }
    if (resolver->kind != FIXED) {
        pthread_t thread = resolver->thread;

        (void)pthread_mutex_lock(&resolver->lock);
        resolver->stopped = true;
        resolver->left_alone = resolver->looking; /* a look-up may take half a minute */
        left_alone = resolver->left_alone;
        (void)pthread_cond_signal(&resolver->woken);
        if (left_alone) {
            (void)pthread_detach(thread);
        }
        (void)pthread_mutex_unlock(&resolver->lock);
        if (left_alone) {
            return;
        }
        (void)pthread_join(thread, NULL);
    }
    destroy(resolver);
}

void mesh__resolver_kick(struct mesh__resolver *resolver)
{
    (void)pthread_mutex_lock(&resolver->lock);
    if (!resolver->kicked) {
        resolver->kicked = true;
        (void)pthread_cond_signal(&resolver->woken);
    }
    (void)pthread_mutex_unlock(&resolver->lock);
}
