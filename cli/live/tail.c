/* What passes; see cli/live/tail.h. */
#include "cli/live/tail.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/term/interrupt.h"
#include "cli/view/cell.h"
#include "cli/view/remote.h"
#include "cli/view/safe.h"
#include "core/err.h"
#include "core/utf8.h"
#include "proto/topic/topic.h"

#define TAIL_PATH "/v1/tap"

enum {
	TAIL_WAIT_MS = 100, /* between two questions, while messages come */
	TAIL_WAIT_MAX_MS = 500,
	TAIL_ID_MAX = 64, /* bytes */
};

struct tail {
	struct sq_remote *remote;
	const struct sq_tail_ask *ask;
	char path[sizeof TAIL_PATH + TAIL_ID_MAX + 1]; /* of the tap */
	size_t n;
	struct sq_buf *err;
};

bool
sq_tail_good(const struct sq_tail_ask *a, struct sq_buf *why)
{
	struct sq_topic_filter f = {0};
	const char *wrong = NULL;

	if (!sq_utf8_valid(a->filter, strlen(a->filter)))
		wrong = "it is not UTF-8";
	else if (sq_topic_filter_parse(sq_bytes_of(a->filter), &f, &wrong) == 0 && f.share.len > 0)
		wrong = "a tap shares nothing: give the filter behind $share/NAME/";
	if (wrong != NULL) {
		sq_safe_bad(why, "filter", a->filter, wrong);
		return false;
	}
	if (a->space == NULL || (*a->space != '\0' && sq_utf8_valid(a->space, strlen(a->space))))
		return true;
	sq_buf_printf(why, "--space is no name");
	return false;
}

/* ---- the tap ---- */

static int
tail_strange(struct tail *t)
{
	sq_buf_printf(
	    t->err, TAIL_PATH ": a strange answer; is it the admin endpoint of a broker?");
	return SQ_EINVAL;
}

static int
tail_open(struct tail *t)
{
	json_t *body = json_object(), *answer = NULL;
	const char *id;
	int rc;

	json_object_set_new(body, "filter", json_string(t->ask->filter));
	json_object_set_new(body, "payload", json_boolean(t->ask->payloads));
	if (t->ask->space != NULL)
		json_object_set_new(body, "space", json_string(t->ask->space));
	rc = sq_remote_do(t->remote, "POST", TAIL_PATH, body, &answer, t->err);
	json_decref(body);
	if (rc != 0)
		return rc;
	id = json_string_value(json_object_get(answer, "tap"));
	if (id == NULL || *id == '\0' || strlen(id) > TAIL_ID_MAX ||
	    strspn(id, "0123456789abcdef") != strlen(id))
		rc = tail_strange(t);
	else
		snprintf(t->path, sizeof t->path, TAIL_PATH "/%s", id);
	json_decref(answer);
	return rc;
}

static void
tail_close(struct tail *t)
{
	struct sq_buf nobody_cares = {0};
	json_t *answer = NULL;

	sq_remote_part(t->remote);
	if (sq_remote_do(t->remote, "DELETE", t->path, NULL, &answer, &nobody_cares) == 0)
		json_decref(answer);
	sq_buf_fini(&nobody_cares);
}

/* ---- messages ---- */

static void
tail_text_of(struct sq_buf *out, const char *before, const json_t *m, const char *member)
{
	const json_t *v = json_object_get(m, member);

	if (!json_is_string(v))
		return;
	sq_buf_printf(out, "%s", before);
	sq_safe(out, json_string_value(v), json_string_length(v));
}

static long long
tail_number(const json_t *m, const char *member)
{
	return (long long)json_integer_value(json_object_get(m, member));
}

static void
tail_time(struct sq_buf *out, long long ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm at;

	(void)localtime_r(&s, &at);
	(void)strftime(text, sizeof text, "%H:%M:%S", &at);
	sq_buf_printf(out, "%s.%03lld", text, ms % 1000);
}

static void
tail_text(struct sq_buf *out, const json_t *m)
{
	long long queues = tail_number(m, "queues"), bytes = tail_number(m, "bytes");

	tail_time(out, tail_number(m, "time"));
	tail_text_of(out, " ", m, "space");
	tail_text_of(out, " ", m, "topic");
	sq_buf_printf(out, "  qos %lld, ", tail_number(m, "qos"));
	sq_cell_bytes(out, (uint64_t)(bytes > 0 ? bytes : 0));
	sq_buf_printf(out, "%s", json_is_true(json_object_get(m, "retain")) ? ", retained" : "");
	tail_text_of(out, ", from ", m, "session");
	tail_text_of(out, ", ", m, "identity");
	tail_text_of(out, ", key ", m, "key");
	if (tail_number(m, "reason") >= 0x80)
		tail_text_of(out, ", REFUSED: ", m, "outcome");
	else
		sq_buf_printf(out, ", to %lld queue%s", queues, queues == 1 ? "" : "s");
	tail_text_of(out, ": ", m, "payload");
	tail_text_of(out, ": base64 ", m, "payload_base64");
	sq_buf_printf(out, "%s\n", json_is_true(json_object_get(m, "cut")) ? "..." : "");
}

static void
tail_json(struct sq_buf *out, const json_t *m)
{
	char *text = json_dumps(m, JSON_COMPACT);

	if (text != NULL)
		sq_safe(out, text, strlen(text));
	free(text);
	sq_buf_u8(out, '\n');
}

/* Those that the tap had no room for. */
static void
tail_lost(struct tail *t, struct sq_buf *out, long long lost)
{
	if (lost > 0 && t->ask->json)
		sq_buf_printf(out, "{\"lost\":%lld}\n", lost);
	else if (lost > 0)
		fprintf(stderr,
		    "sqmqos: %lld messages are not shown: they came faster than this end takes "
		    "them\n",
		    lost);
}

/* Prints what an answer has; '*any': it has messages. */
static int
tail_print(struct tail *t, const json_t *answer, bool *any)
{
	const json_t *all = json_object_get(answer, "messages"), *m;
	struct sq_buf out = {0};
	size_t i, len;
	int rc = 0;

	if (!json_is_array(all))
		return tail_strange(t);
	*any = json_array_size(all) > 0;
	json_array_foreach(all, i, m)
	{
		if (t->ask->count > 0 && t->n == t->ask->count)
			break;
		t->n++;
		if (t->ask->json)
			tail_json(&out, m);
		else
			tail_text(&out, m);
	}
	tail_lost(t, &out, tail_number(answer, "lost"));
	len = sq_buf_len(&out);
	if ((len > 0 && fwrite(sq_buf_data(&out), 1, len, stdout) != len) || fflush(stdout) != 0) {
		sq_buf_printf(t->err, "standard output: %s", strerror(errno));
		rc = SQ_EIO;
	}
	sq_buf_fini(&out);
	return rc;
}

static int
tail_run(struct tail *t)
{
	unsigned wait_ms = TAIL_WAIT_MS;

	while (!sq_interrupted() && (t->ask->count == 0 || t->n < t->ask->count)) {
		json_t *answer = NULL;
		bool any = false;
		int rc = sq_remote_do(t->remote, "GET", t->path, NULL, &answer, t->err);

		if (rc == 0)
			rc = tail_print(t, answer, &any);
		json_decref(answer);
		if (rc != 0)
			return rc;
		wait_ms = any ? TAIL_WAIT_MS : wait_ms * 2;
		wait_ms = wait_ms < TAIL_WAIT_MAX_MS ? wait_ms : TAIL_WAIT_MAX_MS;
		(void)sq_interrupt_poll(NULL, 0, wait_ms);
	}
	return 0;
}

int
sq_tail(struct sq_remote *remote, const struct sq_tail_ask *ask, struct sq_buf *err)
{
	struct tail t = {.remote = remote, .ask = ask, .err = err};
	int rc;

	sq_interrupt_watch();
	rc = tail_open(&t);
	if (rc == 0) {
		rc = tail_run(&t);
		tail_close(&t);
	}
	if (!sq_interrupted())
		return rc;
	sq_buf_drain(err, sq_buf_len(err)); /* of the request that it ended */
	return 0;
}
