/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC server: queue threads, bounded queue, workers, streams, health and reflection. */
#ifndef MESH_RPC_SERVER_H
#define MESH_RPC_SERVER_H

#include "mesh/main.h"
#include "mesh/service.h"

struct mesh_server;

struct mesh_server_options {
    const char *service;         /* this process's service name, for errors and logs */
    const char *listen;          /* "host:port" */
    int workers;                 /* threads for unary calls */
    int queue_size;              /* unary calls that may wait for a worker; as many more may be
                                  * incomplete */
    size_t queue_bytes;          /* of their requests together, but for a single one; 0: no limit */
    int stream_limit;            /* streaming calls at the same time */
    int reflection_limit;        /* those of reflection do not count among them; 0: 8 */
    int64_t reflection_idle_ms;  /* they end when nothing is asked for so long; 0: 10 s */
    int64_t default_deadline_ms; /* for unary calls without a deadline */
    int64_t max_deadline_ms;     /* unary calls get no more than this */
    int64_t lame_duck_ms;        /* NOT_SERVING is shown for so long before GOAWAY */
    int64_t grace_ms;            /* calls under way have so long to finish */
    int64_t cancel_ms;           /* and so long to notice that they were cancelled; 0: 5000 */
    int max_message_bytes;
    int64_t max_connection_age_ms; /* 0: none */
    int max_connection_streams;    /* calls at the same time on one connection; 0: 100 */
    int keepalive_ms;              /* a client that is silent so long is pinged; 0: 60 s */
    int keepalive_timeout_ms;      /* and has so long to answer; 0: 20 s */
    /* What all connections may hold of requests, and of answers that wait for their clients; 0:
     * 128 MiB. More than queue_bytes. */
    size_t memory_bytes;
    int watch_limit;    /* watches of the health at the same time; 0: 1000 */
    size_t arena_bytes; /* what foreign bytes may make one call allocate */
};

/* services ends with a NULL type; `state` is handed to handlers. Health and reflection are added.
 */
struct mesh_server *mesh__server_new(const struct mesh_server_options *options,
                                     const struct mesh_served *services, void *state);
/*
 * Binds all addresses that options.listen stands for and starts to serve, as NOT_SERVING; *ret_port
 * gets the real port. False with a sentence in error if one of them cannot be had.
 */
bool mesh__server_start(struct mesh_server *server, int *ret_port, char *error, size_t error_size);
/* The health of every service and of "". */
void mesh__server_set_serving(struct mesh_server *server, bool serving);
enum mesh__probe {
    MESH__PROBE_ANSWERED,
    MESH__PROBE_SILENT,
    MESH__PROBE_UNKNOWN /* no proof: we had no descriptor, or the server too little memory */
};
/*
 * Connects to each address of a started server and waits timeout_ms for its first frame. After it
 * has lacked descriptors once, the core never accepts again, and nothing else shows it.
 */
enum mesh__probe mesh__server_probe(const struct mesh_server *server, int64_t timeout_ms);
/* NOT_SERVING, lame duck, GOAWAY, drain, cancel after the grace period, join all threads. */
void mesh__server_stop(struct mesh_server *server);
void mesh__server_free(struct mesh_server *server);

#endif
