/* The embedded engine with a log of several brokers: what it has when it begins to own, at any record, is
 * what a restart there has.
 *
 * A random history is written down as records and, with the times of all changes, as a model.  Engines
 * follow it, with checkpoints wherever, and begin to own at each of its records, also while a chunk is
 * being written.  What they have is compared with the model, and so is what an engine has that restarts
 * with all records in its journal.  At the end engines follow each other on the shared log itself. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/fake_shared.h"
#include "../support/fake_worker.h"
#include "../support/scripted_log.h"
#include "../support/temp_dir.h"
#include "broker/engine/embedded/check.h"
#include "broker/engine/embedded/oplog.h"
#include "broker/engine/embedded/seed.h"
#include "broker/engine/embedded/snapshot.h"
#include "broker/engine/engines/engines.h"
#include "broker/engine/files.h"
#include "broker/engine/queue/queue.h"
#include "broker/metrics/metrics.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "store/dir.h"
#include "store/journal/log_file.h"
#include "store/rows.h"
#include "store/shared/log_shared.h"

enum {
	STORE = 4711,
	NAMES = 6,
	ITEMS_MAX = 2048,
	QUEUES_MAX = 128,
	WRITES_MAX = 1024,
	TRIES_MAX = 4,
	EXPIRY_STEP_MS = 1000000,
	MAX_BYTES = 64 << 20,
	CACHE_BYTES = 16 << 10,
};

static const struct sq_engine_ops *const ops = &sq_engine_embedded;

/* --- chance --- */

static uint64_t chance;

static unsigned
draw(unsigned n)
{
	chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(chance >> 33) % n;
}

/* --- the model: each change with the record that it is in --- */

struct item {
	unsigned queue; /* index of it */
	uint64_t seq, put_at, settled_at;
	struct {
		uint64_t at;
		uint16_t attempts;
	} tried[TRIES_MAX];
	unsigned n_tried;
	unsigned number, size, sub;
	unsigned expires; /* steps from now; 0: never */
	uint8_t qos;
	bool retain, assured;
	uint64_t arrived_ms;
};

struct queue {
	uint64_t id, known_at, named_at, deleted_at;
	unsigned name;
};

struct write {
	uint64_t at;
	struct sq_record_key key;
	unsigned value; /* 0: deleted */
};

static struct {
	struct item items[ITEMS_MAX];
	unsigned n_items;
	struct queue queues[QUEUES_MAX];
	unsigned n_queues;
	struct write writes[WRITES_MAX];
	unsigned n_writes;
	uint64_t begin_ms; /* wall-clock */
} model;

/* Timed queues keep when items arrive. */
static bool
name_is_timed(unsigned name)
{
	return name % 3 == 0;
}

static bool
was(uint64_t change, uint64_t at)
{
	return change != 0 && change <= at;
}

static bool
queue_lives(const struct queue *q, uint64_t at)
{
	return was(q->known_at, at) && !was(q->deleted_at, at);
}

static bool
item_waits(const struct item *i, uint64_t at)
{
	return was(i->put_at, at) && !was(i->settled_at, at);
}

static uint16_t
item_attempts(const struct item *i, uint64_t at)
{
	uint16_t attempts = 0;

	for (unsigned n = 0; n < i->n_tried; n++)
		if (i->tried[n].at <= at)
			attempts = i->tried[n].attempts;
	return attempts;
}

/* The name's queue at a record; NULL: none. */
static const struct queue *
queue_named(unsigned name, uint64_t at)
{
	for (unsigned i = 0; i < model.n_queues; i++) {
		const struct queue *q = &model.queues[i];

		if (q->name == name && was(q->named_at, at) && queue_lives(q, at))
			return q;
	}
	return NULL;
}

/* --- a random history --- */

static struct sq_msg
message(const struct item *i)
{
	unsigned char *payload = sq_xmalloc(i->size);
	struct sq_msg msg;

	memset(payload, (int)(i->number & 0xff), i->size);
	sq_put32(payload, i->number);
	msg = sq_msg_new(i->qos, i->retain, (struct sq_bytes){(const unsigned char *)"t", 1},
	    (struct sq_bytes){0}, SQ_MSG_NO_EXPIRY, (struct sq_bytes){payload, i->size});
	free(payload);
	return msg;
}

/* One record that is being made. */
struct making {
	struct sq_buf log;
	size_t last_message;
	uint64_t lsn, arrived_ms;
	uint32_t puts;
};

static void
make_put(struct making *m, unsigned queue, const struct item *like)
{
	struct item *i = &model.items[model.n_items++];
	struct sq_item item;
	uint64_t expires_ms;

	cr_assert_leq(model.n_items, (unsigned)ITEMS_MAX);
	*i = *like;
	i->queue = queue;
	i->put_at = m->lsn;
	i->seq = sq_seq(m->lsn, m->puts++);
	i->arrived_ms = name_is_timed(model.queues[queue].name) ? model.begin_ms + m->lsn : 0;
	item = (struct sq_item){.origin = {1, 2, i->number, 0},
	    .qos = i->qos & 3u,
	    .retain = i->retain,
	    .assured = i->assured,
	    .arrived_ms = i->arrived_ms,
	    .msg = message(i)};
	if (i->sub != 0) {
		item.subs = sq_block_new(sizeof(uint32_t));
		memcpy(item.subs->bytes, &(uint32_t){i->sub}, sizeof(uint32_t));
	}
	expires_ms = i->expires == 0 ? 0 : model.begin_ms + (uint64_t)i->expires * EXPIRY_STEP_MS;
	(void)sq_oplog_message(&m->log, &m->last_message, &item, expires_ms);
	sq_oplog_put(&m->log, &m->arrived_ms, model.queues[queue].id, &item);
	sq_item_fini(&item);
}

/* A message to one queue, or to some. */
static void
make_message(struct making *m)
{
	static unsigned number;
	struct item like = {
	    .number = ++number,
	    .size = 4 + draw(draw(4) == 0 ? 6000 : 60),
	    .qos = 1 + draw(2) % 2,
	    .retain = draw(5) == 0,
	    .assured = draw(5) == 0,
	    .expires = draw(4) == 0 ? 1 + draw(50) : 0,
	};
	unsigned copies = draw(3) == 0 ? 1 + draw(NAMES) : 1;

	for (unsigned n = 0; n < copies && model.n_queues > 0; n++) {
		unsigned queue = draw(model.n_queues);

		like.sub = draw(3) == 0 ? 1 + draw(9) : 0;
		if (queue_lives(&model.queues[queue], m->lsn))
			make_put(m, queue, &like);
	}
}

/* An item of an earlier record that waits; NULL: chance has found none. */
static struct item *
draw_item(uint64_t lsn)
{
	for (unsigned n = 0; n < 20 && model.n_items > 0; n++) {
		/* Younger ones more often: they may be in a chunk. */
		unsigned back = draw(draw(2) == 0 ? 8 : model.n_items);
		struct item *i = &model.items[model.n_items - 1 - back % model.n_items];

		if (i->put_at < lsn && i->settled_at == 0 &&
		    queue_lives(&model.queues[i->queue], lsn))
			return i;
	}
	return NULL;
}

static void
make_settle(struct making *m)
{
	struct item *i = draw_item(m->lsn);

	if (i == NULL)
		return;
	i->settled_at = m->lsn;
	sq_oplog_settle(&m->log, model.queues[i->queue].id, i->seq);
}

static void
make_attempt(struct making *m)
{
	struct item *i = draw_item(m->lsn);
	uint16_t attempts;

	if (i == NULL || i->n_tried == TRIES_MAX)
		return;
	attempts = (uint16_t)(item_attempts(i, m->lsn) + 1);
	i->tried[i->n_tried].at = m->lsn;
	i->tried[i->n_tried++].attempts = attempts;
	sq_oplog_attempts(&m->log, model.queues[i->queue].id, i->seq, attempts);
}

static void
make_record(struct making *m)
{
	struct write *w = &model.writes[model.n_writes++];
	unsigned char value[300];

	*w = (struct write){.at = m->lsn,
	    .key = {.id = draw(5), .sub = draw(3), .kind = (uint8_t)(1 + draw(2))},
	    .value = draw(3) == 0 ? 0 : 1 + draw(200)};
	memset(value, (int)w->value, sizeof value);
	sq_oplog_record(
	    &m->log, &w->key, (struct sq_bytes){w->value != 0 ? value : NULL, w->value});
}

static const char *
name_text(unsigned name)
{
	static const char *const texts[NAMES] = {"a", "b", "c", "d", "e", "f"};

	return texts[name];
}

static void
make_queue_open(struct making *m, struct queue *q)
{
	q->named_at = m->lsn;
	sq_oplog_queue_open(&m->log, q->id, name_text(q->name));
}

/* Makes a queue of a name that has none; its opening may be in a later record than its first put. */
static void
make_queue(struct making *m)
{
	unsigned name = draw(NAMES);
	struct queue *q;

	for (unsigned i = 0; i < model.n_queues; i++) {
		q = &model.queues[i];
		if (!queue_lives(q, m->lsn))
			continue;
		if (q->named_at == 0)
			make_queue_open(m, q);
		if (q->name == name)
			return;
	}
	cr_assert_lt(model.n_queues, (unsigned)QUEUES_MAX);
	q = &model.queues[model.n_queues++];
	*q = (struct queue){.id = model.n_queues, .name = name, .known_at = m->lsn};
	if (draw(4) != 0)
		make_queue_open(m, q);
	else
		make_put(m, model.n_queues - 1, &(struct item){.number = 9, .size = 8, .qos = 1});
}

static void
make_queue_delete(struct making *m)
{
	struct queue *q = &model.queues[draw(model.n_queues)];

	/* Not in the record that makes it, which has puts. */
	if (!queue_lives(q, m->lsn) || q->known_at == m->lsn || q->named_at == 0)
		return;
	for (unsigned i = 0; i < model.n_items; i++)
		if (model.items[i].put_at == m->lsn && &model.queues[model.items[i].queue] == q)
			return;
	q->deleted_at = m->lsn;
	sq_oplog_queue_delete(&m->log, q->id);
}

static void
make_history(uint64_t seed, unsigned n)
{
	chance = seed;
	memset(&model, 0, sizeof model);
	model.begin_ms = sq_clock_wall_ms();
	script_clear();
	for (uint64_t lsn = 1; lsn <= n; lsn++) {
		struct making m = {.lsn = lsn};
		unsigned parts = 1 + draw(6);

		for (unsigned i = 0; i < parts || sq_buf_len(&m.log) == 0; i++) {
			unsigned what = draw(20);

			if (what < 2 || model.n_queues < 2)
				make_queue(&m);
			else if (what < 9)
				make_message(&m);
			else if (what < 14)
				make_settle(&m);
			else if (what < 17)
				make_attempt(&m);
			else if (what < 19)
				make_record(&m);
			else if (draw(3) == 0)
				make_queue_delete(&m);
		}
		script_add(&m.log);
	}
}

/* --- what is looked at, in the model and in an engine --- */

/* Of the names: which are opened by the owner of a start at 'at'. */
static bool
name_is_wanted(unsigned name, uint64_t at)
{
	return (name + at) % 5 != 0;
}

/* Which items the owner has handed out before. */
static bool
item_is_claimed(unsigned index, uint64_t at)
{
	return (index * 7 + at) % 4 == 0;
}

static void
text_item(struct sq_buf *out, const struct item *i, uint16_t attempts)
{
	sq_buf_printf(out,
	    " %llx: %u, attempts %u, size %u, qos %u%s%s, sub %u, until %u, at %llu\n",
	    (unsigned long long)i->seq, i->number, attempts, i->size, i->qos,
	    i->retain ? ", retain" : "", i->assured ? ", assured" : "", i->sub, i->expires,
	    (unsigned long long)i->arrived_ms);
}

static void
text_record(struct sq_buf *out, const struct sq_record_key *k, unsigned value)
{
	sq_buf_printf(out, "record %u %llu %llu: %u\n", k->kind, (unsigned long long)k->id,
	    (unsigned long long)k->sub, value);
}

static void
model_records(struct sq_buf *out, uint64_t at)
{
	for (uint8_t kind = 1; kind <= 2; kind++)
		for (uint64_t id = 0; id < 5; id++)
			for (uint64_t sub = 0; sub < 3; sub++) {
				const struct write *last = NULL;

				for (unsigned i = 0; i < model.n_writes; i++) {
					const struct write *w = &model.writes[i];

					if (w->at <= at && w->key.kind == kind && w->key.id == id &&
					    w->key.sub == sub)
						last = w;
				}
				if (last != NULL && last->value != 0)
					text_record(out, &last->key, last->value);
			}
}

static void
model_queue(struct sq_buf *out, const struct queue *q, uint64_t at)
{
	struct sq_buf items = {0};
	uint64_t n = 0, bytes = 0;

	sq_buf_printf(out, "queue %s: %llu\n", name_text(q->name), (unsigned long long)q->id);
	for (unsigned k = 0; k < model.n_items; k++) {
		const struct item *i = &model.items[k];

		if (&model.queues[i->queue] != q || !was(i->put_at, at))
			continue;
		if (item_is_claimed(k, at)) {
			sq_buf_printf(out, "claim %s\n", item_waits(i, at) ? "has it" : "has none");
			if (item_waits(i, at))
				text_item(out, i, item_attempts(i, at));
		} else if (item_waits(i, at)) {
			struct sq_msg msg = message(i);

			n++;
			bytes += sq_image_size(msg.image);
			text_item(&items, i, item_attempts(i, at));
			sq_msg_unref(&msg);
		}
	}
	sq_buf_printf(
	    out, "waiting %llu, %llu bytes\n", (unsigned long long)n, (unsigned long long)bytes);
	sq_buf_append(out, sq_buf_data(&items), sq_buf_len(&items));
	sq_buf_fini(&items);
}

static void
model_text(struct sq_buf *out, uint64_t at)
{
	model_records(out, at);
	for (unsigned name = 0; name < NAMES; name++) {
		const struct queue *q = queue_named(name, at);

		if (q != NULL && name_is_wanted(name, at))
			model_queue(out, q, at);
	}
	for (unsigned i = 0; i < model.n_queues; i++) {
		const struct queue *q = &model.queues[i];

		if (queue_lives(q, at) && !(was(q->named_at, at) && name_is_wanted(q->name, at)))
			sq_buf_printf(out, "ended %llu\n", (unsigned long long)q->id);
	}
}

/* --- engines --- */

struct side {
	struct sq_engine *engine;
	struct sq_log *log;
	char *dir;
	_Atomic enum sq_engine_role role;
	atomic_uint n_roles;
	char why[128]; /* of the last one */
	struct sq_log_shared_cfg shared;
	struct sq_queue *queues[NAMES], *fresh;
};

static void
side_role(void *owner, enum sq_engine_role role, const char *why)
{
	struct side *s = owner;

	snprintf(s->why, sizeof s->why, "%s", why != NULL ? why : "");
	s->n_roles++;
	s->role = role;
}

static bool
side_try_open(struct side *s, const struct sq_log_ops *log, bool shared, struct sq_buf *err)
{
	const struct sq_engine_files files = {
	    .dir = s->dir,
	    .log = log,
	    .shared = shared ? &s->shared : NULL,
	    .journal_bytes = 8 << 20,
	    .max_bytes = MAX_BYTES,
	    .cache_bytes = CACHE_BYTES,
	};
	const struct sq_engine_cfg cfg = {
	    .metrics = &sq_broker_metrics,
	    .n_workers = 1,
	    .files = &files,
	    .role = side_role,
	    .owner = s,
	};

	s->role = SQ_ENGINE_FOLLOWS;
	s->engine = ops->open(&cfg, err);
	s->log = scripted_opened;
	return s->engine != NULL;
}

static void
side_open(struct side *s, bool shared)
{
	struct sq_buf err = {0};

	cr_assert(side_try_open(s, &scripted_log, shared, &err), "%.*s", (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
}

static void
seed(const char *dir)
{
	struct sq_buf err = {0};

	cr_assert_eq(sq_seed_make(dir, MAX_BYTES, STORE, &err), SQ_OK, "%.*s",
	    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
}

static void
side_new(struct side *s, bool shared)
{
	*s = (struct side){.dir = temp_dir_new()};
	if (shared)
		seed(s->dir);
	side_open(s, shared);
}

static void
side_close(struct side *s)
{
	scripted_free(s->log);
	for (unsigned i = 0; i < NAMES; i++)
		if (s->queues[i] != NULL)
			ops->queue.close(s->queues[i]);
	if (s->fresh != NULL)
		ops->queue.close(s->fresh);
	memset(s->queues, 0, sizeof s->queues);
	s->fresh = NULL;
	ops->close(s->engine);
	cr_assert(fake_run());
}

static void
side_end(struct side *s)
{
	side_close(s);
	temp_dir_free(&s->dir);
}

/* A consumer that keeps what it takes. */
struct taker {
	struct sq_consumer consumer;
	struct sq_item items[ITEMS_MAX];
	size_t n, want;
	bool cancelled;
};

static void
taker_take(struct sq_consumer *c, struct sq_item *items, size_t n)
{
	struct taker *t = SQ_CONTAINER_OF(c, struct taker, consumer);

	cr_assert_leq(t->n + n, (size_t)ITEMS_MAX);
	for (size_t i = 0; i < n; i++) {
		ops->consumer.sent(c->queue, 1, sq_image_size(items[i].msg.image));
		items[i].unsent = false;
		t->items[t->n++] = items[i];
	}
}

static void
taker_cancelled(struct sq_consumer *c)
{
	SQ_CONTAINER_OF(c, struct taker, consumer)->cancelled = true;
}

static bool
taker_has_all(void *arg)
{
	const struct taker *t = arg;

	return t->n >= t->want;
}

/* Nobody says so when the store has nothing more. */
static bool
read_to_the_end(struct sq_queue *q)
{
	for (unsigned ms = 0; ms < 60000 && !ops->queue.empty(q); ms++) {
		nanosleep(&(struct timespec){0, 1000000}, NULL);
		cr_assert(fake_run());
	}
	return ops->queue.empty(q);
}

static void
taker_begin(struct taker *t, struct sq_queue *q, size_t want)
{
	const struct sq_demand all = {100000, 100000, UINT64_C(1) << 40};

	*t = (struct taker){.consumer = {.worker = fake_worker(0),
				.take = taker_take,
				.cancelled = taker_cancelled},
	    .want = want};
	ops->consumer.consume(q, &t->consumer);
	ops->consumer.demand(&t->consumer, &all);
}

static void
taker_end(struct taker *t)
{
	ops->consumer.cancel(&t->consumer);
	cr_assert(fake_run());
	cr_assert(t->cancelled);
	for (size_t i = 0; i < t->n; i++)
		sq_item_fini(&t->items[i]);
}

static void
engine_item(struct sq_buf *out, const struct sq_item *item)
{
	struct sq_bytes payload = sq_image_payload(item->msg.image);
	struct item i = {
	    .seq = item->seq,
	    .number = sq_get32(payload.p),
	    .size = (unsigned)payload.len,
	    .qos = item->qos,
	    .retain = item->retain,
	    .assured = item->assured,
	    .arrived_ms = item->arrived_ms,
	};

	for (size_t at = 4; at < payload.len; at++)
		cr_assert_eq(payload.p[at], (unsigned char)i.number);
	cr_assert_eq(item->origin.number, i.number);
	cr_assert(item->stored);
	if (item->subs != NULL)
		memcpy(&i.sub, item->subs->bytes, sizeof(uint32_t));
	if (item->expires_ms != 0) {
		uint64_t wall = item->expires_ms + sq_wallclock_ahead(sq_clock_ms());

		i.expires = (unsigned)((wall - model.begin_ms + EXPIRY_STEP_MS / 2) /
		    EXPIRY_STEP_MS);
	}
	text_item(out, &i, item->attempts);
}

static void
engine_record(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	for (size_t i = 0; i < value.len; i++)
		cr_assert_eq(value.p[i], (unsigned char)value.len);
	text_record(arg, key, (unsigned)value.len);
}

static struct sq_queue *
side_queue(struct side *s, const char *name, bool timed)
{
	const struct sq_queue_cfg cfg = {
	    .timed = timed,
	    .name = name,
	    .owner = fake_worker(0),
	    .max_msgs = 1000000,
	    .max_bytes = UINT64_C(1) << 40,
	    .overflow = SQ_OVERFLOW_REJECT_PUBLISH,
	    .durable = true,
	};

	return ops->queue.open(s->engine, NULL, &cfg);
}

/* Perhaps the checkpoint under way ends, and the next chunk is taken. */
static void
maybe_step(struct side *s, bool may)
{
	if (may && draw(2) == 0)
		scripted_step(s->log);
}

static void
engine_claims(struct side *s, struct sq_buf *out, const struct queue *mq, uint64_t at)
{
	struct sq_queue *q = s->queues[mq->name];

	for (unsigned k = 0; k < model.n_items; k++) {
		const struct item *i = &model.items[k];
		struct sq_item item = {0};
		int rc;

		if (&model.queues[i->queue] != mq || !was(i->put_at, at) || !item_is_claimed(k, at))
			continue;
		rc = ops->start.claim(q, i->seq, &item);
		cr_assert(rc == SQ_OK || rc == SQ_ENOTFOUND);
		sq_buf_printf(out, "claim %s\n", rc == SQ_OK ? "has it" : "has none");
		if (rc == SQ_OK)
			engine_item(out, &item);
		sq_item_fini(&item);
	}
}

static void
engine_waiting(struct side *s, struct sq_buf *out, unsigned name)
{
	static struct taker taker;
	struct sq_queue *q = s->queues[name];
	struct sq_queue_state state;

	ops->queue.state(q, &state);
	sq_buf_printf(out, "waiting %llu, %llu bytes\n", (unsigned long long)state.n,
	    (unsigned long long)state.bytes);
	taker_begin(&taker, q, state.n);
	cr_assert(fake_run_until(taker_has_all, &taker), "only %zu of %llu come", taker.n,
	    (unsigned long long)state.n);
	cr_assert(fake_run());
	for (size_t i = 0; i < taker.n; i++)
		engine_item(out, &taker.items[i]);
	cr_assert(read_to_the_end(q));
	cr_assert_eq(taker.n, state.n, "and has no more");
	taker_end(&taker);
}

static int
number_order(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

/* Commits what the engine has to say at a start: that some queues end, and one begins. */
static void
engine_ended(struct side *s, struct sq_buf *out)
{
	uint64_t ended[QUEUES_MAX];
	struct sq_buf log = {0};
	struct sq_oplog_reader r;
	const struct sq_op_view *op;
	size_t n = 0;

	scripted_commit(s->log, &log);
	cr_assert(fake_run());
	sq_oplog_read(&r, sq_buf_bytes(&log));
	while ((op = sq_oplog_next(&r)) != NULL)
		if (op->kind == SQ_OP_QUEUE_DELETE)
			ended[n++] = op->queue;
	if (n > 0)
		qsort(ended, n, sizeof *ended, number_order);
	for (size_t i = 0; i < n; i++)
		sq_buf_printf(out, "ended %llu\n", (unsigned long long)ended[i]);
	sq_buf_fini(&log);
}

/* A start of an engine that owns, at record 'at', and what it has.  'steps': its checkpoints end here and
 * there. */
static void
engine_text(struct side *s, struct sq_buf *out, uint64_t at, bool steps)
{
	struct sq_buf items[NAMES] = {0};

	maybe_step(s, steps);
	cr_assert_eq(ops->start.load(s->engine, 1, engine_record, out), SQ_OK);
	maybe_step(s, steps);
	cr_assert_eq(ops->start.load(s->engine, 2, engine_record, out), SQ_OK);
	for (unsigned name = 0; name < NAMES; name++) {
		const struct queue *q = queue_named(name, at);

		if (q == NULL || !name_is_wanted(name, at))
			continue;
		maybe_step(s, steps);
		s->queues[name] = side_queue(s, name_text(name), name_is_timed(name));
		maybe_step(s, steps);
		sq_buf_printf(&items[name], "queue %s: %llu\n", name_text(name),
		    (unsigned long long)s->queues[name]->id);
		engine_claims(s, &items[name], q, at);
	}
	s->fresh = side_queue(s, "fresh", false);
	maybe_step(s, steps);
	ops->start.ready(s->engine);
	for (unsigned name = 0; name < NAMES; name++) {
		maybe_step(s, steps);
		if (s->queues[name] != NULL)
			engine_waiting(s, &items[name], name);
		sq_buf_append(out, sq_buf_data(&items[name]), sq_buf_len(&items[name]));
		sq_buf_fini(&items[name]);
	}
	engine_ended(s, out);
}

static void
same_text(const struct sq_buf *is, const struct sq_buf *wanted, const char *what, uint64_t at)
{
	cr_assert(sq_buf_len(is) == sq_buf_len(wanted) &&
		memcmp(sq_buf_data(is), sq_buf_data(wanted), sq_buf_len(is)) == 0,
	    "%s at record %llu has\n%.*s\n--- and not\n%.*s", what, (unsigned long long)at,
	    (int)sq_buf_len(is), (const char *)sq_buf_data(is), (int)sq_buf_len(wanted),
	    (const char *)sq_buf_data(wanted));
}

static void
same_as_model(struct side *s, uint64_t at, bool steps, const char *what)
{
	struct sq_buf is = {0}, wanted = {0};

	model_text(&wanted, at);
	engine_text(s, &is, at, steps);
	same_text(&is, &wanted, what, at);
	for (unsigned i = 0; i < model.n_queues; i++)
		if (was(model.queues[i].known_at, at) && !was(model.queues[i].deleted_at, at))
			cr_assert_gt(s->fresh->id, model.queues[i].id, "a new queue has its own");
	sq_buf_fini(&is);
	sq_buf_fini(&wanted);
}

/* --- the tests --- */

static void
follow_begin(void)
{
	fake_workers_init(1);
	for (size_t i = 0; i < SQ_M_COUNT; i++)
		sq_metric_set(&sq_broker_metrics, i, 0);
}

TestSuite(engine_follow, .init = follow_begin);

/* The follower's process ends, and another one goes on with its tables. */
static void
side_again(struct side *s)
{
	uint64_t kept;
	struct sq_seed_look look;
	struct sq_buf err = {0};

	side_close(s);
	cr_assert_eq(sq_seed_look(s->dir, &look, &err), SQ_OK);
	cr_assert_eq(look.kind, SQ_SEED_SHARED);
	cr_assert_eq(look.store, (uint64_t)STORE);
	cr_assert_geq(look.mark.lsn, look.lsn, "the mark is of all that is there");
	cr_assert_eq(look.mark.chain, look.mark.lsn * 7);
	kept = look.lsn;
	side_open(s, true);
	cr_assert_eq(sq_log_last(s->log), kept);
}

static void
deliver(struct side *s, uint64_t to)
{
	if (sq_log_last(s->log) < to) {
		cr_assert_eq(scripted_deliver(s->log), SQ_OK);
		if (draw(3) == 0)
			scripted_step(s->log);
	}
}

/* A follower's state goes on in another directory, by a snapshot of a moment; until it has been read the
 * follower applies up to record 'to', with checkpoints. */
static void
side_moves(struct side *s, uint64_t to)
{
	const struct sq_log_cfg *log = scripted_cfg(s->log);
	char *dir = temp_dir_new();
	struct sq_buf row = {0}, err = {0};
	struct sq_snapshot_in *in;
	struct sq_rows_sum sum;
	struct sq_rows *rows;
	uint64_t lsn;

	cr_assert_eq(log->rows->open(log->rows_owner, &rows, &lsn, &err), SQ_OK);
	cr_assert_eq(sq_snapshot_in_new(&in, dir, MAX_BYTES, STORE, &err), SQ_OK);
	do {
		deliver(s, to);
		row.start = row.end = 0;
		cr_assert_eq(log->rows->next(rows, &row, &err), SQ_OK);
		cr_assert_eq(sq_snapshot_in_row(in, sq_buf_bytes(&row), &err), SQ_OK);
	} while (sq_buf_len(&row) > 0);
	log->rows->sum(rows, &sum);
	cr_assert_eq(sum.lsn, lsn);
	log->rows->close(&rows);
	cr_assert_eq(sq_snapshot_in_end(in, &sum, &err), SQ_OK, "%.*s", (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
	sq_snapshot_in_free(&in);
	side_end(s);
	*s = (struct side){.dir = dir};
	side_open(s, true);
	cr_assert_eq(sq_log_last(s->log), lsn);
	sq_buf_fini(&row);
}

/* Follows up to a record; checkpoints come at random. */
static void
side_follow(struct side *s, uint64_t to, unsigned one_in)
{
	while (sq_log_last(s->log) < to) {
		cr_assert_eq(scripted_deliver(s->log), SQ_OK);
		if (draw(one_in) == 0)
			scripted_step(s->log);
	}
}

static void
promote_at(struct side *s, uint64_t at, bool steps)
{
	cr_assert(scripted_claimed(s->log));
	cr_assert_eq(s->n_roles, 0u);
	if (draw(3) == 0)
		scripted_rest(s->log); /* no chunk is under way */
	scripted_own(s->log, at + 5);
	cr_assert_eq(s->role, SQ_ENGINE_OWNS);
	cr_assert_eq(s->engine->boot, (uint32_t)at + 5);
	cr_assert_eq(s->engine->store, (uint64_t)STORE);
	ops->start.own(s->engine);
	same_as_model(s, at, steps, "a follower that owns");
}

enum { RECORDS = 96, AT_ONCE = 24 };

/* All records of a history, some followers at a time: each of them waits for its first checkpoint. */
static void
promote_everywhere(uint64_t seed_number, unsigned records)
{
	static struct side sides[AT_ONCE];

	make_history(seed_number, records);
	for (uint64_t from = 1; from <= records; from += AT_ONCE) {
		for (unsigned i = 0; i < AT_ONCE; i++)
			side_new(&sides[i], true);
		for (unsigned i = 0; i < AT_ONCE; i++) {
			uint64_t at = from + i;
			unsigned one_in = 1 + draw(20);

			if (draw(3) == 0) {
				side_follow(&sides[i], at / 2, one_in);
				side_again(&sides[i]);
			} else if (draw(2) == 0) {
				side_follow(&sides[i], at / 2, one_in);
				side_moves(&sides[i], at);
			}
			side_follow(&sides[i], at, one_in);
			promote_at(&sides[i], at, draw(3) != 0);
			side_end(&sides[i]);
		}
	}
}

Test(engine_follow, a_follower_owns_what_a_restart_has)
{
	promote_everywhere(1, RECORDS);
}

Test(engine_follow, and_so_in_another_history)
{
	promote_everywhere(20261201, RECORDS / 2);
}

Test(engine_follow, the_model_is_what_a_restart_has)
{
	make_history(1, RECORDS);
	for (uint64_t at = 1; at <= RECORDS; at += 5) {
		struct side s;

		scripted_upto = at;
		side_new(&s, false);
		cr_assert_eq(s.role, SQ_ENGINE_OWNS, "told during the open");
		ops->start.own(s.engine); /* does nothing */
		same_as_model(&s, at, false, "a restart");
		side_end(&s);
	}
}

/* What a follower and its owner do beside that. */

struct txn {
	struct sq_txn txn;
	unsigned done;
};

static void
txn_done(struct sq_txn *txn, int err)
{
	cr_assert_eq(err, SQ_OK);
	SQ_CONTAINER_OF(txn, struct txn, txn)->done++;
}

static void
put_one(struct side *s, struct txn *t, struct sq_queue *q, unsigned number, uint8_t qos)
{
	const struct item like = {.number = number, .size = 8, .qos = qos};
	struct sq_item item = {.origin = {1, 2, number, 0}, .qos = qos & 3u, .msg = message(&like)};

	*t = (struct txn){.txn = {.worker = fake_worker(0), .done = txn_done, .engine = s->engine}};
	cr_assert_eq(ops->txn.put(&t->txn, q, &item), SQ_OK);
	ops->txn.commit(&t->txn);
	cr_assert(fake_run());
}

/* An owner of an empty log with one queue. */
static struct sq_queue *
side_own(struct side *s)
{
	make_history(1, 0);
	side_new(s, true);
	scripted_own(s->log, 1);
	ops->start.own(s->engine);
	s->fresh = side_queue(s, "fresh", false);
	ops->start.ready(s->engine);
	scripted_commit(s->log, NULL);
	cr_assert(fake_run());
	return s->fresh;
}

static bool
healthy(struct side *s, const char *wanted)
{
	struct sq_buf why = {0};
	bool is = ops->healthy(s->engine, &why);

	sq_buf_u8(&why, 0);
	cr_assert_not_null(
	    strstr((const char *)sq_buf_data(&why), wanted), "%s", (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return is;
}

Test(engine_follow, an_owner_commits_and_a_second_claim_changes_nothing)
{
	struct side s;
	struct sq_queue *q = side_own(&s);
	struct txn t;

	put_one(&s, &t, q, 1, 1);
	cr_assert_eq(t.done, 0u);
	scripted_own(s.log, 2); /* a claim of its own again */
	cr_assert_eq(s.n_roles, 1u);
	cr_assert_eq(s.engine->boot, 1u);
	scripted_commit(s.log, NULL);
	cr_assert(fake_run());
	cr_assert_eq(t.done, 1u);
	cr_assert_eq(ops->queue.depth(q), (size_t)1);
	side_end(&s);
}

Test(engine_follow, who_is_fenced_answers_nothing_more)
{
	struct side s;
	struct sq_queue *q = side_own(&s);
	struct txn t;

	cr_assert(healthy(&s, ""));
	put_one(&s, &t, q, 1, 1);
	scripted_fence(s.log);
	cr_assert_eq(s.role, SQ_ENGINE_LOST);
	cr_assert_neq(s.why[0], '\0');
	cr_assert(!healthy(&s, "another broker"));
	cr_assert(ops->stalled(s.engine));
	cr_assert(ops->queue.full(q, 1));
	cr_assert(fake_run());
	side_end(&s);
	cr_assert_eq(t.done, 0u);
}

Test(engine_follow, without_a_lease_nothing_is_taken_or_handed_out)
{
	static struct taker taker;
	struct sq_item drawn;
	struct side s;
	struct sq_queue *q = side_own(&s);
	struct txn t;

	put_one(&s, &t, q, 1, 1);
	scripted_commit(s.log, NULL);
	cr_assert(fake_run());
	scripted_set_leased(s.log, false);
	cr_assert(!sq_engine_leased(s.engine));
	cr_assert(!healthy(&s, "has not answered"));
	cr_assert(ops->queue.full(q, 1));
	cr_assert(ops->stalled(s.engine));
	taker_begin(&taker, q, 1);
	cr_assert(fake_run());
	cr_assert_eq(taker.n, (size_t)0);
	cr_assert_eq(ops->queue.draw(q, 0, UINT64_MAX, &drawn), SQ_EAGAIN);
	scripted_set_leased(s.log, true);
	cr_assert(healthy(&s, ""));
	cr_assert(!ops->queue.full(q, 1));
	cr_assert(fake_run_until(taker_has_all, &taker));
	taker_end(&taker);
	side_end(&s);
}

Test(engine_follow, qos_0_needs_no_lease)
{
	static struct taker taker;
	struct side s;
	struct sq_queue *q = side_own(&s);
	struct txn t;

	scripted_set_leased(s.log, false);
	cr_assert(!healthy(&s, "has not answered"));
	taker_begin(&taker, q, 1);
	{
		const struct item like = {.number = 1, .size = 8};
		struct sq_item item = {.origin = {1, 2, 1, 0}, .msg = message(&like)};

		t = (struct txn){
		    .txn = {.worker = fake_worker(0), .done = txn_done, .engine = s.engine}};
		cr_assert(ops->txn.pass(&t.txn, &taker.consumer, &item));
		sq_item_fini(&item);
	}
	taker_end(&taker);
	side_end(&s);
}

Test(engine_follow, a_follower_takes_no_more_than_its_checkpoints_can_write)
{
	struct side s;

	make_history(1, 3);
	side_new(&s, true);
	cr_assert_eq(scripted_deliver(s.log), SQ_OK);
	scripted_set_full(s.log, true);
	cr_assert_eq(scripted_deliver(s.log), SQ_ENOMEM);
	scripted_set_full(s.log, false);
	side_follow(&s, 3, 100);
	promote_at(&s, 3, true);
	side_end(&s);
}

Test(engine_follow, a_malformed_record_is_refused_as_a_whole)
{
	struct side s;
	struct sq_buf bad = {0};

	make_history(1, 20);
	sq_oplog_queue_open(&bad, 99, "bad");
	sq_buf_u8(&bad, 250);
	script_add(&bad);
	side_new(&s, true);
	side_follow(&s, 20, 4);
	cr_assert_eq(scripted_deliver(s.log), SQ_EINVAL);
	cr_assert_eq(scripted_deliver(s.log), SQ_EINVAL);
	cr_assert(!healthy(&s, "record 21 of the log is malformed"));
	promote_at(&s, 20, true);
	side_end(&s);
}

Test(engine_follow, a_message_of_several_queues_is_in_memory_once)
{
	static struct taker takers[2];
	struct side s;
	struct making m = {.lsn = 1};
	const struct item like = {.number = 1, .size = 3000, .qos = 1};

	make_history(1, 0);
	for (unsigned i = 0; i < 2; i++) {
		model.queues[i] = (struct queue){.id = i + 1, .name = i + 1, .known_at = 1};
		make_queue_open(&m, &model.queues[i]);
	}
	model.n_queues = 2;
	make_put(&m, 0, &like);
	make_put(&m, 1, &like);
	script_add(&m.log);
	side_new(&s, true);
	cr_assert_eq(scripted_deliver(s.log), SQ_OK);
	scripted_own(s.log, 1);
	ops->start.own(s.engine);
	for (unsigned i = 0; i < 2; i++) {
		s.queues[i] = side_queue(&s, name_text(i + 1), false);
		taker_begin(&takers[i], s.queues[i], 1);
		cr_assert(fake_run_until(taker_has_all, &takers[i]));
	}
	cr_assert_eq(takers[0].items[0].msg.block, takers[1].items[0].msg.block);
	taker_end(&takers[0]);
	taker_end(&takers[1]);
	side_end(&s);
}

/* Directories. */

static void
side_is_refused(struct side *s, const struct sq_log_ops *log, bool shared, const char *why)
{
	struct sq_buf err = {0};

	cr_assert(!side_try_open(s, log, shared, &err));
	sq_buf_u8(&err, 0);
	cr_assert_not_null(
	    strstr((const char *)sq_buf_data(&err), why), "%s", (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

static struct sq_seed_look
look_at(const char *dir)
{
	struct sq_seed_look look;
	struct sq_buf err = {0};

	cr_assert_eq(sq_seed_look(dir, &look, &err), SQ_OK);
	return look;
}

Test(engine_follow, a_directory_belongs_to_one_kind_of_log)
{
	struct side s = {.dir = temp_dir_new()};
	struct sq_buf err = {0};
	int lock;

	cr_assert_eq(look_at(s.dir).kind, SQ_SEED_NONE);
	side_is_refused(&s, &scripted_log, true, "there are no tables");
	cr_assert_eq(look_at(s.dir).kind, SQ_SEED_NONE, "a refusal makes nothing");
	cr_assert(side_try_open(&s, &sq_log_file, false, &err));
	ops->close(s.engine);
	cr_assert_eq(look_at(s.dir).kind, SQ_SEED_FILES);
	side_is_refused(&s, &scripted_log, true, "a log of its own");
	lock = sq_store_lock(s.dir, &err);
	cr_assert_geq(lock, 0);
	cr_assert_eq(sq_seed_clear(s.dir, &err), SQ_OK, "%.*s", (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
	cr_assert_eq(look_at(s.dir).kind, SQ_SEED_NONE);
	seed(s.dir);
	cr_assert_neq(sq_seed_make(s.dir, MAX_BYTES, 1, &err), SQ_OK, "there are some");
	sq_store_unlock(&lock);
	cr_assert_eq(look_at(s.dir).kind, SQ_SEED_SHARED);
	cr_assert_eq(look_at(s.dir).store, (uint64_t)STORE);
	side_is_refused(&s, &sq_log_file, false, "belongs to a log of several brokers");
	side_open(&s, true);
	side_close(&s);
	cr_assert_eq(sq_store_check(s.dir, stdout), 0, "it needs no journal");
	temp_dir_free(&s.dir);
	sq_buf_fini(&err);
}

/* --- with the log of several brokers itself --- */

static void
shared_begin(struct side *s, struct fake_way *way, const char *id)
{
	struct sq_buf err = {0};

	*s = (struct side){.dir = temp_dir_new(),
	    .shared = {.driver = &fake_shared_ops, .driver_cfg = way, .deadline_ms = 200}};
	snprintf(s->shared.me.id, sizeof s->shared.me.id, "%s", id);
	s->shared.me.format_min = s->shared.me.format_max = SQ_OPLOG_FORMAT;
	seed(s->dir);
	cr_assert(side_try_open(s, &sq_log_shared, true, &err), "%.*s", (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
}

static void
shared_end(struct side *s)
{
	if (s->fresh != NULL)
		ops->queue.close(s->fresh);
	s->fresh = NULL;
	ops->close(s->engine);
	cr_assert(fake_run());
	temp_dir_free(&s->dir);
}

static bool
await(bool (*is)(const void *arg), const void *arg)
{
	for (unsigned ms = 0; ms < 60000 && !is(arg); ms++)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	return is(arg);
}

static bool
side_owns(const void *arg)
{
	return ((const struct side *)arg)->role == SQ_ENGINE_OWNS;
}

static bool
side_is_lost(const void *arg)
{
	return ((const struct side *)arg)->role == SQ_ENGINE_LOST;
}

/* It begins to own when it may, and has its queue open. */
static void
shared_own(struct side *s, struct sq_buf *records)
{
	cr_assert(await(side_owns, s));
	ops->start.own(s->engine);
	cr_assert_eq(ops->start.load(s->engine, 1, engine_record, records), SQ_OK);
	s->fresh = side_queue(s, "fresh", false);
	ops->start.ready(s->engine);
}

static bool
txn_is_done(void *arg)
{
	return ((struct txn *)arg)->done == 1;
}

static void
shared_commit(struct txn *t)
{
	ops->txn.commit(&t->txn);
	cr_assert(fake_run_until(txn_is_done, t));
}

static void
txn_begin(struct side *s, struct txn *t)
{
	*t = (struct txn){.txn = {.worker = fake_worker(0), .done = txn_done, .engine = s->engine}};
}

static void
shared_put(struct side *s, unsigned from, unsigned to)
{
	struct txn t;

	txn_begin(s, &t);
	for (unsigned i = from; i <= to; i++) {
		const struct item like = {.number = i, .size = 400, .qos = 1};
		struct sq_item item = {.origin = {1, 2, i, 0}, .qos = 1, .msg = message(&like)};

		cr_assert_eq(ops->txn.put(&t.txn, s->fresh, &item), SQ_OK);
	}
	shared_commit(&t);
}

/* Settles what the taker has, from one to another. */
static void
shared_settle(struct side *s, struct taker *taker, size_t from, size_t to, enum sq_settle_how how)
{
	struct txn t;

	txn_begin(s, &t);
	for (size_t i = from; i < to; i++) {
		ops->txn.settle(&t.txn, s->fresh, &taker->items[i], how);
		if (how != SQ_TRIED)
			sq_item_fini(&taker->items[i]);
	}
	shared_commit(&t);
}

static bool
log_has_all(const void *arg)
{
	const struct side *const *pair = arg;

	return sq_log_last(ops->log(pair[0]->engine)) == sq_log_last(ops->log(pair[1]->engine));
}

/* Items 81 to 300 wait, 81 to 100 for the second time. */
static void
shared_look(struct side *s)
{
	static struct taker taker;
	struct sq_queue_state state;

	ops->queue.state(s->fresh, &state);
	cr_assert_eq(state.n, 220);
	taker_begin(&taker, s->fresh, 220);
	cr_assert(fake_run_until(taker_has_all, &taker));
	cr_assert(fake_run());
	cr_assert_eq(taker.n, (size_t)220);
	for (unsigned i = 0; i < 220; i++) {
		cr_assert_eq(taker.items[i].origin.number, i + 81);
		cr_assert_eq(taker.items[i].attempts, i < 20 ? 1 : 0);
	}
	taker_end(&taker);
}

static void
shared_history(struct side *s)
{
	static struct taker taker;
	unsigned char value[5] = {5, 5, 5, 5, 5};
	struct txn t;

	for (unsigned i = 0; i < 300; i += 30)
		shared_put(s, i + 1, i + 30);
	taker_begin(&taker, s->fresh, 300);
	cr_assert(fake_run_until(taker_has_all, &taker));
	shared_settle(s, &taker, 0, 50, SQ_DONE);
	shared_settle(s, &taker, 50, 80, SQ_DONE);
	shared_settle(s, &taker, 80, 100, SQ_TRIED);
	txn_begin(s, &t);
	ops->txn.record(&t.txn, &(struct sq_record_key){.kind = 1, .id = 3},
	    (struct sq_bytes){value, sizeof value});
	shared_commit(&t);
	taker_end(&taker);
}

/* One owner after the other: 'kill' has the first one lose its way to the log, and else it lets go. */
static void
shared_succession(bool kill)
{
	static struct side a, b, c;
	struct fake_shared *log = fake_shared_new(STORE);
	struct fake_way *way = fake_shared_way(log);
	struct sq_buf records = {0};

	make_history(1, 0);
	shared_begin(&a, way, "a");
	shared_own(&a, &records);
	cr_assert_eq(a.engine->boot, 1u);
	shared_begin(&b, fake_shared_way(log), "b");
	shared_history(&a);
	cr_assert(await(log_has_all, (const struct side *[]){&a, &b}));
	fake_way_cut(way, kill);
	if (!kill)
		shared_end(&a);
	shared_own(&b, &records);
	cr_assert_eq(b.engine->boot, 2u);
	shared_look(&b);
	shared_begin(&c, fake_shared_way(log), "c"); /* from the beginning */
	shared_put(&b, 301, 301);
	cr_assert(await(log_has_all, (const struct side *[]){&b, &c}));
	cr_assert(!sq_engine_leased(c.engine));
	cr_assert(sq_engine_leased(b.engine));
	if (kill) {
		fake_way_cut(way, false);
		cr_assert(await(side_is_lost, &a));
		shared_end(&a);
	}
	shared_end(&b);
	shared_own(&c, &records);
	cr_assert_eq(ops->queue.depth(c.fresh), (size_t)221);
	shared_end(&c);
	fake_shared_free(&log);
	sq_buf_u8(&records, 0);
	cr_assert_str_eq((const char *)sq_buf_data(&records), "record 1 3 0: 5\nrecord 1 3 0: 5\n",
	    "of b and c");
	sq_buf_fini(&records);
}

Test(engine_follow, the_next_owner_goes_on_where_one_has_let_go)
{
	shared_succession(false);
}

Test(engine_follow, the_next_owner_goes_on_where_one_was_killed)
{
	shared_succession(true);
}
