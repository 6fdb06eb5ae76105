/* SPDX-License-Identifier: Apache-2.0 */
#include "app/jobs.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "mesh/log.h"
#include "mesh/metrics.h"
#include "rpc/client_impl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RUN_MS 30000
/* A job that fails the same way again and again is logged no more often than this. */
#define LOG_EVERY_NS (10 * MESH_NS_PER_S)

struct runner {
    struct mesh__jobs *jobs;
    const struct mesh_job *job;
    struct mesh__lease_group *lease; /* of a single job among replicas; NULL: always ours */
    bool running;                    /* under the mutex */
    pthread_t thread;
    struct mesh_counter *runs;
    struct mesh_counter *failures;
    struct mesh_histogram *seconds;
    enum mesh_status last; /* outcome of the last run */
    int64_t failed_runs;   /* since the last good one */
    int64_t log_at_ns;     /* the same failure is not logged before */
};

struct mesh__jobs {
    struct mesh__jobs_options options;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool finishing;
    size_t n_alive; /* threads that have not come to their end */
    atomic_bool cancelled;
    size_t n;
    struct runner runners[];
};

/* Waits ms, or less if the jobs are to finish; then false. */
static bool pause_for(struct mesh__jobs *jobs, int64_t ms)
{
    int64_t until_ns = mesh__in_ms(ms);
    bool go_on;

    pthread_mutex_lock(&jobs->mutex);
    while (!jobs->finishing && mesh__now_ns() < until_ns) {
        mesh__condition_wait(&jobs->changed, &jobs->mutex, until_ns);
    }
    go_on = !jobs->finishing;
    pthread_mutex_unlock(&jobs->mutex);
    return go_on;
}

/* ---- jobs that only one replica runs ---- */

static bool is_ours(const struct runner *runner)
{
    return mesh__lease_term(runner->lease, 0) != 0;
}

static void leave_if_lost(struct runner *runner)
{
    if (!runner->running && !is_ours(runner)) {
        mesh__lease_left(runner->lease, 0);
    }
}

static void lease_changed(void *arg)
{
    struct runner *runner = arg;

    pthread_mutex_lock(&runner->jobs->mutex);
    leave_if_lost(runner);
    pthread_mutex_unlock(&runner->jobs->mutex);
}

static void ask_for_lease(struct runner *runner, struct mesh__leases *leases)
{
    char name[64];

    if (runner->job->single && leases != NULL) {
        (void)snprintf(name, sizeof(name), "job %s", runner->job->name);
        runner->lease = mesh__leases_add(leases, name, 1, lease_changed, runner);
    }
}

/* False: another replica runs it. */
static bool enter(struct runner *runner)
{
    pthread_mutex_lock(&runner->jobs->mutex);
    runner->running = is_ours(runner);
    pthread_mutex_unlock(&runner->jobs->mutex);
    return runner->running;
}

static void leave(struct runner *runner)
{
    pthread_mutex_lock(&runner->jobs->mutex);
    runner->running = false;
    leave_if_lost(runner);
    pthread_mutex_unlock(&runner->jobs->mutex);
}

/* ---- running ---- */

static void log_failure(struct runner *runner, struct mesh_ctx *ctx, enum mesh_status status)
{
    int64_t now_ns = mesh__now_ns();

    if (status == runner->last && now_ns < runner->log_at_ns) {
        return;
    }
    runner->log_at_ns = now_ns + LOG_EVERY_NS;
    mesh_log(MESH_LOG_WARN,
             MESH_LOG_FIELDS(mesh_log_text("job", runner->job->name),
                             mesh_log_text("code", mesh_status_name(status)),
                             mesh_log_int("failed_runs", runner->failed_runs),
                             mesh_log_text("trace_id", mesh_ctx_trace_id(ctx))),
             "job failed: %s", mesh_ctx_error(ctx));
}

static void record(struct runner *runner, struct mesh_ctx *ctx, enum mesh_status status,
                   int64_t took_ns)
{
    mesh_counter_add(runner->runs, 1);
    mesh_histogram_observe(runner->seconds, (double)took_ns / (double)MESH_NS_PER_S);
    if (status != MESH_OK) {
        mesh_counter_add(runner->failures, 1);
        runner->failed_runs++;
        log_failure(runner, ctx, status);
    } else if (runner->last != MESH_OK) {
        mesh_log(MESH_LOG_INFO,
                 MESH_LOG_FIELDS(mesh_log_text("job", runner->job->name),
                                 mesh_log_int("failed_runs", runner->failed_runs)),
                 "job works again");
        runner->failed_runs = 0;
    }
    runner->last = status;
}

/* Whether it left work undone. */
static bool run_once(struct runner *runner)
{
    struct mesh__jobs *jobs = runner->jobs;
    int64_t start_ns = mesh__now_ns();
    cleanup_ctx struct mesh_ctx *ctx =
        mesh__ctx_new(jobs->options.service, jobs->options.arena_bytes, mesh__in_ms(RUN_MS));
    enum mesh_status status;
    bool more = false;

    ctx->cancelled = &jobs->cancelled;
    status = runner->job->run(ctx, jobs->options.state, &more);
    record(runner, ctx, status, mesh__now_ns() - start_ns);
    return status == MESH_OK && more;
}

static void *run_job(void *arg)
{
    struct runner *runner = arg;
    struct mesh__jobs *jobs = runner->jobs;
    int64_t tenth = runner->job->interval_ms / 10;
    int64_t pause_ms = mesh__random_between(0, tenth < 1000 ? tenth : 1000);

    while (pause_for(jobs, pause_ms)) {
        bool more = false;

        if (enter(runner)) {
            more = run_once(runner);
            leave(runner);
        }
        pause_ms = more ? 0 : runner->job->interval_ms + mesh__random_between(-tenth, tenth);
    }
    mesh__client_thread_done();
    pthread_mutex_lock(&jobs->mutex);
    jobs->n_alive--;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->mutex);
    return NULL;
}

static void start_runner(struct mesh__jobs *jobs, size_t i)
{
    struct runner *runner = &jobs->runners[i];
    const char *const labels[] = {"job", jobs->options.jobs[i].name, NULL};

    runner->jobs = jobs;
    runner->job = &jobs->options.jobs[i];
    runner->runs = mesh_counter("mesh_job_runs_total", "Finished runs of a job.", labels);
    runner->failures =
        mesh_counter("mesh_job_failures_total", "Runs of a job that failed.", labels);
    runner->seconds = mesh_histogram("mesh_job_seconds", "Duration of the runs of a job.", labels);
    ask_for_lease(runner, jobs->options.leases);
    mesh__thread_start(&runner->thread, "mesh-job", run_job, runner);
}

struct mesh__jobs *mesh__jobs_start(const struct mesh__jobs_options *options)
{
    struct mesh__jobs *jobs;
    size_t n = 0;

    while (options->jobs != NULL && options->jobs[n].name != NULL) {
        n++;
    }
    jobs = mesh__calloc(1, sizeof(*jobs) + n * sizeof(jobs->runners[0]));
    jobs->options = *options;
    jobs->n = n;
    jobs->n_alive = n;
    pthread_mutex_init(&jobs->mutex, NULL);
    mesh__condition_init(&jobs->changed);
    for (size_t i = 0; i < n; i++) {
        start_runner(jobs, i);
    }
    return jobs;
}

void mesh__jobs_finish(struct mesh__jobs *jobs)
{
    if (jobs == NULL) {
        return;
    }
    pthread_mutex_lock(&jobs->mutex);
    jobs->finishing = true;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->mutex);
}

static void wait_for_end(struct mesh__jobs *jobs, int64_t until_ns)
{
    pthread_mutex_lock(&jobs->mutex);
    while (jobs->n_alive > 0 && mesh__now_ns() < until_ns) {
        mesh__condition_wait(&jobs->changed, &jobs->mutex, until_ns);
    }
    pthread_mutex_unlock(&jobs->mutex);
}

void mesh__jobs_stop(struct mesh__jobs *jobs, int64_t grace_ms)
{
    if (jobs == NULL) {
        return;
    }
    mesh__jobs_finish(jobs);
    wait_for_end(jobs, mesh__in_ms(grace_ms));
    atomic_store(&jobs->cancelled, true);
    for (size_t i = 0; i < jobs->n; i++) {
        pthread_join(jobs->runners[i].thread, NULL);
    }
}

void mesh__jobs_free(struct mesh__jobs *jobs)
{
    if (jobs == NULL) {
        return;
    }
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->mutex);
    free(jobs);
}
