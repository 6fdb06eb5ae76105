/* SPDX-License-Identifier: Apache-2.0 */
#include "app/contradictions.h"

#include "core/file.h"
#include "core/parse.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define BOOTSTRAP_MAX ((size_t)1 << 20) /* bytes */

/* One number that another one bounds. */
static const struct bound {
    enum mesh__var small, large;
    bool equal; /* they may be equal */
} bounds[] = {
    {VAR_DEFAULT_DEADLINE_MS, VAR_MAX_DEADLINE_MS, true},
    /* A message of the largest size could not be received, or not be unpacked. */
    {VAR_MAX_MESSAGE_BYTES, VAR_CONNECTION_MEMORY_BYTES, true},
    {VAR_MAX_MESSAGE_BYTES, VAR_CALL_MEMORY_BYTES, true},
    /* What waits in the queue would keep everything else from being read. */
    {VAR_QUEUE_BYTES, VAR_CONNECTION_MEMORY_BYTES, false},
};

static const char *name_of(enum mesh__var var)
{
    return mesh__variables[var].name;
}

/* The one that was set is to blame. */
static void blame(const struct mesh__config *config, const struct bound *bound, char *error,
                  size_t error_size)
{
    bool small = mesh__config_given(config, bound->small);
    enum mesh__var blamed = small ? bound->small : bound->large;
    enum mesh__var other = small ? bound->large : bound->small;
    const char *relation = small ? (bound->equal ? "at most" : "less than")
                                 : (bound->equal ? "at least" : "more than");

    (void)snprintf(error, error_size, "%s is \"%s\", expected %s %s, which is %s.", name_of(blamed),
                   mesh__config_text(config, blamed), relation, name_of(other),
                   mesh__config_text(config, other));
}

static bool numbers_agree(const struct mesh__config *config, char *error, size_t error_size)
{
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        int64_t small = mesh__config_int64(config, bounds[i].small);
        int64_t large = mesh__config_int64(config, bounds[i].large);

        if (small > large || (small == large && !bounds[i].equal)) {
            blame(config, &bounds[i], error, error_size);
            return false;
        }
    }
    return true;
}

/* Others that overlap, such as 0.0.0.0 and 127.0.0.1, are left to the system. */
static bool ports_agree(const struct mesh__config *config, char *error, size_t error_size)
{
    const char *grpc = mesh__config_text(config, VAR_GRPC_LISTEN);
    char host[MESH__HOST_SIZE];
    int64_t port;

    if (strcmp(grpc, mesh__config_text(config, VAR_HTTP_LISTEN)) != 0 ||
        !mesh__parse_address(grpc, 1, host, &port)) {
        return true;
    }
    (void)snprintf(error, error_size,
                   "%s and %s are both \"%s\", expected a port of its own for each.",
                   name_of(VAR_GRPC_LISTEN), name_of(VAR_HTTP_LISTEN), grpc);
    return false;
}

static bool broker_agrees(const struct mesh__config *config, char *error, size_t error_size)
{
    const char *url = mesh__config_text(config, VAR_NATS_URL);

    if (!mesh__config_given(config, VAR_NATS_CA) || url == NULL || strncmp(url, "tls:", 4) == 0) {
        return true;
    }
    (void)snprintf(error, error_size, "%s is set, but %s is nats://, expected tls://.",
                   name_of(VAR_NATS_CA), name_of(VAR_NATS_URL));
    return false;
}

/* An event that comes once more must still be known as handled. */
static bool retention_agrees(const struct mesh__config *config, char *error, size_t error_size)
{
    if (mesh__config_text(config, VAR_NATS_URL) == NULL ||
        mesh__config_int64(config, VAR_INBOX_KEEP_S) >=
            mesh__config_int64(config, VAR_STREAM_MAX_AGE_S) +
                mesh__config_int64(config, VAR_OUTBOX_KEEP_S)) {
        return true;
    }
    (void)snprintf(error, error_size,
                   "%s is \"%s\", expected at least %s + %s, which are %s and %s.",
                   name_of(VAR_INBOX_KEEP_S), mesh__config_text(config, VAR_INBOX_KEEP_S),
                   name_of(VAR_STREAM_MAX_AGE_S), name_of(VAR_OUTBOX_KEEP_S),
                   mesh__config_text(config, VAR_STREAM_MAX_AGE_S),
                   mesh__config_text(config, VAR_OUTBOX_KEEP_S));
    return false;
}

/* Only the core itself knows what else is wrong with the file, and it says so in the log. */
static bool bootstrap_is_there(const struct mesh__config *config, char *error, size_t error_size)
{
    const char *path = mesh__config_text(config, VAR_XDS_BOOTSTRAP);
    struct mesh__text text = {0};
    char why[128];
    bool fine = mesh__file_read(path, BOOTSTRAP_MAX, &text, why, sizeof(why));

    free(text.bytes);
    if (!fine) {
        (void)snprintf(error, error_size, "%s is \"%s\", expected a file that can be read (%s).",
                       name_of(VAR_XDS_BOOTSTRAP), path, why);
    }
    return fine;
}

/* Peers that are found by xDS: by what file, and by what policy. */
static bool xds_agrees(const struct mesh__config *config, char *error, size_t error_size)
{
    static const struct {
        enum mesh__var var;
        const char *expected;
    } needed[] = {
        {VAR_XDS_BOOTSTRAP, "the file that says where the xDS server is"},
        {VAR_POLICY_FILE, "a policy with mode proxyless"},
    };
    const char *peer = mesh__config_xds_peer(config);

    if (peer == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (mesh__config_text(config, needed[i].var) == NULL) {
            (void)snprintf(error, error_size, "%s is found by xDS, but %s is not set, expected %s.",
                           peer, name_of(needed[i].var), needed[i].expected);
            return false;
        }
    }
    return bootstrap_is_there(config, error, error_size);
}

bool mesh__config_agrees(const struct mesh__config *config, unsigned needs, char *error,
                         size_t error_size)
{
    return ((needs & NEED_PEERS) == 0 || xds_agrees(config, error, error_size)) &&
           numbers_agree(config, error, error_size) && ports_agree(config, error, error_size) &&
           broker_agrees(config, error, error_size) && retention_agrees(config, error, error_size);
}
