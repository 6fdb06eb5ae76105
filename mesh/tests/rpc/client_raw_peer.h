/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that speaks bytes: it waits for a request and answers with what a test has prepared. */
#ifndef CLIENT_RAW_PEER_H
#define CLIENT_RAW_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raw_peer;

/* Bytes in the making. */
struct raw_bytes {
    size_t size;
    uint8_t data[4096];
};

void raw_add(struct raw_bytes *bytes, const void *data, size_t size);
/* A frame of HTTP/2. */
void raw_frame(struct raw_bytes *bytes, uint8_t type, uint8_t flags, uint32_t stream,
               const struct raw_bytes *payload);
/* A header field, neither indexed nor Huffman coded; texts of less than 127 bytes. */
void raw_header(struct raw_bytes *bytes, const char *name, const char *value);
/* The prefix and bytes of one message. */
void raw_message(struct raw_bytes *bytes, uint8_t compressed, const void *data, uint32_t size);

#define RAW_DATA 0x0
#define RAW_HEADERS 0x1
#define RAW_RST_STREAM 0x3
#define RAW_SETTINGS 0x4
#define RAW_PING 0x6
#define RAW_GOAWAY 0x7
#define RAW_END_STREAM 0x1
#define RAW_END_HEADERS 0x4

/* What becomes of a connection after the answer. */
enum raw_end {
    RAW_STAY, /* the other side ends it */
    RAW_CLOSE,
    RAW_RESET /* by a TCP reset */
};

/*
 * Serves one connection after another: sends `hello` at once and `answer` (either may be empty)
 * when the first HEADERS frame has come.
 */
struct raw_peer *raw_peer_new(const struct raw_bytes *hello, const struct raw_bytes *answer,
                              enum raw_end end);
/*
 * The same for a client that watches health: the first stream of a connection is the watch, which
 * gets its own answer; `answer` is for the second, stream 3.
 */
struct raw_peer *raw_peer_new_watched(const struct raw_bytes *hello, const struct raw_bytes *watch,
                                      const struct raw_bytes *answer, enum raw_end end);
/* A port of which nobody takes connections: each is refused, or hangs without a word. */
struct raw_peer *raw_peer_new_refusing(void);
struct raw_peer *raw_peer_new_hanging(void);
int raw_peer_port(const struct raw_peer *peer);
/* That it has taken. */
int raw_peer_n_connections(const struct raw_peer *peer);
/* Whether these bytes have come, once a call has had its answer. */
bool raw_peer_has_received(const struct raw_peer *peer, const char *text);
void raw_peer_free(struct raw_peer *peer);

#endif
