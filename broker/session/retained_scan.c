#include "broker/session/retained_scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/publish/sys.h"
#include "broker/route/retained.h"
#include "broker/session/call_txn.h"
#include "broker/session/session.h"
#include "core/mem.h"
#include "proto/topic/sys_value.h"
#include "proto/topic/tags.h"
#include "web/worker.h"

enum {
	SLICE_LEVELS = 512,    /* of topics that a slice looks at */
	SLICE_BYTES = 1 << 20, /* of messages that end it */
};

struct sq_sub_scan {
	struct sq_list node; /* of the session */
	struct sq_session *session;
	struct sq_subscription *sub;
	struct sq_subs_txn *op;
	struct sq_retained_scan *scan;
	struct sq_bytes tag; /* only messages with it; empty: any */
	size_t bytes;        /* seen in this slice */
	bool full;           /* the queue takes no more */
	unsigned char text[];
};

static bool
scan_room(const struct sq_subs_txn *op, const struct sq_item *item)
{
	uint64_t subs = item->subs != NULL ? item->subs->size : 0;

	return op->base.parts.txn->engine->ops->txn.room(
	    op->base.parts.txn, 1, sq_image_size(item->msg.image) + subs);
}

/* Puts a message; false: the queue takes no more. */
static bool
scan_put(const struct sq_sub_scan *sc, const struct sq_msg *m, const struct sq_origin *origin,
    uint64_t expires_ms)
{
	const struct sq_binding *b = &sc->sub->binding;
	const struct sq_engine_ops *ops = b->sink->engine->ops;
	uint8_t qos = (uint8_t)sq_image_qos(m->image);
	struct sq_item item;

	if (b->sink->reject && ops->queue.full(b->sink->queue, sq_image_size(m->image))) {
		sq_count(sc->session->shard->broker, SQ_M_DROPPED_FULL, 1);
		return false;
	}
	item = (struct sq_item){
	    .msg = sq_msg_ref(*m),
	    .subs = b->subs != NULL ? sq_block_ref(b->subs) : NULL,
	    .origin = *origin,
	    .expires_ms = expires_ms,
	    .qos = (qos < b->max_qos ? qos : b->max_qos) & 3u,
	    .round = b->sink->round, /* this worker's own */
	    .retain = true,
	};
	if (item.qos > 0 && !scan_room(sc->op, &item))
		(void)sq_call_txn_split(&sc->op->base);
	return ops->txn.put(sc->op->base.parts.txn, b->sink->queue, &item) == SQ_OK;
}

static bool
scan_visit(const struct sq_msg *m, const struct sq_origin *origin, uint64_t expires_ms, void *arg)
{
	struct sq_sub_scan *sc = arg;

	sc->bytes += sq_image_size(m->image);
	if (sc->tag.len == 0 || sq_tags_have(sq_image_props(m->image), sc->tag))
		sc->full = !scan_put(sc, m, origin, expires_ms);
	return !sc->full && sc->bytes < SLICE_BYTES;
}

static void
scan_free(struct sq_sub_scan *sc)
{
	struct sq_subs_txn *op = sc->op;

	sc->sub->scan = NULL;
	sq_list_remove(&sc->node);
	sq_retained_scan_close(&sc->scan);
	free(sc);
	assert(op->scans > 0);
	op->scans--;
	if (op->scans == 0 && op->parted)
		sq_call_txn_commit(&op->base);
}

void
sq_retained_commit(struct sq_subs_txn *op)
{
	op->parted = op->scans > 0;
	if (op->parted)
		sq_call_txn_part(&op->base);
	else
		sq_call_txn_commit(&op->base);
}

void
sq_retained_end(struct sq_subscription *sub)
{
	if (sub->scan != NULL)
		scan_free(sub->scan);
}

/* Returns whether there may be more. */
static bool
scan_slice(struct sq_sub_scan *sc, size_t *left, size_t *bytes)
{
	uint64_t now_ms = sq_worker_now_ms(sc->session->shard->worker);
	bool more;

	sc->bytes = *bytes;
	more = sq_retained_scan_next(sc->scan, now_ms, left, scan_visit, sc) && !sc->full;
	*bytes = sc->bytes;
	return more;
}

/* At once, as far as the request has not had its share. */
static void
scan_first(struct sq_sub_scan *sc)
{
	struct sq_subs_txn *op = sc->op;
	size_t left = SLICE_LEVELS - op->scanned;
	bool more = true;

	if (left > 0 && op->scanned_bytes < SLICE_BYTES)
		more = scan_slice(sc, &left, &op->scanned_bytes);
	op->scanned = SLICE_LEVELS - left;
	if (!more)
		scan_free(sc);
}

static void scan_post(struct sq_session *);

/* A slice of the first scan; the next one of the session's has the next turn. */
static void
scan_run(struct sq_task *t)
{
	struct sq_session *s = SQ_CONTAINER_OF(t, struct sq_session, scans.task);
	struct sq_sub_scan *sc = SQ_LIST_FIRST(&s->scans.list, struct sq_sub_scan, node);
	size_t left = SLICE_LEVELS, bytes = 0;

	s->scans.posted = false;
	while (sc != NULL && left > 0 && bytes < SLICE_BYTES) {
		if (scan_slice(sc, &left, &bytes))
			break;
		scan_free(sc);
		sc = SQ_LIST_FIRST(&s->scans.list, struct sq_sub_scan, node);
	}
	if (sc != NULL)
		sq_call_txn_part(&sc->op->base);
	sq_session_wake(s);
	scan_post(s);
	sq_session_unpin(s);
}

static void
scan_post(struct sq_session *s)
{
	if (s->scans.posted || sq_list_empty(&s->scans.list))
		return;
	s->scans.posted = true;
	s->scans.task.run = scan_run;
	sq_session_pin(s);
	sq_worker_post_later(&s->scans.task);
}

/* Of $SYS: there are few, made for the moment. */
static void
scan_sys(struct sq_session *s, struct sq_subscription *sub, const struct sq_topic_filter *f,
    struct sq_subs_txn *op)
{
	struct sq_sub_scan sc = {.session = s, .sub = sub, .op = op, .tag = f->tag};

	sq_sys_retained(s->shard->broker->sys, s->id.tenant, f->filter, scan_visit, &sc);
}

void
sq_retained_begin(struct sq_session *s, struct sq_subscription *sub,
    const struct sq_topic_filter *f, struct sq_subs_txn *op)
{
	struct sq_retained_scan *scan;
	struct sq_sub_scan *sc;

	assert(sq_space_locked());
	sq_retained_end(sub);
	if (sq_sys_filter(f->filter)) {
		scan_sys(s, sub, f, op);
		return;
	}
	scan = sq_retained_scan_open(s->shard->broker->router, sub->binding.space, f->filter);
	if (scan == NULL)
		return;
	sc = sq_xcalloc(1, sizeof *sc + f->tag.len);
	sc->session = s;
	sc->sub = sub;
	sc->op = op;
	sc->scan = scan;
	if (f->tag.len > 0)
		memcpy(sc->text, f->tag.p, f->tag.len);
	sc->tag = (struct sq_bytes){sc->text, f->tag.len};
	sub->scan = sc;
	sub->binding.scanned_upto = sq_retained_scan_upto(scan);
	op->scans++;
	sq_list_push_back(&s->scans.list, &sc->node);
	scan_first(sc);
	scan_post(s);
}
