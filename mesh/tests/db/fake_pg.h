/* SPDX-License-Identifier: Apache-2.0 */
/* A Postgres that answers what the test tells it to. */
#ifndef DB_FAKE_PG_H
#define DB_FAKE_PG_H

#include "db/pg.h"

/* One answer to one receive. */
struct fake_answer {
    enum pg_wait wait; /* anything but PG_READY: no result */
    enum pg_kind kind;
    const char *sqlstate; /* of a PG_ERROR */
    bool fatal;
};

#define FAKE_DONE                                                                                  \
    {                                                                                              \
        PG_READY, PG_DONE, NULL, false                                                             \
    }
#define FAKE_ROWS                                                                                  \
    {                                                                                              \
        PG_READY, PG_ROW, NULL, false                                                              \
    }
#define FAKE_SYNCED                                                                                \
    {                                                                                              \
        PG_READY, PG_SYNCED, NULL, false                                                           \
    }
#define FAKE_SKIPPED                                                                               \
    {                                                                                              \
        PG_READY, PG_SKIPPED, NULL, false                                                          \
    }
#define FAKE_ERROR(sqlstate)                                                                       \
    {                                                                                              \
        PG_READY, PG_ERROR, sqlstate, false                                                        \
    }
#define FAKE_FATAL(sqlstate)                                                                       \
    {                                                                                              \
        PG_READY, PG_ERROR, sqlstate, true                                                         \
    }
#define FAKE_LOST                                                                                  \
    {                                                                                              \
        PG_LOST, PG_DONE, NULL, false                                                              \
    }
#define FAKE_TIMEOUT                                                                               \
    {                                                                                              \
        PG_TIMEOUT, PG_DONE, NULL, false                                                           \
    }

/* Puts the fake in force with these answers; after the last one the connection is lost. */
void fake_pg_use(const struct fake_answer *answers, size_t n);
#define FAKE_ANSWERS(...)                                                                          \
    fake_pg_use((const struct fake_answer[]){__VA_ARGS__},                                         \
                sizeof((const struct fake_answer[]){__VA_ARGS__}) / sizeof(struct fake_answer))

/*
 * What was asked of it since: one letter each: p prepare, x execute, q query, s sync, f flush,
 * c cancel, w wait for that.
 */
const char *fake_pg_asked(void);
/* Connections made and closed since. */
int fake_pg_connected(void);
int fake_pg_closed(void);
/* What is wrong with it; nothing is after fake_pg_use(). */
struct fake_faults {
    bool cancel_is_lost;
    bool dead; /* while nothing is under way */
    bool in_transaction;
    int rows; /* of each FAKE_ROWS; 0: one */
};
void fake_pg_set(struct fake_faults now);

#endif
