/* SPDX-License-Identifier: Apache-2.0 */
#include "db/rows.h"

#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "db/args.h"
#include "db/uuid.h"

#include <string.h>

struct cell {
    const char *data; /* NULL: SQL null. A NUL follows. A UUID is kept as text */
    size_t size;
};

struct mesh_rows {
    const char *statement;
    int n_columns;
    const uint32_t *types;
    const struct cell **cells; /* per row */
    size_t n_rows;
    size_t n_max;
    int64_t n_changed; /* by a statement without columns */
};

struct mesh_rows *mesh__rows_new(struct mesh_ctx *ctx, const char *statement)
{
    struct mesh_rows *rows = mesh_alloc(ctx, sizeof(*rows));

    rows->statement = statement;
    return rows;
}

/* ---- filling ---- */

static bool describe(struct mesh_arena *arena, struct mesh_rows *rows,
                     const struct pg_result *result)
{
    int n = mesh__pg->columns(result);
    uint32_t *types = mesh__arena_try(arena, ((size_t)n + 1) * sizeof(*types));

    if (types == NULL) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        types[i] = mesh__pg->type(result, i);
    }
    rows->types = types;
    rows->n_columns = n;
    return true;
}

static bool make_room(struct mesh_arena *arena, struct mesh_rows *rows)
{
    size_t n_max = rows->n_max == 0 ? 4 : 2 * rows->n_max;
    const struct cell **cells;

    if (rows->n_rows < rows->n_max) {
        return true;
    }
    cells = mesh__arena_try(arena, n_max * sizeof(struct cell *));
    if (cells == NULL) {
        return false;
    }
    if (rows->n_rows > 0) {
        memcpy(cells, rows->cells, rows->n_rows * sizeof(struct cell *));
    }
    rows->cells = cells;
    rows->n_max = n_max;
    return true;
}

static bool fill_cell(struct mesh_arena *arena, struct cell *cell, uint32_t type, const char *value,
                      size_t size)
{
    bool is_uuid = type == PG_UUID && size == UUID_BYTES;
    char *copy = mesh__arena_try(arena, (is_uuid ? UUID_CHARS : size) + 1);

    if (copy == NULL) {
        return false;
    }
    if (is_uuid) {
        mesh__uuid_format((const uint8_t *)value, copy);
    } else {
        memcpy(copy, value, size);
    }
    cell->data = copy;
    cell->size = size;
    return true;
}

static bool add_row(struct mesh_arena *arena, struct mesh_rows *rows,
                    const struct pg_result *result, int row)
{
    struct cell *cells = mesh__arena_try(arena, (size_t)rows->n_columns * sizeof(*cells));

    if (cells == NULL || !make_room(arena, rows)) {
        return false;
    }
    for (int i = 0; i < rows->n_columns; i++) {
        int size = 0;
        const char *value = mesh__pg->value(result, row, i, &size);

        if (value != NULL && !fill_cell(arena, &cells[i], rows->types[i], value, (size_t)size)) {
            return false;
        }
    }
    rows->cells[rows->n_rows++] = cells;
    return true;
}

bool mesh__rows_add(struct mesh_ctx *ctx, struct mesh_rows *rows, const struct pg_result *result)
{
    struct mesh_arena *arena = ctx->scope->arena;
    int n = mesh__pg->rows(result);

    if (rows->types == NULL && !describe(arena, rows, result)) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (!add_row(arena, rows, result, i)) {
            return false;
        }
    }
    return true;
}

void mesh__rows_end(struct mesh_rows *rows, const struct pg_result *result)
{
    rows->n_changed = mesh__pg->count(result);
}

/* ---- reading ---- */

static const char *type_name(uint32_t type)
{
    static const struct {
        uint32_t type;
        const char *name;
    } names[] = {{PG_BOOL, "bool"},       {PG_BYTEA, "bytea"},
                 {PG_INT8, "int8"},       {PG_INT2, "int2"},
                 {PG_INT4, "int4"},       {PG_TEXT, "text"},
                 {PG_NAME, "name"},       {PG_OID, "oid"},
                 {PG_JSON, "json"},       {PG_JSONB, "jsonb"},
                 {PG_FLOAT8, "float8"},   {PG_VARCHAR, "varchar"},
                 {PG_DATE, "date"},       {PG_TIMESTAMP, "timestamp"},
                 {PG_NUMERIC, "numeric"}, {PG_TIMESTAMPTZ, "timestamptz"},
                 {PG_UUID, "uuid"},       {PG_XID8, "xid8"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].type == type) {
            return names[i].name;
        }
    }
    return "another type";
}

static const struct cell *cell_at(const struct mesh_rows *rows, int64_t row, int column)
{
    if (row < 0 || (size_t)row >= rows->n_rows) {
        mesh__fatal("%s: row %lld was asked for, it returned %zu", rows->statement, (long long)row,
                    rows->n_rows);
    }
    if (column < 0 || column >= rows->n_columns) {
        mesh__fatal("%s: column %d was asked for, it has %d", rows->statement, column,
                    rows->n_columns);
    }
    return &rows->cells[row][column];
}

static _Noreturn void wrong_type(const struct mesh_rows *rows, int column, const char *wanted)
{
    mesh__fatal("%s: column %d is %s (oid %u) and was read as %s; cast it in the statement",
                rows->statement, column, type_name(rows->types[column]), rows->types[column],
                wanted);
}

static const struct cell *cell_of(const struct mesh_rows *rows, int64_t row, int column,
                                  uint32_t type)
{
    const struct cell *cell = cell_at(rows, row, column);

    if (rows->types[column] != type) {
        wrong_type(rows, column, type_name(type));
    }
    return cell;
}

int64_t mesh_rows_count(const struct mesh_rows *rows)
{
    return rows->n_columns > 0 ? (int64_t)rows->n_rows : rows->n_changed;
}

bool mesh_row_is_null(const struct mesh_rows *rows, int64_t row, int column)
{
    return cell_at(rows, row, column)->data == NULL;
}

static bool reads_as_text(uint32_t type)
{
    return type == PG_TEXT || type == PG_VARCHAR || type == PG_BPCHAR || type == PG_NAME ||
           type == PG_CHAR || type == PG_JSON || type == PG_UNKNOWN || type >= PG_FIRST_USER_TYPE;
}

const char *mesh_row_text(const struct mesh_rows *rows, int64_t row, int column)
{
    const struct cell *cell = cell_at(rows, row, column);

    if (!reads_as_text(rows->types[column])) {
        wrong_type(rows, column, "text");
    }
    return cell->data;
}

const char *mesh_row_uuid(const struct mesh_rows *rows, int64_t row, int column)
{
    return cell_of(rows, row, column, PG_UUID)->data;
}

/* Big-endian, with the sign of its first byte. */
static int64_t to_int64(const struct cell *cell)
{
    const uint8_t *bytes = (const uint8_t *)cell->data;
    uint64_t number = bytes[0] >= 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < cell->size; i++) {
        number = number << 8 | bytes[i];
    }
    return (int64_t)number;
}

int64_t mesh_row_int64(const struct mesh_rows *rows, int64_t row, int column)
{
    const struct cell *cell = cell_at(rows, row, column);

    switch (rows->types[column]) {
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_XID8: /* of no more than 63 bits for some million years */
        return cell->data != NULL ? to_int64(cell) : 0;
    default:
        wrong_type(rows, column, "an integer");
    }
}

bool mesh_row_bool(const struct mesh_rows *rows, int64_t row, int column)
{
    const struct cell *cell = cell_of(rows, row, column, PG_BOOL);

    return cell->data != NULL && cell->data[0] != 0;
}

const uint8_t *mesh_row_bytes(const struct mesh_rows *rows, int64_t row, int column,
                              size_t *ret_size)
{
    const struct cell *cell = cell_of(rows, row, column, PG_BYTEA);

    *ret_size = cell->size;
    return (const uint8_t *)cell->data;
}

int64_t mesh_row_time(const struct mesh_rows *rows, int64_t row, int column)
{
    const struct cell *cell = cell_of(rows, row, column, PG_TIMESTAMPTZ);
    int64_t unix_us;

    if (cell->data == NULL) {
        return 0;
    }
    return __builtin_add_overflow(to_int64(cell), PG_EPOCH_US, &unix_us) ? INT64_MAX : unix_us;
}
