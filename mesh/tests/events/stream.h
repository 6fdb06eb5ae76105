/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of event delivery do to the broker and find in it, the straight way: whatever
 * table of functions is in force. */
#ifndef TEST_EVENTS_STREAM_H
#define TEST_EVENTS_STREAM_H

#include "events/broker.h"

struct service;

struct published {
    char id[BROKER_ID_SIZE];
    char key[64];
    int64_t version;
    uint64_t sequence;
};

/* All of Counted in the stream, in order; freed by free(). */
struct published *read_stream(const char *system, size_t *ret_n);
/* Every event of the outbox is in the stream exactly once, and each key in order. */
void check_stream(struct service *service);
/* Waits until the stream has that many messages. */
void wait_for_stream(const char *system, uint64_t n);
/* A raw message under a subject. */
void publish_raw(const char *subject, const char *id, const void *data, size_t size);
/* The same with a header such as "Status: 404" instead of an id. */
void publish_with_header(const char *subject, const char *header, const void *data, size_t size);
/* A text, without waiting for an answer that means something. */
void send_raw(const char *subject, const char *text);
void make_stream(const struct broker_stream_config *config);
void delete_stream(const char *system);
void purge_stream(const char *system);
void delete_consumer(const char *system, const char *consumer);
bool broker_answers(void);

#endif
