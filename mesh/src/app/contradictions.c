/* SPDX-License-Identifier: Apache-2.0 */
#include "app/contradictions.h"

#include "core/parse.h"

#include <string.h>

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

bool mesh__config_agrees(const struct mesh__config *config, char *error, size_t error_size)
{
    return numbers_agree(config, error, error_size) && ports_agree(config, error, error_size) &&
           broker_agrees(config, error, error_size) && retention_agrees(config, error, error_size);
}
