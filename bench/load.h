/* SPDX-License-Identifier: Apache-2.0 */
/* Many clients that call one after the other for some seconds, and what came of it. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "mesh/ctx.h"

#define LOAD_MAX_CLIENTS 256
#define LOAD_MAX_SECONDS 3600
#define LOAD_N_STATUSES (MESH_UNAUTHENTICATED + 1)

struct load {
    int clients;
    int seconds;
    int rate; /* calls per second of all clients together; 0: each as fast as its answers come */
    /*
     * One call, on the thread of the client. Numbers are distinct; without a rate a client has
     * those that leave its own index when divided by the number of clients. *ret_complete is true
     * before; false: it went well, but what was wanted is not done yet.
     */
    MESH_STATUS (*call)(void *arg, int client, int64_t number, bool *ret_complete);
    void *arg;
};

struct load_result {
    double seconds; /* until the last answer */
    int64_t complete;
    int64_t incomplete;
    int64_t failed[LOAD_N_STATUSES];
    int64_t *times_us; /* of the complete calls, in order of length; a paced call's runs from when
                          it was due */
    int64_t cpu_us;    /* of this process meanwhile */
};

/* Out of memory or of threads ends the process. */
void load_run(const struct load *load, struct load_result *ret_result);
void load_free(struct load_result *result);
/* Prints the members of a JSON object, without the braces. */
void load_print(const struct load_result *result);

/* Not the wall clock, which may be set meanwhile. */
int64_t load_now_us(void);
void load_sleep_until(int64_t due_us);

/* The first failure of each kind is told on standard error. */
void load_tell(enum mesh_status status, const char *text);

/* Grows *items, which has room for *room of `size` bytes, so that there is room for one more. */
void load_grow(void *items, int64_t n, int64_t *room, size_t size);
/* Of sorted microseconds, in milliseconds; 0 if there are none. */
double load_percentile_ms(const int64_t *times_us, int64_t n, double share);
void load_sort(int64_t *times_us, int64_t n);

#endif
