/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_pg.h"

#include <string.h>

struct pg_result {
    struct fake_answer answer;
};

static struct fake_answer script[64];
static size_t n_script;
static size_t at;
static char asked[256];
static int n_connected;
static int n_closed;
static struct fake_faults faults;
static struct pg_result result;

static bool ask(char what)
{
    size_t size = strlen(asked);

    asked[size] = what;
    asked[size + 1] = '\0';
    return true;
}

static struct pg_conn *fake_connect(const struct pg_options *options)
{
    (void)options;
    n_connected++;
    return (struct pg_conn *)&result;
}

static enum pg_wait fake_connected(struct pg_conn *conn, struct pg_until until)
{
    (void)conn;
    (void)until;
    return PG_READY;
}

static void fake_close(struct pg_conn *conn)
{
    n_closed += conn != NULL;
}

static bool fake_alive(struct pg_conn *conn)
{
    (void)conn;
    return !faults.dead;
}

static bool fake_idle(const struct pg_conn *conn)
{
    (void)conn;
    return !faults.in_transaction;
}

static int fake_backend_pid(const struct pg_conn *conn)
{
    (void)conn;
    return 1;
}

static const char *fake_last_error(const struct pg_conn *conn)
{
    (void)conn;
    return "a fake";
}

static const char *fake_refusal(const struct pg_conn *conn)
{
    (void)conn;
    return "";
}

static bool fake_prepare(struct pg_conn *conn, const char *name, const char *text,
                         const struct pg_params *params)
{
    (void)conn;
    (void)name;
    (void)text;
    (void)params;
    return ask('p');
}

static bool fake_execute(struct pg_conn *conn, const char *name, const struct pg_params *params)
{
    (void)conn;
    (void)name;
    (void)params;
    return ask('x');
}

static bool fake_query(struct pg_conn *conn, const char *text, const struct pg_params *params)
{
    (void)conn;
    (void)text;
    (void)params;
    return ask('q');
}

static bool fake_sync(struct pg_conn *conn)
{
    (void)conn;
    return ask('s');
}

static bool fake_flush(struct pg_conn *conn)
{
    (void)conn;
    return ask('f');
}

static bool fake_script(struct pg_conn *conn, const char *text)
{
    (void)conn;
    (void)text;
    return ask('t');
}

static enum pg_wait fake_receive(struct pg_conn *conn, struct pg_until until,
                                 struct pg_result **ret_result)
{
    (void)conn;
    (void)until;
    if (at == n_script) {
        return PG_LOST;
    }
    result.answer = script[at++];
    *ret_result = &result;
    return result.answer.wait;
}

static enum pg_kind fake_kind(const struct pg_result *from)
{
    return from->answer.kind;
}

static void fake_error(const struct pg_result *from, struct pg_error *ret_error)
{
    *ret_error = (struct pg_error){from->answer.sqlstate, "a fake", "", from->answer.fatal};
}

static int64_t fake_count(const struct pg_result *from)
{
    (void)from;
    return 1;
}

static int fake_rows(const struct pg_result *from)
{
    int n = faults.rows == 0 ? 1 : faults.rows;

    return from->answer.kind == PG_ROW ? n : 0;
}

static int fake_columns(const struct pg_result *from)
{
    (void)from;
    return 1;
}

static uint32_t fake_type(const struct pg_result *from, int column)
{
    (void)from;
    (void)column;
    return 0;
}

/* Every value is null. */
static const char *fake_value(const struct pg_result *from, int row, int column, int *ret_size)
{
    (void)from;
    (void)row;
    (void)column;
    *ret_size = 0;
    return NULL;
}

static void fake_result_free(struct pg_result *from)
{
    (void)from;
}

static void fake_cancel(struct pg_conn *conn)
{
    (void)conn;
    (void)ask('c');
}

static bool fake_cancel_wait(struct pg_conn *conn, int64_t deadline_ns)
{
    (void)conn;
    (void)deadline_ns;
    (void)ask('w');
    return !faults.cancel_is_lost;
}

void fake_pg_use(const struct fake_answer *answers, size_t n)
{
    static const struct pg fake = {.connect = fake_connect,
                                   .connected = fake_connected,
                                   .close = fake_close,
                                   .alive = fake_alive,
                                   .idle = fake_idle,
                                   .backend_pid = fake_backend_pid,
                                   .last_error = fake_last_error,
                                   .refusal = fake_refusal,
                                   .prepare = fake_prepare,
                                   .execute = fake_execute,
                                   .query = fake_query,
                                   .sync = fake_sync,
                                   .flush = fake_flush,
                                   .script = fake_script,
                                   .receive = fake_receive,
                                   .kind = fake_kind,
                                   .error = fake_error,
                                   .count = fake_count,
                                   .rows = fake_rows,
                                   .columns = fake_columns,
                                   .type = fake_type,
                                   .value = fake_value,
                                   .result_free = fake_result_free,
                                   .cancel = fake_cancel,
                                   .cancel_wait = fake_cancel_wait};

    memcpy(script, answers, n * sizeof(*answers));
    n_script = n;
    at = 0;
    asked[0] = '\0';
    n_connected = 0;
    n_closed = 0;
    faults = (struct fake_faults){0};
    mesh__pg = &fake;
}

const char *fake_pg_asked(void)
{
    return asked;
}

int fake_pg_connected(void)
{
    return n_connected;
}

int fake_pg_closed(void)
{
    return n_closed;
}

void fake_pg_set(struct fake_faults now)
{
    faults = now;
}
