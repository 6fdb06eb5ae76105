/* SPDX-License-Identifier: Apache-2.0 */
/* What the service holds while it runs. */
#ifndef HELLO_SERVICE_H
#define HELLO_SERVICE_H

#include "acme/hello/v1/hello.mesh.h"
#include "mesh/main.h"

struct hello_service {
    struct mesh_db *db;
};

MESH_STATUS rpc_greet(struct mesh_ctx *ctx, struct hello_service *service,
                      const Acme__Hello__V1__GreetRequest *request,
                      Acme__Hello__V1__GreetResponse *response);

#endif
