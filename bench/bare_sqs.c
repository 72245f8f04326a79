/* The floor of bridges to SQS and from it: libcurl alone, on one thread, with so many calls at a time, of
 * 10 messages each, signed by libcurl, over connections that stay.
 *
 *   bench_bare_sqs ENDPOINT QUEUE-URL REGION AT-A-TIME MESSAGES BYTES plain|said|consume
 *
 * 'said': each message has the attributes that a bridge gives it.  'consume': messages that wait are received,
 * and deleted by the next call.
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

enum { AT_A_TIME_MAX = 64, BATCH = 10, ANSWER_MAX = 262144 };

/* What it does, and how far it is. */
struct bare {
	const char *queue;
	struct curl_slist *send, *receive, *delete; /* headers */
	char *body;                                 /* of each send, or of each receive */
	bool consumes;
	uint64_t left, done, messages; /* to be sent, or received; sent, or deleted; all */
	CURLM *multi;
};

struct call {
	CURL *easy;
	size_t len;
	struct sq_buf body;         /* of a delete */
	unsigned deletes, promised; /* messages of it; those that the call is counted for */
	char answer[ANSWER_MAX];
};

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
bare_batch(const char *queue, int len, bool said)
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

/* As a bridge asks. */
static char *
bare_asks(const char *queue)
{
	struct sq_buf out = {0};

	sq_buf_printf(&out,
	    "{\"QueueUrl\":\"%s\",\"MaxNumberOfMessages\":%d,\"WaitTimeSeconds\":1,"
	    "\"AttributeNames\":[\"All\"],\"MessageAttributeNames\":[\"All\"]}",
	    queue, BATCH);
	return sq_buf_take_text(&out);
}

static struct curl_slist *
bare_headers(const char *action)
{
	struct curl_slist *v = curl_slist_append(NULL, "Content-Type: application/x-amz-json-1.0");
	char target[60];

	(void)snprintf(target, sizeof target, "X-Amz-Target: AmazonSQS.%s", action);
	return curl_slist_append(v, target);
}

static struct call *
bare_call(char **argv)
{
	struct call *c = calloc(1, sizeof *c);
	char sign[100];

	if (c == NULL)
		bare_die("no memory");
	c->easy = curl_easy_init();
	(void)snprintf(sign, sizeof sign, "aws:amz:%s:sqs", argv[3]);
	curl_easy_setopt(c->easy, CURLOPT_URL, argv[1]);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_AWS_SIGV4, sign);
	curl_easy_setopt(c->easy, CURLOPT_USERPWD, "AKIDEXAMPLE:secret");
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, bare_take);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 30000L);
	return c;
}

/* Takes up an answer: the body of the call that deletes what it has brought. */
static void
bare_answered(struct bare *b, struct call *c)
{
	static const char handle[] = "\"ReceiptHandle\":\"";
	const char *at = c->answer;

	b->done += b->consumes ? c->deletes : BATCH;
	b->left += b->consumes && c->deletes == 0 ? c->promised : 0;
	c->promised = 0;
	sq_buf_drain(&c->body, sq_buf_len(&c->body));
	if (!b->consumes || c->deletes > 0) {
		c->deletes = 0;
		return;
	}
	sq_buf_printf(&c->body, "{\"QueueUrl\":\"%s\",\"Entries\":[", b->queue);
	while ((at = strstr(at, handle)) != NULL) {
		size_t len = strcspn(at += sizeof handle - 1, "\"");

		sq_buf_printf(&c->body, "%s{\"Id\":\"%u\",\"ReceiptHandle\":\"%.*s\"}",
		    c->deletes > 0 ? "," : "", c->deletes, (int)len, at);
		c->deletes++;
	}
	sq_buf_printf(&c->body, "]}");
	b->left -= c->deletes < b->left ? c->deletes : b->left;
}

/* Begins the next call, as long as there is something to do. */
static void
bare_next(struct bare *b, struct call *c)
{
	const char *body = b->body;
	size_t len = strlen(b->body);
	struct curl_slist *headers = b->consumes ? b->receive : b->send;

	if (c->deletes > 0) {
		body = (const char *)sq_buf_data(&c->body);
		len = sq_buf_len(&c->body);
		headers = b->delete;
	} else if (b->left == 0) {
		return;
	} else {
		c->promised = b->left < BATCH ? (unsigned)b->left : BATCH;
		b->left -= c->promised;
	}
	c->len = 0;
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)len);
	curl_multi_add_handle(b->multi, c->easy);
}

/* Takes up the calls that have ended. */
static void
bare_again(struct bare *b)
{
	CURLMsg *msg;
	int queued;

	while ((msg = curl_multi_info_read(b->multi, &queued)) != NULL) {
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
		curl_multi_remove_handle(b->multi, e);
		bare_answered(b, c);
		bare_next(b, c);
	}
}

static void
bare_run(struct bare *b, struct call **all, int n)
{
	int running;

	for (int i = 0; i < n; i++)
		bare_next(b, all[i]);
	while (b->done < b->messages) {
		curl_multi_perform(b->multi, &running);
		bare_again(b);
		if (b->done < b->messages)
			curl_multi_poll(b->multi, NULL, 0, 100, NULL);
	}
}

int
main(int argc, char **argv)
{
	struct call *all[AT_A_TIME_MAX];
	int n = argc == 8 ? atoi(argv[4]) : 0;
	uint64_t messages = argc == 8 ? strtoull(argv[5], NULL, 10) : 0, begun_us;
	struct bare b = {.messages = messages, .left = messages};
	double cpu_s, took_s;

	if (n < 1 || n > AT_A_TIME_MAX || messages == 0 || messages % BATCH != 0)
		bare_die("bench_bare_sqs ENDPOINT QUEUE-URL REGION AT-A-TIME MESSAGES BYTES "
			 "plain|said|consume");
	b.queue = argv[2];
	b.consumes = strcmp(argv[7], "consume") == 0;
	b.body = b.consumes ? bare_asks(argv[2])
			    : bare_batch(argv[2], atoi(argv[6]), strcmp(argv[7], "said") == 0);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	b.multi = curl_multi_init();
	b.send = bare_headers("SendMessageBatch");
	b.receive = bare_headers("ReceiveMessage");
	b.delete = bare_headers("DeleteMessageBatch");
	begun_us = sq_clock_us();
	cpu_s = sq_procstat_own_s();
	for (int i = 0; i < n; i++)
		all[i] = bare_call(argv);
	bare_run(&b, all, n);
	took_s = (double)(sq_clock_us() - begun_us) / 1e6;
	cpu_s = sq_procstat_own_s() - cpu_s;
	for (int i = 0; i < n; i++) {
		curl_multi_remove_handle(b.multi, all[i]->easy);
		curl_easy_cleanup(all[i]->easy);
		sq_buf_fini(&all[i]->body);
		free(all[i]);
	}
	curl_multi_cleanup(b.multi);
	curl_slist_free_all(b.send);
	curl_slist_free_all(b.receive);
	curl_slist_free_all(b.delete);
	free(b.body);
	printf("{\"rate\":%.0f,\"cpu\":%.1f}\n", (double)b.done / took_s,
	    cpu_s / (double)b.done * 1e6);
	return 0;
}
