/* SPDX-License-Identifier: Apache-2.0 */
#include "server_raw.h"

#include "server_served.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define FRAME_HEADER 9

static void send_all(int fd, const struct raw_bytes *bytes)
{
    MUST(send(fd, bytes->data, bytes->size, MSG_NOSIGNAL) == (ssize_t)bytes->size);
}

int raw_connect_silent(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    MUST(fd >= 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

int raw_connect(int port)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct raw_bytes bytes = {.size = 0};
    struct raw_bytes empty = {.size = 0};
    int fd = raw_connect_silent(port);

    raw_add(&bytes, preface, sizeof(preface) - 1);
    raw_frame(&bytes, RAW_SETTINGS, 0, 0, &empty);
    send_all(fd, &bytes);
    return fd;
}

void raw_call(int fd, const char *path, const char *const *extra)
{
    struct raw_bytes headers = {.size = 0};
    struct raw_bytes bytes = {.size = 0};

    raw_header(&headers, ":method", "POST");
    raw_header(&headers, ":scheme", "http");
    raw_header(&headers, ":path", path);
    raw_header(&headers, ":authority", "test");
    raw_header(&headers, "te", "trailers");
    raw_header(&headers, "content-type", "application/grpc");
    for (; extra != NULL && extra[0] != NULL; extra += 2) {
        raw_header(&headers, extra[0], extra[1]);
    }
    raw_frame(&bytes, RAW_HEADERS, RAW_END_HEADERS, 1, &headers);
    send_all(fd, &bytes);
}

void raw_data(int fd, const struct raw_bytes *message, bool end)
{
    struct raw_bytes bytes = {.size = 0};

    raw_frame(&bytes, RAW_DATA, end ? RAW_END_STREAM : 0, 1, message);
    send_all(fd, &bytes);
}

void raw_zipped(struct raw_bytes *ret_message, bool is_gzip, const void *bytes, size_t size)
{
    static uint8_t out[sizeof(ret_message->data) - 5];
    z_stream stream = {.avail_in = (uInt)size, .next_out = out, .avail_out = sizeof(out)};

    memcpy(&stream.next_in, &bytes, sizeof(bytes)); /* it is only read */
    MUST(deflateInit2(&stream, 9, Z_DEFLATED, is_gzip ? 15 + 16 : 15, 9, Z_DEFAULT_STRATEGY) ==
         Z_OK);
    MUST(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    ret_message->size = 0;
    raw_message(ret_message, 1, out, (uint32_t)stream.total_out);
    MUST(deflateEnd(&stream) == Z_OK);
}

static bool receive(int fd, uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(fd, to, size, 0);

        if (n <= 0) {
            return false;
        }
        to += n;
        size -= (size_t)n;
    }
    return true;
}

static void acknowledge_settings(int fd)
{
    struct raw_bytes bytes = {.size = 0};
    struct raw_bytes empty = {.size = 0};

    raw_frame(&bytes, RAW_SETTINGS, 1, 0, &empty);
    send_all(fd, &bytes);
}

/* The core writes it as a literal: the name, the size of the value, one or two digits. */
static int status_of(const struct raw_bytes *block)
{
    static const char name[] = "grpc-status";
    const uint8_t *at = memmem(block->data, block->size, name, strlen(name));
    int status = 0;

    if (at == NULL) {
        return -1;
    }
    at += strlen(name);
    for (uint8_t size = *at++; size > 0; size--) {
        status = status * 10 + (*at++ - '0');
    }
    return status;
}

/* True when stream 1 is over. */
static bool take_frame(int fd, const uint8_t *header, const struct raw_bytes *payload,
                       struct raw_answer *answer)
{
    uint8_t type = header[3];
    uint8_t flags = header[4];

    if (type == RAW_SETTINGS && flags == 0) {
        acknowledge_settings(fd);
    }
    answer->goaway |= type == RAW_GOAWAY;
    answer->pinged |= type == RAW_PING;
    if (header[8] != 1) {
        return false;
    }
    answer->reset |= type == RAW_RST_STREAM;
    if (type == RAW_DATA && payload->size > 0) {
        answer->n_data++;
        answer->data = *payload;
    }
    if (type == RAW_HEADERS) {
        if (answer->n_headers++ == 0) {
            answer->first_header = *payload;
        }
        answer->last_header = *payload;
        answer->status = status_of(payload);
        answer->ended_by_headers = (flags & RAW_END_STREAM) != 0;
    }
    return type == RAW_RST_STREAM ||
           ((type == RAW_HEADERS || type == RAW_DATA) && (flags & RAW_END_STREAM) != 0);
}

static void read_frames(int fd, struct raw_answer *answer, bool until_goaway)
{
    uint8_t header[FRAME_HEADER];
    struct raw_bytes payload;
    bool over = false;

    memset(answer, 0, sizeof(*answer));
    answer->status = -1;
    while (!over && !(until_goaway && answer->goaway)) {
        if (!receive(fd, header, sizeof(header))) {
            answer->closed = true;
            return;
        }
        payload.size = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
        MUST(payload.size <= sizeof(payload.data));
        if (!receive(fd, payload.data, payload.size)) {
            answer->closed = true;
            return;
        }
        over = take_frame(fd, header, &payload, answer);
    }
}

void raw_read(int fd, struct raw_answer *ret_answer)
{
    read_frames(fd, ret_answer, false);
}

void raw_read_until_goaway(int fd, struct raw_answer *ret_answer)
{
    read_frames(fd, ret_answer, true);
}

bool raw_has(const struct raw_bytes *block, const char *text)
{
    return memmem(block->data, block->size, text, strlen(text)) != NULL;
}
