#include "cli/api/receive.h"

#include <stdio.h>
#include <string.h>

#include "cli/api/message.h"
#include "cli/api/run.h"
#include "cli/term/interrupt.h"
#include "cli/view/safe.h"
#include "core/percent.h"

enum {
	EXTEND_TIMES = 3, /* in the time of a lease, while a command runs */
	AWAY_MS = 1000,
};

struct receive {
	struct sq_api *api;
	const struct sq_api_receive *ask;
	struct sq_buf *err;
	const char *lease, *topic; /* of the message that a command handles */
	uint64_t n;                /* messages */
	bool lost;                 /* its lease is */
	bool away;                 /* the broker does not answer, which has been said */
};

int
sq_api_settle(
    struct sq_api *api, const char *lease, const char *how, uint64_t ms, struct sq_buf *err)
{
	struct sq_buf path = {0}, body = {0};
	struct sq_api_request r = {.method = "POST", .content_type = "application/json"};
	struct sq_api_answer answer;
	int rc;

	sq_buf_printf(&path, "/v1/leases/");
	sq_percent_put(&path, lease);
	sq_buf_printf(&path, "/%s%c", how, 0);
	if (ms != UINT64_MAX)
		sq_buf_printf(&body, "{\"%s\":\"%llums\"}",
		    strcmp(how, "extend") == 0 ? "by" : "delay", (unsigned long long)ms);
	r.path = (char *)sq_buf_data(&path);
	if (sq_buf_len(&body) > 0)
		r.body = sq_buf_bytes(&body);
	rc = sq_api_ask(api, &r, &answer, err);
	sq_buf_fini(&path);
	sq_buf_fini(&body);
	return rc;
}

/* ---- a command for each message ---- */

static void
receive_say(const struct receive *r, const char *what, const struct sq_buf *why)
{
	struct sq_buf topic = {0};

	sq_safe(&topic, r->topic, strlen(r->topic));
	fprintf(stderr, "sqmqos: %.*s, lease %.16s...: %s%.*s\n", (int)sq_buf_len(&topic),
	    (const char *)sq_buf_data(&topic), r->lease, what,
	    why != NULL ? (int)sq_buf_len(why) : 0,
	    why != NULL ? (const char *)sq_buf_data(why) : "");
	sq_buf_fini(&topic);
}

/* While the command runs. */
static void
receive_extend(void *arg)
{
	struct receive *r = arg;
	struct sq_buf why = {0};

	if (!r->lost &&
	    sq_api_settle(r->api, r->lease, "extend", r->ask->lease_ms, &why) != SQ_OK) {
		receive_say(r, "not extended: ", &why);
		r->lost = true;
	}
	sq_buf_fini(&why);
}

/* Runs the command, and settles the message by its exit code.  The message is settled after a signal,
 * too. */
static int
receive_handle(void *arg, const struct sq_api_message *m)
{
	struct receive *r = arg;
	const struct sq_run_ask ask = {.command = r->ask->command,
	    .every_ms = r->ask->lease_ms / EXTEND_TIMES,
	    .again = receive_extend,
	    .arg = r};
	struct sq_buf why = {0};
	char what[64];
	int code;

	r->lease = m->lease;
	r->topic = m->topic;
	r->lost = false;
	sq_api_yields(r->api, false);
	code = sq_run_command(&ask, m, r->err);
	if (code != 0) {
		snprintf(what, sizeof what, "the command ended with %d", code);
		receive_say(r, what, NULL);
	}
	if (sq_api_settle(r->api, m->lease, code == 0 ? "ack" : "nack", UINT64_MAX, &why) != SQ_OK)
		receive_say(r, "not settled: ", &why);
	sq_api_yields(r->api, true);
	sq_buf_fini(&why);
	r->n++;
	return code < 0 ? SQ_ECLOSED : SQ_OK;
}

/* ---- receiving ---- */

static int
receive_print(void *arg, const struct sq_api_message *m)
{
	struct receive *r = arg;
	struct sq_buf out = {0};
	bool good;

	if (r->ask->json) {
		sq_api_message_json(&out, m);
	} else {
		if (m->lease[0] != '\0')
			sq_buf_printf(&out, "%s ", m->lease);
		sq_api_message_text(&out, m);
	}
	good = fwrite(sq_buf_data(&out), 1, sq_buf_len(&out), stdout) == sq_buf_len(&out);
	sq_buf_fini(&out);
	r->n++;
	if (good)
		return SQ_OK;
	sq_buf_printf(r->err, "standard output can't be written");
	return SQ_EIO;
}

static void
receive_path(const struct sq_api_receive *a, struct sq_buf *path)
{
	sq_buf_printf(path, "/v1/queues/");
	sq_percent_put(path, a->queue);
	sq_buf_printf(path, "/receive?max=%llu&wait=%llums", (unsigned long long)a->max,
	    (unsigned long long)a->wait_ms);
	if (a->lease != NULL) {
		sq_buf_printf(path, "&lease=");
		sq_percent_put(path, a->lease);
	}
	if (a->at_once)
		sq_buf_printf(path, "&ack=receive");
	sq_buf_u8(path, '\0');
}

static int
receive_once(struct receive *r, const struct sq_buf *path)
{
	const struct sq_api_request request = {
	    .method = "POST", .path = (char *)sq_buf_data(path), .wait_ms = r->ask->wait_ms};
	struct sq_buf body = {0};
	struct sq_api_answer answer;
	int rc = sq_api_ask(r->api, &request, &answer, r->err);

	if (rc != SQ_OK || answer.status == 204)
		return rc;
	/* Settling asks by the same connection, whose answer takes this one's place. */
	sq_buf_append(&body, answer.body.p, answer.body.len);
	rc = sq_api_messages(sq_buf_bytes(&body),
	    r->ask->command != NULL ? receive_handle : receive_print, r, r->err);
	sq_buf_fini(&body);
	return rc;
}

/* A broker that is away comes back: says so at the first time, and waits. */
static void
receive_away(struct receive *r)
{
	if (!r->away)
		fprintf(stderr, "sqmqos: %.*s; asking again\n", (int)sq_buf_len(r->err),
		    (const char *)sq_buf_data(r->err));
	r->away = true;
	sq_buf_drain(r->err, sq_buf_len(r->err));
	(void)sq_interrupt_poll(NULL, 0, AWAY_MS);
}

/* Has messages handled until a signal or the count. */
static int
receive_on(struct receive *r, const struct sq_buf *path)
{
	int rc = SQ_OK;

	while (rc == SQ_OK && !sq_interrupted() && (r->ask->count == 0 || r->n < r->ask->count)) {
		rc = receive_once(r, path);
		if (rc == SQ_OK)
			r->away = false;
		if (rc != SQ_OK && sq_interrupted())
			sq_buf_drain(r->err, sq_buf_len(r->err)); /* the poll that it ended */
		else if (rc == SQ_EIO)
			receive_away(r);
		else if (rc != SQ_OK)
			return rc;
		rc = SQ_OK;
	}
	return SQ_OK;
}

int
sq_api_receive(struct sq_api *api, const struct sq_api_receive *ask, struct sq_buf *err)
{
	struct receive r = {.api = api, .ask = ask, .err = err};
	struct sq_buf path = {0};
	int rc;

	receive_path(ask, &path);
	rc = ask->command != NULL ? receive_on(&r, &path) : receive_once(&r, &path);
	sq_buf_fini(&path);
	return rc;
}

int
sq_api_peek(struct sq_api *api, const char *queue, uint64_t max, bool json, struct sq_buf *err)
{
	const struct sq_api_receive ask = {.queue = queue, .json = json};
	struct receive r = {.api = api, .ask = &ask, .err = err};
	struct sq_buf path = {0};
	struct sq_api_request request = {.method = "GET"};
	struct sq_api_answer answer;
	int rc;

	sq_buf_printf(&path, "/v1/queues/");
	sq_percent_put(&path, queue);
	sq_buf_printf(&path, "/messages?peek=%llu%c", (unsigned long long)max, 0);
	request.path = (char *)sq_buf_data(&path);
	rc = sq_api_ask(api, &request, &answer, err);
	if (rc == SQ_OK)
		rc = sq_api_messages(answer.body, receive_print, &r, err);
	sq_buf_fini(&path);
	return rc;
}
