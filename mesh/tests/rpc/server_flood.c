/* SPDX-License-Identifier: Apache-2.0 */
#include "server_flood.h"

#include "server_served.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INITIAL_WINDOW 4 /* a setting's number */
#define WINDOW_UPDATE 0x8
#define ACK 0x1
#define FRAME_MAX 16384

/* Blocks until it is sent, but goes on taking what comes, so that the two sides cannot stop each
 * other. */
static void send_bytes(struct flood *flood, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0 && !flood->closed) {
        ssize_t n = send(flood->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else {
            flood_take(flood, 1);
        }
    }
}

static void send_frame(struct flood *flood, uint8_t type, uint8_t flags, uint32_t stream,
                       const struct raw_bytes *payload)
{
    struct raw_bytes bytes = {.size = 0};

    raw_frame(&bytes, type, flags, stream, payload);
    send_bytes(flood, bytes.data, bytes.size);
}

static void add_uint32(struct raw_bytes *bytes, uint32_t number)
{
    uint32_t network = htonl(number);

    raw_add(bytes, &network, sizeof(network));
}

static uint32_t uint32_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t number_of(int stream)
{
    return 2 * (uint32_t)stream + 1;
}

struct flood *flood_open(int port, uint32_t window, bool acknowledges)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct flood *flood = calloc(1, sizeof(*flood));
    struct raw_bytes settings = {.size = 0};

    MUST(flood != NULL);
    flood->fd = socket(AF_INET, SOCK_STREAM, 0);
    flood->acknowledges = acknowledges;
    flood->window = 65535;
    flood->first_window = 65535;
    MUST(flood->fd >= 0);
    MUST(connect(flood->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    raw_add(&settings, "\0\4", 2);
    add_uint32(&settings, window);
    send_bytes(flood, preface, sizeof(preface) - 1);
    send_frame(flood, RAW_SETTINGS, 0, 0, &settings);
    return flood;
}

void flood_close(struct flood *flood)
{
    (void)close(flood->fd);
    free(flood);
}

int flood_call(struct flood *flood, const char *path)
{
    struct raw_bytes headers = {.size = 0};
    int stream = flood->n_streams++;

    MUST(stream < FLOOD_STREAMS);
    raw_header(&headers, ":method", "POST");
    raw_header(&headers, ":scheme", "http");
    raw_header(&headers, ":path", path);
    raw_header(&headers, ":authority", "test");
    raw_header(&headers, "te", "trailers");
    raw_header(&headers, "content-type", "application/grpc");
    raw_header(&headers, "grpc-encoding", "gzip");
    send_frame(flood, RAW_HEADERS, RAW_END_HEADERS, number_of(stream), &headers);
    return stream;
}

size_t flood_data(struct flood *flood, int stream, const void *bytes, size_t size, bool end)
{
    int64_t window = flood->first_window + flood->windows[stream];
    int64_t may = window < flood->window ? window : flood->window;
    uint8_t frame[9 + FRAME_MAX];
    size_t n = size < FRAME_MAX ? size : FRAME_MAX;

    if (may <= 0 && size > 0) {
        return 0;
    }
    n = size > 0 && (int64_t)n > may ? (size_t)may : n;
    frame[0] = 0;
    frame[1] = (uint8_t)(n >> 8);
    frame[2] = (uint8_t)n;
    frame[3] = RAW_DATA;
    frame[4] = end && n == size ? RAW_END_STREAM : 0;
    for (int i = 0; i < 4; i++) {
        frame[5 + i] = (uint8_t)(number_of(stream) >> (24 - 8 * i));
    }
    memcpy(frame + 9, bytes, n);
    flood->window -= (int64_t)n;
    flood->windows[stream] -= (int64_t)n;
    flood->n_sent[stream] += n;
    send_bytes(flood, frame, 9 + n);
    return n;
}

void flood_allow(struct flood *flood, int stream, uint32_t bytes)
{
    struct raw_bytes increment = {.size = 0};

    add_uint32(&increment, bytes);
    send_frame(flood, WINDOW_UPDATE, 0, 0, &increment);
    send_frame(flood, WINDOW_UPDATE, 0, number_of(stream), &increment);
}

/* ---- what comes --------------------------------------------------------------------------- */

static void take_settings(struct flood *flood)
{
    struct raw_bytes nothing = {.size = 0};

    /* Those that matter here come first. */
    for (size_t i = 0; i + 6 <= flood->n_payload; i += 6) {
        if (flood->payload[i] == 0 && flood->payload[i + 1] == INITIAL_WINDOW) {
            flood->first_window = uint32_at(flood->payload + i + 2);
        }
    }
    if (flood->acknowledges) {
        send_frame(flood, RAW_SETTINGS, ACK, 0, &nothing);
    }
}

static void end(struct flood *flood, uint32_t stream)
{
    flood->n_ended += flood->ended[stream] ? 0 : 1;
    flood->ended[stream] = true;
}

static void take_frame(struct flood *flood)
{
    uint32_t number = uint32_at(flood->header + 5) & INT32_MAX;
    uint8_t flags = flood->header[4];
    struct raw_bytes payload = {.size = 0};

    switch (flood->header[3]) {
    case RAW_SETTINGS:
        if ((flags & ACK) == 0) {
            take_settings(flood);
        }
        break;
    case RAW_PING:
        if ((flags & ACK) == 0) {
            raw_add(&payload, flood->payload, flood->n_payload);
            send_frame(flood, RAW_PING, ACK, 0, &payload);
        }
        break;
    case WINDOW_UPDATE:
        if (number == 0) {
            flood->window += uint32_at(flood->payload);
        } else {
            flood->windows[number / 2] += uint32_at(flood->payload);
        }
        break;
    case RAW_GOAWAY:
        flood->goaway = true;
        break;
    case RAW_RST_STREAM:
        end(flood, number / 2);
        break;
    case RAW_DATA:
        flood->n_data += flood->n_size > 0 ? 1 : 0;
        flood->last_data = flood->last_byte;
        break;
    case RAW_HEADERS:
        flood->n_headers++;
        if ((flags & RAW_END_STREAM) != 0) {
            end(flood, number / 2);
        }
        break;
    default:
        break;
    }
}

/* Takes one byte; frames are kept by their first bytes alone. */
static void take_byte(struct flood *flood, uint8_t byte)
{
    size_t size;

    if (flood->n_header < sizeof(flood->header)) {
        flood->header[flood->n_header++] = byte;
        flood->n_payload = 0;
    } else {
        if (flood->n_payload < sizeof(flood->payload)) {
            flood->payload[flood->n_payload] = byte;
        }
        flood->n_payload++;
        flood->last_byte = byte;
    }
    size = (size_t)flood->header[0] << 16 | (size_t)flood->header[1] << 8 | flood->header[2];
    if (flood->n_header == sizeof(flood->header) && flood->n_payload == size) {
        flood->n_size = size;
        flood->n_payload = size < sizeof(flood->payload) ? size : sizeof(flood->payload);
        flood->n_header = 0;
        take_frame(flood);
        flood->n_payload = 0;
    }
}

void flood_take(struct flood *flood, int ms)
{
    struct pollfd fd = {.fd = flood->fd, .events = POLLIN};
    uint8_t bytes[65536];
    ssize_t n;

    if (flood->closed || poll(&fd, 1, ms) <= 0) {
        return;
    }
    n = recv(flood->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        flood->closed = true;
    }
    for (ssize_t i = 0; i < n; i++) {
        take_byte(flood, bytes[i]);
    }
}
