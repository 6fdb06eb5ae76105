/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/resolve.h"

#include "core/arena.h"
#include "mesh/main.h"
#include "policy/duration.h"

#include <stdio.h>
#include <string.h>

#define N_KINDS ((size_t)4)
#define N_LEVELS ((size_t)3)

/* ---- layers --------------------------------------------------------------------------------- */

static void take_standard(const struct mesh__fields *table, void *values, const char **from)
{
    for (size_t i = 0; i < table->n; i++) {
        mesh__field_set(values, i, table->fields[i].standard);
        from[i] = "default";
    }
}

static void take_route(struct mesh__method_policy *policy, const struct mesh__route_part *part)
{
    for (size_t i = 0; i < MESH__N_ROUTE_VALUES; i++) {
        if (part->set[i]) {
            mesh__field_set(&policy->values, i, mesh__field_get(&part->values, i));
            policy->from[i] = part->from;
        }
    }
}

static void take_destination(struct mesh__destination_policy *policy,
                             const struct mesh__destination_part *part)
{
    for (size_t i = 0; i < MESH__N_DESTINATION_VALUES; i++) {
        if (part->set[i]) {
            mesh__field_set(&policy->values, i, mesh__field_get(&part->values, i));
            policy->from[i] = part->from;
        }
    }
}

static void take_away(void *values, const char **from, size_t row, const char *why)
{
    if (mesh__field_get(values, row) != 0) {
        mesh__field_set(values, row, 0);
        from[row] = why;
    }
}

/* What the method cannot have, though a rule for many gives it. `named` is the route that names it,
 * if one does: what that says of times is meant for streams, too. */
static void fit_method(struct mesh__method_policy *policy, const struct mesh_method *method,
                       const char *named)
{
    bool streams = method->kind != MESH_UNARY;
    bool repeatable = method->idempotency != MESH_IDEMPOTENCY_UNKNOWN &&
                      (method->kind == MESH_UNARY || method->kind == MESH_SERVER_STREAMING);

    if (streams && policy->from[ROW(timeout_ms)] != named) {
        take_away(&policy->values, policy->from, ROW(timeout_ms), "method");
    }
    if (!repeatable || (streams && policy->from[ROW(per_try_timeout_ms)] != named)) {
        take_away(&policy->values, policy->from, ROW(per_try_timeout_ms), "method");
    }
    if (!repeatable) {
        take_away(&policy->values, policy->from, ROW(attempts), "method");
    }
    if (streams || method->idempotency != MESH_NO_SIDE_EFFECTS) {
        take_away(&policy->values, policy->from, ROW(hedging_delay_ms), "method");
    }
}

/* What somebody else does in this mode. */
static void fit_method_to_mode(struct mesh__method_policy *policy, enum mesh__policy_mode mode)
{
    static const size_t rows[] = {ROW(attempts), ROW(per_try_timeout_ms), ROW(hedging_delay_ms),
                                  ROW(fault_delay_ms), ROW(fault_abort_status)};

    for (size_t i = 0; mode != MESH__MODE_LIBRARY && i < sizeof(rows) / sizeof(rows[0]); i++) {
        take_away(&policy->values, policy->from, rows[i], "mode");
    }
}

/* The same: of ejection, these two rows say whether there is any. */
static void fit_destination_to_mode(struct mesh__destination_policy *policy,
                                    enum mesh__policy_mode mode)
{
    static const size_t rows[] = {ROW_OF(mesh__destination_values, consecutive_5xx_errors),
                                  ROW_OF(mesh__destination_values, consecutive_gateway_errors)};

    for (size_t i = 0; mode != MESH__MODE_LIBRARY && i < sizeof(rows) / sizeof(rows[0]); i++) {
        take_away(&policy->values, policy->from, rows[i], "mode");
    }
}

/* ---- times ---------------------------------------------------------------------------------- */

static bool refuse_time(struct mesh__policy_reader *reader,
                        const struct mesh__method_policy *policy, size_t row, int64_t most_ms,
                        const char *why)
{
    const char *path = mesh__route_fields.fields[row].path;
    char value[MESH__DURATION_SIZE];
    char most[MESH__DURATION_SIZE];
    char timeout[MESH__DURATION_SIZE];

    return mesh__policy_refuse(
        reader, mesh__policy_join(reader, policy->from[row], path),
        "is %s, expected at most %s, so that %s within the timeout of %s (%s)",
        mesh__duration_print(mesh__field_get(&policy->values, row), value),
        mesh__duration_print(most_ms, most), why,
        mesh__duration_print(policy->values.timeout_ms, timeout), policy->from[ROW(timeout_ms)]);
}

static bool check_times(struct mesh__policy_reader *reader,
                        const struct mesh__method_policy *policy)
{
    int64_t timeout_ms = policy->values.timeout_ms;
    int64_t tries = policy->values.attempts + 1;
    char why[64];

    if (timeout_ms > 0 && tries * policy->values.per_try_timeout_ms > timeout_ms) {
        (void)snprintf(why, sizeof(why), "all %d attempts fit", (int)tries);
        return refuse_time(reader, policy, ROW(per_try_timeout_ms), timeout_ms / tries, why);
    }
    if (timeout_ms > 0 && policy->values.hedging_delay_ms >= timeout_ms) {
        return refuse_time(reader, policy, ROW(hedging_delay_ms), timeout_ms - 1, "it can begin");
    }
    return true;
}

bool mesh__policy_check_times(struct mesh__policy_reader *reader,
                              const struct mesh__policy_file *file,
                              const struct mesh__route_part *part)
{
    struct mesh__method_policy policy;

    take_standard(&mesh__route_fields, &policy.values, policy.from);
    take_route(&policy, &file->route);
    take_route(&policy, part);
    return check_times(reader, &policy);
}

/* ---- methods -------------------------------------------------------------------------------- */

/* The one that names the method, or else the one for all; NULL: none. */
static const struct mesh__policy_route *find_route(const struct mesh__policy_file *file,
                                                   const char *service, const char *grpc_service,
                                                   const char *method)
{
    const struct mesh__policy_route *found = NULL;

    for (size_t i = 0; i < file->n_routes; i++) {
        const struct mesh__policy_route *route = &file->routes[i];

        if (strcmp(route->service, service) != 0 ||
            strcmp(route->grpc_service, grpc_service) != 0) {
            continue;
        }
        if (mesh__policy_route_names(route, method)) {
            return route;
        }
        if (route->n_methods == 0) {
            found = route;
        }
    }
    return found;
}

/* What one peer's methods are resolved with. */
struct resolving {
    struct mesh__policy_reader *reader;
    const struct mesh__policy_file *file;
    const struct mesh_peer *peer;
    const struct mesh__destination_policy *destination;
};

static bool resolve_method(const struct resolving *resolving, const struct mesh_method *method,
                           const struct mesh__policy_route *route,
                           struct mesh__method_policy *ret_policy)
{
    bool is_named = route != NULL && route->n_methods > 0;

    ret_policy->destination = resolving->destination;
    take_standard(&mesh__route_fields, &ret_policy->values, ret_policy->from);
    if (resolving->peer->timeout_ms > 0) {
        ret_policy->values.timeout_ms = resolving->peer->timeout_ms;
        ret_policy->from[ROW(timeout_ms)] = "declaration";
    }
    take_route(ret_policy, &resolving->file->route);
    if (route != NULL) {
        take_route(ret_policy, &route->part);
    }
    fit_method(ret_policy, method, is_named ? route->part.from : NULL);
    if (!check_times(resolving->reader, ret_policy)) {
        return false;
    }
    fit_method_to_mode(ret_policy, resolving->file->mode);
    return true;
}

static bool resolve_type(const struct resolving *resolving, const struct mesh_service_type *type,
                         struct mesh__method_policy *ret_policies)
{
    for (size_t i = 0; i < type->n_methods; i++) {
        const struct mesh_method *method = &type->methods[i];
        const struct mesh__policy_route *route =
            find_route(resolving->file, resolving->peer->name, type->name, method->name);

        if (!resolve_method(resolving, method, route, &ret_policies[i])) {
            return false;
        }
    }
    return true;
}

/* Methods that no type has can have no route; they differ by their kind and idempotency alone. */
static bool resolve_others(const struct resolving *resolving,
                           struct mesh__method_policy *ret_policies)
{
    for (size_t i = 0; i < N_KINDS * N_LEVELS; i++) {
        const struct mesh_method method = {.kind = (enum mesh_method_kind)(i / N_LEVELS),
                                           .idempotency = (enum mesh_idempotency)(i % N_LEVELS)};

        if (!resolve_method(resolving, &method, NULL, &ret_policies[i])) {
            return false;
        }
    }
    return true;
}

static size_t count_types(const struct mesh_service_type *const *types)
{
    size_t n = 0;

    while (types[n] != NULL) {
        n++;
    }
    return n;
}

bool mesh__policy_resolve(struct mesh__policy_reader *reader, const struct mesh__policy_file *file,
                          const struct mesh_peer *peer,
                          struct mesh__destination_policy *ret_destination)
{
    static const struct mesh_service_type *const no_types[] = {NULL};
    const struct resolving resolving = {reader, file, peer, ret_destination};
    struct mesh__method_policy **methods;
    size_t n_types;

    ret_destination->name = peer->name;
    ret_destination->types = peer->types != NULL ? peer->types : no_types;
    take_standard(&mesh__destination_fields, &ret_destination->values, ret_destination->from);
    take_destination(ret_destination, &file->destination);
    for (size_t i = 0; i < file->n_destinations; i++) {
        if (strcmp(file->destinations[i].name, peer->name) == 0) {
            take_destination(ret_destination, &file->destinations[i].part);
        }
    }
    fit_destination_to_mode(ret_destination, file->mode);
    n_types = count_types(ret_destination->types);
    methods =
        mesh__arena_alloc(reader->arena, (n_types + 1) * sizeof(struct mesh__method_policy *));
    ret_destination->methods = methods;
    for (size_t i = 0; i < n_types; i++) {
        const struct mesh_service_type *type = ret_destination->types[i];

        methods[i] = mesh__arena_alloc(reader->arena, type->n_methods * sizeof(*methods[i]));
        if (!resolve_type(&resolving, type, methods[i])) {
            return false;
        }
    }
    ret_destination->others =
        mesh__arena_alloc(reader->arena, sizeof(*ret_destination->others) * N_KINDS * N_LEVELS);
    return resolve_others(&resolving, ret_destination->others);
}

const struct mesh__method_policy *
mesh__policy_method(const struct mesh__destination_policy *destination,
                    const struct mesh_method *method)
{
    for (size_t i = 0; destination->types[i] != NULL; i++) {
        const struct mesh_service_type *type = destination->types[i];
        uintptr_t offset = (uintptr_t)method - (uintptr_t)type->methods;

        if (offset < type->n_methods * sizeof(*method)) {
            return &destination->methods[i][offset / sizeof(*method)];
        }
    }
    return &destination->others[(size_t)method->kind * N_LEVELS + (size_t)method->idempotency];
}
