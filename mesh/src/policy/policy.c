/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include "core/arena.h"
#include "core/fatal.h"
#include "core/file.h"
#include "core/text.h"
#include "mesh/cleanup.h"
#include "mesh/main.h"
#include "policy/resolve.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct mesh__policy {
    struct mesh_arena *arena; /* all that the policy holds */
    enum mesh__policy_mode mode;
    struct mesh__destination_policy *destinations;
    size_t n_destinations;
    atomic_size_t holders;
};

static bool resolve_peers(struct mesh__policy *policy, struct mesh__policy_reader *reader,
                          const struct mesh__policy_file *file, const struct mesh_peer *peers)
{
    size_t n = 0;

    while (peers != NULL && peers[n].name != NULL) {
        n++;
    }
    policy->destinations = mesh__arena_alloc(policy->arena, n * sizeof(*policy->destinations));
    for (; policy->n_destinations < n; policy->n_destinations++) {
        size_t i = policy->n_destinations;

        if (!mesh__policy_resolve(reader, file, &peers[i], &policy->destinations[i])) {
            return false;
        }
    }
    return true;
}

struct mesh__policy *mesh__policy_new(const struct mesh__policy_options *options, const char *text,
                                      size_t size, char *error, size_t error_size)
{
    struct mesh__policy *policy = mesh__calloc(1, sizeof(*policy));
    struct mesh__policy_reader reader = {.arena = mesh__arena_new(0),
                                         .name = options->file,
                                         .xds_peer = options->xds_peer,
                                         .only_mode = options->mode,
                                         .error = error,
                                         .error_size = error_size};
    struct mesh__policy_file file = {0};

    policy->arena = reader.arena;
    policy->holders = 1;
    if ((text != NULL && (!mesh__policy_file_read(&reader, text, size, &file) ||
                          !mesh__policy_check(&reader, &file, options->peers))) ||
        !resolve_peers(policy, &reader, &file, options->peers)) {
        mesh__policy_release(policy);
        return NULL;
    }
    policy->mode = file.mode;
    return policy;
}

struct mesh__policy *mesh__policy_read(const struct mesh__policy_options *options, char *error,
                                       size_t error_size)
{
    struct mesh__text text = {0};
    char why[128];
    bool fine = mesh__file_read(options->file, MESH__POLICY_FILE_MAX, &text, why, sizeof(why));
    cleanup_free char *bytes = text.bytes;

    if (!fine) {
        (void)snprintf(error, error_size, "%s cannot be read: %s.", options->file, why);
        return NULL;
    }
    return mesh__policy_new(options, bytes, text.size, error, error_size);
}

struct mesh__policy *mesh__policy_hold(struct mesh__policy *policy)
{
    atomic_fetch_add_explicit(&policy->holders, 1, memory_order_relaxed);
    return policy;
}

void mesh__policy_release(struct mesh__policy *policy)
{
    if (policy != NULL &&
        atomic_fetch_sub_explicit(&policy->holders, 1, memory_order_acq_rel) == 1) {
        mesh__arena_free(policy->arena);
        free(policy);
    }
}

enum mesh__policy_mode mesh__policy_mode(const struct mesh__policy *policy)
{
    return policy->mode;
}

const char *mesh__policy_mode_word(const struct mesh__policy *policy)
{
    static const char *const words[] = {"library", "istio", "proxyless"};

    return words[policy->mode];
}

const struct mesh__destination_policy *mesh__policy_destination(const struct mesh__policy *policy,
                                                                size_t i)
{
    return i < policy->n_destinations ? &policy->destinations[i] : NULL;
}
