#include "cli/view/why_topic.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/view/why_things.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/topic/topic.h"

enum {
	WHY_TOLD_MAX = 20, /* subscriptions that are told of in full */
	WHY_NEAR_MAX = 5,
	WHY_SESSIONS_MAX = 64, /* with one client id */
};

struct why {
	struct sq_why_told told;
	const struct sq_why_ask *ask;
	json_t *sessions; /* keys of those of the client that is asked for; NULL: any */
	json_t *takes;    /* rows of subscriptions and bindings, WHY_TOLD_MAX at most */
	size_t n_takes;
	json_t *near; /* rows that take nearly the topic */
};

/* ---- which subscriptions ---- */

/* How a subscription is to the topic. */
enum why_match { WHY_NOT, WHY_NEARLY, WHY_TAKES };

/* Who takes by the row: a session, or a named queue by its binding. */
static const char *
why_taker(const json_t *row)
{
	const char *session = sq_why_text(row, "session");

	return session[0] != '\0' ? session : sq_why_text(row, "queue");
}

/* A binding has no filter if it takes any topic. */
static const char *
why_filter(const json_t *row)
{
	const char *filter = sq_why_text(row, "filter");

	return filter[0] != '\0' ? filter : "#";
}

static bool
why_same(struct sq_bytes a, const char *b)
{
	return b != NULL && strlen(b) == a.len && memcmp(a.p, b, a.len) == 0;
}

/* Whether the filter would take the topic in other letters, or with or without a slash in front. */
static bool
why_spelled(struct sq_bytes filter, const char *topic)
{
	char *f = sq_xmemdup0(filter.p, filter.len), *t = sq_xstrdup(topic);
	bool near;

	for (char *p = f; *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	for (char *p = t; *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	near = sq_topic_match(sq_bytes_of(f[0] == '/' && f[1] != '\0' ? f + 1 : f),
	    sq_bytes_of(t[0] == '/' && t[1] != '\0' ? t + 1 : t));
	free(f);
	free(t);
	return near;
}

static enum why_match
why_match(const struct why *w, const json_t *row)
{
	const char *tag = sq_why_text(row, "tag");
	struct sq_topic_filter f;

	if (sq_topic_filter_parse(sq_bytes_of(why_filter(row)), &f, NULL) != 0)
		return WHY_NOT;
	if (f.tag.len == 0 && tag[0] != '\0')
		f.tag = sq_bytes_of(tag);
	if (!sq_topic_match(f.filter, sq_bytes_of(w->ask->topic)))
		return why_spelled(f.filter, w->ask->topic) ? WHY_NEARLY : WHY_NOT;
	return f.tag.len == 0 || why_same(f.tag, w->ask->tag) ? WHY_TAKES : WHY_NEARLY;
}

static bool
why_subscription(void *arg, const json_t *row)
{
	struct why *w = arg;
	enum why_match match;

	if (w->sessions != NULL &&
	    json_object_get(w->sessions, sq_why_text(row, "session")) == NULL)
		return true;
	match = why_match(w, row);
	if (match == WHY_TAKES && w->n_takes++ < WHY_TOLD_MAX)
		json_array_append_new(w->takes, json_deep_copy(row));
	if (match == WHY_NEARLY && json_array_size(w->near) < WHY_NEAR_MAX)
		json_array_append_new(w->near, json_deep_copy(row));
	return true;
}

static int
why_subscriptions(struct why *w, const char *space, struct sq_buf *err)
{
	struct sq_wanted wanted = {.table = "subscriptions", .space = space};
	struct sq_wanted bindings = {.table = "bindings", .space = space};
	int rc;

	json_array_clear(w->takes);
	json_array_clear(w->near);
	w->n_takes = 0;
	rc = w->told.view->rows(w->told.view->owner, &wanted, why_subscription, w, err);
	if (rc == 0 && w->sessions == NULL) /* a binding is no client's */
		(void)sq_why_rows(&w->told, &bindings, why_subscription, w);
	return rc;
}

/* ---- whose sessions ---- */

static bool
why_client(void *arg, const json_t *row)
{
	struct why *w = arg;
	const char *session = sq_why_text(row, "session");

	if (strcmp(sq_why_text(row, "client"), w->ask->client) == 0 ||
	    strcmp(session, w->ask->client) == 0)
		json_object_set_new(w->sessions, session, json_string(sq_why_text(row, "space")));
	return json_object_size(w->sessions) < WHY_SESSIONS_MAX;
}

static int
why_clients(struct why *w, const char *space, struct sq_buf *err)
{
	struct sq_wanted wanted = {
	    .table = "sessions", .space = space, .columns = "session,space,client"};

	return w->told.view->rows(w->told.view->owner, &wanted, why_client, w, err);
}

/* Tells that the client has no session, and where it has one; the view may not tell more. */
static void
why_no_client(struct why *w)
{
	struct sq_buf err = {0};
	const char *session;
	const json_t *space;

	sq_why_trouble(&w->told, "no session of client %s is there%s%s", w->ask->client,
	    w->ask->space != NULL ? " in space " : "", w->ask->space != NULL ? w->ask->space : "");
	if (w->ask->space != NULL && why_clients(w, NULL, &err) == 0) {
		json_object_foreach(w->sessions, session, space)
		    sq_why_trouble(&w->told, "a session of that client is in space %s: %s",
			json_string_value(space), session);
		if (json_object_size(w->sessions) > 0)
			sq_why_mend(&w->told,
			    "run it in space %s (on Kubernetes the namespace), or ask for its "
			    "own: --space",
			    w->ask->space);
	}
	if (json_object_size(w->sessions) == 0)
		sq_why_mend(&w->told, "connect it; which there are: sqmqos sessions ls --wide");
	sq_buf_fini(&err);
}

/* ---- telling ---- */

static void
why_near(struct why *w)
{
	const json_t *row;
	size_t i;

	json_array_foreach(w->near, i, row)
	{
		const char *filter = why_filter(row), *tag = sq_why_text(row, "tag");
		struct sq_topic_filter f;

		if (sq_topic_filter_parse(sq_bytes_of(filter), &f, NULL) != 0)
			continue;
		if (f.tag.len == 0)
			f.tag = sq_bytes_of(tag);
		if (sq_topic_match(f.filter, sq_bytes_of(w->ask->topic)))
			sq_why_fact(&w->told,
			    "%s takes the topic by %s, but only messages with the tag %.*s: they "
			    "have it as the "
			    "user property tag",
			    why_taker(row), filter, (int)f.tag.len, f.tag.p);
		else
			sq_why_fact(&w->told,
			    "%s takes %s, which is nearly the topic: letters, or a slash in front, "
			    "differ",
			    why_taker(row), filter);
	}
}

/* Tells of groups whose filters the view does not tell: they have no subscription now. */
static bool
why_orphan(void *arg, const json_t *row)
{
	struct why *w = arg;

	if (json_is_integer(json_object_get(row, "expires")))
		sq_why_fact(&w->told,
		    "queue %s is kept without a subscription; the view does not tell whether it "
		    "takes the "
		    "topic",
		    sq_why_text(row, "queue"));
	return true;
}

/* Tells of subscriptions of other spaces. */
static void
why_elsewhere(struct why *w)
{
	struct sq_buf err = {0};
	const json_t *row;
	size_t i;

	if (w->ask->space != NULL && why_subscriptions(w, NULL, &err) == 0 && w->n_takes > 0) {
		json_array_foreach(w->takes, i, row) if (i < WHY_NEAR_MAX) sq_why_trouble(&w->told,
		    "in space %s, %s takes it by %s: what is published in space "
		    "%s does not come there, unless both share their topics",
		    sq_why_text(row, "space"), why_taker(row), why_filter(row), w->ask->space);
		sq_why_mend(&w->told,
		    "publish and subscribe in one space, on Kubernetes one namespace, or "
		    "let the spaces share one in the broker's configuration: spaces");
	}
	sq_buf_fini(&err);
}

/* Tells of subscriptions that the pods of the client's sessions declare: another client takes them. */
static void
why_declared(struct why *w)
{
	json_t *sessions = w->sessions;
	struct sq_buf err = {0};
	const json_t *row;
	size_t i;

	w->sessions = NULL;
	if (sessions != NULL && why_subscriptions(w, w->ask->space, &err) == 0) {
		json_array_foreach(w->takes, i, row)
		{
			const char *session = sq_why_text(row, "session");

			if (strcmp(sq_why_text(row, "kind"), "declared") != 0)
				continue;
			sq_why_fact(&w->told, "%s takes it, by the declared %s, from queue %s",
			    session, sq_why_text(row, "filter"), sq_why_text(row, "queue"));
			sq_why_keeper(&w->told, sq_why_text(row, "space"), session,
			    sq_why_text(row, "queue"));
		}
	}
	w->sessions = sessions;
	sq_buf_fini(&err);
}

static void
why_nothing(struct why *w)
{
	struct sq_wanted queues = {.table = "queues", .space = w->ask->space};
	struct sq_buf err = {0};

	sq_why_trouble(&w->told, "nothing%s%s takes it%s%s",
	    w->ask->client != NULL ? " of client " : "",
	    w->ask->client != NULL ? w->ask->client : "", w->ask->space != NULL ? " in space " : "",
	    w->ask->space != NULL ? w->ask->space : "");
	sq_why_mend(&w->told,
	    "let the app subscribe to %s, or bind it to a named queue, or its pod's annotation: "
	    "sqmqos.io/subscribe: "
	    "\"%s\"; what there is: sqmqos subscriptions ls, sqmqos bindings ls",
	    w->ask->topic, w->ask->topic);
	why_near(w);
	(void)!w->told.view->rows(w->told.view->owner, &queues, why_orphan, w, &err);
	sq_buf_fini(&err);
	why_declared(w);
	why_elsewhere(w);
}

/* Whether an earlier row has the same value. */
static bool
why_again(const json_t *rows, size_t at, const char *column)
{
	const json_t *row = json_array_get(rows, at);

	for (size_t i = 0; i < at; i++)
		if (strcmp(sq_why_text(json_array_get(rows, i), column),
			sq_why_text(row, column)) == 0)
			return true;
	return false;
}

static void
why_take(struct why *w, const json_t *row)
{
	int qos = (int)json_integer_value(json_object_get(row, "qos"));

	if (sq_why_text(row, "session")[0] != '\0')
		sq_why_fact(&w->told, "%s takes it by %s, at QoS %d at most, from queue %s",
		    sq_why_text(row, "session"), sq_why_text(row, "filter"), qos,
		    sq_why_text(row, "queue"));
	else
		sq_why_fact(&w->told,
		    "named queue %s takes it by its binding %s, at QoS %d at most, for whoever "
		    "takes from it",
		    sq_why_text(row, "queue"), sq_why_text(row, "id"), qos);
}

static void
why_takes(struct why *w)
{
	const json_t *row;
	size_t i;

	json_array_foreach(w->takes, i, row)
	{
		const char *space = sq_why_text(row, "space"),
			   *session = sq_why_text(row, "session");
		const char *queue = sq_why_text(row, "queue");

		why_take(w, row);
		if (!why_again(w->takes, i, "queue"))
			sq_why_queue(&w->told, space, queue);
		if (session[0] != '\0' && !why_again(w->takes, i, "session"))
			sq_why_session(&w->told, space, session);
		if (strcmp(sq_why_text(row, "kind"), "declared") == 0)
			sq_why_keeper(&w->told, space, session, queue);
	}
	if (w->n_takes > WHY_TOLD_MAX)
		sq_why_fact(&w->told, "and %zu more", w->n_takes - WHY_TOLD_MAX);
	json_array_foreach(w->takes, i, row) if (!why_again(w->takes, i, "space"))
	    sq_why_space(&w->told, sq_why_text(row, "space"));
}

/* What takes the topic, of the sessions in question. */
static enum sq_found
why_tell(struct why *w, struct sq_buf *err)
{
	const char *closed = sq_topic_closed(sq_bytes_of(w->ask->topic));

	if (closed != NULL)
		sq_why_trouble(&w->told, "no client may publish to %s: %s", w->ask->topic, closed);
	if (w->sessions != NULL && why_clients(w, w->ask->space, err) != 0)
		return SQ_FOUND_ERROR;
	if (w->sessions != NULL && json_object_size(w->sessions) == 0) {
		why_no_client(w);
		return SQ_FOUND_NONE;
	}
	if (why_subscriptions(w, w->ask->space, err) != 0)
		return SQ_FOUND_ERROR;
	if (w->n_takes == 0) {
		why_nothing(w);
		return SQ_FOUND_NONE;
	}
	why_takes(w);
	return SQ_FOUND;
}

/* What the broker has done with messages of the topic. */
static void
why_history(struct why *w)
{
	const struct sq_why_ask *ask = w->ask;

	if (ask->key != NULL && sq_why_key(&w->told, ask->space, ask->key) == 0)
		sq_why_fact(&w->told, "key %s is not known: a message with it is stored", ask->key);
	(void)sq_why_refused(&w->told, ask->space, ask->topic, ask->client);
	(void)sq_why_gone(&w->told, ask->space, ask->topic, NULL);
	sq_why_broker(&w->told);
}

enum sq_found
sq_why_topic(const struct sq_why_told *told, const struct sq_why_ask *ask, struct sq_buf *err)
{
	struct why w = {
	    .told = *told,
	    .ask = ask,
	    .sessions = ask->client != NULL ? json_object() : NULL,
	    .takes = json_array(),
	    .near = json_array(),
	};
	enum sq_found found = why_tell(&w, err);

	if (found != SQ_FOUND_ERROR)
		why_history(&w);
	if (found == SQ_FOUND && w.told.troubles == 0)
		sq_why_fact(&w.told, "nothing that the view tells stands in the way");

	json_decref(w.sessions);
	json_decref(w.takes);
	json_decref(w.near);
	return found;
}
