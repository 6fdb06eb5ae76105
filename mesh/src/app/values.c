/* SPDX-License-Identifier: Apache-2.0 */
#include "app/values.h"

#include <inttypes.h>
#include <string.h>

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

static bool is_postgres(const char *text)
{
    return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0 ||
           (strstr(text, "://") == NULL && strchr(text, '=') != NULL);
}

static bool is_broker(const char *text)
{
    for (;;) {
        size_t size = strcspn(text, ",");
        size_t scheme = strncmp(text, "nats://", 7) == 0 ? 7 : 6;

        if (scheme == 6 && strncmp(text, "tls://", 6) != 0) {
            return false;
        }
        if (size <= scheme || !mesh__is_visible(text, size)) {
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
        "dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "xds:"};
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
    return mesh__parse_address(text, 1, host, &port);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);

    while (*choices != '\0') {
        size_t choice = strcspn(choices, "|");

        if (choice == size && memcmp(choices, text, size) == 0) {
            return true;
        }
        choices += choice + (choices[choice] == '|' ? 1 : 0);
    }
    return false;
}

bool mesh__value_parse(const struct mesh__variable *variable, const char *text, int64_t *ret_number)
{
    char host[MESH__HOST_SIZE];
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
        return is_choice(variable->choices, text);
    case KIND_LISTEN:
        return mesh__parse_address(text, 0, host, &number);
    case KIND_POSTGRES:
        return is_postgres(text);
    case KIND_BROKER:
        return is_broker(text);
    case KIND_TARGET:
        return is_target(text);
    }
    return false;
}

/* "a|b|c" as "a, b or c". */
static void list_choices(const char *choices, char *ret_text, size_t size)
{
    size_t used = 0;

    for (const char *c = choices; *c != '\0' && used + 5 < size; c++) {
        if (*c != '|') {
            ret_text[used++] = *c;
        } else if (strchr(c + 1, '|') == NULL) {
            memcpy(ret_text + used, " or ", 4);
            used += 4;
        } else {
            memcpy(ret_text + used, ", ", 2);
            used += 2;
        }
    }
    ret_text[used] = '\0';
}

void mesh__value_expected(const struct mesh__variable *variable, char *ret_text, size_t size)
{
    static const char *const fixed[] = {
        [KIND_TEXT] = "some text",
        [KIND_BOOL] = "true or false",
        [KIND_LISTEN] = "host:port",
        [KIND_POSTGRES] = "a Postgres connection string such as postgresql://user@host:5432/name",
        [KIND_BROKER] = "nats://host:port, or several of them with commas between",
        [KIND_TARGET] = "host:port or another gRPC target",
    };

    if (variable->kind == KIND_CHOICE) {
        list_choices(variable->choices, ret_text, size);
    } else if (variable->kind == KIND_INT64) {
        (void)snprintf(ret_text, size, "a whole number from %" PRId64 " to %" PRId64, variable->min,
                       variable->max);
    } else {
        (void)snprintf(ret_text, size, "%s", fixed[variable->kind]);
    }
}
