/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an environment variable; the first byte chooses which. */
#include "app/values.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mesh__variable *variable;
    char host[MESH__HOST_SIZE];
    int64_t number;
    char *text;

    if (size < 2) {
        return 0;
    }
    variable = &mesh__variables[data[0] % N_VARS];
    text = fuzz_text(data + 1, size - 1);
    if (text[0] != '\0' && mesh__value_parse(variable, text, &number) &&
        variable->kind == KIND_INT64) {
        MUST(number >= variable->min && number <= variable->max);
    }
    if (mesh__parse_address(text, 0, host, &number)) {
        MUST(number >= 0 && number <= 65535 && host[0] != '\0');
    }
    (void)mesh__target_address(text);
    free(text);
    return 0;
}
