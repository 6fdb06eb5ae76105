/* SPDX-License-Identifier: Apache-2.0 */
#include "db/url.h"

#include "core/parse.h"
#include "db/pg.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define NUMBER NULL

/* Values that libpq looks at only when it connects, and then as if the server were away. */
static const struct rule {
    const char *key;
    const char *what;
    const char *choices;
} rules[] = {
    {"sslmode", "an sslmode", "disable|allow|prefer|require|verify-ca|verify-full"},
    {"gssencmode", "a gssencmode", "disable|prefer|require"},
    {"channel_binding", "a channel_binding", "disable|prefer|require"},
    {"target_session_attrs", "a target_session_attrs",
     "any|read-write|read-only|primary|standby|prefer-standby"},
    {"ssl_min_protocol_version", "an ssl_min_protocol_version", "TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"},
    {"ssl_max_protocol_version", "an ssl_max_protocol_version", "TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"},
    {"connect_timeout", "a connect_timeout", NUMBER},
    {"keepalives", "a keepalives", NUMBER},
    {"keepalives_idle", "a keepalives_idle", NUMBER},
    {"keepalives_interval", "a keepalives_interval", NUMBER},
    {"keepalives_count", "a keepalives_count", NUMBER},
    {"tcp_user_timeout", "a tcp_user_timeout", NUMBER},
};

struct look {
    const char *what; /* the first flaw */
    const char *expected;
    int hosts, addresses, ports; /* elements of these lists; 0: not given */
};

static void found(struct look *look, const char *what, const char *expected)
{
    if (look->what == NULL) {
        look->what = what;
        look->expected = expected;
    }
}

static int elements(const char *list)
{
    int n = list[0] == '\0' ? 0 : 1;

    for (; *list != '\0'; list++) {
        n += *list == ',' ? 1 : 0;
    }
    return n;
}

static bool is_number(const char *text, size_t size, int64_t min, int64_t max)
{
    char copy[24];
    int64_t number;

    (void)snprintf(copy, sizeof(copy), "%.*s", (int)size, text);
    return size < sizeof(copy) && mesh__parse_int64(copy, &number) && number >= min &&
           number <= max;
}

/* Each is a number, or left out. */
static bool are_ports(const char *list)
{
    for (;;) {
        size_t size = strcspn(list, ",");

        if (size > 0 && !is_number(list, size, 1, 65535)) {
            return false;
        }
        if (list[size] == '\0') {
            return true;
        }
        list += size + 1;
    }
}

static void look_at(void *arg, const char *key, const char *value)
{
    struct look *look = arg;

    if (strcmp(key, "host") == 0) {
        look->hosts = elements(value);
    } else if (strcmp(key, "hostaddr") == 0) {
        look->addresses = elements(value);
    } else if (strcmp(key, "port") == 0) {
        look->ports = elements(value);
        if (!are_ports(value)) {
            found(look, "a port", "a whole number from 1 to 65535");
        }
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(key, rules[i].key) != 0 || value[0] == '\0') {
            continue;
        }
        if (rules[i].choices == NUMBER) {
            if (!is_number(value, strlen(value), INT_MIN, INT_MAX)) {
                found(look, rules[i].what, "a whole number");
            }
        } else if (mesh__find_choice(rules[i].choices, value) < 0) {
            found(look, rules[i].what, rules[i].choices);
        }
    }
}

/*
 * libpq takes the password to end at the first @ and the host at the first /. What follows would be
 * a piece of the password, and errors would repeat it.
 */
static bool has_torn_password(const char *url)
{
    const char *host = strstr(url, "://");
    const char *end;

    if (host == NULL) {
        return false;
    }
    host += 3;
    end = host + strcspn(host, "@/");
    if (*end == '@') {
        host = end + 1;
    }
    return memchr(host, '@', strcspn(host, "?")) != NULL;
}

const char *mesh__db_url_flaw(const char *url, const char **ret_expected)
{
    struct look look = {.what = NULL};

    if (has_torn_password(url)) {
        found(&look, "an @ or / inside of its user name or password", "%40 or %2F in its place");
    } else if (!mesh__pg->url_options(url, look_at, &look)) {
        found(&look, "a syntax error or an unknown option", NULL);
    }
    if (look.ports > 1 && look.ports != (look.addresses > 0 ? look.addresses : look.hosts)) {
        found(&look, "a number of ports", "one port, or one for each host");
    }
    if (look.addresses > 0 && look.hosts > 0 && look.addresses != look.hosts) {
        found(&look, "a number of addresses", "one hostaddr for each host");
    }
    *ret_expected = look.expected;
    return look.what;
}
