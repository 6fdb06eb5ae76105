/* SPDX-License-Identifier: Apache-2.0 */
#include "db/migration_plan.h"

#include "core/fatal.h"

#include <stdlib.h>
#include <string.h>

#define COMPATIBLE_FROM "-- compatible_from:"

static int64_t read_number(const char *name, int64_t expected)
{
    char *end;
    int64_t number = strtoll(name, &end, 10);

    if (end != name + 4 || *end != '_' || number != expected) {
        mesh__fatal("migration %s: number %04lld was expected here", name, (long long)expected);
    }
    return number;
}

/* What a comment line of the file says; by default the one before. */
static int64_t read_compatible_from(const struct mesh_migration *migration, int64_t number)
{
    const char *line = migration->text;

    while (line != NULL) {
        if (strncmp(line, COMPATIBLE_FROM, strlen(COMPATIBLE_FROM)) == 0) {
            char *end;
            const char *digits = line + strlen(COMPATIBLE_FROM);
            int64_t from = strtoll(digits, &end, 10);

            if (end == digits || from < 0 || from > number) {
                mesh__fatal("migration %s: compatible_from must be a number from 0 to %lld",
                            migration->name, (long long)number);
            }
            return from;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return number - 1;
}

void mesh__migrations_read(struct mesh_ctx *ctx, const struct mesh_migration *migrations,
                           const struct known_migration **ret_known, int64_t *ret_n)
{
    struct known_migration *known;
    int64_t n = 0;

    while (migrations != NULL && migrations[n].name != NULL) {
        n++;
    }
    known = mesh_alloc(ctx, (size_t)n * sizeof(*known) + 1);
    for (int64_t i = 0; i < n; i++) {
        const struct mesh_migration *migration = &migrations[i];

        known[i].name = migration->name;
        known[i].text = migration->text;
        known[i].number = read_number(migration->name, i + 1);
        known[i].compatible_from = read_compatible_from(migration, known[i].number);
        mesh__sha256_hex(migration->text, strlen(migration->text), known[i].checksum);
    }
    *ret_known = known;
    *ret_n = n;
}

static MESH_STATUS compare_one(struct mesh_ctx *ctx, const struct applied_migration *applied,
                               const struct known_migration *known)
{
    if (applied->number != known->number) {
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION,
                         "migration %s was not applied although %s was: the schema is not one that "
                         "this program made",
                         known->name, applied->name);
    }
    if (strcmp(applied->checksum, known->checksum) != 0) {
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION,
                         "migration %s was changed after it had been applied%s%s: put the old text "
                         "back and write the change as a new migration",
                         known->name, strcmp(applied->name, known->name) != 0 ? " as " : "",
                         strcmp(applied->name, known->name) != 0 ? applied->name : "");
    }
    return MESH_OK;
}

static MESH_STATUS compare_newer(struct mesh_ctx *ctx, const struct migration_plan *plan,
                                 const struct applied_migration *applied)
{
    if (applied->compatible_from <= plan->n_known) {
        return MESH_OK;
    }
    return mesh_fail(ctx, MESH_FAILED_PRECONDITION,
                     "the schema is too new for this program: migration %s needs one that knows at "
                     "least migration %04lld, this one knows %04lld",
                     applied->name, (long long)applied->compatible_from, (long long)plan->n_known);
}

/* Both lists are in the order of their numbers, and the numbers of the known ones have no gaps. */
MESH_STATUS mesh__migrations_compare(struct mesh_ctx *ctx, struct migration_plan *plan)
{
    for (int64_t i = 0; i < plan->n_applied; i++) {
        const struct applied_migration *applied = &plan->applied[i];

        if (i < plan->n_known) {
            MESH_TRY(compare_one(ctx, applied, &plan->known[i]));
        } else {
            MESH_TRY(compare_newer(ctx, plan, applied));
        }
    }
    plan->first_new = plan->n_applied < plan->n_known ? plan->n_applied : plan->n_known;
    return MESH_OK;
}
