/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/breaker.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "rpc/recent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum kind { CALLS, FAILURES, SLOW };

struct mesh__breaker {
    void (*changed)(void *arg, const struct mesh__breaker_change *change);
    void *arg;
    pthread_mutex_t lock; /* of all that follows */
    struct mesh__breaker_settings settings;
    enum mesh__breaker_state state;
    uint64_t epoch;     /* one more at each change */
    int64_t changed_ns; /* when the state was entered */
    /* closed: */
    int64_t in_a_row;
    struct mesh__recent recent;
    /* half-open: */
    uint64_t round;    /* one more when the places of lost probes are given away */
    int64_t running;   /* probes of this round */
    int64_t passed;    /* probes that have succeeded */
    int64_t probed_ns; /* when the latest one was let through */
};

static bool is_off(const struct mesh__breaker_settings *settings)
{
    return settings->consecutive_failures == 0 && settings->failure_rate_percent == 0 &&
           settings->slow_call_rate_percent == 0;
}

struct mesh__breaker *
mesh__breaker_new(const struct mesh__breaker_settings *settings,
                  void (*changed)(void *arg, const struct mesh__breaker_change *change), void *arg)
{
    struct mesh__breaker *breaker = mesh__calloc(1, sizeof(*breaker));

    (void)pthread_mutex_init(&breaker->lock, NULL);
    breaker->changed = changed;
    breaker->arg = arg;
    breaker->settings = *settings;
    return breaker;
}

void mesh__breaker_free(struct mesh__breaker *breaker)
{
    if (breaker != NULL) {
        (void)pthread_mutex_destroy(&breaker->lock);
        free(breaker);
    }
}

/* ---- under the lock ----------------------------------------------------------------------- */

static int64_t count(const struct mesh__breaker *breaker, int64_t now_ns, enum kind kind)
{
    return mesh__recent_within(&breaker->recent, now_ns,
                               breaker->settings.window_ms * MESH_NS_PER_MS, kind);
}

static void enter(struct mesh__breaker *breaker, enum mesh__breaker_state state, int64_t now_ns,
                  const char *reason)
{
    struct mesh__breaker_change change = {
        .from = breaker->state,
        .to = state,
        .reason = reason,
        .in_a_row = breaker->in_a_row,
        .calls = count(breaker, now_ns, CALLS),
        .failures = count(breaker, now_ns, FAILURES),
        .slow = count(breaker, now_ns, SLOW),
    };

    breaker->state = state;
    breaker->epoch++;
    breaker->changed_ns = now_ns;
    breaker->in_a_row = 0;
    memset(&breaker->recent, 0, sizeof(breaker->recent));
    breaker->running = 0;
    breaker->passed = 0;
    if (breaker->changed != NULL) {
        breaker->changed(breaker->arg, &change);
    }
}

static int64_t n_probes(const struct mesh__breaker *breaker)
{
    return breaker->settings.half_open_calls > 0 ? breaker->settings.half_open_calls : 1;
}

static void close_if_passed(struct mesh__breaker *breaker, int64_t now_ns)
{
    if (breaker->passed >= n_probes(breaker)) {
        enter(breaker, MESH__BREAKER_CLOSED, now_ns, "the probes have succeeded");
    }
}

/* How long it is, in whole milliseconds, until open_ms have passed since then; at least 1. */
static int64_t wait_ms(const struct mesh__breaker *breaker, int64_t since_ns, int64_t now_ns)
{
    int64_t left_ns = mesh__after_ms(since_ns, breaker->settings.open_ms) - now_ns;

    return left_ns <= MESH_NS_PER_MS ? 1 : (left_ns + MESH_NS_PER_MS - 1) / MESH_NS_PER_MS;
}

static bool over(const struct mesh__breaker *breaker, int64_t since_ns, int64_t now_ns)
{
    return now_ns >= mesh__after_ms(since_ns, breaker->settings.open_ms);
}

static bool admit_probe(struct mesh__breaker *breaker, int64_t now_ns, int64_t *ret_retry_ms)
{
    if (breaker->running + breaker->passed >= n_probes(breaker)) {
        if (!over(breaker, breaker->probed_ns, now_ns)) {
            *ret_retry_ms = wait_ms(breaker, breaker->probed_ns, now_ns);
            return false;
        }
        /* They may be lost, or only slow: their results still count, their places do not. */
        breaker->running = 0;
        breaker->round++;
    }
    breaker->running++;
    breaker->probed_ns = now_ns;
    return true;
}

static bool is_slow(const struct mesh__breaker *breaker, int64_t took_ns)
{
    const struct mesh__breaker_settings *settings = &breaker->settings;

    return settings->slow_call_rate_percent > 0 && settings->slow_call_ms > 0 &&
           took_ns >= settings->slow_call_ms * MESH_NS_PER_MS;
}

static void probe_ended(struct mesh__breaker *breaker, const struct mesh__breaker_pass *pass,
                        enum mesh__breaker_outcome outcome, int64_t now_ns)
{
    if (pass->round == breaker->round) {
        breaker->running--;
    }
    if (outcome == MESH__BREAKER_FAILURE) {
        enter(breaker, MESH__BREAKER_OPEN, now_ns, "a probe has failed");
    } else if (outcome == MESH__BREAKER_SUCCESS && is_slow(breaker, now_ns - pass->started_ns)) {
        enter(breaker, MESH__BREAKER_OPEN, now_ns, "a probe was slow");
    } else if (outcome != MESH__BREAKER_NOTHING) {
        breaker->passed++;
        close_if_passed(breaker, now_ns);
    }
}

static bool reached(int64_t part, int64_t calls, int64_t percent)
{
    return percent > 0 && part * 100 >= percent * calls;
}

/* Why it should open; NULL: it should not. */
static const char *judge(const struct mesh__breaker *breaker, int64_t now_ns)
{
    const struct mesh__breaker_settings *settings = &breaker->settings;
    int64_t calls;

    if (settings->consecutive_failures > 0 && breaker->in_a_row >= settings->consecutive_failures) {
        return "failures in a row";
    }
    calls = count(breaker, now_ns, CALLS);
    if (calls == 0 || calls < settings->minimum_calls) {
        return NULL;
    }
    if (reached(count(breaker, now_ns, FAILURES), calls, settings->failure_rate_percent)) {
        return "failure rate";
    }
    if (reached(count(breaker, now_ns, SLOW), calls, settings->slow_call_rate_percent)) {
        return "slow call rate";
    }
    return NULL;
}

static void call_ended(struct mesh__breaker *breaker, int64_t took_ns, bool failed, int64_t now_ns)
{
    const char *reason;

    mesh__recent_move(&breaker->recent, now_ns, breaker->settings.window_ms * MESH_NS_PER_MS);
    mesh__recent_add(&breaker->recent, CALLS);
    if (is_slow(breaker, took_ns)) {
        mesh__recent_add(&breaker->recent, SLOW);
    }
    if (failed) {
        mesh__recent_add(&breaker->recent, FAILURES);
    }
    breaker->in_a_row = failed ? breaker->in_a_row + 1 : 0;
    reason = judge(breaker, now_ns);
    if (reason != NULL) {
        enter(breaker, MESH__BREAKER_OPEN, now_ns, reason);
    }
}

/* ------------------------------------------------------------------------------------------- */

void mesh__breaker_set(struct mesh__breaker *breaker, const struct mesh__breaker_settings *settings)
{
    int64_t now_ns = mesh__now_ns();

    (void)pthread_mutex_lock(&breaker->lock);
    breaker->settings = *settings;
    if (is_off(settings) && breaker->state != MESH__BREAKER_CLOSED) {
        enter(breaker, MESH__BREAKER_CLOSED, now_ns, "switched off");
    }
    if (breaker->state == MESH__BREAKER_HALF_OPEN) {
        close_if_passed(breaker, now_ns); /* perhaps fewer probes are asked for now */
    }
    (void)pthread_mutex_unlock(&breaker->lock);
}

bool mesh__breaker_admit(struct mesh__breaker *breaker, struct mesh__breaker_pass *ret_pass,
                         int64_t *ret_retry_ms)
{
    int64_t now_ns = mesh__now_ns();
    bool admitted = true;

    (void)pthread_mutex_lock(&breaker->lock);
    if (breaker->state == MESH__BREAKER_OPEN && over(breaker, breaker->changed_ns, now_ns)) {
        enter(breaker, MESH__BREAKER_HALF_OPEN, now_ns, "time for a probe");
    }
    if (breaker->state == MESH__BREAKER_OPEN) {
        *ret_retry_ms = wait_ms(breaker, breaker->changed_ns, now_ns);
        admitted = false;
    } else if (breaker->state == MESH__BREAKER_HALF_OPEN) {
        admitted = admit_probe(breaker, now_ns, ret_retry_ms);
    }
    if (admitted) {
        *ret_pass = (struct mesh__breaker_pass){
            .started_ns = now_ns,
            .epoch = breaker->epoch,
            .round = breaker->round,
            .probe = breaker->state == MESH__BREAKER_HALF_OPEN,
        };
    }
    (void)pthread_mutex_unlock(&breaker->lock);
    return admitted;
}

void mesh__breaker_report(struct mesh__breaker *breaker, const struct mesh__breaker_pass *pass,
                          enum mesh__breaker_outcome outcome)
{
    int64_t now_ns = mesh__now_ns();

    (void)pthread_mutex_lock(&breaker->lock);
    if (pass->epoch == breaker->epoch) {
        if (breaker->state == MESH__BREAKER_HALF_OPEN) {
            probe_ended(breaker, pass, outcome, now_ns);
        } else if (outcome == MESH__BREAKER_SUCCESS || outcome == MESH__BREAKER_FAILURE) {
            call_ended(breaker, now_ns - pass->started_ns, outcome == MESH__BREAKER_FAILURE,
                       now_ns);
        }
    }
    (void)pthread_mutex_unlock(&breaker->lock);
}

struct mesh__breaker_view mesh__breaker_look(struct mesh__breaker *breaker)
{
    int64_t now_ns = mesh__now_ns();
    struct mesh__breaker_view view;

    (void)pthread_mutex_lock(&breaker->lock);
    view = (struct mesh__breaker_view){
        .state = breaker->state,
        .in_a_row = breaker->in_a_row,
        .calls = count(breaker, now_ns, CALLS),
        .failures = count(breaker, now_ns, FAILURES),
        .slow = count(breaker, now_ns, SLOW),
        .probes = breaker->running,
    };
    (void)pthread_mutex_unlock(&breaker->lock);
    return view;
}

const char *mesh__breaker_name(enum mesh__breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half-open"};

    return names[state];
}
