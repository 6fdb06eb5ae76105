/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

struct run {
    const struct load *load;
    int64_t start_us;
    int64_t end_us;
    atomic_llong next; /* number, with a rate */
};

struct client {
    pthread_t thread;
    struct run *run;
    int index;
    int64_t complete;
    int64_t incomplete;
    int64_t failed[LOAD_N_STATUSES];
    int64_t *times_us;
    int64_t room;
};

int64_t load_now_us(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

void load_sleep_until(int64_t due_us)
{
    struct timespec due = {.tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0) {
    }
}

static int64_t cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

void load_grow(void *items, int64_t n, int64_t *room, size_t size)
{
    void **place = items;

    if (n < *room) {
        return;
    }
    *room = *room == 0 ? 1024 : *room * 2;
    *place = realloc(*place, (size_t)*room * size);
    if (*place == NULL) {
        abort();
    }
}

/* False at the end. */
static bool next_call(struct client *client, int64_t i, int64_t *ret_number, int64_t *ret_due_us)
{
    struct run *run = client->run;
    const struct load *load = run->load;

    if (load->rate == 0) {
        *ret_number = i * load->clients + client->index;
        *ret_due_us = load_now_us();
        return *ret_due_us < run->end_us;
    }
    *ret_number = atomic_fetch_add(&run->next, 1);
    *ret_due_us = run->start_us + *ret_number * 1000000 / load->rate;
    if (*ret_due_us >= run->end_us) {
        return false;
    }
    load_sleep_until(*ret_due_us);
    return true;
}

static void *run_client(void *arg)
{
    struct client *client = arg;
    const struct load *load = client->run->load;
    int64_t number, due_us;

    for (int64_t i = 0; next_call(client, i, &number, &due_us); i++) {
        bool complete = true;
        enum mesh_status status = load->call(load->arg, client->index, number, &complete);

        if (status != MESH_OK) {
            client->failed[status]++;
        } else if (!complete) {
            client->incomplete++;
        } else {
            load_grow(&client->times_us, client->complete, &client->room, sizeof(int64_t));
            client->times_us[client->complete++] = load_now_us() - due_us;
        }
    }
    return NULL;
}

static void add(struct load_result *result, struct client *client, int64_t *room)
{
    for (int64_t i = 0; i < client->complete; i++) {
        load_grow(&result->times_us, result->complete, room, sizeof(int64_t));
        result->times_us[result->complete++] = client->times_us[i];
    }
    result->incomplete += client->incomplete;
    for (int i = 0; i < LOAD_N_STATUSES; i++) {
        result->failed[i] += client->failed[i];
    }
    free(client->times_us);
}

void load_run(const struct load *load, struct load_result *ret_result)
{
    struct client *clients = calloc((size_t)load->clients, sizeof(*clients));
    struct run run = {.load = load, .start_us = load_now_us()};
    int64_t cpu_before_us = cpu_us(), room = 0;

    if (clients == NULL) {
        abort();
    }
    *ret_result = (struct load_result){0};
    run.end_us = run.start_us + (int64_t)load->seconds * 1000000;
    for (int i = 0; i < load->clients; i++) {
        clients[i].run = &run;
        clients[i].index = i;
        if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) != 0) {
            abort();
        }
    }
    for (int i = 0; i < load->clients; i++) {
        (void)pthread_join(clients[i].thread, NULL);
    }
    ret_result->seconds = (double)(load_now_us() - run.start_us) / 1e6;
    ret_result->cpu_us = cpu_us() - cpu_before_us;
    for (int i = 0; i < load->clients; i++) {
        add(ret_result, &clients[i], &room);
    }
    free(clients);
    load_sort(ret_result->times_us, ret_result->complete);
}

void load_free(struct load_result *result)
{
    free(result->times_us);
    result->times_us = NULL;
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

void load_sort(int64_t *times_us, int64_t n)
{
    if (n > 0) {
        qsort(times_us, (size_t)n, sizeof(times_us[0]), by_length);
    }
}

double load_percentile_ms(const int64_t *times_us, int64_t n, double share)
{
    return n == 0 ? 0 : (double)times_us[(int64_t)((double)(n - 1) * share)] / 1000;
}

void load_print(const struct load_result *result)
{
    const char *comma = "";

    (void)printf("\"per_second\": %.1f, \"complete\": %" PRId64 ", \"pending\": %" PRId64
                 ", \"failed\": {",
                 (double)result->complete / result->seconds, result->complete, result->incomplete);
    for (int i = 0; i < LOAD_N_STATUSES; i++) {
        if (result->failed[i] > 0) {
            (void)printf("%s\"%s\": %" PRId64, comma, mesh_status_name((enum mesh_status)i),
                         result->failed[i]);
            comma = ", ";
        }
    }
    (void)printf(
        "}, \"p50_ms\": %.2f, \"p95_ms\": %.2f, \"p99_ms\": %.2f, \"load_cpu_us\": %" PRId64,
        load_percentile_ms(result->times_us, result->complete, 0.50),
        load_percentile_ms(result->times_us, result->complete, 0.95),
        load_percentile_ms(result->times_us, result->complete, 0.99), result->cpu_us);
}

void load_tell(enum mesh_status status, const char *text)
{
    static atomic_flag told[LOAD_N_STATUSES];

    if (!atomic_flag_test_and_set(&told[status])) {
        (void)fprintf(stderr, "the first %s: %s\n", mesh_status_name(status), text);
    }
}
