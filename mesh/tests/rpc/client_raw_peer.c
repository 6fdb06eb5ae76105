/* SPDX-License-Identifier: Apache-2.0 */
#include "client_raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFACE_SIZE 24
#define FRAME_HEAD 9

struct raw_peer {
    const struct raw_bytes *hello, *watch, *answer; /* watch NULL: there is none */
    enum raw_end end;
    int listener;
    int filler;  /* takes the one place there is for connections that wait; -1: none */
    int stop[2]; /* a pipe: closed to end the thread */
    bool served; /* by the thread */
    int port;
    pthread_t thread;
    uint8_t received[65536]; /* on the connection that is served now, or was last */
    atomic_size_t n_received;
    atomic_int n_connections;
};

void raw_add(struct raw_bytes *bytes, const void *data, size_t size)
{
    if (size > sizeof bytes->data - bytes->size) {
        abort();
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void add_number(struct raw_bytes *bytes, uint32_t number, int n_bytes)
{
    for (int i = n_bytes - 1; i >= 0; i--) {
        uint8_t byte = (uint8_t)(number >> (8 * i));

        raw_add(bytes, &byte, 1);
    }
}

void raw_frame(struct raw_bytes *bytes, uint8_t type, uint8_t flags, uint32_t stream,
               const struct raw_bytes *payload)
{
    add_number(bytes, (uint32_t)payload->size, 3);
    add_number(bytes, type, 1);
    add_number(bytes, flags, 1);
    add_number(bytes, stream, 4);
    raw_add(bytes, payload->data, payload->size);
}

void raw_header(struct raw_bytes *bytes, const char *name, const char *value)
{
    add_number(bytes, 0, 1);
    add_number(bytes, (uint32_t)strlen(name), 1);
    raw_add(bytes, name, strlen(name));
    add_number(bytes, (uint32_t)strlen(value), 1);
    raw_add(bytes, value, strlen(value));
}

void raw_message(struct raw_bytes *bytes, uint8_t compressed, const void *data, uint32_t size)
{
    add_number(bytes, compressed, 1);
    add_number(bytes, size, 4);
    raw_add(bytes, data, size);
}

/* How many HEADERS frames the bytes received hold. */
static int count_requests(const uint8_t *data, size_t size)
{
    size_t at = PREFACE_SIZE;
    int n = 0;

    while (at + FRAME_HEAD <= size) {
        n += data[at + 3] == RAW_HEADERS ? 1 : 0;
        at += FRAME_HEAD + ((size_t)data[at] << 16 | (size_t)data[at + 1] << 8 | data[at + 2]);
    }
    return n;
}

static bool readable(const struct raw_peer *peer, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = peer->stop[0], .events = POLLIN}};

    return poll(fds, 2, -1) > 0 && fds[1].revents == 0;
}

static bool send_all(int fd, const struct raw_bytes *bytes)
{
    return bytes->size == 0 ||
           send(fd, bytes->data, bytes->size, MSG_NOSIGNAL) == (ssize_t)bytes->size;
}

static void converse(struct raw_peer *peer, int fd)
{
    const struct raw_bytes *answers[] = {peer->watch, peer->answer};
    size_t size = 0;
    int n_answered = peer->watch != NULL ? 0 : 1; /* of answers */
    int n_before = n_answered;

    if (!send_all(fd, peer->hello)) {
        return;
    }
    while (readable(peer, fd)) {
        ssize_t n = recv(fd, peer->received + size, sizeof peer->received - size, 0);

        if (n <= 0) {
            return;
        }
        size += (size_t)n;
        peer->n_received = size;
        while (n_answered < 2 && n_before + count_requests(peer->received, size) > n_answered) {
            if (!send_all(fd, answers[n_answered++]) ||
                (n_answered == 2 && peer->end != RAW_STAY)) {
                return;
            }
        }
    }
}

static void end_connection(const struct raw_peer *peer, int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0}; /* what makes close() a reset */

    if (peer->end == RAW_RESET && setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) != 0) {
        abort();
    }
    (void)close(fd);
}

static void *thread_main(void *arg)
{
    struct raw_peer *peer = arg;

    while (readable(peer, peer->listener)) {
        int fd = accept(peer->listener, NULL, NULL);

        if (fd >= 0) {
            peer->n_connections++;
            converse(peer, fd);
            end_connection(peer, fd);
        }
    }
    return NULL;
}

/* Has a port of its own, on which it does not listen yet. */
static struct raw_peer *peer_bound(void)
{
    struct raw_peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    if (peer == NULL) {
        abort();
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->filler = -1;
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(peer->listener, (struct sockaddr *)&address, size) != 0 ||
        getsockname(peer->listener, (struct sockaddr *)&address, &size) != 0) {
        abort();
    }
    peer->port = ntohs(address.sin_port);
    return peer;
}

struct raw_peer *raw_peer_new(const struct raw_bytes *hello, const struct raw_bytes *answer,
                              enum raw_end end)
{
    return raw_peer_new_watched(hello, NULL, answer, end);
}

struct raw_peer *raw_peer_new_watched(const struct raw_bytes *hello, const struct raw_bytes *watch,
                                      const struct raw_bytes *answer, enum raw_end end)
{
    struct raw_peer *peer = peer_bound();

    peer->hello = hello;
    peer->watch = watch;
    peer->answer = answer;
    peer->end = end;
    peer->served = true;
    if (listen(peer->listener, 8) != 0 || pipe(peer->stop) != 0 ||
        pthread_create(&peer->thread, NULL, thread_main, peer) != 0) {
        abort();
    }
    return peer;
}

struct raw_peer *raw_peer_new_refusing(void)
{
    return peer_bound();
}

struct raw_peer *raw_peer_new_hanging(void)
{
    struct raw_peer *peer = peer_bound();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer->port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->filler = socket(AF_INET, SOCK_STREAM, 0);
    /* Linux drops the packets of those for whom there is no place. */
    if (listen(peer->listener, 0) != 0 ||
        connect(peer->filler, (struct sockaddr *)&address, sizeof address) != 0) {
        abort();
    }
    return peer;
}

int raw_peer_port(const struct raw_peer *peer)
{
    return peer->port;
}

int raw_peer_n_connections(const struct raw_peer *peer)
{
    return peer->n_connections;
}

bool raw_peer_has_received(const struct raw_peer *peer, const char *text)
{
    return memmem(peer->received, peer->n_received, text, strlen(text)) != NULL;
}

void raw_peer_free(struct raw_peer *peer)
{
    if (peer->served) {
        (void)close(peer->stop[1]);
        (void)pthread_join(peer->thread, NULL);
        (void)close(peer->stop[0]);
    }
    if (peer->filler >= 0) {
        (void)close(peer->filler);
    }
    (void)close(peer->listener);
    free(peer);
}
