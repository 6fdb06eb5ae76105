/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/file.h"

#include "core/arena.h"
#include "core/parse.h"
#include "policy/block.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_SIZE 63
#define MEMBERS_MAX 500 /* routes, destinations: they are compared with each other */
#define ITEMS_MAX 100   /* of an array */
#define TYPE_MAX_SIZE 255

/* ---- shapes --------------------------------------------------------------------------------- */

/* A letter, then letters, digits and what else is allowed. */
static bool is_word(const char *text, const char *allowed, size_t max)
{
    size_t size = strlen(text);

    if (size == 0 || size > max || !isalpha((unsigned char)text[0])) {
        return false;
    }
    for (size_t i = 1; i < size; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr(allowed, text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_route_name(const char *text)
{
    return is_word(text, "-", NAME_MAX_SIZE);
}

/* A DNS label. */
static bool is_service(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (isupper((unsigned char)*c)) {
            return false;
        }
    }
    return is_word(text, "-", NAME_MAX_SIZE) && text[strlen(text) - 1] != '-';
}

static bool is_method(const char *text)
{
    return is_word(text, "_", TYPE_MAX_SIZE);
}

/* "fashion.payment.v1.PaymentService" */
static bool is_grpc_service(const char *text)
{
    for (const char *dot = strchr(text, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        if (!isalpha((unsigned char)dot[1])) {
            return false;
        }
    }
    return is_word(text, "_.", TYPE_MAX_SIZE);
}

/* "fashion.payment.v1.PaymentService/Pay" */
static bool is_call(const char *text)
{
    char service[TYPE_MAX_SIZE + 1];
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : sizeof(service);

    if (size >= sizeof(service)) {
        return false;
    }
    memcpy(service, text, size);
    service[size] = '\0';
    return is_grpc_service(service) && is_method(slash + 1);
}

static const char route_name_shape[] = "a letter, then letters, digits and -, 63 at most";
static const char service_shape[] =
    "the name of a service: a small letter, then small letters, digits and -, 63 at most";
static const char grpc_service_shape[] = "a gRPC service such as shop.v1.ShopService";
static const char method_shape[] = "the name of a method";
static const char call_shape[] = "a method such as shop.v1.ShopService/Buy";

/* Istio refuses it, too: who reads the file would believe that the rest has an effect. */
static bool check_no_attempts(struct mesh__policy_reader *reader, const struct mesh__json *json,
                              const char *place)
{
    const struct mesh__json *retries = mesh__json_find(json, "retries");
    const struct mesh__json *attempts =
        retries != NULL ? mesh__json_find(retries, "attempts") : NULL;

    if (attempts == NULL || attempts->number != 0) {
        return true;
    }
    for (const struct mesh__json *member = retries->first; member != NULL; member = member->next) {
        if (member != attempts) {
            place =
                mesh__policy_join(reader, mesh__policy_join(reader, place, "retries"), member->key);
            return mesh__policy_refuse(reader, place,
                                       "is set, expected it left out beside attempts 0");
        }
    }
    return true;
}

static bool read_route_part(struct mesh__policy_reader *reader, const struct mesh__json *json,
                            const char *others, struct mesh__route_part *part)
{
    struct mesh__block block = {.table = &mesh__route_fields,
                                .values = &part->values,
                                .set = part->set,
                                .defaults = others[0] == '\0',
                                .others = others};

    return mesh__block_read(reader, &block, json, part->from) &&
           check_no_attempts(reader, json, part->from);
}

static bool read_destination_part(struct mesh__policy_reader *reader, const struct mesh__json *json,
                                  struct mesh__destination_part *part)
{
    struct mesh__block block = {.table = &mesh__destination_fields,
                                .values = &part->values,
                                .set = part->set,
                                .others = ""};

    return mesh__block_read(reader, &block, json, part->from);
}

static size_t count(const struct mesh__json *json)
{
    size_t n = 0;

    for (const struct mesh__json *member = json->first; member != NULL; member = member->next) {
        n++;
    }
    return n;
}

static bool check_map(struct mesh__policy_reader *reader, const char *place,
                      const struct mesh__json *json)
{
    if (json->kind != MESH__JSON_OBJECT) {
        return mesh__policy_refuse_value(reader, place, json, "an object");
    }
    if (count(json) > MEMBERS_MAX) {
        return mesh__policy_refuse(reader, place, "has %zu members, expected at most %d",
                                   count(json), MEMBERS_MAX);
    }
    return true;
}

/* ---- routes --------------------------------------------------------------------------------- */

static bool read_text(struct mesh__policy_reader *reader, const struct mesh__json *json,
                      const char *place, bool (*is_right)(const char *text), const char *shape)
{
    if (json->kind != MESH__JSON_STRING || !is_right(json->text)) {
        return mesh__policy_refuse_value(reader, place, json, shape);
    }
    return true;
}

static bool read_own_text(struct mesh__policy_reader *reader, const struct mesh__json *route,
                          const char *from, const char *key, const char **ret_text)
{
    bool is_destination = strcmp(key, "service") == 0;
    const char *shape = is_destination ? service_shape : grpc_service_shape;
    const struct mesh__json *json = mesh__json_find(route, key);
    const char *place = mesh__policy_join(reader, from, key);

    if (json == NULL) {
        return mesh__policy_refuse(reader, place, "is missing, expected %s", shape);
    }
    if (!read_text(reader, json, place, is_destination ? is_service : is_grpc_service, shape)) {
        return false;
    }
    *ret_text = json->text;
    return true;
}

/* An array of different texts that is not empty; it may be left out. */
static bool read_texts(struct mesh__policy_reader *reader, const struct mesh__json *json,
                       const char *place, bool (*is_right)(const char *text), const char *shape)
{
    size_t i = 0;

    if (json == NULL) {
        return true;
    }
    if (json->kind != MESH__JSON_ARRAY || json->first == NULL) {
        return mesh__policy_refuse_value(reader, place, json, "an array of texts");
    }
    if (count(json) > ITEMS_MAX) {
        return mesh__policy_refuse(reader, place, "has %zu texts, expected at most %d", count(json),
                                   ITEMS_MAX);
    }
    for (const struct mesh__json *item = json->first; item != NULL; item = item->next, i++) {
        if (!read_text(reader, item, mesh__policy_place(reader, place, i), is_right, shape)) {
            return false;
        }
        for (const struct mesh__json *other = json->first; other != item; other = other->next) {
            if (strcmp(other->text, item->text) == 0) {
                return mesh__policy_refuse_value(reader, mesh__policy_place(reader, place, i), item,
                                                 "each only once");
            }
        }
    }
    return true;
}

static void take_methods(struct mesh__policy_reader *reader, const struct mesh__json *json,
                         struct mesh__policy_route *route)
{
    route->methods = mesh__arena_alloc(reader->arena, count(json) * sizeof(*route->methods));
    for (const struct mesh__json *item = json->first; item != NULL; item = item->next) {
        route->methods[route->n_methods++] = item->text;
    }
}

static bool read_route(struct mesh__policy_reader *reader, const struct mesh__json *json,
                       struct mesh__policy_route *route)
{
    const char *from = mesh__policy_join(reader, "routes", json->key);
    const struct mesh__json *methods;

    if (!is_route_name(json->key)) {
        return mesh__policy_refuse(reader, from, "is not the name of a route, expected %s",
                                   route_name_shape);
    }
    route->part.from = from;
    if (!read_route_part(reader, json, "service|grpcService|methods|calls", &route->part) ||
        !read_own_text(reader, json, from, "service", &route->service) ||
        !read_own_text(reader, json, from, "grpcService", &route->grpc_service) ||
        !read_texts(reader, mesh__json_find(json, "calls"),
                    mesh__policy_join(reader, from, "calls"), is_call, call_shape)) {
        return false;
    }
    methods = mesh__json_find(json, "methods");
    if (!read_texts(reader, methods, mesh__policy_join(reader, from, "methods"), is_method,
                    method_shape)) {
        return false;
    }
    if (methods != NULL) {
        take_methods(reader, methods, route);
    }
    return true;
}

static bool read_routes(struct mesh__policy_reader *reader, const struct mesh__json *json,
                        struct mesh__policy_file *file)
{
    if (!check_map(reader, "routes", json)) {
        return false;
    }
    file->routes = mesh__arena_alloc(reader->arena, count(json) * sizeof(*file->routes));
    for (const struct mesh__json *member = json->first; member != NULL; member = member->next) {
        if (!read_route(reader, member, &file->routes[file->n_routes++])) {
            return false;
        }
    }
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool read_destinations(struct mesh__policy_reader *reader, const struct mesh__json *json,
                              struct mesh__policy_file *file)
{
    if (!check_map(reader, "destinations", json)) {
        return false;
    }
    file->destinations =
        mesh__arena_alloc(reader->arena, count(json) * sizeof(*file->destinations));
    for (const struct mesh__json *member = json->first; member != NULL; member = member->next) {
        struct mesh__policy_destination *destination = &file->destinations[file->n_destinations++];

        destination->name = member->key;
        destination->part.from = mesh__policy_join(reader, "destinations", member->key);
        if (!is_service(member->key)) {
            return mesh__policy_refuse(reader, destination->part.from, "is not %s", service_shape);
        }
        if (!read_destination_part(reader, member, &destination->part)) {
            return false;
        }
    }
    return true;
}

static bool read_defaults(struct mesh__policy_reader *reader, const struct mesh__json *json,
                          struct mesh__policy_file *file)
{
    if (json->kind != MESH__JSON_OBJECT) {
        return mesh__policy_refuse_value(reader, "defaults", json, "an object");
    }
    for (const struct mesh__json *member = json->first; member != NULL; member = member->next) {
        bool fine;

        if (strcmp(member->key, "route") == 0) {
            fine = read_route_part(reader, member, "", &file->route);
        } else if (strcmp(member->key, "destination") == 0) {
            fine = read_destination_part(reader, member, &file->destination);
        } else {
            fine = mesh__policy_refuse_key(
                reader, mesh__policy_join(reader, "defaults", member->key), "route|destination");
        }
        if (!fine) {
            return false;
        }
    }
    return true;
}

/* With a peer that is found by xDS, the core would do elsewhere what the service does, too. */
static bool check_mode(struct mesh__policy_reader *reader, const struct mesh__json *json)
{
    char expected[128];

    if (reader->xds_peer != NULL && reader->mode != MESH__MODE_PROXYLESS) {
        (void)snprintf(expected, sizeof(expected), "proxyless, as %s is found by xDS",
                       reader->xds_peer);
        return mesh__policy_refuse_value(reader, "mode", json, expected);
    }
    if (reader->only_mode != NULL && strcmp(reader->only_mode, json->text) != 0) {
        (void)snprintf(expected, sizeof(expected), "%s, as at the start: a change takes a restart",
                       reader->only_mode);
        return mesh__policy_refuse_value(reader, "mode", json, expected);
    }
    return true;
}

/* What the rest is read by. */
static bool read_head(struct mesh__policy_reader *reader, const struct mesh__json *whole)
{
    static const char *const keys[] = {"schema", "mode"};
    static const char *const words[] = {MESH__POLICY_SCHEMA, MESH__POLICY_MODES};
    int choice = -1;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct mesh__json *json = mesh__json_find(whole, keys[i]);
        char expected[64];

        mesh__list_choices(words[i], expected, sizeof(expected));
        if (json == NULL) {
            return mesh__policy_refuse(reader, keys[i], "is missing, expected %s", expected);
        }
        choice = json->kind == MESH__JSON_STRING ? mesh__find_choice(words[i], json->text) : -1;
        if (choice < 0) {
            return mesh__policy_refuse_value(reader, keys[i], json, expected);
        }
    }
    reader->mode = (enum mesh__policy_mode)choice;
    return check_mode(reader, mesh__json_find(whole, "mode"));
}

static bool read_top(struct mesh__policy_reader *reader, const struct mesh__json *member,
                     struct mesh__policy_file *file)
{
    static const struct {
        const char *key;
        bool (*read)(struct mesh__policy_reader *reader, const struct mesh__json *json,
                     struct mesh__policy_file *file);
    } parts[] = {
        {"defaults", read_defaults}, {"routes", read_routes}, {"destinations", read_destinations}};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(member->key, parts[i].key) == 0) {
            return parts[i].read(reader, member, file);
        }
    }
    if (mesh__find_choice("schema|mode", member->key) >= 0) {
        return true;
    }
    return mesh__policy_refuse_key(reader, member->key, "schema|mode|defaults|routes|destinations");
}

bool mesh__policy_file_read(struct mesh__policy_reader *reader, const char *text, size_t size,
                            struct mesh__policy_file *ret_file)
{
    const struct mesh__json *whole;
    char flaw[320];

    *ret_file = (struct mesh__policy_file){.route.from = "defaults.route",
                                           .destination.from = "defaults.destination"};
    whole = mesh__json_parse(reader->arena, text, size, flaw, sizeof(flaw));
    if (whole == NULL) {
        (void)snprintf(reader->error, reader->error_size, "%s: %s.", reader->name, flaw);
        return false;
    }
    if (whole->kind != MESH__JSON_OBJECT) {
        return mesh__policy_refuse_value(reader, "the file", whole, "an object");
    }
    if (!read_head(reader, whole)) {
        return false;
    }
    ret_file->mode = reader->mode;
    for (const struct mesh__json *member = whole->first; member != NULL; member = member->next) {
        if (!read_top(reader, member, ret_file)) {
            return false;
        }
    }
    return true;
}
