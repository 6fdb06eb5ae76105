/* SPDX-License-Identifier: Apache-2.0 */
#include "db/statements.h"

#include "core/fatal.h"
#include "db/only_reads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits. */
#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * FNV_PRIME;
    }
    return hash;
}

static struct statement **slot_of(struct statement **slots, size_t n_slots, uint64_t hash)
{
    size_t i = hash & (n_slots - 1);

    while (slots[i] != NULL && slots[i]->hash != hash) {
        i = (i + 1) & (n_slots - 1);
    }
    return &slots[i];
}

/* At most half full, so that a search ends soon. */
static void grow(struct statements *statements)
{
    size_t n_slots = statements->n_slots == 0 ? 64 : 2 * statements->n_slots;
    struct statement **slots = mesh__calloc(n_slots, sizeof(struct statement *));

    for (size_t i = 0; i < statements->n_slots; i++) {
        if (statements->slots[i] != NULL) {
            *slot_of(slots, n_slots, statements->slots[i]->hash) = statements->slots[i];
        }
    }
    free(statements->slots);
    statements->slots = slots;
    statements->n_slots = n_slots;
}

struct statement *mesh__statements_find(struct statements *statements, const struct mesh_sql *sql,
                                        const struct pg_params *params)
{
    uint64_t hash = mix(FNV_START, sql->text, strlen(sql->text));
    struct statement **slot;

    hash = mix(hash, params->types, (size_t)params->n * sizeof(*params->types));
    if (2 * (statements->n + 1) > statements->n_slots) {
        grow(statements);
    }
    slot = slot_of(statements->slots, statements->n_slots, hash);
    if (*slot == NULL) {
        *slot = mesh__calloc(1, sizeof(**slot));
        (*slot)->hash = hash;
        (*slot)->only_reads = mesh__only_reads(sql->text);
        (void)snprintf((*slot)->name, sizeof((*slot)->name), "s_%.40s_%016" PRIx64, sql->name,
                       hash);
        statements->n++;
    }
    return *slot;
}

void mesh__statements_done(struct statements *statements)
{
    for (size_t i = 0; i < statements->n_slots; i++) {
        free(statements->slots[i]);
    }
    free(statements->slots);
    *statements = (struct statements){0};
}
