/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/cleanup.h"

#include "core/ctx_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mesh__cleanup_free(void *pointer_to_pointer)
{
    void *memory;

    memcpy(&memory, pointer_to_pointer, sizeof(memory)); /* it may point to any type of pointer */
    free(memory);
}

void mesh__cleanup_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

void mesh__cleanup_ctx(struct mesh_ctx **ctx)
{
    mesh__ctx_free(*ctx);
}
