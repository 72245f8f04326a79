#include "sqs_bridge_peer.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asks.h"
#include "bridge_user.h"
#include "broker/bridge/sqs/attributes.h"
#include "broker/bridge/sqs/calls.h"
#include "broker/bridge/sqs/sqs.h"
#include "core/thread.h"
#include "net/cred/cred.h"
#include "net/curl/shared.h"
#include "proto/json/write.h"

static const struct sq_out_way plain = {0};
static char bridge_url[200], peer_url[200], control_url[200];
static char target[PEER_TEXT], source[PEER_TEXT]; /* names */
static unsigned n_puts;
static bool fifo;
static struct sq_out_shared *shared;
static struct sq_creds *creds;
static pthread_t looker;
static atomic_bool looks;

/* --- what a bridge needs --- */

static const char *
peer_env(const char *name)
{
	if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0)
		return "AKIATEST";
	if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0)
		return "secret";
	return strcmp(name, "AWS_REGION") == 0 ? "eu-central-1" : NULL;
}

static void *
peer_look(void *arg)
{
	(void)arg;
	while (atomic_load(&looks)) {
		sq_creds_look(creds);
		usleep(10000);
	}
	return NULL;
}

static struct sq_out *
peer_out(void *owner, struct sq_buf *err)
{
	(void)owner;
	return sq_out_shared_get(shared, err);
}

static void
peer_equip(struct bridge_user *u)
{
	u->http = peer_out;
	u->env.creds = creds;
}

/* --- calls of the suite's own, which nobody verifies --- */

/* Asks, and keeps the answer in 'out', if it is wanted. */
static void
peer_ask(const char *action, const struct sq_buf *body, struct sq_buf *out)
{
	struct sq_buf err = {0};
	struct ask a;
	char name[80];

	ask_init(&a, &plain, "%s/", peer_url);
	(void)snprintf(name, sizeof name, "AmazonSQS.%s", action);
	cr_assert_eq(sq_out_header(&a.req, "X-Amz-Target", sq_bytes_of(name)), SQ_OK);
	cr_assert_eq(
	    sq_out_header(&a.req, "Content-Type", sq_bytes_of("application/x-amz-json-1.0")),
	    SQ_OK);
	a.req.body = sq_buf_bytes(body);
	cr_assert_eq(ask(sq_out_shared_get(shared, &err), &a), SQ_OUT_ANSWERED, "%s", a.req.why);
	cr_assert_eq(a.req.status, 200, "%s: %.*s", action, (int)sq_buf_len(&a.req.answer),
	    (const char *)sq_buf_data(&a.req.answer));
	if (out != NULL)
		sq_buf_append(out, sq_buf_data(&a.req.answer), sq_buf_len(&a.req.answer));
	ask_fini(&a);
}

static void
peer_url_of(const char *name, char out[PEER_TEXT])
{
	(void)snprintf(out, PEER_TEXT, "%s/000000000000/%s", peer_url, name);
}

static void
peer_create(const char *name)
{
	struct sq_buf body = {0};

	sq_buf_printf(&body, "{\"QueueName\":\"%s\"%s}", name,
	    fifo ? ",\"Attributes\":{\"FifoQueue\":\"true\"}" : "");
	peer_ask("CreateQueue", &body, NULL);
	sq_buf_fini(&body);
}

static void
peer_begin(const char *address, bool is_fifo)
{
	static unsigned n;

	fifo = is_fifo;
	n++;
	cr_assert_eq(sscanf(address, "%199s %199s %199s", bridge_url, peer_url, control_url), 3);
	(void)snprintf(target, sizeof target, "to-%d-%u%s", (int)getpid(), n, fifo ? ".fifo" : "");
	(void)snprintf(
	    source, sizeof source, "from-%d-%u%s", (int)getpid(), n, fifo ? ".fifo" : "");
	shared = sq_out_shared_new(&(struct sq_out_cfg){.user_agent = "sqmqos/test"});
	creds = sq_creds_new(&(struct sq_creds_cfg){.out = shared, .env = peer_env});
	atomic_store(&looks, true);
	sq_thread_start(&looker, peer_look, NULL);
	peer_create(target);
	peer_create(source);
}

static void
begin_standard(const char *address)
{
	peer_begin(address, false);
}

static void
begin_fifo(const char *address)
{
	peer_begin(address, true);
}

static void
peer_end(void)
{
	atomic_store(&looks, false);
	pthread_join(looker, NULL);
	sq_out_shared_free(&shared);
	sq_creds_free(&creds);
}

static void
peer_configure(
    struct sq_bridge_cfg *cfg, struct sq_bridge_out *rule_out, struct sq_bridge_in *rule_in)
{
	cfg->kind = SQ_BRIDGE_KIND_SQS;
	cfg->endpoint = bridge_url;
	rule_out->queue = target;
	rule_in->queue = source;
	rule_in->parallel = 2;
}

static void
peer_text(struct sq_bytes from, char to[PEER_TEXT])
{
	(void)snprintf(to, PEER_TEXT, "%.*s", (int)from.len, (const char *)from.p);
}

static void
peer_read(const struct sq_sqs_messages *all, struct peer_message *m)
{
	struct sq_sqs_attributes a = {0};
	struct sq_buf text = {0};

	cr_assert_eq(sq_sqs_attributes_read(all, &all->v[0], &a), SQ_OK);
	sq_json_unescape(&all->tokens, all->v[0].body, &text);
	peer_text(sq_buf_bytes(&text), m->payload);
	peer_text(sq_sqs_attribute_find(&a, sq_bytes_of("sqmqos-topic")), m->topic);
	peer_text(sq_sqs_attribute_find(&a, sq_bytes_of("sqmqos-origin")), m->origin);
	peer_text(sq_sqs_attribute_find(&a, sq_bytes_of("sqmqos-hops")), m->hops);
	sq_buf_fini(&text);
	sq_sqs_attributes_fini(&a);
}

static bool
peer_next(struct peer_message *m)
{
	struct sq_sqs_messages all = {0};
	struct sq_buf body = {0}, answer = {0};
	char url[PEER_TEXT];
	bool there;

	peer_url_of(target, url);
	sq_sqs_put_receive(&body, url, 1, 0, 60);
	peer_ask("ReceiveMessage", &body, &answer);
	cr_assert_eq(sq_sqs_read_messages(sq_buf_bytes(&answer), &all), SQ_OK);
	there = all.n > 0;
	if (there) {
		struct sq_bytes handle = sq_json_raw(&all.tokens, all.v[0].handle);

		*m = (struct peer_message){.topic = ""};
		peer_read(&all, m);
		sq_buf_drain(&body, sq_buf_len(&body));
		sq_buf_printf(&body, "{\"QueueUrl\":\"%s\",\"ReceiptHandle\":\"%.*s\"}", url,
		    (int)handle.len, (const char *)handle.p);
		peer_ask("DeleteMessage", &body, NULL);
	}
	sq_sqs_messages_fini(&all);
	sq_buf_fini(&body);
	sq_buf_fini(&answer);
	return there;
}

static void
peer_attribute(struct sq_buf *body, const char *name, const char *value)
{
	sq_buf_printf(body, "%s\"%s\":{\"DataType\":\"String\",\"StringValue\":\"%s\"}",
	    strcmp(name, "sqmqos-origin") == 0 ? "" : ",", name, value);
}

static void
peer_put(const struct peer_message *m)
{
	struct sq_buf body = {0};
	char url[PEER_TEXT];

	peer_url_of(source, url);
	sq_buf_printf(&body, "{\"QueueUrl\":\"%s\",\"MessageBody\":\"%s\",\"MessageAttributes\":{",
	    url, m->payload);
	peer_attribute(&body, "sqmqos-origin", m->origin);
	peer_attribute(&body, "sqmqos-hops", m->hops);
	sq_buf_printf(&body, "}");
	if (fifo)
		sq_buf_printf(&body,
		    ",\"MessageGroupId\":\"g%u\",\"MessageDeduplicationId\":\"d%u\"", n_puts,
		    n_puts);
	n_puts++;
	sq_buf_printf(&body, "}");
	peer_ask("SendMessage", &body, NULL);
	sq_buf_fini(&body);
}

static size_t
peer_left(void)
{
	static const char *const names[] = {"ApproximateNumberOfMessages\":\"",
	    "ApproximateNumberOfMessagesNotVisible\":\"",
	    "ApproximateNumberOfMessagesDelayed\":\""};
	struct sq_buf body = {0}, answer = {0};
	char url[PEER_TEXT];
	size_t n = 0;

	peer_url_of(source, url);
	sq_buf_printf(&body, "{\"QueueUrl\":\"%s\",\"AttributeNames\":[\"All\"]}", url);
	peer_ask("GetQueueAttributes", &body, &answer);
	sq_buf_u8(&answer, '\0');
	for (size_t i = 0; i < 3; i++) {
		const char *at = strstr((const char *)sq_buf_data(&answer), names[i]);

		cr_assert_not_null(at);
		n += strtoul(at + strlen(names[i]), NULL, 10);
	}
	sq_buf_fini(&body);
	sq_buf_fini(&answer);
	return n;
}

static void
peer_away(bool away)
{
	struct sq_buf err = {0};
	char url[300];

	(void)snprintf(url, sizeof url, "%s/%s", control_url, away ? "away" : "back");
	cr_assert_eq(ask_once(sq_out_shared_get(shared, &err), &plain, url), SQ_OUT_ANSWERED);
}

#define PEER_OPS \
	.kind = &sq_bridge_sqs, .address = "SQMQOS_TEST_SQS", .end = peer_end, \
	.equip = peer_equip, .configure = peer_configure, .next = peer_next, .put = peer_put, \
	.left = peer_left, .away = peer_away, .has_hops = true

const struct bridge_peer sqs_bridge_peer = {.name = "sqs", .begin = begin_standard, PEER_OPS};
const struct bridge_peer sqs_fifo_bridge_peer = {
    .name = "sqs fifo", .begin = begin_fifo, .ordered = true, PEER_OPS};
