/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a connection string one that no server could ever be reached by. */
#ifndef MESH_DB_URL_H
#define MESH_DB_URL_H

/*
 * NULL if nothing does; else what it has, such as "a port", and what was expected there, NULL for a
 * connection string at all. Neither repeats a word of the url, which may hold a password.
 */
const char *mesh__db_url_flaw(const char *url, const char **ret_expected);

#endif
