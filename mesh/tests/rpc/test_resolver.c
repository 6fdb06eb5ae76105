/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups with scripted answers, on a clock that goes on when everybody waits. */
#include "../core/fake_clock.h"
#include "core/condition.h"
#include "rpc/resolver.h"
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LOOKS_MAX 32
#define LOG_SIZE 8192

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static char told[LOG_SIZE]; /* "+address ", "-address ", "!reason ", a line for each event */
static int n_events;

static void tell(const char *sign, const char *text)
{
    size_t size = strlen(told);

    (void)snprintf(told + size, sizeof(told) - size, "%s%s ", sign, text);
}

static void on_changed(void *arg, const struct mesh__address *added, size_t n_added,
                       const struct mesh__address *removed, size_t n_removed)
{
    CHECK(arg == told);
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_added; i++) {
        tell("+", added[i].text);
    }
    for (size_t i = 0; i < n_removed; i++) {
        tell("-", removed[i].text);
    }
    tell("", "|");
    n_events++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void on_failed(void *arg, const char *reason)
{
    CHECK(arg == told);
    (void)pthread_mutex_lock(&lock);
    tell("!", reason);
    tell("", "|");
    n_events++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static const struct mesh__resolver_events events = {on_changed, on_failed, told};

/* ---- the scripted look-up ----------------------------------------------------------------- */

/* Words: addresses, or "!" for a failure; the last answer stays. "kick": ask again meanwhile. */
static const char *const *answers;
static int64_t looked_ns[LOOKS_MAX];
static size_t n_looks;
static bool hangs;
static struct mesh__resolver *resolver;

static struct addrinfo *new_info(const char *ip, struct addrinfo *next)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in6 v6;
    } *made = calloc(1, sizeof(*made));
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    made->info.ai_next = next;
    made->info.ai_addr = (struct sockaddr *)&made->v6;
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
        made->info.ai_family = AF_INET;
        memcpy(&made->v6, &v4, sizeof(v4));
    } else {
        made->info.ai_family = AF_INET6;
        made->v6.sin6_family = AF_INET6;
        CHECK_INT(inet_pton(AF_INET6, ip, &made->v6.sin6_addr), 1);
    }
    return &made->info;
}

static void free_infos(struct addrinfo *first)
{
    while (first != NULL) {
        struct addrinfo *next = first->ai_next;

        free(first);
        first = next;
    }
}

static const char *next_answer(void)
{
    const char *answer;

    (void)pthread_mutex_lock(&lock);
    answer = answers[0];
    answers += answers[1] != NULL ? 1 : 0;
    if (n_looks < LOOKS_MAX) {
        looked_ns[n_looks++] = mesh__now_ns();
    }
    (void)pthread_cond_broadcast(&changed);
    while (hangs) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    return answer;
}

static int scripted(const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **ret_first)
{
    char words[256];
    char *rest = NULL;
    struct addrinfo *first = NULL;

    (void)snprintf(words, sizeof(words), "%s", next_answer());
    CHECK_TEXT(host, "payment.shop.svc.cluster.local.");
    CHECK(service == NULL && hints->ai_socktype == SOCK_STREAM);
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        if (strcmp(word, "kick") == 0) {
            (void)pthread_mutex_lock(&lock); /* it is there by now */
            mesh__resolver_kick(resolver);
            mesh__resolver_kick(resolver);
            (void)pthread_mutex_unlock(&lock);
        } else if (strcmp(word, "!") == 0) {
            return EAI_AGAIN;
        } else {
            first = new_info(word, first);
        }
    }
    *ret_first = first;
    return 0;
}

static const struct mesh__dns scripted_dns = {scripted, free_infos};

/* ---- the clock ---------------------------------------------------------------------------- */

static _Atomic bool asleep; /* three seconds never pass, half a second does */

static bool resolver_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    if (!asleep) {
        return fake_wait(condition, mutex, deadline_ns);
    }
    if (deadline_ns - fake_ns > MESH__RESOLVE_APART_MS * MESH_NS_PER_MS) {
        return pthread_cond_wait(condition, mutex) == 0;
    }
    fake_ns = deadline_ns;
    return false;
}

static const struct mesh_clock resolver_clock = {fake_monotonic_ns, fake_wall_us, fake_random,
                                                 resolver_wait};

/* ---- fixtures ----------------------------------------------------------------------------- */

static void begin(const char *target)
{
    told[0] = '\0';
    n_events = 0;
    n_looks = 0;
    (void)pthread_mutex_lock(&lock);
    resolver = mesh__resolver_new(target, &events);
    (void)pthread_mutex_unlock(&lock);
    CHECK(resolver != NULL);
}

static void begin_name(const char *const *script)
{
    answers = script;
    begin("payment.shop.svc.cluster.local.:50051");
}

static void await_looks(size_t n)
{
    (void)pthread_mutex_lock(&lock);
    while (n_looks < n) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void await_events(int n)
{
    (void)pthread_mutex_lock(&lock);
    while (n_events < n) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void end(const char *expected)
{
    mesh__resolver_free(resolver);
    CHECK_TEXT(told, expected);
}

static int64_t ms_between_looks(size_t i)
{
    return (looked_ns[i + 1] - looked_ns[i]) / MESH_NS_PER_MS;
}

/* ---- targets ------------------------------------------------------------------------------ */

TEST(what_is_a_target)
{
    static const char *const bad[] = {"",
                                      "payment",
                                      ":80",
                                      "payment:0",
                                      "payment:65536",
                                      "payment:x",
                                      "a:1,b:2",
                                      "10.0.0.1:1,payment:2",
                                      "10.0.0.1",
                                      "10.0.0.1:1,10.0.0.2",
                                      ",",
                                      "::1:80",
                                      "file:"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(mesh__resolver_new(bad[i], &events) == NULL);
    }
}

/* Told before new() returns, so without the fixture's lock. */
TEST(addresses_need_no_look_up)
{
    static const struct {
        const char *target, *told;
    } rows[] = {
        {"10.0.0.1:50051", "+ipv4:10.0.0.1:50051 | "},
        {"[::1]:50051", "+ipv6:[::1]:50051 | "},
        {"10.0.0.2:1,10.0.0.1:1", "+ipv4:10.0.0.1:1 +ipv4:10.0.0.2:1 | "},
        {"10.0.0.1:2,10.0.0.1:1,10.0.0.1:2", "+ipv4:10.0.0.1:1 +ipv4:10.0.0.1:2 | "},
        {"[0:0::1]:1,10.0.0.1:1", "+ipv4:10.0.0.1:1 +ipv6:[::1]:1 | "},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        told[0] = '\0';
        resolver = mesh__resolver_new(rows[i].target, &events);
        CHECK(resolver != NULL);
        mesh__resolver_kick(resolver);
        end(rows[i].told);
    }
    mesh__resolver_free(NULL);
}

/* ---- names -------------------------------------------------------------------------------- */

TEST(what_is_new_and_what_is_gone_is_told)
{
    static const char *const script[] = {"10.0.0.2 10.0.0.1", "10.0.0.1 10.0.0.2",
                                         "10.0.0.3 10.0.0.1 10.0.0.1", "10.0.0.4", NULL};

    begin_name(script);
    await_looks(5);
    end("+ipv4:10.0.0.1:50051 +ipv4:10.0.0.2:50051 | "
        "+ipv4:10.0.0.3:50051 -ipv4:10.0.0.2:50051 | "
        "+ipv4:10.0.0.4:50051 -ipv4:10.0.0.1:50051 -ipv4:10.0.0.3:50051 | ");
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(ms_between_looks(i), MESH__RESOLVE_EVERY_MS);
    }
}

TEST(replicas_with_two_families_stand_once)
{
    static const char *const script[] = {"fd00::1 10.0.0.1", "fd00::1 fd00::2", NULL};

    begin_name(script);
    await_looks(3);
    end("+ipv4:10.0.0.1:50051 | "
        "+ipv6:[fd00::1]:50051 +ipv6:[fd00::2]:50051 -ipv4:10.0.0.1:50051 | ");
}

TEST(failures_and_empty_answers_keep_what_there_is)
{
    static const char *const script[] = {"10.0.0.1", "!", "!",        "",
                                         "10.0.0.1", "",  "10.0.0.2", NULL};

    begin_name(script);
    await_looks(8);
    end("+ipv4:10.0.0.1:50051 | "
        "!payment.shop.svc.cluster.local.: Temporary failure in name resolution | "
        "!payment.shop.svc.cluster.local.: no address | "
        "+ipv4:10.0.0.2:50051 -ipv4:10.0.0.1:50051 | ");
}

TEST(a_kick_looks_again_at_once_but_not_too_often)
{
    static const char *const script[] = {"10.0.0.1 kick", "10.0.0.1 kick", "kick !", "10.0.0.1",
                                         NULL};

    begin_name(script);
    await_looks(5);
    end("+ipv4:10.0.0.1:50051 | "
        "!payment.shop.svc.cluster.local.: Temporary failure in name resolution | ");
    CHECK_INT(ms_between_looks(0), MESH__RESOLVE_APART_MS);
    CHECK_INT(ms_between_looks(1), MESH__RESOLVE_APART_MS);
    CHECK_INT(ms_between_looks(2), MESH__RESOLVE_APART_MS);
    CHECK_INT(ms_between_looks(3), MESH__RESOLVE_EVERY_MS);
}

TEST(a_kick_wakes_who_waits)
{
    static const char *const script[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", NULL};

    asleep = true;
    begin_name(script);
    for (int i = 1; i < 3; i++) {
        await_events(i);
        mesh__resolver_kick(resolver);
    }
    await_events(3);
    mesh__resolver_free(resolver);
    asleep = false;
}

TEST(more_addresses_than_there_is_room_for_lose_the_last)
{
    static char list[(MESH__ENDPOINTS_MAX + 9) * 20];
    const char *at = told;
    size_t n = 0;

    told[0] = '\0';
    list[0] = '\0';
    for (int i = MESH__ENDPOINTS_MAX + 8; i >= 0; i--) {
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "1.1.1.1:%d,", 10000 + i);
    }
    resolver = mesh__resolver_new(list, &events);
    CHECK(resolver != NULL);
    mesh__resolver_free(resolver);
    while ((at = strstr(at, "+ipv4:1.1.1.1:")) != NULL) {
        CHECK_INT(strtol(at + strlen("+ipv4:1.1.1.1:"), NULL, 10), 10000 + (long)n);
        at++;
        n++;
    }
    CHECK_INT(n, MESH__ENDPOINTS_MAX);
}

TEST(it_can_be_freed_while_a_look_up_hangs)
{
    static const char *const script[] = {"10.0.0.1", NULL};

    hangs = true;
    begin_name(script);
    await_looks(1);
    mesh__resolver_free(resolver); /* returns */
    (void)pthread_mutex_lock(&lock);
    hangs = false;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    CHECK_TEXT(told, "");
}

/* ---- files -------------------------------------------------------------------------------- */

static char path[] = "/tmp/resolver.XXXXXX";

static void write_file(const char *text)
{
    char other[sizeof(path) + 1];
    FILE *file;

    (void)snprintf(other, sizeof(other), "%s~", path);
    file = fopen(other, "we");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    CHECK_INT(rename(other, path), 0);
}

TEST(a_file_is_read_again_and_again)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"127.0.0.1:1001\n127.0.0.1:1000\n", "+ipv4:127.0.0.1:1000 +ipv4:127.0.0.1:1001 | "},
        {" 127.0.0.1:1001,\r\n[::1]:7", "+ipv6:[::1]:7 -ipv4:127.0.0.1:1000 | "},
        {"\n", "no address | "},
        {"127.0.0.1:1001", "-ipv6:[::1]:7 | "},
        {"127.0.0.1:1002 localhost:1003", "not an address with a port: localhost:1003 | "},
        {"127.0.0.1:1002", "+ipv4:127.0.0.1:1002 -ipv4:127.0.0.1:1001 | "},
    };
    char target[sizeof(path) + 5];
    int fd = mkstemp(path);

    CHECK(fd >= 0 && close(fd) == 0);
    (void)snprintf(target, sizeof(target), "file:%s", path);
    write_file(rows[0].text);
    begin(target);
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        write_file(rows[i].text);
        await_events(i + 1);
        (void)pthread_mutex_lock(&lock);
        CHECK(strlen(told) >= strlen(rows[i].told));
        CHECK_TEXT(told + strlen(told) - strlen(rows[i].told), rows[i].told);
        (void)pthread_mutex_unlock(&lock);
    }
    CHECK_INT(unlink(path), 0);
    await_events(7);
    CHECK(strstr(told, ": No such file or directory | ") != NULL);
    mesh__resolver_free(resolver);
}

/* ------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    mesh__clock = &resolver_clock;
    mesh__dns = &scripted_dns;
    fake_ns = 1000 * MESH_NS_PER_S;
    mesh__condition_init(&changed);
    return 0;
}

TEST_MAIN(set_up, NULL)
