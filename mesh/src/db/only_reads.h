/* SPDX-License-Identifier: Apache-2.0 */
/* Tells statements that change nothing, so that losing their transaction loses nothing. */
#ifndef MESH_DB_ONLY_READS_H
#define MESH_DB_ONLY_READS_H

#include <stdbool.h>

/*
 * True if the statement certainly changes nothing that outlives its transaction. False in any
 * doubt: a function that is not listed here may write.
 */
bool mesh__only_reads(const char *sql);

#endif
