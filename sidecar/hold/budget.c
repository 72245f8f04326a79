#include "sidecar/hold/budget.h"

#include <assert.h>

enum {
	SHARE = 8,        /* a client holds at most so many times what is free */
	WINDOWS_PART = 4, /* of the limit: all windows; copies of it may be twice as much */
	WINDOW_SHARE = 4, /* a new one gets this part of what is left of that */
	WINDOW_MIN = 32 * 1024,
};

void
sq_budget_init(struct sq_budget *b, const struct sq_budget_user *user, uint64_t max,
    uint64_t lane_max, uint64_t window_max)
{
	*b = (struct sq_budget){
	    .user = user, .max = max, .lane_max = lane_max, .window_max = window_max};
	sq_list_init(&b->paused);
}

void
sq_budget_resize(struct sq_budget *b, uint64_t max)
{
	b->max = max;
	sq_budget_resume(b);
}

void
sq_budget_drop_qos0(struct sq_budget *b)
{
	b->drops_qos0 = true;
}

void
sq_budget_open(struct sq_budget *b, struct sq_budget_share *s, uint64_t limit)
{
	uint64_t all = limit / WINDOWS_PART, share;

	*s = (struct sq_budget_share){.window = b->window_max};
	sq_list_init(&s->paused);
	if (all != 0) {
		share = all > b->windows ? (all - b->windows) / WINDOW_SHARE : 0;
		share = share > WINDOW_MIN ? share : WINDOW_MIN;
		s->window = s->window < share ? s->window : share;
	}
	b->windows += s->window;
}

void
sq_budget_unwait(struct sq_budget *b, struct sq_budget_share *s)
{
	sq_list_remove(&s->paused);
	if (b->first == s)
		b->first = NULL;
}

void
sq_budget_close(struct sq_budget *b, struct sq_budget_share *s)
{
	assert(s->held == 0 && sq_list_empty(&s->paused) && b->first != s);
	assert(b->windows >= s->window);
	b->windows -= s->window;
}

void
sq_budget_pause(struct sq_budget *b, struct sq_budget_share *s)
{
	if (!sq_list_empty(&s->paused))
		return;
	sq_list_push_back(&b->paused, &s->paused);
	b->user->paused(s);
}

void
sq_budget_resume(struct sq_budget *b)
{
	struct sq_budget_share *s;

	b->first = NULL;
	while ((s = SQ_LIST_FIRST(&b->paused, struct sq_budget_share, paused)) != NULL) {
		sq_list_remove(&s->paused);
		b->user->writable(s);
	}
}

/* The bytes that one client may hold: by its lane's flow control while a broker accepts its
 * messages; else a share of the free rest, which leaves some for the next client. */
static uint64_t
budget_share(const struct sq_budget *b, bool flows)
{
	uint64_t share = SHARE * (b->held < b->max ? b->max - b->held : 0);

	return flows && share > b->lane_max ? b->lane_max : share;
}

/* Whether 'size' bytes more are within the client's own share; at least one message is. */
static bool
budget_shares(const struct sq_budget *b, const struct sq_budget_share *s, size_t size, bool flows)
{
	return s->held == 0 || s->held + size <= budget_share(b, flows);
}

/* Whether 'size' bytes more are within the bound; a large message is where half of it is free,
 * and nobody overtakes who waits for that. */
static bool
budget_fits(const struct sq_budget *b, const struct sq_budget_share *s, size_t size)
{
	uint64_t half = b->max / 2;

	if (b->first != NULL && b->first != s && b->held > half)
		return false;
	return b->held + size <= b->max || (size > half && b->held <= half);
}

int
sq_budget_admit(struct sq_budget *b, struct sq_budget_share *s, size_t size, bool flows)
{
	if (!budget_shares(b, s, size, flows)) {
		sq_budget_pause(b, s);
		return SQ_EAGAIN;
	}
	if (budget_fits(b, s, size)) {
		if (b->first == s)
			b->first = NULL;
		return 0;
	}
	if (b->first == NULL)
		b->first = s;
	sq_budget_pause(b, s);
	return SQ_EAGAIN;
}

bool
sq_budget_drops(const struct sq_budget *b, const struct sq_budget_share *s, size_t size, bool flows)
{
	return b->drops_qos0 && !flows &&
	    !(budget_shares(b, s, size, flows) && b->held + size <= b->max);
}

void
sq_budget_held(struct sq_budget *b, struct sq_budget_share *s, size_t now)
{
	bool less = now < s->held;

	assert(b->held >= s->held);
	b->held = b->held - s->held + now;
	s->held = now;
	if (less && !sq_list_empty(&b->paused) && b->held <= b->max - b->max / 4)
		sq_budget_resume(b);
}
