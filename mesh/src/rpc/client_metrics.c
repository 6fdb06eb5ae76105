/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a client's methods, each made at the first call to it. */
#include "core/fatal.h"
#include "rpc/client_call.h"

#include <stdlib.h>
#include <string.h>

struct mesh__method_metrics {
    struct mesh__method_metrics *next;
    const struct mesh_method *method;
    struct mesh__call_metrics *metrics;
};

/* "/fashion.order.v1.OrderService/PlaceOrder" -> "fashion.order.v1.OrderService" */
static char *service_of(const char *path)
{
    const char *start = path[0] == '/' ? path + 1 : path;
    char *service = strndup(start, strcspn(start, "/"));

    if (service == NULL) {
        mesh__fatal("out of memory");
    }
    return service;
}

static struct mesh__method_metrics *metrics_new(const struct mesh_method *method)
{
    struct mesh__method_metrics *made = mesh__calloc(1, sizeof *made);
    char *service = service_of(method->path);

    made->method = method;
    made->metrics = mesh__call_metrics_new(MESH__CLIENT, service, method->name, method->kind);
    free(service);
    return made;
}

static void metrics_free(struct mesh__method_metrics *metrics)
{
    mesh__call_metrics_free(metrics->metrics);
    free(metrics);
}

static struct mesh__method_metrics *find(struct mesh__method_metrics *from,
                                         const struct mesh_method *method)
{
    while (from != NULL && from->method != method) {
        from = from->next;
    }
    return from;
}

struct mesh__call_metrics *mesh__client_metrics(struct mesh_client *client,
                                                const struct mesh_method *method)
{
    struct mesh__method_metrics *head = atomic_load(&client->metrics);
    struct mesh__method_metrics *found = find(head, method);
    struct mesh__method_metrics *made;

    if (found != NULL) {
        return found->metrics;
    }
    made = metrics_new(method);
    do { /* another thread may put the same method there first */
        found = find(head, method);
        if (found != NULL) {
            metrics_free(made);
            return found->metrics;
        }
        made->next = head;
    } while (!atomic_compare_exchange_weak(&client->metrics, &head, made));
    return made->metrics;
}

void mesh__client_metrics_free(struct mesh_client *client)
{
    struct mesh__method_metrics *metrics = atomic_load(&client->metrics);

    while (metrics != NULL) {
        struct mesh__method_metrics *next = metrics->next;

        metrics_free(metrics);
        metrics = next;
    }
}
