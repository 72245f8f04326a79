#include "faulty_shared.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"

enum { FAULTS = FAULTY_NOT_DONE + 1 };

struct faulty_shared {
	const struct sq_shared_ops *ops;
	const void *cfg;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned left[FAULTS], calls[FAULTS];
	unsigned one_in, seed;
	bool stop, cut;
	unsigned stopped;
};

struct sq_shared {
	struct faulty_shared *f;
	struct sq_shared *inner;
	const char *why; /* NULL: the inner one's */
	bool dead;       /* its last call was UNKNOWN */
};

struct faulty_shared *
faulty_shared_new(const struct sq_shared_ops *ops, const void *cfg)
{
	struct faulty_shared *f = sq_xcalloc(1, sizeof *f);

	f->ops = ops;
	f->cfg = cfg;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	return f;
}

void
faulty_shared_free(struct faulty_shared **fp)
{
	pthread_mutex_destroy(&(*fp)->lock);
	pthread_cond_destroy(&(*fp)->changed);
	free(*fp);
	*fp = NULL;
}

void
faulty_shared_next(struct faulty_shared *f, enum faulty_what what, unsigned calls, unsigned n)
{
	pthread_mutex_lock(&f->lock);
	f->calls[what] = calls;
	f->left[what] = n;
	pthread_mutex_unlock(&f->lock);
}

void
faulty_shared_chance(struct faulty_shared *f, unsigned one_in, unsigned seed)
{
	pthread_mutex_lock(&f->lock);
	f->one_in = one_in;
	f->seed = seed;
	pthread_mutex_unlock(&f->lock);
}

void
faulty_shared_stop(struct faulty_shared *f)
{
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_mutex_unlock(&f->lock);
}

void
faulty_shared_cont(struct faulty_shared *f)
{
	pthread_mutex_lock(&f->lock);
	f->stop = false;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void
faulty_shared_await_stopped(struct faulty_shared *f)
{
	pthread_mutex_lock(&f->lock);
	while (f->stopped == 0)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void
faulty_shared_cut(struct faulty_shared *f, bool cut)
{
	pthread_mutex_lock(&f->lock);
	f->cut = cut;
	pthread_mutex_unlock(&f->lock);
}

/* The fault of a call; FAULTS: it has none. */
static unsigned
faulty_draw(struct sq_shared *c, enum faulty_call call)
{
	struct faulty_shared *f = c->f;
	unsigned what = FAULTS;

	assert(!c->dead && "after UNKNOWN only hang_up() may follow");
	c->why = NULL;
	pthread_mutex_lock(&f->lock);
	while (f->stop) {
		f->stopped++;
		pthread_cond_broadcast(&f->changed);
		pthread_cond_wait(&f->changed, &f->lock);
		f->stopped--;
	}
	if (f->one_in != 0 && (unsigned)rand_r(&f->seed) % f->one_in == 0)
		what = (unsigned)rand_r(&f->seed) % FAULTS;
	for (unsigned i = 0; i < FAULTS; i++) {
		if (f->left[i] > 0 && (f->calls[i] & call) != 0) {
			f->left[i]--;
			what = i;
			break;
		}
	}
	if (f->cut)
		what = FAULTY_LOST;
	pthread_mutex_unlock(&f->lock);
	return what;
}

static enum sq_shared_result
faulty_end(struct sq_shared *c, unsigned what, enum sq_shared_result result)
{
	if (what == FAULTY_UNTOLD) {
		result = SQ_SHARED_UNKNOWN;
		c->why = "the answer was lost";
	}
	c->dead = result == SQ_SHARED_UNKNOWN;
	return result;
}

static enum sq_shared_result
faulty_refuse(struct sq_shared *c, unsigned what)
{
	c->why = what == FAULTY_LOST ? "the connection was lost" : "no space left on device";
	c->dead = what == FAULTY_LOST;
	return c->dead ? SQ_SHARED_UNKNOWN : SQ_SHARED_NOT_DONE;
}

static bool
faulty_refuses(unsigned what)
{
	return what == FAULTY_LOST || what == FAULTY_NOT_DONE;
}

static int
faulty_dial(struct sq_shared **out, const void *cfg, unsigned deadline_ms, struct sq_buf *err)
{
	struct faulty_shared *f = (struct faulty_shared *)(uintptr_t)cfg;
	struct sq_shared *inner;
	bool cut;
	int rc;

	pthread_mutex_lock(&f->lock);
	cut = f->cut;
	pthread_mutex_unlock(&f->lock);
	if (cut) {
		sq_buf_printf(err, "it can't be reached");
		return SQ_EIO;
	}
	rc = f->ops->dial(&inner, f->cfg, deadline_ms, err);
	if (rc != SQ_OK)
		return rc;
	*out = sq_xcalloc(1, sizeof **out);
	(*out)->f = f;
	(*out)->inner = inner;
	return SQ_OK;
}

static void
faulty_hang_up(struct sq_shared **cp)
{
	if (*cp == NULL)
		return;
	(*cp)->f->ops->hang_up(&(*cp)->inner);
	free(*cp);
	*cp = NULL;
}

static const char *
faulty_error(const struct sq_shared *c)
{
	return c->why != NULL ? c->why : c->f->ops->error(c->inner);
}

static enum sq_shared_result
faulty_append(struct sq_shared *c, uint64_t nonce, uint64_t epoch, uint64_t lsn, uint64_t sure,
    struct sq_bytes data)
{
	unsigned what = faulty_draw(c, FAULTY_APPEND);
	enum sq_shared_result result;

	if (faulty_refuses(what))
		return faulty_refuse(c, what);
	result = c->f->ops->append(c->inner, nonce, epoch, lsn, sure, data);
	if (what == FAULTY_TWICE && result == SQ_SHARED_DONE &&
	    c->f->ops->append(c->inner, nonce, epoch, lsn, sure, data) == SQ_SHARED_DONE)
		abort();
	return faulty_end(c, what, result);
}

static enum sq_shared_result
faulty_claim(struct sq_shared *c, const struct sq_shared_claim *claim, struct sq_shared_head *head)
{
	unsigned what = faulty_draw(c, FAULTY_CLAIM);
	enum sq_shared_result result;

	if (faulty_refuses(what))
		return faulty_refuse(c, what);
	result = c->f->ops->claim(c->inner, claim, head);
	if (what == FAULTY_TWICE && result == SQ_SHARED_DONE)
		result = c->f->ops->claim(c->inner, claim, head);
	return faulty_end(c, what, result);
}

static enum sq_shared_result
faulty_beat(struct sq_shared *c, uint64_t nonce, uint64_t sure, bool yields)
{
	unsigned what = faulty_draw(c, FAULTY_BEAT);
	enum sq_shared_result result;

	if (faulty_refuses(what))
		return faulty_refuse(c, what);
	result = c->f->ops->beat(c->inner, nonce, sure, yields);
	if (what == FAULTY_TWICE && result == SQ_SHARED_DONE)
		result = c->f->ops->beat(c->inner, nonce, sure, yields);
	return faulty_end(c, what, result);
}

/* Reads end in DONE or UNKNOWN. */
static enum sq_shared_result
faulty_read(struct sq_shared *c, uint64_t from, size_t max_bytes, struct sq_shared_head *head,
    sq_shared_record_fn *record, void *arg)
{
	unsigned what = faulty_draw(c, FAULTY_READ);

	if (faulty_refuses(what))
		return faulty_refuse(c, FAULTY_LOST);
	return faulty_end(c, what, c->f->ops->read(c->inner, from, max_bytes, head, record, arg));
}

static enum sq_shared_result
faulty_announce(
    struct sq_shared *c, const struct sq_shared_peer *me, sq_shared_peer_fn *peer, void *arg)
{
	unsigned what = faulty_draw(c, FAULTY_ANNOUNCE);

	if (faulty_refuses(what))
		return faulty_refuse(c, what);
	return faulty_end(c, what, c->f->ops->announce(c->inner, me, peer, arg));
}

static enum sq_shared_result
faulty_drop(struct sq_shared *c, uint64_t lsn)
{
	return faulty_end(c, FAULTS, c->f->ops->drop(c->inner, lsn));
}

static enum sq_shared_result
faulty_snap_newest(
    struct sq_shared *c, struct sq_shared_snapshot *newest, struct sq_shared_snapshot *older)
{
	return faulty_end(c, FAULTS, c->f->ops->snap_newest(c->inner, newest, older));
}

const struct sq_shared_ops faulty_shared_ops = {
    .name = "faulty",
    .dial = faulty_dial,
    .hang_up = faulty_hang_up,
    .error = faulty_error,
    .append = faulty_append,
    .claim = faulty_claim,
    .beat = faulty_beat,
    .read = faulty_read,
    .announce = faulty_announce,
    .drop = faulty_drop,
    .snap_newest = faulty_snap_newest,
};
