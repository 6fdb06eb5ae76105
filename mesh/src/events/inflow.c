/* SPDX-License-Identifier: Apache-2.0 */
/* What has arrived of the shares: filled on the broker's thread, emptied by the reader. */
#include "core/clock.h"
#include "events/reader.h"

#include <stdlib.h>
#include <string.h>

#define SILENT_HEARTBEATS 3
#define PULL_PAUSE_MS 100
#define TAG_SHIFT 32 /* a tag is the share's number and a count */

static void free_messages(struct broker_message *message)
{
    while (message != NULL) {
        struct broker_message *next = message->next;

        free(message);
        message = next;
    }
}

static void set_ready(struct mesh__reader *reader)
{
    if (!reader->ready) {
        reader->ready = true;
        pthread_cond_signal(&reader->changed);
    }
}

void mesh__inflow_reset(struct mesh__reader *reader, struct mesh__share *share,
                        const struct broker_consumer *consumer)
{
    struct mesh__inflow *in = &share->in;
    struct broker_message *queued;

    pthread_mutex_lock(&reader->lock);
    queued = in->first;
    *in = (struct mesh__inflow){.pull = in->pull + 1, /* answers to earlier pulls are ignored */
                                .next_delivery = 1,
                                .received = share->cursor.sequence,
                                .complete = share->cursor.sequence};
    if (consumer != NULL) {
        memcpy(in->consumer, consumer->name, sizeof(in->consumer));
        in->pending = consumer->pending;
    }
    pthread_mutex_unlock(&reader->lock);
    free_messages(queued);
}

static struct mesh__share *find(struct mesh__reader *reader, const char *consumer)
{
    for (size_t i = 0; i < reader->n_shares; i++) {
        if (strcmp(reader->shares[i].in.consumer, consumer) == 0) {
            return &reader->shares[i];
        }
    }
    return NULL;
}

/* False: another replica has read it. */
static bool receive(struct mesh__inflow *in, struct broker_message *message)
{
    in->next_delivery++;
    in->received = message->sequence;
    in->pending = message->pending;
    if (in->complete < message->sequence) {
        in->complete = message->sequence;
    }
    if (message->sequence <= in->passed) {
        return false;
    }
    message->next = NULL;
    if (in->last != NULL) {
        in->last->next = message;
    } else {
        in->first = message;
    }
    in->last = message;
    in->queued++;
    in->bytes += message->size;
    return true;
}

void mesh__inflow_message(struct mesh__reader *reader, struct broker_message *message)
{
    struct mesh__share *share;

    pthread_mutex_lock(&reader->lock);
    share = find(reader, message->consumer);
    if (share != NULL && share->in.broken == NULL) {
        struct mesh__inflow *in = &share->in;

        in->heard_ns = mesh__now_ns();
        in->awaited -= in->awaited > 0;
        if (message->consumer_sequence == in->next_delivery && message->sequence > in->received &&
            in->queued < MESH__QUEUE) {
            if (receive(in, message)) {
                message = NULL;
            }
        } else {
            in->broken = "a delivery was lost";
        }
        set_ready(reader);
    }
    pthread_mutex_unlock(&reader->lock);
    free(message); /* of a consumer that was given up, or broken */
}

void mesh__inflow_note(struct mesh__reader *reader, const struct broker_pull_note *note)
{
    size_t number = note->tag >> TAG_SHIFT;
    struct mesh__inflow *in;

    if (number >= reader->n_shares) {
        return;
    }
    in = &reader->shares[number].in;
    pthread_mutex_lock(&reader->lock);
    if (in->consumer[0] != '\0' && (uint32_t)note->tag == (uint32_t)in->pull) {
        in->heard_ns = mesh__now_ns();
        if (note->state == BROKER_PULL_REFUSED) {
            in->broken = "the broker has ended its consumer";
            set_ready(reader);
        } else if (note->state == BROKER_PULL_ENDED) {
            in->awaited = 0;
            in->pull_again_ns = in->pulled_ns + PULL_PAUSE_MS * MESH_NS_PER_MS;
            set_ready(reader);
        } else if (note->consumer_sequence + 1 == in->next_delivery) {
            /* All was received, and it waits for more. Its own count of what is pending may be
             * wrong after it was started anew. */
            in->pending = 0;
            if (note->stream_sequence > in->complete) {
                in->complete = note->stream_sequence;
            }
        }
    }
    pthread_mutex_unlock(&reader->lock);
}

int mesh__inflow_peek(struct mesh__reader *reader, struct mesh__share *share, int max,
                      const struct broker_message **ret_messages)
{
    const struct broker_message *message;
    int n = 0;

    pthread_mutex_lock(&reader->lock);
    message = share->in.first;
    while (message != NULL && n < max) {
        ret_messages[n++] = message;
        message = message->next;
    }
    pthread_mutex_unlock(&reader->lock);
    return n;
}

void mesh__inflow_drop(struct mesh__reader *reader, struct mesh__share *share, uint64_t upto)
{
    struct mesh__inflow *in = &share->in;
    struct broker_message *dropped;
    struct broker_message **end = &dropped;

    pthread_mutex_lock(&reader->lock);
    while (in->first != NULL && in->first->sequence <= upto) {
        in->bytes -= in->first->size;
        *end = in->first;
        end = &in->first->next;
        in->first = in->first->next;
        in->queued--;
    }
    *end = NULL;
    if (in->first == NULL) {
        in->last = NULL;
    }
    in->passed = upto;
    if (in->complete < upto) {
        in->complete = upto;
    }
    pthread_mutex_unlock(&reader->lock);
    free_messages(dropped);
}

static int64_t silent_at_ns(const struct mesh__inflow *in)
{
    return in->heard_ns + SILENT_HEARTBEATS * mesh__broker->heartbeat_ms * MESH_NS_PER_MS;
}

const char *mesh__inflow_broken(struct mesh__reader *reader, struct mesh__share *share)
{
    const struct mesh__inflow *in = &share->in;
    const char *broken;

    pthread_mutex_lock(&reader->lock);
    broken = in->broken;
    if (broken == NULL && in->awaited > 0 && mesh__now_ns() > silent_at_ns(in)) {
        broken = "the broker is silent";
    }
    pthread_mutex_unlock(&reader->lock);
    return broken;
}

int64_t mesh__inflow_due_ns(struct mesh__reader *reader, struct mesh__share *share)
{
    const struct mesh__inflow *in = &share->in;
    int64_t due_ns;

    pthread_mutex_lock(&reader->lock);
    due_ns = in->awaited > 0 ? silent_at_ns(in) : in->pull_again_ns;
    pthread_mutex_unlock(&reader->lock);
    return due_ns;
}

int mesh__inflow_wants(struct mesh__reader *reader, struct mesh__share *share, uint64_t *ret_tag)
{
    struct mesh__inflow *in = &share->in;
    int64_t now_ns = mesh__now_ns();
    int n = 0;

    pthread_mutex_lock(&reader->lock);
    if (in->awaited == 0 && in->queued <= MESH__QUEUE - MESH__BATCH &&
        in->bytes < MESH__QUEUE_BYTES && now_ns >= in->pull_again_ns) {
        n = MESH__QUEUE - in->queued;
        in->awaited = n;
        in->pull++;
        in->heard_ns = now_ns;
        in->pulled_ns = now_ns;
        *ret_tag = (uint64_t)(share - reader->shares) << TAG_SHIFT | (uint32_t)in->pull;
    }
    pthread_mutex_unlock(&reader->lock);
    return n;
}

uint64_t mesh__inflow_complete(struct mesh__reader *reader, struct mesh__share *share)
{
    uint64_t complete;

    pthread_mutex_lock(&reader->lock);
    complete = share->in.complete;
    pthread_mutex_unlock(&reader->lock);
    return complete;
}

uint64_t mesh__inflow_quiet(struct mesh__reader *reader, struct mesh__share *share)
{
    uint64_t complete;

    pthread_mutex_lock(&reader->lock);
    complete = share->in.first == NULL ? share->in.complete : 0;
    pthread_mutex_unlock(&reader->lock);
    return complete;
}

bool mesh__inflow_current(struct mesh__reader *reader, struct mesh__share *share)
{
    bool current;

    pthread_mutex_lock(&reader->lock);
    current = share->in.pending == 0 && share->in.awaited > 0;
    pthread_mutex_unlock(&reader->lock);
    return current;
}

void mesh__inflow_assume(struct mesh__reader *reader, struct mesh__share *share, uint64_t complete)
{
    pthread_mutex_lock(&reader->lock);
    if (share->in.complete < complete) {
        share->in.complete = complete;
    }
    pthread_mutex_unlock(&reader->lock);
}

uint64_t mesh__inflow_lag(struct mesh__reader *reader, struct mesh__share *share)
{
    uint64_t lag;

    pthread_mutex_lock(&reader->lock);
    lag = (uint64_t)share->in.queued + share->in.pending;
    pthread_mutex_unlock(&reader->lock);
    return lag;
}
