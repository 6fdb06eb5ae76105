/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/recent.h"

#include <string.h>

static int64_t slice_ns(int64_t window_ns)
{
    return window_ns > MESH__RECENT_SLICES ? window_ns / MESH__RECENT_SLICES : 1;
}

void mesh__recent_move(struct mesh__recent *recent, int64_t now_ns, int64_t window_ns)
{
    int64_t start_ns = now_ns - now_ns % slice_ns(window_ns);

    if (start_ns > recent->slices[recent->last].start_ns) {
        recent->last = (recent->last + 1) % (MESH__RECENT_SLICES + 1);
        memset(&recent->slices[recent->last], 0, sizeof(recent->slices[0]));
        recent->slices[recent->last].start_ns = start_ns;
    }
}

void mesh__recent_add(struct mesh__recent *recent, size_t kind)
{
    recent->slices[recent->last].counts[kind]++;
}

static int64_t since(const struct mesh__recent *recent, int64_t start_ns, size_t kind)
{
    int64_t sum = 0;

    for (size_t i = 0; i <= MESH__RECENT_SLICES; i++) {
        if (recent->slices[i].start_ns > start_ns) {
            sum += recent->slices[i].counts[kind];
        }
    }
    return sum;
}

int64_t mesh__recent_within(const struct mesh__recent *recent, int64_t now_ns, int64_t window_ns,
                            size_t kind)
{
    return since(recent, now_ns - window_ns, kind);
}

int64_t mesh__recent_reaching(const struct mesh__recent *recent, int64_t now_ns, int64_t window_ns,
                              size_t kind)
{
    return since(recent, now_ns - window_ns - slice_ns(window_ns), kind);
}
