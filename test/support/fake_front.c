#include "fake_front.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

struct sq_link {
	uint64_t id;
	unsigned version;
	const struct sq_identity *identity;
	atomic_uint refs;
	atomic_bool open, full;
	pthread_mutex_t lock;
	struct fake_delivery *log;
	size_t n, cap, at; /* 'at': what fake_link_take() has taken */
	char kept[1024];   /* see fake_link_kept() */
};

static atomic_size_t n_links;

struct sq_link *
fake_link_new(uint64_t id, uint64_t identity)
{
	struct sq_link *l = sq_xcalloc(1, sizeof *l);

	l->id = id;
	l->version = SQ_LINK_VERSION;
	l->identity = sq_identity_new(&(struct sq_identity){.id = identity});
	atomic_init(&l->refs, 1);
	atomic_init(&l->open, true);
	pthread_mutex_init(&l->lock, NULL);
	atomic_fetch_add(&n_links, 1);
	return l;
}

void
fake_link_identify(struct sq_link *l, const struct sq_identity *who)
{
	sq_identity_unref(&l->identity);
	l->identity = sq_identity_new(who);
}

void
fake_link_shut(struct sq_link *l)
{
	atomic_store(&l->open, false);
}

void
fake_link_set_full(struct sq_link *l, bool full)
{
	atomic_store(&l->full, full);
}

size_t
fake_link_count(const struct sq_link *l)
{
	return l->n;
}

struct fake_delivery *
fake_link_at(struct sq_link *l, size_t i)
{
	return &l->log[i];
}

bool
fake_link_take(struct sq_link *l, struct fake_delivery *out)
{
	bool any;

	pthread_mutex_lock(&l->lock);
	any = l->at < l->n;
	if (any) {
		if (l->log[l->at].msg.block != NULL)
			sq_msg_unref(&l->log[l->at].msg);
		*out = l->log[l->at++];
	}
	if (l->at == l->n)
		l->at = l->n = 0;
	pthread_mutex_unlock(&l->lock);
	return any;
}

size_t
fake_links(void)
{
	return atomic_load(&n_links);
}

struct sq_link *
sq_link_ref(struct sq_link *l)
{
	atomic_fetch_add(&l->refs, 1);
	return l;
}

void
sq_link_unref(struct sq_link **lp)
{
	struct sq_link *l = *lp;

	*lp = NULL;
	if (l == NULL || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (l->log[i].msg.block != NULL)
			sq_msg_unref(&l->log[i].msg);
	}
	free(l->log);
	sq_identity_unref(&l->identity);
	pthread_mutex_destroy(&l->lock);
	atomic_fetch_sub(&n_links, 1);
	free(l);
}

uint64_t
sq_link_id(const struct sq_link *l)
{
	return l->id;
}

const struct sq_identity *
sq_link_identity(const struct sq_link *l)
{
	return l->identity;
}

bool
sq_link_count(struct sq_link *l, struct sq_account *account)
{
	return l != NULL && account != NULL; /* connections are the front's */
}

bool
sq_link_count_first(struct sq_link *l, struct sq_account *account)
{
	return sq_link_count(l, account);
}

unsigned
sq_link_version(const struct sq_link *l)
{
	return l->version;
}

void
fake_link_set_version(struct sq_link *l, unsigned version)
{
	l->version = version;
}

bool
sq_link_open(const struct sq_link *l)
{
	return atomic_load(&l->open);
}

bool
sq_link_writable(const struct sq_link *l)
{
	return !atomic_load(&l->full);
}

/* The next entry of the log; under the lock. */
static struct fake_delivery *
link_log(struct sq_link *l)
{
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 16;
		l->log = sq_xrealloc(l->log, l->cap * sizeof *l->log);
	}
	memset(&l->log[l->n], 0, sizeof *l->log);
	return &l->log[l->n++];
}

static void
delivery_text(char *to, size_t size, struct sq_bytes from)
{
	snprintf(to, size, "%.*s", (int)from.len, from.len > 0 ? (const char *)from.p : "");
}

void
sq_link_deliver(struct sq_link *l, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s, const struct sq_target *t, const uint32_t *subs)
{
	struct fake_delivery *d;

	if (!sq_link_open(l))
		return;
	pthread_mutex_lock(&l->lock);
	d = link_log(l);
	d->epoch = t->epoch;
	d->delivery = t->delivery;
	d->queue = t->queue;
	d->packet_id = t->packet_id;
	d->qos = t->flags & SQ_TARGET_QOS;
	d->retain = (t->flags & SQ_TARGET_RETAIN) != 0;
	d->redelivered = (t->flags & SQ_TARGET_REDELIVERED) != 0;
	d->expiry_s = expiry_s;
	d->has_origin = origin != NULL;
	if (origin != NULL)
		d->origin = *origin;
	d->n_subs = t->n_subs;
	for (unsigned i = 0; i < t->n_subs && i < SQ_ARRAY_LEN(d->subs); i++)
		d->subs[i] = subs[i];
	d->msg = sq_msg_clone(m);
	delivery_text(d->payload, sizeof d->payload, sq_image_payload(m->image));
	delivery_text(d->topic, sizeof d->topic, sq_image_topic(m->image));
	pthread_mutex_unlock(&l->lock);
}

void
sq_link_subscribed(struct sq_link *l, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes)
{
	struct sq_bytes rest = {sq_buf_data(&notes->body), sq_buf_len(&notes->body)};
	struct fake_delivery *d;
	struct sq_note note = {0};

	assert(l->version >= 2);
	if (!sq_link_open(l))
		return;
	(void)sq_note_next(&rest, &note);
	pthread_mutex_lock(&l->lock);
	d = link_log(l);
	d->subscribed = true;
	d->epoch = epoch;
	d->mark = mark;
	d->n_codes = n;
	memcpy(d->codes, codes, n < sizeof d->codes ? n : sizeof d->codes);
	delivery_text(d->note, sizeof d->note, note.text);
	pthread_mutex_unlock(&l->lock);
}

void
sq_link_kept(struct sq_link *l, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries)
{
	char *to = l->kept;
	size_t left = sizeof l->kept;

	assert(l->version >= 2);
	pthread_mutex_lock(&l->lock);
	to += strlen(to);
	left -= strlen(l->kept);
	for (uint16_t i = 0; i < n; i++) {
		struct sq_kept k = sq_kept_next(&entries);
		int len = snprintf(to, left, "%.*s %u %u\n", (int)k.filter.len,
		    (const char *)k.filter.p, k.options, (unsigned)k.sub_id);

		assert(len > 0 && epoch != 0);
		if ((size_t)len >= left) { /* as much as there is room for */
			*to = '\0';
			break;
		}
		to += len;
		left -= (size_t)len;
	}
	if (last && left > 2)
		memcpy(to, ".\n", 3);
	pthread_mutex_unlock(&l->lock);
}

const char *
fake_link_kept(const struct sq_link *l)
{
	return l->kept;
}

void
sq_link_detached(struct sq_link *l, uint64_t epoch, uint8_t reason, const char *text)
{
	struct fake_delivery *d;

	(void)text;
	if (!sq_link_open(l))
		return;
	pthread_mutex_lock(&l->lock);
	d = link_log(l);
	d->detached = true;
	d->epoch = epoch;
	d->reason = reason;
	pthread_mutex_unlock(&l->lock);
}

/* Calls. */

static void
call_done(struct sq_call *c)
{
	struct fake_call *fc = SQ_CONTAINER_OF(c, struct fake_call, call);

	fc->answers++;
	if (fc->done != NULL)
		fc->done(fc);
}

struct fake_call *
fake_call_new(enum sq_call_kind kind, const char *key, uint64_t epoch, struct sq_link *link,
    struct sq_buf *body)
{
	struct fake_call *fc = sq_xcalloc(1, sizeof *fc);
	struct sq_bytes segment = {(const unsigned char *)key, strlen(key)};

	fc->call.kind = kind;
	fc->call.done = call_done;
	if (sq_key_decode(segment, &fc->call.key) != SQ_OK)
		abort(); /* the test's mistake */
	fc->call.key_hash = sq_key_hash(&fc->call.key);
	fc->call.epoch = epoch;
	fc->call.link = sq_link_ref(link);
	fc->call.body = sq_block_copy(
	    sq_buf_len(body) > 0 ? sq_buf_data(body) : (const void *)"", sq_buf_len(body));
	sq_buf_fini(body);
	return fc;
}

void
fake_call_free(struct fake_call **cp)
{
	struct fake_call *fc = *cp;

	*cp = NULL;
	if (fc == NULL)
		return;
	assert(fc->answers == 1);
	sq_link_unref(&fc->call.link);
	sq_block_unref(&fc->call.body);
	sq_buf_fini(&fc->call.out);
	free(fc);
}
