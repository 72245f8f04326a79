#include "broker/dead.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/own.h"
#include "broker/record.h"
#include "broker/session/asked.h"
#include "broker/session/group.h"
#include "broker/session/publish.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/topic/topic.h"

enum {
	PROP_USER = 0x26,    /* MQTT 5.0 §2.2.2.2 */
	RECEIPTS_MAX = 4096, /* that wait for the end of a lookup */
	TIME_MAX = 32,
	SEPARATOR = 0xff, /* between the parts of a group's name */
};

static const char topic_prefix[] = "$dead/";

/* A space's dead-letter queue. */
struct dead_space {
	struct sq_hnode node;
	struct sq_space *space;
	struct sq_group *group; /* a reference, and a subscription that keeps it */
};

struct sq_dead {
	struct sq_broker *broker;
	pthread_mutex_t lock;
	struct sq_htab spaces;
};

struct sq_dead_source {
	struct sq_task task;
	struct sq_broker *broker;
	struct sq_space *space;
	bool durable;
	char name[]; /* as it is shown */
};

/* A receipt that is to be published. */
struct receipt {
	struct sq_list node;
	struct sq_space *space;
	struct sq_msg msg;
};

/* Life. */

struct sq_dead *
sq_dead_new(struct sq_broker *b)
{
	struct sq_dead *d = sq_xcalloc(1, sizeof *d);

	d->broker = b;
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

void
sq_dead_free(struct sq_dead **dp)
{
	struct sq_dead *d = *dp;
	struct sq_hnode *at;

	*dp = NULL;
	if (d == NULL)
		return;
	while ((at = sq_htab_walk(&d->spaces, NULL)) != NULL) {
		struct dead_space *s = SQ_CONTAINER_OF(at, struct dead_space, node);

		assert(s->group->refs == 1 && sq_list_empty(&s->group->bindings));
		s->group->sink.engine->ops->queue_close(s->group->sink.queue);
		sq_htab_remove(&d->spaces, at);
		free(s->group->name);
		free(s->group);
		free(s);
	}
	sq_htab_fini(&d->spaces);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* The queue's name: the form of group names, of which none is this one. */
static char *
dead_name(const struct sq_space *space)
{
	struct sq_buf text = {0};
	char *out;

	sq_buf_append(&text, "dead", 4);
	sq_buf_u8(&text, SEPARATOR);
	sq_buf_append(&text, sq_space_name(space), strlen(sq_space_name(space)));
	out = sq_xmemdup0(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return out;
}

/* Under the lock.  'txn' as in queue_open(). */
static struct sq_group *
dead_space_new(struct sq_dead *d, struct sq_space *space, uint64_t id, struct sq_txn *txn)
{
	struct dead_space *s = sq_xcalloc(1, sizeof *s);
	struct sq_group *g = sq_xcalloc(1, sizeof *g);
	struct sq_broker *b = d->broker;
	uint64_t hash = sq_hash(&space, sizeof space);
	struct sq_queue_cfg q = {
	    .owner = b->shards[hash % b->n_shards].worker,
	    .max_msgs = b->cfg.dead_max_msgs,
	    .max_bytes = b->cfg.dead_max_bytes,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true,
	};

	q.name = g->name = dead_name(space);
	g->broker = b;
	g->id = id;
	if (b->n_shards == 1)
		g->sink.shard = &b->shards[0];
	g->sink.engine = b->engine;
	g->sink.durable = true;
	g->sink.queue = b->engine->ops->queue_open(b->engine, txn, &q);
	g->n_subs = 1; /* so that it never ends */
	atomic_init(&g->refs, 1);
	sq_list_init(&g->bindings);
	s->space = space;
	s->group = g;
	sq_htab_insert(&d->spaces, &s->node, hash);
	return g;
}

static struct sq_group *
dead_find(const struct sq_dead *d, const struct sq_space *space)
{
	struct sq_hnode *n = sq_htab_find(&d->spaces, sq_hash(&space, sizeof space));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct dead_space *s = SQ_CONTAINER_OF(n, struct dead_space, node);

		if (s->space == space)
			return s->group;
	}
	return NULL;
}

/* A queue that becomes durable before anybody can put into it. */
static struct sq_group *
dead_make(struct sq_dead *d, struct sq_space *space)
{
	struct sq_broker *b = d->broker;
	struct sq_shard *sh = &b->shards[sq_worker_index(sq_worker_self())];
	struct sq_record_key key = {SQ_RECORD_DEAD, sq_broker_id(b), 0};
	const char *name = sq_space_name(space);
	struct sq_own_txn *own = NULL;
	struct sq_txn *txn = sq_own_txn(sh, &own);
	struct sq_group *g = dead_space_new(d, space, key.id, txn);

	b->engine->ops->record(
	    txn, &key, (struct sq_bytes){(const unsigned char *)name, strlen(name)});
	sq_own_commit(&own);
	return g;
}

struct sq_group *
sq_dead_group(struct sq_dead *d, struct sq_space *space)
{
	struct sq_group *g;

	pthread_mutex_lock(&d->lock);
	g = dead_find(d, space);
	if (g == NULL)
		g = dead_make(d, space);
	pthread_mutex_unlock(&d->lock);
	return g;
}

struct sq_group *
sq_dead_group_by_id(struct sq_dead *d, uint64_t id)
{
	struct sq_hnode *at = NULL;
	struct sq_group *g = NULL;

	pthread_mutex_lock(&d->lock);
	while (g == NULL && (at = sq_htab_walk(&d->spaces, at)) != NULL) {
		struct dead_space *s = SQ_CONTAINER_OF(at, struct dead_space, node);

		if (s->group->id == id)
			g = s->group;
	}
	pthread_mutex_unlock(&d->lock);
	return g;
}

bool
sq_dead_full(struct sq_dead *d, struct sq_space *space)
{
	struct sq_group *g;

	pthread_mutex_lock(&d->lock);
	g = dead_find(d, space);
	pthread_mutex_unlock(&d->lock);
	return g != NULL && g->sink.engine->ops->queue_full(g->sink.queue, 0);
}

/* Start. */

static void
dead_load(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_dead *d = arg;
	char *name = sq_xmemdup0(value.p, value.len);
	struct sq_space *space = sq_router_space(d->broker->router, name);

	if (dead_find(d, space) == NULL)
		(void)dead_space_new(d, space, key->id, NULL);
	free(name);
}

int
sq_dead_load(struct sq_dead *d)
{
	struct sq_engine *e = d->broker->engine;

	return e->ops->load(e, SQ_RECORD_DEAD, dead_load, d);
}

/* Sources. */

struct sq_dead_source *
sq_dead_source_new(struct sq_broker *b, struct sq_space *space, const char *name, bool durable)
{
	size_t len = strlen(name);
	struct sq_dead_source *s = sq_xcalloc(1, sizeof *s + len + 1);

	s->broker = b;
	s->space = space;
	s->durable = durable;
	for (size_t i = 0; i < len; i++)
		s->name[i] = (unsigned char)name[i] == SEPARATOR ? '~' : name[i];
	while (len > 0 && s->name[len - 1] == '~') /* empty parts at the end */
		s->name[--len] = '\0';
	return s;
}

static void
source_freed(struct sq_task *t)
{
	free(SQ_CONTAINER_OF(t, struct sq_dead_source, task));
}

void
sq_dead_source_free(struct sq_dead_source **sp, struct sq_worker *owner)
{
	struct sq_dead_source *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (sq_worker_self() == NULL) { /* the workers have ended */
		free(s);
		return;
	}
	s->task.run = source_freed; /* the queue may be burying items at this moment */
	sq_worker_post(owner, &s->task);
}

/* Messages. */

static void
props_add(struct sq_buf *props, const char *name, struct sq_bytes value)
{
	size_t len = strlen(name);

	if (value.len == 0)
		return;
	sq_buf_u8(props, PROP_USER);
	sq_buf_u16(props, (uint16_t)len);
	sq_buf_append(props, name, len);
	sq_buf_u16(props, (uint16_t)value.len);
	sq_buf_append(props, value.p, value.len);
}

static void
props_add_text(struct sq_buf *props, const char *name, const char *value)
{
	props_add(props, name, (struct sq_bytes){(const unsigned char *)value, strlen(value)});
}

/* RFC 3339, in UTC. */
static void
props_add_now(struct sq_buf *props, const char *name)
{
	uint64_t ms = sq_clock_wall_ms();
	time_t s = (time_t)(ms / 1000);
	char date[TIME_MAX], text[2 * TIME_MAX];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03uZ", date, (unsigned)(ms % 1000));
	props_add_text(props, name, text);
}

static struct sq_bytes
buf_bytes(const struct sq_buf *b)
{
	return (struct sq_bytes){sq_buf_data(b), sq_buf_len(b)};
}

/* "$dead/" and the topic, which is cut at a character where that is too long. */
static void
letter_topic(struct sq_buf *out, struct sq_bytes topic)
{
	size_t room = SQ_TOPIC_MAX - (sizeof topic_prefix - 1);

	if (topic.len > room) {
		topic.len = room;
		while (!sq_utf8_valid(topic.p, topic.len))
			topic.len--;
	}
	sq_buf_append(out, topic_prefix, sizeof topic_prefix - 1);
	sq_buf_append(out, topic.p, topic.len);
}

static struct sq_msg
letter_new(const struct sq_msg *m, const char *queue, const char *reason)
{
	struct sq_bytes old = sq_image_props(m->image);
	struct sq_buf props = {0}, topic = {0};
	struct sq_msg out;

	letter_topic(&topic, sq_image_topic(m->image));
	sq_buf_append(&props, old.p, old.len);
	props_add_text(&props, "sqmqos-dead-reason", reason);
	props_add_now(&props, "sqmqos-dead-time");
	props_add_text(&props, "sqmqos-dead-queue", queue);
	out = sq_msg_new(sq_image_qos(m->image), false, buf_bytes(&topic), buf_bytes(&props),
	    SQ_MSG_NO_EXPIRY, sq_image_payload(m->image));
	sq_buf_fini(&props);
	sq_buf_fini(&topic);
	return out;
}

static void
letter_put(struct sq_broker *b, struct sq_space *space, struct sq_txn *txn, const struct sq_msg *m,
    const char *queue, const char *reason, bool assured)
{
	struct sq_group *g = sq_dead_group(b->dead, space);
	const struct sq_engine_ops *ops = b->engine->ops;
	struct sq_item item;

	/* Others are bounded by the queue; of QoS 3 no more come in while it is full. */
	if (!assured && ops->queue_full(g->sink.queue, sq_image_size(m->image)))
		return;
	item = (struct sq_item){
	    .msg = letter_new(m, queue, reason),
	    .origin = sq_own_origin(b),
	};
	item.qos = (uint8_t)sq_image_qos(item.msg.image);
	(void)ops->put(txn, g->sink.queue, &item); /* reject-publish takes all */
	sq_count(b, SQ_M_DEAD_LETTERS, 1);
}

/* Receipts. */

static void
receipts_publish(struct sq_shard *sh, struct sq_txn *txn, struct receipt *r)
{
	sq_publish_own(sh, txn, r->space, &r->msg, 0);
	sq_count(sh->broker, SQ_M_RECEIPTS, 1);
	sq_msg_unref(&r->msg);
	free(r);
}

void
sq_dead_flush(struct sq_shard *sh, struct sq_txn *txn)
{
	while (!sq_list_empty(&sh->receipts)) {
		struct receipt *r = SQ_LIST_FIRST(&sh->receipts, struct receipt, node);

		sq_list_remove(&r->node);
		sh->n_receipts--;
		receipts_publish(sh, txn, r);
	}
}

/* What nobody has flushed. */
static void
receipts_run(struct sq_task *t)
{
	struct sq_shard *sh = SQ_CONTAINER_OF(t, struct sq_shard, receipts_task);
	struct sq_own_txn *own = NULL;

	sh->receipts_posted = false;
	if (!sq_list_empty(&sh->receipts)) {
		sq_router_rdlock(sh->broker->router);
		sq_dead_flush(sh, sq_own_txn(sh, &own));
		sq_router_unlock(sh->broker->router);
		sq_own_commit(&own);
	}
	sq_broker_object(sh->broker, -1);
}

static struct sq_msg
receipt_new(const struct sq_asked *asked, const char *target, const char *outcome)
{
	struct sq_buf props = {0};
	struct sq_msg out;

	props_add(&props, "sqmqos-key", asked->key);
	props_add_text(&props, "sqmqos-target", target);
	props_add_text(&props, "sqmqos-outcome", outcome);
	props_add_now(&props, "sqmqos-time");
	out = sq_msg_new(
	    1, false, asked->receipt, buf_bytes(&props), SQ_MSG_NO_EXPIRY, (struct sq_bytes){0});
	sq_buf_fini(&props);
	return out;
}

/* The receipt that a QoS 3 message asks for, if it does; in 'txn', or where a lookup
 * of this worker is under way, at its end. */
static void
receipt_send(struct sq_broker *b, struct sq_space *space, struct sq_txn *txn,
    const unsigned char *image, const char *target, const char *outcome)
{
	struct sq_shard *sh = &b->shards[sq_worker_index(txn->worker)];
	struct sq_asked asked;
	struct receipt *r;

	if (!sq_asked_parse(image, &asked) || asked.receipt.len == 0)
		return;
	r = sq_xcalloc(1, sizeof *r);
	r->space = space;
	r->msg = receipt_new(&asked, target, outcome);
	if (!sq_router_locked()) {
		sq_router_rdlock(b->router);
		receipts_publish(sh, txn, r);
		sq_dead_flush(sh, txn);
		sq_router_unlock(b->router);
		return;
	}
	if (sh->n_receipts >= RECEIPTS_MAX) {
		SQ_WARN("broker", "too many receipts at a time");
		sq_msg_unref(&r->msg);
		free(r);
		return;
	}
	sq_list_push_back(&sh->receipts, &r->node);
	sh->n_receipts++;
	if (sh->receipts_posted)
		return;
	sh->receipts_posted = true;
	sq_broker_object(b, 1);
	sh->receipts_task.run = receipts_run;
	sq_worker_post(sh->worker, &sh->receipts_task);
}

void
sq_dead_settled(struct sq_dead_source *s, struct sq_txn *txn, const struct sq_item *item)
{
	if (item->assured)
		receipt_send(s->broker, s->space, txn, item->msg.image, s->name, "acknowledged");
}

void
sq_dead_item(void *source, struct sq_txn *txn, const struct sq_item *item, enum sq_death why)
{
	static const char *const reasons[] = {
	    [SQ_DEAD_EXPIRED] = "expired",
	    [SQ_DEAD_ATTEMPTS] = "attempts",
	    [SQ_DEAD_REJECTED] = "rejected",
	    [SQ_DEAD_UNFINISHED] = "unfinished",
	    [SQ_DEAD_OVERFLOW] = "overflow",
	};
	struct sq_dead_source *s = source;
	bool given_up = why == SQ_DEAD_ATTEMPTS || why == SQ_DEAD_REJECTED ||
	    why == SQ_DEAD_UNFINISHED;

	if (!item->assured && !(s->durable && given_up))
		return;
	letter_put(s->broker, s->space, txn, &item->msg, s->name, reasons[why], item->assured);
	if (item->assured)
		receipt_send(s->broker, s->space, txn, item->msg.image, s->name,
		    why == SQ_DEAD_EXPIRED ? "expired" : "dead-lettered");
}

void
sq_dead_unmatched(
    struct sq_broker *b, struct sq_space *space, struct sq_txn *txn, const struct sq_msg *m)
{
	letter_put(b, space, txn, m, "", "unmatched", true);
	receipt_send(b, space, txn, m->image, "", "dead-lettered");
}
