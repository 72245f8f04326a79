#include "cli/view/why_message.h"

#include <stdlib.h>
#include <string.h>

#include "cli/view/why_rule.h"
#include "cli/view/why_things.h"
#include "core/mem.h"

enum { ROWS_MAX = 20 }; /* queues, clients or letters that are told of */

static const struct sq_why_rule origin_rules[] = {
    {.when = {SQ_WHEN("session", KNOWN)}, .says = "{session} published it, as number {*number}"},
};

static const struct sq_why_rule waiting_rules[] = {
    {.says = "it waits in queue {queue}: topic {topic}, QoS {qos}, {bytes|bytes}, for {age|span}, "
	     "behind "
	     "{*before}"},
    {.when = {SQ_WHEN("attempts", SOME)},
	.is = SQ_WHY_TROUBLE,
	.says = "it has been tried {attempts} times: its client's connection broke each time",
	.mend =
	    "see the app's log; max-attempts in sqmqos.io/subscribe makes a dead letter of such a "
	    "message"},
    {.when = {SQ_WHEN("expires", PAST)},
	.is = SQ_WHY_TROUBLE,
	.says = "its time was over {expires|time}: it leaves at its turn, undelivered",
	.mend = "publish with a longer Message Expiry Interval, or let its client take sooner"},
};

static const struct sq_why_rule delivery_rules[] = {
    {.when = {SQ_WHEN_IS("state", "sending")},
	.says = "it is on its way from queue {queue} to {session}",
	.one_of = 1},
    {.when = {SQ_WHEN_IS("state", "received")},
	.says =
	    "{session} has received it from queue {queue}; the end of its QoS 2 handshake is open",
	.one_of = 1},
    {.when = {SQ_WHEN_IS("state", "ending")},
	.says = "{session} has its packet id {packet} open; the broker has the message no more",
	.one_of = 1},
    {.is = SQ_WHY_TROUBLE,
	.says =
	    "{session} has it from queue {queue}, as packet {packet}, and has not acknowledged it",
	.mend = "see the app: it acknowledges when it has done its work; sqmqos sessions show "
		"'{session}'",
	.one_of = 1},
};

static const struct sq_why_rule letter_rules[] = {
    {.is = SQ_WHY_TROUBLE,
	.says = "it is dead letter {letter} of {queue}, from queue {from}, since {died}: {cause}",
	.mend = "when the cause is gone: sqmqos dead-letters redrive '{queue}' --letter {letter}"},
};

struct following {
	struct sq_why_told *told;
	const struct sq_why_ask *ask;
	json_t *waiting; /* rows of messages */
	json_t *origin;  /* of the first row that has one */
	size_t deliveries, letters;
};

static void
following_origin(struct following *f, const json_t *row)
{
	if (f->origin == NULL && json_is_string(json_object_get(row, "origin")))
		f->origin = json_incref(json_object_get(row, "origin"));
}

/* ---- where it is ---- */

static bool
following_waits(void *arg, const json_t *row)
{
	struct following *f = arg;

	following_origin(f, row);
	json_array_append_new(f->waiting, json_deep_copy(row));
	return json_array_size(f->waiting) < ROWS_MAX;
}

static bool
following_delivery(void *arg, const json_t *row)
{
	struct following *f = arg;

	following_origin(f, row);
	SQ_WHY_JUDGE(f->told, delivery_rules, row);
	sq_why_session(f->told, sq_why_text(row, "space"), sq_why_text(row, "session"));
	return ++f->deliveries < ROWS_MAX;
}

static bool
following_letter(void *arg, const json_t *row)
{
	struct following *f = arg;

	if (strcmp(sq_why_text(row, "key"), f->ask->message) == 0) {
		SQ_WHY_JUDGE(f->told, letter_rules, row);
		f->letters++;
	}
	return f->letters < ROWS_MAX;
}

/* How many messages stand before one in its queue. */
struct before {
	long long number, n;
};

static bool
before_row(void *arg, const json_t *row)
{
	struct before *b = arg;

	if (sq_why_number(row, "number") >= b->number)
		return false;
	b->n++;
	return true;
}

static void
following_tell(struct following *f, const json_t *row)
{
	const char *space = sq_why_text(row, "space"), *queue = sq_why_text(row, "queue");
	struct before before = {sq_why_number(row, "number"), 0};
	struct sq_wanted wanted = {
	    .table = "messages", .space = space, .queue = queue, .columns = "number"};
	struct sq_buf text = {0};

	(void)sq_why_rows(f->told, &wanted, before_row, &before);
	sq_buf_printf(&text, "%lld others", before.n);
	sq_buf_u8(&text, '\0');
	sq_why_beside(f->told, "before", (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	SQ_WHY_JUDGE(f->told, waiting_rules, row);
	sq_why_queue(f->told, space, queue);
	sq_why_session(f->told, space, queue); /* if it is a session's own */
}

/* ---- who published it ---- */

/* The origin is INCARNATION.RUN.NUMBER. */
static void
following_publisher(struct following *f)
{
	const char *origin = json_string_value(f->origin);
	const char *dot = origin != NULL ? strchr(origin, '.') : NULL;
	json_t *row = NULL;
	char *incarnation;

	if (dot == NULL)
		return;
	incarnation = sq_xmemdup0(origin, (size_t)(dot - origin));
	sq_why_beside(f->told, "number", strrchr(origin, '.') + 1);
	row = sq_why_find(f->told, "sessions", f->ask->space, "incarnation", incarnation);
	SQ_WHY_JUDGE(f->told, origin_rules, row);
	json_decref(row);
	free(incarnation);
}

/* ---- all of it ---- */

static enum sq_found
following_nowhere(struct following *f, unsigned known, bool whole)
{
	const char *name = f->ask->message;

	if (known > 0) {
		sq_why_fact(f->told,
		    "it waits in no queue, no client has it open, and it is no dead letter: it has "
		    "been delivered and acknowledged, or only the store has it, or it waits for "
		    "its time (sqmqos-delay), or of a named queue it is leased over HTTP, or waits "
		    "for a retry (sqmqos subscribers ls)");
		return SQ_FOUND;
	}
	sq_why_trouble(f->told,
	    "no message with the key or origin %s waits, is with a client, or has been lost of "
	    "late, "
	    "and no such key is known%s",
	    name, whole ? "" : " (not all messages were looked at)");
	sq_why_mend(f->told,
	    "see whether it was refused, and who takes its topic: sqmqos why --topic TOPIC");
	return SQ_FOUND_NONE;
}

static enum sq_found
following_all(struct following *f, struct sq_buf *err)
{
	const char *space = f->ask->space, *name = f->ask->message;
	struct sq_wanted messages = {.table = "messages", .space = space, .name = name};
	struct sq_wanted deliveries = {.table = "deliveries", .space = space, .name = name};
	struct sq_wanted letters = {.table = "dead-letters", .space = space};
	const struct sq_tables *view = f->told->view;
	unsigned known, gone;
	const json_t *row;
	bool whole;
	size_t i;

	if (view->rows(view->owner, &messages, following_waits, f, err) != 0)
		return SQ_FOUND_ERROR;
	known = sq_why_key(f->told, space, name);
	json_array_foreach(f->waiting, i, row) following_tell(f, row);
	(void)sq_why_rows(f->told, &deliveries, following_delivery, f);
	following_publisher(f);
	gone = sq_why_gone(f->told, space, NULL, name);
	whole = sq_why_rows(f->told, &letters, following_letter, f);
	sq_why_broker(f->told);
	if (json_array_size(f->waiting) + f->deliveries + f->letters + gone > 0)
		return SQ_FOUND;
	return following_nowhere(f, known, whole);
}

enum sq_found
sq_why_message(struct sq_why_told *told, const struct sq_why_ask *ask, struct sq_buf *err)
{
	struct following f = {.told = told, .ask = ask, .waiting = json_array()};
	enum sq_found found = following_all(&f, err);

	json_decref(f.waiting);
	json_decref(f.origin);
	return found;
}
