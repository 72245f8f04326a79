#include "fake_pool.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct sq_uplink {
	struct sq_list node;
	uint64_t id;
	bool draining;
};

struct sq_pool {
	const struct sq_pool_events *events;
	void *owner;
	struct sq_list links, requests;
	struct sq_buf body;
	uint64_t last_id;
};

static struct sq_pool *the_pool;
static unsigned the_version = SQ_LINK_VERSION;

struct sq_pool *
sq_pool_new(struct ev_loop *loop, const struct sq_pool_cfg *cfg,
    const struct sq_pool_events *events, void *owner, struct sq_buf *err)
{
	(void)loop;
	(void)cfg;
	(void)err;
	the_pool = sq_xcalloc(1, sizeof *the_pool);
	the_pool->events = events;
	the_pool->owner = owner;
	sq_list_init(&the_pool->links);
	sq_list_init(&the_pool->requests);
	return the_pool;
}

void
sq_pool_free(struct sq_pool **pp)
{
	struct sq_pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(l, &p->links, struct sq_uplink, node)
		free(l);
	sq_buf_fini(&p->body);
	free(p);
	the_pool = NULL;
}

struct sq_uplink *
sq_pool_pick(struct sq_pool *p)
{
	SQ_LIST_FOR_EACH(l, &p->links, struct sq_uplink, node) {
		if (!l->draining)
			return l;
	}
	return NULL;
}

uint64_t
sq_uplink_id(const struct sq_uplink *l)
{
	return l->id;
}

unsigned
sq_uplink_version(const struct sq_uplink *l)
{
	(void)l;
	return the_version;
}

bool
sq_uplink_draining(const struct sq_uplink *l)
{
	return l->draining;
}

const char *
sq_uplink_name(const struct sq_uplink *l)
{
	(void)l;
	return "fake#1";
}

void
sq_uplink_use(struct sq_uplink *l, int delta)
{
	(void)l;
	(void)delta;
}

void
sq_uplink_send(struct sq_uplink *l, struct sq_request *r)
{
	r->link = l;
	sq_list_push_back(&the_pool->requests, &r->node);
}

void
sq_uplink_fail(struct sq_uplink *l, const char *why)
{
	(void)l;
	(void)why;
	abort(); /* no test lets the broker break the protocol */
}

enum sq_credential
sq_pool_credential(const struct sq_pool *p)
{
	(void)p;
	return SQ_CREDENTIAL_TOKEN;
}

bool
sq_pool_ready(struct sq_pool *p, struct sq_buf *why)
{
	(void)why;
	return !sq_list_empty(&p->links);
}

/* --- for the test --- */

void
fake_version(unsigned version)
{
	the_version = version;
}

struct sq_uplink *
fake_link_up(struct sq_pool *p)
{
	struct sq_uplink *l = sq_xcalloc(1, sizeof *l);

	l->id = ++p->last_id;
	sq_list_push_back(&p->links, &l->node);
	p->events->up(p->owner, l);
	return l;
}

void
fake_link_drain(struct sq_pool *p, struct sq_uplink *l)
{
	l->draining = true;
	p->events->draining(p->owner, l);
}

void
fake_link_down(struct sq_pool *p, struct sq_uplink *l)
{
	static const struct sq_answer lost;

	sq_list_remove(&l->node);
	SQ_LIST_FOR_EACH_SAFE(r, &p->requests, struct sq_request, node) {
		if (r->link == l)
			fake_answer(r, &lost);
	}
	p->events->down(p->owner, l);
	free(l);
}

struct sq_request *
fake_request_after(struct sq_pool *p, const struct sq_request *r, const char *what)
{
	bool past = r == NULL;

	SQ_LIST_FOR_EACH(it, &p->requests, struct sq_request, node) {
		if (past && strstr(it->path, what) != NULL)
			return it;
		past = past || it == r;
	}
	return NULL;
}

struct sq_request *
fake_request(struct sq_pool *p, const char *what)
{
	return fake_request_after(p, NULL, what);
}

struct sq_request *
fake_await(struct ev_loop *loop, struct sq_pool *p, const char *what)
{
	struct sq_request *r;

	ev_run(loop, EVRUN_NOWAIT);
	while ((r = fake_request(p, what)) == NULL)
		ev_run(loop, EVRUN_ONCE);
	return r;
}

struct sq_bytes
fake_body(const struct sq_request *r)
{
	struct sq_buf *b = &the_pool->body;

	sq_buf_fini(b);
	for (unsigned i = 0; i < r->n_body; i++)
		sq_buf_append(b, r->body[i].iov_base, r->body[i].iov_len);
	return sq_buf_bytes(b);
}

void
fake_answer(struct sq_request *r, const struct sq_answer *ans)
{
	struct sq_answer a = *ans;

	a.version = the_version;
	sq_list_remove(&r->node);
	r->done(r, &a);
}

static void
frame_tell(struct sq_uplink *l, const struct sq_frame *f)
{
	const struct sq_uplink_frames *to = &the_pool->events->frames;

	switch (f->type) {
	case SQ_FRAME_DELIVER:
		to->deliver(the_pool->owner, l, &f->deliver, NULL);
		break;
	case SQ_FRAME_DETACHED:
		to->detached(the_pool->owner, l, f->epoch, f->reason, f->text);
		break;
	case SQ_FRAME_SUBSCRIBED:
		to->subscribed(the_pool->owner, l, f);
		break;
	case SQ_FRAME_KEPT:
		to->kept(the_pool->owner, l, f);
		break;
	default:
		abort();
	}
}

void
fake_frames(struct sq_uplink *l, const struct sq_buf *b)
{
	const unsigned char *p = sq_buf_data(b);
	struct sq_frame f;
	size_t used;

	for (size_t left = sq_buf_len(b); left > 0; p += used, left -= used) {
		if (sq_frame_decode(p, left, SQ_FRAME_MAX, &f, &used) != 0)
			abort();
		frame_tell(l, &f);
	}
}

void
fake_subscribed(
    struct sq_uplink *l, uint64_t epoch, uint32_t mark, const uint8_t *codes, uint16_t n)
{
	struct sq_buf b = {0};

	sq_frame_subscribed(&b, epoch, mark, codes, n, NULL);
	fake_frames(l, &b);
	sq_buf_fini(&b);
}
