/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a TCP port. */
#ifndef MESH_APP_LISTEN_H
#define MESH_APP_LISTEN_H

#include <stddef.h>

/*
 * Listens on "host:port" alone (port 0: any free one). -1 with a sentence in error if the port
 * cannot be had.
 */
int mesh__listen(const char *address, int *ret_port, char *error, size_t error_size);

#endif
