/* /metrics: the program's table, then what the kernel knows about the process.
 * Reads /proc without stdio or opendir(), so that a scrape on a small thread
 * costs no heap but the answer itself. */
#include "core/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool
metrics_same(const char *a, const char *b)
{
	return a == b || strcmp(a, b) == 0;
}

/* Text with what would end it escaped: the backslash, the line, and 'also'. */
static void
metrics_escaped(struct sq_buf *out, const char *text, char also)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			sq_buf_append(out, "\\n", 2);
			continue;
		}
		if (*text == '\\' || *text == also)
			sq_buf_u8(out, '\\');
		sq_buf_append(out, text, 1);
	}
}

void
sq_metrics_head(struct sq_buf *out, const char *name, enum sq_metric_type type, const char *help)
{
	static const char *const types[] = {
	    [SQ_COUNTER] = "counter", [SQ_GAUGE] = "gauge", [SQ_HISTOGRAM] = "histogram"};

	sq_buf_printf(out, "# HELP %s ", name);
	metrics_escaped(out, help, '\\');
	sq_buf_printf(out, "\n# TYPE %s %s\n", name, types[type]);
}

void
sq_metrics_label(struct sq_buf *out, const char *value)
{
	metrics_escaped(out, value, '"');
}

/* Reads a small file of /proc into 'buf' and ends it with NUL. */
static bool
metrics_slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void
metrics_cpu(struct sq_buf *out)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) != 0)
		return;
	sq_metrics_head(out, "process_cpu_seconds_total", SQ_COUNTER,
	    "Total user and system CPU time spent in seconds.");
	sq_buf_printf(
	    out, "process_cpu_seconds_total %lld.%06ld\n", (long long)ts.tv_sec, ts.tv_nsec / 1000);
}

static void
metrics_resident(struct sq_buf *out)
{
	char text[128];
	char *at;
	unsigned long long pages;

	if (!metrics_slurp("/proc/self/statm", text, sizeof text))
		return;
	at = strchr(text, ' '); /* size resident ... */
	if (at == NULL)
		return;
	pages = strtoull(at, NULL, 10);
	sq_metrics_head(
	    out, "process_resident_memory_bytes", SQ_GAUGE, "Resident memory size in bytes.");
	sq_buf_printf(out, "process_resident_memory_bytes %llu\n",
	    pages * (unsigned long long)sysconf(_SC_PAGESIZE));
}

static void
metrics_descriptors(struct sq_buf *out)
{
	union {
		struct dirent64 align;
		char bytes[2048];
	} buf;
	int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned long open_fds = 0;
	ssize_t n;

	if (fd == -1)
		return;
	while ((n = getdents64(fd, &buf, sizeof buf)) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(buf.bytes + at);

			open_fds += d->d_name[0] != '.';
			at += d->d_reclen;
		}
	}
	close(fd);
	sq_metrics_head(out, "process_open_fds", SQ_GAUGE, "Number of open file descriptors.");
	sq_buf_printf(out, "process_open_fds %lu\n", open_fds - 1); /* not our own */
}

static void
metrics_start_time(struct sq_buf *out)
{
	char text[1024];
	struct timespec real, boot;
	char *at;
	double start, ticks = (double)sysconf(_SC_CLK_TCK);

	if (!metrics_slurp("/proc/self/stat", text, sizeof text))
		return;
	at = strrchr(text, ')'); /* the name may hold spaces; field 22 counts from 1 */
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL || clock_gettime(CLOCK_REALTIME, &real) != 0 ||
	    clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
		return;
	start = (double)(real.tv_sec - boot.tv_sec) + (double)(real.tv_nsec - boot.tv_nsec) / 1e9 +
	    (double)strtoull(at, NULL, 10) / ticks;
	sq_metrics_head(out, "process_start_time_seconds", SQ_GAUGE,
	    "Start time of the process since the Unix epoch in seconds.");
	sq_buf_printf(out, "process_start_time_seconds %.2f\n", start);
}

/* A number of units in seconds, all of its digits. */
static void
metrics_seconds(const struct sq_histogram *h, uint64_t units, struct sq_buf *out)
{
	int digits = h->per_second == 1000 ? 3 : 6;

	sq_buf_printf(out, "%llu.%0*llu", (unsigned long long)(units / h->per_second), digits,
	    (unsigned long long)(units % h->per_second));
}

static void
metrics_histogram(const struct sq_histogram *h, struct sq_buf *out)
{
	uint64_t n = 0, sum = 0;

	sq_metrics_head(out, h->name, SQ_HISTOGRAM, h->help);
	for (unsigned b = 0; b <= SQ_HISTOGRAM_BOUNDS; b++) {
		for (unsigned i = 0; i < SQ_HISTOGRAM_LANES; i++)
			n += atomic_load_explicit(&h->lanes[i].counts[b], memory_order_relaxed);
		sq_buf_printf(out, "%s_bucket{le=\"", h->name);
		if (b < SQ_HISTOGRAM_BOUNDS)
			metrics_seconds(h, UINT64_C(1) << (h->shift + b), out);
		else
			sq_buf_printf(out, "+Inf");
		sq_buf_printf(out, "\"} %llu\n", (unsigned long long)n);
	}
	for (unsigned i = 0; i < SQ_HISTOGRAM_LANES; i++)
		sum += atomic_load_explicit(&h->lanes[i].sum, memory_order_relaxed);
	sq_buf_printf(out, "%s_sum ", h->name);
	metrics_seconds(h, sum, out);
	sq_buf_printf(out, "\n%s_count %llu\n", h->name, (unsigned long long)n);
}

#if defined __x86_64__
#define METRICS_ARCH "amd64"
#elif defined __aarch64__
#define METRICS_ARCH "arm64"
#else
#define METRICS_ARCH "other"
#endif

static void
metrics_build(const char *program, struct sq_buf *out)
{
	sq_metrics_head(out, "sqmqos_build_info", SQ_GAUGE, "1; the labels say what runs.");
	sq_buf_printf(out,
	    "sqmqos_build_info{program=\"%s\",version=\"" SQ_VERSION "\",arch=\"" METRICS_ARCH
	    "\"} 1\n",
	    program);
}

void
sq_metrics_write(const struct sq_metrics *m, struct sq_buf *out)
{
	if (m->program != NULL)
		metrics_build(m->program, out);
	for (size_t i = 0; i < m->n; i++) {
		const struct sq_metric_def *d = &m->defs[i];
		long long v = atomic_load_explicit(&m->values[i], memory_order_relaxed);

		if (i == 0 || !metrics_same(d->name, d[-1].name))
			sq_metrics_head(out, d->name, d->type, d->help);
		if (d->labels != NULL)
			sq_buf_printf(out, "%s{%s} %lld\n", d->name, d->labels, v);
		else
			sq_buf_printf(out, "%s %lld\n", d->name, v);
	}
	for (size_t i = 0; i < m->n_histograms; i++)
		metrics_histogram(&m->histograms[i], out);
	metrics_cpu(out);
	metrics_resident(out);
	metrics_descriptors(out);
	metrics_start_time(out);
}
