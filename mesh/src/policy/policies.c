/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever happens in the folder of the file is a reason to look, and only what the file then holds
 * counts. So an editor's rename, a plain overwrite and the switch of a ConfigMap's ..data link are
 * all the same here, and none has to be told from the others.
 */
#include "policy/policies.h"

#include "core/fatal.h"
#include "core/file.h"
#include "core/text.h"
#include "core/thread.h"
#include "mesh/log.h"
#include "mesh/metrics.h"
#include "policy/watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_MS 100 /* several events are one change; a file that is half written is not one */

struct mesh__policies {
    struct mesh__policy_options options;
    pthread_mutex_t mutex; /* for `current` */
    struct mesh__policy *current;
    struct mesh__watch *watch; /* NULL: there is no file */
    struct mesh__text text;    /* what the file held when it was last looked at */
    char refused[1024];        /* what was last said of it; empty: it is in force */
    struct mesh_counter *reloaded;
    struct mesh_counter *refusals;
    struct mesh_gauge *last_successful;
    pthread_t thread;
    bool started;
};

static struct mesh_counter *count(const char *result)
{
    return mesh_counter("mesh_policy_reloads_total",
                        "Changes of the policy file, by what they led to.",
                        (const char *const[]){"result", result, NULL});
}

/* ---- the one in force ----------------------------------------------------------------------- */

struct mesh__policy *mesh__policies_take(struct mesh__policies *policies)
{
    struct mesh__policy *policy;

    pthread_mutex_lock(&policies->mutex);
    policy = mesh__policy_hold(policies->current);
    pthread_mutex_unlock(&policies->mutex);
    return policy;
}

static void tell_fault(const char *destination, const struct mesh_method *method,
                       const struct mesh__route_values *values)
{
    enum mesh_status abort = (enum mesh_status)values->fault_abort_status;

    if (values->fault_delay_ms == 0 && abort == MESH_OK) {
        return;
    }
    mesh_log(
        MESH_LOG_WARN,
        MESH_LOG_FIELDS(
            mesh_log_text("destination", destination), mesh_log_text("method", method->path),
            mesh_log_int("delay_ms", values->fault_delay_ms),
            mesh_log_text("abort", abort != MESH_OK ? mesh_status_name(abort) : "none"),
            mesh_log_text("header", values->fault_header != NULL ? values->fault_header : "any")),
        "the policy makes faults");
}

/* Nobody is to search long for a fault that was meant for a test. */
static void tell_faults(const struct mesh__policy *policy)
{
    const struct mesh__destination_policy *destination;

    for (size_t i = 0; (destination = mesh__policy_destination(policy, i)) != NULL; i++) {
        for (size_t j = 0; destination->types[j] != NULL; j++) {
            for (size_t k = 0; k < destination->types[j]->n_methods; k++) {
                tell_fault(destination->name, &destination->types[j]->methods[k],
                           &destination->methods[j][k].values);
            }
        }
    }
}

static void put_in_force(struct mesh__policies *policies, struct mesh__policy *policy)
{
    struct mesh__policy *before;

    tell_faults(policy);
    pthread_mutex_lock(&policies->mutex);
    before = policies->current;
    policies->current = policy;
    pthread_mutex_unlock(&policies->mutex);
    mesh__policy_release(before);
}

/* ---- changes -------------------------------------------------------------------------------- */

enum look { SAME, CHANGED, REFUSED };

static bool is_same(const struct mesh__text *a, const struct mesh__text *b)
{
    return a->size == b->size && a->size > 0 && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Reads the file, and puts it in force if it is another one that is right. */
static enum look look(struct mesh__policies *policies, char *error, size_t error_size)
{
    struct mesh__text text = {0};
    struct mesh__policy *policy;
    char why[128];

    if (!mesh__file_read(policies->options.file, MESH__POLICY_FILE_MAX, &text, why, sizeof(why))) {
        (void)snprintf(error, error_size, "%s cannot be read: %s.", policies->options.file, why);
        free(text.bytes);
        return REFUSED;
    }
    if (policies->refused[0] == '\0' && is_same(&text, &policies->text)) {
        free(text.bytes);
        return SAME;
    }
    policy = mesh__policy_new(&policies->options, text.bytes, text.size, error, error_size);
    if (policy == NULL) {
        free(text.bytes);
        return REFUSED;
    }
    free(policies->text.bytes);
    policies->text = text;
    put_in_force(policies, policy);
    return CHANGED;
}

static void say_refused(struct mesh__policies *policies, const char *error)
{
    if (strcmp(policies->refused, error) == 0) {
        return; /* something else in the folder has changed */
    }
    (void)snprintf(policies->refused, sizeof(policies->refused), "%s", error);
    mesh_counter_add(policies->refusals, 1);
    mesh_gauge_set(policies->last_successful, 0);
    mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS,
             "the policy is refused, the one before stays in force: %s", error);
}

static void *run(void *arg)
{
    struct mesh__policies *policies = arg;
    char error[sizeof(policies->refused)];

    while (mesh__watch_wait(policies->watch) &&
           mesh__watch_settle(policies->watch, policies->options.settle_ms)) {
        enum look result = look(policies, error, sizeof(error));

        if (result == REFUSED) { /* perhaps it was half written */
            if (!mesh__watch_settle(policies->watch, policies->options.settle_ms)) {
                break;
            }
            result = look(policies, error, sizeof(error));
        }
        if (result == REFUSED) {
            say_refused(policies, error);
        } else if (result == CHANGED) {
            policies->refused[0] = '\0';
            mesh_counter_add(policies->reloaded, 1);
            mesh_gauge_set(policies->last_successful, 1);
            mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("file", policies->options.file)),
                     "the policy has changed");
        }
    }
    return NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct mesh__policies *mesh__policies_fixed(struct mesh__policy *policy)
{
    struct mesh__policies *policies = mesh__calloc(1, sizeof(*policies));

    pthread_mutex_init(&policies->mutex, NULL);
    policies->current = policy;
    return policies;
}

struct mesh__policies *mesh__policies_new(const struct mesh__policy_options *options, char *error,
                                          size_t error_size)
{
    struct mesh__policies *policies;

    if (options->file == NULL) {
        struct mesh__policy *policy = mesh__policy_new(options, NULL, 0, error, error_size);

        return policy != NULL ? mesh__policies_fixed(policy) : NULL;
    }
    policies = mesh__policies_fixed(NULL);
    policies->options = *options;
    if (options->settle_ms == 0) {
        policies->options.settle_ms = SETTLE_MS;
    }
    policies->watch = mesh__watch_new(options->file); /* before it is read: nothing is missed */
    policies->reloaded = count("ok");
    policies->refusals = count("refused");
    policies->last_successful =
        mesh_gauge("mesh_policy_last_reload_successful",
                   "1: the policy file is in force; 0: its last change was refused.", NULL);
    mesh_gauge_set(policies->last_successful, 1);
    if (look(policies, error, error_size) != CHANGED) {
        mesh__policies_free(policies);
        return NULL;
    }
    policies->options.mode = mesh__policy_mode_word(policies->current); /* clients are made by it */
    return policies;
}

void mesh__policies_start(struct mesh__policies *policies)
{
    if (policies->watch != NULL) {
        mesh__thread_start(&policies->thread, "mesh-policy", run, policies);
        policies->started = true;
    }
}

void mesh__policies_free(struct mesh__policies *policies)
{
    if (policies == NULL) {
        return;
    }
    if (policies->started) {
        mesh__watch_stop(policies->watch);
        pthread_join(policies->thread, NULL);
    }
    mesh__watch_free(policies->watch);
    mesh__policy_release(policies->current);
    free(policies->text.bytes);
    pthread_mutex_destroy(&policies->mutex);
    free(policies);
}
