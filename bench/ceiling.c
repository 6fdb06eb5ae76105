/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ceiling: the raw work of one order for Postgres, without gRPC, services, or what comes of the
 * order's events. The statements are the very ones of the services, and so are the tables, made by
 * their migrations, only that they share one schema and thus one outbox. Each transaction is one
 * pipelined flight whose Sync is the commit; the services read a row in the middle of two of them.
 *
 *   bench-ceiling CONNECTION WORK CLIENTS SECONDS     prints one JSON object
 *
 * WORK is the number of transactions:
 *   5    what PlaceOrder does: the order's row, the stock, the order's total before payment is
 * asked, payment and PaymentCompleted, the order PLACED and OrderPlaced 4    without the update
 * before payment is asked 3    without the one to PLACED and its event, too or "hot": the stock
 * alone, all clients of the same article, each in a transaction of its own.
 */
#include "argument.h"
#include "ceiling_sql.h"
#include "load.h"
#include "mesh/id.h"
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARTICLES 256 /* as many as the orders beside it have */

static const char prepare_articles[] =
    "insert into products (product_id, request_id, digest, code, size, name, unit_price_krw, stock)"
    " select gen_random_uuid(), gen_random_uuid(), '\\x00', 'bench-' || g, 'S', 'Bench', 50000,"
    "        1000000000"
    "   from generate_series(0, 255) g"
    " on conflict do nothing";

/* Parameters that differ from order to order; every other one is the text that stands there. */
#define ORDER_ID "$0"
#define REQUEST_ID "$1"
#define PAYMENT_ID "$2"
#define EVENT_ID "$3"
#define CODE "$4"
enum { N_IDS = 4, N_VALUES = 5 };

static const char digest[] = "\\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static char envelope[2 + 2 * 585 + 1]; /* of the size of the real ones, as hex */

struct statement {
    const struct mesh_sql *sql;
    int from;          /* belongs to the work of this many transactions and more */
    bool last;         /* of its transaction */
    const char *types; /* as the services say them */
    const char *params[RAW_MAX_PARAMS];
};

static const struct statement statements[] = {
    {&sql_insert_order,
     3,
     true,
     "uubtttnn",
     {ORDER_ID, REQUEST_ID, digest, "01900000-0000-7000-8000-000000000000", CODE, "S", "1",
      "30000"}},
    {&sql_reserve_stock, 3, true, "uttnt", {ORDER_ID, CODE, "S", "1", NULL}},
    {&sql_ask_payment, 5, true, "un", {ORDER_ID, "50000"}},
    {&sql_insert_payment, 3, false, "uunn", {PAYMENT_ID, ORDER_ID, "2", "50000"}},
    {&sql_insert_outbox,
     3,
     true,
     "uttb",
     {PAYMENT_ID, "fashion.0.payment.PaymentCompleted", ORDER_ID, envelope}},
    {&sql_move_order, 4, false, "unnutnn", {ORDER_ID, "1", "3", PAYMENT_ID, "", "600000", "2000"}},
    {&sql_insert_outbox,
     4,
     true,
     "uttb",
     {EVENT_ID, "fashion.0.order.OrderPlaced", ORDER_ID, envelope}},
};
#define N_STATEMENTS (sizeof(statements) / sizeof(statements[0]))

#define HOT 0

struct ceiling {
    int work; /* transactions, or HOT */
    struct pg_conn *connections[LOAD_MAX_CLIENTS];
};

/* Each statement of a transaction changes one row. */
static void finish(struct pg_conn *connection)
{
    int rows;

    raw_sync(connection);
    while ((rows = raw_read(connection)) != RAW_END) {
        if (rows != 1) {
            (void)fprintf(stderr, "bench-ceiling: a statement has changed %d rows\n", rows);
            exit(1);
        }
    }
}

static void send_statement(struct pg_conn *connection, const struct statement *statement,
                           char values[N_VALUES][MESH_UUID_SIZE])
{
    int n = (int)strlen(statement->types);
    const char *params[RAW_MAX_PARAMS];

    for (int i = 0; i < n; i++) {
        const char *param = statement->params[i];

        params[i] = param != NULL && param[0] == '$' ? values[param[1] - '0'] : param;
    }
    raw_send(connection, statement->sql, params, n);
    if (statement->last) {
        finish(connection);
    }
}

static MESH_STATUS one_order(void *arg, int client, int64_t number,
                             bool *ret_complete __attribute__((unused)))
{
    struct ceiling *ceiling = arg;
    char values[N_VALUES][MESH_UUID_SIZE];

    for (int i = 0; i < N_IDS; i++) {
        mesh_uuid_v7(values[i]);
    }
    (void)snprintf(values[N_IDS], sizeof(values[N_IDS]), "bench-%d",
                   ceiling->work == HOT ? 0 : (int)(number % ARTICLES));
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        const struct statement *statement = &statements[i];

        if (ceiling->work == HOT ? statement->sql == &sql_reserve_stock
                                 : ceiling->work >= statement->from) {
            send_statement(ceiling->connections[client], statement, values);
        }
    }
    return MESH_OK;
}

static struct pg_conn *make_connection(const char *connection_string)
{
    struct pg_conn *connection = raw_connect(connection_string);

    raw_exec(connection, prepare_articles);
    for (size_t i = 0; i < N_STATEMENTS - 1; i++) { /* the last one is there twice */
        raw_prepare(connection, statements[i].sql, statements[i].types);
    }
    raw_begin_pipeline(connection);
    return connection;
}

/* -1: none of them. */
static int read_work(const char *text)
{
    int transactions = argument_number(text, 5);

    if (strcmp(text, "hot") == 0) {
        return HOT;
    }
    return transactions < 3 ? -1 : transactions;
}

int main(int argc, char **argv)
{
    struct ceiling ceiling = {.work = argc == 5 ? read_work(argv[2]) : -1};
    struct load load = {.call = one_order, .arg = &ceiling};
    struct load_result result;

    if (argc == 5) {
        load.clients = argument_number(argv[3], LOAD_MAX_CLIENTS);
        load.seconds = argument_number(argv[4], LOAD_MAX_SECONDS);
    }
    if (ceiling.work < 0 || load.clients == 0 || load.seconds == 0) {
        (void)fprintf(stderr, "usage: %s CONNECTION 3|4|5|hot CLIENTS SECONDS\n", argv[0]);
        return 2;
    }
    memset(envelope, '7', sizeof(envelope) - 1);
    envelope[0] = '\\';
    envelope[1] = 'x';
    for (int i = 0; i < load.clients; i++) {
        ceiling.connections[i] = make_connection(argv[1]);
    }
    load_run(&load, &result);
    (void)printf("{");
    load_print(&result);
    (void)printf("}\n");
    load_free(&result);
    for (int i = 0; i < load.clients; i++) {
        raw_close(ceiling.connections[i]);
    }
    return 0;
}
