/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "db/db_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void mesh__app_names(const struct mesh_app_spec *spec, struct mesh__names *ret_names)
{
    uint32_t tag;
    int size =
        snprintf(ret_names->full, sizeof(ret_names->full), "%s-%s", spec->system, spec->name);

    if (size < 0 || (size_t)size >= sizeof(ret_names->full)) {
        mesh__fatal("the name of the service is too long");
    }
    for (size_t i = 0; i <= (size_t)size; i++) {
        char c = ret_names->full[i];

        ret_names->schema[i] = (char)(c == '-' ? '_' : c);
    }
    mesh__random(&tag, sizeof(tag));
    (void)snprintf(ret_names->replica, sizeof(ret_names->replica), "%.50s %08" PRIx32,
                   ret_names->full, tag); /* Postgres cuts what is longer than 63 */
}

struct mesh_db *mesh__app_db_new(const struct mesh__config *config, const struct mesh__names *names,
                                 enum mesh__var url, int size, const char *label)
{
    const char *prepare = mesh__config_text(config, VAR_DATABASE_PREPARE);
    const struct mesh_db_options options = {
        .url = mesh__config_text(config, url),
        .schema = names->schema,
        .application_name = names->replica,
        .size = size,
        .named = strcmp(prepare, "named") == 0,
        .metric_label = label,
        .trace_application_name = mesh__config_bool(config, VAR_DATABASE_TRACE),
    };

    return mesh__db_new(&options);
}

struct mesh_events *mesh__app_events_new(const struct mesh_app_spec *spec,
                                         const struct mesh__config *config,
                                         const struct mesh__names *names, struct mesh_db *db,
                                         struct mesh__leases *leases, void *state)
{
    const struct mesh_events_options options = {
        .system = spec->system,
        .service = spec->name,
        .nats_url = mesh__config_text(config, VAR_NATS_URL),
        .nats_ca = mesh__config_text(config, VAR_NATS_CA),
        .session_url = mesh__config_text(config, VAR_DATABASE_SESSION_URL),
        .schema = names->schema,
        .db = db,
        .leases = leases,
        .publishes = spec->publishes,
        .inbox = spec->inbox,
        .inbox_handlers = spec->inbox_handlers,
        .state = state,
        .stream_max_bytes = mesh__config_int64(config, VAR_STREAM_MAX_BYTES),
        .stream_max_age_s = mesh__config_int64(config, VAR_STREAM_MAX_AGE_S),
    };

    return mesh__events_new(&options);
}

struct mesh__policies *mesh__app_policies_new(const struct mesh_app_spec *spec,
                                              const struct mesh__config *config, char *error,
                                              size_t error_size)
{
    const struct mesh__policy_options options = {
        .file = mesh__config_text(config, VAR_POLICY_FILE),
        .peers = spec->peers,
        .xds_peer = mesh__config_xds_peer(config),
    };

    return mesh__policies_new(&options, error, error_size);
}

/* ---- for start functions -------------------------------------------------------------------- */

struct mesh_db *mesh_app_db(struct mesh_app *app)
{
    if (app->db == NULL) {
        mesh__fatal("the declaration of %s has no migrations, so it has no database",
                    app->spec->name);
    }
    return app->db;
}

struct mesh_client *mesh_app_peer(struct mesh_app *app, const char *name)
{
    for (size_t i = 0; i < app->n_peers; i++) {
        if (strcmp(app->spec->peers[i].name, name) == 0) {
            return app->peers[i];
        }
    }
    mesh__fatal("the declaration of %s has no peer %s", app->spec->name, name);
}

struct mesh_signal *mesh_app_signal(struct mesh_app *app, const char *name)
{
    return mesh__signals_get(app->signals, name);
}

/* Ends the process unless the declaration has a setting of that name and kind. */
static const char *find_setting(const struct mesh_app *app, const char *name,
                                enum mesh__var_kind kind, int64_t *ret_number)
{
    const char *text = mesh__config_setting(app->config, name, kind, ret_number);

    if (text == NULL) {
        mesh__fatal("the declaration of %s has no setting %s of that kind", app->spec->name, name);
    }
    return text;
}

int64_t mesh_app_int64(const struct mesh_app *app, const char *setting)
{
    int64_t number;

    find_setting(app, setting, KIND_INT64, &number);
    return number;
}

bool mesh_app_bool(const struct mesh_app *app, const char *setting)
{
    int64_t number;

    find_setting(app, setting, KIND_BOOL, &number);
    return number != 0;
}

const char *mesh_app_text(const struct mesh_app *app, const char *setting)
{
    int64_t number;

    return find_setting(app, setting, KIND_TEXT, &number);
}
