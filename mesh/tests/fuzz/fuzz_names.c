/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs and whole numbers. */
#include "core/parse.h"
#include "db/uuid.h"
#include "fuzz.h"
#include "mesh/validate.h"

#include <errno.h>
#include <strings.h>

/* What passes the rule must pass the database, or a request that is valid would fail there. */
static void read_uuid(const char *text)
{
    uint8_t bytes[UUID_BYTES];
    char again[UUID_CHARS + 1];
    bool parsed = mesh__uuid_parse(text, bytes);

    MUST(mesh_is_uuid(text) == parsed);
    if (parsed) {
        mesh__uuid_format(bytes, again);
        MUST(strcasecmp(text, again) == 0);
    }
}

static void read_number(const char *text)
{
    int64_t number;
    char *end;

    if (mesh__parse_int64(text, &number)) {
        errno = 0;
        MUST(strtoll(text, &end, 10) == number && errno == 0 && *end == '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    read_uuid(text);
    read_number(text);
    free(text);
    return 0;
}
