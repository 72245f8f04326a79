#include "cli/view/why_rule.h"
#include "cli/view/why_things.h"
#include "core/mem.h"

enum { WAITS = 1, FULL, FULL_MEND, LONELY };

#define ROOM \
	"queue {queue} is full, {depth} of {max_messages} messages, {bytes|bytes} of " \
	"{max_bytes|bytes}: "

static const struct sq_why_rule queue_rules[] = {
    /* What waits. */
    {.when = {SQ_WHEN("depth", ZERO)}, .says = "  nothing waits in it", .one_of = WAITS},
    {.when = {SQ_WHEN("age", KNOWN)},
	.says = "  {depth} messages wait in it, in front of the next one, {bytes|bytes}, the "
		"oldest for "
		"{age|span}",
	.one_of = WAITS},
    {.says = "  {depth} messages wait in it, in front of the next one, {bytes|bytes}",
	.one_of = WAITS},
    {.when = {SQ_WHEN("unacknowledged", SOME)},
	.says = "  {unacknowledged} more are with clients, which have not acknowledged them"},
    {.when = {SQ_WHEN("parked", SOME)},
	.says = "  {parked} more have failed, and wait for another attempt"},
    {.when = {SQ_WHEN("coming", SOME)}, .says = "  {coming} more wait for their commit"},
    {.when = {SQ_WHEN_IS_NOT("kind", "session"), SQ_WHEN("members", KNOWN)},
	.says = "  {members} take from it"},
    /* It is full. */
    {.when = {SQ_WHEN("full", TRUE), SQ_WHEN_IS("overflow", "drop-oldest")},
	.is = SQ_WHY_TROUBLE,
	.says = ROOM "each new message drops the oldest",
	.one_of = FULL},
    {.when = {SQ_WHEN("full", TRUE), SQ_WHEN_IS("overflow", "drop-new")},
	.is = SQ_WHY_TROUBLE,
	.says = ROOM "new messages are dropped",
	.one_of = FULL},
    {.when = {SQ_WHEN("full", TRUE), SQ_WHEN("members", ZERO), SQ_WHEN("durable", TRUE),
	 SQ_WHEN_IS_NOT("kind", "queue")},
	.is = SQ_WHY_TROUBLE,
	.says = ROOM
	"as nobody takes from it, each new message drives the oldest out, to the dead letters; "
	"of QoS 3 publishes are refused",
	.one_of = FULL},
    {.when = {SQ_WHEN("full", TRUE)},
	.is = SQ_WHY_TROUBLE,
	.says = ROOM "publishes to it are refused",
	.one_of = FULL},
    {.when = {SQ_WHEN("full", TRUE), SQ_WHEN_IS("kind", "declared")},
	.mend = "let more pods take from it, or raise max-length in the pods' sqmqos.io/subscribe, "
		"or the "
		"broker's queue.max-messages and queue.max-bytes",
	.one_of = FULL_MEND},
    {.when = {SQ_WHEN("full", TRUE), SQ_WHEN_IS("kind", "queue")},
	.mend = "let more pull from it or join it, or raise its max-messages and max-bytes, or the "
		"broker's queue.max-messages and queue.max-bytes",
	.one_of = FULL_MEND},
    {.when = {SQ_WHEN("full", TRUE)},
	.mend = "let its client take faster, or raise the broker's queue.max-messages and "
		"queue.max-bytes",
	.one_of = FULL_MEND},
    {.when = {SQ_WHEN("full", TRUE), SQ_WHEN("unacknowledged", SOME)},
	.mend =
	    "see why its clients do not acknowledge the {unacknowledged} messages that they have"},
    {.when = {SQ_WHEN("full", TRUE)},
	.mend = "to throw away what waits: sqmqos queues purge '{queue}' --yes"},
    /* Nobody is there; of a session's own queue that is said with the session. */
    {.when = {SQ_WHEN_IS("kind", "session")}, .one_of = LONELY},
    {.when = {SQ_WHEN("members", ZERO), SQ_WHEN_IS("kind", "declared")},
	.is = SQ_WHY_TROUBLE,
	.says = "nobody is there to take from queue {queue}, for {lonely|span}",
	.mend = "see that its pods run and their app is connected: kubectl get pods -n {space}",
	.one_of = LONELY},
    {.when = {SQ_WHEN("paused", TRUE)},
	.is = SQ_WHY_TROUBLE,
	.says = "queue {queue} is paused: nothing of it is handed out",
	.mend = "sqmqos subscribers show says why, sqmqos subscribers resume ends it",
	.one_of = LONELY},
    {.when = {SQ_WHEN("members", ZERO), SQ_WHEN_IS("kind", "queue")},
	.is = SQ_WHY_TROUBLE,
	.says = "nobody pulls from queue {queue}, or has joined it, for {lonely|span}",
	.mend = "start what pulls from it over HTTP, or subscribes to $queue/ and its name",
	.one_of = LONELY},
    {.when = {SQ_WHEN("members", ZERO)},
	.is = SQ_WHY_TROUBLE,
	.says = "nobody is there to take from queue {queue}, for {lonely|span}",
	.mend = "connect a client that takes from it: sqmqos sessions ls --space {space}",
	.one_of = LONELY},
    /* What it has refused and lost. */
    {.when = {SQ_WHEN("refused", SOME)},
	.is = SQ_WHY_TROUBLE,
	.says = "queue {queue} has refused messages: {refused|counts}",
	.mend =
	    "docs/view.md and docs/troubleshooting.md say what each reason is: sqmqos queues show "
	    "'{queue}'"},
    {.when = {SQ_WHEN("left", SOME)},
	.is = SQ_WHY_TROUBLE,
	.says = "messages left queue {queue} undelivered: {left|counts}",
	.mend = "docs/view.md says what each is; some are dead letters now: sqmqos dead-letters ls "
		"--space "
		"{space}"},
};

void
sq_why_queue(struct sq_why_told *w, const char *space, const char *name)
{
	json_t *q = sq_why_find(w, "queues", space, "queue", name);

	if (q != NULL)
		SQ_WHY_JUDGE(w, queue_rules, q);
	w->coming += sq_why_number(q, "coming");
	json_decref(q);
}
