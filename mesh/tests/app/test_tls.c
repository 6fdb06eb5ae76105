/* SPDX-License-Identifier: Apache-2.0 */
/* A service and a broker that wants TLS, with a certificate made for the test. */
#include "child.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static char dir[] = "/tmp/test-tls.XXXXXX";
static struct child broker;
static long tls_port;
static long plain_port; /* of the broker that all tests have */
static struct child child;

/* A certificate for "localhost" by an authority of its own that nobody knows, and of another one.
 */
static const char make_certificates[] =
    "cd %s && exec 2>log && new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
    "openssl req -x509 $new -days 2 -keyout ca.key -out ca.pem -subj /CN=ours && "
    "openssl req -x509 $new -days 2 -keyout other.key -out other.pem -subj /CN=other && "
    "openssl req $new -keyout key.pem -out request.pem -subj /CN=localhost && "
    "echo subjectAltName=DNS:localhost >names && "
    "openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
    "-extfile names -out cert.pem";

static int run_broker(int argc, char **argv)
{
    (void)argc;
    execvp(argv[0], argv);
    return 98;
}

static int run_echo(int argc, char **argv)
{
    (void)argc;
    execv(ECHO_SERVICE, argv);
    return 98;
}

static void start_broker(void)
{
    static const char ready[] = "Listening for client connections on 127.0.0.1:";
    char config[64];
    const char *const argv[] = {"nats-server", "-c", config, NULL};
    const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin", NULL};
    FILE *file;

    (void)snprintf(config, sizeof(config), "%s/nats.conf", dir);
    file = fopen(config, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "listen: \"127.0.0.1:-1\"\njetstream { store_dir: \"%s/store\" }\n"
                  "tls { cert_file: \"%s/cert.pem\", key_file: \"%s/key.pem\" }\n",
                  dir, dir, dir);
    CHECK_INT(fclose(file), 0);
    child_start(&broker, run_broker, argv, env);
    CHECK(child_wait_text(&broker, ready));
    CHECK(child_wait_text(&broker, "Server is ready"));
    tls_port = strtol(strstr(broker.text, ready) + strlen(ready), NULL, 10);
}

/* Runs `check`; what it says about the broker, one line. extra: one more variable, or NULL. */
static const char *check_broker(const char *nats_url, const char *extra)
{
    const char *const argv[] = {ECHO_SERVICE, "check", NULL};
    char database_url[512];
    const char *const env[] = {database_url, nats_url,
                               "TSAN_OPTIONS=ignore_noninstrumented_modules=1", extra, NULL};
    char *line;

    (void)snprintf(database_url, sizeof(database_url), "DATABASE_URL=%s",
                   getenv("TEST_DATABASE_URL"));
    child_start(&child, run_echo, argv, env);
    child_wait(&child);
    for (line = strtok(child.text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strstr(line, "  broker") != NULL || strstr(line, "test-echo: ") != NULL) {
            return line;
        }
    }
    return "";
}

static const char *url(const char *scheme, const char *host, long port)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "NATS_URL=%s%s:%ld", scheme, host, port);
    return text;
}

static const char *ca(const char *name)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "NATS_CA_FILE=%s/%s", dir, name);
    return text;
}

TEST(a_broker_whose_certificate_is_trusted_is_used)
{
    CHECK_TEXT(check_broker(url("tls://", "localhost", tls_port), ca("ca.pem")), "ok      broker");
}

TEST(a_certificate_that_nobody_vouches_for_is_refused)
{
    const char *said = check_broker(url("tls://", "localhost", tls_port), NULL);

    CHECK(strncmp(said, "failed  broker: broker: connecting: SSL Error: ", 47) == 0);
    said = check_broker(url("tls://", "localhost", tls_port), ca("other.pem"));
    CHECK(strncmp(said, "failed  broker: broker: connecting: SSL Error: ", 47) == 0);
}

TEST(a_certificate_of_another_host_is_refused)
{
    const char *said = check_broker(url("tls://", "127.0.0.1", tls_port), ca("ca.pem"));

    CHECK(strstr(said, "mismatch") != NULL);
    CHECK(strncmp(said, "failed  broker: broker: connecting: SSL Error: ", 47) == 0);
}

TEST(a_broker_without_tls_is_refused_where_tls_is_asked_for)
{
    CHECK_TEXT(check_broker(url("tls://", "127.0.0.1", plain_port), NULL),
               "failed  broker: broker: it has no TLS, but NATS_URL is tls://");
}

TEST(an_authority_is_no_use_without_tls_and_must_be_a_certificate)
{
    CHECK_TEXT(check_broker(url("nats://", "localhost", tls_port), ca("ca.pem")),
               "test-echo: NATS_CA is set, but NATS_URL is nats://, expected tls://.");
    CHECK_TEXT(
        check_broker(url("tls://", "localhost", tls_port), ca("ca.key")),
        "test-echo: the content of NATS_CA_FILE has a value that is not shown here, expected "
        "certificates in PEM.");
}

static int set_up(void **state)
{
    const char *nats = getenv("TEST_NATS_URL");
    const char *colon = nats != NULL ? strrchr(nats, ':') : NULL;
    char command[1024];

    (void)state;
    if (colon == NULL || mkdtemp(dir) == NULL) {
        return -1;
    }
    plain_port = strtol(colon + 1, NULL, 10);
    (void)snprintf(command, sizeof(command), make_certificates, dir);
    if (system(command) != 0) { /* NOLINT(cert-env33-c): the command is ours */
        return -1;
    }
    start_broker();
    return 0;
}

static int tear_down(void **state)
{
    char command[64];

    (void)state;
    kill(broker.pid, SIGKILL);
    child_wait(&broker);
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command); /* NOLINT(cert-env33-c): the command is ours */
}

TEST_MAIN(set_up, tear_down)
