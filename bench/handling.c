/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What handling an event costs beyond its effect: the raw work of a consumer for Postgres, with the
 * runtime's own statements and the cheapest handler that there is, a batch a transaction, a share a
 * client. Four kinds take turns, a fifth of a second each, so that whatever else the machine does
 * hits all of them:
 *
 *   bare    the compare-and-set of the cursor and the effects: what could not be done without
 *   inbox   and a row per event in the inbox, as always
 *   parked  and the look for keys that wait, as while anything of the share is parked
 *   purge   as inbox, while retention cuts a slice of the inbox and drops one: once in each turn
 *
 *   bench-handling CONNECTION CLIENTS SECONDS     prints one JSON object: events per second
 */
#include "argument.h"
#include "handling_sql.h"
#include "load.h"
#include "mesh/id.h"
#include "mesh/time.h"
#include "raw.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 32
#define TURN_MS 200
#define TURN_US (INT64_C(1000) * TURN_MS)
#define SOURCE "payment"
#define CREATED "2026-01-01 00:00:00+00"

enum kind { BARE, INBOX, PARKED, PURGE, N_KINDS };
static const char *const names[N_KINDS] = {"bare", "inbox", "parked", "purge"};

static const char park[] =
    "insert into dead_letter (partition, source, sequence, event_id, key, subject, envelope, "
    "reason)"
    " select p, '" SOURCE "', 0, gen_random_uuid(), gen_random_uuid()::text, '', '', 'bench'"
    "   from generate_series(0, 63) p, generate_series(1, 1000)"
    "  where not exists (select from dead_letter)";

struct share {
    struct pg_conn *connection;
    long long sequence;
    int64_t events[N_KINDS];
};

struct handling {
    int64_t start_us;
    struct pg_conn *purger;
    atomic_bool over;
    int purges, refused;
    struct share shares[LOAD_MAX_CLIENTS];
};

struct ids {
    char events[BATCH][MESH_UUID_SIZE];
    char orders[BATCH][MESH_UUID_SIZE];
    char array[BATCH * MESH_UUID_SIZE + 3];
    char keys[BATCH * MESH_UUID_SIZE + 3];
};

static int64_t turn_now(const struct handling *handling)
{
    return (mesh_now_us() - handling->start_us) / TURN_US;
}

static void must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "bench-handling: %s\n", what);
        exit(1);
    }
}

/* ---- a batch ---- */

/* An array of Postgres. */
static void join(char array[BATCH][MESH_UUID_SIZE], char *ret_text, size_t room)
{
    size_t at = 0;

    for (int i = 0; i < BATCH; i++) {
        at += (size_t)snprintf(ret_text + at, room - at, "%c%s", i == 0 ? '{' : ',', array[i]);
    }
    (void)snprintf(ret_text + at, room - at, "}");
}

static void make_ids(struct ids *ids)
{
    for (int i = 0; i < BATCH; i++) {
        mesh_uuid_v7(ids->events[i]);
        mesh_uuid_v7(ids->orders[i]);
    }
    join(ids->events, ids->array, sizeof(ids->array));
    join(ids->orders, ids->keys, sizeof(ids->keys));
}

/* The cursor has moved, and all events are new. */
static void take(struct share *share, const char *partition, const struct ids *ids, enum kind kind)
{
    char from[24], to[24];
    const char *params[] = {partition,      SOURCE,  from,    CREATED,   to,
                            ids->events[0], CREATED, CREATED, ids->array};

    (void)snprintf(from, sizeof(from), "%lld", share->sequence);
    (void)snprintf(to, sizeof(to), "%lld", share->sequence + BATCH);
    if (kind == BARE) {
        raw_send(share->connection, &sql_move_cursor, params, 8);
    } else {
        raw_send(share->connection, &sql_take_batch, params, 9);
    }
    raw_flush(share->connection);
    must(raw_read(share->connection) == (kind == BARE ? 1 : 1 + BATCH), "a cursor was moved");
    share->sequence += BATCH;
}

static void look_for_waiting(struct share *share, const char *partition, const struct ids *ids)
{
    const char *params[] = {partition, SOURCE, ids->keys};

    raw_send(share->connection, &sql_find_waiting, params, 3);
    raw_flush(share->connection);
    must(raw_read(share->connection) == 0, "a key waits");
}

static void apply(struct share *share, const struct ids *ids)
{
    for (int i = 0; i < BATCH; i++) {
        const char *params[] = {ids->orders[i], ids->events[i], "2", "1", CREATED};

        raw_send(share->connection, &sql_put_payment, params, 5);
    }
    raw_sync(share->connection);
    for (int i = 0; i < BATCH; i++) {
        must(raw_read(share->connection) == 1, "an effect is missing");
    }
    must(raw_read(share->connection) == RAW_END, "the transaction has not ended");
}

static MESH_STATUS one_batch(void *arg, int client, int64_t number __attribute__((unused)),
                             bool *ret_complete __attribute__((unused)))
{
    struct handling *handling = arg;
    struct share *share = &handling->shares[client];
    enum kind kind = (enum kind)(turn_now(handling) % N_KINDS);
    char partition[12];
    struct ids ids;

    (void)snprintf(partition, sizeof(partition), "%d", client);
    make_ids(&ids);
    take(share, partition, &ids, kind);
    if (kind == PARKED) {
        look_for_waiting(share, partition, &ids);
    }
    apply(share, &ids);
    share->events[kind] += BATCH;
    return MESH_OK;
}

/* ---- the purge ---- */

/* False: a lock was in the way, as it may be in the service, too. */
static bool purge(struct pg_conn *connection, const struct mesh_sql *sql, const char *const *params,
                  int n)
{
    int rows;
    bool done = true;

    raw_send(connection, sql, params, n);
    raw_sync(connection);
    while ((rows = raw_read(connection)) != RAW_END) {
        done = done && rows != RAW_LOCKED;
    }
    return done;
}

/* A slice a round, which is kept for three. */
static void purge_once(struct handling *handling)
{
    char slice_ms[12], keep_ms[12];
    const char *cut[] = {"inbox", slice_ms, NULL}; /* with no promise: the rest is small */
    const char *drop[] = {keep_ms};

    (void)snprintf(slice_ms, sizeof(slice_ms), "%d", N_KINDS * TURN_MS);
    (void)snprintf(keep_ms, sizeof(keep_ms), "%d", 3 * N_KINDS * TURN_MS);
    if (purge(handling->purger, &sql_cut_slices, cut, 3) &&
        purge(handling->purger, &sql_drop_inbox_slices, drop, 1)) {
        handling->purges++;
    } else {
        handling->refused++;
    }
}

static void *purge_in_turn(void *arg)
{
    struct handling *handling = arg;
    int64_t purged = -1;

    while (!atomic_load(&handling->over)) {
        int64_t turn = turn_now(handling);

        if (turn % N_KINDS == PURGE && turn != purged) {
            purged = turn;
            purge_once(handling);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return NULL;
}

/* ---- beginning and end ---- */

static void make_share(struct share *share, const char *connection_string, int partition)
{
    char start[256];

    share->connection = raw_connect(connection_string);
    (void)snprintf(start, sizeof(start),
                   "insert into cursor (partition, source, sequence, stream_created)"
                   " values (%d, '" SOURCE "', 0, '" CREATED "') on conflict (partition, source)"
                   " do update set sequence = 0, stream_created = '" CREATED "'",
                   partition);
    raw_exec(share->connection, start);
    raw_prepare(share->connection, &sql_move_cursor, "ntnttttt");
    raw_prepare(share->connection, &sql_take_batch, "ntntttttt");
    raw_prepare(share->connection, &sql_find_waiting, "ntt");
    raw_prepare(share->connection, &sql_put_payment, "uunnt");
    raw_begin_pipeline(share->connection);
}

static void make_purger(struct handling *handling, const char *connection_string)
{
    handling->purger = raw_connect(connection_string);
    raw_exec(handling->purger, park);
    raw_exec(handling->purger, "analyze dead_letter");
    raw_prepare(handling->purger, &sql_cut_slices, "tnt");
    raw_prepare(handling->purger, &sql_drop_inbox_slices, "n");
    raw_begin_pipeline(handling->purger);
}

/* How long it was the kind's turn. */
static int64_t time_of(enum kind kind, int64_t total_us)
{
    const int64_t round_us = N_KINDS * TURN_US;
    int64_t rest_us = total_us % round_us - kind * TURN_US;

    rest_us = rest_us < 0 ? 0 : rest_us < TURN_US ? rest_us : TURN_US;
    return total_us / round_us * TURN_US + rest_us;
}

static void print(const struct handling *handling, const struct load *load,
                  const struct load_result *result)
{
    int64_t total_us = (int64_t)(result->seconds * 1e6);

    (void)printf("{\"batch\": %d, \"turn_ms\": %d, \"purges\": %d, \"refused\": %d", BATCH, TURN_MS,
                 handling->purges, handling->refused);
    for (enum kind kind = BARE; kind < N_KINDS; kind++) {
        int64_t events = 0, time_us = time_of(kind, total_us);

        for (int i = 0; i < load->clients; i++) {
            events += handling->shares[i].events[kind];
        }
        (void)printf(", \"%s\": %.0f", names[kind],
                     time_us > 0 ? (double)events * 1e6 / (double)time_us : 0);
    }
    (void)printf("}\n");
}

int main(int argc, char **argv)
{
    static struct handling handling;
    struct load load = {.call = one_batch, .arg = &handling};
    struct load_result result;
    pthread_t purger;

    if (argc == 4) {
        load.clients = argument_number(argv[2], LOAD_MAX_CLIENTS);
        load.seconds = argument_number(argv[3], LOAD_MAX_SECONDS);
    }
    if (load.clients == 0 || load.seconds == 0) {
        (void)fprintf(stderr, "usage: %s CONNECTION CLIENTS SECONDS\n", argv[0]);
        return 2;
    }
    make_purger(&handling, argv[1]);
    for (int i = 0; i < load.clients; i++) {
        make_share(&handling.shares[i], argv[1], i);
    }
    handling.start_us = mesh_now_us();
    must(pthread_create(&purger, NULL, purge_in_turn, &handling) == 0, "no thread");
    load_run(&load, &result);
    atomic_store(&handling.over, true);
    (void)pthread_join(purger, NULL);
    print(&handling, &load, &result);
    load_free(&result);
    for (int i = 0; i < load.clients; i++) {
        raw_close(handling.shares[i].connection);
    }
    raw_close(handling.purger);
    return 0;
}
