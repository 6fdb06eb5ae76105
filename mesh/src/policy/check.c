/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/main.h"
#include "policy/resolve.h"

#include <string.h>

static bool is_same_service(const struct mesh__policy_route *a, const struct mesh__policy_route *b)
{
    return strcmp(a->service, b->service) == 0 && strcmp(a->grpc_service, b->grpc_service) == 0;
}

bool mesh__policy_route_names(const struct mesh__policy_route *route, const char *method)
{
    for (size_t i = 0; i < route->n_methods; i++) {
        if (strcmp(route->methods[i], method) == 0) {
            return true;
        }
    }
    return false;
}

/* Two routes for the same: which one wins would be a guess. One that names a method wins over one
 * that is for all. */
static bool check_duplicate(struct mesh__policy_reader *reader,
                            const struct mesh__policy_route *earlier,
                            const struct mesh__policy_route *later)
{
    const char *place = later->part.from;

    if (!is_same_service(earlier, later)) {
        return true;
    }
    if (earlier->n_methods == 0 && later->n_methods == 0) {
        return mesh__policy_refuse(reader, mesh__policy_join(reader, place, "grpcService"),
                                   "is \"%s\", expected one that %s is not for already",
                                   later->grpc_service, earlier->part.from);
    }
    for (size_t i = 0; i < later->n_methods; i++) {
        if (mesh__policy_route_names(earlier, later->methods[i])) {
            place = mesh__policy_join(reader, place, "methods");
            return mesh__policy_refuse(reader, mesh__policy_place(reader, place, i),
                                       "is \"%s\", expected one that %s does not name already",
                                       later->methods[i], earlier->part.from);
        }
    }
    return true;
}

/* ---- methods of peers ----------------------------------------------------------------------- */

static const struct mesh_peer *find_peer(const struct mesh_peer *peers, const char *name)
{
    for (; peers != NULL && peers->name != NULL; peers++) {
        if (strcmp(peers->name, name) == 0) {
            return peers;
        }
    }
    return NULL;
}

static const struct mesh_service_type *find_type(const struct mesh_peer *peer, const char *name)
{
    for (size_t i = 0; peer->types[i] != NULL; i++) {
        if (strcmp(peer->types[i]->name, name) == 0) {
            return peer->types[i];
        }
    }
    return NULL;
}

static const struct mesh_method *find_method(const struct mesh_service_type *type, const char *name)
{
    for (size_t i = 0; i < type->n_methods; i++) {
        if (strcmp(type->methods[i].name, name) == 0) {
            return &type->methods[i];
        }
    }
    return NULL;
}

/* Whether the route has anything of retries but that there are none. */
static bool sets_retries(const struct mesh__route_part *part)
{
    return part->values.attempts > 0 || part->set[ROW(per_try_timeout_ms)] ||
           part->set[ROW(retry_on)] || part->set[ROW(backoff_ms)];
}

/* A route that names a method means it: what the method cannot have is no oversight there. */
static bool check_named(struct mesh__policy_reader *reader, const struct mesh__policy_route *route,
                        const struct mesh_method *method)
{
    const char *from = route->part.from;

    if (sets_retries(&route->part) && method->idempotency == MESH_IDEMPOTENCY_UNKNOWN) {
        return mesh__policy_refuse(reader, mesh__policy_join(reader, from, "retries"),
                                   "is set, expected none for %s, which is neither IDEMPOTENT nor "
                                   "NO_SIDE_EFFECTS",
                                   method->name);
    }
    if (sets_retries(&route->part) && method->kind != MESH_UNARY &&
        method->kind != MESH_SERVER_STREAMING) {
        return mesh__policy_refuse(reader, mesh__policy_join(reader, from, "retries"),
                                   "is set, expected none for %s, whose caller streams",
                                   method->name);
    }
    if (route->part.set[ROW(hedging_delay_ms)] && route->part.values.hedging_delay_ms > 0 &&
        (method->idempotency != MESH_NO_SIDE_EFFECTS || method->kind != MESH_UNARY)) {
        return mesh__policy_refuse(reader, mesh__policy_join(reader, from, "hedging"),
                                   "is set, expected none for %s, which is not a unary method with "
                                   "NO_SIDE_EFFECTS",
                                   method->name);
    }
    return true;
}

static bool check_methods(struct mesh__policy_reader *reader,
                          const struct mesh__policy_route *route, const struct mesh_peer *peer)
{
    const struct mesh_service_type *type = find_type(peer, route->grpc_service);
    const char *place = mesh__policy_join(reader, route->part.from, "methods");

    if (type == NULL) {
        return mesh__policy_refuse(
            reader, mesh__policy_join(reader, route->part.from, "grpcService"),
            "is \"%s\", expected a service that %s offers, such as %s", route->grpc_service,
            peer->name, peer->types[0] != NULL ? peer->types[0]->name : "none");
    }
    for (size_t i = 0; i < route->n_methods; i++) {
        const struct mesh_method *method = find_method(type, route->methods[i]);

        if (method == NULL) {
            return mesh__policy_refuse(reader, mesh__policy_place(reader, place, i),
                                       "is \"%s\", expected a method of %s", route->methods[i],
                                       type->name);
        }
        if (!check_named(reader, route, method)) {
            return false;
        }
    }
    return true;
}

bool mesh__policy_check(struct mesh__policy_reader *reader, const struct mesh__policy_file *file,
                        const struct mesh_peer *peers)
{
    for (size_t i = 0; i < file->n_routes; i++) {
        const struct mesh__policy_route *route = &file->routes[i];
        const struct mesh_peer *peer = find_peer(peers, route->service);

        for (size_t j = 0; j < i; j++) {
            if (!check_duplicate(reader, &file->routes[j], route)) {
                return false;
            }
        }
        if (peer != NULL && peer->types != NULL) {
            if (!check_methods(reader, route, peer)) {
                return false;
            }
        } else if (route->part.set[ROW(per_try_timeout_ms)] &&
                   !mesh__policy_check_times(reader, file, &route->part)) {
            return false; /* whether its methods are tried again is not known here */
        }
    }
    return mesh__policy_check_times(reader, file, &file->route);
}
