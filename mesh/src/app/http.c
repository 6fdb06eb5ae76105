/* SPDX-License-Identifier: Apache-2.0 */
#include "app/http.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "core/listen.h"
#include "core/thread.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Probes and one or two scrapers: nobody else has business here, and nobody may take it all. */
#define CONNECTIONS 64U
#define CONNECTIONS_OF_ONE 8U
#define REQUEST_MS 10000
#define CONNECTION_BYTES ((size_t)16384)

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define JSON "application/json"

/* A connection and since when its present request is waited for. */
struct client {
    struct client *next;
    int fd;
    int64_t until_ns; /* MESH_NO_DEADLINE: it was told to end */
};

struct mesh__http {
    struct mesh__http_options options;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    int quit_fd;
    pthread_t thread;
    struct client *clients; /* of the thread */
};

/* Takes text, which is malloc'ed. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
                              char *text, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_NO;

    if (response == NULL) {
        free(text);
        return MHD_NO; /* closes the connection */
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
        (code != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES) &&
        (code < 400 || code == MHD_HTTP_SERVICE_UNAVAILABLE ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES)) {
        result = MHD_queue_response(connection, code, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_line(struct MHD_Connection *connection, unsigned code,
                                   const char *text)
{
    size_t size = strlen(text) + 1;
    char *line = mesh__calloc(1, size + 1);

    memcpy(line, text, size - 1);
    line[size - 1] = '\n';
    return answer(connection, code, TEXT_PLAIN, line, size);
}

static enum MHD_Result answer_health(struct MHD_Connection *connection, const char *reason)
{
    return reason == NULL ? answer_line(connection, MHD_HTTP_OK, "ok")
                          : answer_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

static enum MHD_Result answer_page(struct mesh__http *http, struct MHD_Connection *connection,
                                   void (*write)(void *arg, FILE *out), const char *type)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        return MHD_NO;
    }
    write(http->options.arg, out);
    if (fclose(out) != 0) {
        free(text);
        return MHD_NO;
    }
    return answer(connection, MHD_HTTP_OK, type, text, size);
}

/* A body is never wanted, and one that is not read would be taken for the next request. */
static bool has_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

/* The number of parameters is libmicrohttpd's. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct mesh__http *http = arg;

    (void)version;
    (void)upload;
    (void)upload_size;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    if (has_body(connection)) {
        return answer_line(connection, MHD_HTTP_BAD_REQUEST, "no body is expected");
    }
    if (*request == NULL) { /* an answer to the first call of two would end the connection */
        *request = http;
        return MHD_YES;
    }
    if (strcmp(url, "/livez") == 0) {
        return answer_health(connection, http->options.not_alive(http->options.arg));
    }
    if (strcmp(url, "/readyz") == 0) {
        return answer_health(connection, http->options.not_ready(http->options.arg));
    }
    if (strcmp(url, "/metrics") == 0) {
        return answer_page(http, connection, http->options.metrics, TEXT_METRICS);
    }
    if (strcmp(url, "/debug/mesh") == 0) {
        return answer_page(http, connection, http->options.debug, JSON);
    }
    return answer_line(connection, MHD_HTTP_NOT_FOUND,
                       "only /livez, /readyz, /metrics and /debug/mesh");
}

/* ---- time ------------------------------------------------------------------------------------ */

/*
 * The library only knows a time without a single byte. So the turns of its loop are ours: after
 * each, connections whose request takes too long are shut down, which it takes for their end.
 */
static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct mesh__http *http = arg;
    struct client **at = &http->clients;
    struct client *client = *socket_context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        client = mesh__calloc(1, sizeof(*client));
        client->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        client->until_ns = mesh__in_ms(http->options.request_ms);
        client->next = http->clients;
        http->clients = client;
        *socket_context = client;
        return;
    }
    while (*at != client) {
        at = &(*at)->next;
    }
    *at = client->next;
    free(client);
}

/* The time of the next request begins when the one before was answered. */
static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode how)
{
    struct mesh__http *http = arg;
    struct client *client =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

    (void)request;
    (void)how;
    if (client->until_ns != MESH_NO_DEADLINE) {
        client->until_ns = mesh__in_ms(http->options.request_ms);
    }
}

/* Ends what takes too long; when to look again. */
static int64_t sweep(struct mesh__http *http)
{
    int64_t now_ns = mesh__now_ns();
    int64_t next_ns = MESH_NO_DEADLINE;

    for (struct client *client = http->clients; client != NULL; client = client->next) {
        if (client->until_ns <= now_ns) {
            (void)shutdown(client->fd, SHUT_RDWR);
            client->until_ns = MESH_NO_DEADLINE;
        }
        next_ns = client->until_ns < next_ns ? client->until_ns : next_ns;
    }
    return next_ns;
}

/* For poll; the library may want to go on before `until_ns`. */
static int wait_ms(struct mesh__http *http, int64_t until_ns)
{
    int64_t left_ms = (until_ns - mesh__now_ns()) / MESH_NS_PER_MS + 1;
    MHD_UNSIGNED_LONG_LONG library_ms;

    if (left_ms > http->options.request_ms) {
        left_ms = until_ns == MESH_NO_DEADLINE ? -1 : http->options.request_ms;
    }
    if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES &&
        (left_ms < 0 || library_ms < (MHD_UNSIGNED_LONG_LONG)left_ms)) {
        left_ms = (int64_t)library_ms;
    }
    return (int)left_ms;
}

static void *turn(void *arg)
{
    struct mesh__http *http = arg;
    struct pollfd fds[] = {{.fd = http->epoll_fd, .events = POLLIN},
                           {.fd = http->quit_fd, .events = POLLIN}};
    int64_t until_ns = MESH_NO_DEADLINE;

    while (fds[1].revents == 0) {
        if (poll(fds, 2, wait_ms(http, until_ns)) < 0 && errno != EINTR) {
            mesh__fatal("poll: %s", strerror(errno));
        }
        (void)MHD_run(http->daemon);
        until_ns = sweep(http);
    }
    return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(struct mesh__http *http, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_OF_ONE,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
}

struct mesh__http *mesh__http_start(const struct mesh__http_options *options, int *ret_port,
                                    char *error, size_t error_size)
{
    struct mesh__http *http;
    int port = 0;
    int fd = mesh__listen(options->listen, &port, error, error_size);

    if (fd < 0) {
        return NULL;
    }
    http = mesh__calloc(1, sizeof(*http));
    http->options = *options;
    if (http->options.request_ms == 0) {
        http->options.request_ms = REQUEST_MS;
    }
    http->quit_fd = eventfd(0, EFD_CLOEXEC);
    http->daemon = http->quit_fd >= 0 ? start_daemon(http, fd) : NULL;
    if (http->daemon == NULL) {
        close(fd);
        close(http->quit_fd);
        free(http);
        (void)snprintf(error, error_size, "cannot serve HTTP on %s", options->listen);
        return NULL;
    }
    http->epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    mesh__thread_start(&http->thread, "mesh-http", turn, http);
    *ret_port = port;
    return http;
}

void mesh__http_stop(struct mesh__http *http)
{
    if (http == NULL) {
        return;
    }
    (void)eventfd_write(http->quit_fd, 1); /* cannot fail for a counter that is 0 */
    pthread_join(http->thread, NULL);
    MHD_stop_daemon(http->daemon); /* closes the listening socket too */
    close(http->quit_fd);
    free(http);
}
