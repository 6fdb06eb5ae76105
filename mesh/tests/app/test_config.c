/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"
#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENV 16

static const struct mesh_peer peers[] = {{.name = "payment"}, {.name = "stock-keeper"}, {0}};
static const struct mesh_setting settings[] = {
    {.name = "SHOP_PAY_WINDOW_S",
     .kind = MESH_SETTING_INT64,
     .default_value = "600",
     .min = 1,
     .max = 3600,
     .meaning = "time to pay, in seconds"},
    {.name = "SHOP_OPEN",
     .kind = MESH_SETTING_BOOL,
     .default_value = "true",
     .meaning = "whether customers may buy"},
    {.name = "SHOP_MOTTO", .kind = MESH_SETTING_TEXT, .default_value = "", .meaning = "a text"},
    {.name = "SHOP_OWNER", .kind = MESH_SETTING_TEXT, .meaning = "who owns it"},
    {0}};
static const struct mesh_migration migrations[] = {{.name = "0001_a", .text = ""}, {0}};
static const struct mesh_app_spec spec = {.system = "test",
                                          .name = "shop",
                                          .summary = "sells",
                                          .peers = peers,
                                          .migrations = migrations,
                                          .publishes = true,
                                          .settings = settings};
static const struct mesh_app_spec plain = {.system = "test", .name = "plain", .summary = "nothing"};

static char error[1024];

/* The least that `spec` needs, then the entries of the test; an entry without '=' takes a name
 * away. */
static struct mesh__config *read_with(const struct mesh_app_spec *of, unsigned needs,
                                      const char *const *entries)
{
    static const char *const least[] = {"DATABASE_URL=postgresql://u@h/d",
                                        "NATS_URL=nats://127.0.0.1:4222",
                                        "MESH_PEER_PAYMENT=localhost:9085",
                                        "MESH_PEER_STOCK_KEEPER=dns:///stock:9090",
                                        "SHOP_OWNER=Ann",
                                        "PATH=/bin"};
    char *env[MAX_ENV + 1] = {0};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++) {
        size_t name = strcspn(least[i], "=");
        bool taken = false;

        for (size_t j = 0; entries[j] != NULL; j++) {
            size_t size = strcspn(entries[j], "=");

            taken = taken || (size == name && memcmp(entries[j], least[i], name) == 0);
        }
        if (!taken) {
            env[n++] = strdup(least[i]);
        }
    }
    for (size_t j = 0; entries[j] != NULL; j++) {
        if (strchr(entries[j], '=') != NULL) {
            env[n++] = strdup(entries[j]);
        }
    }
    error[0] = '\0';
    struct mesh__config *config = mesh__config_read(of, env, needs, error, sizeof(error));

    for (size_t i = 0; i < n; i++) {
        free(env[i]);
    }
    return config;
}

#define READ(...) read_with(&spec, NEED_ALL, (const char *const[]){__VA_ARGS__, NULL})

TEST(the_least_environment_gives_the_defaults)
{
    struct mesh__config *config = READ("HOME=/root");
    int64_t number = 0;

    CHECK(config != NULL);
    CHECK_TEXT(mesh__config_text(config, VAR_GRPC_LISTEN), "0.0.0.0:9090");
    CHECK_TEXT(mesh__config_text(config, VAR_HTTP_LISTEN), "0.0.0.0:9091");
    CHECK_TEXT(mesh__config_text(config, VAR_DATABASE_URL), "postgresql://u@h/d");
    CHECK_TEXT(mesh__config_text(config, VAR_DATABASE_SESSION_URL), "postgresql://u@h/d");
    CHECK_TEXT(mesh__config_text(config, VAR_DATABASE_PREPARE), "named");
    CHECK_TEXT(mesh__config_text(config, VAR_LOG_LEVEL), "info");
    CHECK_INT(mesh__config_int64(config, VAR_DATABASE_POOL_SIZE), 8);
    CHECK(!mesh__config_bool(config, VAR_DATABASE_TRACE));
    CHECK_INT(mesh__config_int64(config, VAR_WORKERS), 64);
    CHECK_INT(mesh__config_int64(config, VAR_QUEUE_SIZE), 1024);
    CHECK_INT(mesh__config_int64(config, VAR_QUEUE_BYTES), 67108864);
    CHECK_INT(mesh__config_int64(config, VAR_STREAM_LIMIT), 64);
    CHECK_INT(mesh__config_int64(config, VAR_DEFAULT_DEADLINE_MS), 5000);
    CHECK_INT(mesh__config_int64(config, VAR_MAX_DEADLINE_MS), 10000);
    CHECK_INT(mesh__config_int64(config, VAR_LAME_DUCK_MS), 1000);
    CHECK_INT(mesh__config_int64(config, VAR_GRACE_MS), 10000);
    CHECK_INT(mesh__config_int64(config, VAR_MAX_MESSAGE_BYTES), 4194304);
    CHECK_INT(mesh__config_int64(config, VAR_MAX_CONNECTION_AGE_MS), 0);
    CHECK_INT(mesh__config_int64(config, VAR_CALL_MEMORY_BYTES), 16777216);
    CHECK_INT(mesh__config_int64(config, VAR_STREAM_MAX_AGE_S), 72 * 3600);
    CHECK_INT(mesh__config_int64(config, VAR_OUTBOX_KEEP_S), 48 * 3600);
    CHECK_INT(mesh__config_int64(config, VAR_INBOX_KEEP_S), 6 * 24 * 3600);
    CHECK_TEXT(mesh__config_peer(config, 0), "localhost:9085");
    CHECK_TEXT(mesh__config_peer(config, 1), "dns:///stock:9090");
    CHECK(mesh__config_setting(config, "SHOP_PAY_WINDOW_S", KIND_INT64, &number) != NULL);
    CHECK_INT(number, 600);
    CHECK(mesh__config_setting(config, "SHOP_OPEN", KIND_BOOL, &number) != NULL);
    CHECK_INT(number, 1);
    CHECK_TEXT(mesh__config_setting(config, "SHOP_MOTTO", KIND_TEXT, &number), "");
    CHECK_TEXT(mesh__config_setting(config, "SHOP_OWNER", KIND_TEXT, &number), "Ann");
    CHECK(mesh__config_setting(config, "SHOP_OWNER", KIND_BOOL, &number) == NULL);
    CHECK(mesh__config_setting(config, "MESH_WORKERS", KIND_INT64, &number) == NULL);
    mesh__config_free(config);
}

TEST(transactions_are_traced_if_asked_for)
{
    struct mesh__config *config = READ("DATABASE_TRACE=true");

    CHECK(config != NULL);
    CHECK(mesh__config_bool(config, VAR_DATABASE_TRACE));
    mesh__config_free(config);
}

TEST(good_values_are_taken)
{
    static const char *const good[] = {
        "MESH_GRPC_LISTEN=[::]:9090",
        "MESH_GRPC_LISTEN=localhost:0",
        "MESH_WORKERS=1",
        "MESH_WORKERS=1024",
        "MESH_WORKERS=0032",
        "DATABASE_URL=postgres://h",
        "DATABASE_URL=host=/run/pg dbname=x",
        "DATABASE_SESSION_URL=postgresql://other",
        "DATABASE_URL=postgresql://u:p%40%2F@h1:1,h2/d?sslmode=verify-full&connect_timeout=3",
        "DATABASE_URL=postgresql://%2Frun%2Fpg/d",
        "DATABASE_URL=postgresql://u:p?q@[::1]:1/d?user=a@b",
        "DATABASE_URL=host=a,b port=5432 hostaddr=10.0.0.1,10.0.0.2",
        "NATS_URL=nats://a:4222,nats://b",
        "NATS_URL=tls://u:p:/@q@a:4222,tls://token@[::1]:1/",
        "MESH_PEER_PAYMENT=[::1]:9090",
        "MESH_PEER_PAYMENT=unix:/run/payment.sock",
        "MESH_PEER_PAYMENT=ipv4:10.0.0.1:90,10.0.0.2:90",
        "MESH_PEER_PAYMENT=10.0.0.1:90,[::1]:90,10.0.0.2:91",
        "MESH_PEER_PAYMENT=file:/run/payment.addresses",
        "MESH_LOG_FORMAT=plain",
        "MESH_STREAM_MAX_BYTES=9223372036854775807",
        "SHOP_MOTTO=",
        "SHOP_OPEN=false",
        "SHOPPING=no setting, another program's",
        "MESHWORK=no variable of ours",
        "NATS_TOKEN=no variable of ours",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct mesh__config *config = READ(good[i]);

        CHECK_TEXT(error, "");
        CHECK(config != NULL);
        mesh__config_free(config);
    }
}

#define PG "a Postgres connection string such as postgresql://user@host:5432/name."
#define NATS "nats://host:port, or several of them with commas between."
#define TARGET "host:port, ip:port,ip:port, file:PATH or another gRPC target."

static const struct {
    const char *entry; /* without '=': the variable is taken away */
    const char *sentence;
} cases[] = {
    {"MESH_WORKERS=abc", "MESH_WORKERS is \"abc\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=", "MESH_WORKERS is empty, expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=0", "MESH_WORKERS is \"0\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=1025", "MESH_WORKERS is \"1025\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=+5", "MESH_WORKERS is \"+5\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=-", "MESH_WORKERS is \"-\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS= 5", "MESH_WORKERS is \" 5\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=5 ", "MESH_WORKERS is \"5 \", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=0x10", "MESH_WORKERS is \"0x10\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=1e2", "MESH_WORKERS is \"1e2\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=8.0", "MESH_WORKERS is \"8.0\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=18446744073709551617",
     "MESH_WORKERS is \"18446744073709551617\", expected a whole number from 1 to 1024."},
    {"MESH_WORKERS=a\nb", "MESH_WORKERS is \"a?b\", expected a whole number from 1 to 1024."},
    {"MESH_LAME_DUCK_MS=-1",
     "MESH_LAME_DUCK_MS is \"-1\", expected a whole number from 0 to 600000."},
    {"MESH_STREAM_MAX_BYTES=9223372036854775808",
     "MESH_STREAM_MAX_BYTES is \"9223372036854775808\", expected a whole number from 1048576 "
     "to 9223372036854775807."},
    {"MESH_STREAM_MAX_AGE_S=119",
     "MESH_STREAM_MAX_AGE_S is \"119\", expected a whole number from 120 to 31536000."},
    {"MESH_DEFAULT_DEADLINE_MS=20000", "MESH_DEFAULT_DEADLINE_MS is \"20000\", expected at "
                                       "most MESH_MAX_DEADLINE_MS, which is 10000."},
    {"MESH_GRPC_LISTEN=9090", "MESH_GRPC_LISTEN is \"9090\", expected host:port."},
    {"MESH_GRPC_LISTEN=:9090", "MESH_GRPC_LISTEN is \":9090\", expected host:port."},
    {"MESH_GRPC_LISTEN=h:65536", "MESH_GRPC_LISTEN is \"h:65536\", expected host:port."},
    {"MESH_GRPC_LISTEN=h:-1", "MESH_GRPC_LISTEN is \"h:-1\", expected host:port."},
    {"MESH_GRPC_LISTEN=h:", "MESH_GRPC_LISTEN is \"h:\", expected host:port."},
    {"MESH_GRPC_LISTEN=::1:9090", "MESH_GRPC_LISTEN is \"::1:9090\", expected host:port."},
    {"MESH_GRPC_LISTEN=[]:9090", "MESH_GRPC_LISTEN is \"[]:9090\", expected host:port."},
    {"MESH_HTTP_LISTEN=a b:9", "MESH_HTTP_LISTEN is \"a b:9\", expected host:port."},
    {"DATABASE_URL", "DATABASE_URL is not set, expected " PG},
    {"DATABASE_URL=", "DATABASE_URL is empty, expected " PG},
    {"DATABASE_URL=secret-secret",
     "DATABASE_URL has a syntax error or an unknown option that is not shown here, expected " PG},
    {"DATABASE_URL=mysql://u:p@h/d?a=b",
     "DATABASE_URL has a syntax error or an unknown option that is not shown here, expected " PG},
    {"DATABASE_SESSION_URL=x",
     "DATABASE_SESSION_URL has a syntax error or an unknown option that is not shown here, "
     "expected " PG},
    {"DATABASE_URL=postgres://h/d?secret=secret",
     "DATABASE_URL has a syntax error or an unknown option that is not shown here, expected " PG},
    {"DATABASE_URL=host='secret",
     "DATABASE_URL has a syntax error or an unknown option that is not shown here, expected " PG},
    {"DATABASE_URL=host=h password=secret secret",
     "DATABASE_URL has a syntax error or an unknown option that is not shown here, expected " PG},
    {"DATABASE_URL=postgres://h:secret/d",
     "DATABASE_URL has a port that is not shown here, expected a whole number from 1 to 65535."},
    {"DATABASE_SESSION_URL=postgres://a,b:65536/d",
     "DATABASE_SESSION_URL has a port that is not shown here, expected a whole number from 1 to "
     "65535."},
    {"DATABASE_URL=host=a,b port=1,2,3", "DATABASE_URL has a number of ports that is not shown "
                                         "here, expected one port, or one for each host."},
    {"DATABASE_URL=host=a hostaddr=b,c", "DATABASE_URL has a number of addresses that is not shown "
                                         "here, expected one hostaddr for each host."},
    {"DATABASE_URL=postgres://h/d?sslmode=secret",
     "DATABASE_URL has an sslmode that is not shown here, expected "
     "disable|allow|prefer|require|verify-ca|verify-full."},
    {"DATABASE_URL=host=h connect_timeout=secret",
     "DATABASE_URL has a connect_timeout that is not shown here, expected a whole number."},
    {"DATABASE_URL=postgres://u:se@cret@h/d",
     "DATABASE_URL has an @ or / inside of its user name or password that is not shown here, "
     "expected %40 or %2F in its place."},
    {"DATABASE_URL=postgres://u:12/cret@h/d",
     "DATABASE_URL has an @ or / inside of its user name or password that is not shown here, "
     "expected %40 or %2F in its place."},
    {"DATABASE_PREPARE=maybe", "DATABASE_PREPARE is \"maybe\", expected named or unnamed."},
    {"DATABASE_PREPARE=name", "DATABASE_PREPARE is \"name\", expected named or unnamed."},
    {"DATABASE_TRACE=yes", "DATABASE_TRACE is \"yes\", expected true or false."},
    {"DATABASE_POOL_SIZE=0",
     "DATABASE_POOL_SIZE is \"0\", expected a whole number from 1 to 1000."},
    {"NATS_URL", "NATS_URL is not set, expected " NATS},
    {"NATS_URL=127.0.0.1:4222",
     "NATS_URL has a scheme that is not shown here, expected nats:// or tls://."},
    {"NATS_URL=http://a:4222",
     "NATS_URL has a scheme that is not shown here, expected nats:// or tls://."},
    {"NATS_URL=nats://a,",
     "NATS_URL has a scheme that is not shown here, expected nats:// or tls://."},
    {"NATS_URL=nats://", "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://a b", "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://u:secret@",
     "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://u:secret@h:65536",
     "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://u:secret",
     "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://a:4222/path",
     "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://::1:4222",
     "NATS_URL has a host or port that is not shown here, expected " NATS},
    {"NATS_URL=nats://a:4222,tls://b:4222",
     "NATS_URL has both nats:// and tls:// in a list that is not shown here, expected only one of "
     "them."},
    {"MESH_PEER_PAYMENT", "MESH_PEER_PAYMENT is not set, expected " TARGET},
    {"MESH_PEER_STOCK_KEEPER", "MESH_PEER_STOCK_KEEPER is not set, expected " TARGET},
    {"MESH_PEER_PAYMENT=payment", "MESH_PEER_PAYMENT is \"payment\", expected " TARGET},
    {"MESH_PEER_PAYMENT=payment:0", "MESH_PEER_PAYMENT is \"payment:0\", expected " TARGET},
    {"MESH_PEER_PAYMENT=a b:1", "MESH_PEER_PAYMENT is \"a b:1\", expected " TARGET},
    {"MESH_PEER_PAYMENT=dns:///", "MESH_PEER_PAYMENT is \"dns:///\", expected " TARGET},
    {"MESH_PEER_PAYMENT=xds:///", "MESH_PEER_PAYMENT is \"xds:///\", expected " TARGET},
    {"MESH_PEER_PAYMENT=xds:payment", "MESH_PEER_PAYMENT is \"xds:payment\", expected " TARGET},
    {"MESH_PEER_PAYMENT=file:", "MESH_PEER_PAYMENT is \"file:\", expected " TARGET},
    {"MESH_PEER_PAYMENT=a:1,b:2", "MESH_PEER_PAYMENT is \"a:1,b:2\", expected " TARGET},
    {"MESH_PEER_PAYMENT=10.0.0.1:90,", "MESH_PEER_PAYMENT is \"10.0.0.1:90,\", expected " TARGET},
    {"MESH_PEER_PAYMENT=http://a:1", "MESH_PEER_PAYMENT is \"http://a:1\", expected " TARGET},
    {"MESH_LOG_LEVEL=loud", "MESH_LOG_LEVEL is \"loud\", expected debug, info, warn or error."},
    {"MESH_LOG_FORMAT=JSON", "MESH_LOG_FORMAT is \"JSON\", expected json or plain."},
    {"MESH_WORKRES=5", "MESH_WORKRES is not a known variable, expected perhaps MESH_WORKERS."},
    {"MESH_SOMETHING_ELSE=5", "MESH_SOMETHING_ELSE is not a known variable, expected one of "
                              "those that --help lists."},
    {"MESH_PEER_BANK=h:1", "MESH_PEER_BANK is not a known variable, expected one of those "
                           "that --help lists."},
    {"DATABASE_PASSWORD=secret", "DATABASE_PASSWORD is not a known variable, expected one of "
                                 "those that --help lists."},
    {"SHOP_OPENS=true", "SHOP_OPENS is not a known variable, expected perhaps SHOP_OPEN."},
    {"SHOP_PAY_WINDOW_S=3601",
     "SHOP_PAY_WINDOW_S is \"3601\", expected a whole number from 1 to 3600."},
    {"SHOP_OPEN=yes", "SHOP_OPEN is \"yes\", expected true or false."},
    {"SHOP_OPEN=", "SHOP_OPEN is empty, expected true or false."},
    {"SHOP_OWNER", "SHOP_OWNER is not set, expected some text."},
    {"SHOP_OWNER=", "SHOP_OWNER is empty, expected some text."},
    {"SHOP_OWNER_FILE=/x",
     "SHOP_OWNER and SHOP_OWNER_FILE are both set, expected only one of them."},
};

TEST(a_bad_value_is_one_sentence_that_names_it)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mesh__config *config = READ(cases[i].entry);

        CHECK(config == NULL);
        CHECK_TEXT(error, cases[i].sentence);
        CHECK(strstr(error, "cret") == NULL);
    }
}

TEST(the_default_deadline_is_no_longer_than_the_longest_one)
{
    struct mesh__config *config = READ("MESH_MAX_DEADLINE_MS=3000");

    CHECK_TEXT(error, "");
    CHECK_INT(mesh__config_int64(config, VAR_DEFAULT_DEADLINE_MS), 3000);
    mesh__config_free(config);
    CHECK(READ("MESH_MAX_DEADLINE_MS=3000", "MESH_DEFAULT_DEADLINE_MS=3001") == NULL);
    CHECK_TEXT(error, "MESH_DEFAULT_DEADLINE_MS is \"3001\", expected at most "
                      "MESH_MAX_DEADLINE_MS, which is 3000.");
}

TEST(values_that_contradict_each_other_are_one_sentence_that_names_both)
{
    static const struct {
        const char *first, *second, *sentence;
    } pairs[] = {
        {"MESH_MAX_MESSAGE_BYTES=2000000", "MESH_CALL_MEMORY_BYTES=1999999",
         "MESH_MAX_MESSAGE_BYTES is \"2000000\", expected at most MESH_CALL_MEMORY_BYTES, which is "
         "1999999."},
        {"MESH_CALL_MEMORY_BYTES=1999999", NULL,
         "MESH_CALL_MEMORY_BYTES is \"1999999\", expected at least MESH_MAX_MESSAGE_BYTES, which "
         "is "
         "4194304."},
        {"MESH_QUEUE_BYTES=65536", "MESH_CONNECTION_MEMORY_BYTES=2000000",
         "MESH_CONNECTION_MEMORY_BYTES is \"2000000\", expected at least MESH_MAX_MESSAGE_BYTES, "
         "which is 4194304."},
        {"MESH_QUEUE_BYTES=5000000", "MESH_CONNECTION_MEMORY_BYTES=5000000",
         "MESH_QUEUE_BYTES is \"5000000\", expected less than MESH_CONNECTION_MEMORY_BYTES, which "
         "is 5000000."},
        {"MESH_CONNECTION_MEMORY_BYTES=67108864", NULL,
         "MESH_CONNECTION_MEMORY_BYTES is \"67108864\", expected more than MESH_QUEUE_BYTES, which "
         "is 67108864."},
        {"MESH_GRPC_LISTEN=0.0.0.0:9091", NULL,
         "MESH_GRPC_LISTEN and MESH_HTTP_LISTEN are both \"0.0.0.0:9091\", expected a port of its "
         "own for each."},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        CHECK(READ(pairs[i].first, pairs[i].second) == NULL);
        CHECK_TEXT(error, pairs[i].sentence);
    }
}

TEST(values_that_just_fit_are_taken)
{
    struct mesh__config *config =
        READ("MESH_QUEUE_BYTES=4194304", "MESH_CONNECTION_MEMORY_BYTES=4194305",
             "MESH_CALL_MEMORY_BYTES=4194304", "MESH_GRPC_LISTEN=127.0.0.1:0",
             "MESH_HTTP_LISTEN=127.0.0.1:0");

    CHECK_TEXT(error, "");
    mesh__config_free(config);
}

TEST(an_inbox_that_would_forget_events_that_can_come_again_is_refused)
{
    struct mesh__config *config = READ("MESH_INBOX_KEEP_S=432000");

    CHECK_TEXT(error, "");
    mesh__config_free(config);
    CHECK(READ("MESH_INBOX_KEEP_S=431999") == NULL);
    CHECK_TEXT(error, "MESH_INBOX_KEEP_S is \"431999\", expected at least MESH_STREAM_MAX_AGE_S + "
                      "MESH_OUTBOX_KEEP_S, which are 259200 and 172800.");
    CHECK(READ("MESH_STREAM_MAX_AGE_S=345601") == NULL);
    CHECK(READ("MESH_OUTBOX_KEEP_S=259201") == NULL);
}

TEST(a_long_bad_value_is_cut)
{
    char entry[400] = "MESH_WORKERS=";

    memset(entry + 13, 'x', 300);
    CHECK(READ(entry) == NULL);
    CHECK(strlen(error) < 200);
    CHECK(strstr(error, "xxx...\", expected") != NULL);
}

TEST(migrate_needs_only_the_database)
{
    const char *const gone[] = {"NATS_URL", "MESH_PEER_PAYMENT", "MESH_PEER_STOCK_KEEPER",
                                "SHOP_OWNER", NULL};
    const char *const bad[] = {"NATS_URL=x", NULL};
    struct mesh__config *config = read_with(&spec, NEED_DATABASE, gone);

    CHECK(config != NULL);
    CHECK(mesh__config_text(config, VAR_NATS_URL) == NULL);
    mesh__config_free(config);
    CHECK(read_with(&spec, NEED_DATABASE, bad) == NULL);
}

#define XDS "MESH_PEER_PAYMENT=xds:///payment.shop.svc.cluster.local:9090"
#define POLICY "MESH_POLICY_FILE=/run/policy.json"

TEST(peers_that_are_found_by_xds_need_a_bootstrap_file_and_a_policy)
{
    struct mesh__config *config = READ(XDS, POLICY, "GRPC_XDS_BOOTSTRAP=/dev/null/none");

    CHECK(config == NULL);
    CHECK_TEXT(error, "GRPC_XDS_BOOTSTRAP is \"/dev/null/none\", expected a file that can be read "
                      "(Not a directory).");
    CHECK(READ(XDS, POLICY) == NULL);
    CHECK_TEXT(error,
               "MESH_PEER_PAYMENT is found by xDS, but GRPC_XDS_BOOTSTRAP is not set, expected "
               "the file that says where the xDS server is.");
    CHECK(READ(XDS, "GRPC_XDS_BOOTSTRAP=/proc/self/cmdline") == NULL);
    CHECK_TEXT(error,
               "MESH_PEER_PAYMENT is found by xDS, but MESH_POLICY_FILE is not set, expected "
               "a policy with mode proxyless.");
    config = READ(XDS, POLICY, "GRPC_XDS_BOOTSTRAP=/proc/self/cmdline");
    CHECK_TEXT(error, "");
    CHECK_TEXT(mesh__config_xds_peer(config), "MESH_PEER_PAYMENT");
    mesh__config_free(config);
}

TEST(who_has_no_peer_that_is_found_by_xds_needs_none_of_it)
{
    const char *const entries[] = {XDS, NULL};
    struct mesh__config *config = READ("GRPC_XDS_BOOTSTRAP=/nowhere");

    CHECK_TEXT(error, "");
    CHECK(mesh__config_xds_peer(config) == NULL);
    mesh__config_free(config);
    config = read_with(&spec, NEED_DATABASE, entries); /* nor does who calls none */
    CHECK_TEXT(error, "");
    mesh__config_free(config);
}

TEST(a_service_without_database_events_and_peers_needs_nothing)
{
    char *env[] = {NULL};
    struct mesh__config *config = mesh__config_read(&plain, env, NEED_ALL, error, sizeof(error));

    CHECK(config != NULL);
    CHECK(mesh__config_text(config, VAR_DATABASE_URL) == NULL);
    mesh__config_free(config);
}

/* ---- values from files ---------------------------------------------------------------------- */

/* Writes a file and returns "NAME_FILE=path"; freed by the caller, who also removes the file. */
static char *in_file(const char *name, const void *bytes, size_t size)
{
    char path[] = "/tmp/test-config.XXXXXX";
    int fd = mkstemp(path);
    size_t entry_size = strlen(name) + sizeof(path) + 8;
    char *entry = malloc(entry_size);

    assert_non_null(entry);
    CHECK(fd >= 0);
    CHECK(write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    (void)snprintf(entry, entry_size, "%s_FILE=%s", name, path);
    return entry;
}

static void done(char *entry)
{
    unlink(strchr(entry, '=') + 1);
    free(entry);
}

TEST(a_value_may_come_from_a_file_without_its_newline)
{
    char *entry = in_file("DATABASE_URL", "postgresql://from/file\n", 23);
    struct mesh__config *config = READ("DATABASE_URL", entry);

    CHECK_TEXT(error, "");
    CHECK_TEXT(mesh__config_text(config, VAR_DATABASE_URL), "postgresql://from/file");
    mesh__config_free(config);
    done(entry);
}

TEST(only_one_newline_is_stripped)
{
    char *entry = in_file("SHOP_MOTTO", "a\n\r\n", 4);
    struct mesh__config *config = READ(entry);
    int64_t number;

    CHECK_TEXT(mesh__config_setting(config, "SHOP_MOTTO", KIND_TEXT, &number), "a\n");
    mesh__config_free(config);
    done(entry);
}

TEST(a_bad_value_in_a_file_is_told_with_the_file_variable)
{
    char *workers = in_file("MESH_WORKERS", "many\n", 5);
    char *database = in_file("DATABASE_URL", "\n", 1);

    CHECK(READ(workers) == NULL);
    CHECK_TEXT(error,
               "the content of MESH_WORKERS_FILE is \"many\", expected a whole number from 1 "
               "to 1024.");
    CHECK(READ("DATABASE_URL", database) == NULL);
    CHECK_TEXT(error, "the content of DATABASE_URL_FILE is empty, expected " PG);
    done(workers);
    done(database);
}

TEST(a_file_that_cannot_be_a_value_is_refused)
{
    static char large[70000];
    char *nul = in_file("MESH_WORKERS", "5\0", 2);
    char *big;

    CHECK(READ("MESH_WORKERS_FILE=/does/not/exist") == NULL);
    CHECK_TEXT(error,
               "MESH_WORKERS_FILE is \"/does/not/exist\", expected a file with the value (No "
               "such file or directory).");
    CHECK(READ("MESH_WORKERS_FILE=/tmp") == NULL);
    CHECK_TEXT(error, "MESH_WORKERS_FILE is \"/tmp\", expected a file with the value (Is a "
                      "directory).");
    CHECK(READ("MESH_WORKERS_FILE=") == NULL);
    CHECK(READ(nul) == NULL);
    CHECK(strstr(error, "(it contains a NUL byte).") != NULL);
    memset(large, '1', sizeof(large));
    big = in_file("MESH_WORKERS", large, sizeof(large));
    CHECK(READ(big) == NULL);
    CHECK(strstr(error, "(it is larger than 64 KiB).") != NULL);
    done(nul);
    done(big);
}

TEST(a_pipe_and_a_device_are_refused_without_waiting_for_them)
{
    char path[] = "/tmp/test-config.XXXXXX";
    char entry[64];
    char expected[160];

    CHECK(mkdtemp(path) != NULL);
    (void)snprintf(entry, sizeof(entry), "DATABASE_URL_FILE=%s/pipe", path);
    CHECK_INT(mkfifo(strchr(entry, '=') + 1, 0600), 0);
    (void)alarm(10); /* ends the test if it waits */
    CHECK(READ("DATABASE_URL", entry) == NULL);
    (void)alarm(0);
    (void)snprintf(expected, sizeof(expected),
                   "DATABASE_URL_FILE is \"%s/pipe\", expected a file with the value (not a "
                   "regular file).",
                   path);
    CHECK_TEXT(error, expected);
    CHECK(READ("NATS_URL", "NATS_URL_FILE=/dev/zero") == NULL);
    CHECK_TEXT(error, "NATS_URL_FILE is \"/dev/zero\", expected a file with the value (not a "
                      "regular file).");
    unlink(strchr(entry, '=') + 1);
    CHECK_INT(rmdir(path), 0);
}

TEST(every_variable_with_a_secret_may_come_from_a_file)
{
    static const struct {
        const char *name, *value, *beside;
    } secrets[] = {{"DATABASE_URL", "postgresql://u:p@h/d", NULL},
                   {"DATABASE_SESSION_URL", "postgresql://u:p@h/s", NULL},
                   {"NATS_URL", "nats://u:p@h:1", NULL},
                   {"NATS_CA", "-----BEGIN CERTIFICATE-----\nAA==\n", "NATS_URL=tls://h:1"}};
    size_t n = 0;

    for (size_t i = 0; i < N_VARS; i++) {
        n += mesh__variables[i].secret ? 1 : 0;
    }
    CHECK_INT(n, sizeof(secrets) / sizeof(secrets[0]));
    for (size_t i = 0; i < n; i++) {
        char *entry = in_file(secrets[i].name, secrets[i].value, strlen(secrets[i].value));
        char both[64];
        char expected[128];
        struct mesh__config *config = READ(secrets[i].name, entry, secrets[i].beside);

        CHECK_TEXT(error, "");
        mesh__config_free(config);
        (void)snprintf(both, sizeof(both), "%s=%s", secrets[i].name, secrets[i].value);
        CHECK(READ(both, entry) == NULL);
        (void)snprintf(expected, sizeof(expected),
                       "%s and %s_FILE are both set, expected only one of them.", secrets[i].name,
                       secrets[i].name);
        CHECK_TEXT(error, expected);
        done(entry);
    }
}

/* ---- help ----------------------------------------------------------------------------------- */

static char *help_of(const struct mesh_app_spec *of)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    mesh__config_help(of, out);
    (void)fclose(out);
    return text;
}

TEST(help_lists_every_variable)
{
    char *text = help_of(&spec);

    for (size_t i = 0; i < N_VARS; i++) {
        CHECK(strstr(text, mesh__variables[i].name) != NULL);
        CHECK(strstr(text, mesh__variables[i].meaning) != NULL);
    }
    CHECK(strstr(text, "MESH_PEER_STOCK_KEEPER") != NULL);
    CHECK(strstr(text, "SHOP_PAY_WINDOW_S") != NULL);
    CHECK(strstr(text, "time to pay, in seconds") != NULL);
    free(text);
}

TEST(help_leaves_out_what_the_service_does_not_use)
{
    char *text = help_of(&plain);

    CHECK(strstr(text, "DATABASE_URL") == NULL);
    CHECK(strstr(text, "NATS_URL") == NULL);
    CHECK(strstr(text, "MESH_WORKERS") != NULL);
    free(text);
}

TEST_MAIN(NULL, NULL)
