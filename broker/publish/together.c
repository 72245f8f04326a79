#include "broker/publish/together.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/publish/delayed.h"
#include "broker/publish/options.h"
#include "broker/publish/received.h"
#include "broker/shard/system_txn.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"

/* A message that was put, and goes on to other spaces. */
struct read {
	struct sq_origin origin;
	uint64_t expires_ms, retained;
	bool reads;
};

static struct sq_txn *
together_split(void *arg, uint64_t number)
{
	(void)arg;
	(void)number;
	return NULL;
}

static bool
together_keyed(const struct sq_together *t)
{
	struct sq_publish_options asked;

	for (uint16_t i = 0; i < t->n; i++) {
		if (sq_image_props(t->msgs[i].image).len == 0)
			continue;
		(void)sq_publish_options_parse(t->msgs[i].image, &asked);
		if (asked.assured && asked.key.len > 0)
			return true;
	}
	return false;
}

/* Who has locked a space never waits for the keys: they come first. */
static void
together_lock(const struct sq_together *t)
{
	struct sq_publish *p = t->p;

	if (together_keyed(t)) {
		sq_keys_lock(p->broker->keys);
		p->keys_locked = true;
	}
	sq_route_lock(p, sq_tenant_space(p->tenant));
}

/* Looks at message 'i', or carries it out. */
static uint8_t
together_message(const struct sq_together *t, const struct sq_origin *origin, uint16_t i)
{
	struct sq_publish *p = t->p;

	p->msg = &t->msgs[i];
	p->origin = origin;
	p->from.match = t->wants != NULL && t->wants[i].require_match;
	p->look->message = i;
	return sq_received_message(p);
}

/* Looks at all messages; false: one was refused. */
static bool
together_look(const struct sq_together *t)
{
	struct sq_publish *p = t->p;
	struct sq_look *l = p->look;
	bool refused = false;

	for (uint16_t i = 0; i < t->n && !refused; i++) {
		struct sq_origin origin = sq_system_origin(p->broker);
		uint8_t code = together_message(t, &origin, i);

		refused = sq_mqtt_reason_failed(code) || p->end.how == SQ_PUBLISH_UNMATCHED;
		if (refused)
			t->outcome(t->arg, p, code, i);
	}
	sq_delayed_give(p->tenant, l->delayed, l->delayed_bytes);
	sq_router_retain_give(sq_tenant_space(p->tenant), &l->retained);
	l->delayed = 0;
	return !refused;
}

/* Puts all messages; returns what goes on to other spaces. */
static struct read *
together_put(const struct sq_together *t)
{
	struct read *reads = sq_xcalloc(t->n, sizeof *reads);
	struct sq_publish *p = t->p;

	p->look->carries = true;
	for (uint16_t i = 0; i < t->n; i++) {
		struct sq_origin origin = sq_system_origin(p->broker);
		uint8_t code = together_message(t, &origin, i);

		assert(!sq_mqtt_reason_failed(code));
		reads[i] = (struct read){origin, p->expires_ms, p->end.retained, p->end.reads};
		t->outcome(t->arg, p, code, i);
	}
	return reads;
}

/* The copies for other spaces, each under its lock. */
static void
together_readers(const struct sq_together *t, const struct read *reads)
{
	struct sq_publish *p = t->p;

	for (uint16_t i = 0; i < t->n; i++) {
		if (!reads[i].reads)
			continue;
		p->msg = &t->msgs[i];
		p->origin = &reads[i].origin;
		p->expires_ms = reads[i].expires_ms;
		p->qos = (uint8_t)sq_image_qos(p->msg->image);
		p->retain = sq_image_retain(p->msg->image);
		p->end.retained = reads[i].retained;
		sq_route_readers(p);
	}
	sq_route_unlock(p);
}

enum sq_together_end
sq_together_publish(const struct sq_together *t)
{
	struct sq_look look = {.items = t->items, .bytes = t->bytes};
	enum sq_together_end end = SQ_TOGETHER_TAKEN;
	struct sq_publish *p = t->p;
	struct read *reads = NULL;

	assert(!sq_router_locked() && !p->keys_locked && p->from.told);
	p->more = (struct sq_publish_more){.split = together_split};
	p->look = &look;
	together_lock(t);
	if (together_look(t))
		reads = together_put(t);
	else
		end = look.too_large ? SQ_TOGETHER_TOO_LARGE : SQ_TOGETHER_REFUSED;
	p->look = NULL;
	sq_route_unlock(p);
	if (reads != NULL)
		together_readers(t, reads);
	else
		sq_publish_committed(p);
	free(reads);
	sq_look_fini(&look);
	p->msg = NULL;
	p->origin = NULL;
	return end;
}
