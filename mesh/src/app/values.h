/* SPDX-License-Identifier: Apache-2.0 */
/* How the text of an environment variable becomes a value, and how what was expected is said. */
#ifndef MESH_APP_VALUES_H
#define MESH_APP_VALUES_H

#include "app/config.h"
#include "core/parse.h"

/* The address inside of "host:port", "dns:host:port" and "dns://server/host:port"; NULL for other
 * schemes. */
const char *mesh__target_address(const char *target);

/* Whether text, which is not empty, is a value of the variable; of numbers and booleans it is put
 * into *ret_number. */
bool mesh__value_parse(const struct mesh__variable *variable, const char *text,
                       int64_t *ret_number);
/* Of a value that is not to be shown: what is wrong inside of it, such as "a port"; NULL if that
 * cannot be told. *ret_expected is NULL if the whole was expected to be another. */
const char *mesh__value_flaw(const struct mesh__variable *variable, const char *text,
                             const char **ret_expected);
/* Such as "a whole number from 1 to 1024". */
void mesh__value_expected(const struct mesh__variable *variable, char *ret_text, size_t size);

#endif
