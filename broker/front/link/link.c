/* See broker/front/link/link.h.  One lock per link, held for a copy. */
#include "broker/front/link/link.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/fault.h"
#include "core/mem.h"

struct sq_link {
	struct sq_outlet outlet; /* first */
	struct sq_link_cfg cfg;
	struct sq_task flush;             /* holds a reference while it is posted */
	struct sq_link_withheld withheld; /* home's */
	pthread_mutex_t lock;
	/* Under the lock. */
	struct sq_buf out;
	size_t taken;          /* bytes that the stream has and has not written */
	uint64_t delivered;    /* targets so far */
	bool posted;           /* 'flush' is posted; only its run ends that */
	bool qos2, taken_qos2; /* for the fault point: 'out', what was taken, has such a delivery */
	/* The deliver frame at the end of 'out', if 'image' is set: what a target
	 * must share to join it.  The reference keeps the pointer from being reused. */
	struct {
		struct sq_msg msg;
		struct sq_origin origin;
		bool has_origin;
		uint32_t expiry_s;
		size_t at;
	} last;
};

static struct sq_link *
link_of(struct sq_outlet *o)
{
	return SQ_CONTAINER_OF(o, struct sq_link, outlet);
}

static void
link_unref(struct sq_link *l)
{
	struct sq_outlet *o = &l->outlet;

	sq_outlet_unref(&o);
}

static void
link_flush(struct sq_task *t)
{
	struct sq_link *l = SQ_CONTAINER_OF(t, struct sq_link, flush);

	pthread_mutex_lock(&l->lock);
	l->posted = false;
	pthread_mutex_unlock(&l->lock);
	if (l->cfg.stream != NULL)
		l->cfg.flush(l->cfg.stream);
	link_unref(l);
}

static void
link_forget_last(struct sq_link *l)
{
	if (l->last.msg.image != NULL)
		sq_msg_unref(&l->last.msg);
}

/* The last reference is gone. */
static void
link_free(struct sq_outlet *o)
{
	struct sq_link *l = link_of(o);

	assert(l->withheld.n == 0);
	link_forget_last(l);
	sq_buf_fini(&l->out);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

uint64_t
sq_link_id(const struct sq_link *l)
{
	return l->cfg.id;
}

unsigned
sq_link_version(const struct sq_link *l)
{
	return l->cfg.version;
}

struct sq_link_withheld *
sq_link_withheld(struct sq_outlet *o)
{
	return &link_of(o)->withheld;
}

struct sq_outlet *
sq_link_outlet(struct sq_link *l)
{
	return &l->outlet;
}

/* Locks the link to put something; false, and not locked, when it is closed. */
static bool
link_lock(struct sq_link *l)
{
	pthread_mutex_lock(&l->lock);
	if (sq_outlet_open(&l->outlet))
		return true;
	pthread_mutex_unlock(&l->lock);
	return false;
}

/* Unlocks it after something was put. */
static void
link_unlock(struct sq_link *l)
{
	bool post = !l->posted;

	l->posted = true;
	if (sq_buf_len(&l->out) + l->taken > SQ_LINK_HIGH)
		sq_outlet_set_full(&l->outlet, true);
	pthread_mutex_unlock(&l->lock);
	if (post) {
		(void)sq_outlet_ref(&l->outlet);
		sq_worker_post_in(l->cfg.home, SQ_TURN_FLUSH, &l->flush);
	}
}

/* Whether a target of 'm' may join the frame at the end. */
static bool
link_joins(const struct sq_link *l, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s)
{
	return l->last.msg.image == m->image && m->image != NULL && l->last.expiry_s == expiry_s &&
	    l->last.has_origin == (origin != NULL) &&
	    (origin == NULL || sq_origin_equal(&l->last.origin, origin));
}

static void
link_open_frame(
    struct sq_link *l, const struct sq_msg *m, const struct sq_origin *origin, uint32_t expiry_s)
{
	link_forget_last(l);
	l->last.msg = sq_msg_ref(*m);
	l->last.has_origin = origin != NULL;
	if (origin != NULL)
		l->last.origin = *origin;
	l->last.expiry_s = expiry_s;
	l->last.at = sq_deliver_open(&l->out, origin, expiry_s, m->image);
}

static void
link_deliver(struct sq_outlet *o, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s, const struct sq_target *t, const uint32_t *subs)
{
	struct sq_link *l = link_of(o);

	if (!link_lock(l))
		return;
	if (!link_joins(l, m, origin, expiry_s) ||
	    sq_deliver_target(&l->out, l->last.at, t, subs) != SQ_OK) {
		int err;

		link_open_frame(l, m, origin, expiry_s);
		err = sq_deliver_target(&l->out, l->last.at, t, subs);
		assert(err == SQ_OK); /* a frame without targets has room for one */
	}
	l->delivered++;
	l->qos2 |= (t->flags & SQ_TARGET_QOS) == 2;
	link_unlock(l);
}

static void
link_subscribed(struct sq_outlet *o, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes)
{
	struct sq_link *l = link_of(o);

	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_subscribed(&l->out, epoch, mark, codes, n, notes);
	link_unlock(l);
}

static void
link_kept(struct sq_outlet *o, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries)
{
	struct sq_link *l = link_of(o);

	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_kept(&l->out, epoch, last, n, entries);
	link_unlock(l);
}

static void
link_detached(struct sq_outlet *o, uint64_t epoch, uint8_t reason, const char *text)
{
	struct sq_link *l = link_of(o);
	size_t len = text != NULL ? strlen(text) : 0;

	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_detached(&l->out, epoch, reason,
	    (struct sq_bytes){(const unsigned char *)text, len}, l->cfg.version);
	link_unlock(l);
}

static const struct sq_outlet_ops link_ops = {
    .deliver = link_deliver,
    .subscribed = link_subscribed,
    .kept = link_kept,
    .detached = link_detached,
    .free = link_free,
};

struct sq_link *
sq_link_new(const struct sq_link_cfg *cfg)
{
	struct sq_link *l = sq_xcalloc(1, sizeof *l);

	sq_outlet_init(&l->outlet, &link_ops, cfg->identity,
	    cfg->version >= 2 ? SQ_OUTLET_MARKS | SQ_OUTLET_KEPT : 0);
	l->cfg = *cfg;
	l->flush.run = link_flush;
	sq_list_init(&l->withheld.calls);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void
sq_link_heartbeat(struct sq_link *l)
{
	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_buf_trim(&l->out, 0); /* nothing was put for a while */
	sq_frame_heartbeat(&l->out);
	link_unlock(l);
}

void
sq_link_draining(struct sq_link *l, const char *address)
{
	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_draining(&l->out, sq_bytes_of(address), l->cfg.version);
	link_unlock(l);
}

void
sq_link_standby(struct sq_link *l, const char *address)
{
	if (l->cfg.version < 3 || !link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_standby(&l->out, sq_bytes_of(address));
	link_unlock(l);
}

void
sq_link_trust(struct sq_link *l, uint64_t digest)
{
	if (l->cfg.version < 2 || !link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_trust(&l->out, digest);
	link_unlock(l);
}

void
sq_link_close(struct sq_link *l)
{
	pthread_mutex_lock(&l->lock);
	sq_outlet_close(&l->outlet);
	pthread_mutex_unlock(&l->lock);
	if (l->withheld.n > 0)
		sq_worker_alarm(&l->withheld.alarm, 0);
}

void
sq_link_orphan(struct sq_link **lp)
{
	struct sq_link *l = *lp;

	*lp = NULL;
	sq_link_close(l);
	l->cfg.stream = NULL;
	pthread_mutex_lock(&l->lock);
	link_forget_last(l);
	sq_buf_fini(&l->out);
	pthread_mutex_unlock(&l->lock);
	link_unref(l);
}

struct sq_link_output
sq_link_output(struct sq_link *l)
{
	struct sq_link_output out;

	pthread_mutex_lock(&l->lock);
	out.delivered = l->delivered;
	out.waiting = sq_buf_len(&l->out) + l->taken;
	pthread_mutex_unlock(&l->lock);
	return out;
}

bool
sq_link_take(struct sq_link *l, struct sq_buf *out)
{
	bool any;

	assert(sq_buf_len(out) == 0);
	pthread_mutex_lock(&l->lock);
	any = sq_buf_len(&l->out) > 0;
	if (any) {
		struct sq_buf was = l->out;

		l->out = *out;
		*out = was;
		l->taken = sq_buf_len(out);
		l->taken_qos2 = l->qos2;
		l->qos2 = false;
		link_forget_last(l);
	}
	pthread_mutex_unlock(&l->lock);
	return any;
}

bool
sq_link_written(struct sq_link *l)
{
	bool again;

	pthread_mutex_lock(&l->lock);
	if (l->taken_qos2)
		SQ_FAULT("broker-deliver-sent");
	l->taken = 0;
	again = !sq_outlet_writable(&l->outlet) && sq_buf_len(&l->out) < SQ_LINK_LOW;
	if (again)
		sq_outlet_set_full(&l->outlet, false);
	pthread_mutex_unlock(&l->lock);
	return again;
}
