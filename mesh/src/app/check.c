/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands that look or work once: migrate, check and policy. */
#include "app/app.h"
#include "app/database.h"
#include "app/values.h"
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/text.h"
#include "db/db_impl.h"
#include "rpc/resolver.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 10000

/* One run of `check`. */
struct check {
    const struct mesh_app_spec *spec;
    const struct mesh__config *config;
    struct mesh__names names;
    bool failed;
};

static void say(struct check *check, const char *what, enum mesh_status status, const char *text)
{
    if (status == MESH_OK) {
        (void)printf("ok      %s\n", what);
    } else {
        (void)printf("failed  %s: %s\n", what, text);
        check->failed = true;
    }
}

static void check_policy(struct check *check)
{
    char error[1024];
    struct mesh__policies *policies =
        mesh__app_policies_new(check->spec, check->config, error, sizeof(error));

    say(check, "policy", policies != NULL ? MESH_OK : MESH_INVALID_ARGUMENT, error);
    mesh__policies_free(policies);
}

static void check_database(struct check *check)
{
    const struct mesh_app_spec *spec = check->spec;
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new(spec->name, 0, mesh__in_ms(CONNECT_MS));
    struct mesh_db *db =
        mesh__app_db_new(check->config, &check->names, VAR_DATABASE_URL, 1, "check");
    enum mesh_status status = mesh__db_check(ctx, db);

    say(check, "database", status, mesh_ctx_error(ctx));
    if (status == MESH_OK) {
        status = mesh__migrate_check(ctx, db, spec->migrations, spec->compatible_from);
        say(check, "migrations", status, mesh_ctx_error(ctx));
    }
    mesh__db_free(db);
}

static void check_session_database(struct check *check)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new(check->spec->name, 0, mesh__in_ms(CONNECT_MS));
    struct mesh_db *db =
        mesh__app_db_new(check->config, &check->names, VAR_DATABASE_SESSION_URL, 1, "check");
    enum mesh_status status = mesh__db_check_session(ctx, db);

    say(check, "session database", status, mesh_ctx_error(ctx));
    mesh__db_free(db);
}

static void check_broker(struct check *check)
{
    const struct mesh_app_spec *spec = check->spec;
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new(spec->name, 0, mesh__in_ms(CONNECT_MS));
    struct mesh_db *db =
        mesh__app_db_new(check->config, &check->names, VAR_DATABASE_URL, 1, "check");
    struct mesh_events *events =
        mesh__app_events_new(spec, check->config, &check->names, db, NULL, NULL);
    enum mesh_status status = mesh__events_check(ctx, events);

    say(check, "broker", status, mesh_ctx_error(ctx));
    mesh__events_free(events);
    mesh__db_free(db);
}

/* What a look-up has said. */
struct answer {
    pthread_mutex_t mutex; /* for what follows */
    pthread_cond_t told;
    bool there;
    bool found;
    char reason[512];
};

static void tell(struct answer *answer, bool found, const char *reason)
{
    pthread_mutex_lock(&answer->mutex);
    if (!answer->there) {
        answer->there = true;
        answer->found = found;
        (void)snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
        pthread_cond_signal(&answer->told);
    }
    pthread_mutex_unlock(&answer->mutex);
}

static void on_addresses(void *arg, const struct mesh__address *added, size_t n_added,
                         const struct mesh__address *removed, size_t n_removed)
{
    (void)added;
    (void)n_added;
    (void)removed;
    (void)n_removed;
    tell(arg, true, "");
}

static void on_failure(void *arg, const char *reason)
{
    tell(arg, false, reason);
}

/* Looks once as the service does again and again. False: that is left to gRPC. */
static bool look_up(const char *target, struct answer *answer)
{
    const struct mesh__resolver_events events = {
        .changed = on_addresses, .failed = on_failure, .arg = answer};
    const char *address = mesh__target_address(target);
    struct mesh__resolver *resolver = address != NULL ? mesh__resolver_new(address, &events) : NULL;
    int64_t until_ns = mesh__in_ms(CONNECT_MS);

    if (resolver == NULL) {
        return false;
    }
    pthread_mutex_lock(&answer->mutex);
    while (!answer->there && mesh__condition_wait(&answer->told, &answer->mutex, until_ns)) {
    }
    pthread_mutex_unlock(&answer->mutex);
    tell(answer, false, "no answer in time");
    mesh__resolver_free(resolver);
    return true;
}

static void check_peer(struct check *check, size_t i)
{
    const char *target = mesh__config_peer(check->config, i);
    struct answer answer = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    char what[320];

    (void)snprintf(what, sizeof(what), "peer %s", check->spec->peers[i].name);
    mesh__condition_init(&answer.told);
    if (look_up(target, &answer)) {
        say(check, what, answer.found ? MESH_OK : MESH_UNAVAILABLE, answer.reason);
    } else {
        (void)printf("ok      %s (%s is resolved by gRPC, not looked at)\n", what, target);
    }
    pthread_cond_destroy(&answer.told);
    pthread_mutex_destroy(&answer.mutex);
}

int mesh__check_command(const struct mesh_app_spec *spec, const struct mesh__config *config)
{
    struct check check = {.spec = spec, .config = config};
    unsigned needs = mesh__config_needs(spec);

    mesh__app_names(spec, &check.names);
    say(&check, "configuration", MESH_OK, "");
    check_policy(&check);
    if ((needs & NEED_DATABASE) != 0) {
        check_database(&check);
        check_session_database(&check);
    }
    if ((needs & NEED_BROKER) != 0) {
        check_broker(&check);
    }
    for (size_t i = 0; spec->peers != NULL && spec->peers[i].name != NULL; i++) {
        check_peer(&check, i);
    }
    return check.failed ? 1 : 0;
}

struct migration {
    const struct mesh_app_spec *spec;
    const struct mesh__names *names;
    struct mesh__stop *stop;
    struct mesh_db *db;
    int64_t wait_ms;
};

static MESH_STATUS look_at_sessions(struct mesh_ctx *ctx, void *arg)
{
    return mesh__db_check_session(ctx, arg);
}

static MESH_STATUS migrate(struct mesh_ctx *ctx, const struct migration *migration,
                           int *ret_applied)
{
    MESH_TRY(mesh__database_wait(ctx, migration->stop, mesh__in_ms(migration->wait_ms),
                                 look_at_sessions, migration->db));
    ctx->deadline_ns = MESH_NO_DEADLINE; /* a large table takes what it takes */
    return mesh__migrate(ctx, migration->db, migration->spec->migrations,
                         migration->spec->compatible_from, ret_applied);
}

static int migrate_and_tell(const struct migration *migration)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new(migration->spec->name, 0, MESH_NO_DEADLINE);
    const char *name = migration->names->full;
    const char *signal;
    int applied = 0;

    if (migrate(ctx, migration, &applied) == MESH_OK) {
        (void)printf("%s: %d %s applied.\n", name, applied,
                     applied == 1 ? "migration" : "migrations");
        return 0;
    }
    signal = mesh__stop_signal(migration->stop);
    (void)fprintf(stderr, "%s: %s%s%s%s\n", name, signal[0] != '\0' ? "stopped by " : "", signal,
                  signal[0] != '\0' ? ": " : "", mesh_ctx_error(ctx));
    return 1;
}

int mesh__migrate_command(const struct mesh_app_spec *spec, const struct mesh__config *config)
{
    struct mesh__names names;
    struct migration migration = {.spec = spec, .names = &names};
    int code;

    mesh__app_names(spec, &names);
    if (spec->migrations == NULL) {
        (void)printf("%s has no database.\n", names.full);
        return 0;
    }
    migration.stop = mesh__stop_new();
    migration.wait_ms = mesh__config_int64(config, VAR_MIGRATE_WAIT_MS);
    migration.db = mesh__app_db_new(config, &names, VAR_DATABASE_SESSION_URL, 1, "migrate");
    code = migrate_and_tell(&migration);
    mesh__db_free(migration.db);
    mesh__stop_free(migration.stop);
    return code;
}

int mesh__policy_command(const struct mesh_app_spec *spec, const char *file)
{
    const struct mesh__policy_options options = {.file = file, .peers = spec->peers};
    char error[1024];
    struct mesh__policy *policy = mesh__policy_read(&options, error, sizeof(error));
    struct mesh__text text = {0};

    if (policy == NULL) {
        (void)fprintf(stderr, "%s\n", error);
        return 1;
    }
    mesh__policy_print(policy, &text);
    (void)printf("ok      %s\n%s", file, text.bytes);
    free(text.bytes);
    mesh__policy_release(policy);
    return 0;
}
