/* core/metrics: the text format and the process lines. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/metrics.h"

static const struct sq_metric_def defs[] = {
    {"sq_in_total", "qos=\"0\"", SQ_COUNTER, "Messages in."},
    {"sq_in_total", "qos=\"1\"", SQ_COUNTER, "Messages in."},
    {"sq_clients", NULL, SQ_GAUGE, "Clients, a \\ and\na line."},
};

static _Atomic int64_t values[3];
static const struct sq_metrics metrics = {defs, values, 3};

static char *
text(void)
{
	struct sq_buf b = {0};

	sq_metrics_write(&metrics, &b);
	sq_buf_u8(&b, 0);
	return (char *)b.base;
}

static double
value(const char *all, const char *name)
{
	char line[100];
	const char *at;

	snprintf(line, sizeof line, "\n%s ", name);
	at = strstr(all, line);
	cr_assert_not_null(at, "%s", name);
	return strtod(at + strlen(line), NULL);
}

Test(metrics, rows_of_one_name_share_a_head)
{
	char *t;

	sq_metric_add(&metrics, 0, 2);
	sq_metric_add(&metrics, 0, 3);
	sq_metric_set(&metrics, 2, -1);
	t = text();
	cr_assert_eq(
	    strncmp(t,
		"# HELP sq_in_total Messages in.\n# TYPE sq_in_total counter\n"
		"sq_in_total{qos=\"0\"} 5\nsq_in_total{qos=\"1\"} 0\n"
		"# HELP sq_clients Clients, a \\\\ and\\na line.\n# TYPE sq_clients gauge\n"
		"sq_clients -1\n# HELP process_",
		200),
	    0);
	free(t);
}

Test(metrics, process_lines_tell_the_truth)
{
	char *t = text();
	double fds = value(t, "process_open_fds");
	int fd;

	cr_assert_geq(value(t, "process_resident_memory_bytes"), 100000);
	cr_assert_geq(value(t, "process_cpu_seconds_total"), 0);
	cr_assert_float_eq(value(t, "process_start_time_seconds"), (double)time(NULL), 60);
	free(t);
	fd = dup(0);
	t = text();
	cr_assert_eq(value(t, "process_open_fds"), fds + 1);
	free(t);
	close(fd);
}
