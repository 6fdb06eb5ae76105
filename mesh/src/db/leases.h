/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a service's replicas does what only one of them may do: partitions, the relay, single
 * jobs.
 *
 * Each replica keeps a row that says it lives, and that of one which stops keeping it is taken away
 * by another: its sessions are ended first, so that what it holds in the database is free and what
 * it has not committed never will be; then its leases are taken. A lease is a help, never a proof:
 * a process that was stopped and goes on may believe for a moment that it holds one. What must not
 * be done twice stands on a compare-and-set.
 */
#ifndef MESH_DB_LEASES_H
#define MESH_DB_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mesh__leases;
/* Leases of one kind; the replicas have equal numbers of them, as nearly as can be. */
struct mesh__lease_group;

/* A replica that has not said for so long that it lives is taken to be gone. A test shortens it. */
extern int64_t mesh__lease_ms;
/* What is held is given up when its work could for so long be done by another replica, but not
 * here: for longer than they take to find that none can, or all can again. A test shortens it. */
extern _Atomic int64_t mesh__lease_patience_ms;

struct mesh__leases_options {
    const char *url;    /* Postgres, not through a transaction pooler */
    const char *schema; /* whose replicas share the leases */
    /* No other replica has the same; all sessions of this process have it for their
     * application_name, or a part of that which holds the last word. */
    const char *replica;
};

struct mesh__leases *mesh__leases_new(const struct mesh__leases_options *options);
/* Stops it. What was held is given up, unless the database is away. */
void mesh__leases_free(struct mesh__leases *leases);

/*
 * n leases, called name/0, name/1, ...; before the start. changed(arg) is called when one may have
 * been won or must be left, on the thread of the leases; it must not block.
 */
struct mesh__lease_group *mesh__leases_add(struct mesh__leases *leases, const char *name, size_t n,
                                           void (*changed)(void *arg), void *arg);
/* NULL is fine, here and below. */
void mesh__leases_start(struct mesh__leases *leases);
/* Gives up what is held; before it, whoever uses a lease has stopped. No callback comes after. */
void mesh__leases_stop(struct mesh__leases *leases);

/*
 * 0 unless this process holds lease i now; else a number that is another one each time it was won.
 * Without leases (group is NULL) there are no other replicas: always 1. Any thread.
 */
uint64_t mesh__lease_term(const struct mesh__lease_group *group, size_t i);
/* Whether the replica that held it before had not given it up: perhaps it died of its work. */
bool mesh__lease_unclean(const struct mesh__lease_group *group, size_t i);
/*
 * Nothing is done under lease i any more. Whoever uses a lease says so when its term has become 0
 * or another; until then it does not go to another replica, if that can be helped.
 */
void mesh__lease_left(struct mesh__lease_group *group, size_t i);

/*
 * Whether the work of the group can be done here now, as it can before this is called. If not,
 * nothing is taken while another replica can, and what is held is given up after a while. Any
 * thread.
 */
void mesh__lease_able(struct mesh__lease_group *group, bool able);

/* The replica that options name: holder in the table of leases, for statements that must be refused
 * once another one holds it. */
const char *mesh__leases_replica(const struct mesh__leases *leases);

#endif
