#include <string.h>

#include "cli/view/why_rule.h"
#include "cli/view/why_things.h"
#include "core/mem.h"
#include "proto/topic/topic.h"

enum { TOLD_MAX = 10, SAYS = 1, MENDS };

#define OFTEN " with {code|code}, {count|times}, the last {last|time}: {text}"

static const struct sq_why_rule refused_rules[] = {
    {.when = {SQ_WHEN_IS("reason", "unmatched")},
	.is = SQ_WHY_TROUBLE,
	.says = "{who} published to {topic} in space {space}, and nothing took it: the last "
		"{last|time}",
	.one_of = SAYS},
    {.when = {SQ_WHEN_IS("kind", "publish"), SQ_WHEN("queue", KNOWN)},
	.is = SQ_WHY_TROUBLE,
	.says = "{who} was refused a publish to {topic}, because of queue {queue}," OFTEN,
	.one_of = SAYS},
    {.when = {SQ_WHEN_IS("kind", "publish")},
	.is = SQ_WHY_TROUBLE,
	.says = "{who} was refused a publish to {topic}" OFTEN,
	.one_of = SAYS},
    {.when = {SQ_WHEN_IS("kind", "subscription"), SQ_WHEN("topic", KNOWN)},
	.is = SQ_WHY_TROUBLE,
	.says = "{who} was refused a subscription to {topic}" OFTEN,
	.one_of = SAYS},
    {.when = {SQ_WHEN_IS("kind", "attach")},
	.is = SQ_WHY_TROUBLE,
	.says =
	    "{who} was refused its session with HTTP {code}, {count|times}, the last {last|time}: "
	    "{text}",
	.one_of = SAYS},
    {.is = SQ_WHY_TROUBLE, .says = "{who} was refused a {kind} to {topic}" OFTEN, .one_of = SAYS},
    /* What mends it. */
    {.when = {SQ_WHEN_IS("reason", "unmatched")},
	.mend = "subscribe in space {space}, or publish in the space of who subscribes",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "denied"), SQ_WHEN_IS("kind", "attach")},
	.mend =
	    "run it in the space, and with the account, whose session it is; or another client id",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "denied"), SQ_WHEN("identity", KNOWN)},
	.mend =
	    "let a rule of the broker's acl allow it: sqmqos-broker --config FILE --explain-acl "
	    "{identity} … says which decides",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "denied")},
	.mend = "let a rule of the broker's acl allow it: docs/security.md",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "queue-full")},
	.mend = "see who takes from it: sqmqos queues show '{queue}'",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "store-full")},
	.mend = "see the store: sqmqos store show",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "dead-letters-full")},
	.mend =
	    "take the dead letters, or redrive them: sqmqos dead-letters redrive --space {space}",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("reason", "property")},
	.mend = "correct the message's user property, or over HTTP its header: it is refused "
		"each time",
	.one_of = MENDS},
    {.when = {SQ_WHEN("space", KNOWN)},
	.mend = "see what the space may have: sqmqos spaces show {space}",
	.one_of = MENDS},
};

struct refused_walk {
	struct sq_why_told *told;
	const char *topic, *client;
	unsigned n;
};

/* Whether the filter takes the topic. */
static bool
refused_filter(const char *filter, const char *topic)
{
	struct sq_topic_filter f;

	return sq_topic_filter_parse(sq_bytes_of(filter), &f, NULL) == 0 &&
	    sq_topic_match(f.filter, sq_bytes_of(topic));
}

/* Whether the session's key has the client id as its third part. */
static bool
refused_is(const char *who, const char *client)
{
	size_t len = strlen(client);
	const char *at = strchr(who, '~');

	if (strcmp(who, client) == 0)
		return true;
	at = at != NULL ? strchr(at + 1, '~') : NULL;
	return at != NULL && strncmp(at + 1, client, len) == 0 &&
	    (at[1 + len] == '\0' || at[1 + len] == '~');
}

static bool
refused_concerns(const struct refused_walk *r, const json_t *row)
{
	const char *kind = sq_why_text(row, "kind"), *topic = sq_why_text(row, "topic");
	bool of_client = r->client != NULL && refused_is(sq_why_text(row, "who"), r->client);

	if (strcmp(kind, "attach") == 0)
		return of_client;
	if (r->topic == NULL || topic[0] == '\0')
		return false;
	if (strcmp(kind, "subscription") == 0)
		return refused_filter(topic, r->topic) && (r->client == NULL || of_client);
	return strcmp(topic, r->topic) == 0;
}

/* A publish over HTTP is of no session, and 'who' is its space: its identity stands for it. */
static json_t *
refused_named(const json_t *row)
{
	json_t *named = json_deep_copy(row), *identity = json_object_get(named, "identity");

	if (json_is_string(identity) &&
	    strcmp(sq_why_text(row, "who"), sq_why_text(row, "space")) == 0)
		json_object_set(named, "who", identity);
	return named;
}

static bool
refused_row(void *arg, const json_t *row)
{
	struct refused_walk *r = arg;
	json_t *named;

	if (!refused_concerns(r, row) || r->n++ >= TOLD_MAX)
		return true;
	named = refused_named(row);
	SQ_WHY_JUDGE(r->told, refused_rules, named);
	json_decref(named);
	return true;
}

unsigned
sq_why_refused(struct sq_why_told *w, const char *space, const char *topic, const char *client)
{
	struct refused_walk r = {w, topic, client, 0};
	struct sq_wanted refusals = {.table = "refusals", .space = space};

	(void)sq_why_rows(w, &refusals, refused_row, &r);
	if (r.n > TOLD_MAX)
		sq_why_fact(w, "and %u refusals more", r.n - TOLD_MAX);
	return r.n;
}
