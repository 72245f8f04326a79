/* A log of several brokers, in memory; see test/support/fake_log.h. */
#include "fake_log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { UNCOPIED = 64, SEGMENTS = 256 };

/* The log after a write. */
struct version {
	struct sq_shared_head head;
	unsigned segments;
};

struct fake_log {
	struct fake_log_broken broken;
	struct version copied, at[UNCOPIED]; /* the second copy's, and each after it */
	unsigned uncopied;
	uint64_t writes; /* that the second copy has */
	bool early;      /* readers are shown what is not copied */
	struct fake_record *records;
	size_t room;
	uint64_t segments[SEGMENTS]; /* the first lsn of each */
};

struct fake_log *
fake_log_new(uint64_t store)
{
	struct fake_log *l = sq_xcalloc(1, sizeof *l);

	l->copied.head = (struct sq_shared_head){.store = store, .first = 1, .copies = 2};
	l->copied.segments = 1;
	l->segments[0] = 1;
	return l;
}

static struct version *
latest(struct fake_log *l)
{
	return l->uncopied > 0 ? &l->at[l->uncopied - 1] : &l->copied;
}

static void
forget(struct fake_log *l, uint64_t from, uint64_t to)
{
	for (uint64_t lsn = from; lsn <= to; lsn++) {
		free(l->records[lsn - 1].data);
		l->records[lsn - 1].data = NULL;
	}
}

void
fake_log_free(struct fake_log **lp)
{
	struct fake_log *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	forget(l, 1, latest(l)->head.last);
	free(l->records);
	free(l);
}

struct fake_log *
fake_log_fork(const struct fake_log *from)
{
	struct fake_log *l = sq_xmalloc(sizeof *l);
	uint64_t last;

	*l = *from;
	last = latest(l)->head.last;
	l->records = sq_xcalloc(l->room + !l->room, sizeof *l->records);
	for (uint64_t i = 0; i < last; i++) {
		struct fake_record *r = &l->records[i];

		*r = from->records[i];
		if (r->data == NULL)
			continue;
		r->data = sq_xmalloc(r->len + !r->len);
		memcpy(r->data, from->records[i].data, r->len);
	}
	return l;
}

void
fake_log_break(struct fake_log *l, struct fake_log_broken broken)
{
	l->broken = broken;
}

/* A version more, for the caller to write to; NULL: there is no room. */
static struct version *
begin(struct fake_log *l, uint64_t *at)
{
	struct version *v;

	if (l->uncopied == UNCOPIED)
		return NULL;
	v = &l->at[l->uncopied];
	*v = *latest(l);
	l->uncopied++;
	*at = l->writes + l->uncopied;
	return v;
}

enum sq_shared_result
fake_log_append(struct fake_log *l, uint64_t nonce, uint64_t epoch, uint64_t lsn, uint64_t sure,
    struct sq_bytes data, uint64_t *at)
{
	const struct sq_shared_head *h = &latest(l)->head;
	struct fake_record *r;
	struct version *v;

	if ((nonce != h->nonce && !l->broken.no_nonce) ||
	    (lsn != h->last + 1 && !l->broken.no_last))
		return SQ_SHARED_REFUSED;
	v = begin(l, at);
	if (v == NULL)
		return SQ_SHARED_UNKNOWN;
	if (v->head.last == l->room) {
		l->room = l->room > 0 ? 2 * l->room : 64;
		l->records = sq_xrealloc(l->records, l->room * sizeof *l->records);
	}
	r = &l->records[v->head.last++];
	*r = (struct fake_record){.lsn = lsn, .epoch = epoch, .sure = sure, .len = data.len};
	r->data = sq_xmalloc(data.len + !data.len);
	if (data.len > 0)
		memcpy(r->data, data.p, data.len);
	return SQ_SHARED_DONE;
}

enum sq_shared_result
fake_log_claim(
    struct fake_log *l, const struct sq_shared_claim *c, struct sq_shared_head *out, uint64_t *at)
{
	const struct sq_shared_head *h = &latest(l)->head;
	bool again = h->nonce == c->nonce;
	struct version *v;

	if (h->moved || (h->nonce != c->expected && !again))
		return SQ_SHARED_REFUSED;
	v = begin(l, at);
	if (v == NULL)
		return SQ_SHARED_UNKNOWN;
	v->head.epoch += !again;
	if (!again && !c->again)
		v->head.boot = v->head.epoch;
	v->head.nonce = c->nonce;
	v->head.beats++;
	snprintf(v->head.holder, sizeof v->head.holder, "%s", c->holder);
	snprintf(v->head.link, sizeof v->head.link, "%s", c->link != NULL ? c->link : "");
	snprintf(v->head.admin, sizeof v->head.admin, "%s", c->admin != NULL ? c->admin : "");
	if (c->roll && !again && v->segments < SEGMENTS &&
	    l->segments[v->segments - 1] != v->head.last + 1)
		l->segments[v->segments++] = v->head.last + 1;
	*out = v->head;
	return SQ_SHARED_DONE;
}

enum sq_shared_result
fake_log_beat(struct fake_log *l, uint64_t nonce, uint64_t sure, bool yields, uint64_t *at)
{
	struct version *v;

	if (nonce != latest(l)->head.nonce)
		return SQ_SHARED_REFUSED;
	v = begin(l, at);
	if (v == NULL)
		return SQ_SHARED_UNKNOWN;
	v->head.beats++;
	v->head.sure = sure;
	if (yields)
		v->head.holder[0] = '\0';
	return SQ_SHARED_DONE;
}

void
fake_log_drop(struct fake_log *l, uint64_t lsn)
{
	fake_log_copy(l, l->uncopied);
	while (l->copied.segments > 1 && l->segments[1] <= lsn + 1) {
		forget(l, l->segments[0], l->segments[1] - 1);
		l->copied.segments--;
		memmove(l->segments, l->segments + 1, l->copied.segments * sizeof l->segments[0]);
	}
	l->copied.head.first = l->segments[0];
}

void
fake_log_set(struct fake_log *l, const struct sq_shared_head *h)
{
	fake_log_copy(l, l->uncopied);
	assert(h->last == l->copied.head.last);
	l->copied.head = *h;
}

const struct sq_shared_head *
fake_log_seen(const struct fake_log *l)
{
	return l->early && l->uncopied > 0 ? &l->at[l->uncopied - 1].head : &l->copied.head;
}

const struct sq_shared_head *
fake_log_durable(const struct fake_log *l)
{
	return &l->copied.head;
}

const struct fake_record *
fake_log_record(const struct fake_log *l, uint64_t lsn)
{
	const struct fake_record *r = &l->records[lsn - 1];

	return r->data != NULL ? r : NULL;
}

unsigned
fake_log_segments(const struct fake_log *l)
{
	return l->copied.segments;
}

void
fake_log_copy(struct fake_log *l, unsigned n)
{
	if (n > l->uncopied)
		n = l->uncopied;
	if (n == 0)
		return;
	l->copied = l->at[n - 1];
	l->uncopied -= n;
	l->writes += n;
	memmove(l->at, l->at + n, l->uncopied * sizeof l->at[0]);
}

unsigned
fake_log_uncopied(const struct fake_log *l)
{
	return l->uncopied;
}

bool
fake_log_has(const struct fake_log *l, uint64_t at)
{
	return at <= l->writes;
}

void
fake_log_fail_over(struct fake_log *l)
{
	forget(l, l->copied.head.last + 1, latest(l)->head.last);
	l->uncopied = 0;
	l->early = false;
}

void
fake_log_restart(struct fake_log *l)
{
	l->early = true;
}
