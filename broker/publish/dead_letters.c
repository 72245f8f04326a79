#include "broker/publish/dead_letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/shard/system_txn.h"
#include "broker/engine/record.h"
#include "broker/publish/options.h"
#include "broker/group/group.h"
#include "broker/publish/publish.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

enum {
	PROP_USER = 0x26,    /* MQTT 5.0 §2.2.2.2 */
	RECEIPTS_MAX = 4096, /* that wait for the end of a lookup */
	TIME_MAX = 32,
	QUEUE_SHOWN_MAX = 1024, /* bytes of a queue's name, which may have a filter in it */
};

static const char topic_prefix[] = "$dead/";

/* A receipt that is to be published. */
struct receipt {
	struct sq_list node;
	struct sq_tenant *tenant; /* whose queue it is of; a reference */
	struct sq_msg msg;
};

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
	props_add(props, name, sq_bytes_of(value));
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
	props_add_text(&props, SQ_PROP_DEAD_REASON, reason);
	props_add_now(&props, SQ_PROP_DEAD_TIME);
	/* What is added fits into a frame of the link, whatever the message is. */
	props_add(&props, SQ_PROP_DEAD_QUEUE,
	    (struct sq_bytes){
		(const unsigned char *)queue, sq_utf8_cut(queue, strlen(queue), QUEUE_SHOWN_MAX)});
	out = sq_msg_new(sq_image_qos(m->image), false, buf_bytes(&topic), buf_bytes(&props),
	    SQ_MSG_NO_EXPIRY, sq_image_payload(m->image));
	sq_buf_fini(&props);
	sq_buf_fini(&topic);
	return out;
}

static void
letter_put(struct sq_broker *b, struct sq_tenant *tenant, struct sq_txn *txn,
    const struct sq_msg *m, const char *queue, const char *reason, bool assured)
{
	const struct sq_engine_ops *ops = b->engine->ops;
	struct sq_group *g = sq_dead_group(
	    b->dead, tenant, assured ? SQ_DEAD_ASSURED : SQ_DEAD_OTHERS);
	struct sq_system_txn *apart = NULL;
	struct sq_item item = {
	    .msg = letter_new(m, queue, reason),
	    .origin = sq_system_origin(b),
	};
	item.qos = (uint8_t)sq_image_qos(item.msg.image);
	/* Committed before what it is of has left: after a crash between the two there are
	 * both. */
	if (!ops->txn.room(txn, 1, sq_image_size(item.msg.image)))
		txn = sq_system_txn(&b->shards[sq_worker_index(txn->worker)], &apart);
	/* Others make room; of QoS 3 no more messages come in while its queue is full. */
	if (ops->txn.put(txn, g->sink.queue, &item) == SQ_OK)
		sq_count(b, SQ_M_DEAD_LETTERS, 1);
	else
		sq_count(b, SQ_M_DEAD_LETTERS_DROPPED, 1);
	sq_system_commit(&apart);
	sq_group_unref(&g);
}

/* Receipts. */

static void
receipt_free(struct receipt *r)
{
	sq_msg_unref(&r->msg);
	sq_tenant_unref(&r->tenant);
	free(r);
}

static void
receipts_publish(struct sq_shard *sh, struct sq_txn *txn, struct receipt *r)
{
	sq_publish_own(sh, txn, r->tenant, &r->msg, 0);
	sq_count(sh->broker, SQ_M_RECEIPTS, 1);
	receipt_free(r);
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
	struct sq_system_txn *own = NULL;

	sh->receipts_posted = false;
	if (!sq_list_empty(&sh->receipts)) {
		sq_dead_flush(sh, sq_system_txn(sh, &own));
		sq_system_commit(&own);
	}
	sq_broker_object(sh->broker, -1);
}

static struct sq_msg
receipt_new(const struct sq_asked *asked, const char *target, const char *outcome)
{
	struct sq_buf props = {0};
	struct sq_msg out;

	props_add(&props, SQ_PROP_KEY, asked->key);
	props_add_text(&props, SQ_PROP_TARGET, target);
	props_add_text(&props, SQ_PROP_OUTCOME, outcome);
	props_add_now(&props, SQ_PROP_TIME);
	out = sq_msg_new(
	    1, false, asked->receipt, buf_bytes(&props), SQ_MSG_NO_EXPIRY, (struct sq_bytes){0});
	sq_buf_fini(&props);
	return out;
}

/* The receipt that a QoS 3 message asks for, if it does; in 'txn', or where this
 * worker has a lock of the router's, behind that. */
static void
receipt_send(struct sq_broker *b, struct sq_tenant *tenant, struct sq_txn *txn,
    const unsigned char *image, const char *target, const char *outcome)
{
	struct sq_shard *sh = &b->shards[sq_worker_index(txn->worker)];
	struct sq_asked asked;
	struct receipt *r;

	if (!sq_asked_parse(image, &asked) || asked.receipt.len == 0)
		return;
	r = sq_xcalloc(1, sizeof *r);
	r->tenant = sq_tenant_ref(tenant);
	r->msg = receipt_new(&asked, target, outcome);
	if (!sq_router_locked()) {
		receipts_publish(sh, txn, r);
		sq_dead_flush(sh, txn);
		return;
	}
	if (sh->n_receipts >= RECEIPTS_MAX) {
		SQ_WARN("broker", "too many receipts at a time");
		receipt_free(r);
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
sq_dead_settled(struct sq_source *s, struct sq_txn *txn, const struct sq_item *item)
{
	if (item->assured)
		receipt_send(sq_source_broker(s), sq_source_tenant(s), txn, item->msg.image,
		    sq_source_name(s), "acknowledged");
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
	    [SQ_DEAD_ABANDONED] = "abandoned",
	};
	struct sq_source *s = source;
	bool given_up = why == SQ_DEAD_ATTEMPTS || why == SQ_DEAD_REJECTED ||
	    why == SQ_DEAD_UNFINISHED || why == SQ_DEAD_ABANDONED;

	if (!item->assured && !(sq_source_durable(s) && given_up))
		return;
	letter_put(sq_source_broker(s), sq_source_tenant(s), txn, &item->msg, sq_source_name(s),
	    reasons[why], item->assured);
	if (item->assured)
		receipt_send(sq_source_broker(s), sq_source_tenant(s), txn, item->msg.image,
		    sq_source_name(s), why == SQ_DEAD_EXPIRED ? "expired" : "dead-lettered");
}

void
sq_dead_ended(
    struct sq_source *s, struct sq_txn *txn, const struct sq_item *item, const char *reason)
{
	letter_put(sq_source_broker(s), sq_source_tenant(s), txn, &item->msg, sq_source_name(s),
	    reason, true);
	receipt_send(sq_source_broker(s), sq_source_tenant(s), txn, item->msg.image,
	    sq_source_name(s), "dead-lettered");
}

void
sq_dead_unmatched(
    struct sq_broker *b, struct sq_tenant *tenant, struct sq_txn *txn, const struct sq_msg *m)
{
	letter_put(b, tenant, txn, m, "", "unmatched", true);
	receipt_send(b, tenant, txn, m->image, "", "dead-lettered");
}

const struct sq_burial sq_dead_burial = {.item = sq_dead_item, .ended = sq_dead_ended};
