/* The shared state of all holds; see table.h. holds.c has their life. */
#include "sidecar/hold/table.h"

#include <assert.h>
#include <string.h>

#include "core/log.h"
#include "sidecar/hold/limits.h"

uint64_t
sq_holds_enter(struct sq_holds *h, struct sq_list *node)
{
	sq_list_push_back(&h->all, node);
	h->n++;
	sq_holds_count(h, SQ_M_SESSIONS, 1);
	return ++h->ordinals;
}

void
sq_holds_leave(struct sq_holds *h, struct sq_list *node)
{
	assert(h->n > 0 && !sq_list_empty(node));
	sq_list_remove(node);
	h->n--;
	sq_holds_count(h, SQ_M_SESSIONS, -1);
}

void
sq_holds_watch(struct sq_holds *h, const struct sq_hold_watch *watch, void *watcher)
{
	assert(h->ordinals == 0);
	h->watch = watch;
	h->watcher = watcher;
}

void
sq_holds_full(struct sq_holds *h, enum sq_full what)
{
	h->told.full_ms = sq_holds_now(h);
	h->told.full = what;
}

void
sq_holds_has_room(struct sq_holds *h)
{
	h->told.full_ms = 0;
}

struct sq_hold_link *
sq_holds_link(struct sq_holds *h, const struct sq_uplink *link)
{
	SQ_LIST_FOR_EACH(hl, &h->links, struct sq_hold_link, node) {
		if (hl->link == link)
			return hl;
	}
	return NULL;
}

void
sq_holds_told(struct sq_holds *h, const struct sq_attached *a)
{
	struct sq_limits own = sq_limits_own(&h->cfg->limits);
	struct sq_limits now = sq_limits_stricter(&own, &a->limits);
	struct sq_buf text = {0};

	h->told.max_packet = a->max_packet;
	h->told.limits_told = true;
	if (memcmp(&now, &h->told.limits, sizeof now) == 0)
		return;
	h->told.limits = now;
	sq_limits_print(&now, &text);
	SQ_INFO("sidecar", "with the broker's limits clients may have: %.*s",
	    (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

void
sq_holds_say_full(const struct sq_holds *h, enum sq_full what, struct sq_buf *out)
{
	sq_buf_printf(out, "the broker has no room for one more session");
	switch (what) {
	case SQ_FULL_NOT:
	case SQ_FULL_UNSAID:
		break;
	case SQ_FULL_BROKER:
		sq_buf_printf(out, ": it has as many as its limits.max-sessions");
		break;
	case SQ_FULL_SPACE:
		sq_buf_printf(out, ": space %s has its share of sessions", h->cfg->space);
		break;
	case SQ_FULL_MEMORY:
		sq_buf_printf(out, ": its limits.memory is nearly used up");
		break;
	case SQ_FULL_STORE:
		sq_buf_printf(out, ": its store is full");
		break;
	}
}
