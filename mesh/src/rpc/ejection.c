/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/ejection.h"

#include "core/clock.h"
#include "core/fatal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct mesh__ejection {
    void (*changed)(void *arg, struct mesh__ejection_host *host, int64_t for_ms);
    void *arg;
    _Atomic int64_t sweep_ns;           /* when the interval ends */
    _Atomic int64_t min_health_percent; /* of the settings */
    pthread_mutex_t lock;               /* of all that follows, and of every member */
    struct mesh__ejection_settings settings;
    struct mesh__ejection_host *first;
    int64_t n_hosts, n_ejected;
};

static int64_t interval_ns(const struct mesh__ejection *ejection)
{
    int64_t ms = ejection->settings.interval_ms;

    return (ms > 0 ? ms : 1) * MESH_NS_PER_MS;
}

struct mesh__ejection *
mesh__ejection_new(const struct mesh__ejection_settings *settings,
                   void (*changed)(void *arg, struct mesh__ejection_host *host, int64_t for_ms),
                   void *arg)
{
    struct mesh__ejection *ejection = mesh__calloc(1, sizeof(*ejection));

    (void)pthread_mutex_init(&ejection->lock, NULL);
    ejection->changed = changed;
    ejection->arg = arg;
    ejection->settings = *settings;
    atomic_store(&ejection->min_health_percent, settings->min_health_percent);
    atomic_store(&ejection->sweep_ns, mesh__now_ns() + interval_ns(ejection));
    return ejection;
}

void mesh__ejection_free(struct mesh__ejection *ejection)
{
    if (ejection != NULL) {
        assert(ejection->first == NULL);
        (void)pthread_mutex_destroy(&ejection->lock);
        free(ejection);
    }
}

/* ---- under the lock ----------------------------------------------------------------------- */

static void tell(const struct mesh__ejection *ejection, struct mesh__ejection_host *host,
                 int64_t for_ms)
{
    if (ejection->changed != NULL) {
        ejection->changed(ejection->arg, host, for_ms);
    }
}

static int64_t longest_ms(const struct mesh__ejection *ejection)
{
    int64_t base_ms = ejection->settings.base_ms;

    return base_ms > MESH__EJECTION_MAX_MS ? base_ms : MESH__EJECTION_MAX_MS;
}

static int64_t duration_ms(const struct mesh__ejection *ejection,
                           const struct mesh__ejection_host *host)
{
    int64_t ms = host->times * ejection->settings.base_ms;

    return ms < longest_ms(ejection) ? ms : longest_ms(ejection);
}

static void eject(struct mesh__ejection *ejection, struct mesh__ejection_host *host)
{
    const struct mesh__ejection_settings *settings = &ejection->settings;

    if ((ejection->n_ejected + 1) * 100 > settings->max_percent * ejection->n_hosts) {
        return;
    }
    if (host->times * settings->base_ms < longest_ms(ejection)) {
        host->times++;
    }
    host->ejected_ns = mesh__now_ns();
    atomic_store(&host->ejected, true);
    ejection->n_ejected++;
    tell(ejection, host, duration_ms(ejection, host));
}

static void readmit(struct mesh__ejection *ejection, struct mesh__ejection_host *host)
{
    host->n_5xx = 0; /* it would be gone again after too few new ones */
    host->n_gateway = 0;
    atomic_store(&host->ejected, false);
    ejection->n_ejected--;
    tell(ejection, host, 0);
}

static void count(struct mesh__ejection_host *host, enum mesh__ejection_result result)
{
    switch (result) {
    case MESH__EJECTION_GOOD:
        host->n_5xx = 0;
        host->n_gateway = 0;
        break;
    case MESH__EJECTION_5XX:
        host->n_5xx++;
        host->n_gateway = 0;
        break;
    case MESH__EJECTION_GATEWAY:
        host->n_gateway++;
        break;
    case MESH__EJECTION_BOTH:
        host->n_5xx++;
        host->n_gateway++;
        break;
    case MESH__EJECTION_NOTHING:
        break;
    }
}

static bool reached(int64_t n, int64_t limit)
{
    return limit > 0 && n >= limit;
}

/*
 * `ends` intervals have ended since from_ns: at the end of one an ejected host whose time is over
 * comes back, one that was there becomes a time better.
 */
static void sweep_host(struct mesh__ejection *ejection, struct mesh__ejection_host *host,
                       int64_t from_ns, int64_t ends)
{
    if (atomic_load(&host->ejected)) {
        int64_t length_ns = interval_ns(ejection);
        int64_t left_ns = mesh__after_ms(host->ejected_ns, duration_ms(ejection, host)) - from_ns;
        int64_t needed = left_ns <= length_ns ? 1 : (left_ns + length_ns - 1) / length_ns;

        if (needed > ends) {
            return;
        }
        readmit(ejection, host);
        ends -= needed;
    }
    host->times = host->times > ends ? host->times - ends : 0;
}

static void sweep(struct mesh__ejection *ejection)
{
    int64_t length_ns = interval_ns(ejection);
    int64_t first_ns = atomic_load(&ejection->sweep_ns);
    int64_t now_ns = mesh__now_ns();
    int64_t ends;

    if (now_ns < first_ns) {
        return;
    }
    ends = (now_ns - first_ns) / length_ns + 1;
    for (struct mesh__ejection_host *host = ejection->first; host != NULL; host = host->next) {
        sweep_host(ejection, host, first_ns - length_ns, ends);
    }
    atomic_store(&ejection->sweep_ns, first_ns + ends * length_ns);
}

/* ------------------------------------------------------------------------------------------- */

void mesh__ejection_set(struct mesh__ejection *ejection,
                        const struct mesh__ejection_settings *settings)
{
    int64_t now_ns = mesh__now_ns();

    (void)pthread_mutex_lock(&ejection->lock);
    sweep(ejection); /* the time so far went by the intervals so far */
    ejection->settings = *settings;
    atomic_store(&ejection->min_health_percent, settings->min_health_percent);
    if (atomic_load(&ejection->sweep_ns) > now_ns + interval_ns(ejection)) {
        atomic_store(&ejection->sweep_ns, now_ns + interval_ns(ejection));
    }
    if (settings->consecutive_5xx == 0 && settings->consecutive_gateway_errors == 0) {
        for (struct mesh__ejection_host *host = ejection->first; host != NULL; host = host->next) {
            if (atomic_load(&host->ejected)) {
                readmit(ejection, host);
            }
        }
    }
    (void)pthread_mutex_unlock(&ejection->lock);
}

void mesh__ejection_add(struct mesh__ejection *ejection, struct mesh__ejection_host *host)
{
    (void)pthread_mutex_lock(&ejection->lock);
    assert(!host->member);
    host->member = true;
    host->next = ejection->first;
    ejection->first = host;
    ejection->n_hosts++;
    (void)pthread_mutex_unlock(&ejection->lock);
}

void mesh__ejection_remove(struct mesh__ejection *ejection, struct mesh__ejection_host *host)
{
    struct mesh__ejection_host **at = &ejection->first;

    (void)pthread_mutex_lock(&ejection->lock);
    assert(host->member);
    while (*at != host) { /* it is there: it is a member */
        at = &(*at)->next;
    }
    *at = host->next;
    host->member = false;
    ejection->n_hosts--;
    if (atomic_load(&host->ejected)) {
        readmit(ejection, host);
    }
    (void)pthread_mutex_unlock(&ejection->lock);
}

void mesh__ejection_report(struct mesh__ejection *ejection, struct mesh__ejection_host *host,
                           enum mesh__ejection_result result)
{
    (void)pthread_mutex_lock(&ejection->lock);
    sweep(ejection);
    count(host, result);
    if (host->member && !atomic_load(&host->ejected) &&
        (reached(host->n_5xx, ejection->settings.consecutive_5xx) ||
         reached(host->n_gateway, ejection->settings.consecutive_gateway_errors))) {
        eject(ejection, host);
    }
    (void)pthread_mutex_unlock(&ejection->lock);
}

void mesh__ejection_sweep(struct mesh__ejection *ejection)
{
    if (mesh__now_ns() >= atomic_load(&ejection->sweep_ns)) {
        (void)pthread_mutex_lock(&ejection->lock);
        sweep(ejection);
        (void)pthread_mutex_unlock(&ejection->lock);
    }
}

bool mesh__ejection_panics(const struct mesh__ejection *ejection, size_t n_hosts, size_t n_healthy)
{
    int64_t least = atomic_load(&ejection->min_health_percent);

    return n_healthy == 0 || (int64_t)n_healthy * 100 < least * (int64_t)n_hosts;
}

size_t mesh__ejection_n_ejected(struct mesh__ejection *ejection)
{
    int64_t n;

    (void)pthread_mutex_lock(&ejection->lock);
    n = ejection->n_ejected;
    (void)pthread_mutex_unlock(&ejection->lock);
    return (size_t)n;
}
