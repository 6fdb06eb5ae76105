/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "mesh/batcher.h"
#include "mesh/metrics.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MAX_CALLS 256

/* What the batches of one test did. The one with the key "held" waits inside for open(). */
static struct {
    struct mesh_batcher *batcher;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside; /* a held batch is */
    bool opened;
    size_t sizes[MAX_CALLS];
    size_t n;
    int order[MAX_CALLS]; /* of the members, as they were done */
    size_t n_done;
    enum mesh_status status; /* of whole batches */
    int64_t deadline_ns;     /* of the last one */
    bool cancelled;
} seen;

static enum mesh_status fail_all(struct mesh_ctx *ctx)
{
    return seen.status == MESH_UNAVAILABLE ? mesh_fail_retry(ctx, 70, "come again")
                                           : mesh_fail(ctx, seen.status, "the batch failed");
}

/* A negative number is refused, any other one doubled. */
static void do_one(struct mesh_batch_member *member)
{
    int number = *(const int *)member->request;

    if (number < 0) {
        member->status = mesh_fail_reason(member->ctx, MESH_FAILED_PRECONDITION, "NEGATIVE",
                                          "%d is negative", number);
    } else {
        *(char **)member->response = mesh_printf(member->ctx, "%d", 2 * number);
    }
    seen.order[seen.n_done++ % MAX_CALLS] = number;
}

static enum mesh_status run(struct mesh_ctx *ctx, void *arg, struct mesh_batch_member *members,
                            size_t n)
{
    enum mesh_status status;

    CHECK(arg == &seen);
    (void)pthread_mutex_lock(&seen.lock);
    seen.sizes[seen.n++ % MAX_CALLS] = n;
    for (size_t i = 0; i < n; i++) {
        do_one(&members[i]);
    }
    seen.inside = true;
    (void)pthread_cond_broadcast(&seen.changed);
    while (!seen.opened) {
        (void)pthread_cond_wait(&seen.changed, &seen.lock);
    }
    seen.deadline_ns = ctx->deadline_ns;
    seen.cancelled = mesh_ctx_cancelled(ctx);
    status = seen.status == MESH_OK ? MESH_OK : fail_all(ctx);
    (void)pthread_mutex_unlock(&seen.lock);
    return status;
}

static void given_batcher(bool opened)
{
    memset(&seen, 0, sizeof(seen));
    (void)pthread_mutex_init(&seen.lock, NULL);
    mesh__condition_init(&seen.changed);
    seen.opened = opened;
    seen.batcher = mesh_batcher_new("test", run, &seen);
}

static int64_t n_waiting(void)
{
    return (int64_t)mesh_gauge_value(mesh_gauge("mesh_batch_waiting",
                                                "Calls whose batch has not begun.",
                                                (const char *[]){"batcher", "test", NULL}));
}

static void done_with_batcher(void)
{
    CHECK_INT(n_waiting(), 0);
    mesh_batcher_free(seen.batcher);
    (void)pthread_cond_destroy(&seen.changed);
    (void)pthread_mutex_destroy(&seen.lock);
}

static void await_inside(void)
{
    (void)pthread_mutex_lock(&seen.lock);
    while (!seen.inside) {
        (void)pthread_cond_wait(&seen.changed, &seen.lock);
    }
    (void)pthread_mutex_unlock(&seen.lock);
}

static void await_waiting(int64_t n)
{
    while (n_waiting() != n) {
        (void)sched_yield();
    }
}

static void open_gate(void)
{
    (void)pthread_mutex_lock(&seen.lock);
    seen.opened = true;
    (void)pthread_cond_broadcast(&seen.changed);
    (void)pthread_mutex_unlock(&seen.lock);
}

/* ---- callers ---- */

struct caller {
    pthread_t thread;
    const char *key;
    int number;
    int64_t timeout_ms;
    atomic_bool cancelled;
    enum mesh_status status;
    char result[16];
    char reason[16];
    char text[64];
    int64_t retry_ms;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(caller->timeout_ms);
    char *result = NULL;

    ctx->cancelled = &caller->cancelled;
    caller->status = mesh_batcher_call(ctx, seen.batcher, caller->key, &caller->number, &result);
    if (result != NULL) {
        strncpy(caller->result, result, sizeof(caller->result) - 1);
    }
    strncpy(caller->reason, mesh_ctx_error_reason(ctx), sizeof(caller->reason) - 1);
    strncpy(caller->text, mesh_ctx_error(ctx), sizeof(caller->text) - 1);
    caller->retry_ms = mesh_ctx_error_retry_ms(ctx);
    return NULL;
}

static void start(struct caller *caller, const char *key, int number)
{
    caller->key = key;
    caller->number = number;
    if (caller->timeout_ms == 0) {
        caller->timeout_ms = 60000;
    }
    CHECK_INT(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void join(struct caller *callers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(pthread_join(callers[i].thread, NULL), 0);
    }
}

/* The first is in a batch that is held, and the others wait, in this order. */
static void given_held(struct caller *callers, size_t n)
{
    given_batcher(false);
    start(&callers[0], "row", 0);
    await_inside();
    for (size_t i = 1; i < n; i++) {
        start(&callers[i], "row", (int)i);
        await_waiting((int64_t)i);
    }
}

TEST(a_call_that_nobody_else_makes_is_a_batch_of_its_own)
{
    struct caller callers[2] = {0};

    given_batcher(true);
    for (size_t i = 0; i < 2; i++) {
        start(&callers[i], "row", 7);
        join(&callers[i], 1);
        CHECK_INT(callers[i].status, MESH_OK);
        CHECK_TEXT(callers[i].result, "14");
        CHECK_INT(seen.sizes[i], 1);
    }
    CHECK_INT(seen.n, 2);
    done_with_batcher();
}

TEST(who_comes_while_a_batch_runs_is_done_in_the_next_in_the_order_of_coming)
{
    struct caller callers[6] = {0};

    given_held(callers, 6);
    open_gate();
    join(callers, 6);
    CHECK_INT(seen.n, 2);
    CHECK_INT(seen.sizes[0], 1);
    CHECK_INT(seen.sizes[1], 5);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(seen.order[i], i);
        CHECK_INT(callers[i].status, MESH_OK);
        CHECK_INT(strtol(callers[i].result, NULL, 10), 2 * i);
    }
    done_with_batcher();
}

TEST(a_batch_has_no_more_than_64_members)
{
    struct caller callers[1 + MESH_BATCH_MAX + 6] = {0};

    given_held(callers, 1 + MESH_BATCH_MAX + 6);
    open_gate();
    join(callers, 1 + MESH_BATCH_MAX + 6);
    CHECK_INT(seen.n, 3);
    CHECK_INT(seen.sizes[1], MESH_BATCH_MAX);
    CHECK_INT(seen.sizes[2], 6);
    done_with_batcher();
}

/* A batch of another key that runs beside the held one. */
static enum mesh_status run_at_once(struct mesh_ctx *ctx __attribute__((unused)), void *arg,
                                    struct mesh_batch_member *members, size_t n)
{
    pthread_barrier_t *both = arg;

    CHECK_INT(n, 1);
    CHECK(*(const int *)members[0].request > 0);
    pthread_barrier_wait(both);
    return MESH_OK;
}

TEST(different_keys_do_not_wait_for_each_other)
{
    struct caller callers[2] = {0};
    pthread_barrier_t both;

    CHECK_INT(pthread_barrier_init(&both, NULL, 2), 0);
    given_batcher(true);
    mesh_batcher_free(seen.batcher);
    seen.batcher = mesh_batcher_new("test", run_at_once, &both);
    for (int round = 0; round < 100; round++) {
        start(&callers[0], "one", 1);
        start(&callers[1], "other", 1);
        join(callers, 2); /* each came to the barrier */
    }
    done_with_batcher();
    (void)pthread_barrier_destroy(&both);
}

TEST(one_that_fails_does_not_fail_the_others)
{
    struct caller callers[4] = {0};

    given_held(callers, 2);
    start(&callers[2], "row", -5);
    await_waiting(2);
    start(&callers[3], "row", 3);
    await_waiting(3);
    open_gate();
    join(callers, 4);
    CHECK_INT(seen.sizes[1], 3);
    CHECK_INT(callers[1].status, MESH_OK);
    CHECK_INT(callers[2].status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(callers[2].reason, "NEGATIVE");
    CHECK_TEXT(callers[2].text, "-5 is negative");
    CHECK_INT(callers[3].status, MESH_OK);
    CHECK_TEXT(callers[3].result, "6");
    CHECK_TEXT(callers[3].text, "");
    done_with_batcher();
}

TEST(what_fails_as_a_whole_is_the_outcome_of_all)
{
    static const enum mesh_status statuses[] = {MESH_UNKNOWN, MESH_UNAVAILABLE, MESH_ABORTED};

    for (size_t way = 0; way < 3; way++) {
        struct caller callers[4] = {0};

        given_held(callers, 4);
        seen.status = statuses[way]; /* under the lock that the gate takes */
        open_gate();
        join(callers, 4);
        for (size_t i = 0; i < 4; i++) {
            CHECK_INT(callers[i].status, statuses[way]);
            CHECK_TEXT(callers[i].text, way == 1 ? "come again" : "the batch failed");
            CHECK_INT(callers[i].retry_ms, way == 1 ? 70 : -1);
        }
        done_with_batcher();
    }
}

TEST(a_call_whose_time_is_over_before_its_batch_begins_is_left_out)
{
    struct caller callers[3] = {0};

    callers[1].timeout_ms = 20;
    given_held(callers, 1);
    start(&callers[1], "row", 1);
    join(&callers[1], 1); /* while the other is held */
    CHECK_INT(callers[1].status, MESH_DEADLINE_EXCEEDED);
    start(&callers[2], "row", 2);
    await_waiting(1);
    open_gate();
    join(&callers[0], 1);
    join(&callers[2], 1);
    CHECK_INT(callers[2].status, MESH_OK);
    CHECK_INT(seen.n_done, 2);
    done_with_batcher();
}

TEST(a_cancelled_call_is_left_out_wherever_it_waits)
{
    for (int which = 1; which < 4; which++) {
        struct caller callers[4] = {0};

        given_held(callers, 4);
        callers[which].cancelled = true;
        open_gate();
        join(callers, 4);
        CHECK_INT(seen.n_done, 3);
        for (int i = 0; i < 4; i++) {
            CHECK_INT(callers[i].status, i == which ? MESH_CANCELLED : MESH_OK);
        }
        done_with_batcher();
    }
}

TEST(a_call_without_time_does_nothing)
{
    struct caller caller = {.cancelled = true};

    given_batcher(true);
    start(&caller, "row", 1);
    join(&caller, 1);
    CHECK_INT(caller.status, MESH_CANCELLED);
    CHECK_INT(seen.n, 0);
    done_with_batcher();
}

TEST(what_has_begun_is_not_cancelled_and_its_outcome_counts)
{
    struct caller callers[3] = {0};

    given_held(callers, 1);
    callers[0].cancelled = true;
    open_gate();
    join(callers, 1);
    CHECK_INT(callers[0].status, MESH_OK);
    CHECK(!seen.cancelled);
    done_with_batcher();
}

static int64_t deadline_of_batch(int64_t timeout_ms, int64_t other_timeout_ms)
{
    struct caller callers[3] = {{0}, {.timeout_ms = timeout_ms}, {.timeout_ms = other_timeout_ms}};
    int64_t left_ns;

    given_held(callers, 3);
    open_gate();
    join(callers, 3);
    CHECK_INT(seen.sizes[1], 2);
    left_ns = seen.deadline_ns - mesh__now_ns();
    done_with_batcher();
    return left_ns / MESH_NS_PER_MS;
}

TEST(a_batch_has_the_time_of_the_member_who_has_most_and_an_end)
{
    CHECK(deadline_of_batch(4000, 8000) > 4000);
    CHECK(deadline_of_batch(8000, 4000) > 4000);
    CHECK(deadline_of_batch(4000, 4000) <= 4000);
    CHECK(deadline_of_batch(4000, 600000) <= MESH_BATCH_TIMEOUT_MS);
}

/* ---- many at once ---- */

#define KEYS 3
#define THREADS 24
#define ROUNDS 400

static atomic_int running[KEYS];
static int64_t sums[KEYS]; /* guarded by nothing but the batcher */

static enum mesh_status add(struct mesh_ctx *ctx __attribute__((unused)),
                            void *arg __attribute__((unused)), struct mesh_batch_member *members,
                            size_t n)
{
    int key = *(const int *)members[0].request;

    CHECK_INT(atomic_fetch_add(&running[key], 1), 0);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(*(const int *)members[i].request, key);
        sums[key]++;
        *(int64_t *)members[i].response = sums[key];
    }
    CHECK_INT(atomic_fetch_sub(&running[key], 1), 1);
    return MESH_OK;
}

static void *add_often(void *arg)
{
    static const char *const names[KEYS] = {"a", "b", "c"};
    struct mesh_batcher *batcher = arg;
    atomic_bool cancelled = false;

    for (int i = 0; i < ROUNDS; i++) {
        cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(60000);
        int key = i % KEYS;
        int64_t sum = 0;

        ctx->cancelled = &cancelled;
        CHECK_INT(mesh_batcher_call(ctx, batcher, names[key], &key, &sum), MESH_OK);
        CHECK(sum > 0);
    }
    return NULL;
}

TEST(nothing_is_done_twice_or_forgotten_among_many)
{
    struct mesh_batcher *batcher = mesh_batcher_new("test", add, NULL);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, add_often, batcher), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(sums[0] + sums[1] + sums[2], THREADS * ROUNDS);
    CHECK_INT(n_waiting(), 0);
    mesh_batcher_free(batcher);
}

TEST_MAIN(NULL, NULL)
