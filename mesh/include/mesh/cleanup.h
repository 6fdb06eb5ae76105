/* SPDX-License-Identifier: Apache-2.0 */
/* Clean-up by scope: what a variable holds is released when it goes out of scope. */
#ifndef MESH_CLEANUP_H
#define MESH_CLEANUP_H

struct mesh_ctx;
struct mesh_tx;

/* Each takes the address of the variable, tolerates NULL (or -1 for a descriptor) and is not called
 * by hand. */
void mesh__cleanup_free(void *pointer_to_pointer);
void mesh__cleanup_fd(int *fd);
void mesh__cleanup_ctx(struct mesh_ctx **ctx);
void mesh__cleanup_tx(struct mesh_tx **tx);

/* free() at the end of the scope. */
#define cleanup_free __attribute__((cleanup(mesh__cleanup_free)))
/* close() at the end of the scope unless the descriptor is negative. */
#define cleanup_fd __attribute__((cleanup(mesh__cleanup_fd)))
/* Frees a context made by mesh_ctx_fork() or mesh_ctx_background(). */
#define cleanup_ctx __attribute__((cleanup(mesh__cleanup_ctx)))
/* Rolls the transaction back unless it was committed, and gives the connection back. */
#define cleanup_tx __attribute__((cleanup(mesh__cleanup_tx)))

#endif
