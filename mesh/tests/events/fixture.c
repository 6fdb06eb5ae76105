/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "checks.h"
#include "core/fatal.h"
#include "core/log_impl.h"
#include "events/events_impl.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BYTES (INT64_C(64) << 20)

static const struct mesh_migration migrations[] = {
    {"0001_create_tables",
     "create table counter (key text primary key, version bigint not null);"
     "create table effect (n bigint generated always as identity, event_id uuid not null,"
     "                     key text not null, version bigint not null);"
     "create table knob (value bigint not null);"
     "insert into knob values (0);"
     "create function fail_with(code text) returns text language plpgsql as $$ begin"
     "    if code = '57P01' then perform pg_terminate_backend(pg_backend_pid()); end if;"
     "    raise exception using errcode = code; end $$"},
    {NULL, NULL}};

const char *env(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        (void)fprintf(stderr, "%s is not set: run this beside with-servers\n", name);
        exit(77);
    }
    return value;
}

void pause_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* ---- what a test leaves ---- */

#define LEFT_MAX 8

static struct {
    void (*calls[LEFT_MAX])(void);
    size_t n_calls;
    struct mesh_events *events[LEFT_MAX];
    size_t n_events;
    struct service *services[LEFT_MAX];
    size_t n_services;
    const struct broker *broker; /* NULL: the table in force is that of all tests */
    int64_t relay_idle_ms;
    bool broker_is_stopped;
    bool broker_is_dead;
} left;

void at_end(void (*call)(void))
{
    CHECK(left.n_calls < LEFT_MAX);
    left.calls[left.n_calls++] = call;
}

void use_broker(const struct broker *table)
{
    CHECK(left.broker == NULL);
    left.broker = mesh__broker;
    mesh__broker = table;
}

static void wake_relays(void)
{
    mesh__relay_idle_ms = left.relay_idle_ms;
}

void let_relays_sleep(void)
{
    left.relay_idle_ms = mesh__relay_idle_ms;
    mesh__relay_idle_ms = 3600000;
    at_end(wake_relays);
}

static void service_free(struct service *service)
{
    mesh__db_free(service->db);
    mesh__db_free(service->silent);
    mesh__ctx_free(service->ctx);
    free(service);
}

int tidy_up(void **state)
{
    (void)state;
    if (left.broker_is_stopped) {
        stop_broker(SIGCONT);
    }
    if (left.broker_is_dead) {
        start_broker();
    }
    while (left.n_calls > 0) {
        left.calls[--left.n_calls]();
    }
    while (left.n_events > 0) {
        stop_events(left.events[left.n_events - 1]);
    }
    while (left.n_services > 0) {
        service_free(left.services[--left.n_services]);
    }
    if (left.broker != NULL) {
        mesh__broker = left.broker;
        left.broker = NULL;
    }
    return 0;
}

/* ---- services ---- */

void superuser_run(const char *format, ...)
{
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    const struct mesh_db_options options = {.url = env("TEST_DATABASE_URL"),
                                            .schema = "public",
                                            .application_name = "test",
                                            .size = 1,
                                            .named = true,
                                            .metric_label = "test"};
    struct mesh_db *db = mesh__db_new(&options);
    char sql[2048];
    const struct mesh_sql statement = {"superuser_statement", sql};
    va_list args;

    va_start(args, format);
    CHECK(vsnprintf(sql, sizeof(sql), format, args) < (int)sizeof(sql));
    va_end(args);
    if (mesh_db_query(ctx, db, &statement, MESH_NO_ARGS, NULL) != MESH_OK) {
        fail_msg("%s: %s", sql, mesh_ctx_error(ctx));
    }
    mesh__db_free(db);
    mesh__ctx_free(ctx);
}

static void make_schema(const char *schema)
{
    superuser_run("create role %s login", schema);
    superuser_run("create schema authorization %s", schema);
}

static struct mesh_db *make_pool(const struct service *service)
{
    return mesh__db_new(&(struct mesh_db_options){.url = service->url,
                                                  .schema = service->schema,
                                                  .application_name = "test",
                                                  .size = 16,
                                                  .named = true,
                                                  .metric_label = "test"});
}

struct service *service_new(const char *system, const char *name)
{
    struct service *service;
    char schema[64];
    int applied = 0;

    (void)snprintf(schema, sizeof(schema), "%s_%s", system, name);
    make_schema(schema);
    service = service_open(system, name);
    if (mesh__migrate(service->ctx, service->db, migrations, 0, &applied) != MESH_OK) {
        fail_msg("%s", mesh_ctx_error(service->ctx));
    }
    return service;
}

struct service *service_open(const char *system, const char *name)
{
    struct service *service = mesh__calloc(1, sizeof(*service));
    const char *url = env("TEST_DATABASE_URL");

    CHECK(left.n_services < LEFT_MAX);
    left.services[left.n_services++] = service;
    (void)snprintf(service->system, sizeof(service->system), "%s", system);
    (void)snprintf(service->schema, sizeof(service->schema), "%s_%s", system, name);
    /* A role finds the schema of its name. */
    (void)snprintf(service->url, sizeof(service->url), "postgresql://%s@%s", service->schema,
                   strchr(url, '@') + 1);
    (void)snprintf(service->nats_url, sizeof(service->nats_url), "%s", env("TEST_NATS_URL"));
    service->stream_max_bytes = STREAM_BYTES;
    service->ctx = mesh__ctx_new(name, 0, MESH_NO_DEADLINE);
    service->db = make_pool(service);
    service->silent = make_pool(service);
    service->counted =
        (struct mesh_event_type){.name = "Counted",
                                 .full_name = "test.counter.v1.Counted",
                                 .system = service->system,
                                 .source = "counter",
                                 .descriptor = &test__counter__v1__counted__descriptor,
                                 .key_offset = offsetof(Test__Counter__V1__Counted, key),
                                 .version_offset = offsetof(Test__Counter__V1__Counted, version)};
    service->ignored =
        (struct mesh_event_type){.name = "Ignored",
                                 .full_name = "test.counter.v1.Ignored",
                                 .system = service->system,
                                 .source = "counter",
                                 .descriptor = &test__counter__v1__ignored__descriptor,
                                 .key_offset = offsetof(Test__Counter__V1__Ignored, key),
                                 .version_offset = -1};
    return service;
}

struct mesh_ctx *service_ctx(struct service *service)
{
    mesh__ctx_reset(service->ctx, MESH_NO_DEADLINE);
    return service->ctx;
}

int64_t query_int(struct service *service, const char *sql)
{
    const struct mesh_sql statement = {"test_query", sql};
    struct mesh_rows *rows;
    enum mesh_status status =
        mesh_db_query(service_ctx(service), service->db, &statement, MESH_NO_ARGS, &rows);

    if (status != MESH_OK) {
        fail_msg("%s: %s", sql, mesh_ctx_error(service->ctx));
    }
    return mesh_rows_count(rows) > 0 ? mesh_row_int64(rows, 0, 0) : -1;
}

MESH_STATUS count_up(struct mesh_ctx *ctx, struct service *service, struct mesh_tx *tx,
                     const char *key, const char *note)
{
    static const struct mesh_sql up = {
        "count_up", "insert into counter as c (key, version) values ($1, 1)"
                    " on conflict (key) do update set version = c.version + 1 returning version"};
    Test__Counter__V1__Counted event = TEST__COUNTER__V1__COUNTED__INIT;
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &up, MESH_ARGS(mesh_text(key)), &rows));
    event.key = mesh_strdup(ctx, key);
    event.version = mesh_row_int64(rows, 0, 0);
    event.note = mesh_strdup(ctx, note);
    return mesh_emit(ctx, tx, &service->counted, &event.base);
}

void count_and_commit(struct service *service, const char *key, int n)
{
    for (int i = 0; i < n; i++) {
        struct mesh_ctx *ctx = service_ctx(service);
        struct mesh_tx *tx = NULL;

        CHECK(mesh_tx_begin(ctx, service->db, &tx) == MESH_OK);
        CHECK(count_up(ctx, service, tx, key, "") == MESH_OK);
        CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    }
}

struct replica start_replica(struct service *service, bool publishes,
                             const struct mesh_inbox_type *inbox, void *state, const char *name)
{
    const struct mesh__leases_options leases_options = {
        .url = service->url, .schema = service->schema, .replica = name};
    struct mesh__leases *leases = name != NULL ? mesh__leases_new(&leases_options) : NULL;
    const struct mesh_events_options options = {.system = service->system,
                                                .service = "counter",
                                                .nats_url = service->nats_url,
                                                .session_url = service->url,
                                                .schema = service->schema,
                                                .db = service->db,
                                                .leases = leases,
                                                .publishes = publishes,
                                                .inbox = inbox,
                                                .state = state,
                                                .stream_max_bytes = service->stream_max_bytes,
                                                .stream_max_age_s = 3600};
    struct mesh_events *events = mesh__events_new(&options);

    CHECK(left.n_events < LEFT_MAX);
    left.events[left.n_events++] = events;
    mesh__events_start(events);
    mesh__leases_start(leases);
    return (struct replica){leases, events};
}

struct mesh_events *start_events(struct service *service, bool publishes,
                                 const struct mesh_inbox_type *inbox, void *state)
{
    return start_replica(service, publishes, inbox, state, NULL).events;
}

void stop_events(struct mesh_events *events)
{
    size_t i = 0;

    while (left.events[i] != events) {
        i++;
    }
    left.events[i] = left.events[--left.n_events];
    mesh__events_stop(events);
    mesh__events_free(events);
}

void stop_replica(struct replica *replica)
{
    mesh__events_stop(replica->events);
    mesh__leases_stop(replica->leases);
    stop_events(replica->events);
    mesh__leases_free(replica->leases);
}

/* ---- waiting ---- */

void wait_for_int(struct service *service, const char *sql, int64_t expected)
{
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);
    int64_t value = query_int(service, sql);

    while (value != expected && mesh__now_ns() < end_ns) {
        pause_ms(5);
        value = query_int(service, sql);
    }
    if (value != expected) {
        fail_msg("%s: %" PRId64 " instead of %" PRId64, sql, value, expected);
    }
}

void wait_for_count(const char *name, const struct mesh_counter *counter, uint64_t least)
{
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);

    while (mesh_counter_value(counter) < least && mesh__now_ns() < end_ns) {
        pause_ms(5);
    }
    if (mesh_counter_value(counter) < least) {
        fail_msg("%s is %" PRIu64 ", less than %" PRIu64, name, mesh_counter_value(counter), least);
    }
}

void wait_for_counter(const char *name, uint64_t least)
{
    wait_for_count(name, mesh_counter(name, "", NULL), least);
}

uint64_t counter_of(const char *name)
{
    return mesh_counter_value(mesh_counter(name, "", NULL));
}

double share_gauge(const char *name, const char *key)
{
    char partition[12];
    const char *labels[] = {"source", "counter", "partition", partition, NULL};

    (void)snprintf(partition, sizeof(partition), "%d", mesh__partition(key));
    return mesh_gauge_value(mesh_gauge(name, "", labels));
}

void wait_for_share_gauge(const char *name, const char *key, double least, double most)
{
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);
    double value;

    while (((value = share_gauge(name, key)) < least || value > most) && mesh__now_ns() < end_ns) {
        pause_ms(5);
    }
    if (value < least || value > most) {
        fail_msg("%s is %f, not from %f to %f", name, value, least, most);
    }
}

static struct {
    pthread_mutex_t lock;
    const char *text;
    int n;
} watched = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void watch_line(void *arg, const char *line, size_t size)
{
    (void)arg;
    pthread_mutex_lock(&watched.lock);
    watched.n +=
        watched.text != NULL && memmem(line, size, watched.text, strlen(watched.text)) != NULL;
    pthread_mutex_unlock(&watched.lock);
    (void)fwrite(line, 1, size, stderr);
}

/* Before there are threads. */
__attribute__((constructor)) static void watch_all_lines(void)
{
    mesh__log_capture(watch_line, NULL);
}

void watch_log(const char *text)
{
    pthread_mutex_lock(&watched.lock);
    watched.text = text;
    watched.n = 0;
    pthread_mutex_unlock(&watched.lock);
}

int watched_lines(void)
{
    int n;

    pthread_mutex_lock(&watched.lock);
    n = watched.n;
    pthread_mutex_unlock(&watched.lock);
    return n;
}

void wait_for_watched_line(void)
{
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);

    while (watched_lines() == 0) {
        CHECK(mesh__now_ns() < end_ns);
        pause_ms(1);
    }
}

/* ---- the servers ---- */

static pid_t broker_pid(void)
{
    char path[512];
    int pid = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s.pid", env("TEST_NATS_DIR"));
    file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK_INT(fscanf(file, "%d", &pid), 1); /* NOLINT(cert-err34-c): written by the server */
    (void)fclose(file);
    CHECK(pid > 1);
    return pid;
}

void stop_broker(int signal_number)
{
    left.broker_is_stopped = signal_number == SIGSTOP;
    CHECK_INT(kill(broker_pid(), signal_number), 0);
}

void kill_broker(void)
{
    left.broker_is_dead = true;
    CHECK_INT(kill(broker_pid(), SIGKILL), 0);
    while (broker_answers()) {
        pause_ms(1);
    }
}

static void run(const char *command)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execlp("bash", "bash", "-c", command, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

void start_broker(void)
{
    left.broker_is_dead = false;
    run(env("TEST_NATS_START"));
}

static void use_again(struct service *service)
{
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);
    enum mesh_status status;

    do { /* connections that were lost are found out one by one */
        status = mesh__db_check(service_ctx(service), service->db);
    } while (status != MESH_OK && mesh__now_ns() < end_ns);
    CHECK_INT(status, MESH_OK);
}

void crash_database(struct service *one, struct service *other)
{
    char command[1024];
    const char *start = env("TEST_PG_START");
    int size = (int)(strlen(start) - strlen("start"));

    (void)snprintf(command, sizeof(command), "%.*s -m immediate restart", size, start);
    run(command);
    use_again(one);
    use_again(other);
}

void restore_database(struct service *service)
{
    static const char command[] =
        "set -e; dir=${TEST_PG_DIR%/*};"
        "pg_dumpall -g -d \"$TEST_DATABASE_URL\" >\"$dir/roles.sql\";"
        "pg_dump \"$TEST_DATABASE_URL\" >\"$dir/dump.sql\";"
        "bash -c \"${TEST_PG_START% start} -m immediate stop\"; mv \"$dir/pg\" \"$dir/pg.old\";"
        "bash -c \"${TEST_PG_START%%pg_ctl*}initdb -D $dir/pg -U postgres -A trust --no-sync -E "
        "UTF8"
        " --locale=C.UTF-8\" >/dev/null; cp -p \"$dir/pg.old/postgresql.conf\" \"$dir/pg\";"
        "rm -rf \"$dir/pg.old\"; bash -c \"$TEST_PG_START\";"
        "psql -q -o /dev/null \"$TEST_DATABASE_URL\" <\"$dir/roles.sql\" 2>/dev/null;"
        "psql -q -1 -v ON_ERROR_STOP=1 -o /dev/null \"$TEST_DATABASE_URL\" <\"$dir/dump.sql\"";

    run(command);
    use_again(service);
}
