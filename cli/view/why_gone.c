#include <string.h>

#include "cli/view/why_rule.h"
#include "cli/view/why_things.h"
#include "core/mem.h"

enum { TOLD_MAX = 5, SAYS = 1, MENDS };

static const struct sq_why_rule gone_rules[] = {
    {.when = {SQ_WHEN_IS("why", "expired")},
	.is = SQ_WHY_TROUBLE,
	.says =
	    "a message to {topic} expired in queue {queue}, {at|time}: nobody took it in its time",
	.one_of = SAYS},
    {.when = {SQ_WHEN_IS("why", "purged")},
	.is = SQ_WHY_TROUBLE,
	.says = "a message to {topic} was in queue {queue} when an operator purged it, {at|time}",
	.one_of = SAYS},
    {.is = SQ_WHY_TROUBLE,
	.says = "a message to {topic} left queue {queue} undelivered, {at|time}: {why}, after "
		"{attempts} "
		"attempts",
	.one_of = SAYS},
    {.when = {SQ_WHEN("key", KNOWN)}, .says = "  it had the key {key}"},
    {.when = {SQ_WHEN_IS("why", "expired")},
	.mend =
	    "publish with a longer Message Expiry Interval (ttl of a publish rule; the broker's "
	    "message.expiry-default and message.expiry-max), or let its client take sooner",
	.one_of = MENDS},
    {.when = {SQ_WHEN_IS("why", "purged")},
	.mend = "the broker's log says who did: queues/purge",
	.one_of = MENDS},
    {.mend = "if it is a dead letter now: sqmqos dead-letters ls --space {space}, and, when its "
	     "cause "
	     "is "
	     "gone, sqmqos dead-letters redrive --space {space}",
	.one_of = MENDS},
};

static const struct sq_why_rule key_rules[] = {
    {.when = {SQ_WHEN("message", ASKED)},
	.says = "its key is known in space {space}: it was stored {since|time}, and is forgotten "
		"{expires|time}",
	.one_of = SAYS},
    {.is = SQ_WHY_TROUBLE,
	.says = "key {key} is known in space {space}: a message with it was stored {since|time}; "
		"what comes with it is acknowledged and not stored again; it is forgotten "
		"{expires|time}",
	.mend = "another message needs another key; where the first one is: sqmqos why --message "
		"'{key}'",
	.one_of = SAYS},
};

struct gone_walk {
	struct sq_why_told *told;
	const char *topic;
	json_t *last; /* rows, TOLD_MAX at most */
	unsigned n;
};

static bool
gone_row(void *arg, const json_t *row)
{
	struct gone_walk *g = arg;

	if (g->topic != NULL && strcmp(sq_why_text(row, "topic"), g->topic) != 0)
		return true;
	g->n++;
	if (json_array_size(g->last) == TOLD_MAX)
		json_array_remove(g->last, 0);
	json_array_append_new(g->last, json_deep_copy(row));
	return true;
}

unsigned
sq_why_gone(struct sq_why_told *w, const char *space, const char *topic, const char *name)
{
	struct gone_walk g = {w, topic, json_array(), 0};
	struct sq_wanted gone = {.table = "gone", .space = space, .name = name};
	const json_t *row;
	size_t i;

	(void)sq_why_rows(w, &gone, gone_row, &g);
	json_array_foreach(g.last, i, row) SQ_WHY_JUDGE(w, gone_rules, row);
	if (g.n > TOLD_MAX)
		sq_why_fact(w, "and %u more before", g.n - TOLD_MAX);
	json_decref(g.last);
	return g.n;
}

static bool
key_row(void *arg, const json_t *row)
{
	struct gone_walk *g = arg;

	g->n++;
	SQ_WHY_JUDGE(g->told, key_rules, row);
	return true;
}

unsigned
sq_why_key(struct sq_why_told *w, const char *space, const char *key)
{
	struct gone_walk g = {w, NULL, NULL, 0};
	struct sq_wanted keys = {.table = "keys", .space = space, .name = key};

	(void)sq_why_rows(w, &keys, key_row, &g);
	return g.n;
}
