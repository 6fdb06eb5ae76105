/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ceiling: the raw work that one order is for Postgres, without gRPC, services or events. Four
 * transactions as the saga has them (order, stock, payment, order), each one pipelined flight whose
 * Sync is the commit, on one connection per client and distinct articles.
 *
 *   bench-ceiling CONNECTION CLIENTS SECONDS     prints orders per second
 */
#include "argument.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_CLIENTS 256

static const char schema[] =
    "drop schema if exists ceiling cascade; create schema ceiling; set search_path = ceiling;"
    "create table orders (order_id uuid primary key, request_id uuid unique, digest bytea,"
    "  customer_id text, code text, size text, quantity bigint, status smallint, total bigint,"
    "  payment_id uuid, version bigint default 1, created_at timestamptz default now(),"
    "  updated_at timestamptz default now()) with (fillfactor = 70);"
    "create table products (product_id bigint primary key, stock bigint check (stock >= 0))"
    "  with (fillfactor = 70);"
    "create table reservations (order_id uuid primary key, product_id bigint, quantity bigint,"
    "  total bigint, state smallint);"
    "create table payments (payment_id uuid primary key, order_id uuid unique, amount bigint,"
    "  status smallint, created_at timestamptz default now());"
    "create table outbox (xid xid8 default pg_current_xact_id(), id bigserial primary key,"
    "  event_id uuid, subject text, key text, envelope bytea, created_at timestamptz default "
    "now());"
    "create index on outbox (xid, id);"
    "insert into products select g, 1000000000 from generate_series(1, 1024) g;";

struct statement {
    const char *name;
    const char *text;
    int n_params; /* of: order id, payment id, article */
    int params[2];
    int last; /* of its transaction */
};

enum { ORDER_ID, PAYMENT_ID, ARTICLE };

static const struct statement statements[] = {
    {"a",
     "insert into orders (order_id, request_id, digest, customer_id, code, size, quantity, status)"
     " values ($1, $1, '\\x0102030405060708', 'customer', '4000', 'S', 1, 1)"
     " on conflict (request_id) do nothing",
     1,
     {ORDER_ID},
     1},
    {"b",
     "insert into reservations values ($1, $2, 1, 50000, 1) on conflict do nothing",
     2,
     {ORDER_ID, ARTICLE},
     0},
    {"c",
     "update products set stock = stock - 1 where product_id = $1 and stock >= 1",
     1,
     {ARTICLE},
     1},
    {"d",
     "insert into payments (payment_id, order_id, amount, status) values ($1, $2, 50000, 2)"
     " on conflict (order_id) do nothing",
     2,
     {PAYMENT_ID, ORDER_ID},
     0},
    {"e",
     "insert into outbox (event_id, subject, key, envelope)"
     " values ($1, 'fashion.0.payment.PaymentCompleted', $2, convert_to(repeat('x', 400), 'UTF8'))",
     2,
     {PAYMENT_ID, ORDER_ID},
     1},
    {"f",
     "update orders set status = 3, payment_id = $1, version = version + 1 where order_id = $2 and "
     "status = 1",
     2,
     {PAYMENT_ID, ORDER_ID},
     0},
    {"g",
     "insert into outbox (event_id, subject, key, envelope)"
     " values ($1, 'fashion.0.order.OrderPlaced', $1::uuid::text, convert_to(repeat('x', 400), "
     "'UTF8'))",
     1,
     {ORDER_ID},
     1},
};
enum { N_STATEMENTS = sizeof(statements) / sizeof(statements[0]) };

static const char *connection_string;
static atomic_bool stop;
static atomic_long orders;

static void die(PGconn *connection, const char *what)
{
    (void)fprintf(stderr, "ceiling: %s: %s", what, PQerrorMessage(connection));
    exit(1);
}

static PGconn *connect_or_die(void)
{
    PGconn *connection = PQconnectdb(connection_string);

    if (PQstatus(connection) != CONNECTION_OK) {
        die(connection, "connect");
    }
    return connection;
}

/* Reads all results up to the Sync of one transaction. */
static void finish(PGconn *connection)
{
    for (;;) {
        PGresult *result = PQgetResult(connection);
        ExecStatusType status;

        if (result == NULL) {
            continue; /* the end of one statement's results */
        }
        status = PQresultStatus(result);
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC) {
            return;
        }
        if (status != PGRES_COMMAND_OK) {
            die(connection, "statement");
        }
    }
}

static void one_order(PGconn *connection, const char *const values[3])
{
    for (int i = 0; i < N_STATEMENTS; i++) {
        const struct statement *statement = &statements[i];
        const char *params[2];

        for (int p = 0; p < statement->n_params; p++) {
            params[p] = values[statement->params[p]];
        }
        if (!PQsendQueryPrepared(connection, statement->name, statement->n_params, params, NULL,
                                 NULL, 0)) {
            die(connection, "send");
        }
        if (statement->last) {
            if (!PQpipelineSync(connection)) {
                die(connection, "sync");
            }
            finish(connection);
        }
    }
}

static void *client(void *arg)
{
    int number = *(const int *)arg;
    PGconn *connection = connect_or_die();
    char order_id[64], payment_id[64], article[16];
    const char *values[3] = {order_id, payment_id, article};

    PQclear(PQexec(connection, "set search_path = ceiling"));
    for (int i = 0; i < N_STATEMENTS; i++) {
        PGresult *result = PQprepare(connection, statements[i].name, statements[i].text, 0, NULL);

        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            die(connection, "prepare");
        }
        PQclear(result);
    }
    if (!PQenterPipelineMode(connection)) {
        die(connection, "pipeline");
    }
    (void)snprintf(article, sizeof(article), "%d", number + 1);
    for (int64_t i = 0; !atomic_load(&stop); i++) {
        (void)snprintf(order_id, sizeof(order_id), "01900000-0000-7000-%04x-%012" PRIx64,
                       0x8000 + number, i);
        (void)snprintf(payment_id, sizeof(payment_id), "01910000-0000-7000-%04x-%012" PRIx64,
                       0x8000 + number, i);
        one_order(connection, values);
        atomic_fetch_add(&orders, 1);
    }
    PQfinish(connection);
    return NULL;
}

int main(int argc, char **argv)
{
    int clients = argc == 4 ? argument_number(argv[2], MAX_CLIENTS) : 0;
    int seconds = argc == 4 ? argument_number(argv[3], 3600) : 0;
    pthread_t threads[MAX_CLIENTS];
    int numbers[MAX_CLIENTS];
    PGconn *setup;
    PGresult *result;

    if (clients == 0 || seconds == 0) {
        (void)fprintf(stderr, "usage: %s CONNECTION CLIENTS SECONDS\n", argv[0]);
        return 2;
    }
    connection_string = argv[1];
    setup = connect_or_die();
    result = PQexec(setup, schema);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        die(setup, "schema");
    }
    PQclear(result);
    for (int i = 0; i < clients; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, client, &numbers[i]) != 0) {
            return 1;
        }
    }
    (void)nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < clients; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)printf("%.0f\n", (double)atomic_load(&orders) / seconds);
    PQclear(PQexec(setup, "drop schema ceiling cascade"));
    PQfinish(setup);
    return 0;
}
