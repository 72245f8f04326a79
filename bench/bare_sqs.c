/* The floor of bridges to SQS: libcurl alone, on one thread, with so many calls of SendMessageBatch at a time,
 * of 10 messages each, signed by libcurl, over connections that stay.
 *
 *   bench_bare_sqs ENDPOINT QUEUE-URL REGION AT-A-TIME MESSAGES BYTES plain|said
 *
 * 'said': each message has the attributes that a bridge gives it.
 *
 * Prints {"rate":…,"cpu":…}: messages a second, and µs of this process's CPU each. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/procstat.h"
#include "core/buf.h"
#include "core/clock.h"

enum { AT_A_TIME_MAX = 64, BATCH = 10, ANSWER_MAX = 65536 };

struct call {
	CURL *easy;
	size_t len;
	char answer[ANSWER_MAX];
};

static const char *const lines[] = {
    "Content-Type: application/x-amz-json-1.0", "X-Amz-Target: AmazonSQS.SendMessageBatch"};

static void
bare_die(const char *why)
{
	fprintf(stderr, "bench_bare_sqs: %s\n", why);
	exit(1);
}

static size_t
bare_take(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	if (n * size >= ANSWER_MAX - c->len)
		return 0;
	memcpy(c->answer + c->len, data, n * size);
	c->len += n * size;
	return n * size;
}

/* What a bridge says of each message. */
static const char attributes[] =
    ",\"MessageAttributes\":{"
    "\"sqmqos-topic\":{\"DataType\":\"String\",\"StringValue\":\"bench/out-sqs\"},"
    "\"sqmqos-origin\":{\"DataType\":\"String\",\"StringValue\":"
    "\"0123456789abcdef-0123456789abcdef0123456789abcdef\"},"
    "\"sqmqos-hops\":{\"DataType\":\"String\",\"StringValue\":"
    "\"host-0123456789abcdef/out-sqs\"}}";

/* A batch, the same each time. */
static char *
bare_body(const char *queue, int len, bool said)
{
	struct sq_buf out = {0};

	sq_buf_printf(&out, "{\"QueueUrl\":\"%s\",\"Entries\":[", queue);
	for (int i = 0; i < BATCH; i++) {
		sq_buf_printf(&out, "%s{\"Id\":\"%d\",\"MessageBody\":\"", i > 0 ? "," : "", i);
		for (int k = 0; k < len; k++)
			sq_buf_u8(&out, 'x');
		sq_buf_printf(&out, "\"%s}", said ? attributes : "");
	}
	sq_buf_printf(&out, "]}");
	return sq_buf_take_text(&out);
}

static struct call *
bare_call(char **argv, struct curl_slist *headers, const char *body)
{
	struct call *c = calloc(1, sizeof *c);
	char sign[100];

	if (c == NULL)
		bare_die("no memory");
	c->easy = curl_easy_init();
	(void)snprintf(sign, sizeof sign, "aws:amz:%s:sqs", argv[3]);
	curl_easy_setopt(c->easy, CURLOPT_URL, argv[1]);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->easy, CURLOPT_AWS_SIGV4, sign);
	curl_easy_setopt(c->easy, CURLOPT_USERPWD, "AKIDEXAMPLE:secret");
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, bare_take);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 30000L);
	return c;
}

/* Begins those that have ended again, as long as there are some to come; how many have ended. */
static uint64_t
bare_again(CURLM *m, uint64_t *left)
{
	uint64_t n = 0;
	CURLMsg *msg;
	int queued;

	while ((msg = curl_multi_info_read(m, &queued)) != NULL) {
		CURL *e = msg->easy_handle;
		struct call *c;
		long status;

		if (msg->data.result != CURLE_OK)
			bare_die(curl_easy_strerror(msg->data.result));
		curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(e, CURLINFO_PRIVATE, &c);
		c->answer[c->len] = '\0';
		if (status != 200 || strstr(c->answer, "\"Failed\":[{") != NULL)
			bare_die(c->answer);
		c->len = 0;
		curl_multi_remove_handle(m, e);
		if (*left > 0) {
			--*left;
			curl_multi_add_handle(m, e);
		}
		n++;
	}
	return n;
}

int
main(int argc, char **argv)
{
	struct call *all[AT_A_TIME_MAX];
	struct curl_slist *headers = NULL;
	int n = argc == 8 ? atoi(argv[4]) : 0, running;
	uint64_t calls = argc == 8 ? strtoull(argv[5], NULL, 10) / BATCH : 0, left, done = 0,
		 begun_us;
	double cpu_s, took_s;
	char *body;
	CURLM *m;

	if (n < 1 || n > AT_A_TIME_MAX || calls < (uint64_t)n)
		bare_die(
		    "bench_bare_sqs ENDPOINT QUEUE-URL REGION AT-A-TIME MESSAGES BYTES plain|said");
	body = bare_body(argv[2], atoi(argv[6]), strcmp(argv[7], "said") == 0);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	m = curl_multi_init();
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		headers = curl_slist_append(headers, lines[i]);
	begun_us = sq_clock_us();
	cpu_s = sq_procstat_own_s();
	for (int i = 0; i < n; i++) {
		all[i] = bare_call(argv, headers, body);
		curl_multi_add_handle(m, all[i]->easy);
	}
	left = calls - (uint64_t)n;
	do {
		curl_multi_perform(m, &running);
		done += bare_again(m, &left);
		if (done < calls)
			curl_multi_poll(m, NULL, 0, 100, NULL);
	} while (done < calls);
	took_s = (double)(sq_clock_us() - begun_us) / 1e6;
	cpu_s = sq_procstat_own_s() - cpu_s;
	for (int i = 0; i < n; i++) {
		curl_easy_cleanup(all[i]->easy);
		free(all[i]);
	}
	curl_multi_cleanup(m);
	curl_slist_free_all(headers);
	free(body);
	printf("{\"rate\":%.0f,\"cpu\":%.1f}\n", (double)(done * BATCH) / took_s,
	    cpu_s / (double)(done * BATCH) * 1e6);
	return 0;
}
