/* SPDX-License-Identifier: Apache-2.0 */
#include "db/leases.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "db/db_impl.h"
#include "db/gone.h"
#include "mesh/log.h"
#include "mesh/metrics.h"
#include "mesh_sql.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEAT_MS 500
#define STATEMENT_MS 2000
#define STOP_MS 1000
#define LOCK_MS "200" /* a row that is locked may hold up the others for so long */
#define LOG_EVERY_MS 10000
#define GROUPS_MAX 16

int64_t mesh__lease_ms = 3000;
_Atomic int64_t mesh__lease_patience_ms = 10000;

enum state {
    STATE_FREE,
    STATE_HELD,
    STATE_LEAVING, /* another replica is to have it, as soon as nothing is done under it here */
    STATE_LEFT
};

struct lease {
    char name[64]; /* that of the group with a number */
    enum state state;
    uint64_t term;
    bool unclean;
    /* As the database had it when it was last looked at. */
    bool ours;
    bool anybodys; /* somebody's who lives */
    struct mesh_gauge *held;
};

struct mesh__lease_group {
    char name[64];
    struct mesh__leases *leases;
    void (*changed)(void *arg);
    void *changed_arg;
    bool able; /* to do the work, as its user has told */
    /* As the database had it when it was last looked at. */
    bool unable_here;
    size_t n_unable;    /* replicas */
    int64_t outdone_ns; /* since when only others can do it; 0: it is not so */
    size_t n;
    struct lease *all;
};

struct mesh__leases {
    char *replica;
    struct mesh_db *db; /* one connection */
    struct mesh_ctx *ctx;
    struct mesh__gone gone; /* this and what follows: on the thread */
    bool told_valid;        /* what users were last told of that */
    int64_t log_at_ns;      /* no failure is logged before */
    struct mesh__lease_group *groups[GROUPS_MAX];
    size_t n_groups;

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of all below and of the leases */
    pthread_cond_t wake_up;
    bool stopping;
    bool beat_now;
    int64_t valid_until_ns; /* by then the others may take us to be gone; 0: never was */
    uint64_t last_term;
    size_t n_replicas; /* that live */
    atomic_bool cut;

    struct mesh_gauge *replicas;
    struct mesh_counter *takeovers;
    struct mesh_counter *given_up;
};

/* ---- what users ask ---- */

uint64_t mesh__lease_term(const struct mesh__lease_group *group, size_t i)
{
    uint64_t term = 0;

    if (group == NULL) {
        return 1;
    }
    assert(i < group->n);
    pthread_mutex_lock(&group->leases->lock);
    if (group->all[i].state == STATE_HELD && mesh__now_ns() < group->leases->valid_until_ns) {
        term = group->all[i].term;
    }
    pthread_mutex_unlock(&group->leases->lock);
    return term;
}

bool mesh__lease_unclean(const struct mesh__lease_group *group, size_t i)
{
    bool unclean;

    if (group == NULL) {
        return false;
    }
    pthread_mutex_lock(&group->leases->lock);
    unclean = group->all[i].unclean;
    pthread_mutex_unlock(&group->leases->lock);
    return unclean;
}

void mesh__lease_left(struct mesh__lease_group *group, size_t i)
{
    struct mesh__leases *leases;

    if (group == NULL) {
        return;
    }
    leases = group->leases;
    pthread_mutex_lock(&leases->lock);
    if (group->all[i].state == STATE_LEAVING) {
        group->all[i].state = STATE_LEFT;
        leases->beat_now = true;
        pthread_cond_signal(&leases->wake_up);
    }
    pthread_mutex_unlock(&leases->lock);
}

void mesh__lease_able(struct mesh__lease_group *group, bool able)
{
    struct mesh__leases *leases;

    if (group == NULL) {
        return;
    }
    leases = group->leases;
    pthread_mutex_lock(&leases->lock);
    if (group->able != able) {
        group->able = able;
        leases->beat_now = true;
        pthread_cond_signal(&leases->wake_up);
    }
    pthread_mutex_unlock(&leases->lock);
}

const char *mesh__leases_replica(const struct mesh__leases *leases)
{
    return leases->replica;
}

/* ---- looking ---- */

static struct lease *find(struct mesh__leases *leases, const char *name)
{
    for (size_t g = 0; g < leases->n_groups; g++) {
        for (size_t i = 0; i < leases->groups[g]->n; i++) {
            if (strcmp(leases->groups[g]->all[i].name, name) == 0) {
                return &leases->groups[g]->all[i];
            }
        }
    }
    return NULL;
}

static struct mesh__lease_group *find_group(struct mesh__leases *leases, const char *name)
{
    for (size_t g = 0; g < leases->n_groups; g++) {
        if (strcmp(leases->groups[g]->name, name) == 0) {
            return leases->groups[g];
        }
    }
    return NULL;
}

static void forget(struct mesh__leases *leases)
{
    leases->n_replicas = 0;
    for (size_t g = 0; g < leases->n_groups; g++) {
        leases->groups[g]->unable_here = false;
        leases->groups[g]->n_unable = 0;
        for (size_t i = 0; i < leases->groups[g]->n; i++) {
            leases->groups[g]->all[i].ours = false;
            leases->groups[g]->all[i].anybodys = false;
        }
    }
}

/* Takes in a row of what was looked at; names that are not known are of another version of us. */
static void learn(struct mesh__leases *leases, const char *name, const char *replica)
{
    struct mesh__lease_group *group;
    struct lease *lease;
    bool us = replica != NULL && strcmp(replica, leases->replica) == 0;

    if (name == NULL) {
        leases->n_replicas++;
    } else if ((group = find_group(leases, name)) != NULL) {
        group->n_unable++;
        group->unable_here = group->unable_here || us;
    } else if (replica != NULL && (lease = find(leases, name)) != NULL) {
        lease->anybodys = true;
        lease->ours = us;
    }
}

static MESH_STATUS look(struct mesh__leases *leases)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(leases->ctx, leases->db, &mesh__sql_list_leases, MESH_NO_ARGS, &rows));
    pthread_mutex_lock(&leases->lock);
    forget(leases);
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        learn(leases, mesh_row_text(rows, row, 0), mesh_row_text(rows, row, 1));
    }
    pthread_mutex_unlock(&leases->lock);
    mesh_gauge_set(leases->replicas, (double)leases->n_replicas);
    return MESH_OK;
}

/* ---- deciding ---- */

/* Another replica can do what cannot be done here. */
static bool outdone(const struct mesh__lease_group *group)
{
    return group->unable_here && group->n_unable < group->leases->n_replicas;
}

/* The most that one of the replicas should hold that can do the work; if none can, of all. */
static size_t fair(const struct mesh__lease_group *group)
{
    size_t n_replicas = group->leases->n_replicas - group->n_unable;

    if (n_replicas == 0) {
        n_replicas = group->leases->n_replicas > 0 ? group->leases->n_replicas : 1;
    }
    return (group->n + n_replicas - 1) / n_replicas;
}

/* It has been outdone for so long that it keeps nothing. */
static bool out_of_patience(struct mesh__lease_group *group)
{
    if (!outdone(group)) {
        group->outdone_ns = 0;
        return false;
    }
    if (group->outdone_ns == 0) {
        group->outdone_ns = mesh__now_ns();
    }
    return mesh__now_ns() >= mesh__after_ms(group->outdone_ns, mesh__lease_patience_ms);
}

static void note_given_up(const struct mesh__lease_group *group, size_t n)
{
    mesh_counter_add(group->leases->given_up, n);
    mesh_log(
        MESH_LOG_WARN,
        MESH_LOG_FIELDS(mesh_log_text("group", group->name), mesh_log_int("leases", (int64_t)n)),
        "leases are given up: here their work cannot be done, but another replica can do it");
}

/* Takes note of leases that were lost, and lets go of those that are too many. */
static void review(struct mesh__lease_group *group, size_t *ret_held)
{
    bool give_up = out_of_patience(group);
    size_t most = give_up ? 0 : fair(group);
    size_t n = 0, n_left = 0;
    bool changed = false;

    pthread_mutex_lock(&group->leases->lock);
    for (size_t i = 0; i < group->n; i++) {
        struct lease *lease = &group->all[i];

        if (!lease->ours && lease->state != STATE_FREE) {
            changed = changed || lease->state == STATE_HELD;
            lease->state = STATE_FREE;
        }
        if (lease->state == STATE_HELD && ++n > most) {
            lease->state = STATE_LEAVING;
            changed = true;
            n--;
            n_left++;
        }
        mesh_gauge_set(lease->held, lease->state == STATE_HELD);
    }
    pthread_mutex_unlock(&group->leases->lock);
    if (changed) {
        group->changed(group->changed_arg);
    }
    if (give_up && n_left > 0) {
        note_given_up(group, n_left);
    }
    *ret_held = n;
}

static MESH_STATUS give(struct mesh__leases *leases, struct lease *lease)
{
    MESH_TRY(mesh_db_query(leases->ctx, leases->db, &mesh__sql_give_lease,
                           MESH_ARGS(mesh_text(lease->name), mesh_text(leases->replica)), NULL));
    pthread_mutex_lock(&leases->lock);
    lease->state = STATE_FREE;
    pthread_mutex_unlock(&leases->lock);
    return MESH_OK;
}

static MESH_STATUS take(struct mesh__lease_group *group, struct lease *lease, size_t *n_held)
{
    struct mesh__leases *leases = group->leases;
    struct mesh_rows *rows;
    bool unclean;

    MESH_TRY(mesh_db_query(leases->ctx, leases->db, &mesh__sql_take_lease,
                           MESH_ARGS(mesh_text(lease->name), mesh_text(leases->replica)), &rows));
    if (mesh_rows_count(rows) == 0) { /* another replica was quicker */
        return MESH_OK;
    }
    unclean = mesh_row_bool(rows, 0, 0);
    pthread_mutex_lock(&leases->lock);
    lease->state = STATE_HELD;
    lease->term = ++leases->last_term;
    lease->unclean = unclean;
    pthread_mutex_unlock(&leases->lock);
    mesh_gauge_set(lease->held, 1);
    mesh_counter_add(leases->takeovers, unclean);
    ++*n_held;
    group->changed(group->changed_arg);
    return MESH_OK;
}

static enum state state_of(struct mesh__leases *leases, const struct lease *lease)
{
    enum state state;

    pthread_mutex_lock(&leases->lock);
    state = lease->state;
    pthread_mutex_unlock(&leases->lock);
    return state;
}

static MESH_STATUS see_to(struct mesh__lease_group *group, struct lease *lease, size_t *n_held)
{
    enum state state = state_of(group->leases, lease);

    if (state == STATE_LEFT || (state == STATE_FREE && lease->ours)) {
        return give(group->leases, lease);
    }
    if (state == STATE_FREE && !lease->anybodys && !outdone(group) && *n_held < fair(group)) {
        return take(group, lease, n_held);
    }
    return MESH_OK;
}

static void note_failure(struct mesh__leases *leases, const char *what)
{
    if (!atomic_load(&leases->cut) && mesh__now_ns() >= leases->log_at_ns) {
        leases->log_at_ns = mesh__in_ms(LOG_EVERY_MS);
        mesh_log(MESH_LOG_WARN,
                 MESH_LOG_FIELDS(mesh_log_text("of", what),
                                 mesh_log_text("reason", mesh_ctx_error(leases->ctx))),
                 "leases cannot be seen to now");
    }
}

/* What cannot be done for one lease holds up no other. */
static void share_out(struct mesh__lease_group *group)
{
    size_t n_held;

    review(group, &n_held);
    for (size_t i = 0; i < group->n; i++) {
        if (see_to(group, &group->all[i], &n_held) != MESH_OK) {
            note_failure(group->leases, group->all[i].name);
        }
    }
}

/* ---- the thread ---- */

/* Returns how many groups cannot be worked for here. */
static size_t list_unable(struct mesh__leases *leases, const char *ret_names[GROUPS_MAX])
{
    size_t n = 0;

    pthread_mutex_lock(&leases->lock);
    for (size_t g = 0; g < leases->n_groups; g++) {
        if (!leases->groups[g]->able) {
            ret_names[n++] = leases->groups[g]->name;
        }
    }
    pthread_mutex_unlock(&leases->lock);
    return n;
}

static MESH_STATUS keep(struct mesh__leases *leases)
{
    const char *unable[GROUPS_MAX];
    size_t n_unable = list_unable(leases, unable);
    enum mesh_status status;
    /* By the time of its sending: the database cannot have begun to count before. */
    int64_t until_ns = mesh__in_ms(mesh__lease_ms - mesh__lease_ms / 6);

    status = mesh_db_query(leases->ctx, leases->db, &mesh__sql_keep_replica,
                           MESH_ARGS(mesh_text(leases->replica), mesh_text_array(unable, n_unable)),
                           NULL);
    pthread_mutex_lock(&leases->lock);
    if (status != MESH_OK || mesh__now_ns() >= leases->valid_until_ns) {
        /* The database is or was away, for the others too, or we have just come. */
        mesh__gone_wait(&leases->gone);
    }
    if (status == MESH_OK) {
        leases->valid_until_ns = until_ns;
    }
    pthread_mutex_unlock(&leases->lock);
    return status;
}

static void beat(struct mesh__leases *leases)
{
    mesh__ctx_reset(leases->ctx, mesh__in_ms(STATEMENT_MS));
    leases->ctx->cancelled = &leases->cut;
    if (keep(leases) != MESH_OK) { /* the pool has logged that the database is away */
        return;
    }
    if (mesh__gone_remove(&leases->gone, leases->ctx) != MESH_OK) {
        note_failure(leases, "replicas that have gone");
    }
    if (look(leases) != MESH_OK) {
        note_failure(leases, "all");
        return;
    }
    for (size_t g = 0; g < leases->n_groups; g++) {
        share_out(leases->groups[g]);
    }
}

/* What was held and is not valid any more is left without waiting for the database, and gone on
 * with when it is again. */
static void tell_validity(struct mesh__leases *leases)
{
    bool valid;

    pthread_mutex_lock(&leases->lock);
    valid = mesh__now_ns() < leases->valid_until_ns;
    pthread_mutex_unlock(&leases->lock);
    for (size_t g = 0; !(valid && leases->told_valid) && g < leases->n_groups; g++) {
        leases->groups[g]->changed(leases->groups[g]->changed_arg);
    }
    leases->told_valid = valid;
}

/* False: it is time to stop. */
static bool pause_until_next(struct mesh__leases *leases)
{
    int64_t until_ns = mesh__in_ms(BEAT_MS);
    bool go_on;

    pthread_mutex_lock(&leases->lock);
    while (!leases->stopping && !leases->beat_now) {
        if (!mesh__condition_wait(&leases->wake_up, &leases->lock, until_ns)) {
            break;
        }
    }
    leases->beat_now = false;
    go_on = !leases->stopping;
    pthread_mutex_unlock(&leases->lock);
    return go_on;
}

static void leave(struct mesh__leases *leases)
{
    mesh__ctx_reset(leases->ctx, mesh__in_ms(STOP_MS));
    /* Without the database the others find out by themselves. */
    mesh_ignore(mesh_db_query(leases->ctx, leases->db, &mesh__sql_leave_leases,
                              MESH_ARGS(mesh_text(leases->replica)), NULL));
}

static void *run(void *arg)
{
    struct mesh__leases *leases = arg;

    do {
        beat(leases);
        tell_validity(leases);
    } while (pause_until_next(leases));
    leave(leases);
    return NULL;
}

/* ---- the life of it ---- */

struct mesh__leases *mesh__leases_new(const struct mesh__leases_options *options)
{
    struct mesh__leases *leases = mesh__calloc(1, sizeof(*leases));
    const struct mesh_db_options db_options = {.url = options->url,
                                               .schema = options->schema,
                                               .application_name = options->replica,
                                               .size = 1,
                                               .named = true,
                                               .metric_label = "leases",
                                               .settings = "-c lock_timeout=" LOCK_MS};

    leases->replica = mesh__strdup(options->replica);
    leases->db = mesh__db_new(&db_options);
    mesh__gone_init(&leases->gone, leases->db, leases->replica);
    leases->ctx = mesh__ctx_new("leases", 0, MESH_NO_DEADLINE);
    pthread_mutex_init(&leases->lock, NULL);
    mesh__condition_init(&leases->wake_up);
    leases->replicas = mesh_gauge("mesh_replicas", "Replicas of this service that live", NULL);
    leases->takeovers = mesh_counter("mesh_lease_takeovers_total",
                                     "Leases taken over from replicas that had gone", NULL);
    leases->given_up = mesh_counter("mesh_leases_given_up_total",
                                    "Leases given up because their work could be done by another "
                                    "replica, but not here: the broker was out of reach",
                                    NULL);
    return leases;
}

static void name_lease(struct lease *lease, const char *name, size_t i)
{
    const char *labels[] = {"lease", lease->name, NULL};

    (void)snprintf(lease->name, sizeof(lease->name), "%s/%zu", name, i);
    lease->held = mesh_gauge("mesh_lease_held", "1 if this replica holds the lease", labels);
}

struct mesh__lease_group *mesh__leases_add(struct mesh__leases *leases, const char *name, size_t n,
                                           void (*changed)(void *arg), void *arg)
{
    struct mesh__lease_group *group = mesh__calloc(1, sizeof(*group));

    assert(!leases->started && leases->n_groups < GROUPS_MAX);
    *group = (struct mesh__lease_group){
        .leases = leases, .changed = changed, .changed_arg = arg, .able = true, .n = n};
    (void)snprintf(group->name, sizeof(group->name), "%s", name);
    group->all = mesh__calloc(n, sizeof(*group->all));
    for (size_t i = 0; i < n; i++) {
        name_lease(&group->all[i], name, i);
    }
    leases->groups[leases->n_groups++] = group;
    return group;
}

void mesh__leases_start(struct mesh__leases *leases)
{
    if (leases == NULL) {
        return;
    }
    leases->started = true;
    mesh__thread_start(&leases->thread, "mesh-leases", run, leases);
}

void mesh__leases_stop(struct mesh__leases *leases)
{
    if (leases == NULL || !leases->started) {
        return;
    }
    leases->started = false;
    atomic_store(&leases->cut, true);
    pthread_mutex_lock(&leases->lock);
    leases->stopping = true;
    pthread_cond_signal(&leases->wake_up);
    pthread_mutex_unlock(&leases->lock);
    pthread_join(leases->thread, NULL);
}

void mesh__leases_free(struct mesh__leases *leases)
{
    if (leases == NULL) {
        return;
    }
    mesh__leases_stop(leases);
    for (size_t g = 0; g < leases->n_groups; g++) {
        free(leases->groups[g]->all);
        free(leases->groups[g]);
    }
    mesh__gone_done(&leases->gone);
    mesh__db_free(leases->db);
    mesh__ctx_free(leases->ctx);
    pthread_cond_destroy(&leases->wake_up);
    pthread_mutex_destroy(&leases->lock);
    free(leases->replica);
    free(leases);
}
