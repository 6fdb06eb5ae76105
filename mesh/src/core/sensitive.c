/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sensitive.h"

#include <string.h>

bool mesh__is_sensitive(const struct mesh_sensitive_type *const *types,
                        const ProtobufCMessageDescriptor *message, const char *field)
{
    for (; types != NULL && *types != NULL; types++) {
        const char *const *marked = (*types)->fields;

        while ((*types)->descriptor == message && *marked != NULL) {
            if (strcmp(*marked++, field) == 0) {
                return true;
            }
        }
    }
    return false;
}
