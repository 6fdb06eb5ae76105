/* SPDX-License-Identifier: Apache-2.0 */
#include "app/process_metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Fields of /proc/self/stat (proc_pid_stat(5)), counted after the name, which may hold anything. */
enum { STAT_THREADS = 17, STAT_START = 19, STAT_RSS = 21 };

static bool read_stat(char *buffer, size_t size, const char **ret_fields)
{
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n;
    const char *end;

    if (fd < 0) {
        return false;
    }
    n = read(fd, buffer, size - 1);
    close(fd);
    if (n <= 0) {
        return false;
    }
    buffer[n] = '\0';
    end = strrchr(buffer, ')');
    if (end == NULL) {
        return false;
    }
    *ret_fields = end + 1;
    return true;
}

/* The number in the field of that index; -1 if there is none. */
static long long stat_field(const char *fields, int index)
{
    char *end;
    long long number;

    for (int i = 0; i < index; i++) {
        fields += strspn(fields, " ");
        fields += strcspn(fields, " ");
    }
    errno = 0;
    number = strtoll(fields, &end, 10);
    return end == fields || errno != 0 ? -1 : number;
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    return clock_gettime(clock, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec / 1e9 : 0;
}

/* Seconds since this process was made; negative if that cannot be told. */
static double age_seconds(void)
{
    char buffer[1024];
    const char *fields;
    long long ticks;

    if (!read_stat(buffer, sizeof(buffer), &fields)) {
        return -1;
    }
    ticks = stat_field(fields, STAT_START);
    return ticks < 0 ? -1
                     : seconds_of(CLOCK_BOOTTIME) - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void write_value(FILE *out, const char *name, const char *type, const char *help,
                        double value)
{
    if (value >= 0) {
        (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                      value);
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return -1;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = -3; /* ".", ".." and the one that reads the folder */

    if (dir == NULL) {
        return -1;
    }
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

static double max_fds(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : -1;
}

static double started_at; /* seconds since the epoch; negative if that cannot be told */

/* Not at every scrape: a clock that is set would seem to be a restart. */
static void note_start(void)
{
    double age = age_seconds();

    started_at = age < 0 ? -1 : seconds_of(CLOCK_REALTIME) - age;
}

static double start_seconds(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, note_start);
    return started_at;
}

int64_t mesh__process_age_ms(void)
{
    (void)start_seconds(); /* noted as soon as possible */
    return (int64_t)(age_seconds() * 1000);
}

void mesh__process_metrics_write(FILE *out)
{
    char buffer[1024];
    const char *fields;

    write_value(out, "process_cpu_seconds_total", "counter",
                "Total user and system CPU time spent in seconds.", cpu_seconds());
    write_value(out, "process_open_fds", "gauge", "Number of open file descriptors.", open_fds());
    write_value(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                max_fds());
    write_value(out, "process_start_time_seconds", "gauge",
                "Start time of the process since unix epoch in seconds.", start_seconds());
    if (read_stat(buffer, sizeof(buffer), &fields)) {
        write_value(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
                    (double)stat_field(fields, STAT_RSS) * (double)sysconf(_SC_PAGESIZE));
        write_value(out, "process_threads", "gauge", "Number of OS threads in the process.",
                    (double)stat_field(fields, STAT_THREADS));
    }
}
