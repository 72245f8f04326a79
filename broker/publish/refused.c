#include "broker/publish/refused.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/shard/source.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/trace.h"
#include "core/utf8.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

enum {
	QUIET_MS = 10000, /* between two lines of a queue or a session */
	TEXT_MAX = SQ_NOTE_TEXT_MAX,
	NAME_SHOWN_MAX = 256, /* bytes of a queue's name */
};

static_assert(
    SQ_M_REFUSED_BY_MEMORY - SQ_M_REFUSED_BY_PROPERTY == SQ_REFUSAL_MEMORY - SQ_REFUSAL_PROPERTY,
    "the rows of the metrics follow those of the refusals");

bool
sq_refused_waits(const struct sq_refused *r)
{
	switch ((enum sq_refusal)r->refusal) {
	case SQ_REFUSAL_QUEUE_FULL:
	case SQ_REFUSAL_STORE_FULL:
	case SQ_REFUSAL_DEAD_LETTERS_FULL:
	case SQ_REFUSAL_MEMORY:
		return true;
	default:
		return false;
	}
}

uint8_t
sq_refused_say(struct sq_refused *r, uint8_t code, enum sq_refusal refusal, const char *fmt, ...)
{
	char line[TEXT_MAX + 2]; /* cut at a character: what is no UTF-8 is left out of a note */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	r->refusal = (uint8_t)refusal;
	r->queue = NULL;
	sq_buf_drain(&r->text, sq_buf_len(&r->text));
	sq_buf_append(&r->text, line, sq_utf8_cut(line, (size_t)n, TEXT_MAX));
	return code;
}

uint8_t
sq_refused_options(
    struct sq_refused *r, const struct sq_refused_of *of, const struct sq_publish_options *asked)
{
	struct sq_broker *b = of->broker;
	uint8_t code = SQ_MQTT_RC_SUCCESS;
	struct sq_buf text = {0};

	sq_publish_options_explain(asked, &text);
	if (asked->wrong != SQ_PUBLISH_GOOD || !b->cfg.unknown_properties) {
		code = sq_refused_say(r, SQ_MQTT_RC_IMPLEMENTATION, SQ_REFUSAL_PROPERTY, "%.*s",
		    (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	} else {
		sq_count(b, SQ_M_UNKNOWN_PROPERTIES, 1);
		SQ_WARN("broker", "%s: %.*s", of->name, (int)sq_buf_len(&text),
		    (const char *)sq_buf_data(&text));
	}
	sq_buf_fini(&text);
	return code;
}

uint8_t
sq_refused_limit(struct sq_refused *r, const struct sq_broker *b, enum sq_limit limit)
{
	const struct sq_broker_cfg *c = &b->cfg;
	const struct {
		uint8_t code;
		enum sq_refusal refusal;
		const char *text;
		const char *keys[2];
		uint64_t values[2];
	} rows[] = {
	    [SQ_LIMIT_PACKET] = {SQ_MQTT_RC_IMPLEMENTATION, SQ_REFUSAL_QUOTA,
		"the message is too large", {"limits.max-packet"}, {c->max_packet}},
	    [SQ_LIMIT_LEVELS] = {SQ_MQTT_RC_TOPIC_INVALID, SQ_REFUSAL_TOPIC,
		"the topic name has too many levels", {"limits.topic-levels"},
		{c->limits.topic_levels}},
	    [SQ_LIMIT_RETAINED] = {SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
		"there is no room for a retained message",
		{"retained.max-messages", "retained.max-bytes"},
		{c->retained_max_msgs, c->retained_max_bytes}},
	    [SQ_LIMIT_DELAY] = {SQ_MQTT_RC_IMPLEMENTATION, SQ_REFUSAL_PROPERTY,
		"sqmqos-delay is too long", {"delayed.max-delay in seconds"}, {c->delayed_max_s}},
	    [SQ_LIMIT_DELAYED] = {SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
		"there is no room for a delayed message",
		{"delayed.max-messages", "delayed.max-bytes"},
		{c->delayed_max_msgs, c->delayed_max_bytes}},
	    [SQ_LIMIT_KEYS] = {SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA,
		"there is no room for a new key", {"idempotency.max-keys"}, {c->max_keys}},
	    [SQ_LIMIT_DEAD_LETTERS] = {SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_DEAD_LETTERS_FULL,
		"no QoS 3 message is taken while the dead letters are full",
		{"dead-letters.max-messages", "dead-letters.max-bytes"},
		{c->dead_max_msgs, c->dead_max_bytes}},
	    [SQ_LIMIT_MEMORY] = {SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_MEMORY,
		"the broker's memory is nearly used up", {"limits.memory"}, {sq_memory_limit()}},
	};

	(void)sq_refused_say(r, 0, rows[limit].refusal, "%s (%s: %llu", rows[limit].text,
	    rows[limit].keys[0], (unsigned long long)rows[limit].values[0]);
	if (rows[limit].keys[1] != NULL)
		sq_buf_printf(&r->text, ", %s: %llu", rows[limit].keys[1],
		    (unsigned long long)rows[limit].values[1]);
	sq_buf_u8(&r->text, ')');
	return rows[limit].code;
}

uint8_t
sq_refused_store(struct sq_refused *r)
{
	return sq_refused_say(
	    r, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_STORE_FULL, SQ_REFUSED_STORE);
}

uint8_t
sq_refused_share(struct sq_refused *r, const struct sq_broker *b, enum sq_limit limit,
    const struct sq_account *account, enum sq_share_kind kind)
{
	uint8_t code = sq_refused_limit(r, b, limit);

	if (kind != SQ_SHARE_KEYS && sq_share_room(account, kind) > 0)
		kind++; /* its bytes */
	sq_buf_printf(&r->text, ": ");
	sq_share_explain(account, kind, &r->text);
	return code;
}

/* Appends the time since which the queue has no takers, or their number. */
static void
queue_takers(struct sq_buf *out, const struct sq_queue_state *q)
{
	uint64_t now_ms = sq_worker_now_ms(sq_worker_self());
	uint64_t lonely_ms = now_ms > q->lonely_since_ms ? now_ms - q->lonely_since_ms : 0;
	time_t since = (time_t)((sq_clock_wall_ms() - lonely_ms) / 1000);
	char text[32];
	struct tm tm;

	if (q->lonely_since_ms == 0) {
		sq_buf_printf(out, ", %u client%s from it, more slowly than it fills", q->takers,
		    q->takers == 1 ? " takes" : "s take");
		return;
	}
	gmtime_r(&since, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	sq_buf_printf(out, ", nobody takes from it since %s", text);
}

/* Which setting it is that the queue is full by: the broker's, or its own. */
static const char *
queue_limit(const struct sq_broker *b, const struct sq_queue_state *q, bool by_count)
{
	if (by_count)
		return q->max_msgs == b->cfg.queue_max_msgs
		    ? "queue.max-messages"
		    : "max-length, or max-messages of a named queue";
	return q->max_bytes == b->cfg.queue_max_bytes ? "queue.max-bytes"
						      : "max-bytes of the named queue";
}

uint8_t
sq_refused_queue(struct sq_refused *r, struct sq_broker *b, const struct sq_sink *sink,
    uint32_t size, struct sq_look_pending list)
{
	const char *name = sq_source_name(sink->source);
	struct sq_queue_state q;
	uint64_t n, bytes, needs = size + list.bytes;

	if (r->queue == sink) /* as of the entry before */
		return SQ_MQTT_RC_QUOTA_EXCEEDED;
	sink->engine->ops->queue.state(sink->queue, &q);
	n = q.n + q.coming;
	bytes = q.bytes + q.coming_bytes;
	if (q.store_full) {
		(void)sq_refused_store(r);
	} else if (q.share < needs) {
		(void)sq_refused_say(r, 0, SQ_REFUSAL_STORE_FULL,
		    "there is no room in the broker's store (store.max-size): ");
		sq_share_explain(sq_tenant_account(sq_source_tenant(sink->source)),
		    SQ_SHARE_STORED_BYTES, &r->text);
	} else if (q.memory < needs) {
		(void)sq_refused_say(r, 0, SQ_REFUSAL_MEMORY,
		    "there is no room in the broker's memory (limits.memory): ");
		sq_share_explain(
		    sq_tenant_account(sq_source_tenant(sink->source)), SQ_SHARE_MEMORY, &r->text);
	} else if (q.fair < needs) {
		(void)sq_refused_say(r, 0, SQ_REFUSAL_MEMORY,
		    "queue %.*s has its part of the memory that is free: %llu messages of %llu "
		    "bytes "
		    "wait (limits.memory: %llu)",
		    (int)sq_utf8_cut(name, strlen(name), NAME_SHOWN_MAX), name,
		    (unsigned long long)n, (unsigned long long)bytes,
		    (unsigned long long)sq_memory_limit());
		queue_takers(&r->text, &q);
	} else {
		/* Others may have taken from it meanwhile: then it is what is nearer. */
		bool by_count = n + list.n >= q.max_msgs ||
		    (double)(n + list.n) / (double)q.max_msgs >
			(double)(bytes + list.bytes) / (double)q.max_bytes;

		(void)sq_refused_say(r, 0, SQ_REFUSAL_QUEUE_FULL,
		    "queue %.*s is full: %llu messages of %llu bytes wait",
		    (int)sq_utf8_cut(name, strlen(name), NAME_SHOWN_MAX), name,
		    (unsigned long long)n, (unsigned long long)bytes);
		if (list.n > 0)
			sq_buf_printf(
			    &r->text, ", and %llu come with this one", (unsigned long long)list.n);
		sq_buf_printf(&r->text, " (%s: %llu)", queue_limit(b, &q, by_count),
		    (unsigned long long)(by_count ? q.max_msgs : q.max_bytes));
		queue_takers(&r->text, &q);
	}
	r->queue = sink;
	return SQ_MQTT_RC_QUOTA_EXCEEDED;
}

/* Whether a line is due now; any worker. */
static bool
refused_speaks(_Atomic uint64_t *quiet_until_ms)
{
	uint64_t now_ms = sq_worker_now_ms(sq_worker_self());
	uint64_t until = atomic_load_explicit(quiet_until_ms, memory_order_relaxed);

	return now_ms >= until &&
	    atomic_compare_exchange_strong_explicit(quiet_until_ms, &until, now_ms + QUIET_MS,
		memory_order_relaxed, memory_order_relaxed);
}

static void
refused_count(const struct sq_refused *r, struct sq_broker *b)
{
	assert(r->refusal >= SQ_REFUSAL_PROPERTY && r->refusal < SQ_REFUSAL_COUNT);
	sq_count(b, SQ_M_REFUSED_BY_PROPERTY + (r->refusal - SQ_REFUSAL_PROPERTY), 1);
}

/* Counts it for the queue that is the reason. */
static void
refused_count_queue(struct sq_sink *queue, uint8_t refusal)
{
	atomic_uint *n = refusal == SQ_REFUSAL_QUEUE_FULL ? &queue->refused.queue_full
	    : refusal == SQ_REFUSAL_STORE_FULL            ? &queue->refused.store_full
							  : &queue->refused.memory;

	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

static void
refused_log(const struct sq_refused *r, const char *of, const struct sq_identity *who,
    const char *what, uint8_t code)
{
	bool named = who != NULL && who->name[0] != '\0';
	char trace[SQ_TRACE_WORDS];

	SQ_WARN("broker", "%s: %s refused with 0x%02x: %.*s%s%s%s", of, what, code,
	    (int)sq_buf_len(&r->text), (const char *)sq_buf_data(&r->text), named ? ", by " : "",
	    named ? who->name : "", sq_trace_words(r->props, trace));
}

/* Notes it for the view. */
static void
refused_see(const struct sq_refused *r, const struct sq_refused_of *of, const char *what,
    const char *reason, uint8_t code)
{
	bool named = of->identity != NULL && of->identity->name[0] != '\0';
	struct sq_refusal_seen seen = {
	    .space = sq_bytes_of(of->space),
	    .who = sq_bytes_of(of->name),
	    .identity = named ? of->identity->name : NULL,
	    .kind = what,
	    .topic = r->topic,
	    .queue = r->queue != NULL ? sq_source_name(r->queue->source) : NULL,
	    .reason = reason,
	    .text = {sq_buf_data(&r->text), sq_buf_len(&r->text)},
	    .code = code,
	};

	sq_refusals_note(sq_shard_here(of->broker)->refusals, &seen);
}

void
sq_refused_untold(
    struct sq_refused *r, const struct sq_refused_of *of, const char *what, uint8_t code)
{
	refused_count(r, of->broker);
	refused_see(r, of, what, sq_refusal_name(r->refusal), code);
	refused_log(r, of->name, NULL, what, code);
}

void
sq_refused_tell(struct sq_refused *r, const struct sq_refused_of *of, const char *what,
    uint8_t code, uint16_t index, struct sq_notes *notes)
{
	struct sq_bytes text = {sq_buf_data(&r->text), sq_buf_len(&r->text)};
	/* The sink lives: its binding was found under its space's lock, which is still held. */
	struct sq_sink *queue = (struct sq_sink *)(uintptr_t)r->queue;

	sq_notes_add(notes, index, r->refusal, text);
	refused_count(r, of->broker);
	refused_see(r, of, what, sq_refusal_name(r->refusal), code);
	if (queue != NULL)
		refused_count_queue(queue, r->refusal);
	if (refused_speaks(queue != NULL ? &queue->quiet_until_ms : of->quiet_until_ms))
		refused_log(r, of->name, of->identity, what, code);
}

void
sq_refused_unmatched(
    struct sq_refused *r, const struct sq_refused_of *of, uint16_t index, struct sq_notes *notes)
{
	(void)sq_refused_say(r, 0, SQ_REFUSAL_UNMATCHED, "nothing matches, and nothing was stored");
	refused_see(r, of, "publish", sq_refusal_name(SQ_REFUSAL_UNMATCHED),
	    SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS);
	sq_notes_add(notes, index, r->refusal, sq_buf_bytes(&r->text));
	refused_count(r, of->broker);
}

void
sq_refused_nobody(struct sq_refused *r, const struct sq_refused_of *of)
{
	if (r->nobody)
		return;
	(void)sq_refused_say(r, 0, SQ_REFUSAL_UNMATCHED, "nothing matches");
	refused_see(r, of, "publish", sq_refusal_name(SQ_REFUSAL_UNMATCHED),
	    SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS);
	r->nobody = true;
}

void
sq_refused_fini(struct sq_refused *r)
{
	sq_buf_fini(&r->text);
}
