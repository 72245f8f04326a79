#include "broker/shard/pace.h"

#include <assert.h>

#include "core/mem.h"
#include "core/memory.h"
#include "web/worker.h"

enum {
	PACE_MS = 100,        /* longest wait */
	PACE_STUCK_MS = 1000, /* who has taken nothing for so long is not waited for */
};

void
sq_pace_init(struct sq_shard *sh)
{
	sq_list_init(&sh->pace.calls);
}

static bool
pace_busy(const struct sq_sink *sink)
{
	return sink->engine->ops->queue.busy(sink->queue);
}

static void
pace_release(struct sq_call *c)
{
	bool answered = c->pace.answered;

	c->pace.sink = NULL;
	c->pace.waits = c->pace.answered = false;
	sq_list_remove(&c->node);
	if (answered)
		sq_call_done(c); /* it is the front's now */
}

static void
pace_begin(struct sq_shard *sh, struct sq_call *c, struct sq_sink *sink, uint64_t now_ms)
{
	c->pace.sink = sink;
	c->pace.since_ms = now_ms;
	c->pace.waits = true;
	sq_list_push_back(&sh->pace.calls, &c->node);
}

void
sq_pace_put(struct sq_shard *sh, struct sq_call *c, struct sq_sink *sink)
{
	uint64_t now_ms;

	if (c->pace.waits || sink->shard != sh || !pace_busy(sink))
		return;
	now_ms = sq_worker_now_ms(sh->worker);
	if (now_ms - sink->taken_ms > PACE_STUCK_MS)
		return;
	pace_begin(sh, c, sink, now_ms);
}

void
sq_pace_memory(struct sq_shard *sh, struct sq_call *c)
{
	if (!c->pace.waits && sq_memory_level() >= SQ_MEMORY_PACED)
		pace_begin(sh, c, NULL, sq_worker_now_ms(sh->worker));
}

void
sq_pace_answer(struct sq_call *c)
{
	if (!c->pace.waits)
		sq_call_done(c);
	else
		c->pace.answered = true;
}

void
sq_pace_taken(struct sq_shard *sh, struct sq_sink *sink)
{
	if (sink->shard != sh) /* a group's, taken on several: nobody waits for it */
		return;
	sink->taken_ms = sq_worker_now_ms(sh->worker);
	if (!sq_list_empty(&sh->pace.calls) && !pace_busy(sink))
		sq_pace_end(sh, sink);
}

void
sq_pace_passed(struct sq_shard *sh, struct sq_sink *sink)
{
	assert(sink->shard == sh);
	sink->taken_ms = sq_worker_now_ms(sh->worker);
}

void
sq_pace_end(struct sq_shard *sh, struct sq_sink *sink)
{
	SQ_LIST_FOR_EACH_SAFE(c, &sh->pace.calls, struct sq_call, node) {
		if (c->pace.sink == sink)
			pace_release(c);
	}
}

void
sq_pace_tick(struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_call *c;

	while ((c = SQ_LIST_FIRST(&sh->pace.calls, struct sq_call, node)) != NULL &&
	    c->pace.since_ms + PACE_MS <= now_ms)
		pace_release(c);
}
