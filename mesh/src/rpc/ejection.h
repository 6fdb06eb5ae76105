/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ejection of endpoints that fail in a row, as Envoy does it ("outlier detection"): each further
 * time for longer, never too many at once.
 */
#ifndef MESH_RPC_EJECTION_H
#define MESH_RPC_EJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESH__EJECTION_MAX_MS 300000 /* the longest, unless the base is longer */

/* Without either of the first two it ejects nobody. */
struct mesh__ejection_settings {
    int64_t consecutive_5xx;            /* in a row that eject; 0: off */
    int64_t consecutive_gateway_errors; /* the same; 0: off */
    int64_t interval_ms;                /* between two looks at who may come back */
    int64_t base_ms;                    /* how long, times the ejections so far */
    int64_t max_percent;                /* (ejected + 1) / hosts that may not be exceeded */
    int64_t min_health_percent;         /* below it ejection is ignored */
};

/* What an attempt's end says of its endpoint. */
enum mesh__ejection_result {
    MESH__EJECTION_GOOD,    /* an answer, refusals of the business included */
    MESH__EJECTION_5XX,     /* counts as such, and ends a row of gateway errors */
    MESH__EJECTION_GATEWAY, /* counts as a gateway error */
    MESH__EJECTION_BOTH,    /* a failure of the transport */
    MESH__EJECTION_NOTHING  /* cancelled: counts nowhere */
};

/* One endpoint's part, inside of what its owner keeps of it; starts as {0}. */
struct mesh__ejection_host {
    struct mesh__ejection_host *next; /* of those that are members */
    bool member;
    int64_t n_5xx, n_gateway; /* in a row */
    int64_t times;            /* the base, for the latest ejection; less with each good interval */
    int64_t ejected_ns;
    _Atomic bool ejected; /* read without the lock */
};

struct mesh__ejection;

/*
 * `changed` (NULL: nobody) is told of each host that is ejected (for_ms > 0) or comes back (0) in
 * their order, under the lock: it must not call back.
 */
struct mesh__ejection *
mesh__ejection_new(const struct mesh__ejection_settings *settings,
                   void (*changed)(void *arg, struct mesh__ejection_host *host, int64_t for_ms),
                   void *arg);
/* When no host is a member any more. */
void mesh__ejection_free(struct mesh__ejection *ejection);
/* Other settings from now on; nothing counted is lost. Switched off, all come back. */
void mesh__ejection_set(struct mesh__ejection *ejection,
                        const struct mesh__ejection_settings *settings);

/* Hosts come and go. Reports of one that has gone are taken and mean nothing. */
void mesh__ejection_add(struct mesh__ejection *ejection, struct mesh__ejection_host *host);
void mesh__ejection_remove(struct mesh__ejection *ejection, struct mesh__ejection_host *host);

/* The end of an attempt. */
void mesh__ejection_report(struct mesh__ejection *ejection, struct mesh__ejection_host *host,
                           enum mesh__ejection_result result);
/* Lets come back whose time is over, as far as intervals have ended since. Cheap if none has. */
void mesh__ejection_sweep(struct mesh__ejection *ejection);
/*
 * Whether ejection is to be ignored with so many hosts, of which `healthy` are neither ejected nor
 * out of service otherwise: none is left, or fewer than min_health_percent.
 */
bool mesh__ejection_panics(const struct mesh__ejection *ejection, size_t n_hosts, size_t n_healthy);
size_t mesh__ejection_n_ejected(struct mesh__ejection *ejection);

#endif
