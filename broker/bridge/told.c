#include "broker/bridge/told.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/json/write.h"

enum { FAILS_MS = 60000 }; /* between two lines that messages fail */

void
sq_bridge_told_init(struct sq_bridge_told *t, const char *scope)
{
	*t = (struct sq_bridge_told){.scope = sq_xstrdup(scope)};
	pthread_mutex_init(&t->lock, NULL);
}

void
sq_bridge_told_fini(struct sq_bridge_told *t)
{
	pthread_mutex_destroy(&t->lock);
	free(t->scope);
}

/* Under the lock. */
static void
told_copy(char to[SQ_BRIDGE_DETAIL_MAX], const char *why)
{
	size_t n = why != NULL ? sq_utf8_cut(why, strlen(why), SQ_BRIDGE_DETAIL_MAX - 1) : 0;

	if (n > 0)
		memcpy(to, why, n);
	to[n] = '\0';
}

void
sq_bridge_tell_error(struct sq_bridge_told *t, enum sq_bridge_half half, const char *why)
{
	pthread_mutex_lock(&t->lock);
	told_copy(t->state[half].error, why);
	t->state[half].error_ms = sq_clock_wall_ms();
	pthread_mutex_unlock(&t->lock);
}

/* Whether it is said for the first time: written on this worker alone. */
static bool
told_is_new(const struct sq_bridge_told *t, enum sq_bridge_half half, bool up)
{
	return t->state[half].since_ms == 0 || atomic_load(&t->up[half]) != up;
}

void
sq_bridge_tell_state(struct sq_bridge_told *t, enum sq_bridge_half half, bool up, const char *why)
{
	const char *name = sq_bridge_half_name(half);
	bool is_new = told_is_new(t, half, up);
	bool other = up && !is_new && why != NULL &&
	    strncmp(t->state[half].why, why, sizeof t->state[half].why - 1) != 0;

	pthread_mutex_lock(&t->lock);
	if (is_new || why != NULL)
		told_copy(t->state[half].why, why);
	if (is_new)
		t->state[half].since_ms = sq_clock_wall_ms();
	atomic_store(&t->up[half], up);
	pthread_mutex_unlock(&t->lock);
	if (other)
		SQ_INFO(t->scope, "%s: the peer is there: %s", name, why);
	if (!is_new)
		return;
	if (up)
		SQ_INFO(t->scope, "%s: the peer is there%s%s", name, why != NULL ? ": " : "",
		    why != NULL ? why : "");
	else
		SQ_WARN(t->scope, "%s: the peer is away: %s", name,
		    why != NULL ? why : "no reason is known");
}

void
sq_bridge_tell_tried(struct sq_bridge_told *t, bool taken, const char *why, uint64_t now_ms)
{
	if (taken && t->state[SQ_BRIDGE_OUT].fails) {
		t->state[SQ_BRIDGE_OUT].fails = false;
		SQ_INFO(t->scope, "out: the peer takes messages again");
		return;
	}
	if (taken || t->state[SQ_BRIDGE_OUT].fails)
		return;
	if (t->state[SQ_BRIDGE_OUT].fails_ms != 0 &&
	    now_ms - t->state[SQ_BRIDGE_OUT].fails_ms < FAILS_MS)
		return;
	t->state[SQ_BRIDGE_OUT].fails = true;
	t->state[SQ_BRIDGE_OUT].fails_ms = now_ms;
	SQ_WARN(t->scope, "out: a message has failed at the peer, and is tried again: %s",
	    why != NULL ? why : "no reason is known");
}

void
sq_bridge_tell_closed(struct sq_bridge_told *t, enum sq_bridge_half half)
{
	t->state[half].fails = false;
	pthread_mutex_lock(&t->lock);
	t->state[half].why[0] = '\0';
	t->state[half].since_ms = 0;
	atomic_store(&t->up[half], false);
	pthread_mutex_unlock(&t->lock);
	atomic_store_explicit(&t->out[half], 0, memory_order_relaxed);
}

bool
sq_bridge_outcome_is_of(enum sq_bridge_outcome o, enum sq_bridge_half half)
{
	return o != (half == SQ_BRIDGE_OUT ? SQ_BRIDGE_DUPLICATE : SQ_BRIDGE_FAILED);
}

const char *
sq_bridge_outcome_name(enum sq_bridge_outcome o)
{
	static const char *const names[] = {[SQ_BRIDGE_OK] = "ok",
	    [SQ_BRIDGE_LATER] = "later",
	    [SQ_BRIDGE_FAILED] = "failed",
	    [SQ_BRIDGE_DEAD] = "dead",
	    [SQ_BRIDGE_LOOP] = "loop",
	    [SQ_BRIDGE_DUPLICATE] = "duplicate"};

	return names[o];
}

const char *
sq_bridge_half_name(enum sq_bridge_half half)
{
	return half == SQ_BRIDGE_OUT ? "out" : "in";
}

static void
told_time(struct sq_buf *out, const char *name, uint64_t wall_ms)
{
	char text[SQ_RFC3339_MAX];

	sq_rfc3339_write((int64_t)wall_ms, text);
	sq_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void
told_text(struct sq_buf *out, const char *name, const char *text)
{
	sq_buf_printf(out, ",\"%s\":", name);
	sq_json_put_string(out, sq_bytes_of(text));
}

static void
told_messages(const struct sq_bridge_told *t, enum sq_bridge_half half, struct sq_buf *out)
{
	const char *before = "";

	sq_buf_printf(out, ",\"messages\":{");
	for (unsigned i = 0; i < SQ_BRIDGE_OUTCOMES; i++) {
		if (!sq_bridge_outcome_is_of(i, half))
			continue;
		sq_buf_printf(out, "%s\"%s\":%llu", before, sq_bridge_outcome_name(i),
		    (unsigned long long)atomic_load_explicit(
			&t->messages[half][i], memory_order_relaxed));
		before = ",";
	}
	sq_buf_u8(out, '}');
}

void
sq_bridge_told_describe(struct sq_bridge_told *t, enum sq_bridge_half half, struct sq_buf *out)
{
	pthread_mutex_lock(&t->lock);
	sq_buf_printf(out, "\"up\":%s,\"inFlight\":%u",
	    atomic_load(&t->up[half]) ? "true" : "false",
	    (unsigned)atomic_load_explicit(&t->out[half], memory_order_relaxed));
	if (t->state[half].since_ms > 0)
		told_time(out, "since", t->state[half].since_ms);
	if (t->state[half].why[0] != '\0')
		told_text(out, "why", t->state[half].why);
	if (t->state[half].error[0] != '\0') {
		told_text(out, "lastError", t->state[half].error);
		told_time(out, "lastErrorAt", t->state[half].error_ms);
	}
	told_messages(t, half, out);
	pthread_mutex_unlock(&t->lock);
}
