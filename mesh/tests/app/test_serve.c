/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_main() as a process, with fakes for the server, the database and the broker. */
#include "child.h"
#include "fake_parts.h"
#include "mesh/main.h"
#include "mesh/signal.h"
#include "test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct child child;
static char body[262144];
static struct mesh_signal *changed; /* what the job raises, if the service is of size 9 */

/* ---- the service ---------------------------------------------------------------------------- */

static MESH_STATUS start_shop(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service)
{
    static char state[] = "state";

    if (mesh_app_bool(app, "SHOP_BROKEN")) {
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION, "the shop is broken");
    }
    fake_say("start %lld %s %d %d", (long long)mesh_app_int64(app, "SHOP_SIZE"),
             mesh_app_text(app, "SHOP_MOTTO"), mesh_app_db(app) != NULL,
             mesh_app_peer(app, "payment") != NULL);
    changed = mesh_app_int64(app, "SHOP_SIZE") == 9 ? mesh_app_signal(app, "changed") : NULL;
    *ret_service = state;
    return MESH_OK;
}

static void stop_shop(void *service)
{
    fake_say("stop %s", (const char *)service);
}

static MESH_STATUS sweep(struct mesh_ctx *ctx, void *service,
                         bool *ret_more __attribute__((unused)))
{
    uint64_t seen = 0;

    if (changed != NULL) {
        mesh_signal_raise(changed);
        while (seen < 2) { /* our own raise, and what the broker sends back */
            MESH_TRY(mesh_signal_wait(ctx, changed, &seen, 1000));
        }
    }
    fake_say("sweep %s", (const char *)service);
    return MESH_OK;
}

static const struct mesh_peer peers[] = {
    {.name = "payment", .timeout_ms = 500}, {.name = "stock"}, {0}};
static const struct mesh_setting settings[] = {
    {.name = "SHOP_SIZE",
     .kind = MESH_SETTING_INT64,
     .default_value = "7",
     .min = 1,
     .max = 9,
     .meaning = "size"},
    {.name = "SHOP_BROKEN",
     .kind = MESH_SETTING_BOOL,
     .default_value = "false",
     .meaning = "broken"},
    {.name = "SHOP_MOTTO", .kind = MESH_SETTING_TEXT, .default_value = "buy", .meaning = "motto"},
    {0}};
static const struct mesh_migration migrations[] = {{.name = "0001_a", .text = ""}, {0}};
static const struct mesh_job jobs[] = {{.name = "sweep", .interval_ms = 3600000, .run = sweep},
                                       {0}};
static const struct mesh_served services[] = {{0}};
static const struct mesh_app_spec shop = {.system = "test",
                                          .name = "shop",
                                          .summary = "sells things",
                                          .services = services,
                                          .peers = peers,
                                          .migrations = migrations,
                                          .publishes = true,
                                          .settings = settings,
                                          .jobs = jobs,
                                          .start = start_shop,
                                          .stop = stop_shop};

static int shop_main(int argc, char **argv)
{
    return mesh_main(argc, argv, &shop);
}

/* A service that has nothing: no database, no peers, no events, no state. */
static const struct mesh_app_spec bare = {
    .system = "test", .name = "bare", .summary = "does nothing", .services = services};

static int bare_main(int argc, char **argv)
{
    return mesh_main(argc, argv, &bare);
}

/* ---- helpers -------------------------------------------------------------------------------- */

static void start_with(const char *command, const char *extra)
{
    const char *const argv[] = {"shop", command, NULL};
    const char *const env[] = {"MESH_GRPC_LISTEN=127.0.0.1:0",
                               "MESH_HTTP_LISTEN=127.0.0.1:0",
                               "DATABASE_URL=postgresql://calls",
                               "DATABASE_SESSION_URL=postgresql://session",
                               "NATS_URL=nats://h:4222",
                               "MESH_PEER_PAYMENT=127.0.0.1:1",
                               "MESH_PEER_STOCK=localhost:2",
                               extra,
                               NULL};

    child_start(&child, shop_main, argv, env);
}

static int run_words(const char *const *argv)
{
    const char *const env[] = {"PATH=/bin", NULL};

    child_start(&child, shop_main, argv, env);
    return child_wait(&child);
}

#define RUN(...) run_words((const char *const[]){"shop", __VA_ARGS__ __VA_OPT__(, ) NULL})

static void reset(void)
{
    memset(fake, 0, sizeof(*fake));
}

static int finish(int signal)
{
    kill(child.pid, signal);
    return child_wait(&child);
}

/* The lines that the fakes wrote, without the log. */
static const char *said(void)
{
    static char lines[65536];
    size_t used = 0;

    for (const char *at = child.text; *at != '\0';) {
        size_t size = strcspn(at, "\n") + 1;

        if (*at != '{') {
            memcpy(lines + used, at, size);
            used += size;
        }
        at += size;
    }
    lines[used] = '\0';
    return lines;
}

static bool wait_for_checks(int n)
{
    const struct timespec soon = {.tv_nsec = 1000000};

    for (int i = 0; i < 30000 && atomic_load(&fake->db_checks) < n; i++) {
        nanosleep(&soon, NULL); /* the counter is in shared memory: nothing to wait on */
    }
    return atomic_load(&fake->db_checks) >= n;
}

/* ---- serving -------------------------------------------------------------------------------- */

TEST(everything_is_made_in_order_and_taken_down_in_the_other)
{
    reset();
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "\nsweep state\n"));
    CHECK(child_wait_text(&child, "\"serving\""));
    CHECK_INT(child_number(&child, "grpc_port"), 4242);
    CHECK(child_number(&child, "ms") >= 0);
    CHECK_INT(http_get(child_number(&child, "http_port"), "/readyz", body, sizeof(body)), 200);
    CHECK_INT(http_get(child_number(&child, "http_port"), "/livez", body, sizeof(body)), 200);
    CHECK_INT(finish(SIGTERM), 0);

    char *lines = strdup(said());
    char *sweep_line = strstr(lines, "sweep state\n"); /* comes from a thread, at any time */

    assert_non_null(sweep_line);
    memmove(sweep_line, sweep_line + 12, strlen(sweep_line + 12) + 1);
    CHECK_TEXT(lines, "db_new postgresql://calls test_shop test-shop 8 named calls\n"
                      "db_new postgresql://session test_shop test-shop 1 named check\n"
                      "db_free\n"
                      "client_new payment 127.0.0.1:1, 64 workers, of which 60 may wait\n"
                      "client_new stock localhost:2, 64 workers, of which 60 may wait\n"
                      "start 7 buy 1 1\n"
                      "leases_new postgresql://session test_shop\n"
                      "events_new test shop nats://h:4222 postgresql://session test_shop\n"
                      "server_new shop 127.0.0.1:0 64 4194304 state\n"
                      "server_limits 1024 67108864 64 1000 100 134217728 16777216\n"
                      "server_times 5000 10000 1000 10000 0\n"
                      "events_start\n"
                      "retention 172800 518400\n"
                      "leases_add job mesh-retention 1\n"
                      "leases_start\n"
                      "SERVING\n"
                      "server_stop\n"
                      "events_stop\n"
                      "leases_stop\n"
                      "stop state\n"
                      "server_free\n"
                      "events_free\n"
                      "http_stop\n" /* before what its pages show is freed */
                      "client_free\n"
                      "client_free\n"
                      "policies_free\n"
                      "db_free\n");
    free(lines);
    CHECK(strstr(child.text, "\"starting\"") != NULL);
    CHECK(strstr(child.text, "\"stopping\"") != NULL);
    CHECK(strstr(child.text, "\"SIGTERM\"") != NULL);
    CHECK(strstr(child.text, "\"stopped\"") != NULL);
}

TEST(a_service_without_anything_serves_too)
{
    const char *const argv[] = {"bare", "serve", NULL};
    const char *const env[] = {"MESH_HTTP_LISTEN=127.0.0.1:0", NULL};

    reset();
    child_start(&child, bare_main, argv, env);
    CHECK(child_wait_text(&child, "\"serving\""));
    CHECK_INT(finish(SIGINT), 0);
    CHECK(strstr(said(), "db_new") == NULL);
    CHECK(strstr(said(), "events_new") == NULL);
    CHECK(strstr(child.text, "\"SIGINT\"") != NULL);
}

TEST(the_server_gets_the_times_of_the_environment)
{
    static const struct {
        const char *variable, *line;
    } times[] = {{"MESH_DEFAULT_DEADLINE_MS=77", "server_times 77 10000 1000 10000 0\n"},
                 {"MESH_LAME_DUCK_MS=77", "server_times 5000 10000 77 10000 0\n"},
                 {"MESH_GRACE_MS=77", "server_times 5000 10000 1000 77 0\n"},
                 {"MESH_MAX_CONNECTION_AGE_MS=77", "server_times 5000 10000 1000 10000 77\n"}};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        reset();
        start_with("serve", times[i].variable);
        CHECK(child_wait_text(&child, times[i].line));
        CHECK(child_wait_text(&child, "\"serving\""));
        CHECK_INT(finish(SIGTERM), 0);
    }
}

TEST(metrics_name_the_build)
{
    reset();
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "\"serving\""));
    CHECK_INT(http_get(child_number(&child, "http_port"), "/metrics", body, sizeof(body)), 200);
    CHECK(strstr(body, "mesh_build_info{") != NULL);
    CHECK(strstr(body, "service=\"shop\"") != NULL);
    CHECK(strstr(body, "\nprocess_start_time_seconds ") != NULL);
    CHECK_INT(finish(SIGTERM), 0);
}

TEST(a_database_that_is_away_is_waited_for_alive_but_not_ready)
{
    long port;

    reset();
    fake->db = MESH_UNAVAILABLE;
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "waiting for the database: no database"));
    CHECK(wait_for_checks(3));
    fake->db = MESH_OK;
    CHECK(child_wait_text(&child, "\"serving\""));
    CHECK(strstr(child.text, "the database answers") != NULL);
    port = child_number(&child, "http_port");
    CHECK_INT(http_get(port, "/readyz", body, sizeof(body)), 200);
    CHECK_INT(finish(SIGTERM), 0);
    /* a change of state is logged once, however often it was tried */
    CHECK(strstr(strstr(child.text, "waiting for the database") + 1, "waiting for the database") ==
          NULL);
}

static long free_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(any);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&any, &size) == 0);
    close(fd);
    return ntohs(any.sin_port);
}

TEST(the_http_port_answers_while_the_database_is_waited_for)
{
    char listen_at[64];
    long port = free_port();

    reset();
    fake->db = MESH_UNAVAILABLE;
    const char *const argv[] = {"shop", "serve", NULL};

    (void)snprintf(listen_at, sizeof(listen_at), "MESH_HTTP_LISTEN=127.0.0.1:%ld", port);
    const char *const env[] = {listen_at,
                               "DATABASE_URL=postgresql://calls",
                               "NATS_URL=nats://h:4222",
                               "MESH_PEER_PAYMENT=127.0.0.1:1",
                               "MESH_PEER_STOCK=localhost:2",
                               NULL};

    child_start(&child, shop_main, argv, env);
    CHECK(child_wait_text(&child, "waiting for the database"));
    CHECK_INT(http_get(port, "/livez", body, sizeof(body)), 200);
    CHECK_INT(http_get(port, "/readyz", body, sizeof(body)), 503);
    CHECK_TEXT(body, "waiting for the database\n");
    CHECK_INT(finish(SIGTERM), 0); /* a stop ends the wait */
    CHECK(strstr(said(), "start ") == NULL);
    CHECK(strstr(said(), "db_free\n") != NULL);
}

TEST(a_missing_migration_stops_the_start)
{
    reset();
    fake->migrate = MESH_FAILED_PRECONDITION;
    start_with("serve", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "cannot start: migration 0001_a is missing") != NULL);
    CHECK(strstr(said(), "start ") == NULL);
    CHECK(strstr(said(), "db_free\n") != NULL);
}

TEST(a_pooler_where_sessions_are_needed_stops_the_start)
{
    reset();
    fake->session = MESH_FAILED_PRECONDITION;
    start_with("serve", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "cannot start: DATABASE_SESSION_URL: a pooler") != NULL);
    CHECK(strstr(said(), "start ") == NULL);
    start_with("migrate", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "test-shop: a pooler\n") != NULL);
    start_with("check", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(said(), "ok      database\n") != NULL);
    CHECK(strstr(said(), "failed  session database: a pooler\n") != NULL);
}

TEST(a_database_for_sessions_that_is_away_is_waited_for)
{
    reset();
    fake->session = MESH_UNAVAILABLE;
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "waiting for the database: DATABASE_SESSION_URL: a pooler"));
    fake->session = MESH_OK;
    CHECK(child_wait_text(&child, "\"serving\""));
    CHECK_INT(finish(SIGTERM), 0);
}

TEST(a_failed_start_function_stops_the_start)
{
    reset();
    start_with("serve", "SHOP_BROKEN=true");
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "cannot start: the shop is broken") != NULL);
    CHECK(strstr(said(), "stop ") == NULL);
    CHECK(strstr(said(), "server_new") == NULL);
    CHECK(strstr(said(), "client_free\nclient_free\npolicies_free\ndb_free\n") != NULL);
}

TEST(a_taken_grpc_port_stops_the_start)
{
    reset();
    fake->port_taken = true;
    start_with("serve", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "cannot listen on 127.0.0.1:0 (MESH_GRPC_LISTEN)") != NULL);
    CHECK(strstr(said(), "server_stop") == NULL);
    CHECK(strstr(said(), "stop state\n") != NULL);
    CHECK(strstr(said(), "events_start") == NULL);
}

TEST(a_database_that_goes_away_takes_readiness_with_it_until_it_is_back)
{
    long port;

    reset();
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "\"serving\""));
    port = child_number(&child, "http_port");
    fake->db = MESH_UNAVAILABLE;
    CHECK(child_wait_text(&child, "\nNOT_SERVING\n"));
    CHECK(child_wait_text(&child, "not ready, the database does not answer: no database"));
    CHECK_INT(http_get(port, "/readyz", body, sizeof(body)), 503);
    CHECK_TEXT(body, "the database does not answer\n");
    CHECK_INT(http_get(port, "/livez", body, sizeof(body)), 200);
    fake->db = MESH_OK;
    CHECK(child_wait_text(&child, "the database answers again"));
    CHECK_INT(http_get(port, "/readyz", body, sizeof(body)), 200);
    CHECK_INT(finish(SIGTERM), 0);
}

TEST(a_busy_pool_is_no_lost_database)
{
    reset();
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "\"serving\""));
    fake->pool = MESH_DEADLINE_EXCEEDED;
    CHECK(wait_for_checks(atomic_load(&fake->db_checks) + 2)); /* it was asked directly, twice */
    CHECK_INT(http_get(child_number(&child, "http_port"), "/readyz", body, sizeof(body)), 200);
    CHECK_INT(finish(SIGTERM), 0);
    CHECK(strstr(said(), "NOT_SERVING") == NULL);
}

TEST(a_port_that_stays_silent_is_a_dead_process)
{
    long port;

    reset();
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "\"serving\""));
    port = child_number(&child, "http_port");
    CHECK_INT(http_get(port, "/livez", body, sizeof(body)), 200);
    fake->probe = MESH__PROBE_SILENT;
    CHECK(child_wait_text(&child, "not alive, the gRPC port has not answered 3 times in a row"));
    CHECK_INT(http_get(port, "/livez", body, sizeof(body)), 503);
    CHECK_TEXT(body, "the gRPC port does not answer\n");
    CHECK_INT(http_get(port, "/readyz", body, sizeof(body)), 503);
    fake->probe = MESH__PROBE_ANSWERED;
    CHECK(child_wait_text(&child, "the gRPC port answers again"));
    CHECK_INT(http_get(port, "/livez", body, sizeof(body)), 200);
    CHECK_INT(finish(SIGTERM), 0);
}

TEST(a_second_signal_ends_the_process_at_once)
{
    reset();
    fake->stop_hangs = true;
    start_with("serve", NULL);
    CHECK(child_wait_text(&child, "\"serving\""));
    kill(child.pid, SIGTERM);
    CHECK(child_wait_text(&child, "\nserver_stop\n"));
    CHECK_INT(http_get(child_number(&child, "http_port"), "/readyz", body, sizeof(body)), 503);
    CHECK_TEXT(body, "stopping\n");
    CHECK_INT(finish(SIGINT), 130);
}

TEST(a_raised_signal_goes_to_the_broker_and_comes_from_it)
{
    reset();
    start_with("serve", "SHOP_SIZE=9");
    CHECK(child_wait_text(&child, "\nping changed\n"));
    CHECK(child_wait_text(&child, "\nsweep state\n"));
    CHECK_INT(finish(SIGTERM), 0);
}

/* ---- usage ---------------------------------------------------------------------------------- */

TEST(wrong_usage_is_one_sentence_and_code_2)
{
    reset();
    CHECK_INT(RUN(), 2);
    CHECK_TEXT(child.text, "test-shop: no command is given, expected serve, migrate, check, "
                           "policy, version or --help.\n");
    CHECK_INT(RUN("fly"), 2);
    CHECK_TEXT(child.text, "test-shop: \"fly\" is not a command, expected serve, migrate, check, "
                           "policy, version or --help.\n");
    CHECK_INT(RUN("serve", "now"), 2);
    CHECK_TEXT(child.text, "test-shop: serve takes no arguments, but there is \"now\".\n");
    CHECK_INT(RUN("policy", "check"), 2);
    CHECK_TEXT(child.text, "test-shop: policy is followed by check and the name of a file.\n");
    CHECK_INT(RUN("policy", "look", "policy.json"), 2);
    CHECK_INT(RUN("serve"), 2);
    CHECK(strncmp(child.text, "test-shop: DATABASE_URL is not set, expected ", 45) == 0);
}

TEST(a_url_that_can_lead_nowhere_stops_every_command_and_shows_no_password)
{
    static const char *const commands[] = {"serve", "migrate", "check"};

    reset();
    for (size_t i = 0; i < 3; i++) {
        const char *const argv[] = {"shop", commands[i], NULL};
        const char *const env[] = {"DATABASE_URL=postgresql://u:secret@h:99999/d",
                                   "NATS_URL=nats://h:4222", "MESH_PEER_PAYMENT=127.0.0.1:1",
                                   "MESH_PEER_STOCK=localhost:2", NULL};

        child_start(&child, shop_main, argv, env);
        CHECK_INT(child_wait(&child), 2);
        CHECK_TEXT(child.text, "test-shop: DATABASE_URL has a port that is not shown here, "
                               "expected a whole number from 1 to 65535.\n");
    }
}

TEST(help_and_version_need_no_environment)
{
    static const char *const words[] = {"--help", "-h", "help"};

    reset();
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(RUN(words[i]), 0);
        CHECK(strstr(child.text, "sells things") != NULL);
        CHECK(strstr(child.text, "  migrate ") != NULL);
        CHECK(strstr(child.text, "MESH_PEER_PAYMENT") != NULL);
        CHECK(strstr(child.text, "SHOP_MOTTO") != NULL);
        CHECK(strstr(child.text, "NAME_FILE=PATH") != NULL);
    }
    CHECK_INT(RUN("version"), 0);
    CHECK(strncmp(child.text, "test-shop ", 10) == 0);
    CHECK(child.text[10] >= '0' && child.text[10] <= '9');
}

static int full_main(int argc, char **argv)
{
    return freopen("/dev/full", "w", stdout) != NULL ? mesh_main(argc, argv, &bare) : 98;
}

TEST(what_cannot_be_written_is_one_sentence_and_code_1)
{
    static const char *const commands[] = {"--help", "version", "check", "migrate"};
    const char *const env[] = {NULL};

    reset();
    for (size_t i = 0; i < 4; i++) {
        const char *const argv[] = {"bare", commands[i], NULL};

        child_start(&child, full_main, argv, env);
        CHECK_INT(child_wait(&child), 1);
        CHECK_TEXT(child.text,
                   "test-bare: cannot write to standard output: No space left on device.\n");
    }
}

/* ---- migrate and check ---------------------------------------------------------------------- */

TEST(migrate_uses_the_session_connection_and_says_what_it_did)
{
    reset();
    start_with("migrate", NULL);
    CHECK_INT(child_wait(&child), 0);
    CHECK_TEXT(child.text, "db_new postgresql://session test_shop test-shop 1 named migrate\n"
                           "test-shop: 2 migrations applied.\n"
                           "db_free\n");
}

TEST(a_failed_migration_is_a_sentence_and_code_1)
{
    reset();
    fake->migrate = MESH_FAILED_PRECONDITION;
    start_with("migrate", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "test-shop: migration 0001_a was changed\n") != NULL);
}

TEST(migrate_waits_for_a_database_that_is_away)
{
    reset();
    fake->db = MESH_UNAVAILABLE;
    start_with("migrate", NULL);
    CHECK(child_wait_text(&child, "waiting for the database: no database"));
    CHECK(wait_for_checks(3));
    fake->db = MESH_OK;
    CHECK_INT(child_wait(&child), 0);
    CHECK(strstr(child.text, "the database answers") != NULL);
    CHECK(strstr(child.text, "test-shop: 2 migrations applied.\n") != NULL);
    CHECK(strstr(strstr(child.text, "waiting for the database") + 1, "waiting for the database") ==
          NULL);
}

TEST(migrate_says_how_long_it_has_waited_in_vain)
{
    reset();
    fake->db = MESH_UNAVAILABLE;
    start_with("migrate", "MESH_MIGRATE_WAIT_MS=50");
    CHECK_INT(child_wait(&child), 1);
    CHECK_INT(fake->db_checks, 2); /* the last one when the time was over */
    CHECK(strstr(child.text, "\ntest-shop: no database (waited for ") != NULL);
    CHECK(strstr(child.text, " applied.") == NULL);
    CHECK(strstr(child.text, "db_free\n") != NULL);
}

TEST(migrate_may_be_told_not_to_wait)
{
    reset();
    fake->db = MESH_UNAVAILABLE;
    start_with("migrate", "MESH_MIGRATE_WAIT_MS=0");
    CHECK_INT(child_wait(&child), 1);
    CHECK_INT(fake->db_checks, 1);
    CHECK(strstr(child.text, "\ntest-shop: no database\n") != NULL);
    CHECK(strstr(child.text, "waiting for the database") == NULL);
}

TEST(migrate_does_not_wait_for_what_stays_wrong)
{
    reset();
    fake->db = MESH_FAILED_PRECONDITION;
    start_with("migrate", NULL);
    CHECK_INT(child_wait(&child), 1);
    CHECK_INT(fake->db_checks, 1);
    CHECK(strstr(child.text, "\ntest-shop: no database\n") != NULL);
    CHECK(strstr(child.text, "waiting for the database") == NULL);
}

TEST(a_stop_ends_the_wait_of_migrate)
{
    static const struct {
        int number;
        const char *sentence;
    } signals[] = {{SIGTERM, "\ntest-shop: stopped by SIGTERM: no database\n"},
                   {SIGINT, "\ntest-shop: stopped by SIGINT: no database\n"}};

    for (size_t i = 0; i < 2; i++) {
        reset();
        fake->db = MESH_UNAVAILABLE;
        start_with("migrate", "MESH_MIGRATE_WAIT_MS=3600000");
        CHECK(child_wait_text(&child, "waiting for the database"));
        CHECK_INT(finish(signals[i].number), 1);
        CHECK(strstr(child.text, signals[i].sentence) != NULL);
        CHECK(strstr(child.text, "db_free\n") != NULL);
    }
}

TEST(a_stop_cancels_a_migration_under_way)
{
    reset();
    fake->migrate_hangs = true;
    start_with("migrate", NULL);
    CHECK(child_wait_text(&child, "\nmigrating\n"));
    CHECK_INT(finish(SIGTERM), 1);
    CHECK(strstr(child.text,
                 "\ntest-shop: stopped by SIGTERM: migration 0001_a was not applied\n") != NULL);
}

TEST(a_service_without_a_database_has_nothing_to_migrate)
{
    const char *const argv[] = {"bare", "migrate", NULL};
    const char *const env[] = {NULL};

    reset();
    child_start(&child, bare_main, argv, env);
    CHECK_INT(child_wait(&child), 0);
    CHECK_TEXT(child.text, "test-bare has no database.\n");
}

TEST(check_tells_every_part)
{
    reset();
    start_with("check", NULL);
    CHECK_INT(child_wait(&child), 0);
    CHECK(strstr(said(), "ok      configuration\n") != NULL);
    CHECK(strstr(said(), "ok      policy\n") != NULL);
    CHECK(strstr(said(), "ok      database\n") != NULL);
    CHECK(strstr(said(), "ok      migrations\n") != NULL);
    CHECK(strstr(said(), "ok      session database\n") != NULL);
    CHECK(strstr(said(), "ok      broker\n") != NULL);
    CHECK(strstr(said(), "ok      peer payment\n") != NULL);
    CHECK(strstr(said(), "ok      peer stock\n") != NULL);
}

/* ---- the policy ----------------------------------------------------------------------------- */

static char policy_file[64];

static void write_policy_of(const char *mode, const char *inside)
{
    char path[80];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s.new", policy_file);
    out = fopen(path, "w");
    CHECK(out != NULL);
    CHECK(fprintf(out, "{\"schema\": \"mesh-policy/v1\", \"mode\": \"%s\"%s}", mode, inside) > 0);
    CHECK(fclose(out) == 0);
    CHECK(rename(path, policy_file) == 0);
}

static void write_policy(const char *inside)
{
    write_policy_of("library", inside);
}

static const char *make_policy(const char *inside)
{
    static char variable[96];
    int fd;

    (void)snprintf(policy_file, sizeof(policy_file), "/tmp/mesh-serve-policy-XXXXXX");
    fd = mkstemp(policy_file);
    CHECK(fd >= 0 && close(fd) == 0);
    write_policy(inside);
    (void)snprintf(variable, sizeof(variable), "MESH_POLICY_FILE=%s", policy_file);
    return variable;
}

TEST(policy_check_tells_what_every_method_gets_or_what_is_wrong)
{
    char sentence[160];

    reset();
    make_policy(", \"destinations\": {\"stock\": {\"workerLimit\": 3}}");
    CHECK_INT(RUN("policy", "check", policy_file), 0);
    (void)snprintf(sentence, sizeof(sentence), "ok      %s\nmode library\npayment\n", policy_file);
    CHECK(strncmp(child.text, sentence, strlen(sentence)) == 0);
    CHECK(strstr(child.text, "  workerLimit                                 3                   "
                             "destinations.stock\n") != NULL);
    write_policy(", \"routes\": 1");
    CHECK_INT(RUN("policy", "check", policy_file), 1);
    (void)snprintf(sentence, sizeof(sentence), "%s: routes is 1, expected an object.\n",
                   policy_file);
    CHECK_TEXT(child.text, sentence);
    CHECK(unlink(policy_file) == 0);
    CHECK_INT(RUN("policy", "check", policy_file), 1);
    (void)snprintf(sentence, sizeof(sentence), "%s cannot be read: No such file or directory.\n",
                   policy_file);
    CHECK_TEXT(child.text, sentence);
}

TEST(a_bad_policy_stops_the_start_and_the_check)
{
    const char *variable = make_policy(", \"rules\": 1");

    reset();
    start_with("serve", variable);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text,
                 ": rules is not a known key, expected schema, mode, defaults, routes or "
                 "destinations. (MESH_POLICY_FILE)") != NULL);
    CHECK(strstr(child.text, "db_new") == NULL);
    start_with("check", variable);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, "failed  policy: ") != NULL);
    CHECK(unlink(policy_file) == 0);
}

TEST(a_changed_policy_is_taken_or_refused_with_its_place)
{
    reset();
    start_with("serve", make_policy(""));
    CHECK(child_wait_text(&child, "\"serving\""));
    write_policy(", \"defaults\": {\"route\": {\"timeout\": \"1s\"}}");
    CHECK(child_wait_text(&child, "the policy has changed"));
    write_policy(", \"defaults\": {\"route\": {\"timeout\": 1}}");
    CHECK(child_wait_text(&child, "the policy is refused, the one before stays in force: "));
    CHECK(child_wait_text(&child, ": defaults.route.timeout is 1, expected a duration from 1ms"));
    CHECK_INT(http_get(child_number(&child, "http_port"), "/metrics", body, sizeof(body)), 200);
    CHECK(strstr(body, "mesh_policy_reloads_total{result=\"ok\"} 1\n") != NULL);
    CHECK(strstr(body, "mesh_policy_reloads_total{result=\"refused\"} 1\n") != NULL);
    CHECK_INT(finish(SIGTERM), 0);
    CHECK(unlink(policy_file) == 0);
}

TEST(a_peer_that_is_found_by_xds_is_taken_in_mode_proxyless_alone)
{
    const char *const argv[] = {"shop", "serve", NULL};
    const char *const env[] = {"MESH_GRPC_LISTEN=127.0.0.1:0",
                               "MESH_HTTP_LISTEN=127.0.0.1:0",
                               "DATABASE_URL=postgresql://calls",
                               "NATS_URL=nats://h:4222",
                               "MESH_PEER_PAYMENT=127.0.0.1:1",
                               "MESH_PEER_STOCK=xds:///stock",
                               "GRPC_XDS_BOOTSTRAP=/proc/self/cmdline",
                               make_policy(""),
                               NULL};

    reset();
    child_start(&child, shop_main, argv, env);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(child.text, ": mode is \\\"library\\\", expected proxyless, as MESH_PEER_STOCK is "
                             "found by xDS. (MESH_POLICY_FILE)") != NULL);
    write_policy_of("proxyless", "");
    child_start(&child, shop_main, argv, env);
    CHECK(child_wait_text(&child, "\"serving\""));
    CHECK(strstr(said(), "client_new stock xds:///stock, ") != NULL);
    write_policy_of("istio", "");
    CHECK(child_wait_text(&child, "the policy is refused, the one before stays in force: "));
    CHECK_INT(finish(SIGTERM), 0);
    CHECK(unlink(policy_file) == 0);
}

TEST(check_goes_on_after_a_failure_and_ends_with_code_1)
{
    const char *const argv[] = {"shop", "check", NULL};
    const char *const env[] = {"DATABASE_URL=postgresql://calls", "NATS_URL=nats://h:4222",
                               "MESH_PEER_PAYMENT=dns:///no.such.host.invalid:1",
                               "MESH_PEER_STOCK=unix:/run/stock", NULL};

    reset();
    fake->db = MESH_UNAVAILABLE;
    fake->broker = MESH_FAILED_PRECONDITION;
    child_start(&child, shop_main, argv, env);
    CHECK_INT(child_wait(&child), 1);
    CHECK(strstr(said(), "failed  database: no database\n") != NULL);
    CHECK(strstr(said(), "migrations") == NULL);
    CHECK(strstr(said(), "failed  session database: no database\n") != NULL);
    CHECK(strstr(said(), "failed  broker: no broker\n") != NULL);
    CHECK(strstr(said(), "failed  peer payment: no.such.host.invalid: ") != NULL);
    CHECK(strstr(said(),
                 "ok      peer stock (unix:/run/stock is resolved by gRPC, not looked at)\n") !=
          NULL);
}

/* One peer that is there: the line of the other. */
static void check_peer_line(const char *target, const char *line)
{
    const char *const argv[] = {"shop", "check", NULL};
    char payment[128];
    const char *const env[] = {"DATABASE_URL=postgresql://calls", "NATS_URL=nats://h:4222", payment,
                               "MESH_PEER_STOCK=localhost:2", NULL};

    (void)snprintf(payment, sizeof(payment), "MESH_PEER_PAYMENT=%s", target);
    reset();
    child_start(&child, shop_main, argv, env);
    CHECK_INT(child_wait(&child), strncmp(line, "ok", 2) == 0 ? 0 : 1);
    CHECK(strstr(said(), line) != NULL);
    CHECK(strstr(said(), "ok      peer stock\n") != NULL);
}

TEST(check_looks_for_peers_as_the_service_will)
{
    char path[] = "/tmp/mesh-peers-XXXXXX";
    int fd = mkstemp(path);
    char target[64];
    char line[128];

    check_peer_line("127.0.0.1:1,127.0.0.1:2", "ok      peer payment\n");
    check_peer_line("file:/no/such/file",
                    "failed  peer payment: /no/such/file: No such file or directory\n");
    (void)snprintf(target, sizeof(target), "file:%s", path);
    (void)snprintf(line, sizeof(line), "failed  peer payment: %s: no address\n", path);
    check_peer_line(target, line);
    CHECK(write(fd, "127.0.0.1:1\n127.0.0.1:2\n", 24) == 24);
    check_peer_line(target, "ok      peer payment\n");
    CHECK(write(fd, "here:3\n", 7) == 7);
    (void)snprintf(line, sizeof(line),
                   "failed  peer payment: %s: not an address with a port: here:3\n", path);
    check_peer_line(target, line);
    CHECK(close(fd) == 0 && unlink(path) == 0);
}

static int set_up(void **state)
{
    (void)state;
    fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return fake == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(fake, sizeof(*fake));
}

TEST_MAIN(set_up, tear_down)
