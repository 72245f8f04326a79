/* What becomes of a message is one table, whichever way it comes in: by a link, in a batch of a
 * client's session; by a call without a session; in a list of such a call that is published as a whole;
 * or by the headers and the body of an HTTP request,
 * which that call carries. */
#include <stdio.h>
#include <string.h>

#include "../support/fake_publish.h"
#include "../support/stored_engine.h"
#include "broker/auth/acl/acl.h"
#include "broker/front/http/fields.h"
#include "broker/front/http/mapping.h"
#include "core/memory.h"

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ASSURED "sqmqos-qos", "3"
#define KEYED ASSURED, "sqmqos-key", "k"
#define TOPIC "ok/a"
#define TAGS(x) /* 12 of them */ \
	"tag", x "1", "tag", x "2", "tag", x "3", "tag", x "4", "tag", x "5", "tag", x "6", "tag", \
	    x "7", "tag", x "8", "tag", x "9", "tag", x "10", "tag", x "11", "tag", x "12"

/* How the broker is when the message comes. */
enum state {
	NOBODY,       /* nothing matches */
	WATCHED,      /* a client that is there has subscribed */
	RULED,        /* the same, and only ok/# may be published to */
	KNOWN,        /* the same message has come before, the same way */
	FULL,         /* a durable queue is full and refuses */
	FULL_KNOWN,   /* the same, and the message is in it */
	FULL_OLDEST,  /* it drops its oldest for a newer one */
	FULL_NEW,     /* it drops what is newer */
	STORE_FULL,   /* the store takes nothing new */
	MEMORY,       /* nothing is taken that needs memory */
	MEMORY_SHORT, /* nothing is taken that stays in memory */
	KEYS_FULL,
	RETAINED_FULL,
	DELAYED_FULL,
	DEAD_FULL,
};

struct row {
	const char *name;
	enum state state;
	struct entry e; /* without a topic: to TOPIC */
	/* The outcome. */
	uint8_t code, refusal, how;
};

#define TAKEN 0, SQ_REFUSAL_NONE
#define NOWHERE 0x10, SQ_REFUSAL_NONE, SQ_PUBLISHED_NO_MATCH
#define UNMATCHED 0x10, SQ_REFUSAL_UNMATCHED, SQ_PUBLISHED_NO_MATCH
#define ACCEPTED TAKEN, SQ_PUBLISHED_ACCEPTED
#define STORED TAKEN, SQ_PUBLISHED_STORED
#define REPLAYED TAKEN, SQ_PUBLISHED_REPLAYED
#define SCHEDULED TAKEN, SQ_PUBLISHED_SCHEDULED
#define REFUSED(code, why) code, SQ_REFUSAL_##why, SQ_PUBLISHED_REFUSED

static char long_key[258], levels[100];

static const struct row rows[] = {
    {"nobody, QoS 0", NOBODY, {.qos = 0}, ACCEPTED},
    {"nobody, QoS 1", NOBODY, {.qos = 1}, NOWHERE},
    {"nobody, QoS 2", NOBODY, {.qos = 2}, NOWHERE},
    {"nobody, QoS 3", NOBODY, {.qos = 2, .props = PROPS(ASSURED)}, UNMATCHED},
    {"nobody, key", NOBODY, {.qos = 2, .props = PROPS(KEYED)}, UNMATCHED},
    {"nobody, retained, QoS 0", NOBODY, {.retain = true}, ACCEPTED},
    {"nobody, retained, QoS 1", NOBODY, {.qos = 1, .retain = true}, STORED},
    {"nobody, retained, QoS 2", NOBODY, {.qos = 2, .retain = true}, STORED},
    {"nobody, removes a retained one", NOBODY, {.payload = "", .qos = 1, .retain = true}, STORED},
    {"nobody, delayed, QoS 0", NOBODY, {.props = PROPS("sqmqos-delay", "9")}, SCHEDULED},
    {"nobody, delayed, QoS 1", NOBODY, {.qos = 1, .props = PROPS("sqmqos-delay", "9")}, SCHEDULED},
    {"nobody, delayed, key", NOBODY, {.qos = 2, .props = PROPS(KEYED, "sqmqos-delay", "9")},
	SCHEDULED},
    {"a delay that is too long", NOBODY, {.qos = 1, .props = PROPS("sqmqos-delay", "3601")},
	REFUSED(0x83, PROPERTY)},
    {"a delay that is no number", NOBODY, {.qos = 1, .props = PROPS("sqmqos-delay", "soon")},
	REFUSED(0x83, PROPERTY)},

    {"QoS 0", WATCHED, {.qos = 0}, ACCEPTED},
    {"QoS 1", WATCHED, {.qos = 1}, STORED},
    {"QoS 2", WATCHED, {.qos = 2}, STORED},
    {"QoS 3", WATCHED, {.qos = 2, .props = PROPS(ASSURED)}, STORED},
    {"key", WATCHED, {.qos = 2, .props = PROPS(KEYED)}, STORED},
    {"key without a QoS", WATCHED, {.qos = 2, .props = PROPS("sqmqos-key", "k")}, STORED},
    {"retained", WATCHED, {.qos = 1, .retain = true}, STORED},
    {"an app's own property", WATCHED, {.qos = 1, .props = PROPS("a", "b")}, STORED},
    {"no payload", WATCHED, {.payload = "", .qos = 1}, STORED},
    {"receipt", WATCHED, {.qos = 2, .props = PROPS(ASSURED, "sqmqos-receipt", "r")}, STORED},
    {"receipt to a filter", WATCHED, {.qos = 2, .props = PROPS(ASSURED, "sqmqos-receipt", "r/#")},
	REFUSED(0x83, PROPERTY)},
    {"receipt to $SYS", WATCHED, {.qos = 2, .props = PROPS(ASSURED, "sqmqos-receipt", "$SYS/r")},
	REFUSED(0x83, PROPERTY)},
    {"an option that is unknown", WATCHED, {.qos = 1, .props = PROPS("sqmqos-dely", "9")},
	REFUSED(0x83, PROPERTY)},
    {"a QoS that is none", WATCHED, {.qos = 2, .props = PROPS("sqmqos-qos", "4")},
	REFUSED(0x83, PROPERTY)},
    {"QoS 3 on QoS 1", WATCHED, {.qos = 1, .props = PROPS(ASSURED)}, REFUSED(0x83, PROPERTY)},
    {"key on QoS 1", WATCHED, {.qos = 1, .props = PROPS("sqmqos-key", "k")},
	REFUSED(0x83, PROPERTY)},
    {"an empty key", WATCHED, {.qos = 2, .props = PROPS("sqmqos-key", "")},
	REFUSED(0x83, PROPERTY)},
    {"a key that is too long", WATCHED, {.qos = 2, .props = PROPS("sqmqos-key", long_key)},
	REFUSED(0x83, PROPERTY)},
    {"too many tags", WATCHED, {.qos = 1, .props = PROPS(TAGS("a"), TAGS("b"), TAGS("c"))},
	REFUSED(0x97, QUOTA)},
    {"a message that is too large", WATCHED, {.payload_len = 200000, .qos = 1},
	REFUSED(0x83, QUOTA)},
    {"a filter as topic", WATCHED, {.topic = "ok/#", .qos = 1}, REFUSED(0x90, TOPIC)},
    {"a topic with too many levels", WATCHED, {.topic = levels, .qos = 1}, REFUSED(0x90, TOPIC)},
    {"$SYS", WATCHED, {.topic = "$SYS/a", .qos = 1}, REFUSED(0x90, TOPIC)},
    {"$SYS, QoS 0", WATCHED, {.topic = "$SYS/a"}, REFUSED(0x90, TOPIC)},
    {"$dead", WATCHED, {.topic = "$dead/a", .qos = 1}, REFUSED(0x90, TOPIC)},
    {"$queue", WATCHED, {.topic = "$queue/a", .qos = 2}, REFUSED(0x90, TOPIC)},

    {"an allowed topic", RULED, {.qos = 1}, STORED},
    {"a denied topic, QoS 0", RULED, {.topic = "no/a"}, REFUSED(0x87, DENIED)},
    {"a denied topic, QoS 1", RULED, {.topic = "no/a", .qos = 1}, REFUSED(0x87, DENIED)},
    {"a denied topic, retained", RULED, {.topic = "no/a", .qos = 2, .retain = true},
	REFUSED(0x87, DENIED)},
    {"a denied topic, delayed", RULED, {.topic = "no/a", .props = PROPS("sqmqos-delay", "9")},
	REFUSED(0x87, DENIED)},
    {"a denied topic, known key", RULED, {.topic = "no/a", .qos = 2, .props = PROPS(KEYED)},
	REFUSED(0x87, DENIED)},
    {"a denied receipt", RULED, {.qos = 2, .props = PROPS(ASSURED, "sqmqos-receipt", "no/r")},
	REFUSED(0x87, DENIED)},

    {"known, key", KNOWN, {.qos = 2, .props = PROPS(KEYED)}, REPLAYED},
    {"known, delayed", KNOWN, {.qos = 2, .props = PROPS(KEYED, "sqmqos-delay", "9")}, REPLAYED},
    {"known, without a key", KNOWN, {.qos = 2, .props = PROPS(ASSURED)}, STORED},

    {"full, QoS 0", FULL, {.qos = 0}, ACCEPTED},
    {"full, QoS 1", FULL, {.qos = 1}, REFUSED(0x97, QUEUE_FULL)},
    {"full, QoS 2", FULL, {.qos = 2}, REFUSED(0x97, QUEUE_FULL)},
    {"full, QoS 3", FULL, {.qos = 2, .props = PROPS(ASSURED)}, REFUSED(0x97, QUEUE_FULL)},
    {"full, retained", FULL, {.qos = 1, .retain = true}, REFUSED(0x97, QUEUE_FULL)},
    {"full, delayed", FULL, {.qos = 1, .props = PROPS("sqmqos-delay", "9")}, SCHEDULED},
    {"full, known key", FULL_KNOWN, {.qos = 2, .props = PROPS(KEYED)}, REPLAYED},
    {"full and drops its oldest, QoS 1", FULL_OLDEST, {.qos = 1}, STORED},
    {"full and drops its oldest, QoS 3", FULL_OLDEST, {.qos = 2, .props = PROPS(ASSURED)},
	REFUSED(0x97, QUEUE_FULL)},
    {"full and drops new ones, QoS 1", FULL_NEW, {.qos = 1}, STORED},
    {"full and drops new ones, QoS 3", FULL_NEW, {.qos = 2, .props = PROPS(ASSURED)},
	REFUSED(0x97, QUEUE_FULL)},

    {"store full, key", STORE_FULL, {.qos = 2, .props = PROPS(KEYED)}, REFUSED(0x97, STORE_FULL)},
    {"store full, delayed", STORE_FULL, {.qos = 1, .props = PROPS("sqmqos-delay", "9")},
	REFUSED(0x97, STORE_FULL)},
    {"store full, retained", STORE_FULL, {.topic = "ok/b", .qos = 1, .retain = true},
	REFUSED(0x97, STORE_FULL)},
    {"store full, removes a retained one", STORE_FULL,
	{.topic = "ok/b", .payload = "", .qos = 1, .retain = true}, STORED},
    {"store full, QoS 0", STORE_FULL, {.qos = 0}, ACCEPTED},

    {"memory, QoS 1", MEMORY, {.qos = 1}, REFUSED(0x97, MEMORY)},
    {"memory, QoS 3", MEMORY, {.qos = 2, .props = PROPS(KEYED)}, REFUSED(0x97, MEMORY)},
    {"short memory, QoS 1", MEMORY_SHORT, {.qos = 1}, STORED},
    {"short memory, retained", MEMORY_SHORT, {.qos = 1, .retain = true}, REFUSED(0x97, MEMORY)},
    {"short memory, delayed", MEMORY_SHORT, {.qos = 1, .props = PROPS("sqmqos-delay", "9")},
	REFUSED(0x97, MEMORY)},

    {"no room for keys, key", KEYS_FULL, {.qos = 2, .props = PROPS(KEYED)}, REFUSED(0x97, QUOTA)},
    {"no room for keys, QoS 3", KEYS_FULL, {.qos = 2, .props = PROPS(ASSURED)}, STORED},
    {"no room for retained ones", RETAINED_FULL, {.qos = 1, .retain = true}, REFUSED(0x97, QUOTA)},
    {"no room for retained ones, QoS 0", RETAINED_FULL, {.retain = true}, REFUSED(0x97, QUOTA)},
    {"no room for retained ones, replaces one", RETAINED_FULL,
	{.topic = "fill", .qos = 1, .retain = true}, STORED},
    {"no room for delayed ones", DELAYED_FULL, {.qos = 1, .props = PROPS("sqmqos-delay", "9")},
	REFUSED(0x97, QUOTA)},
    {"no room for dead letters, QoS 3", DEAD_FULL, {.qos = 2, .props = PROPS(ASSURED)},
	REFUSED(0x97, DEAD_LETTERS_FULL)},
    {"no room for dead letters, QoS 2", DEAD_FULL, {.qos = 2}, STORED},
};

static struct world w;
static struct peer pub, sub, other;

/* --- ways in --- */

/* Answers may be held back for a moment. */
static void
pass_pace(void)
{
	world_run();
	world_pass(&w, 200);
}

/* By the link; 'how' is not told there. */
static struct sq_published
send_by_link(const struct entry *said)
{
	static uint16_t id;
	struct entry e = *said;
	struct sq_published out = {0};
	struct fake_call *c;

	if (e.qos == 2)
		e.id = ++id;
	c = peer_post(&pub, e.qos > 0 || e.retain ? 1 : 0, &e, 1);
	pass_pace();
	out.code = call_outcome(c, 0);
	out.refusal = sq_note_find(c->call.out.outcomes.notes, 0).refusal;
	fake_call_free(&c);
	return out;
}

/* By a call without a session. */
static struct sq_published
send_by_call(const struct entry *e)
{
	struct publisher from = {.world = &w, .who = sq_outlet_identity(w.links[0]), .space = "s"};
	struct fake_publish *p = publisher_post(&from, e, 1);
	struct sq_published out;

	pass_pace();
	out = *publish_outcomes(p);
	publish_free(&p);
	return out;
}

static struct entry
filler(const char *topic)
{
	return (struct entry){.topic = topic, .payload = "fills", .qos = 1};
}

/* By such a call, between two others that nobody gets and that are published with it, or none. */
static struct sq_published
send_by_list(const struct entry *e, enum state state)
{
	struct publisher from = {
	    .world = &w, .who = sq_outlet_identity(w.links[0]), .space = "s", .atomic = true};
	struct entry list[] = {filler("ok/y"), *e, filler("ok/z")};
	unsigned skip = state == MEMORY; /* where the first one would be refused already */
	struct fake_publish *p = publisher_post(
	    &from, list + skip, (uint16_t)(SQ_ARRAY_LEN(list) - skip));
	const struct sq_published *is;
	struct sq_published out;
	bool refused;

	pass_pace();
	is = publish_outcomes(p);
	out = is[1 - skip];
	refused = out.how == SQ_PUBLISHED_REFUSED || out.how == SQ_PUBLISHED_KEY_REUSED;
	for (unsigned i = 0; i < SQ_ARRAY_LEN(list) - skip; i++)
		cr_expect(i == 1 - skip ||
			is[i].how == (refused ? SQ_PUBLISHED_NOT : SQ_PUBLISHED_NO_MATCH),
		    "%u of the list: %u", i, is[i].how);
	publish_free(&p);
	return out;
}

/* By HTTP: a request's headers and body. */

enum { HEADERS_MAX = 64 };

static char texts[HEADERS_MAX][300];

/* The value is the three texts. */
static struct sq_http_header
header(unsigned i, const char *name, const char *a, const char *b, const char *c)
{
	snprintf(texts[i], sizeof texts[i], "%s%s%s", a, b, c);
	return (struct sq_http_header){text(name), text(texts[i])};
}

/* The header of a user property. */
static struct sq_http_header
header_of(unsigned i, const char *name, const char *value)
{
	if (strcmp(name, "sqmqos-key") == 0)
		return header(i, "idempotency-key", "\"", value, "\"");
	if (strcmp(name, "tag") == 0)
		return header(i, "sqmqos-tag", value, "", "");
	if (strncmp(name, "sqmqos-", 7) == 0)
		return header(i, name, value, "", "");
	return header(i, "sqmqos-property", name, "=", value);
}

/* Returns their number. */
static size_t
headers_of(const struct entry *e, struct sq_http_header out[HEADERS_MAX])
{
	bool assured = false;
	unsigned n = 0;

	for (const char *const *p = e->props; p != NULL && *p != NULL; p += 2) {
		assured |= strcmp(p[0], "sqmqos-qos") == 0 || strcmp(p[0], "sqmqos-key") == 0;
		out[n] = header_of(n, p[0], p[1]);
		n++;
	}
	if (!assured || e->qos < 2) {
		out[n] = header(n, "sqmqos-qos", (char[]){(char)('0' + e->qos), '\0'}, "", "");
		n++;
	}
	if (e->retain) {
		out[n] = header(n, "sqmqos-retain", "true", "", "");
		n++;
	}
	cr_assert_lt(n, HEADERS_MAX);
	return n;
}

/* Publishes the message of the fields; returns the status. */
static unsigned
send_fields(const struct sq_http_fields *f, const struct entry *e, struct sq_http_fault *fault)
{
	struct sq_msg whole = entry_message(e);
	struct sq_msg m = sq_http_fields_message(f, text(e->topic), sq_image_payload(whole.image));
	struct publisher from = {.world = &w,
	    .who = sq_outlet_identity(w.links[0]),
	    .space = "s",
	    .require_match = f->require_match};
	struct fake_publish *p = publisher_post_message(&from, m);
	const struct sq_http_outcome *good;
	const struct sq_published *is;
	unsigned status;

	sq_msg_unref(&whole);
	pass_pace();
	is = publish_outcomes(p);
	good = sq_http_outcome((enum sq_published_how)is->how);
	if (good == NULL)
		sq_http_fault_of_published(fault, is);
	status = good != NULL ? good->status : sq_http_problem_row(fault->problem)->status;
	publish_free(&p);
	return status;
}

/* Returns the status. */
static unsigned
send_by_http(const struct entry *e)
{
	struct sq_http_header headers[HEADERS_MAX];
	struct sq_http_fault fault = {0};
	struct sq_http_fields f = {0};
	unsigned status;

	if (sq_http_fields_read(headers, headers_of(e, headers), 0, &f, &fault) == SQ_OK)
		status = send_fields(&f, e, &fault);
	else
		status = sq_http_problem_row(fault.problem)->status;
	sq_http_fields_fini(&f);
	sq_http_fault_fini(&fault);
	return status;
}

/* Rows that HTTP answers in another way, as it reads more strictly, or that no request says (0). */
static const struct {
	const char *row;
	unsigned status;
} http_rows[] = {
    {"QoS 3 on QoS 1", 0}, {"a QoS that is none", 400}, {"an empty key", 400},
    {"a key that is too long", 400}, {"key on QoS 1", 400}, {"a delay that is no number", 400},
    {"an option that is unknown", 400},
    {"a message that is too large", 0}, /* the front itself says 413 */
};

static bool
http_says(const struct row *r, unsigned *status)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(http_rows); i++) {
		if (strcmp(http_rows[i].row, r->name) == 0) {
			*status = http_rows[i].status;
			return true;
		}
	}
	return false;
}

/* The status that an outcome has; 0: there is no such request. */
static unsigned
status_of(const struct row *r)
{
	unsigned status;

	static const uint16_t of_refusals[SQ_REFUSAL_COUNT] = {
	    [SQ_REFUSAL_PROPERTY] = 422,
	    [SQ_REFUSAL_TOPIC] = 422,
	    [SQ_REFUSAL_DENIED] = 403,
	    [SQ_REFUSAL_QUOTA] = 429,
	    [SQ_REFUSAL_QUEUE_FULL] = 429,
	    [SQ_REFUSAL_STORE_FULL] = 503,
	    [SQ_REFUSAL_DEAD_LETTERS_FULL] = 429,
	    [SQ_REFUSAL_MEMORY] = 503,
	};

	if (http_says(r, &status))
		return status;
	if (r->how == SQ_PUBLISHED_REFUSED)
		return of_refusals[r->refusal];
	return r->how == SQ_PUBLISHED_ACCEPTED || r->how == SQ_PUBLISHED_SCHEDULED ? 202 : 200;
}

enum way { BY_LINK, BY_CALL, BY_LIST, BY_HTTP };

struct sent {
	struct sq_published out; /* of HTTP: */
	unsigned status;
};

static struct sent
send(enum way way, const struct entry *e, enum state state)
{
	switch (way) {
	case BY_LINK:
		return (struct sent){.out = send_by_link(e)};
	case BY_CALL:
		return (struct sent){.out = send_by_call(e)};
	case BY_LIST:
		return (struct sent){.out = send_by_list(e, state)};
	case BY_HTTP:
		break;
	}
	return (struct sent){.status = send_by_http(e)};
}

/* --- states --- */

static void
watch(void)
{
	sub = peer_new(&w, "s~w~subscriber~pod");
	sub.link = 1;
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, TOPIC, 2), 2);
}

static void
rule(void)
{
	char *verb = (char[]){"publish"}, *topic = (char[]){"ok/#"};
	struct sq_acl_rule r = {
	    .allow = {&verb, 1}, .topics = {&topic, 1}, .where = "broker.yaml:1"};
	struct sq_buf err = {0};
	struct sq_acl *acl = sq_acl_new(&r, 1, false, &err);

	cr_assert_not_null(acl);
	sq_broker_set_acl(w.broker, acl);
}

/* A durable queue without a taker that has room for one message. */
static void
queue_of_one(enum sq_overflow overflow)
{
	struct sq_sub s = {.op = SQ_SUB_SUBSCRIBE,
	    .options = 2,
	    .flags = SQ_SUB_DECLARED | SQ_SUB_DURABLE,
	    .overflow = (uint8_t)overflow,
	    .max_length = 1,
	    .queue_expiry_s = 3600,
	    .group = text("g"),
	    .filter = text(TOPIC)};

	sub = peer_new(&w, "s~w~member");
	sub.link = 1;
	sub.ordinal = 1;
	cr_assert_eq(peer_attach(&sub), 200); /* without credit */
	cr_assert_lt(peer_sub(&sub, &s), 0x80);
}

static void
fill(struct entry e)
{
	struct fake_call *c;

	e.topic = e.topic != NULL ? e.topic : TOPIC;
	e.payload = "fills";
	e.id = e.qos == 2 ? 9999 : 0;
	c = peer_post(&other, e.qos > 0 || e.retain ? 1 : 0, &e, 1);
	world_run();
	cr_assert_lt(call_outcome(c, 0), 0x80);
	fake_call_free(&c);
}

static void
full(enum sq_overflow overflow)
{
	queue_of_one(overflow);
	fill((struct entry){.qos = 1});
}

/* The subscriber has rejected one of QoS 3: as many letters as there may be. */
static void
full_of_letters(void)
{
	watch();
	fill((struct entry){.qos = 2, .props = PROPS(ASSURED)});
	cr_assert_eq(
	    peer_settle(&sub, SQ_SETTLE_REJECT, peer_expect(&sub, "fills")->delivery, 1), 204);
}

static void
limit(enum state state)
{
	if (state == KEYS_FULL)
		w.cfg.max_keys = 1;
	else if (state == RETAINED_FULL)
		w.cfg.retained_max_msgs = 1;
	else if (state == DELAYED_FULL)
		w.cfg.delayed_max_msgs = 1;
	else if (state == DEAD_FULL)
		w.cfg.dead_max_msgs = 1;
}

static void
prepare(const struct row *r, enum way way, const struct entry *e)
{
	switch (r->state) {
	case NOBODY:
		break;
	case WATCHED:
	case KNOWN:
	case MEMORY:
	case MEMORY_SHORT:
	case KEYS_FULL:
	case RETAINED_FULL:
	case DELAYED_FULL:
	case STORE_FULL:
		watch();
		break;
	case RULED:
		watch();
		rule();
		break;
	case FULL:
		full(SQ_OVERFLOW_REJECT_PUBLISH);
		break;
	case FULL_KNOWN:
		queue_of_one(SQ_OVERFLOW_REJECT_PUBLISH);
		break;
	case FULL_OLDEST:
		full(SQ_OVERFLOW_DROP_OLDEST);
		break;
	case FULL_NEW:
		full(SQ_OVERFLOW_DROP_NEW);
		break;
	case DEAD_FULL:
		full_of_letters();
		break;
	}
	if (r->state == KNOWN || r->state == FULL_KNOWN)
		send(way, e, r->state);
	if (r->state == KEYS_FULL)
		fill((struct entry){.qos = 2, .props = PROPS(ASSURED, "sqmqos-key", "fill")});
	if (r->state == RETAINED_FULL)
		fill((struct entry){.topic = "fill", .qos = 1, .retain = true});
	if (r->state == DELAYED_FULL)
		fill((struct entry){.qos = 1, .props = PROPS("sqmqos-delay", "100")});
	stored_engine_full(r->state == STORE_FULL);
	if (r->state == MEMORY || r->state == MEMORY_SHORT)
		atomic_store(&sq_memory_level_now,
		    (unsigned)(r->state == MEMORY ? SQ_MEMORY_REFUSED : SQ_MEMORY_FILLED));
}

static void
begin(const struct row *r)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	w.cfg.limits = sq_limits_unsaid;
	w.cfg.limits.topic_levels = 8;
	limit(r->state);
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	other = peer_new(&w, "s~w~other~pod");
	peer_connect(&pub);
	peer_connect(&other);
}

static void
end(void)
{
	atomic_store(&sq_memory_level_now, (unsigned)SQ_MEMORY_FREE);
	stored_engine_full(false);
	world_stop(&w);
}

static void
try_row(const struct row *r, enum way way)
{
	struct entry e = r->e;
	struct sent is;

	e.topic = e.topic != NULL ? e.topic : TOPIC;
	e.payload = e.payload != NULL ? e.payload : "x";
	begin(r);
	prepare(r, way, &e);
	is = send(way, &e, r->state);
	end();
	if (way == BY_HTTP) {
		cr_expect_eq(is.status, status_of(r), "HTTP, %s: %u", r->name, is.status);
		return;
	}
	cr_expect_eq(is.out.code, r->code, "%d, %s: code 0x%02x", way, r->name, is.out.code);
	cr_expect_eq(is.out.refusal, r->refusal, "%d, %s: refused for %s", way, r->name,
	    sq_refusal_name(is.out.refusal));
	cr_expect(way == BY_LINK || is.out.how == r->how, "%d, %s: %u", way, r->name, is.out.how);
}

Test(publish_contract, what_becomes_of_a_message_is_the_same_whichever_way_it_comes)
{
	cr_assert_geq(SQ_ARRAY_LEN(rows), 40);
	memset(long_key, 'k', sizeof long_key - 1);
	for (unsigned i = 0; i + 2 < sizeof levels; i += 2)
		memcpy(levels + i, "l/", 2);
	for (int way = BY_LINK; way <= BY_HTTP; way++) {
		for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
			if (way != BY_HTTP || status_of(&rows[i]) != 0)
				try_row(&rows[i], (enum way)way);
		}
	}
}
