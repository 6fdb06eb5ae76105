/* SPDX-License-Identifier: Apache-2.0 */
#include "wall.h"

#include "checks.h"
#include "db/leases.h"
#include "fixture.h"

#include <stdatomic.h>
#include <string.h>

static struct {
    const struct broker *real;
    struct broker table;
    const char *replica; /* the name of its connections */
    bool of_relay;
    struct broker_callbacks callbacks; /* of its first connection, valid if: */
    atomic_bool noted;
    atomic_bool shut;
} wall;

static MESH_STATUS connect_at_wall(struct mesh_ctx *ctx, const struct broker_options *options,
                                   struct broker_connection **ret_connection)
{
    bool relay = options->callbacks.on_ack != NULL;

    if (strcmp(options->name, wall.replica) == 0 && relay == wall.of_relay) {
        if (atomic_load(&wall.shut)) {
            return mesh_fail(ctx, MESH_UNAVAILABLE, "there is a wall");
        }
        if (!atomic_load(&wall.noted)) {
            wall.callbacks = options->callbacks;
            atomic_store(&wall.noted, true);
        }
    }
    return wall.real->connect(ctx, options, ret_connection);
}

void use_wall(const char *replica, bool of_relay)
{
    wall.replica = replica;
    wall.of_relay = of_relay;
    wall.real = mesh__broker;
    wall.table = *mesh__broker;
    wall.table.connect = connect_at_wall;
    atomic_store(&wall.noted, false);
    atomic_store(&wall.shut, false);
    use_broker(&wall.table);
}

void shut_wall(void)
{
    atomic_store(&wall.shut, true);
    if (atomic_load(&wall.noted)) {
        wall.callbacks.on_closed(wall.callbacks.arg);
    }
}

void open_wall(void)
{
    atomic_store(&wall.shut, false);
}

static int64_t usual_ms; /* 0: it is that */

static void be_as_usual(void)
{
    mesh__lease_patience_ms = usual_ms;
    usual_ms = 0;
}

void set_patience(int64_t ms)
{
    if (usual_ms == 0) {
        usual_ms = mesh__lease_patience_ms;
        at_end(be_as_usual);
    }
    mesh__lease_patience_ms = ms;
}
