/* SPDX-License-Identifier: Apache-2.0 */
/* The file changes under a process that runs, in every way that people and Kubernetes change it. */
#include "core/log_impl.h"
#include "core/thread.h"
#include "mesh/metrics.h"
#include "policy/policies.h"
#include "policy/watch.h"
#include "policy_test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static char file[128];
static struct mesh__policies *policies;

/* ---- helpers -------------------------------------------------------------------------------- */

static const char *in_folder(const char *name)
{
    static char paths[4][192];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(close(fd) == 0);
}

static const char *policy_text(int timeout_ms)
{
    static char text[256];

    (void)snprintf(text, sizeof(text),
                   "{\"schema\": \"mesh-policy/v1\", \"mode\": \"library\", \"defaults\": "
                   "{\"route\": {\"timeout\": \"%dms\"}}}",
                   timeout_ms);
    return text;
}

static int64_t timeout_of(struct mesh__policy *policy)
{
    return mesh__policy_method(mesh__policy_destination(policy, 0), &shop_methods[BUY])
        ->values.timeout_ms;
}

static int64_t timeout_now(void)
{
    struct mesh__policy *policy = mesh__policies_take(policies);
    int64_t timeout_ms = timeout_of(policy);

    mesh__policy_release(policy);
    return timeout_ms;
}

static uint64_t reloads(const char *result)
{
    return mesh_counter_value(mesh_counter("mesh_policy_reloads_total",
                                           "Changes of the policy file, by what they led to.",
                                           (const char *const[]){"result", result, NULL}));
}

static double last_successful(void)
{
    return mesh_gauge_value(mesh_gauge("mesh_policy_last_reload_successful", "", NULL));
}

static void short_pause(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    (void)nanosleep(&pause, NULL);
}

/* Waits for at most 30 s. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        for (int turn = 0; !(condition) && turn < 15000; turn++) {                                 \
            short_pause();                                                                         \
        }                                                                                          \
        CHECK(condition);                                                                          \
    } while (0)

static void begin(int settle_ms)
{
    const struct mesh__policy_options options = {
        .file = file, .peers = peers, .settle_ms = settle_ms};

    policies = mesh__policies_new(&options, error, sizeof(error));
    CHECK(policies != NULL);
    mesh__policies_start(policies);
}

static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/mesh-policy-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(file, sizeof(file), "%s/policy.json", folder);
}

static void begin_with(int timeout_ms)
{
    make_folder();
    write_text(file, policy_text(timeout_ms));
    begin(0);
    CHECK_INT(timeout_now(), timeout_ms);
}

static void end(void)
{
    char command[160];

    mesh__policies_free(policies);
    policies = NULL;
    (void)snprintf(command, sizeof(command), "rm -rf %s %s.old", folder, folder);
    CHECK(system(command) == 0);
}

/* ---- the ways ------------------------------------------------------------------------------- */

TEST(a_plain_overwrite_is_seen)
{
    begin_with(1000);
    write_text(file, policy_text(1100));
    WAIT_FOR(timeout_now() == 1100);
    write_text(file, policy_text(1200));
    WAIT_FOR(timeout_now() == 1200);
    end();
}

TEST(a_file_renamed_to_its_place_is_seen)
{
    make_folder();
    write_text(file, policy_text(1000));
    write_text(in_folder("new"), policy_text(1100)); /* before anybody looks */
    begin(0);
    CHECK_INT(timeout_now(), 1000);
    CHECK(rename(in_folder("new"), file) == 0);
    WAIT_FOR(timeout_now() == 1100);
    end();
}

/* As the kubelet lays it out: policy.json -> ..data/policy.json, ..data -> a folder per version. */
TEST(the_switch_of_a_config_map_is_seen)
{
    make_folder();
    CHECK(mkdir(in_folder("..v1"), 0700) == 0 && mkdir(in_folder("..v2"), 0700) == 0);
    write_text(in_folder("..v1/policy.json"), policy_text(1000));
    CHECK(symlink("..v1", in_folder("..data")) == 0);
    CHECK(symlink("..data/policy.json", file) == 0);
    write_text(in_folder("..v2/policy.json"), policy_text(1100));
    CHECK(symlink("..v2", in_folder("..data_tmp")) == 0);
    begin(0);
    CHECK_INT(timeout_now(), 1000);
    CHECK(rename(in_folder("..data_tmp"), in_folder("..data")) == 0);
    WAIT_FOR(timeout_now() == 1100);
    end();
}

TEST(a_link_put_there_is_seen)
{
    make_folder();
    write_text(file, policy_text(1000));
    write_text(in_folder("other.json"), policy_text(1100));
    begin(0);
    CHECK(unlink(file) == 0);
    CHECK(symlink("other.json", file) == 0);
    WAIT_FOR(timeout_now() == 1100);
    end();
}

TEST(a_folder_put_in_the_place_of_the_other_is_seen)
{
    char old[80];

    begin_with(1000);
    (void)snprintf(old, sizeof(old), "%s.old", folder);
    CHECK(rename(folder, old) == 0);
    CHECK(mkdir(folder, 0700) == 0);
    write_text(file, policy_text(1100));
    WAIT_FOR(timeout_now() == 1100);
    write_text(file, policy_text(1200));
    WAIT_FOR(timeout_now() == 1200);
    end();
}

/* The limit leaves one descriptor, which is the one that the thread is stopped by. */
TEST(where_the_system_has_no_watches_the_file_is_looked_at_from_time_to_time)
{
    struct rlimit limit = {0};
    struct rlimit less;
    struct mesh__watch *watch;
    int next = dup(0);

    make_folder();
    CHECK(next >= 0 && close(next) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    less = limit;
    less.rlim_cur = (rlim_t)next + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &less) == 0);
    watch = mesh__watch_new(file);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(mesh__watch_wait(watch) && mesh__watch_settle(watch, 1));
    mesh__watch_stop(watch);
    CHECK(!mesh__watch_wait(watch) && !mesh__watch_settle(watch, 1));
    mesh__watch_free(watch);
    end();
}

/* ---- what is in it -------------------------------------------------------------------------- */

TEST(a_refused_change_leaves_the_old_policy_in_force)
{
    uint64_t refused = reloads("refused");
    uint64_t accepted = reloads("ok");

    begin_with(1000);
    CHECK(last_successful() > 0);
    write_text(in_folder("new"), "{\"schema\": \"mesh-policy/v1\", \"mode\": \"nobody\"}");
    CHECK(rename(in_folder("new"), file) == 0);
    WAIT_FOR(reloads("refused") == refused + 1);
    WAIT_FOR(last_successful() < 1);
    CHECK_INT(timeout_now(), 1000);
    CHECK_INT(reloads("ok"), accepted);

    write_text(file, policy_text(1000)); /* back to what is in force */
    WAIT_FOR(reloads("ok") == accepted + 1);
    WAIT_FOR(last_successful() > 0);
    CHECK(unlink(file) == 0);
    write_text(in_folder("other"), "");
    WAIT_FOR(reloads("refused") == refused + 2);
    CHECK_INT(timeout_now(), 1000);
    end();
}

/* Once it was right, the same mistake is another one. */
TEST(who_makes_the_same_mistake_again_is_told_again)
{
    uint64_t refused = reloads("refused");
    uint64_t accepted = reloads("ok");

    begin_with(1000);
    write_text(file, "{}");
    WAIT_FOR(reloads("refused") == refused + 1);
    write_text(file, policy_text(1100));
    WAIT_FOR(reloads("ok") == accepted + 1);
    write_text(file, "{}");
    WAIT_FOR(reloads("refused") == refused + 2);
    WAIT_FOR(last_successful() < 1);
    end();
}

static char line_of_error[1024];

static void keep_error(void *arg, const char *line, size_t size)
{
    (void)arg;
    if (strstr(line, "\"error\"") != NULL && size < sizeof(line_of_error)) {
        memcpy(line_of_error, line, size);
    }
}

/* Where peers are and what they are called by was settled at the start. */
TEST(a_change_of_the_mode_is_refused_as_a_whole)
{
    uint64_t refused = reloads("refused");
    uint64_t accepted = reloads("ok");
    struct mesh__policy *policy;

    mesh__log_capture(keep_error, NULL);
    begin_with(1000);
    write_text(file, "{\"schema\": \"mesh-policy/v1\", \"mode\": \"istio\", \"defaults\": "
                     "{\"route\": {\"timeout\": \"1100ms\"}}}");
    WAIT_FOR(reloads("refused") == refused + 1);
    WAIT_FOR(last_successful() < 1);
    CHECK_INT(timeout_now(), 1000);
    policy = mesh__policies_take(policies);
    CHECK_INT(mesh__policy_mode(policy), MESH__MODE_LIBRARY);
    mesh__policy_release(policy);
    write_text(file, policy_text(1200));
    WAIT_FOR(timeout_now() == 1200);
    WAIT_FOR(reloads("ok") == accepted + 1);
    end();
    CHECK(strstr(line_of_error,
                 "policy.json: mode is \\\"istio\\\", expected library, as at the start: a change "
                 "takes a restart.") != NULL);
    mesh__log_capture(NULL, NULL);
}

/* The file is completed after the first look at it, and before the second. */
TEST(a_half_written_file_is_looked_at_once_more)
{
    uint64_t refused = reloads("refused");
    char half[64];
    char events[512];
    int fd = inotify_init1(IN_CLOEXEC);

    make_folder();
    write_text(file, policy_text(1000));
    begin(1000);
    (void)snprintf(half, sizeof(half), "%.40s", policy_text(1100));
    write_text(file, half);
    CHECK(inotify_add_watch(fd, file, IN_CLOSE_NOWRITE) >= 0);
    CHECK(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30000) == 1);
    CHECK(read(fd, events, sizeof(events)) > 0);
    CHECK_INT(timeout_now(), 1000);
    write_text(file, policy_text(1100));
    WAIT_FOR(timeout_now() == 1100);
    CHECK_INT(reloads("refused"), refused);
    CHECK(close(fd) == 0);
    end();
}

TEST(other_files_of_the_folder_change_nothing)
{
    uint64_t accepted = reloads("ok");

    begin_with(1000);
    write_text(in_folder("other"), "x");
    write_text(file, policy_text(1100));
    WAIT_FOR(timeout_now() == 1100);
    write_text(in_folder("other"), "y");
    write_text(file, policy_text(1200));
    WAIT_FOR(timeout_now() == 1200);
    WAIT_FOR(reloads("ok") == accepted + 2);
    end();
}

TEST(a_bad_file_at_the_start_is_refused)
{
    const struct mesh__policy_options options = {.file = file, .peers = peers};

    make_folder();
    write_text(file, "{\"schema\": \"mesh-policy/v1\", \"mode\": \"library\", \"rules\": 1}");
    CHECK(mesh__policies_new(&options, error, sizeof(error)) == NULL);
    CHECK(strstr(error, "policy.json: rules is not a known key, expected ") != NULL);
    end();
}

TEST(without_a_file_the_defaults_are_in_force)
{
    const struct mesh__policy_options options = {.peers = peers};

    policies = mesh__policies_new(&options, error, sizeof(error));
    mesh__policies_start(policies);
    CHECK_INT(timeout_now(), 2000);
    mesh__policies_free(policies);
    policies = NULL;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static atomic_bool stop;
static atomic_int torn;

/* What it holds stays as it is. */
static void *call(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        struct mesh__policy *policy = mesh__policies_take(policies);
        int64_t before = timeout_of(policy);

        for (int i = 0; i < 100; i++) {
            if (timeout_of(policy) != before) {
                atomic_fetch_add(&torn, 1);
            }
        }
        mesh__policy_release(policy);
    }
    return NULL;
}

TEST(calls_under_way_keep_the_policy_that_they_started_with)
{
    struct mesh__policy *first;
    pthread_t threads[4];

    make_folder();
    write_text(file, policy_text(1000));
    begin(1);
    first = mesh__policies_take(policies);
    atomic_store(&stop, false);
    for (size_t i = 0; i < 4; i++) {
        mesh__thread_start(&threads[i], "call", call, NULL);
    }
    for (int i = 1; i <= 20; i++) {
        write_text(in_folder("new"), policy_text(1000 + i));
        CHECK(rename(in_folder("new"), file) == 0);
        WAIT_FOR(timeout_now() == 1000 + i);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_INT(atomic_load(&torn), 0);
    CHECK_INT(timeout_of(first), 1000);
    mesh__policy_release(first);
    end();
}

/* ---- faults --------------------------------------------------------------------------------- */

static char warnings[4096];

static void keep_warning(void *arg, const char *line, size_t size)
{
    size_t at = strlen(warnings);

    (void)arg;
    if (strstr(line, "\"warn\"") != NULL && size < sizeof(warnings) - at) {
        memcpy(warnings + at, line, size);
    }
}

static const char *faulty_text(const char *fault)
{
    static char text[512];

    (void)snprintf(text, sizeof(text),
                   "{\"schema\": \"mesh-policy/v1\", \"mode\": \"library\", \"routes\": {\"pay\": "
                   "{\"service\": \"bank\", \"grpcService\": \"bank.v1.BankService\", "
                   "\"methods\": [\"Pay\"]%s}}}",
                   fault);
    return text;
}

/* At the start, or by a change. */
TEST(who_puts_a_fault_in_force_is_told_of_it)
{
    uint64_t accepted = reloads("ok");

    mesh__log_capture(keep_warning, NULL);
    make_folder();
    write_text(file, faulty_text(", \"fault\": {\"abort\": {\"grpcStatus\": \"ABORTED\"}, "
                                 "\"header\": {\"exact\": \"slow-bank\"}}"));
    begin(0);
    CHECK(strstr(warnings, "\"the policy makes faults\",\"destination\":\"bank\",\"method\":"
                           "\"/bank.v1.BankService/Pay\",\"delay_ms\":0,\"abort\":\"ABORTED\","
                           "\"header\":\"slow-bank\"}\n") != NULL);
    memset(warnings, 0, sizeof(warnings));
    write_text(file, faulty_text(""));
    WAIT_FOR(reloads("ok") == accepted + 1);
    CHECK_TEXT(warnings, "");
    write_text(file, faulty_text(", \"fault\": {\"delay\": {\"fixedDelay\": \"7ms\"}}"));
    WAIT_FOR(reloads("ok") == accepted + 2);
    CHECK(strstr(warnings, "\"delay_ms\":7,\"abort\":\"none\",\"header\":\"any\"}\n") != NULL);
    end();
    mesh__log_capture(NULL, NULL);
}

TEST_MAIN(NULL, NULL)
