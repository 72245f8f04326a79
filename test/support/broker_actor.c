#include "broker_actor.h"

#include <pthread.h>
#include <string.h>
#include "broker/engine/engines/engines.h"
#include "store/journal/log_file.h"

enum { PAYLOAD = 2000 };

_Atomic(struct sq_broker *) actor_broker;

struct sq_broker_cfg
actor_broker_cfg(void)
{
	return (struct sq_broker_cfg){.engine = &sq_engine_memory,
	    .log = &sq_log_file,
	    .journal_size = 8 << 20,
	    .store_max_size = 256 << 20,
	    .store_cache_size = 128 << 10,
	    .max_packet = 65536,
	    .grace_ms = 5,
	    .session_expiry_max_s = 1,
	    .max_inflight = 100,
	    .queue_max_msgs = 5000,
	    .queue_max_bytes = 16 << 20,
	    .queue_expiry_s = 1,
	    .queue_expiry_max_s = 2,
	    .retained_max_msgs = 5,
	    .retained_max_bytes = 1 << 20,
	    .dead_max_msgs = 1000,
	    .dead_max_bytes = 1 << 20,
	    .max_sessions = 100,
	    .max_subs_per_session = 50};
}

unsigned
actor_pick(struct actor *a, unsigned n)
{
	return (unsigned)rand_r(&a->seed) % n;
}

/* A call that is waited for. */
struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool done;
};

static void
waiting_done(struct fake_call *fc)
{
	struct waiting *wait = fc->owner;

	pthread_mutex_lock(&wait->lock);
	wait->done = true;
	pthread_cond_signal(&wait->answered);
	pthread_mutex_unlock(&wait->lock);
}

struct fake_call *
actor_call(struct actor *a, enum sq_call_kind kind, struct sq_buf *body)
{
	struct waiting wait = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
	struct fake_call *fc = fake_call_new(
	    kind, a->key, kind == SQ_CALL_ATTACH ? 0 : a->epoch, a->link, body);

	fc->done = waiting_done;
	fc->owner = &wait;
	sq_broker_call(atomic_load(&actor_broker), &fc->call);
	pthread_mutex_lock(&wait.lock);
	while (!wait.done)
		pthread_cond_wait(&wait.answered, &wait.lock);
	pthread_mutex_unlock(&wait.lock);
	return fc;
}

unsigned
actor_finish(struct fake_call *fc)
{
	unsigned status = fake_call_status(fc);

	fake_call_free(&fc);
	return status;
}

void
actor_unlink(struct actor *a)
{
	sq_outlet_close(a->link);
	sq_broker_outlet_closed(atomic_load(&actor_broker), a->link);
	sq_outlet_unref(&a->link);
}

void
actor_relink(struct actor *a)
{
	if (a->link != NULL)
		actor_unlink(a);
	a->link = fake_link_new(0);
}

void
actor_attach(struct actor *a, bool reconnect, uint8_t flags)
{
	static const unsigned char topic[] = "t/1";
	struct sq_msg will = sq_msg_new(1, false, (struct sq_bytes){topic, 3}, (struct sq_bytes){0},
	    SQ_MSG_NO_EXPIRY, (struct sq_bytes){topic, 1});
	struct sq_attach body = {.instance = a->instance,
	    .link = 1,
	    .flags = flags,
	    .expiry_s = strchr(a->key, '~') != strrchr(a->key, '~') ? 1 : 0,
	    .receive_max = 20,
	    .incarnation = a->incarnation,
	    .will = {will.image, sq_image_size(will.image)}};
	struct sq_attached out;
	struct sq_buf b = {0};
	struct fake_call *fc;

	if (reconnect) {
		a->ordinal++;
		a->attempt = 0;
	}
	body.ordinal = a->ordinal;
	body.attempt = ++a->attempt;
	if ((flags & SQ_ATTACH_WILL) == 0)
		body.will = (struct sq_bytes){0};
	sq_attach_encode(&b, &body, NULL);
	sq_msg_unref(&will);
	fc = actor_call(a, SQ_CALL_ATTACH, &b);
	CHECK(fake_call_status(fc) == 200 || fake_call_status(fc) == 409);
	if (fake_call_status(fc) == 200) {
		CHECK(sq_attached_decode(sq_buf_data(&fc->answer), sq_buf_len(&fc->answer),
			  SQ_LINK_VERSION, &out) == SQ_OK);
		a->epoch = out.epoch;
		a->granted = 0;
		if (a->incarnation != out.incarnation)
			a->run++;
		a->incarnation = out.incarnation;
		for (unsigned lane = 0; lane < SQ_LANES; lane++)
			a->next[lane] = out.last[lane] + 1;
	}
	actor_finish(fc);
}

void
actor_entry(
    struct sq_buf *b, const char *topic, uint8_t qos, bool retain, uint16_t id, uint64_t number)
{
	unsigned char payload[PAYLOAD] = {0}, head[SQ_ENTRY_HEADER];
	struct sq_msg m;

	sq_put64(payload, number);
	m = sq_msg_new(qos, retain, (struct sq_bytes){(const unsigned char *)topic, strlen(topic)},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, sizeof payload});
	sq_entry_header(head, SQ_ENTRY_MESSAGE, id);
	sq_buf_append(b, head, sizeof head);
	sq_buf_append(b, m.image, sq_image_size(m.image));
	sq_msg_unref(&m);
}

struct fake_call *
actor_batch(struct actor *a, uint8_t lane, uint16_t n, struct sq_buf *entries)
{
	struct sq_batch batch = {.lane = lane, .n = n, .run = a->run, .first = a->next[lane]};
	unsigned char head[SQ_BATCH_HEADER];
	struct sq_buf b = {0};

	batch.upto = batch.first - 1; /* one at a time: all earlier ones have arrived */
	sq_batch_header(head, &batch);
	sq_buf_append(&b, head, sizeof head);
	sq_buf_append(&b, sq_buf_data(entries), sq_buf_len(entries));
	sq_buf_fini(entries);
	a->next[lane] += n;
	return actor_call(a, SQ_CALL_MESSAGES, &b);
}
