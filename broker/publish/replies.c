#include "broker/publish/replies.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/publish/message.h"
#include "core/clock.h"
#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "web/worker.h"

enum {
	NONCE = 16,
	NONCE_TEXT = 2 * NONCE,
	NUMBER_MAX = 9, /* digits of a worker or a slot */
	NO_SLOT = UINT32_MAX,
};

static const char reply_prefix[] = "$reply/";

struct slot {
	struct sq_reply_wait *wait; /* NULL: it is free */
	char *space;
	unsigned char nonce[NONCE];
	uint32_t next; /* the next free one */
};

/* Those who wait on one worker. */
struct part {
	pthread_mutex_t lock;
	struct slot *slots;
	uint32_t n, room, used; /* slots that there are, and of them those that are not free */
	uint32_t free;          /* NO_SLOT: none is */
};

struct sq_replies {
	struct sq_broker *broker;
	unsigned n_parts;
	struct part parts[];
};

struct sq_replies *
sq_replies_new(struct sq_broker *b, unsigned n_workers)
{
	struct sq_replies *r = sq_xcalloc(1, sizeof *r + n_workers * sizeof *r->parts);

	r->broker = b;
	r->n_parts = n_workers;
	for (unsigned i = 0; i < n_workers; i++) {
		pthread_mutex_init(&r->parts[i].lock, NULL);
		r->parts[i].free = NO_SLOT;
	}
	return r;
}

void
sq_replies_free(struct sq_replies **rp)
{
	struct sq_replies *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	for (unsigned i = 0; i < r->n_parts; i++) {
		assert(r->parts[i].used == 0);
		pthread_mutex_destroy(&r->parts[i].lock);
		free(r->parts[i].slots);
	}
	free(r);
}

static struct part *
reply_part(struct sq_replies *r, const struct sq_reply_wait *w)
{
	return &r->parts[sq_worker_index(w->worker)];
}

/* A free slot, under the lock; NO_SLOT: there is none. */
static uint32_t
part_take(struct part *p)
{
	uint32_t i = p->free;

	if (i != NO_SLOT) {
		p->free = p->slots[i].next;
		p->used++;
		return i;
	}
	if (p->n == SQ_REPLIES_MAX)
		return NO_SLOT;
	if (p->n == p->room) {
		p->room = p->room > 0 ? 2 * p->room : 16;
		p->slots = sq_xrealloc(p->slots, p->room * sizeof *p->slots);
	}
	p->used++;
	return p->n++;
}

/* Under the lock. */
static void
part_give(struct part *p, uint32_t i)
{
	free(p->slots[i].space);
	p->slots[i] = (struct slot){.next = p->free};
	p->free = i;
	p->used--;
}

int
sq_replies_open(struct sq_replies *r, struct sq_reply_wait *w, const char *space,
    char topic[SQ_REPLY_TOPIC_MAX])
{
	struct part *p = reply_part(r, w);
	uint64_t nonce[2] = {sq_random_u64(), sq_random_u64()};
	uint32_t i;
	int n;

	assert(sq_worker_self() == w->worker);
	pthread_mutex_lock(&p->lock);
	i = part_take(p);
	if (i != NO_SLOT) {
		p->slots[i] = (struct slot){.wait = w, .space = sq_xstrdup(space)};
		sq_put64(p->slots[i].nonce, nonce[0]);
		sq_put64(p->slots[i].nonce + 8, nonce[1]);
	}
	pthread_mutex_unlock(&p->lock);
	if (i == NO_SLOT)
		return SQ_ENOMEM;
	w->all = r;
	w->slot = i;
	w->looked_ms = sq_worker_now_ms(w->worker);
	n = snprintf(topic, SQ_REPLY_TOPIC_MAX, "%s%u.%u.%016llx%016llx", reply_prefix,
	    sq_worker_index(w->worker), i, (unsigned long long)nonce[0],
	    (unsigned long long)nonce[1]);
	assert(n > 0 && n < SQ_REPLY_TOPIC_MAX);
	sq_broker_object(r->broker, 1);
	return SQ_OK;
}

bool
sq_replies_close(struct sq_reply_wait *w)
{
	struct sq_replies *r = w->all;
	struct part *p = reply_part(r, w);
	bool waits;

	pthread_mutex_lock(&p->lock);
	waits = p->slots[w->slot].wait == w;
	if (waits)
		part_give(p, w->slot);
	pthread_mutex_unlock(&p->lock);
	if (waits)
		sq_broker_object(r->broker, -1);
	return waits;
}

static void
reply_ended(struct sq_task *t)
{
	struct sq_reply_wait *w = SQ_CONTAINER_OF(t, struct sq_reply_wait, task);
	struct sq_broker *b = w->all->broker;

	w->ended(w);
	sq_broker_object(b, -1);
}

/* The wait has ended; under the lock. */
static void
part_end(struct part *p, uint32_t i, enum sq_reply_end end)
{
	struct sq_reply_wait *w = p->slots[i].wait;

	part_give(p, i);
	w->end = end;
	w->task.run = reply_ended;
	sq_worker_post_in(w->worker, SQ_TURN_ANSWER, &w->task);
}

/* ---- messages ---- */

/* Takes a number and the dot behind it off the front. */
static bool
topic_number(struct sq_bytes *t, uint32_t *out)
{
	size_t i = 0;

	*out = 0;
	for (; i < t->len && i < NUMBER_MAX && t->p[i] >= '0' && t->p[i] <= '9'; i++)
		*out = *out * 10 + (uint32_t)(t->p[i] - '0');
	if (i == 0 || i == t->len || t->p[i] != '.')
		return false;
	t->p += i + 1;
	t->len -= i + 1;
	return true;
}

/* Takes a topic apart; false: it is none that was handed out. */
static bool
topic_read(struct sq_bytes t, uint32_t *worker, uint32_t *slot, unsigned char nonce[NONCE])
{
	const size_t head = sizeof reply_prefix - 1;

	if (t.len <= head || memcmp(t.p, reply_prefix, head) != 0)
		return false;
	t.p += head;
	t.len -= head;
	if (!topic_number(&t, worker) || !topic_number(&t, slot) || t.len != NONCE_TEXT)
		return false;
	for (size_t i = 0; i < NONCE; i++) {
		int high = sq_hex_digit((char)t.p[2 * i]), low = sq_hex_digit((char)t.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		nonce[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* Gives the message to who waits for it, or only looks whether somebody does. */
static bool
reply_give(struct sq_replies *r, const struct sq_publish *p, bool only_look)
{
	unsigned char nonce[NONCE];
	uint32_t worker, i;
	struct part *part;
	struct slot *s;
	bool waits;

	if (!topic_read(sq_image_topic(p->msg->image), &worker, &i, nonce) || worker >= r->n_parts)
		return false;
	part = &r->parts[worker];
	pthread_mutex_lock(&part->lock);
	s = i < part->n ? &part->slots[i] : NULL;
	waits = s != NULL && s->wait != NULL && CRYPTO_memcmp(s->nonce, nonce, NONCE) == 0 &&
	    strcmp(s->space, sq_tenant_name(p->tenant)) == 0;
	if (waits && !only_look) {
		s->wait->msg = sq_msg_clone(p->msg);
		part_end(part, i, SQ_REPLY_CAME);
	}
	pthread_mutex_unlock(&part->lock);
	return waits;
}

uint8_t
sq_replies_publish(struct sq_replies *r, struct sq_publish *p)
{
	bool given = reply_give(r, p, sq_look_only(p->look));

	p->n = p->taken = given;
	if (given)
		return SQ_MQTT_RC_SUCCESS;
	if (p->from.match)
		p->end.how = SQ_PUBLISH_UNMATCHED;
	return p->qos > 0 || p->from.match ? SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS
					   : SQ_MQTT_RC_SUCCESS;
}

/* ---- time ---- */

static bool
reply_left(struct sq_reply_wait *w, uint64_t now_ms)
{
	if (w->alive == NULL || now_ms < w->looked_ms + SQ_REPLY_LOOK_MS)
		return false;
	w->looked_ms = now_ms;
	return !w->alive(w);
}

void
sq_replies_tick(struct sq_replies *r, unsigned worker, uint64_t now_ms)
{
	struct part *p = &r->parts[worker];

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->n && p->used > 0; i++) {
		struct sq_reply_wait *w = p->slots[i].wait;

		if (w == NULL)
			continue;
		if (now_ms >= w->ends_ms)
			part_end(p, i, SQ_REPLY_NONE);
		else if (reply_left(w, now_ms))
			part_end(p, i, SQ_REPLY_LEFT);
	}
	pthread_mutex_unlock(&p->lock);
}

void
sq_replies_drain(struct sq_replies *r, unsigned worker)
{
	struct part *p = &r->parts[worker];

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->n && p->used > 0; i++) {
		if (p->slots[i].wait != NULL)
			part_end(p, i, SQ_REPLY_DRAINING);
	}
	pthread_mutex_unlock(&p->lock);
}
