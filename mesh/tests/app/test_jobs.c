/* SPDX-License-Identifier: Apache-2.0 */
#include "app/jobs.h"
#include "core/clock.h"
#include "core/log_impl.h"
#include "mesh/metrics.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* What the jobs of a test share with it. */
struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int runs;
    int saw_cancel;
    enum mesh_status answer; /* of `counting` */
    int runs_with_more;      /* of the first runs of `counting` */
    char traces[3][33];
    int64_t remaining_ms;
    int64_t starts_ns[3];
    bool in_run;
    bool let_go; /* ends `holding` */
};

static char log_text[65536];
static size_t log_size;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void capture(void *arg, const char *line, size_t size)
{
    (void)arg;
    pthread_mutex_lock(&log_mutex);
    if (log_size + size < sizeof(log_text)) {
        memcpy(log_text + log_size, line, size);
        log_size += size;
        log_text[log_size] = '\0';
    }
    pthread_mutex_unlock(&log_mutex);
}

static int log_count(const char *part)
{
    int n = 0;

    pthread_mutex_lock(&log_mutex);
    for (const char *at = log_text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    pthread_mutex_unlock(&log_mutex);
    return n;
}

static void shared_init(struct shared *shared)
{
    *shared = (struct shared){.answer = MESH_OK};
    pthread_mutex_init(&shared->mutex, NULL);
    pthread_cond_init(&shared->changed, NULL);
    pthread_mutex_lock(&log_mutex);
    log_size = 0;
    log_text[0] = '\0';
    pthread_mutex_unlock(&log_mutex);
}

static void wait_for_runs(struct shared *shared, int n)
{
    pthread_mutex_lock(&shared->mutex);
    while (shared->runs < n) {
        pthread_cond_wait(&shared->changed, &shared->mutex);
    }
    pthread_mutex_unlock(&shared->mutex);
}

static MESH_STATUS counting(struct mesh_ctx *ctx, void *service, bool *ret_more)
{
    struct shared *shared = service;
    enum mesh_status status;

    pthread_mutex_lock(&shared->mutex);
    if (shared->runs < 3) {
        (void)snprintf(shared->traces[shared->runs], 33, "%s", mesh_ctx_trace_id(ctx));
        shared->starts_ns[shared->runs] = mesh__now_ns();
    }
    shared->remaining_ms = mesh_ctx_remaining_ms(ctx);
    shared->runs++;
    *ret_more = shared->runs <= shared->runs_with_more;
    status = shared->answer;
    pthread_cond_broadcast(&shared->changed);
    pthread_mutex_unlock(&shared->mutex);
    return status == MESH_OK ? MESH_OK : mesh_fail(ctx, status, "nothing works");
}

static MESH_STATUS holding(struct mesh_ctx *ctx, void *service, bool *ret_more)
{
    struct shared *shared = service;

    *ret_more = true;
    pthread_mutex_lock(&shared->mutex);
    shared->in_run = true;
    shared->runs++;
    pthread_cond_broadcast(&shared->changed);
    while (!shared->let_go && !mesh_ctx_cancelled(ctx)) {
        const struct timespec soon = {.tv_nsec = MESH_NS_PER_MS};

        pthread_mutex_unlock(&shared->mutex);
        nanosleep(&soon, NULL); /* cancellation is a flag, nothing to wait on */
        pthread_mutex_lock(&shared->mutex);
    }
    shared->saw_cancel += mesh_ctx_cancelled(ctx) ? 1 : 0;
    shared->in_run = false;
    pthread_mutex_unlock(&shared->mutex);
    return MESH_OK;
}

/* ---- leases that the test gives and takes ---- */

struct mesh__leases {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    char added[64];
    size_t n_added;
    void (*call)(void *arg);
    void *arg;
    uint64_t term;
    int left; /* times */
};

struct mesh__lease_group {
    struct mesh__leases *leases;
};

static struct mesh__leases given = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                    .changed = PTHREAD_COND_INITIALIZER};
static struct mesh__lease_group lease_group = {&given};

struct mesh__lease_group *mesh__leases_add(struct mesh__leases *leases, const char *name, size_t n,
                                           void (*changed)(void *arg), void *arg)
{
    leases->n_added += n;
    (void)snprintf(leases->added, sizeof(leases->added), "%s", name);
    leases->call = changed;
    leases->arg = arg;
    return &lease_group;
}

uint64_t mesh__lease_term(const struct mesh__lease_group *group, size_t i)
{
    uint64_t term;

    if (group == NULL) {
        return 1;
    }
    CHECK_INT(i, 0);
    pthread_mutex_lock(&given.mutex);
    term = given.term;
    pthread_mutex_unlock(&given.mutex);
    return term;
}

void mesh__lease_left(struct mesh__lease_group *group, size_t i)
{
    if (group != NULL) {
        CHECK_INT(i, 0);
        pthread_mutex_lock(&given.mutex);
        given.left++;
        pthread_cond_broadcast(&given.changed);
        pthread_mutex_unlock(&given.mutex);
    }
}

static void set_term(uint64_t term)
{
    pthread_mutex_lock(&given.mutex);
    given.term = term;
    given.left = 0;
    pthread_mutex_unlock(&given.mutex);
    given.call(given.arg);
}

static void wait_until_left(void)
{
    pthread_mutex_lock(&given.mutex);
    while (given.left == 0) {
        pthread_cond_wait(&given.changed, &given.mutex);
    }
    pthread_mutex_unlock(&given.mutex);
}

/* ---- running ---- */

static struct mesh__jobs *start(const struct mesh_job *jobs, struct shared *shared)
{
    const struct mesh__jobs_options options = {
        .jobs = jobs, .service = "shop", .state = shared, .leases = &given};

    return mesh__jobs_start(&options);
}

static void end(struct mesh__jobs *jobs, int64_t grace_ms)
{
    mesh__jobs_stop(jobs, grace_ms);
    mesh__jobs_free(jobs);
}

static uint64_t counter(const char *name, const char *job)
{
    return mesh_counter_value(mesh_counter(name,
                                           strcmp(name, "mesh_job_runs_total") == 0
                                               ? "Finished runs of a job."
                                               : "Runs of a job that failed.",
                                           (const char *const[]){"job", job, NULL}));
}

TEST(a_job_runs_again_and_again_each_time_with_a_trace_of_its_own)
{
    const struct mesh_job list[] = {{.name = "count", .interval_ms = 20, .run = counting}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;

    shared_init(&shared);
    jobs = start(list, &shared);
    wait_for_runs(&shared, 3);
    end(jobs, 1000);
    CHECK(counter("mesh_job_runs_total", "count") == (uint64_t)shared.runs);
    CHECK_INT(counter("mesh_job_failures_total", "count"), 0);
    CHECK_INT(strlen(shared.traces[0]), 32);
    CHECK(strcmp(shared.traces[0], shared.traces[1]) != 0);
    CHECK(strcmp(shared.traces[1], shared.traces[2]) != 0);
    CHECK(shared.remaining_ms > 29000 && shared.remaining_ms <= 30000);
    /* the interval, less the tenth that chance may take */
    CHECK(shared.starts_ns[1] - shared.starts_ns[0] >= 18 * MESH_NS_PER_MS);
    CHECK(shared.starts_ns[2] - shared.starts_ns[1] >= 18 * MESH_NS_PER_MS);
}

TEST(a_run_that_leaves_work_undone_is_followed_by_the_next_at_once)
{
    const struct mesh_job list[] = {{.name = "much", .interval_ms = 3600000, .run = counting}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;

    shared_init(&shared);
    shared.runs_with_more = 3;
    jobs = start(list, &shared);
    wait_for_runs(&shared, 4); /* the first waits for a tenth of the interval, at most a second */
    end(jobs, 1000);
    CHECK_INT(shared.runs, 4);
}

TEST(a_failure_is_counted_logged_once_and_followed_by_the_next_run)
{
    const struct mesh_job list[] = {{.name = "fail", .interval_ms = 1, .run = counting}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;
    int failed;

    shared_init(&shared);
    shared.answer = MESH_UNAVAILABLE;
    jobs = start(list, &shared);
    wait_for_runs(&shared, 3);
    pthread_mutex_lock(&shared.mutex);
    failed = shared.runs;
    shared.answer = MESH_OK;
    pthread_mutex_unlock(&shared.mutex);
    wait_for_runs(&shared, failed + 2); /* so that one good run has been recorded */
    end(jobs, 1000);
    CHECK_INT(counter("mesh_job_failures_total", "fail"), failed);
    CHECK_INT(log_count("job failed: nothing works"), 1);
    CHECK_INT(log_count("UNAVAILABLE"), 1);
    CHECK_INT(log_count("job works again"), 1);
}

TEST(a_stop_wakes_a_job_that_waits)
{
    const struct mesh_job list[] = {{.name = "rare", .interval_ms = 3600000, .run = counting}, {0}};
    struct shared shared;
    int64_t start_ns = mesh__now_ns();

    shared_init(&shared);
    end(start(list, &shared), 60000);
    CHECK(mesh__now_ns() - start_ns < 5 * MESH_NS_PER_S);
}

TEST(a_run_under_way_may_finish_within_the_grace_period)
{
    const struct mesh_job list[] = {{.name = "hold", .interval_ms = 1, .run = holding}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;

    shared_init(&shared);
    jobs = start(list, &shared);
    wait_for_runs(&shared, 1);
    mesh__jobs_finish(jobs);
    pthread_mutex_lock(&shared.mutex);
    CHECK(shared.in_run);
    shared.let_go = true;
    pthread_mutex_unlock(&shared.mutex);
    end(jobs, 60000);
    CHECK_INT(shared.saw_cancel, 0);
    CHECK_INT(shared.runs, 1); /* none began after the finish, though there was more to do */
}

TEST(a_run_that_does_not_end_is_cancelled_after_the_grace_period)
{
    const struct mesh_job list[] = {{.name = "hang", .interval_ms = 1, .run = holding}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;
    int64_t start_ns;

    shared_init(&shared);
    jobs = start(list, &shared);
    wait_for_runs(&shared, 1);
    start_ns = mesh__now_ns();
    end(jobs, 30);
    CHECK(mesh__now_ns() - start_ns >= 30 * MESH_NS_PER_MS);
    CHECK_INT(shared.saw_cancel, 1);
}

TEST(several_jobs_run_beside_each_other)
{
    const struct mesh_job list[] = {{.name = "holds", .interval_ms = 1, .run = holding},
                                    {.name = "counts", .interval_ms = 1, .run = counting},
                                    {0}};
    struct shared shared;
    struct mesh__jobs *jobs;

    shared_init(&shared);
    jobs = start(list, &shared);
    wait_for_runs(&shared, 10); /* one hangs, so the other one made nine */
    end(jobs, 0);
    CHECK(counter("mesh_job_runs_total", "counts") >= 9);
}

TEST(a_single_job_runs_while_its_lease_is_held_and_leaves_it_between_runs)
{
    const struct mesh_job list[] = {
        {.name = "one", .interval_ms = 1, .run = counting, .single = true}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;
    int runs;

    shared_init(&shared);
    given.term = 0;
    given.n_added = 0;
    jobs = start(list, &shared);
    CHECK_TEXT(given.added, "job one");
    CHECK_INT(given.n_added, 1);
    set_term(1);
    wait_for_runs(&shared, 2);
    set_term(0);
    wait_until_left();
    pthread_mutex_lock(&shared.mutex);
    runs = shared.runs;
    pthread_mutex_unlock(&shared.mutex);
    set_term(2);
    wait_for_runs(&shared, runs + 1);
    set_term(0);
    wait_until_left();
    end(jobs, 1000);
}

TEST(a_run_under_way_keeps_its_lease_from_being_left)
{
    const struct mesh_job list[] = {
        {.name = "long", .interval_ms = 3600000, .run = holding, .single = true}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;

    shared_init(&shared);
    given.term = 1;
    jobs = start(list, &shared);
    wait_for_runs(&shared, 1);
    set_term(0);
    CHECK_INT(given.left, 0); /* the callback has returned; only the run's end leaves it */
    pthread_mutex_lock(&shared.mutex);
    CHECK(shared.in_run);
    shared.let_go = true;
    pthread_mutex_unlock(&shared.mutex);
    wait_until_left();
    end(jobs, 1000);
}

TEST(a_job_of_all_replicas_asks_for_no_lease)
{
    const struct mesh_job list[] = {{.name = "all", .interval_ms = 1, .run = counting}, {0}};
    struct shared shared;
    struct mesh__jobs *jobs;

    shared_init(&shared);
    given.term = 0;
    given.n_added = 0;
    jobs = start(list, &shared);
    wait_for_runs(&shared, 1);
    end(jobs, 1000);
    CHECK_INT(given.n_added, 0);
}

TEST(no_jobs_are_fine)
{
    const struct mesh__jobs_options none = {.jobs = NULL};

    end(mesh__jobs_start(&none), 0);
    mesh__jobs_finish(NULL);
    end(NULL, 0);
}

static int set_up(void **state)
{
    (void)state;
    mesh__log_capture(capture, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__log_capture(NULL, NULL);
    return 0;
}

TEST_MAIN(set_up, tear_down)
