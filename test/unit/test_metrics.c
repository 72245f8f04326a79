/* core/metrics, histograms and OpenMetrics: the formats and the process lines. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/metrics.h"
#include "core/openmetrics.h"

static const struct sq_metric_def defs[] = {
    {"sq_in_total", "qos=\"0\"", SQ_COUNTER, "Messages in."},
    {"sq_in_total", "qos=\"1\"", SQ_COUNTER, "Messages in."},
    {"sq_clients", NULL, SQ_GAUGE, "Clients, a \\ and\na line."},
};

static _Atomic int64_t values[3];
static const struct sq_metrics metrics = {.defs = defs, .values = values, .n = 3};

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

/* Histograms. */

static struct sq_histogram times = {
    .name = "sq_wait_seconds", .help = "Waiting.", .per_second = 1000, .shift = 0};

Test(histogram, a_bound_belongs_to_its_bucket)
{
	cr_expect_eq(sq_histogram_bucket(0, 0), 0);
	cr_expect_eq(sq_histogram_bucket(1, 0), 0);
	for (unsigned shift = 0; shift < 7; shift += 6) {
		for (unsigned b = 0; b < SQ_HISTOGRAM_BOUNDS; b++) {
			uint64_t bound = UINT64_C(1) << (b + shift);

			cr_expect_eq(sq_histogram_bucket(bound, shift), b, "%u %u", shift, b);
			cr_expect_eq(sq_histogram_bucket(bound + 1, shift), b + 1);
		}
	}
	cr_expect_eq(sq_histogram_bucket(UINT64_MAX, 6), SQ_HISTOGRAM_BOUNDS);
}

static void *
observe_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		sq_histogram_observe(&times, 3);
	return NULL;
}

Test(histogram, lanes_add_up)
{
	const struct sq_metrics with = {
	    .defs = defs, .values = values, .n = 3, .histograms = &times, .n_histograms = 1};
	struct sq_buf b = {0};
	pthread_t threads[SQ_HISTOGRAM_LANES + 4]; /* some share a lane */
	char *t;

	for (size_t i = 0; i < SQ_ARRAY_LEN(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, observe_many, NULL), 0);
	for (size_t i = 0; i < SQ_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	sq_metric_observe(&with, 0, 0);
	sq_metric_observe(&with, 0, 1 << 30); /* above the last bound */
	sq_metric_observe(&with, 1, 7);       /* there is none */
	sq_metrics_write(&with, &b);
	sq_buf_u8(&b, 0);
	t = (char *)b.base;
	cr_assert_not_null(strstr(t,
	    "# HELP sq_wait_seconds Waiting.\n"
	    "# TYPE sq_wait_seconds histogram\n"
	    "sq_wait_seconds_bucket{le=\"0.001\"} 1\n"
	    "sq_wait_seconds_bucket{le=\"0.002\"} 1\n"
	    "sq_wait_seconds_bucket{le=\"0.004\"} 20001\n"
	    "sq_wait_seconds_bucket{le=\"0.008\"} 20001\n"));
	cr_assert_not_null(strstr(t,
	    "_bucket{le=\"8388.608\"} 20001\n"
	    "sq_wait_seconds_bucket{le=\"+Inf\"} 20002\n"
	    "sq_wait_seconds_sum 1073801.824\n"
	    "sq_wait_seconds_count 20002\n"));
	free(t);
}

Test(metrics, a_program_says_what_it_is)
{
	const struct sq_metrics with = {
	    .defs = defs, .values = values, .n = 3, .program = "broker"};
	struct sq_buf b = {0};

	sq_metrics_write(&with, &b);
	sq_buf_u8(&b, 0);
	cr_assert_not_null(strstr((char *)b.base,
	    "# TYPE sqmqos_build_info gauge\n"
	    "sqmqos_build_info{program=\"broker\",version=\"" SQ_VERSION "\",arch=\""));
	sq_buf_fini(&b);
}

/* OpenMetrics. */

static bool
wanted(const char *accept)
{
	return sq_openmetrics_wanted(sq_bytes_of(accept));
}

Test(openmetrics, is_for_those_who_prefer_it)
{
	static const char *const yes[] = {
	    "application/openmetrics-text",
	    "Application/OpenMetrics-Text ; Version = 1.0.0",
	    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4",
	    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
	    "application/openmetrics-text;version=0.0.1;q=0.5,"
	    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
	    "*/*;q=0.2",
	    "text/plain;q=0.999,application/openmetrics-text;q=1.000",
	    "text/html;q=0.9;version=3, application/openmetrics-text;q=0.001",
	};
	static const char *const no[] = {
	    NULL,
	    "",
	    ",;=,",
	    "*/*",
	    "text/plain",
	    "application/*",
	    "application/openmetrics-text;q=0",
	    "application/openmetrics-text;q=0.0",
	    "application/openmetrics-text;q=x",
	    "application/openmetrics-text;q=",
	    "application/openmetrics-text;version=0.0.1",
	    "application/openmetrics-text;version=2.0.0;q=1",
	    "application/openmetrics-textual",
	    "application/openmetrics-text;q=0.4,text/plain;q=0.5",
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(yes); i++)
		cr_expect(wanted(yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < SQ_ARRAY_LEN(no); i++)
		cr_expect(!wanted(no[i]), "%s", no[i] != NULL ? no[i] : "none");
}

Test(openmetrics, heads_are_of_families_with_units)
{
	struct sq_buf b = {0};

	sq_openmetrics_write(sq_bytes_of("# HELP a_total \"In\" \\\\ and\\n.\n"
					 "# TYPE a_total counter\n"
					 "a_total{q=\"# TYPE b_total\"} 5\n"
					 "# HELP c_seconds_total T.\n"
					 "# TYPE c_seconds_total counter\n"
					 "c_seconds_total 1.5\n"
					 "# HELP e_total All.\n"
					 "# TYPE e_total gauge\n"
					 "e_total 2\n"
					 "# TYPE d_bytes gauge\n"
					 "d_bytes 1"),
	    &b);
	sq_buf_u8(&b, 0);
	cr_assert_str_eq((char *)b.base,
	    "# HELP a \\\"In\\\" \\\\ and\\n.\n"
	    "# TYPE a counter\n"
	    "a_total{q=\"# TYPE b_total\"} 5\n"
	    "# HELP c_seconds T.\n"
	    "# TYPE c_seconds counter\n"
	    "# UNIT c_seconds seconds\n"
	    "c_seconds_total 1.5\n"
	    "# HELP e_total All.\n"
	    "# TYPE e_total gauge\n"
	    "e_total 2\n"
	    "# TYPE d_bytes gauge\n"
	    "# UNIT d_bytes bytes\n"
	    "d_bytes 1\n"
	    "# EOF\n");
	sq_buf_fini(&b);
}
