/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include "checks.h"
#include "events/envelope.h"
#include "fixture.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Tests may replace the table in force. */
static const struct broker *nats;

__attribute__((constructor)) static void keep_broker(void)
{
    nats = mesh__broker;
}

/* Not on the stack of a test, which may fail while its connection is open. */
static struct dump {
    struct broker_connection *connection;
    pthread_mutex_t lock;
    struct broker_message *first;
    struct broker_message **end;
    atomic_bool over;
    atomic_int acks;
    atomic_int failures;
    struct mesh_ctx *ctx;
} dump;

static void dump_closed(void *arg)
{
    (void)arg;
}

static void dump_ack(void *arg, uint64_t token, const struct broker_ack *ack)
{
    (void)arg;
    (void)token;
    atomic_fetch_add(ack->stored && !ack->duplicate ? &dump.acks : &dump.failures, 1);
}

static void dump_message(void *arg, struct broker_message *message)
{
    (void)arg;
    pthread_mutex_lock(&dump.lock);
    *dump.end = message;
    dump.end = &message->next;
    if (message->pending == 0) {
        atomic_store(&dump.over, true);
    }
    pthread_mutex_unlock(&dump.lock);
}

static void dump_pull(void *arg, const struct broker_pull_note *note)
{
    (void)arg;
    (void)note;
}

static void dump_ping(void *arg, const char *subject)
{
    (void)arg;
    (void)subject;
}

static void dump_disconnect(void)
{
    nats->close(dump.connection);
    dump.connection = NULL;
    pthread_mutex_destroy(&dump.lock);
    mesh__ctx_free(dump.ctx);
}

/* False if the broker does not answer. */
static bool try_connect(void)
{
    const struct broker_options options = {
        .url = env("TEST_NATS_URL"),
        .name = "test",
        .callbacks = {NULL, dump_closed, dump_ack, dump_message, dump_pull, dump_ping}};
    struct broker_connection *connection;

    if (dump.connection != NULL) { /* of a test that failed */
        dump_disconnect();
    }
    dump = (struct dump){.ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE)};
    dump.end = &dump.first;
    pthread_mutex_init(&dump.lock, NULL);
    if (nats->connect(dump.ctx, &options, &connection) != MESH_OK) {
        return false;
    }
    dump.connection = connection;
    return true;
}

static struct broker_connection *dump_connect(void)
{
    if (!try_connect()) {
        fail_msg("%s", mesh_ctx_error(dump.ctx));
    }
    return dump.connection;
}

/* Between two looks; fails the test when it has waited for long enough. */
static void look_again_soon(int64_t end_ns)
{
    CHECK(mesh__now_ns() < end_ns);
    pause_ms(1);
}

static uint64_t stream_size(struct broker_connection *connection, const char *system)
{
    struct broker_stream stream;
    enum mesh_status status = nats->stream_state(dump.ctx, connection, system, &stream);

    return status == MESH_OK && stream.first_sequence > 0 /* 0: never used */
               ? stream.last_sequence + 1 - stream.first_sequence
               : 0;
}

static void fetch(struct broker_connection *connection, const char *system)
{
    struct broker_consumer consumer;
    char subject[64];

    (void)snprintf(subject, sizeof(subject), "%s.*.*.*", system);
    CHECK(nats->consumer_open(dump.ctx, connection, system, subject, 1, &consumer) == MESH_OK);
    for (uint64_t tag = 0; !atomic_load(&dump.over); tag++) {
        CHECK(tag < PATIENCE_MS / 10);
        CHECK(nats->consumer_pull(dump.ctx, connection, system, consumer.name, tag, 100000) ==
              MESH_OK);
        pause_ms(10); /* a pull ends at a number of bytes, too: then the next goes on */
    }
    nats->consumer_close(connection, system, consumer.name);
}

static void read_row(struct mesh_ctx *ctx, const struct broker_message *message,
                     struct published *row)
{
    struct mesh__envelope envelope;
    Test__Counter__V1__Counted *event;

    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK(mesh__envelope_decode(ctx, message->data, message->size, &envelope) == MESH_OK);
    CHECK(strncmp(envelope.id, message->id, strlen(envelope.id)) == 0); /* perhaps of a rescue */
    event = test__counter__v1__counted__unpack(NULL, envelope.payload_size, envelope.payload);
    if (event == NULL) {
        fail_msg("event %s does not unpack", message->id);
        return;
    }
    CHECK_TEXT(envelope.subject, event->key);
    (void)snprintf(row->id, sizeof(row->id), "%s", message->id);
    (void)snprintf(row->key, sizeof(row->key), "%s", event->key);
    row->version = event->version;
    row->sequence = message->sequence;
    test__counter__v1__counted__free_unpacked(event, NULL);
}

struct published *read_stream(const char *system, size_t *ret_n)
{
    struct broker_connection *connection = dump_connect();
    uint64_t size = stream_size(connection, system);
    struct published *rows = calloc(size + 1, sizeof(*rows));
    size_t n = 0;

    if (size > 0) {
        fetch(connection, system);
    }
    for (struct broker_message *at = dump.first, *next; at != NULL; at = next) {
        next = at->next;
        if (strstr(at->subject, ".Counted") != NULL) {
            CHECK(n < size);
            read_row(dump.ctx, at, &rows[n++]);
        }
        free(at);
    }
    dump_disconnect();
    *ret_n = n;
    return rows;
}

static int by_key(const void *a, const void *b)
{
    const struct published *x = a;
    const struct published *y = b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

void check_stream(struct service *service)
{
    int64_t expected = query_int(service, "select count(*) from outbox");
    struct published *rows;
    size_t n;

    wait_for_stream(service->system, (uint64_t)expected);
    rows = read_stream(service->system, &n);
    CHECK_INT(n, expected);
    qsort(rows, n, sizeof(*rows), by_key);
    for (size_t i = 0; i < n; i++) {
        bool same_key = i > 0 && strcmp(rows[i].key, rows[i - 1].key) == 0;

        /* Versions of a key are 1, 2, 3, ...: nothing lost, doubled or out of order. */
        CHECK_INT(rows[i].version, same_key ? rows[i - 1].version + 1 : 1);
    }
    free(rows);
}

void wait_for_stream(const char *system, uint64_t n)
{
    struct broker_connection *connection = dump_connect();
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);
    uint64_t size;

    while ((size = stream_size(connection, system)) < n && mesh__now_ns() < end_ns) {
        pause_ms(5);
    }
    dump_disconnect();
    CHECK_INT(size, n);
}

void publish_raw(const char *subject, const char *id, const void *data, size_t size)
{
    const struct broker_publication publication = {
        .subject = subject, .id = id, .data = data, .size = size};
    struct broker_connection *connection = dump_connect();
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);

    CHECK(nats->publish(dump.ctx, connection, &publication, 0) == MESH_OK);
    while (atomic_load(&dump.acks) == 0) {
        CHECK_INT(atomic_load(&dump.failures), 0);
        look_again_soon(end_ns);
    }
    dump_disconnect();
}

static int dial(const char *url)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[128];
    char *port;
    int fd;

    (void)snprintf(host, sizeof(host), "%s", strstr(url, "://") + 3);
    port = strchr(host, ':');
    *port++ = '\0';
    CHECK_INT(getaddrinfo(host, port, &hints, &found), 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, found->ai_addr, found->ai_addrlen), 0);
    freeaddrinfo(found);
    return fd;
}

/* In the broker's own protocol: the seam has no headers but the id. */
void publish_with_header(const char *subject, const char *header, const void *data, size_t size)
{
    FILE *stream = fdopen(dial(env("TEST_NATS_URL")), "r+");
    size_t header_size = strlen("NATS/1.0\r\n") + strlen(header) + strlen("\r\n\r\n");
    char line[4096];

    CHECK(stream != NULL);
    (void)fprintf(stream, "CONNECT {\"verbose\":false,\"headers\":true}\r\n");
    (void)fprintf(stream, "HPUB %s %zu %zu\r\nNATS/1.0\r\n%s\r\n\r\n", subject, header_size,
                  header_size + size, header);
    CHECK_INT(fwrite(data, 1, size, stream), size);
    (void)fprintf(stream, "\r\nPING\r\n");
    CHECK_INT(fflush(stream), 0);
    do { /* the answer comes behind what was published */
        CHECK(fgets(line, sizeof(line), stream) != NULL);
    } while (strncmp(line, "PONG", 4) != 0);
    (void)fclose(stream);
}

void send_raw(const char *subject, const char *text)
{
    const struct broker_publication publication = {
        .subject = subject, .id = "", .data = text, .size = strlen(text)};
    struct broker_connection *connection = dump_connect();
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);

    CHECK(nats->publish(dump.ctx, connection, &publication, 0) == MESH_OK);
    while (atomic_load(&dump.acks) + atomic_load(&dump.failures) == 0) {
        look_again_soon(end_ns);
    }
    dump_disconnect();
}

void delete_stream(const char *system)
{
    struct broker_connection *connection = dump_connect();
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);
    struct broker_stream stream;
    char subject[96];

    (void)snprintf(subject, sizeof(subject), "$JS.API.STREAM.DELETE.%s", system);
    do { /* a request without an answer may get lost */
        look_again_soon(end_ns);
        nats->ping(connection, subject);
    } while (nats->stream_state(dump.ctx, connection, system, &stream) != MESH_NOT_FOUND);
    dump_disconnect();
}

void make_stream(const struct broker_stream_config *config)
{
    struct broker_connection *connection = dump_connect();
    struct broker_stream stream;

    CHECK(nats->stream_ensure(dump.ctx, connection, config, &stream) == MESH_OK);
    dump_disconnect();
}

void purge_stream(const char *system)
{
    struct broker_connection *connection = dump_connect();
    int64_t end_ns = mesh__in_ms(PATIENCE_MS);
    struct broker_stream before, now;
    char subject[96];

    (void)snprintf(subject, sizeof(subject), "$JS.API.STREAM.PURGE.%s", system);
    CHECK(nats->stream_state(dump.ctx, connection, system, &before) == MESH_OK);
    do { /* a request without an answer may get lost */
        look_again_soon(end_ns);
        nats->ping(connection, subject);
        CHECK(nats->stream_state(dump.ctx, connection, system, &now) == MESH_OK);
    } while (now.first_sequence <= before.last_sequence);
    dump_disconnect();
}

void delete_consumer(const char *system, const char *consumer)
{
    struct broker_connection *connection = dump_connect();
    struct broker_stream stream;

    nats->consumer_close(connection, system, consumer);
    CHECK(nats->stream_state(dump.ctx, connection, system, &stream) == MESH_OK); /* it was sent */
    dump_disconnect();
}

bool broker_answers(void)
{
    bool connected = try_connect();

    dump_disconnect();
    return connected;
}
