#include "cli/view/why_say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/view/cell.h"
#include "cli/view/safe.h"
#include "core/mem.h"

static void
why_line(struct sq_why_told *w, const char *before, const char *fmt, va_list args)
{
	char *text = NULL;
	int len = vasprintf(&text, fmt, args);

	sq_buf_printf(w->out, "%s", before);
	if (len > 0)
		sq_safe(w->out, text, (size_t)len);
	sq_buf_printf(w->out, "\n");
	free(text);
}

void
sq_why_fact(struct sq_why_told *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	why_line(w, "  ", fmt, args);
	va_end(args);
}

void
sq_why_trouble(struct sq_why_told *w, const char *fmt, ...)
{
	va_list args;

	w->troubles++;
	va_start(args, fmt);
	why_line(w, "! ", fmt, args);
	va_end(args);
}

void
sq_why_mend(struct sq_why_told *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	why_line(w, "  -> ", fmt, args);
	va_end(args);
}

/* ---- rows ---- */

const char *
sq_why_text(const json_t *row, const char *column)
{
	const char *text = json_string_value(json_object_get(row, column));

	return text != NULL ? text : "";
}

static long long
why_number(const json_t *row, const char *column)
{
	return (long long)json_integer_value(json_object_get(row, column));
}

static bool
why_true(const json_t *row, const char *column)
{
	return json_is_true(json_object_get(row, column));
}

/* The value in words, for a sentence; the caller's to free. */
static char *
why_words(const struct sq_why_told *w, const json_t *row, const char *column, const char *type,
    const char *unit)
{
	struct sq_buf b = {0};
	char *text;

	sq_cell(&b, json_object_get(row, column), type, unit, w->now_ms);
	text = sq_xmemdup0(sq_buf_data(&b), sq_buf_len(&b));
	sq_buf_fini(&b);
	return text;
}

struct why_search {
	const char *column, *is;
	json_t *found;
};

static bool
why_compare(void *arg, const json_t *row)
{
	struct why_search *s = arg;
	const json_t *v = json_object_get(row, s->column);
	char number[24];

	snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	if (s->is == NULL || strcmp(json_is_string(v) ? json_string_value(v) : number, s->is) == 0)
		s->found = json_deep_copy(row);
	return s->found == NULL;
}

json_t *
sq_why_find(
    struct sq_why_told *w, const char *table, const char *space, const char *column, const char *is)
{
	struct why_search s = {column, is, NULL};
	struct sq_wanted wanted = {.table = table, .space = space};
	struct sq_buf err = {0};

	if (strcmp(column, "link") != 0)
		wanted.name = is;
	(void)!w->view->rows(w->view->owner, &wanted, why_compare, &s, &err);
	sq_buf_fini(&err);
	return s.found;
}

/* ---- queues ---- */

static void
why_waits(struct sq_why_told *w, const json_t *q)
{
	char *bytes = why_words(w, q, "bytes", "number", "bytes");
	char *age = why_words(w, q, "age", "span", "ms");

	if (why_number(q, "depth") == 0)
		sq_why_fact(w, "  nothing waits in it");
	else if (json_is_integer(json_object_get(q, "age")))
		sq_why_fact(w,
		    "  %lld messages wait in it, in front of the next one, %s, the oldest for %s",
		    why_number(q, "depth"), bytes, age);
	else
		sq_why_fact(w, "  %lld messages wait in it, in front of the next one, %s",
		    why_number(q, "depth"), bytes);
	free(bytes);
	free(age);
}

static void
why_full(struct sq_why_told *w, const json_t *q, const char *name)
{
	static const struct {
		const char *overflow, *means;
	} means[] = {
	    {"reject-publish", "publishes to it are refused"},
	    {"drop-oldest", "each new message drops the oldest"},
	    {"drop-new", "new messages are dropped"},
	};
	char *bytes = why_words(w, q, "bytes", "number", "bytes");
	char *most = why_words(w, q, "max_bytes", "number", "bytes");
	const char *what = "it has no room";

	for (size_t i = 0; i < SQ_ARRAY_LEN(means); i++)
		if (strcmp(sq_why_text(q, "overflow"), means[i].overflow) == 0)
			what = means[i].means;
	sq_why_trouble(w, "queue %s is full, %lld of %lld messages, %s of %s: %s", name,
	    why_number(q, "depth"), why_number(q, "max_messages"), bytes, most, what);
	if (strcmp(sq_why_text(q, "kind"), "declared") == 0)
		sq_why_mend(w,
		    "let more pods take from it, or raise max-length in the pods' "
		    "sqmqos.io/subscribe, or the "
		    "broker's queue.max-messages and queue.max-bytes");
	else
		sq_why_mend(w,
		    "let its client take faster, or raise the broker's queue.max-messages and "
		    "queue.max-bytes");
	free(bytes);
	free(most);
}

static void
why_lonely(struct sq_why_told *w, const json_t *q, const char *name)
{
	char *lonely = why_words(w, q, "lonely", "span", "ms");

	sq_why_trouble(w, "nobody is there to take from queue %s, for %s", name, lonely);
	if (strcmp(sq_why_text(q, "kind"), "declared") == 0)
		sq_why_mend(w,
		    "see that its pods run and their app is connected: kubectl get pods -n %s",
		    sq_why_text(q, "space"));
	else
		sq_why_mend(w, "connect a client that takes from it: sqmqos sessions ls --space %s",
		    sq_why_text(q, "space"));
	free(lonely);
}

void
sq_why_queue(struct sq_why_told *w, const char *space, const char *name)
{
	json_t *q = sq_why_find(w, "queues", space, "queue", name);
	const json_t *refused = json_object_get(q, "refused");
	bool own = strcmp(sq_why_text(q, "kind"), "session") == 0;
	char *words;

	if (q == NULL)
		return;
	why_waits(w, q);
	if (!own)
		sq_why_fact(w, "  %lld take from it", why_number(q, "members"));
	if (why_true(q, "full"))
		why_full(w, q, name);
	if (!own && json_is_integer(json_object_get(q, "members")) && why_number(q, "members") == 0)
		why_lonely(w, q, name);
	if (json_object_size(refused) > 0) {
		words = why_words(w, q, "refused", "counts", "");
		sq_why_trouble(w, "queue %s has refused messages: %s", name, words);
		sq_why_mend(w,
		    "docs/view.md and docs/troubleshooting.md say what each reason is: sqmqos "
		    "queues show '%s'",
		    name);
		free(words);
	}
	if (json_object_size(json_object_get(q, "left")) > 0) {
		words = why_words(w, q, "left", "counts", "");
		sq_why_trouble(w, "messages left queue %s undelivered: %s", name, words);
		sq_why_mend(w, "docs/view.md says what each is; some are dead letters now");
		free(words);
	}
	json_decref(q);
}

/* ---- sessions ---- */

static void
why_link(struct sq_why_told *w, const json_t *s, const char *name)
{
	char number[24];
	json_t *link;
	char *waiting;

	if (!json_is_integer(json_object_get(s, "link")))
		return;
	snprintf(number, sizeof number, "%lld", why_number(s, "link"));
	if ((link = sq_why_find(w, "links", NULL, "link", number)) == NULL)
		return;
	waiting = why_words(w, link, "waiting", "number", "bytes");
	if (why_true(link, "slow")) {
		sq_why_trouble(w,
		    "link %s of %s, over which %s is attached, is slow: %s wait to be written",
		    number, sq_why_text(link, "peer"), name, waiting);
		sq_why_mend(
		    w, "see the sidecar's processor and network: sqmqos links show %s", number);
	}
	if (why_true(link, "leaving"))
		sq_why_fact(w, "  its link %s has been asked to move", number);
	free(waiting);
	json_decref(link);
}

static void
why_attached(struct sq_why_told *w, const json_t *s, const char *name)
{
	sq_why_fact(w, "  %s is attached, by link %lld, with %lld deliveries that are not finished",
	    name, why_number(s, "link"), why_number(s, "inflight"));
	if (why_number(s, "pending") > 0) {
		sq_why_trouble(w,
		    "%s has no room: its client has not finished %lld deliveries, and %lld more "
		    "wait for it",
		    name, why_number(s, "inflight"), why_number(s, "pending"));
		sq_why_mend(w, "let the client acknowledge faster, or raise its Receive Maximum");
	}
	why_link(w, s, name);
}

static void
why_away(struct sq_why_told *w, const json_t *s, const char *name)
{
	char *since = why_words(w, s, "since", "time", "ms");
	char *expires = why_words(w, s, "expires", "time", "ms");
	const char *state = sq_why_text(s, "state");
	bool known = json_is_integer(json_object_get(s, "since"));
	bool ends = json_is_integer(json_object_get(s, "expires"));

	sq_why_trouble(w, "%s is away: %s%s%s; %s%s", name,
	    strcmp(state, "grace") == 0 ? "its link was lost" : "its client is not connected",
	    known ? ", since " : "", known ? since : "", ends ? "it ends " : "it is kept",
	    ends ? expires : "");
	sq_why_mend(w, "connect client %s again, without clean start: what waits is delivered then",
	    sq_why_text(s, "client"));
	free(since);
	free(expires);
}

void
sq_why_session(struct sq_why_told *w, const char *space, const char *name)
{
	json_t *s = sq_why_find(w, "sessions", space, "session", name);
	const char *state = sq_why_text(s, "state");

	if (s == NULL)
		return;
	if (strcmp(state, "attached") == 0)
		why_attached(w, s, name);
	else if (strcmp(state, "detached") == 0 || strcmp(state, "grace") == 0)
		why_away(w, s, name);
	else
		sq_why_fact(w, "  %s is %s", name, state);
	json_decref(s);
}

/* ---- the broker ---- */

static void
why_store(struct sq_why_told *w)
{
	json_t *store = sq_why_find(w, "store", NULL, "engine", NULL);
	bool healthy = store == NULL || !json_is_false(json_object_get(store, "healthy"));

	if (!healthy)
		sq_why_trouble(w, "the store is not healthy: %s", sq_why_text(store, "why"));
	if (why_true(store, "stalled"))
		sq_why_trouble(w, "the store stalls: commits have been waiting for long");
	if (why_true(store, "full"))
		sq_why_trouble(w, "the store is full and takes nothing new");
	if (!healthy || why_true(store, "stalled"))
		sq_why_mend(w, "see the broker's log and its volume: sqmqos store show");
	else if (why_true(store, "full"))
		sq_why_mend(w, "let queues empty, or raise the broker's store.max-size");
	json_decref(store);
}

void
sq_why_broker(struct sq_why_told *w, const char *space)
{
	json_t *row = sq_why_find(w, "spaces", space, "space", space);
	char *full;

	if (json_array_size(json_object_get(row, "full")) > 0) {
		full = why_words(w, row, "full", "texts", "");
		sq_why_trouble(w, "space %s may have no more: %s", space, full);
		sq_why_mend(w,
		    "free some, or raise spaces.%s.limits or the broker's totals: sqmqos "
		    "spaces show %s",
		    space, space);
		free(full);
	}
	json_decref(row);
	why_store(w);
}
