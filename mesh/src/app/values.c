/* SPDX-License-Identifier: Apache-2.0 */
#include "app/values.h"

#include "db/url.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#define PLAIN "nats://"
#define TLS "tls://"

const char *mesh__target_address(const char *target)
{
    if (strncmp(target, "dns://", 6) == 0) {
        const char *slash = strchr(target + 6, '/');

        return slash == NULL ? NULL : slash + 1;
    }
    if (strncmp(target, "dns:", 4) == 0) {
        return target + 4;
    }
    return strstr(target, "://") == NULL ? target : NULL;
}

/* "host", "host:port" or the same behind "user:password@", as nats.c cuts it: at the last @. */
static bool is_server(const char *text, size_t size)
{
    char address[MESH__HOST_SIZE + 8];
    char host[MESH__HOST_SIZE];
    const char *at = memrchr(text, '@', size);
    size_t skipped = at == NULL ? 0 : (size_t)(at - text) + 1;
    int64_t port;

    if (!mesh__is_visible(text, size)) {
        return false;
    }
    text += skipped;
    size -= skipped;
    if (size > 0 && text[size - 1] == '/') {
        size--;
    }
    if (size >= MESH__HOST_SIZE || memchr(text, '/', size) != NULL) {
        return false;
    }
    (void)snprintf(address, sizeof(address), "%.*s:1", (int)size, text);
    if (mesh__parse_address(address, 1, host, &port)) { /* without a port of its own */
        return true;
    }
    address[size] = '\0';
    return mesh__parse_address(address, 1, host, &port);
}

static const char *broker_flaw(const char *text, const char **ret_expected)
{
    bool plain = false;
    bool tls = false;

    for (bool last = false; !last;) {
        size_t size = strcspn(text, ",");
        bool is_tls = strncmp(text, TLS, strlen(TLS)) == 0;
        const char *scheme = is_tls ? TLS : PLAIN;

        if (strncmp(text, scheme, strlen(scheme)) != 0) {
            *ret_expected = PLAIN " or " TLS;
            return "a scheme";
        }
        if (!is_server(text + strlen(scheme), size - strlen(scheme))) {
            return "a host or port";
        }
        tls = tls || is_tls;
        plain = plain || !is_tls;
        last = text[size] == '\0';
        text += size + 1;
    }
    if (plain && tls) {
        *ret_expected = "only one of them";
        return "both " PLAIN " and " TLS " in a list";
    }
    return NULL;
}

static bool is_ip(const char *host)
{
    struct in6_addr bytes; /* larger than that of IPv4 */

    return inet_pton(AF_INET, host, &bytes) == 1 || inet_pton(AF_INET6, host, &bytes) == 1;
}

/* "ip:port,ip:port"; names in a list would have to be looked up one by one. */
static bool is_list(const char *text)
{
    char item[MESH__HOST_SIZE + 8];
    char host[MESH__HOST_SIZE];
    int64_t port;

    for (;;) {
        size_t size = strcspn(text, ",");

        (void)snprintf(item, sizeof(item), "%.*s", (int)size, text);
        if (size >= sizeof(item) || !mesh__parse_address(item, 1, host, &port) || !is_ip(host)) {
            return false;
        }
        if (text[size] == '\0') {
            return true;
        }
        text += size + 1;
    }
}

static bool is_target(const char *text)
{
    static const char *const schemes[] = {
        "file:", "dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:///"};
    char host[MESH__HOST_SIZE];
    int64_t port;

    if (!mesh__is_visible(text, strlen(text))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t size = strlen(schemes[i]);

        if (strncmp(text, schemes[i], size) == 0) {
            return text[size + strspn(text + size, "/")] != '\0';
        }
    }
    return mesh__parse_address(text, 1, host, &port) || is_list(text);
}

const char *mesh__value_flaw(const struct mesh__variable *variable, const char *text,
                             const char **ret_expected)
{
    *ret_expected = NULL;
    if (variable->kind == KIND_POSTGRES) {
        return mesh__db_url_flaw(text, ret_expected);
    }
    return variable->kind == KIND_BROKER ? broker_flaw(text, ret_expected) : NULL;
}

bool mesh__value_parse(const struct mesh__variable *variable, const char *text, int64_t *ret_number)
{
    char host[MESH__HOST_SIZE];
    const char *expected;
    int64_t number = 0;

    switch (variable->kind) {
    case KIND_TEXT:
        return true;
    case KIND_INT64:
        if (!mesh__parse_int64(text, &number) || number < variable->min || number > variable->max) {
            return false;
        }
        *ret_number = number;
        return true;
    case KIND_BOOL:
        *ret_number = strcmp(text, "true") == 0;
        return *ret_number != 0 || strcmp(text, "false") == 0;
    case KIND_CHOICE:
        return mesh__find_choice(variable->choices, text) >= 0;
    case KIND_LISTEN:
        return mesh__parse_address(text, 0, host, &number);
    case KIND_POSTGRES:
    case KIND_BROKER:
        return mesh__value_flaw(variable, text, &expected) == NULL;
    case KIND_PEM:
        return strstr(text, "-----BEGIN CERTIFICATE-----") != NULL;
    case KIND_TARGET:
        return is_target(text);
    }
    return false;
}

void mesh__value_expected(const struct mesh__variable *variable, char *ret_text, size_t size)
{
    static const char *const fixed[] = {
        [KIND_TEXT] = "some text",
        [KIND_BOOL] = "true or false",
        [KIND_LISTEN] = "host:port",
        [KIND_POSTGRES] = "a Postgres connection string such as postgresql://user@host:5432/name",
        [KIND_BROKER] = "nats://host:port, or several of them with commas between",
        [KIND_PEM] = "certificates in PEM",
        [KIND_TARGET] = "host:port, ip:port,ip:port, file:PATH or another gRPC target",
    };

    if (variable->kind == KIND_CHOICE) {
        mesh__list_choices(variable->choices, ret_text, size);
    } else if (variable->kind == KIND_INT64) {
        (void)snprintf(ret_text, size, "a whole number from %" PRId64 " to %" PRId64, variable->min,
                       variable->max);
    } else {
        (void)snprintf(ret_text, size, "%s", fixed[variable->kind]);
    }
}
