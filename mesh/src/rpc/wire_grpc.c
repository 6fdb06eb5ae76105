/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to gRPC C core: library, queues, server, channels. Only wire_grpc* includes grpc/. */
#include "rpc/wire_grpc.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "mesh/log.h"

#include <grpc/compression.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * The core posts an event of one's own only through a call: a batch of nothing completes at once.
 * The waker is such a call, on a channel that leads nowhere.
 */
struct wire_queue {
    grpc_completion_queue *queue;
    pthread_mutex_t mutex; /* for what follows */
    grpc_channel *nowhere;
    grpc_call *waker; /* NULL until it is needed */
};

struct wire_server {
    grpc_server *server;
    grpc_completion_queue *shutdown_queue; /* of the pluck kind, for the shutdown alone */
    /* The core (1.51) forgets a request for a call that is made while its shutdown begins: it never
     * completes. */
    pthread_rwlock_t requesting;
    bool closed; /* under it */
    bool shut_down;
    struct wire_method *methods;
};

struct wire_method {
    void *handle;
    struct wire_method *next; /* of the same server */
};

struct wire_channel {
    grpc_channel *channel;
};

/* The core refuses only what it was not designed for: a bug of ours. */
void mesh__wire_must(grpc_call_error error, const char *what)
{
    if (error != GRPC_CALL_OK) {
        mesh__fatal("%s: %s", what, grpc_call_error_to_string(error));
    }
}

gpr_timespec mesh__wire_to_timespec(int64_t ns)
{
    gpr_timespec time = {0, 0, GPR_CLOCK_MONOTONIC};

    if (ns == MESH_NO_DEADLINE) {
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    }
    if (ns > 0) {
        time.tv_sec = ns / MESH_NS_PER_S;
        time.tv_nsec = (int32_t)(ns % MESH_NS_PER_S);
    }
    return time;
}

int64_t mesh__wire_from_timespec(gpr_timespec time)
{
    gpr_timespec monotonic = gpr_convert_clock_type(time, GPR_CLOCK_MONOTONIC);

    if (gpr_time_cmp(monotonic, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0 ||
        monotonic.tv_sec >= INT64_MAX / MESH_NS_PER_S) {
        return MESH_NO_DEADLINE;
    }
    return monotonic.tv_sec < 0 ? 0 : monotonic.tv_sec * MESH_NS_PER_S + monotonic.tv_nsec;
}

/* ---- library ------------------------------------------------------------------------------ */

static void log_line(gpr_log_func_args *args)
{
    /* The core's errors are mostly a peer's doing; what is ours shows up as a status. */
    static const enum mesh_log_level levels[] = {
        [GPR_LOG_SEVERITY_DEBUG] = MESH_LOG_DEBUG,
        [GPR_LOG_SEVERITY_INFO] = MESH_LOG_INFO,
        [GPR_LOG_SEVERITY_ERROR] = MESH_LOG_WARN,
    };
    const char *slash = strrchr(args->file, '/');

    mesh_log(levels[args->severity],
             MESH_LOG_FIELDS(mesh_log_text("grpc_file", slash == NULL ? args->file : slash + 1),
                             mesh_log_int("grpc_line", args->line)),
             "grpc: %s", args->message);
}

static void wire_start(void)
{
    gpr_set_log_function(log_line);
    grpc_init();
}

static void wire_stop(void)
{
    grpc_shutdown_blocking();
}

/* ---- queues ------------------------------------------------------------------------------- */

static struct wire_queue *queue_of(grpc_cq_polling_type polling)
{
    const grpc_completion_queue_attributes attributes = {
        .version = 1, .cq_completion_type = GRPC_CQ_NEXT, .cq_polling_type = polling};
    struct wire_queue *queue = mesh__calloc(1, sizeof(*queue));

    queue->queue = grpc_completion_queue_create(grpc_completion_queue_factory_lookup(&attributes),
                                                &attributes, NULL);
    pthread_mutex_init(&queue->mutex, NULL);
    return queue;
}

static struct wire_queue *queue_new(void)
{
    return queue_of(GRPC_CQ_DEFAULT_POLLING);
}

static struct wire_queue *queue_new_told(void)
{
    return queue_of(GRPC_CQ_NON_POLLING);
}

static grpc_call *waker_of(struct wire_queue *queue)
{
    if (queue->waker == NULL) {
        queue->nowhere = grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "wake");
        queue->waker =
            grpc_channel_create_call(queue->nowhere, NULL, GRPC_PROPAGATE_DEFAULTS, queue->queue,
                                     grpc_slice_from_static_string("/wake"), NULL,
                                     gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    }
    return queue->waker;
}

static void queue_wake(struct wire_queue *queue, void *tag)
{
    struct wire_operation *operation = mesh__wire_operation_new(NULL, 0, tag);

    pthread_mutex_lock(&queue->mutex);
    WIRE_HAND_OVER(operation);
    mesh__wire_must(grpc_call_start_batch(waker_of(queue), NULL, 0, operation, NULL), "queue_wake");
    pthread_mutex_unlock(&queue->mutex);
}

static struct wire_event queue_next(struct wire_queue *queue, int64_t deadline_ns)
{
    grpc_event event =
        grpc_completion_queue_next(queue->queue, mesh__wire_to_timespec(deadline_ns), NULL);
    struct wire_operation *operation;
    struct wire_event result = {WIRE_COMPLETE, NULL, event.success != 0};

    if (event.type == GRPC_QUEUE_SHUTDOWN) {
        return (struct wire_event){WIRE_SHUTDOWN, NULL, false};
    }
    if (event.type == GRPC_QUEUE_TIMEOUT) {
        return (struct wire_event){WIRE_TIMEOUT, NULL, false};
    }
    operation = event.tag;
    WIRE_TAKE_OVER(operation);
    result.tag = operation->tag;
    result.ok = mesh__wire_operation_done(operation, result.ok);
    return result;
}

static void queue_shutdown(struct wire_queue *queue)
{
    grpc_completion_queue_shutdown(queue->queue);
}

static void queue_free(struct wire_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    if (queue->waker != NULL) {
        grpc_call_unref(queue->waker);
        grpc_channel_destroy(queue->nowhere);
    }
    grpc_completion_queue_destroy(queue->queue);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

/* ---- server ------------------------------------------------------------------------------- */

static grpc_arg integer_arg(const char *key, int value)
{
    grpc_arg arg = {.type = GRPC_ARG_INTEGER};

    memcpy(&arg.key, &key, sizeof(key)); /* the core does not write to it */
    arg.value.integer = value;
    return arg;
}

static int or_default(int value, int default_value)
{
    return value > 0 ? value : default_value;
}

/* What both sides set. The core does not inflate: it would look at the size only afterwards. */
static size_t common_args(grpc_arg *args, int max_message_bytes)
{
    size_t n = 0;

    args[n++] = integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, max_message_bytes);
    args[n++] = integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    args[n++] = integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    args[n++] = integer_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    return n;
}

/*
 * What is received is counted until we have freed it. The core does not refuse memory: beyond the
 * quota it reads less, then drops new connections, idle ones and, one by one, calls.
 */
static grpc_resource_quota *quota_new(size_t bytes)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("server");

    if (bytes > 0) {
        grpc_resource_quota_resize(quota, bytes);
    }
    return quota;
}

static grpc_arg quota_arg(grpc_resource_quota *quota)
{
    grpc_arg arg = integer_arg(GRPC_ARG_RESOURCE_QUOTA, 0);

    arg.type = GRPC_ARG_POINTER;
    arg.value.pointer.p = quota;
    arg.value.pointer.vtable = grpc_resource_quota_arg_vtable();
    return arg;
}

static struct wire_server *server_new(const struct wire_server_options *options)
{
    struct wire_server *server = mesh__calloc(1, sizeof(*server));
    grpc_resource_quota *quota = quota_new(options->memory_bytes);
    grpc_arg args[16];
    size_t n = common_args(args, -1);
    grpc_channel_args channel_args = {0, args};

    /* No encoding is offered in answers; a compressed request is ours to inflate, or to refuse. */
    args[n++] = integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    args[n++] = integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0); /* it would hide a port conflict */
    args[n++] =
        integer_arg(GRPC_ARG_MAX_METADATA_SIZE, or_default(options->max_metadata_bytes, 64 * 1024));
    args[n++] = integer_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                            or_default(options->max_connection_streams, 100));
    args[n++] = quota_arg(quota);
    /* Dead clients are noticed, and well-behaved clients' own pings are no offence. */
    args[n++] = integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, or_default(options->keepalive_ms, 60000));
    args[n++] = integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                            or_default(options->keepalive_timeout_ms, 20000));
    args[n++] = integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    args[n++] = integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
    if (options->max_connection_age_ms > 0) {
        args[n++] = integer_arg(GRPC_ARG_MAX_CONNECTION_AGE_MS, options->max_connection_age_ms);
        args[n++] = integer_arg(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                                or_default(options->max_connection_age_grace_ms, 10000));
    }
    channel_args.num_args = n;
    (void)pthread_rwlock_init(&server->requesting, NULL); /* cannot fail */
    server->server = grpc_server_create(&channel_args, NULL);
    grpc_resource_quota_unref(quota); /* the server has its own reference */
    server->shutdown_queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_server_register_completion_queue(server->server, server->shutdown_queue, NULL);
    return server;
}

static bool server_listen(struct wire_server *server, const char *address, int *ret_port)
{
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(server->server, address, credentials);

    grpc_server_credentials_release(credentials);
    if (port <= 0) {
        return false;
    }
    *ret_port = port;
    return true;
}

static void server_add_queue(struct wire_server *server, struct wire_queue *queue)
{
    grpc_server_register_completion_queue(server->server, queue->queue, NULL);
}

static struct wire_method *server_register(struct wire_server *server, const char *path)
{
    struct wire_method *method = mesh__calloc(1, sizeof(*method));

    /* Not with its message: calls without one would pile up in the core, where nobody counts. */
    method->handle =
        grpc_server_register_method(server->server, path, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
    if (method->handle == NULL) {
        mesh__fatal("method %s is served twice", path);
    }
    method->next = server->methods;
    server->methods = method;
    return method;
}

static void server_start(struct wire_server *server)
{
    grpc_server_start(server->server);
}

static grpc_call_error request(struct wire_server *server, struct wire_method *method,
                               struct wire_queue *queue, struct wire_operation *operation,
                               struct wire_call *call)
{
    grpc_completion_queue *core_queue = queue->queue;

    if (server->closed) {
        return GRPC_CALL_ERROR_COMPLETION_QUEUE_SHUTDOWN;
    }
    if (method == NULL) {
        return grpc_server_request_call(server->server, &call->call, &call->details,
                                        &call->head.array, core_queue, core_queue, operation);
    }
    return grpc_server_request_registered_call(server->server, method->handle, &call->call,
                                               &call->deadline, &call->head.array, NULL, core_queue,
                                               core_queue, operation);
}

static struct wire_call *server_request(struct wire_server *server, struct wire_method *method,
                                        struct wire_queue *queue, void *tag)
{
    struct wire_call *call = mesh__wire_call_new();
    struct wire_operation *operation = mesh__wire_operation_new(call, 0, tag);
    grpc_call_error error;

    operation->request = true;
    call->server = true;
    call->generic = method == NULL;
    if (call->generic) {
        grpc_call_details_init(&call->details);
    }
    WIRE_HAND_OVER(operation);
    (void)pthread_rwlock_rdlock(&server->requesting);
    error = request(server, method, queue, operation, call);
    (void)pthread_rwlock_unlock(&server->requesting);
    if (error != GRPC_CALL_OK) {
        if (error != GRPC_CALL_ERROR_COMPLETION_QUEUE_SHUTDOWN) {
            mesh__wire_must(error, "grpc_server_request_call");
        }
        (void)mesh__wire_operation_done(operation, false);
        mesh__wire_call_free(call);
        return NULL;
    }
    return call;
}

static void server_close(struct wire_server *server)
{
    (void)pthread_rwlock_wrlock(&server->requesting);
    if (!server->closed) {
        server->closed = true;
        grpc_server_shutdown_and_notify(server->server, server->shutdown_queue, server);
    }
    (void)pthread_rwlock_unlock(&server->requesting);
}

static bool shutdown_done(struct wire_server *server, gpr_timespec until)
{
    return grpc_completion_queue_pluck(server->shutdown_queue, server, until, NULL).type !=
           GRPC_QUEUE_TIMEOUT;
}

static void server_shutdown(struct wire_server *server, int64_t grace_ns)
{
    int64_t now_ns = mesh__now_ns();
    int64_t until_ns = grace_ns < MESH_NO_DEADLINE - now_ns ? now_ns + grace_ns : MESH_NO_DEADLINE;

    if (server->shut_down) {
        return;
    }
    server->shut_down = true;
    server_close(server);
    if (!shutdown_done(server, mesh__wire_to_timespec(until_ns))) {
        grpc_server_cancel_all_calls(server->server);
        (void)shutdown_done(server, gpr_inf_future(GPR_CLOCK_MONOTONIC));
    }
}

static void server_free(struct wire_server *server)
{
    if (server == NULL) {
        return;
    }
    server_shutdown(server, 0); /* the core ends the process if this was never done */
    grpc_server_destroy(server->server);
    grpc_completion_queue_shutdown(server->shutdown_queue);
    grpc_completion_queue_destroy(server->shutdown_queue);
    while (server->methods != NULL) {
        struct wire_method *next = server->methods->next;

        free(server->methods);
        server->methods = next;
    }
    (void)pthread_rwlock_destroy(&server->requesting);
    free(server);
}

/* ---- channels ----------------------------------------------------------------------------- */

/* The core asks for health under this balancer alone, and it keeps the channel connected. */
static const char watching_health[] = "{\"loadBalancingConfig\": [{\"round_robin\": {}}],"
                                      " \"healthCheckConfig\": {\"serviceName\": \"\"}}";

static grpc_arg text_arg(const char *key, const char *text)
{
    grpc_arg arg = integer_arg(key, 0);

    arg.type = GRPC_ARG_STRING;
    memcpy(&arg.value.string, &text, sizeof(text)); /* it is only read */
    return arg;
}

static struct wire_channel *channel_new(const char *target,
                                        const struct wire_channel_options *options)
{
    struct wire_channel *channel = mesh__calloc(1, sizeof(*channel));
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_arg args[16];
    size_t n = common_args(args, or_default(options->max_message_bytes, 4 * 1024 * 1024));
    grpc_channel_args channel_args = {0, args};

    args[n++] = integer_arg(GRPC_ARG_MAX_METADATA_SIZE, 64 * 1024);
    args[n++] = /* tells peers not to compress */
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
    /* The defaults (20 s, 1 s to 120 s) would hide for long that a peer is back. */
    args[n++] = integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
    args[n++] = integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    args[n++] = integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    args[n++] = integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, or_default(options->keepalive_ms, 30000));
    args[n++] = integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                            or_default(options->keepalive_timeout_ms, 10000));
    args[n++] = integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0); /* peers are inside the mesh */
    if (options->authority != NULL) {
        args[n++] = text_arg(GRPC_ARG_DEFAULT_AUTHORITY, options->authority);
    }
    if (options->watch_health) {
        args[n++] = text_arg(GRPC_ARG_SERVICE_CONFIG, watching_health);
    }
    channel_args.num_args = n;
    channel->channel = grpc_channel_create(target, credentials, &channel_args);
    grpc_channel_credentials_release(credentials);
    return channel;
}

static void channel_free(struct wire_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    grpc_channel_destroy(channel->channel);
    free(channel);
}

static enum wire_channel_state channel_state(struct wire_channel *channel, bool try_connect)
{
    static const enum wire_channel_state states[] = {
        [GRPC_CHANNEL_IDLE] = WIRE_IDLE,       [GRPC_CHANNEL_CONNECTING] = WIRE_CONNECTING,
        [GRPC_CHANNEL_READY] = WIRE_READY,     [GRPC_CHANNEL_TRANSIENT_FAILURE] = WIRE_FAILING,
        [GRPC_CHANNEL_SHUTDOWN] = WIRE_CLOSED,
    };

    return states[grpc_channel_check_connectivity_state(channel->channel, try_connect)];
}

static void channel_watch(struct wire_channel *channel, enum wire_channel_state last,
                          struct wire_queue *queue, void *tag)
{
    static const grpc_connectivity_state states[] = {
        [WIRE_IDLE] = GRPC_CHANNEL_IDLE,       [WIRE_CONNECTING] = GRPC_CHANNEL_CONNECTING,
        [WIRE_READY] = GRPC_CHANNEL_READY,     [WIRE_FAILING] = GRPC_CHANNEL_TRANSIENT_FAILURE,
        [WIRE_CLOSED] = GRPC_CHANNEL_SHUTDOWN,
    };
    struct wire_operation *operation = mesh__wire_operation_new(NULL, 0, tag);

    WIRE_HAND_OVER(operation);
    grpc_channel_watch_connectivity_state(channel->channel, states[last],
                                          gpr_inf_future(GPR_CLOCK_MONOTONIC), queue->queue,
                                          operation);
}

static void channel_reset_backoff(struct wire_channel *channel)
{
    grpc_channel_reset_connect_backoff(channel->channel);
}

static struct wire_call *call_new(struct wire_channel *channel, struct wire_call *parent,
                                  struct wire_queue *queue, const char *path, int64_t deadline_ns)
{
    struct wire_call *call = mesh__wire_call_new();
    grpc_slice core_path = grpc_slice_from_copied_string(path);

    call->deadline_ns = deadline_ns;
    call->call = grpc_channel_create_call(channel->channel, parent == NULL ? NULL : parent->call,
                                          GRPC_PROPAGATE_DEFAULTS, queue->queue, core_path, NULL,
                                          mesh__wire_to_timespec(deadline_ns), NULL);
    grpc_slice_unref(core_path);
    return call;
}

static const struct wire grpc_wire = {
    .start = wire_start,
    .stop = wire_stop,
    .queue_new = queue_new,
    .queue_new_told = queue_new_told,
    .queue_next = queue_next,
    .queue_shutdown = queue_shutdown,
    .queue_free = queue_free,
    .queue_wake = queue_wake,
    .server_new = server_new,
    .server_listen = server_listen,
    .server_add_queue = server_add_queue,
    .server_register = server_register,
    .server_start = server_start,
    .server_request = server_request,
    .server_close = server_close,
    .server_shutdown = server_shutdown,
    .server_free = server_free,
    .channel_new = channel_new,
    .channel_free = channel_free,
    .channel_state = channel_state,
    .channel_watch = channel_watch,
    .channel_reset_backoff = channel_reset_backoff,
    .call_new = call_new,
    .call_start = mesh__wire_call_start,
    .call_cancel = mesh__wire_call_cancel,
    .call_expire = mesh__wire_call_expire,
    .call_free = mesh__wire_call_free,
    .call_path = mesh__wire_call_path,
    .call_deadline_ns = mesh__wire_call_deadline_ns,
    .call_peer = mesh__wire_call_peer,
    .call_metadata = mesh__wire_call_metadata,
    .call_message_size = mesh__wire_call_message_size,
    .call_take_message = mesh__wire_call_take_message,
    .call_was_cancelled = mesh__wire_call_was_cancelled,
    .call_status = mesh__wire_call_status,
    .call_status_text = mesh__wire_call_status_text,
    .message_new = mesh__wire_message_new,
    .message_data = mesh__wire_message_data,
    .message_encoding = mesh__wire_message_encoding,
    .message_free = mesh__wire_message_free,
};

const struct wire *mesh__wire = &grpc_wire;
