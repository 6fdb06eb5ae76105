/* SPDX-License-Identifier: Apache-2.0 */
#include "app/http.h"

#include "core/fatal.h"
#include "core/listen.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Probes and one or two scrapers: nobody else has business here. */
#define CONNECTIONS 32U
#define TIMEOUT_S 10U
#define CONNECTION_BYTES ((size_t)16384)

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct mesh__http {
    struct mesh__http_options options;
    struct MHD_Daemon *daemon;
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

static enum MHD_Result answer_metrics(struct mesh__http *http, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        return MHD_NO;
    }
    http->options.metrics(http->options.arg, out);
    if (fclose(out) != 0) {
        free(text);
        return MHD_NO;
    }
    return answer(connection, MHD_HTTP_OK, TEXT_METRICS, text, size);
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
        return answer_metrics(http, connection);
    }
    return answer_line(connection, MHD_HTTP_NOT_FOUND, "only /livez, /readyz and /metrics");
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
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (http->daemon == NULL) {
        close(fd);
        free(http);
        (void)snprintf(error, error_size, "cannot serve HTTP on %s", options->listen);
        return NULL;
    }
    *ret_port = port;
    return http;
}

void mesh__http_stop(struct mesh__http *http)
{
    if (http != NULL) {
        MHD_stop_daemon(http->daemon); /* closes the listening socket too */
        free(http);
    }
}
