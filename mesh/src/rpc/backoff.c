/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/backoff.h"

#include "core/clock.h"
#include "core/parse.h"

int64_t mesh__backoff_ns(struct mesh__backoff *backoff)
{
    int64_t times = backoff->times > 0 ? backoff->times : 1;

    backoff->times = times * 2 < MESH__BACKOFF_MAX ? times * 2 : MESH__BACKOFF_MAX;
    return mesh__random_between(0, times * backoff->base_ms * MESH_NS_PER_MS);
}

bool mesh__backoff_pushback(struct mesh__backoff *backoff, const char *value, int64_t *ret_ns)
{
    int64_t ms;

    if (!mesh__parse_int64(value, &ms) || ms < 0 || ms > MESH__PUSHBACK_MAX_MS) {
        return false;
    }
    backoff->times = 0;
    *ret_ns = mesh__after_ms(0, ms);
    return true;
}
