/* SPDX-License-Identifier: Apache-2.0 */
/* A complete service as a process, beside a real Postgres and a real broker. */
#include "child.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "rpc/client_impl.h"
#include "test.h"

#include <google/protobuf/empty.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char database_url[512];
static char nats_url[256];
static char body[262144];

/* ---- processes ------------------------------------------------------------------------------ */

static int run_echo(int argc, char **argv)
{
    (void)argc;
    execv(ECHO_SERVICE, argv);
    return 98;
}

static void start_echo(struct child *child, const char *command, const char *grpc_listen,
                       const char *extra)
{
    const char *const argv[] = {ECHO_SERVICE, command, NULL};
    const char *const env[] = {grpc_listen,
                               "MESH_HTTP_LISTEN=127.0.0.1:0",
                               database_url,
                               nats_url,
                               "MESH_LAME_DUCK_MS=0",
                               "TSAN_OPTIONS=ignore_noninstrumented_modules=1",
                               extra,
                               NULL};

    child_start(child, run_echo, argv, env);
}

#define ANY_PORT "MESH_GRPC_LISTEN=127.0.0.1:0"

static void serve(struct child *child)
{
    start_echo(child, "serve", ANY_PORT, NULL);
    CHECK(child_wait_text(child, "\"serving\""));
}

static void migrate(void)
{
    static struct child child;

    start_echo(&child, "migrate", ANY_PORT, NULL);
    CHECK_INT(child_wait(&child), 0);
}

static int end(struct child *child)
{
    kill(child->pid, SIGTERM);
    return child_wait(child);
}

static void shell(const char *command)
{
    CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): the commands are ours */
}

static void psql(const char *statement)
{
    char command[1024];

    (void)snprintf(command, sizeof(command), "psql -qX -v ON_ERROR_STOP=1 '%s' -c '%s' >&2",
                   getenv("TEST_DATABASE_URL"), statement);
    shell(command);
}

static void stop_postgres(void)
{
    char command[512];

    (void)snprintf(command, sizeof(command),
                   "kill -INT $(head -1 %s/postmaster.pid); while [ -s %s/postmaster.pid ]; do "
                   "sleep 0.02; done",
                   getenv("TEST_PG_DIR"), getenv("TEST_PG_DIR"));
    shell(command);
}

static void start_postgres(void)
{
    shell(getenv("TEST_PG_START"));
}

/* ---- calls ---------------------------------------------------------------------------------- */

static struct mesh_client *client_of(const struct child *child)
{
    char target[64];

    (void)snprintf(target, sizeof(target), "127.0.0.1:%ld", child_number(child, "grpc_port"));
    return mesh_client_new("echo", target, 20000);
}

static const struct mesh_method echo_method = {
    .path = "/test.EchoService/Echo",
    .name = "Echo",
    .request = &google__protobuf__string_value__descriptor,
    .response = &google__protobuf__string_value__descriptor};
static const struct mesh_method sleep_method = {.path = "/test.EchoService/Sleep",
                                                .name = "Sleep",
                                                .request =
                                                    &google__protobuf__int64_value__descriptor,
                                                .response = &google__protobuf__empty__descriptor};
static const struct mesh_method count_method = {.path = "/test.EchoService/Count",
                                                .name = "Count",
                                                .request = &google__protobuf__empty__descriptor,
                                                .response =
                                                    &google__protobuf__int64_value__descriptor};
static const struct mesh_method raise_method = {.path = "/test.EchoService/Raise",
                                                .name = "Raise",
                                                .request = &google__protobuf__empty__descriptor,
                                                .response = &google__protobuf__empty__descriptor};
static const struct mesh_method wait_method = {
    .path = "/test.EchoService/Wait",
    .name = "Wait",
    .request = &google__protobuf__int64_value__descriptor,
    .response = &google__protobuf__int64_value__descriptor};
/* Its messages have the same bytes as these: a string and a small number, each field 1. */
static const struct mesh_method health_method = {
    .path = "/grpc.health.v1.Health/Check",
    .name = "Check",
    .request = &google__protobuf__string_value__descriptor,
    .response = &google__protobuf__int32_value__descriptor};

#define SERVING 1
#define NOT_SERVING 2

/* The health status of "", or the negative code of a failed call. */
static int health(struct mesh_client *client)
{
    Google__Protobuf__StringValue request;
    ProtobufCMessage *response;
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(5000));
    enum mesh_status status;
    int answer;

    google__protobuf__string_value__init(&request);
    status = mesh_client_call(ctx, client, &health_method, &request.base, &response);
    answer = -(int)status;
    if (status == MESH_OK) {
        answer = ((Google__Protobuf__Int32Value *)response)->value;
    }
    mesh__ctx_free(ctx);
    return answer;
}

static enum mesh_status count(struct mesh_client *client, int64_t *ret_number)
{
    Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;
    ProtobufCMessage *response;
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(5000));
    enum mesh_status status =
        mesh_client_call(ctx, client, &count_method, &request.base, &response);

    if (status == MESH_OK) {
        *ret_number = ((Google__Protobuf__Int64Value *)response)->value;
    }
    mesh__ctx_free(ctx);
    return status;
}

static bool wait_ready(long port, int code)
{
    const struct timespec soon = {.tv_nsec = 20 * MESH_NS_PER_MS};

    for (int i = 0; i < 1500; i++) {
        if (http_get(port, "/readyz", body, sizeof(body)) == code) {
            return true;
        }
        nanosleep(&soon, NULL);
    }
    return false;
}

/* ---- tests ---------------------------------------------------------------------------------- */

TEST(without_its_migrations_it_does_not_start)
{
    static struct child child;

    start_echo(&child, "serve", ANY_PORT, NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "cannot start: ") != NULL);
    CHECK(strstr(child.text, "\"serving\"") == NULL);
    start_echo(&child, "check", ANY_PORT, NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "ok      database\n") != NULL);
    CHECK(strstr(child.text, "failed  migrations: ") != NULL);
}

TEST(migrate_applies_once_and_check_is_content)
{
    static struct child child;

    migrate();
    start_echo(&child, "migrate", ANY_PORT, NULL);
    CHECK_INT(child_wait(&child), 0);
    CHECK(strstr(child.text, "test-echo: 0 migrations applied.\n") != NULL);
    start_echo(&child, "check", ANY_PORT, NULL);
    CHECK_INT(child_wait(&child), 0);
    CHECK(strstr(child.text, "ok      migrations\n") != NULL);
    CHECK(strstr(child.text, "ok      broker\n") != NULL);
}

TEST(it_serves_calls_health_and_metrics_and_stops_when_asked)
{
    static struct child child;
    char text[] = "안녕";
    Google__Protobuf__StringValue hello;
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
    struct mesh_client *client;
    ProtobufCMessage *response;
    int64_t first = 0;
    int64_t second = 0;

    migrate();
    serve(&child);
    print_message("exec to SERVING: %ld ms\n", child_number(&child, "ms"));
    CHECK(child_number(&child, "ms") < 5000);
    client = client_of(&child);
    CHECK_INT(health(client), SERVING);
    google__protobuf__string_value__init(&hello);
    hello.value = text;
    CHECK_INT(mesh_client_call(ctx, client, &echo_method, &hello.base, &response), MESH_OK);
    CHECK_TEXT(((Google__Protobuf__StringValue *)response)->value, text);
    CHECK_INT(count(client, &first), MESH_OK);
    CHECK_INT(count(client, &second), MESH_OK);
    CHECK(second > first);
    CHECK_INT(http_get(child_number(&child, "http_port"), "/readyz", body, sizeof(body)), 200);
    CHECK_INT(http_get(child_number(&child, "http_port"), "/metrics", body, sizeof(body)), 200);
    CHECK(strstr(body, "grpc_server_handled_total{") != NULL);
    CHECK(strstr(body, "mesh_job_runs_total{job=\"clean\"}") != NULL);
    mesh__client_thread_done();
    mesh_client_free(client);
    mesh__ctx_free(ctx);
    CHECK_INT(end(&child), 0);
    CHECK(strstr(child.text, "\"stopped\"") != NULL);
}

TEST(promtool_accepts_all_metrics)
{
    static struct child child;
    struct mesh_client *client;
    FILE *promtool;
    int64_t number;

    if (system("command -v promtool >/dev/null 2>&1") != 0) { /* NOLINT(cert-env33-c) */
        skip();
    }
    migrate();
    serve(&child);
    client = client_of(&child);
    CHECK_INT(count(client, &number), MESH_OK);
    mesh__client_thread_done();
    mesh_client_free(client);
    CHECK_INT(http_get(child_number(&child, "http_port"), "/metrics", body, sizeof(body)), 200);
    promtool = popen("promtool check metrics >&2", "w"); /* NOLINT(cert-env33-c) */
    assert_non_null(promtool);
    CHECK(fwrite(body, 1, strlen(body), promtool) == strlen(body));
    CHECK_INT(pclose(promtool), 0);
    CHECK_INT(end(&child), 0);
}

/* A call of that method, which was not called before. */
static bool has_begun(const struct child *child, const char *method)
{
    char label[64];

    (void)snprintf(label, sizeof(label), "grpc_method=\"%s\"", method);
    CHECK_INT(http_get(child_number(child, "http_port"), "/metrics", body, sizeof(body)), 200);
    for (const char *line = strstr(body, "\ngrpc_server_started_total{"); line != NULL;
         line = strstr(line + 1, "\ngrpc_server_started_total{")) {
        const char *end = strchr(line + 1, '\n');
        const char *found = strstr(line, label);

        if (found != NULL && found < end) {
            return end[-1] == '1';
        }
    }
    return false;
}

TEST(a_call_under_way_is_finished_before_the_process_ends)
{
    static struct child child;
    Google__Protobuf__Int64Value request = GOOGLE__PROTOBUF__INT64_VALUE__INIT;
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
    struct mesh_client *client;
    struct mesh_call *call;
    ProtobufCMessage *response;

    migrate();
    serve(&child);
    client = client_of(&child);
    CHECK_INT(health(client), SERVING); /* connected */
    request.value = 500;
    call = mesh_client_start(ctx, client, &sleep_method, &request.base);
    while (!has_begun(&child, "Sleep")) {
        (void)sched_yield();
    }
    kill(child.pid, SIGTERM);
    CHECK_INT(mesh_client_wait(ctx, call, &response), MESH_OK);
    mesh__client_thread_done();
    mesh_client_free(client);
    mesh__ctx_free(ctx);
    CHECK_INT(child_wait(&child), 0);
}

TEST(a_taken_port_is_one_sentence_and_code_1)
{
    static struct child first;
    static struct child second;
    char listen_at[64];
    char expected[128];

    migrate();
    serve(&first);
    (void)snprintf(listen_at, sizeof(listen_at), "MESH_GRPC_LISTEN=127.0.0.1:%ld",
                   child_number(&first, "grpc_port"));
    (void)snprintf(expected, sizeof(expected),
                   "cannot listen on 127.0.0.1:%ld: Address already in use (MESH_GRPC_LISTEN)",
                   child_number(&first, "grpc_port"));
    start_echo(&second, "serve", listen_at, NULL);
    CHECK_INT(child_wait(&second), 1);
    CHECK(strstr(second.text, expected) != NULL);
    CHECK_INT(end(&first), 0);
}

TEST(a_bad_environment_is_one_sentence_and_code_2)
{
    static struct child child;

    start_echo(&child, "serve", ANY_PORT, "MESH_WORKERS=many");
    CHECK_INT(child_wait(&child), 2);
    CHECK_TEXT(child.text, "test-echo: MESH_WORKERS is \"many\", expected a whole number from 1 to "
                           "1024.\n");
}

TEST(a_database_that_is_down_at_the_start_is_waited_for)
{
    static struct child child;
    struct mesh_client *client;

    migrate();
    stop_postgres();
    start_echo(&child, "serve", ANY_PORT, NULL);
    CHECK(child_wait_text(&child, "waiting for the database: "));
    start_postgres();
    CHECK(child_wait_text(&child, "\"serving\""));
    client = client_of(&child);
    CHECK_INT(health(client), SERVING);
    mesh__client_thread_done();
    mesh_client_free(client);
    CHECK_INT(end(&child), 0);
}

TEST(migrate_waits_for_a_database_that_is_down)
{
    static struct child child;

    stop_postgres();
    start_echo(&child, "migrate", ANY_PORT, NULL);
    CHECK(child_wait_text(&child, "waiting for the database: "));
    start_postgres();
    CHECK_INT(child_wait(&child), 0);
    CHECK(strstr(child.text, " migrations applied.\n") != NULL);
}

TEST(a_database_that_never_answers_is_told_by_migrate)
{
    static struct child child;

    stop_postgres();
    start_echo(&child, "migrate", ANY_PORT, "MESH_MIGRATE_WAIT_MS=50");
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "test-echo: the database cannot be reached: ") != NULL);
    CHECK(strstr(child.text, "Connection refused (waited for ") != NULL);
    start_postgres();
}

/* Where the server is, with another user, database or options in front and behind. */
static void check_refused(const char *user, const char *rest, const char *reason)
{
    static const char *const commands[] = {"migrate", "serve"};
    static struct child child;
    const char *server = strchr(database_url, '@');
    char url[512];

    (void)snprintf(url, sizeof(url), "DATABASE_URL=postgresql://%s%.*s/%s", user,
                   (int)(strrchr(server, '/') - server), server, rest);
    for (size_t i = 0; i < 2; i++) {
        start_echo(&child, commands[i], ANY_PORT, url);
        CHECK_INT(child_wait(&child), 1);
        CHECK(strstr(child.text, "waiting for the database") == NULL);
        CHECK(strstr(child.text, "the database cannot be reached: ") != NULL);
        CHECK(strstr(child.text, reason) != NULL);
    }
}

TEST(a_database_that_refuses_is_not_waited_for)
{
    check_refused("nobody", "postgres", "does not exist");
    check_refused("postgres", "nowhere", "does not exist");
    check_refused("postgres", "postgres", "set the search_path of the role");
    check_refused("postgres", "postgres?options=-cfoo%3D1", "unrecognized configuration parameter");
}

TEST(a_stop_while_the_database_is_waited_for_is_quick)
{
    static struct child child;

    migrate();
    stop_postgres();
    start_echo(&child, "serve", ANY_PORT, NULL);
    CHECK(child_wait_text(&child, "waiting for the database: "));
    CHECK_INT(end(&child), 0);
    start_postgres();
}

TEST(a_database_that_goes_down_takes_health_with_it_until_it_is_back)
{
    static struct child child;
    struct mesh_client *client;
    int64_t number;
    long port;

    migrate();
    serve(&child);
    client = client_of(&child);
    port = child_number(&child, "http_port");
    CHECK_INT(count(client, &number), MESH_OK);
    stop_postgres();
    CHECK(wait_ready(port, 503));
    CHECK_INT(health(client), NOT_SERVING);
    CHECK_INT(http_get(port, "/livez", body, sizeof(body)), 200);
    CHECK(count(client, &number) != MESH_OK);
    start_postgres();
    CHECK(wait_ready(port, 200));
    CHECK_INT(health(client), SERVING);
    CHECK_INT(count(client, &number), MESH_OK);
    mesh__client_thread_done();
    mesh_client_free(client);
    CHECK_INT(end(&child), 0);
}

TEST(a_signal_wakes_the_waiters_of_every_replica)
{
    static struct child near;
    static struct child far;
    Google__Protobuf__Int64Value seen = GOOGLE__PROTOBUF__INT64_VALUE__INIT;
    Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(20000));
    struct mesh_client *near_client;
    struct mesh_client *far_client;
    enum mesh_status status = MESH_DEADLINE_EXCEEDED;
    ProtobufCMessage *response;

    migrate();
    serve(&near);
    serve(&far);
    near_client = client_of(&near);
    far_client = client_of(&far);
    /* Signals may get lost, above all while a replica is still on its way to the broker. */
    for (int i = 0; i < 20 && status == MESH_DEADLINE_EXCEEDED; i++) {
        struct mesh_ctx *brief = mesh__ctx_new("test", 0, mesh__in_ms(1000));
        struct mesh_call *waiting = mesh_client_start(brief, far_client, &wait_method, &seen.base);

        CHECK_INT(mesh_client_call(ctx, near_client, &raise_method, &nothing.base, &response),
                  MESH_OK);
        status = mesh_client_wait(brief, waiting, &response);
        mesh__ctx_free(brief);
    }
    CHECK_INT(status, MESH_OK);
    mesh__ctx_free(ctx);
    mesh__client_thread_done();
    mesh_client_free(near_client);
    mesh_client_free(far_client);
    CHECK_INT(end(&near), 0);
    CHECK_INT(end(&far), 0);
}

static int set_up(void **state)
{
    const char *url = getenv("TEST_DATABASE_URL");
    const char *nats = getenv("TEST_NATS_URL");

    (void)state;
    if (url == NULL || nats == NULL) {
        return -1;
    }
    (void)snprintf(database_url, sizeof(database_url),
                   "DATABASE_URL=%s?options=-csearch_path%%3Dtest_echo", url);
    (void)snprintf(nats_url, sizeof(nats_url), "NATS_URL=%s", nats);
    psql("create schema test_echo");
    return 0;
}

TEST_MAIN(set_up, NULL)
