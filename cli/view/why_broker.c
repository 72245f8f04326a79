#include <time.h>

#include "cli/view/why_rule.h"
#include "cli/view/why_things.h"
#include "core/mem.h"

enum { STILL_NAPS = 10, STILL_NAP_NS = 100 * 1000 * 1000 }; /* a second */

static const struct sq_why_rule space_rules[] = {
    {.when = {SQ_WHEN("full", SOME)},
	.is = SQ_WHY_TROUBLE,
	.says = "space {space} may have no more: {full|texts}",
	.mend =
	    "free some, or raise spaces.{space}.limits or the broker's totals: sqmqos spaces show "
	    "{space}"},
};

static const struct sq_why_rule store_rules[] = {
    {.when = {SQ_WHEN("healthy", FALSE)},
	.is = SQ_WHY_TROUBLE,
	.says = "the store is not healthy: {why}"},
    {.when = {SQ_WHEN("stalled", TRUE)},
	.is = SQ_WHY_TROUBLE,
	.says =
	    "the store stalls: commits have been waiting for long, so publishes of QoS 1 and 2 to "
	    "durable "
	    "queues are not acknowledged"},
    {.when = {SQ_WHEN("still", SOME), SQ_WHEN("stalled", FALSE)},
	.is = SQ_WHY_TROUBLE,
	.says =
	    "the store stalls: {still} messages wait for their commit, and nothing was committed "
	    "within a second"},
    {.when = {SQ_WHEN("full", TRUE)},
	.is = SQ_WHY_TROUBLE,
	.says = "the store is full and takes nothing new"},
    {.when = {SQ_WHEN("healthy", FALSE)},
	.mend = "see the broker's log and its volume: sqmqos store show",
	.one_of = 1},
    {.when = {SQ_WHEN("still", SOME)},
	.mend = "see the broker's log and its volume: sqmqos store show",
	.one_of = 1},
    {.when = {SQ_WHEN("stalled", TRUE)},
	.mend = "see the broker's log and its volume: sqmqos store show",
	.one_of = 1},
    {.when = {SQ_WHEN("full", TRUE)},
	.mend = "let queues empty, or raise the broker's store.max-size: sqmqos store show",
	.one_of = 1},
};

static const struct sq_why_rule link_rules[] = {
    {.when = {SQ_WHEN_IS("kind", "link"), SQ_WHEN("last", LATELY)},
	.is = SQ_WHY_TROUBLE,
	.says = "links of {who} are refused with HTTP {code}, {count|times}, the last {last|time}: "
		"{text}",
	.mend = "give its sidecar a credential that the broker takes: docs/troubleshooting.md, "
		"\"Certificates and tokens\""},
};

void
sq_why_space(struct sq_why_told *w, const char *space)
{
	json_t *row = sq_why_find(w, "spaces", space, "space", space);

	SQ_WHY_JUDGE(w, space_rules, row);
	json_decref(row);
}

static bool
broker_refused(void *arg, const json_t *row)
{
	SQ_WHY_JUDGE(arg, link_rules, row);
	return true;
}

/* Notes in the store's row how many messages wait while nothing is committed: a disk that does not
 * answer says nothing of it. */
static void
broker_still(struct sq_why_told *w, json_t *store)
{
	const struct timespec nap = {.tv_nsec = STILL_NAP_NS};
	long long commits = sq_why_number(store, "commits");
	bool still = true;

	for (int i = 0; i < STILL_NAPS && still; i++) {
		json_t *now;

		nanosleep(&nap, NULL);
		now = sq_why_find(w, "store", NULL, "engine", NULL);
		still = now != NULL && sq_why_number(now, "commits") == commits;
		json_decref(now);
	}
	if (still)
		json_object_set_new(store, "still", json_integer(w->coming));
}

void
sq_why_broker(struct sq_why_told *w)
{
	json_t *store = sq_why_find(w, "store", NULL, "engine", NULL);
	struct sq_wanted refusals = {.table = "refusals"};

	if (store != NULL && w->coming > 0 && json_is_true(json_object_get(store, "durable")))
		broker_still(w, store);
	SQ_WHY_JUDGE(w, store_rules, store);
	(void)sq_why_rows(w, &refusals, broker_refused, w);
	json_decref(store);
}
