/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the server, the clients, the database and the events: says on standard output what
 * is asked of it. */
#ifndef FAKE_PARTS_H
#define FAKE_PARTS_H

#include "mesh/status.h"
#include "rpc/server.h"

#include <stdatomic.h>
#include <stdbool.h>

/* In memory that the child shares with the test. */
struct fake {
    _Atomic(enum mesh_status) db;      /* what the database answers */
    _Atomic(enum mesh_status) session; /* what one for sessions answers; MESH_OK: the same */
    _Atomic(enum mesh_status) pool;    /* what the pool answers; MESH_OK: as the database */
    _Atomic(enum mesh_status) migrate; /* what a look at the migrations answers */
    _Atomic(enum mesh_status) broker;
    _Atomic(enum mesh__probe) probe; /* what the port of the server says */
    atomic_int db_checks;
    atomic_bool port_taken;
    atomic_bool migrate_hangs; /* until its call is cancelled */
    atomic_bool stop_hangs;    /* the server never ends its drain */
};

extern struct fake *fake;

/* One line on standard output, at once. */
void fake_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
