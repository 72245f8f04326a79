#include "fake_front.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/link/body.h"
#include "broker/front/link/status.h"
#include "core/mem.h"

struct fake_link {
	struct sq_outlet outlet;
	unsigned version;
	pthread_mutex_t lock;
	struct fake_delivery *log;
	size_t n, cap, at; /* 'at': what fake_link_take() has taken */
	size_t most;       /* see fake_link_bound(); 0: none */
	char kept[1024];   /* see fake_link_kept() */
};

static atomic_size_t n_links;

static struct fake_link *
link_of(const struct sq_outlet *o)
{
	return SQ_CONTAINER_OF(o, struct fake_link, outlet);
}

void
fake_link_identify(struct sq_outlet *o, const struct sq_identity *who)
{
	sq_identity_unref(&o->identity);
	o->identity = sq_identity_new(who);
}

void
fake_link_set_version(struct sq_outlet *o, unsigned version)
{
	link_of(o)->version = version;
	o->can = version >= 2 ? SQ_OUTLET_MARKS | SQ_OUTLET_KEPT : 0;
}

unsigned
fake_link_version(const struct sq_outlet *o)
{
	return link_of(o)->version;
}

size_t
fake_link_count(const struct sq_outlet *o)
{
	return link_of(o)->n;
}

struct fake_delivery *
fake_link_at(struct sq_outlet *o, size_t i)
{
	return &link_of(o)->log[i];
}

bool
fake_link_take(struct sq_outlet *o, struct fake_delivery *out)
{
	struct fake_link *l = link_of(o);
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

void
fake_link_bound(struct sq_outlet *o, size_t most)
{
	pthread_mutex_lock(&link_of(o)->lock);
	link_of(o)->most = most;
	pthread_mutex_unlock(&link_of(o)->lock);
}

bool
fake_link_has_room(struct sq_outlet *o)
{
	struct fake_link *l = link_of(o);
	bool again;

	pthread_mutex_lock(&l->lock);
	again = !sq_outlet_writable(o) && l->n - l->at <= l->most / 2;
	if (again)
		sq_outlet_set_full(o, false);
	pthread_mutex_unlock(&l->lock);
	return again;
}

size_t
fake_links(void)
{
	return atomic_load(&n_links);
}

/* The next entry of the log; under the lock. */
static struct fake_delivery *
link_log(struct fake_link *l)
{
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 16;
		l->log = sq_xrealloc(l->log, l->cap * sizeof *l->log);
	}
	if (l->most > 0 && l->n + 1 - l->at > l->most)
		sq_outlet_set_full(&l->outlet, true);
	memset(&l->log[l->n], 0, sizeof *l->log);
	return &l->log[l->n++];
}

static void
delivery_text(char *to, size_t size, struct sq_bytes from)
{
	snprintf(to, size, "%.*s", (int)from.len, from.len > 0 ? (const char *)from.p : "");
}

static void
link_deliver(struct sq_outlet *o, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s, const struct sq_target *t, const uint32_t *subs)
{
	struct fake_link *l = link_of(o);
	struct fake_delivery *d;

	if (!sq_outlet_open(o))
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

static void
link_subscribed(struct sq_outlet *o, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes)
{
	struct fake_link *l = link_of(o);
	struct sq_bytes rest = {sq_buf_data(&notes->body), sq_buf_len(&notes->body)};
	struct fake_delivery *d;
	struct sq_note note = {0};

	if (!sq_outlet_open(o))
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

static void
link_kept(struct sq_outlet *o, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries)
{
	struct fake_link *l = link_of(o);
	char *to = l->kept;
	size_t left = sizeof l->kept;

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
fake_link_kept(const struct sq_outlet *o)
{
	return link_of(o)->kept;
}

void
fake_link_copy_kept(const struct sq_outlet *o, char *to, size_t size)
{
	struct fake_link *l = link_of(o);

	pthread_mutex_lock(&l->lock);
	snprintf(to, size, "%s", l->kept);
	pthread_mutex_unlock(&l->lock);
}

static void
link_detached(struct sq_outlet *o, uint64_t epoch, uint8_t reason, const char *text)
{
	struct fake_link *l = link_of(o);
	struct fake_delivery *d;

	(void)text;
	if (!sq_outlet_open(o))
		return;
	pthread_mutex_lock(&l->lock);
	d = link_log(l);
	d->detached = true;
	d->epoch = epoch;
	d->reason = reason;
	pthread_mutex_unlock(&l->lock);
}

static void
link_free(struct sq_outlet *o)
{
	struct fake_link *l = link_of(o);

	for (size_t i = 0; i < l->n; i++) {
		if (l->log[i].msg.block != NULL)
			sq_msg_unref(&l->log[i].msg);
	}
	free(l->log);
	pthread_mutex_destroy(&l->lock);
	atomic_fetch_sub(&n_links, 1);
	free(l);
}

static const struct sq_outlet_ops link_ops = {
    .deliver = link_deliver,
    .subscribed = link_subscribed,
    .kept = link_kept,
    .detached = link_detached,
    .free = link_free,
};

struct sq_outlet *
fake_link_new(uint64_t identity)
{
	struct fake_link *l = sq_xcalloc(1, sizeof *l);
	const struct sq_identity *who = sq_identity_new(&(struct sq_identity){.id = identity});

	sq_outlet_init(&l->outlet, &link_ops, who, 0);
	fake_link_set_version(&l->outlet, SQ_LINK_VERSION);
	sq_identity_unref(&who);
	pthread_mutex_init(&l->lock, NULL);
	atomic_fetch_add(&n_links, 1);
	return &l->outlet;
}

/* Calls. */

static void
call_done(struct sq_call *c)
{
	struct fake_call *fc = SQ_CONTAINER_OF(c, struct fake_call, call);

	if (sq_body_answers(c))
		sq_body_encode(&fc->answer, c, fake_link_version(c->outlet));
	fc->answers++;
	if (fc->done != NULL)
		fc->done(fc);
}

struct fake_call *
fake_call_new(enum sq_call_kind kind, const char *key, uint64_t epoch, struct sq_outlet *outlet,
    struct sq_buf *body)
{
	struct fake_call *fc = sq_xcalloc(1, sizeof *fc);
	struct sq_bytes segment = {(const unsigned char *)key, strlen(key)};

	fc->call.kind = kind;
	fc->call.done = call_done;
	if (sq_key_decode(segment, &fc->key) != SQ_OK)
		abort(); /* the test's mistake */
	fc->call.key = &fc->key;
	fc->call.key_hash = sq_key_hash(&fc->key);
	fc->call.epoch = epoch;
	fc->call.outlet = sq_outlet_ref(outlet);
	fc->call.body = sq_block_copy(
	    sq_buf_len(body) > 0 ? sq_buf_data(body) : (const void *)"", sq_buf_len(body));
	sq_buf_fini(body);
	sq_body_decode(&fc->call, fake_link_version(outlet));
	return fc;
}

unsigned
fake_call_status(const struct fake_call *fc)
{
	return sq_status_of(&fc->call, fake_link_version(fc->call.outlet));
}

void
fake_call_free(struct fake_call **cp)
{
	struct fake_call *fc = *cp;

	*cp = NULL;
	if (fc == NULL)
		return;
	assert(fc->answers == 1);
	sq_outlet_unref(&fc->call.outlet);
	sq_block_unref(&fc->call.body);
	sq_buf_fini(&fc->call.store);
	sq_buf_fini(&fc->answer);
	free(fc);
}
