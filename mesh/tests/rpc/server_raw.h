/* SPDX-License-Identifier: Apache-2.0 */
/* A client that speaks HTTP/2 by hand, to send what no library sends and to see what comes back. */
#ifndef SERVER_RAW_H
#define SERVER_RAW_H

#include "client_raw_peer.h"

#include <stdbool.h>

/* What came back on stream 1. */
struct raw_answer {
    int n_headers;         /* HEADERS frames */
    int n_data;            /* DATA frames with bytes */
    bool ended_by_headers; /* END_STREAM stood on the last HEADERS frame */
    bool reset;
    bool goaway;
    bool pinged;                   /* it is not answered */
    bool closed;                   /* the connection */
    int status;                    /* of grpc-status; -1: none was seen */
    struct raw_bytes data;         /* of the last DATA frame */
    struct raw_bytes first_header; /* of the first HEADERS frame, still compressed */
    struct raw_bytes last_header;
};

/* Connects; the descriptor. */
int raw_connect_silent(int port);
/* Sends preface and SETTINGS, too. */
int raw_connect(int port);
/* Sends the headers of a gRPC call on stream 1; extra names and values end with NULL. */
void raw_call(int fd, const char *path, const char *const *extra);
void raw_data(int fd, const struct raw_bytes *message, bool end);
/* A message that is compressed, by gzip or else by deflate. */
void raw_zipped(struct raw_bytes *ret_message, bool is_gzip, const void *bytes, size_t size);
/* Reads until stream 1 or the connection is over. */
void raw_read(int fd, struct raw_answer *ret_answer);
/* Reads until the server says GOAWAY, or one of these is over. */
void raw_read_until_goaway(int fd, struct raw_answer *ret_answer);
/* True if a header block holds a text as it stands (the core does not use Huffman codes). */
bool raw_has(const struct raw_bytes *block, const char *text);

#endif
