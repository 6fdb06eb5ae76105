/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: the environment, one variable a line. */
#include "app/config.h"
#include "app/values.h"
#include "fuzz.h"

#define ENV_MAX 64

static const struct mesh_peer peers[] = {{.name = "payment"}, {0}};
static const struct mesh_setting settings[] = {
    {.name = "SHOP_WINDOW_S",
     .kind = MESH_SETTING_INT64,
     .default_value = "6",
     .min = 1,
     .max = 60},
    {.name = "SHOP_OPEN", .kind = MESH_SETTING_BOOL, .default_value = "true"},
    {.name = "SHOP_MOTTO", .kind = MESH_SETTING_TEXT, .default_value = ""},
    {0}};
static const struct mesh_migration migrations[] = {{.name = "0001_a", .text = ""}, {0}};
static const struct mesh_app_spec spec = {.system = "test",
                                          .name = "shop",
                                          .summary = "sells",
                                          .peers = peers,
                                          .migrations = migrations,
                                          .publishes = true,
                                          .settings = settings};

static void require_values(const struct mesh__config *config)
{
    for (size_t i = 0; i < N_VARS; i++) {
        const struct mesh__variable *variable = &mesh__variables[i];

        if (variable->kind == KIND_INT64) {
            int64_t number = mesh__config_int64(config, (enum mesh__var)i);

            MUST(number >= variable->min && number <= variable->max);
        }
    }
    (void)mesh__target_address(mesh__config_peer(config, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char *env[ENV_MAX + 1] = {0};
    char *rest = text;
    char error[512] = "";
    struct mesh__config *config;
    size_t n = 0;

    while (n < ENV_MAX && (env[n] = strsep(&rest, "\n")) != NULL) {
        n += strstr(env[n], "_FILE") == NULL ? 1 : 0; /* files of this machine are no input */
    }
    env[n] = NULL;
    config = mesh__config_read(&spec, env, NEED_ALL, error, sizeof(error));
    MUST((config == NULL) == (error[0] != '\0'));
    if (config != NULL) {
        require_values(config);
    }
    mesh__config_free(config);
    free(text);
    return 0;
}
