/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of handlers: a schema and a role of its own with a service's tables, and what is in
 * them. */
#ifndef FASHION_TESTING_FIXTURE_H
#define FASHION_TESTING_FIXTURE_H

#include "db/db_impl.h"
#include "mesh/db.h"
#include "mesh/id.h"
#include "mesh/service.h"
#include "mesh/validate.h"

#include <stdatomic.h>

/* Makes everything anew beside the Postgres of TEST_DATABASE_URL. Ends the program if it cannot. */
struct mesh_db *fixture_start(const char *service, const struct mesh_migration *migrations);
void fixture_stop(void);

/* A context with a deadline; declare it cleanup_ctx. */
struct mesh_ctx *fixture_ctx(void);
/* The same for an event handler: the event happened at this time. */
struct mesh_ctx *fixture_event_ctx(int64_t event_time_us);

/* The first column of the first row of a statement, an int8; -1 if it is null. The statement is
 * static: it is prepared once. */
int64_t fixture_int64(const struct mesh_sql *sql, struct mesh_args args);
#define FIXTURE_INT64(query, ...)                                                                  \
    ({                                                                                             \
        static const struct mesh_sql fixture_sql_ = {"fixture", query};                            \
        fixture_int64(&fixture_sql_, __VA_ARGS__);                                                 \
    })
/* How many events of that name and key are in the outbox. */
int64_t fixture_events(const char *name, const char *key);

/* Returns once somebody waits for what a transaction holds, or *done; NULL: never mind that. */
void fixture_await_lock(const atomic_bool *done);

/* Runs run(arg, 0) to run(arg, n - 1) on a thread each, all at once. */
void fixture_parallel(int n, void (*run)(void *arg, int i), void *arg);

/*
 * Calls an event handler in a transaction of its own, as the runtime does:
 * HANDLE(on_order_placed, &service, &event).
 */
#define HANDLE(handler, service, event) HANDLE_AT(handler, service, event, 1)
#define HANDLE_AT(handler, service, event, time_us)                                                \
    do {                                                                                           \
        cleanup_ctx struct mesh_ctx *handle_ctx_ = fixture_event_ctx(time_us);                     \
        cleanup_tx struct mesh_tx *handle_tx_ = NULL;                                              \
        CHECK_INT(mesh_tx_begin(handle_ctx_, fixture_db(), &handle_tx_), MESH_OK);                 \
        CHECK_INT(handler(handle_ctx_, service, handle_tx_, event), MESH_OK);                      \
        CHECK_INT(mesh_tx_commit(handle_ctx_, &handle_tx_), MESH_OK);                              \
    } while (0)
struct mesh_db *fixture_db(void);

/* A database that nobody answers for, as while Postgres is away; freed by mesh__db_free(). */
struct mesh_db *fixture_dead_db(void);
/* A context with so much time left; declare it cleanup_ctx. */
struct mesh_ctx *fixture_hurried_ctx(int64_t timeout_ms);

#endif
