/* SPDX-License-Identifier: Apache-2.0 */
/* What governs outgoing calls: policy.json, resolved for every method of every peer, unchangeable.
 */
#ifndef MESH_POLICY_POLICY_H
#define MESH_POLICY_POLICY_H

#include "mesh/service.h"

#include <stddef.h>
#include <stdint.h>

struct mesh_peer;
struct mesh__text;

#define MESH__POLICY_FILE_MAX ((size_t)1 << 20) /* bytes: no ConfigMap can be larger */

/* Who enforces it beside this process. */
enum mesh__policy_mode { MESH__MODE_LIBRARY, MESH__MODE_ISTIO, MESH__MODE_PROXYLESS };

enum mesh__load_balancer { MESH__LEAST_REQUEST, MESH__ROUND_ROBIN };

/* Failures that are tried again: bits of retry_on. */
enum mesh__retry_on {
    MESH__RETRY_CONNECT_FAILURE = 1 << 0,
    MESH__RETRY_REFUSED_STREAM = 1 << 1,
    MESH__RETRY_RESET = 1 << 2,
    MESH__RETRY_CANCELLED = 1 << 3,
    MESH__RETRY_DEADLINE_EXCEEDED = 1 << 4,
    MESH__RETRY_INTERNAL = 1 << 5,
    MESH__RETRY_RESOURCE_EXHAUSTED = 1 << 6,
    MESH__RETRY_UNAVAILABLE = 1 << 7
};

/* Values are int64_t, or a const char * where it says so, in the order of the table in fields.c. */
struct mesh__route_values {
    int64_t timeout_ms;           /* 0: none */
    int64_t attempts;             /* after the first */
    int64_t per_try_timeout_ms;   /* 0: none */
    int64_t retry_on;             /* of enum mesh__retry_on */
    int64_t backoff_ms;           /* the base */
    int64_t hedging_delay_ms;     /* 0: no hedging */
    int64_t hedging_max_attempts; /* with the first */
    int64_t fault_delay_ms;       /* 0: no delay */
    int64_t fault_delay_per_million;
    int64_t fault_abort_status; /* of enum mesh_status; MESH_OK: no abort */
    int64_t fault_abort_per_million;
    const char *fault_header; /* of x-mesh-fault; NULL: faults are for every call */
};

struct mesh__destination_values {
    int64_t load_balancer; /* of enum mesh__load_balancer */
    int64_t max_requests;  /* attempts in flight */
    int64_t max_pending_requests;
    int64_t worker_limit;           /* calls; 0: half of the workers */
    int64_t consecutive_5xx_errors; /* 0: off, here and below */
    int64_t consecutive_gateway_errors;
    int64_t ejection_interval_ms;
    int64_t base_ejection_time_ms;
    int64_t max_ejection_percent;
    int64_t min_health_percent;
    int64_t budget_percent;
    int64_t budget_min_concurrency;
    int64_t breaker_consecutive_failures;
    int64_t breaker_failure_rate_percent;
    int64_t breaker_slow_call_rate_percent;
    int64_t breaker_slow_call_duration_ms;
    int64_t breaker_window_ms;
    int64_t breaker_minimum_calls;
    int64_t breaker_open_duration_ms;
    int64_t breaker_half_open_calls;
};

#define MESH__N_ROUTE_VALUES (sizeof(struct mesh__route_values) / sizeof(int64_t))
#define MESH__N_DESTINATION_VALUES (sizeof(struct mesh__destination_values) / sizeof(int64_t))

/*
 * Where a value comes from, per row of the table: "default", "declaration" (of the peer),
 * "defaults.route", "routes.<name>", "defaults.destination", "destinations.<name>", "method" (such
 * a method cannot have it) or "mode" (somebody else does it).
 */
struct mesh__method_policy {
    const struct mesh__destination_policy *destination;
    struct mesh__route_values values;
    const char *from[MESH__N_ROUTE_VALUES];
};

struct mesh__destination_policy {
    const char *name;
    struct mesh__destination_values values;
    const char *from[MESH__N_DESTINATION_VALUES];
    const struct mesh_service_type *const *types; /* NULL at the end */
    struct mesh__method_policy *const *methods;   /* of types[i], one for each of its methods */
    struct mesh__method_policy *others;           /* of methods that no type has, by their kind */
};

struct mesh__policy;

struct mesh__policy_options {
    const char *file;              /* its name, for errors */
    const struct mesh_peer *peers; /* name NULL at the end; NULL: none */
    const char *xds_peer;          /* who is found by xDS, in mode proxyless alone; NULL: nobody */
    const char *mode;              /* the word of the only one that is right; NULL: any is */
    int settle_ms; /* from a change to a look at it; 0: 100. Of mesh__policies_new() alone. */
};

/*
 * Checks the whole text and resolves it; text NULL is the defaults alone. NULL with one sentence in
 * error. What it returns is held once.
 */
struct mesh__policy *mesh__policy_new(const struct mesh__policy_options *options, const char *text,
                                      size_t size, char *error, size_t error_size);
/* The same of the file of that name. */
struct mesh__policy *mesh__policy_read(const struct mesh__policy_options *options, char *error,
                                       size_t error_size);

/* A call holds the policy that it started with. Thread-safe; NULL is fine for release. */
struct mesh__policy *mesh__policy_hold(struct mesh__policy *policy);
void mesh__policy_release(struct mesh__policy *policy);

enum mesh__policy_mode mesh__policy_mode(const struct mesh__policy *policy);
/* As it stands in the file. */
const char *mesh__policy_mode_word(const struct mesh__policy *policy);
/* Of the i-th peer. */
const struct mesh__destination_policy *mesh__policy_destination(const struct mesh__policy *policy,
                                                                size_t i);
/* Never NULL; takes the same time for every method and allocates nothing. */
const struct mesh__method_policy *
mesh__policy_method(const struct mesh__destination_policy *destination,
                    const struct mesh_method *method);

/* The effective policy of every method with the origin of each value, as a JSON object. */
void mesh__policy_json(const struct mesh__policy *policy, struct mesh__text *text);
/* The same for people. */
void mesh__policy_print(const struct mesh__policy *policy, struct mesh__text *text);

#endif
