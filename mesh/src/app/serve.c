/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a serving process: its parts are made in order, and taken down in the other. */
#include "app/app.h"
#include "app/database.h"
#include "app/process_metrics.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/metrics_impl.h"
#include "core/text.h"
#include "db/db_impl.h"
#include "mesh/log.h"
#include "mesh/metrics.h"
#include "rpc/client_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS 30000
#define CONNECT_MS 5000

/* ---- HTTP ----------------------------------------------------------------------------------- */

static const char *not_alive(void *arg)
{
    const struct mesh_app *app = arg;

    return mesh__stop_turns(app->stop) ? mesh__readiness_dead(app->readiness)
                                       : "the process is stuck";
}

static const char *not_ready(void *arg)
{
    const struct mesh_app *app = arg;
    const char *reason = mesh__readiness_reason(app->readiness);

    return reason != NULL ? reason : mesh__readiness_dead(app->readiness);
}

static void write_metrics(void *arg, FILE *out)
{
    cleanup_free char *text = NULL;
    size_t size = 0;

    (void)arg;
    mesh__metrics_write(&text, &size);
    (void)fwrite(text, 1, size, out); /* into memory */
    mesh__process_metrics_write(out);
}

static void write_debug(void *arg, FILE *out)
{
    struct mesh_app *app = arg;
    struct mesh__policy *policy = mesh__policies_take(app->policies);
    struct mesh__text text = {0};

    mesh__text_adds(&text, "{\"policy\":");
    mesh__policy_json(policy, &text);
    mesh__text_adds(&text, ",\"destinations\":{");
    pthread_mutex_lock(&app->peers_mutex);
    for (size_t i = 0; i < app->n_peers; i++) {
        mesh__text_printf(&text, "%s\"%s\":", i > 0 ? "," : "", app->spec->peers[i].name);
        mesh__client_json(app->peers[i], &text);
    }
    pthread_mutex_unlock(&app->peers_mutex);
    mesh__text_adds(&text, "}}\n");
    (void)fwrite(text.bytes, 1, text.size, out); /* into memory */
    free(text.bytes);
    mesh__policy_release(policy);
}

static bool start_http(struct mesh_app *app)
{
    const struct mesh__http_options options = {
        .listen = mesh__config_text(app->config, VAR_HTTP_LISTEN),
        .not_alive = not_alive,
        .not_ready = not_ready,
        .metrics = write_metrics,
        .debug = write_debug,
        .arg = app,
    };
    const char *const labels[] = {"version", MESH_VERSION, "service", app->spec->name, NULL};
    char error[512];

    mesh_gauge_set(mesh_gauge("mesh_build_info", "Version of this service; always 1.", labels), 1);
    app->http = mesh__http_start(&options, &app->http_port, error, sizeof(error));
    if (app->http == NULL) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "%s (MESH_HTTP_LISTEN)", error);
    }
    return app->http != NULL;
}

/* ---- policy --------------------------------------------------------------------------------- */

static bool make_policies(struct mesh_app *app)
{
    char error[1024];

    app->policies = mesh__app_policies_new(app->spec, app->config, error, sizeof(error));
    if (app->policies == NULL) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "%s (MESH_POLICY_FILE)", error);
    }
    return app->policies != NULL;
}

/* ---- database ------------------------------------------------------------------------------- */

static struct mesh_ctx *new_ctx(struct mesh_app *app, int64_t timeout_ms)
{
    size_t arena_bytes = (size_t)mesh__config_int64(app->config, VAR_CALL_MEMORY_BYTES);
    struct mesh_ctx *ctx = mesh__ctx_new(app->spec->name, arena_bytes, mesh__in_ms(timeout_ms));

    ctx->cancelled = mesh__stop_flag(app->stop);
    return ctx;
}

/* Where events and migrations connect to. */
static MESH_STATUS try_session_database(struct mesh_ctx *ctx, const struct mesh_app *app)
{
    struct mesh_db *db =
        mesh__app_db_new(app->config, &app->names, VAR_DATABASE_SESSION_URL, 1, "check");
    enum mesh_status status = mesh__db_check_session(ctx, db);

    mesh__db_free(db);
    if (status == MESH_OK) {
        return MESH_OK;
    }
    return mesh_fail(ctx, status, "DATABASE_SESSION_URL: %s", mesh_ctx_error(ctx));
}

static MESH_STATUS look_at_database(struct mesh_ctx *ctx, void *arg)
{
    const struct mesh_app *app = arg;

    MESH_TRY(mesh__db_check(ctx, app->db));
    MESH_TRY(try_session_database(ctx, app));
    return mesh__migrate_check(ctx, app->db, app->spec->migrations, app->spec->compatible_from);
}

/* A database that is away is waited for without end, alive but not ready; a wrong one is an error.
 */
static bool wait_for_database(struct mesh_app *app)
{
    cleanup_ctx struct mesh_ctx *ctx = NULL;
    enum mesh_status status;

    if (app->spec->migrations == NULL) {
        return true;
    }
    app->db =
        mesh__app_db_new(app->config, &app->names, VAR_DATABASE_URL,
                         (int)mesh__config_int64(app->config, VAR_DATABASE_POOL_SIZE), "calls");
    mesh__readiness_set_reason(app->readiness, "waiting for the database");
    ctx = new_ctx(app, CONNECT_MS);
    status = mesh__database_wait(ctx, app->stop, MESH_NO_DEADLINE, look_at_database, app);
    if (status == MESH_OK) {
        mesh__readiness_set_reason(app->readiness, "starting");
    } else if (!atomic_load(mesh__stop_flag(app->stop))) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "cannot start: %s", mesh_ctx_error(ctx));
    }
    return status == MESH_OK;
}

/* ---- peers, the service's state, events ----------------------------------------------------- */

static bool make_peers(struct mesh_app *app)
{
    const struct mesh_peer *peers = app->spec->peers;
    int64_t n_workers = mesh__config_int64(app->config, VAR_WORKERS);
    size_t n = 0;

    if (peers == NULL) {
        return true;
    }
    atomic_store(&app->waiting.max, mesh__worker_limit_of_all(n_workers));
    while (peers[n].name != NULL) {
        n++;
    }
    pthread_mutex_lock(&app->peers_mutex);
    app->peers = mesh__calloc(n, sizeof(struct mesh_client *));
    for (size_t i = 0; i < n; i++) {
        const struct mesh__client_options options = {
            .name = peers[i].name,
            .target = mesh__config_peer(app->config, i),
            .policies = app->policies,
            .index = i,
            .n_workers = n_workers,
            .waiting = &app->waiting,
        };

        app->peers[i] = mesh__client_new(&options);
    }
    app->n_peers = n;
    pthread_mutex_unlock(&app->peers_mutex);
    return true;
}

static bool start_service(struct mesh_app *app)
{
    cleanup_ctx struct mesh_ctx *ctx = new_ctx(app, START_MS);
    enum mesh_status status;

    if (app->spec->start == NULL) {
        return true;
    }
    status = app->spec->start(ctx, app, &app->state);
    if (status != MESH_OK) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_FIELDS(mesh_log_text("code", mesh_status_name(status))),
                 "cannot start: %s", mesh_ctx_error(ctx));
        return false;
    }
    app->state_started = true;
    return true;
}

static void ping_replicas(void *arg, const char *name)
{
    mesh__events_ping(arg, name);
}

static void on_ping(void *arg, const char *name)
{
    mesh__signals_received(arg, name);
}

/* Is there anything that only one replica may do? */
static bool needs_leases(const struct mesh_app_spec *spec)
{
    bool needs = spec->publishes || spec->inbox != NULL;

    for (size_t i = 0; spec->jobs != NULL && spec->jobs[i].name != NULL; i++) {
        needs = needs || spec->jobs[i].single;
    }
    return needs;
}

static bool make_leases(struct mesh_app *app)
{
    const struct mesh__leases_options options = {
        .url = mesh__config_text(app->config, VAR_DATABASE_SESSION_URL),
        .schema = app->names.schema,
        .replica = app->names.replica,
    };

    if (app->db != NULL && needs_leases(app->spec)) {
        app->leases = mesh__leases_new(&options);
    }
    return true;
}

static bool make_events(struct mesh_app *app)
{
    cleanup_ctx struct mesh_ctx *ctx = NULL;

    if (!app->spec->publishes && app->spec->inbox == NULL) {
        return true;
    }
    ctx = new_ctx(app, CONNECT_MS);
    mesh__retention_begin(ctx, app->db);
    app->events =
        mesh__app_events_new(app->spec, app->config, &app->names, app->db, app->leases, app->state);
    mesh__events_on_ping(app->events, on_ping, app->signals);
    return true;
}

/* ---- the server ----------------------------------------------------------------------------- */

static int config_int(const struct mesh_app *app, enum mesh__var var)
{
    return (int)mesh__config_int64(app->config, var); /* the table bounds it */
}

static bool start_server(struct mesh_app *app)
{
    const struct mesh_server_options options = {
        .service = app->spec->name,
        .listen = mesh__config_text(app->config, VAR_GRPC_LISTEN),
        .workers = config_int(app, VAR_WORKERS),
        .queue_size = config_int(app, VAR_QUEUE_SIZE),
        .queue_bytes = (size_t)mesh__config_int64(app->config, VAR_QUEUE_BYTES),
        .stream_limit = config_int(app, VAR_STREAM_LIMIT),
        .watch_limit = config_int(app, VAR_WATCH_LIMIT),
        .max_connection_streams = config_int(app, VAR_CONNECTION_STREAMS),
        .memory_bytes = (size_t)mesh__config_int64(app->config, VAR_CONNECTION_MEMORY_BYTES),
        .default_deadline_ms = mesh__config_int64(app->config, VAR_DEFAULT_DEADLINE_MS),
        .max_deadline_ms = mesh__config_int64(app->config, VAR_MAX_DEADLINE_MS),
        .lame_duck_ms = mesh__config_int64(app->config, VAR_LAME_DUCK_MS),
        .grace_ms = mesh__config_int64(app->config, VAR_GRACE_MS),
        .max_message_bytes = config_int(app, VAR_MAX_MESSAGE_BYTES),
        .max_connection_age_ms = mesh__config_int64(app->config, VAR_MAX_CONNECTION_AGE_MS),
        .arena_bytes = (size_t)mesh__config_int64(app->config, VAR_CALL_MEMORY_BYTES),
    };
    char error[512];

    app->server = mesh__server_new(&options, app->spec->services, app->state);
    app->server_started = mesh__server_start(app->server, &app->grpc_port, error, sizeof(error));
    if (!app->server_started) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "%s (MESH_GRPC_LISTEN)", error);
    }
    return app->server_started;
}

/* The runtime's own job: outbox and inbox are kept for as long as they are needed. */
static struct mesh__jobs *start_upkeep(struct mesh_app *app)
{
    struct mesh__jobs_options options = {
        .jobs = app->upkeep,
        .service = app->spec->name,
        .state = &app->retention,
        .leases = app->leases,
    };

    app->retention = (struct mesh__retention){
        .db = app->db,
        .outbox_keep_s = mesh__config_int64(app->config, VAR_OUTBOX_KEEP_S),
        .inbox_keep_s = mesh__config_int64(app->config, VAR_INBOX_KEEP_S),
    };
    app->upkeep[0] = (struct mesh_job){
        .name = "mesh-retention",
        .interval_ms = mesh__retention_interval_ms(&app->retention),
        .run = mesh__retention_run,
        .single = true,
    };
    return mesh__jobs_start(&options);
}

static bool start_threads(struct mesh_app *app)
{
    const struct mesh__jobs_options options = {
        .jobs = app->spec->jobs,
        .service = app->spec->name,
        .state = app->state,
        .arena_bytes = (size_t)mesh__config_int64(app->config, VAR_CALL_MEMORY_BYTES),
        .leases = app->leases,
    };

    if (app->events != NULL) {
        mesh__events_start(app->events);
        app->events_started = true;
        mesh__signals_connect(app->signals, ping_replicas, app->events);
    }
    app->jobs = mesh__jobs_start(&options);
    if (app->events != NULL) {
        app->upkeep_jobs = start_upkeep(app);
    }
    mesh__leases_start(app->leases);
    mesh__policies_start(app->policies);
    mesh__readiness_start(app->readiness, app->db, app->server);
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* False: a part could not be had (and said why), or the process was asked to stop meanwhile. */
static bool start_all(struct mesh_app *app)
{
    static bool (*const steps[])(struct mesh_app *) = {
        make_policies, start_http,  wait_for_database, make_peers,   start_service,
        make_leases,   make_events, start_server,      start_threads};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (!steps[i](app) || atomic_load(mesh__stop_flag(app->stop))) {
            return false;
        }
    }
    return true;
}

/* Takes down what was made, also when only a part was. */
static void stop_all(struct mesh_app *app)
{
    mesh__readiness_stop(app->readiness);
    mesh__readiness_set_reason(app->readiness, "stopping");
    mesh__jobs_finish(app->jobs);
    mesh__jobs_finish(app->upkeep_jobs);
    if (app->server_started) {
        mesh__server_stop(app->server);
    }
    mesh__jobs_stop(app->jobs, mesh__config_int64(app->config, VAR_GRACE_MS));
    mesh__jobs_stop(app->upkeep_jobs, 0);
    mesh__signals_disconnect(app->signals);
    if (app->events_started) {
        mesh__events_stop(app->events);
    }
    mesh__leases_stop(app->leases);
    mesh__jobs_free(app->jobs);
    mesh__jobs_free(app->upkeep_jobs);
    if (app->state_started && app->spec->stop != NULL) {
        app->spec->stop(app->state);
    }
    mesh__server_free(app->server);
    mesh__events_free(app->events);
    mesh__leases_free(app->leases);
    mesh__http_stop(app->http); /* its pages show what ends now */
    mesh__client_thread_done();
    pthread_mutex_lock(&app->peers_mutex);
    for (size_t i = 0; i < app->n_peers; i++) {
        mesh_client_free(app->peers[i]);
    }
    app->n_peers = 0;
    free(app->peers);
    pthread_mutex_unlock(&app->peers_mutex);
    mesh__policies_free(app->policies);
    mesh__db_free(app->db);
    mesh__signals_free(app->signals);
    mesh__readiness_free(app->readiness);
}

int mesh__serve(const struct mesh_app_spec *spec, const struct mesh__config *config)
{
    struct mesh_app app = {
        .spec = spec, .config = config, .peers_mutex = PTHREAD_MUTEX_INITIALIZER};
    bool asked;

    mesh__app_names(spec, &app.names);
    app.stop = mesh__stop_new();
    app.readiness = mesh__readiness_new(spec->name);
    app.signals = mesh__signals_new();
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("version", MESH_VERSION)), "starting");
    if (start_all(&app)) {
        mesh_log(MESH_LOG_INFO,
                 MESH_LOG_FIELDS(mesh_log_int("grpc_port", app.grpc_port),
                                 mesh_log_int("http_port", app.http_port),
                                 mesh_log_int("ms", mesh__process_age_ms())),
                 "serving");
        mesh__stop_wait(app.stop, MESH_NO_DEADLINE);
    }
    asked = atomic_load(mesh__stop_flag(app.stop));
    if (asked) {
        mesh_log(MESH_LOG_INFO,
                 MESH_LOG_FIELDS(mesh_log_text("signal", mesh__stop_signal(app.stop))), "stopping");
    }
    stop_all(&app);
    if (asked) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "stopped");
    }
    mesh__stop_free(app.stop);
    return asked ? 0 : 1;
}
