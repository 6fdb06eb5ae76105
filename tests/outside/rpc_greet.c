/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/hello/v1/hello_events.mesh.h"
#include "hello_sql.h"
#include "service.h"

static MESH_STATUS announce(struct mesh_ctx *ctx, struct mesh_tx *tx, char *name)
{
    Acme__Hello__V1__Greeted event = ACME__HELLO__V1__GREETED__INIT;

    event.name = name;
    return acme_hello_v1_emit_greeted(ctx, tx, &event);
}

MESH_STATUS rpc_greet(struct mesh_ctx *ctx, struct hello_service *service,
                      const Acme__Hello__V1__GreetRequest *request,
                      Acme__Hello__V1__GreetResponse *response)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(mesh_tx_query(ctx, tx, &sql_insert_greeting,
                           MESH_ARGS(mesh_uuid(request->request_id), mesh_text(request->name)),
                           &rows));
    if (mesh_rows_count(rows) > 0) {
        MESH_TRY(announce(ctx, tx, request->name));
    }
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    response->text = mesh_printf(ctx, "Hello, %s!", request->name);
    return MESH_OK;
}
