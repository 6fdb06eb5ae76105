/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of consuming: one thread, its connections, and the shares that it reads. */
#ifndef MESH_EVENTS_READER_H
#define MESH_EVENTS_READER_H

#include "events/cursor.h"
#include "events/events_impl.h"

#define MESH__BATCH 256 /* messages of one transaction */
#define MESH__QUEUE 512 /* messages of one share in memory: two batches */

/* No more is pulled while a share has as many bytes in memory; a pull brings as many again. */
#define MESH__QUEUE_BYTES ((size_t)4 << 20)

/* What has arrived of a share and what is still to come. Under the reader's lock. */
struct mesh__inflow {
    char consumer[BROKER_NAME_SIZE]; /* "": none */
    struct broker_message *first;
    struct broker_message *last;
    int queued;
    size_t bytes;           /* of those */
    uint64_t next_delivery; /* consumer sequence of the next message */
    uint64_t received;      /* stream sequence of the last one */
    uint64_t passed;        /* read up to here, perhaps by another replica */
    uint64_t pending;       /* what the broker had for us behind it */
    uint64_t complete;      /* nothing for us is missing up to this sequence of the stream */
    uint64_t pull;          /* tag of the latest pull */
    int awaited;            /* messages that this pull may still bring; 0: it is over */
    int64_t pulled_ns;      /* when it was sent */
    int64_t pull_again_ns;  /* not before: a broker that refuses is not asked in a tight loop */
    int64_t heard_ns;       /* last sign of life */
    const char *broken;     /* why it cannot go on; NULL: it can */
};

/* Why an event is put aside instead of being handled. */
enum mesh__why {
    MESH__WHY_NOT, /* it is handled */
    MESH__WHY_JUNK,
    MESH__WHY_UNREADABLE, /* an event whose payload does not unpack */
    MESH__WHY_REFUSED,    /* by its handler, again and again */
    MESH__WHY_CRASHED,    /* the process ended while it was handled, again and again */
    MESH__WHY_BEHIND,     /* an earlier one of its key waits */
    MESH__WHYS
};

/* Whom an unclean end is put down to: trial.h. */
struct mesh__trial {
    bool known;                 /* what the cursor says of the readers before us */
    bool noted;                 /* the cursor says what we are about to handle */
    int left;                   /* so many messages are still taken one by one */
    int ends;                   /* unclean ones in a row before us, on: */
    char event[MESH_UUID_SIZE]; /* lower case */
};

/* A partition of a source. All but the inflow belongs to the reader's thread. */
struct mesh__share {
    int partition;
    const char *source;
    char *subject;               /* of its events */
    struct mesh__cursor cursor;  /* as in the database */
    struct mesh__cursor reached; /* further, if what follows the cursor was skipped */
    bool held;                   /* ours to read */
    bool careful;                /* whoever read it before came to no good end */
    bool open;                   /* has a consumer */
    int64_t created_us;          /* of the stream that the consumer reads */
    int64_t moved_ns;            /* when the cursor was last written */
    int64_t retry_ns;            /* not tended before */
    struct mesh__backoff backoff;
    int failures;         /* in a row, of any kind */
    int refusals;         /* of the next message by its handler */
    uint64_t single_file; /* up to this sequence: one message per transaction */
    struct mesh__trial trial;
    bool maybe_parked; /* else nothing is: then nothing is asked */
    bool draining;     /* parked events are marked to be handled again, or may be */
    int64_t look_ns;   /* for such marks */
    struct mesh__rarely complaint;
    int64_t current_ns; /* when nothing waited that was known of, for the last time */
    struct mesh_counter *handled;
    struct mesh_gauge *lag;
    struct mesh_gauge *behind;
    struct mesh_gauge *parked;
    struct mesh_counter *put_aside[MESH__WHYS];
    struct mesh__inflow in;
};

struct mesh__reader {
    struct mesh_events *events;
    struct mesh__link link;
    struct mesh_db *db; /* one connection; NULL without an inbox */
    struct mesh_ctx *ctx;
    struct mesh_ctx *event_ctx; /* of the event being handled */
    struct mesh__share *shares;
    size_t n_shares;
    struct mesh__lease_group *leases; /* of the partitions */
    uint64_t terms[MESH_PARTITIONS];  /* under which its shares are read; 0: another replica's */
    struct mesh__backoff backoff;
    int64_t check_ns; /* of the next comparison with the stream */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready; /* something for the thread to do has arrived */
    bool ended; /* the thread has */
    atomic_bool stopping;
    atomic_bool cut; /* the batch under way takes too long to stop */

    struct mesh_counter *duplicates;
    struct mesh_counter *skipped;
    struct mesh_counter *failed;
    struct mesh_counter *breaks;
    struct mesh_counter *rewinds;
    struct mesh_counter *gaps;
};

/* A cursor without any events of its own is written so often; a test shortens it. */
extern int64_t mesh__quiet_ms;

/* A clean context for the next transaction. */
struct mesh_ctx *mesh__reader_ctx(struct mesh__reader *reader);

/* ---- inflow.c: what the broker's thread and the reader's thread share ---- */

/* Begins anew, behind the share's cursor; NULL: with no consumer. */
void mesh__inflow_reset(struct mesh__reader *reader, struct mesh__share *share,
                        const struct broker_consumer *consumer);
void mesh__inflow_message(struct mesh__reader *reader, struct broker_message *message);
void mesh__inflow_note(struct mesh__reader *reader, const struct broker_pull_note *note);
/* The first messages, without removing them; returns how many. */
int mesh__inflow_peek(struct mesh__reader *reader, struct mesh__share *share, int max,
                      const struct broker_message **ret_messages);
/* Removes and frees what was read, up to and including a sequence. */
void mesh__inflow_drop(struct mesh__reader *reader, struct mesh__share *share, uint64_t upto);
/* Why it is broken, or that it is silent while it should speak; NULL if it is neither. */
const char *mesh__inflow_broken(struct mesh__reader *reader, struct mesh__share *share);
/* If it is time to pull: how many, and the tag. */
int mesh__inflow_wants(struct mesh__reader *reader, struct mesh__share *share, uint64_t *ret_tag);
/* When it will be broken or want to pull unless something arrives. */
int64_t mesh__inflow_due_ns(struct mesh__reader *reader, struct mesh__share *share);
/* How far everything has arrived; never less than the cursor. */
uint64_t mesh__inflow_complete(struct mesh__reader *reader, struct mesh__share *share);
/* The same if everything that has arrived was also read; else 0. */
uint64_t mesh__inflow_quiet(struct mesh__reader *reader, struct mesh__share *share);
/* Everything that the broker has for it is here, or will be at once. */
bool mesh__inflow_current(struct mesh__reader *reader, struct mesh__share *share);
/* What is missing up to this sequence will never arrive. */
void mesh__inflow_assume(struct mesh__reader *reader, struct mesh__share *share, uint64_t complete);
/* How many messages wait, here and at the broker. */
uint64_t mesh__inflow_lag(struct mesh__reader *reader, struct mesh__share *share);

/* ---- share.c ---- */

/* Does what is due; true if it did something and may have more to do. */
bool mesh__share_tend(struct mesh__reader *reader, struct mesh__share *share);
void mesh__share_close(struct mesh__reader *reader, struct mesh__share *share);
/* Compares all open shares with the stream; those that do not fit are closed. */
MESH_STATUS mesh__shares_check(struct mesh__reader *reader);
/* Reads the cursor again and leaves out what it is beyond: after another replica has moved it, or
 * after a commit whose outcome is not known. */
MESH_STATUS mesh__share_resync(struct mesh__reader *reader, struct mesh__share *share);
/* Writes the cursor; MESH_ABORTED if another replica has moved it. */
MESH_STATUS mesh__share_move(struct mesh__reader *reader, struct mesh__share *share,
                             const struct mesh__cursor *to);
/* Shows how far it is behind. */
void mesh__share_measure(struct mesh__reader *reader, struct mesh__share *share);
/* When the share wants to be tended though nothing arrives. */
int64_t mesh__share_due_ns(struct mesh__reader *reader, struct mesh__share *share);

/* ---- batch.c ---- */

/* Reads what has arrived of a share, in one transaction. False: nothing had. */
bool mesh__share_read(struct mesh__reader *reader, struct mesh__share *share);

#endif
