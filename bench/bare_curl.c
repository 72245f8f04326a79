/* The floor of pushes: libcurl alone, on one thread, which posts the same events again and again, so
 * many at a time, over connections that stay.
 *
 *   bench_bare_curl URL AT-A-TIME SECONDS BODY-BYTES [CA-FILE]
 *
 * Prints {"rate":…,"cpu":…}: requests a second, and µs of this process's CPU each. */
#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/procstat.h"
#include "core/clock.h"

enum { AT_A_TIME_MAX = 256 };

static const char *const lines[] = {"content-type: application/json", "ce-specversion: 1.0",
    "ce-id: aaaaaaaaaaaaaaaaaaaaaaaaaa", "ce-type: org.sqmqos.message",
    "ce-source: /sqmqos/default", "ce-subject: bench/push", "ce-time: 2026-01-01T00:00:00Z",
    "sqmqos-attempt: 1", "Expect:"};

static void
bare_die(const char *why)
{
	fprintf(stderr, "bench_bare_curl: %s\n", why);
	exit(1);
}

static size_t
bare_drop(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

static CURL *
bare_request(char **argv, struct curl_slist *headers, const char *body, long len)
{
	CURL *e = curl_easy_init();

	curl_easy_setopt(e, CURLOPT_URL, argv[1]);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, len);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, bare_drop);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, 10000L);
	if (argv[5] != NULL)
		curl_easy_setopt(e, CURLOPT_CAINFO, argv[5]);
	return e;
}

/* Begins those that have ended again; how many. */
static uint64_t
bare_again(CURLM *m)
{
	uint64_t n = 0;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m, &left)) != NULL) {
		CURL *e = msg->easy_handle;

		if (msg->data.result != CURLE_OK)
			bare_die(curl_easy_strerror(msg->data.result));
		curl_multi_remove_handle(m, e);
		curl_multi_add_handle(m, e);
		n++;
	}
	return n;
}

int
main(int argc, char **argv)
{
	CURL *all[AT_A_TIME_MAX];
	struct curl_slist *headers = NULL;
	int n = argc >= 5 ? atoi(argv[2]) : 0, running;
	long len = argc >= 5 ? atol(argv[4]) : 0;
	char *body = calloc(1, (size_t)len + 1);
	double cpu_s, took_s;
	uint64_t done = 0, begun_us;
	CURLM *m;

	if (n < 1 || n > AT_A_TIME_MAX || body == NULL)
		bare_die("bench_bare_curl URL AT-A-TIME SECONDS BODY-BYTES [CA-FILE]");
	memset(body, 'x', (size_t)len);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	m = curl_multi_init();
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		headers = curl_slist_append(headers, lines[i]);
	for (int i = 0; i < n; i++) {
		all[i] = bare_request(argv, headers, body, len);
		curl_multi_add_handle(m, all[i]);
	}
	begun_us = sq_clock_us();
	cpu_s = sq_procstat_own_s();
	do {
		curl_multi_perform(m, &running);
		done += bare_again(m);
		curl_multi_poll(m, NULL, 0, 100, NULL);
		took_s = (double)(sq_clock_us() - begun_us) / 1e6;
	} while (took_s < atof(argv[3]));
	cpu_s = sq_procstat_own_s() - cpu_s;
	for (int i = 0; i < n; i++) {
		curl_multi_remove_handle(m, all[i]);
		curl_easy_cleanup(all[i]);
	}
	curl_multi_cleanup(m);
	curl_slist_free_all(headers);
	free(body);
	if (done == 0)
		bare_die("no answers");
	printf("{\"rate\":%.0f,\"cpu\":%.1f}\n", (double)done / took_s, cpu_s / (double)done * 1e6);
	return 0;
}
