/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused as a database for sessions, behind a pooler that the seam plays. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/pg.h"
#include "fixture.h"
#include "test.h"

#define SCHEMA "test_check"
#define SERVERS 4

static struct mesh_db *db;
static struct mesh_ctx *ctx;
static const struct pg *real;

/* ---- a pooler ---- */

enum pooling {
    LAST_USED_FIRST, /* a transaction gets the session that was used last */
    IN_TURN,         /* or the one that was not used for longest */
    PER_CONNECTION   /* a connection keeps its session */
};

/* What the runtime takes for a connection. */
struct client {
    int server; /* -1: none at the moment */
    bool open;
};

static enum pooling pooling;
static struct {
    struct pg_conn *conn;
    struct client *owner;
    int64_t used; /* when, counted in transactions */
} servers[SERVERS];
static int64_t n_transactions;

static struct client *client_of(const struct pg_conn *conn)
{
    return (struct client *)(uintptr_t)conn;
}

static bool is_better(int i, int than)
{
    if (than < 0) {
        return true;
    }
    return pooling == IN_TURN ? servers[i].used < servers[than].used
                              : servers[i].used > servers[than].used;
}

/* The session of the client's transaction. */
static struct pg_conn *session_of(struct pg_conn *conn)
{
    struct client *client = client_of(conn);

    int best = client->server;

    for (int i = 0; i < SERVERS && client->server < 0; i++) {
        if (servers[i].owner == NULL && is_better(i, best)) {
            best = i;
        }
    }
    CHECK(best >= 0);
    client->server = best;
    servers[best].owner = client;
    servers[best].used = ++n_transactions;
    return servers[best].conn;
}

static void give_back(struct client *client)
{
    if (client->server >= 0) {
        servers[client->server].owner = NULL;
        client->server = -1;
    }
}

static struct pg_conn *pooler_connect(const struct pg_options *options)
{
    static struct client clients[8];
    struct client *client = clients;

    while (client->open) {
        client++;
    }
    *client = (struct client){.server = -1, .open = true};
    for (int i = 0; i < SERVERS; i++) {
        if (servers[i].conn == NULL) {
            servers[i].conn = real->connect(options);
            CHECK_INT(real->connected(servers[i].conn,
                                      (struct pg_until){.deadline_ns = mesh__in_ms(10000)}),
                      PG_READY);
        }
    }
    return (struct pg_conn *)client;
}

static enum pg_wait pooler_connected(struct pg_conn *conn, struct pg_until until)
{
    (void)conn;
    (void)until;
    return PG_READY;
}

static void pooler_close(struct pg_conn *conn)
{
    if (conn != NULL) {
        give_back(client_of(conn));
        client_of(conn)->open = false;
    }
}

static int pooler_pid(const struct pg_conn *conn)
{
    return (int)((uintptr_t)conn & 0xffffff); /* a number of its own, as poolers have them */
}

static bool pooler_prepare(struct pg_conn *conn, const char *name, const char *text,
                           const struct pg_params *params)
{
    return real->prepare(session_of(conn), name, text, params);
}

static bool pooler_execute(struct pg_conn *conn, const char *name, const struct pg_params *params)
{
    return real->execute(session_of(conn), name, params);
}

static bool pooler_query(struct pg_conn *conn, const char *text, const struct pg_params *params)
{
    return real->query(session_of(conn), text, params);
}

static bool pooler_sync(struct pg_conn *conn)
{
    return real->sync(session_of(conn));
}

static enum pg_wait pooler_receive(struct pg_conn *conn, struct pg_until until,
                                   struct pg_result **ret_result)
{
    struct pg_conn *session = session_of(conn);
    enum pg_wait wait = real->receive(session, until, ret_result);

    if (wait == PG_READY && real->kind(*ret_result) == PG_SYNCED && real->idle(session) &&
        pooling != PER_CONNECTION) {
        give_back(client_of(conn));
    }
    return wait;
}

static void use_pooler(enum pooling how)
{
    static struct pg table;

    table = *real;
    table.connect = pooler_connect;
    table.connected = pooler_connected;
    table.close = pooler_close;
    table.backend_pid = pooler_pid;
    table.prepare = pooler_prepare;
    table.execute = pooler_execute;
    table.query = pooler_query;
    table.sync = pooler_sync;
    table.receive = pooler_receive;
    pooling = how;
    mesh__pg = &table;
}

static int end_pooler(void **state)
{
    (void)state;
    mesh__pg = real;
    for (int i = 0; i < SERVERS; i++) {
        real->close(servers[i].conn);
        servers[i].conn = NULL;
        servers[i].owner = NULL;
    }
    return 0;
}

/* ---- tests ---- */

TEST(a_session_of_the_server_itself_lasts)
{
    CHECK_INT(mesh__db_check_session(ctx, db), MESH_OK);
}

TEST(a_pooler_that_keeps_sessions_is_fine)
{
    use_pooler(PER_CONNECTION);
    CHECK_INT(mesh__db_check_session(ctx, db), MESH_OK);
}

TEST(a_pooler_that_shares_one_session_is_refused)
{
    use_pooler(LAST_USED_FIRST);
    CHECK_INT(mesh__db_check_session(ctx, db), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(ctx), "a pooler gives each transaction another session, but events "
                                    "and migrations need one that lasts");
}

TEST(a_pooler_that_takes_its_sessions_in_turn_is_refused)
{
    use_pooler(IN_TURN);
    CHECK_INT(mesh__db_check_session(ctx, db), MESH_FAILED_PRECONDITION);
}

TEST(a_server_that_is_away_is_no_pooler)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    struct mesh_db *away;

    options.url = "postgresql://127.0.0.1:1/postgres";
    away = mesh__db_new(&options);
    CHECK_INT(mesh__db_check_session(ctx, away), MESH_UNAVAILABLE);
    mesh__db_free(away);
}

static int set_up(void **state)
{
    (void)state;
    real = mesh__pg;
    fixture_make_schema(SCHEMA);
    db = fixture_pool(SCHEMA, 1);
    ctx = fixture_ctx(60000);
    for (size_t i = 0; i < test_n_cases; i++) {
        test_cases[i].teardown_func = end_pooler;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__db_free(db);
    mesh__ctx_free(ctx);
    return 0;
}

TEST_MAIN(set_up, tear_down)
