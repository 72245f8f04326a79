/* The buffer between the broker and a deliveries response.
 *
 * Any worker puts frames; the link's own worker takes all that waits once per
 * turn and writes it.  One lock per link, held for a copy. */
#include "broker/front/link/link_priv.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "broker/share/share.h"
#include "core/fault.h"
#include "core/mem.h"

struct sq_link {
	struct sq_link_cfg cfg;
	atomic_uint refs;
	atomic_bool open, full;
	/* Which counts the connection: one of the two, or neither. */
	_Atomic(struct sq_account *) account, first;
	struct sq_task flush; /* holds a reference while it is posted */
	pthread_mutex_t lock;
	/* Under the lock. */
	struct sq_buf out;
	size_t taken;          /* bytes that the stream has and has not written */
	bool posted;           /* 'flush' is; only its run ends that, whoever has taken meanwhile */
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

static void
link_flush(struct sq_task *t)
{
	struct sq_link *l = SQ_CONTAINER_OF(t, struct sq_link, flush);

	pthread_mutex_lock(&l->lock);
	l->posted = false;
	pthread_mutex_unlock(&l->lock);
	if (l->cfg.stream != NULL)
		l->cfg.flush(l->cfg.stream);
	sq_link_unref(&l);
}

struct sq_link *
sq_link_new(const struct sq_link_cfg *cfg)
{
	struct sq_link *l = sq_xcalloc(1, sizeof *l);

	l->cfg = *cfg;
	(void)sq_identity_ref(l->cfg.identity);
	atomic_init(&l->refs, 1);
	atomic_init(&l->open, true);
	atomic_init(&l->full, false);
	l->flush.run = link_flush;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

struct sq_link *
sq_link_ref(struct sq_link *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

static void
link_forget_last(struct sq_link *l)
{
	if (l->last.msg.image != NULL)
		sq_msg_unref(&l->last.msg);
}

bool
sq_link_count_first(struct sq_link *l, struct sq_account *account)
{
	if (!sq_share_take(account, SQ_SHARE_CONNECTIONS, 1))
		return false;
	atomic_store(&l->first, account);
	return true;
}

/* That account counts it no more, if it did. */
static void
link_uncount(_Atomic(struct sq_account *) *from)
{
	struct sq_account *account = atomic_exchange(from, NULL);

	if (account != NULL)
		sq_share_give(account, SQ_SHARE_CONNECTIONS, 1);
}

bool
sq_link_count(struct sq_link *l, struct sq_account *account)
{
	struct sq_account *none = NULL, *first = account;

	if (atomic_load_explicit(&l->account, memory_order_relaxed) != NULL)
		return true;
	/* What the first one has counted is this one's, if they are the same. */
	if (!atomic_compare_exchange_strong(&l->first, &first, NULL) &&
	    !sq_share_take(account, SQ_SHARE_CONNECTIONS, 1))
		return false;
	if (!atomic_compare_exchange_strong(&l->account, &none, account))
		sq_share_give(account, SQ_SHARE_CONNECTIONS, 1);
	link_uncount(&l->first);
	return true;
}

void
sq_link_unref(struct sq_link **lp)
{
	struct sq_link *l = *lp;

	*lp = NULL;
	if (l == NULL || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
		return;
	link_uncount(&l->account); /* who counted it when it was closed already */
	link_uncount(&l->first);
	link_forget_last(l);
	sq_identity_unref(&l->cfg.identity);
	sq_buf_fini(&l->out);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

uint64_t
sq_link_id(const struct sq_link *l)
{
	return l->cfg.id;
}

const struct sq_identity *
sq_link_identity(const struct sq_link *l)
{
	return l->cfg.identity;
}

unsigned
sq_link_version(const struct sq_link *l)
{
	return l->cfg.version;
}

bool
sq_link_open(const struct sq_link *l)
{
	return atomic_load_explicit(&l->open, memory_order_acquire);
}

bool
sq_link_writable(const struct sq_link *l)
{
	return !atomic_load_explicit(&l->full, memory_order_acquire);
}

/* Locks the link to put something; false, and not locked, when it is closed. */
static bool
link_lock(struct sq_link *l)
{
	pthread_mutex_lock(&l->lock);
	if (sq_link_open(l))
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
		atomic_store_explicit(&l->full, true, memory_order_release);
	pthread_mutex_unlock(&l->lock);
	if (post) {
		sq_link_ref(l);
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

void
sq_link_deliver(struct sq_link *l, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s, const struct sq_target *t, const uint32_t *subs)
{
	if (!link_lock(l))
		return;
	if (!link_joins(l, m, origin, expiry_s) ||
	    sq_deliver_target(&l->out, l->last.at, t, subs) != SQ_OK) {
		int err;

		link_open_frame(l, m, origin, expiry_s);
		err = sq_deliver_target(&l->out, l->last.at, t, subs);
		assert(err == SQ_OK); /* a frame without targets has room for one */
	}
	l->qos2 |= (t->flags & SQ_TARGET_QOS) == 2;
	link_unlock(l);
}

void
sq_link_subscribed(struct sq_link *l, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes)
{
	assert(l->cfg.version >= 2 && mark != 0);
	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_subscribed(&l->out, epoch, mark, codes, n, notes);
	link_unlock(l);
}

void
sq_link_kept(struct sq_link *l, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries)
{
	assert(l->cfg.version >= 2);
	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_kept(&l->out, epoch, last, n, entries);
	link_unlock(l);
}

void
sq_link_detached(struct sq_link *l, uint64_t epoch, uint8_t reason, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_detached(&l->out, epoch, reason,
	    (struct sq_bytes){(const unsigned char *)text, len}, l->cfg.version);
	link_unlock(l);
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
sq_link_draining(struct sq_link *l)
{
	if (!link_lock(l))
		return;
	link_forget_last(l);
	sq_frame_draining(&l->out);
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
	atomic_store_explicit(&l->open, false, memory_order_release);
	pthread_mutex_unlock(&l->lock);
	link_uncount(&l->account);
	link_uncount(&l->first);
}

void
sq_link_orphan(struct sq_link *l)
{
	sq_link_close(l);
	l->cfg.stream = NULL;
	pthread_mutex_lock(&l->lock);
	link_forget_last(l);
	sq_buf_fini(&l->out);
	pthread_mutex_unlock(&l->lock);
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
	again = !sq_link_writable(l) && sq_buf_len(&l->out) < SQ_LINK_LOW;
	if (again)
		atomic_store_explicit(&l->full, false, memory_order_release);
	pthread_mutex_unlock(&l->lock);
	return again;
}
