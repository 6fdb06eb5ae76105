/* SPDX-License-Identifier: Apache-2.0 */
/* A client that speaks HTTP/2 by hand on many streams, as long as the other side lets it. */
#ifndef SERVER_FLOOD_H
#define SERVER_FLOOD_H

#include "client_raw_peer.h"
#include "core/clock.h"

#define FLOOD_STREAMS 200

struct flood {
    int fd;
    bool acknowledges;              /* the server's SETTINGS */
    int64_t window;                 /* what may be sent on the connection */
    int64_t first_window;           /* of each stream */
    int64_t windows[FLOOD_STREAMS]; /* what was added to it and taken from it, by stream */
    size_t n_sent[FLOOD_STREAMS];   /* bytes */
    int n_streams;
    uint8_t header[9]; /* of the frame that is being read */
    size_t n_header;
    uint8_t payload[64]; /* its first bytes */
    size_t n_payload;
    size_t n_size; /* of the whole payload */
    uint8_t last_byte;
    int n_headers;             /* HEADERS frames */
    int n_data;                /* DATA frames with bytes */
    uint8_t last_data;         /* the last byte of the last of them */
    bool ended[FLOOD_STREAMS]; /* by trailers or a reset */
    int n_ended;
    bool goaway;
    bool closed; /* by the server */
};

/* Connects; the server may send `window` bytes on each stream. */
struct flood *flood_open(int port, uint32_t window, bool acknowledges);
void flood_close(struct flood *flood);
/* The headers of a call on a new stream; its number, from 0. */
int flood_call(struct flood *flood, const char *path);
/* Sends as much as the windows allow; how much that was. */
size_t flood_data(struct flood *flood, int stream, const void *bytes, size_t size, bool end);
/* Takes what has come, waiting for it at most ms. */
void flood_take(struct flood *flood, int ms);
/* Takes what comes until that holds; ends the program if it does not in 10 s. */
#define FLOOD_AWAIT(flood, condition)                                                              \
    for (int64_t until_ns = mesh__in_ms(10000); !(condition); flood_take(flood, 10)) {             \
        MUST(mesh__now_ns() < until_ns);                                                           \
    }
/* Lets the server send so many bytes more, on the connection and on one stream. */
void flood_allow(struct flood *flood, int stream, uint32_t bytes);

#endif
