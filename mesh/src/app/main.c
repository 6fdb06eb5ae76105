/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/main.h"

#include "app/app.h"
#include "core/fatal.h"
#include "core/log_impl.h"
#include "core/log_writer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORDS_WIDTH 17    /* of a subcommand with what follows it */
#define FILES_MAX 1048576 /* some systems allow a billion, and then loops over all of them hurt */

enum { EXIT_USAGE = 2 };

static int version(const struct mesh_app_spec *spec, const struct mesh__config *config);
static int serve(const struct mesh_app_spec *spec, const struct mesh__config *config);

static const struct command {
    const char *name;
    const char *words; /* that follow it */
    int (*run)(const struct mesh_app_spec *spec, const struct mesh__config *config);
    bool configured;
    unsigned needs; /* the variables that must be there */
    const char *meaning;
} commands[] = {
    {"serve", "", serve, true, NEED_ALL, "runs the service until SIGTERM"},
    {"migrate", "", mesh__migrate_command, true, NEED_DATABASE,
     "brings the schema of the database up to date"},
    {"check", "", mesh__check_command, true, NEED_ALL,
     "checks the configuration and what it points to"},
    {"policy", " check FILE", NULL, false, 0, "prints what every method gets by a policy file"},
    {"version", "", version, false, 0, "prints name and version"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int version(const struct mesh_app_spec *spec, const struct mesh__config *config)
{
    (void)config;
    (void)printf("%s-%s %s\n", spec->system, spec->name, MESH_VERSION);
    return 0;
}

/* gRPC 1.51 loses its listening socket for good when descriptors run out. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(const struct mesh_app_spec *spec, const struct mesh__config *config)
{
    int code;

    raise_file_limit();
    mesh__log_start();
    code = mesh__serve(spec, config);
    mesh__log_stop();
    return code;
}

static int help(const struct mesh_app_spec *spec)
{
    (void)printf("%s-%s: %s\n\nusage: %s-%s COMMAND\n\n", spec->system, spec->name, spec->summary,
                 spec->system, spec->name);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        (void)printf("  %s%-*s  %s\n", commands[i].name,
                     WORDS_WIDTH - (int)strlen(commands[i].name), commands[i].words,
                     commands[i].meaning);
    }
    (void)printf("  %-*s  %s\n\n", WORDS_WIDTH, "--help", "prints this");
    (void)printf(
        "Environment variables. NAME_FILE=PATH instead of NAME=VALUE takes the value from a "
        "file.\n\n");
    mesh__config_help(spec, stdout);
    (void)printf("\nExit code: 0 fine, 1 failed, 2 wrong usage or configuration.\n");
    return 0;
}

static int refuse(const struct mesh_app_spec *spec, const char *sentence)
{
    (void)fprintf(stderr, "%s-%s: %s\n", spec->system, spec->name, sentence);
    return EXIT_USAGE;
}

static void set_up_log(const struct mesh_app_spec *spec, const struct mesh__config *config)
{
    enum mesh_log_level level = MESH_LOG_INFO;
    bool plain = strcmp(mesh__config_text(config, VAR_LOG_FORMAT), "plain") == 0;

    mesh__log_level_parse(mesh__config_text(config, VAR_LOG_LEVEL), &level);
    mesh__log_setup(spec->name, level, plain ? MESH__LOG_PLAIN : MESH__LOG_JSON);
}

static int run(const struct command *command, const struct mesh_app_spec *spec)
{
    char error[1024];
    struct mesh__config *config;
    int code;

    if (!command->configured) {
        return command->run(spec, NULL);
    }
    config = mesh__config_read(spec, environ, command->needs, error, sizeof(error));
    if (config == NULL) {
        return refuse(spec, error);
    }
    set_up_log(spec, config);
    code = command->run(spec, config);
    mesh__config_free(config);
    return code;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, word) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int run_words(int argc, char **argv, const struct mesh_app_spec *spec)
{
    const struct command *command;
    char sentence[256];

    if (argc >= 2 && is_help(argv[1])) {
        return help(spec);
    }
    if (argc < 2) {
        return refuse(spec, "no command is given, expected serve, migrate, check, policy, version "
                            "or --help.");
    }
    command = find_command(argv[1]);
    if (command == NULL) {
        (void)snprintf(sentence, sizeof(sentence),
                       "\"%.100s\" is not a command, expected serve, migrate, check, policy, "
                       "version or --help.",
                       argv[1]);
        return refuse(spec, sentence);
    }
    if (command->run == NULL) {
        if (argc != 4 || strcmp(argv[2], "check") != 0) {
            return refuse(spec, "policy is followed by check and the name of a file.");
        }
        return mesh__policy_command(spec, argv[3]);
    }
    if (argc > 2) {
        (void)snprintf(sentence, sizeof(sentence),
                       "%s takes no arguments, but there is \"%.100s\".", command->name, argv[2]);
        return refuse(spec, sentence);
    }
    return run(command, spec);
}

int mesh_main(int argc, char **argv, const struct mesh_app_spec *spec)
{
    int code;

    (void)signal(SIGPIPE, SIG_IGN);
    if ((spec->publishes || spec->inbox != NULL) && spec->migrations == NULL) {
        mesh__fatal("the declaration of %s has events but no database", spec->name);
    }
    code = run_words(argc, argv, spec);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        (void)fprintf(stderr, "%s-%s: cannot write to standard output: %s.\n", spec->system,
                      spec->name, strerror(errno));
        return code == 0 ? EXIT_FAILURE : code;
    }
    return code;
}
