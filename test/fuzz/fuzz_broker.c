/* The broker proper under calls in any order, well-formed or not.
 *
 * The input is a program: each step is an operation byte and its arguments.
 * Attachments that the broker grants are remembered, so that later steps can use
 * real epochs.  In the end all must be answered once and nothing be left. */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/broker_open.h"
#include "../support/fake_front.h"
#include "../support/fake_worker.h"
#include "../support/held_engine.h"
#include "broker/metrics/metrics.h"
#include "core/bytes.h"
#include "core/mem.h"

enum { LINKS = 3, SESSIONS = 4, CALLS = 512, WORKERS = 2 };

static const char *const keys[SESSIONS] = {"s~w~a", "s~w~a~pod", "s~w~b", "s~w~c~pod"};
static const char *const topics[] = {"t", "t/1", "u", "bad/#"};
static const char *const filters[] = {"t", "t/#", "#", "$share/g/t", "$tag/x", "u", "+", "bad/#/x"};

struct fuzz {
	struct sq_reader in;
	struct sq_broker *broker;
	struct sq_outlet *links[LINKS];
	struct {
		uint64_t epoch, incarnation, ordinal, next[SQ_LANES];
		uint32_t attempt;
		unsigned link;
	} sessions[SESSIONS];
	struct fake_call *calls[CALLS];
	size_t n_calls;
};

static unsigned
pick(struct fuzz *f, unsigned n)
{
	return sq_read8(&f->in) % n;
}

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static struct fake_call *
call(struct fuzz *f, unsigned who, enum sq_call_kind kind, struct sq_buf *body)
{
	struct fake_call *fc = fake_call_new(kind, keys[who],
	    kind == SQ_CALL_ATTACH ? 0 : f->sessions[who].epoch, f->links[f->sessions[who].link],
	    body);

	if (f->n_calls == CALLS) {
		fc->answers = 1; /* never handed over */
		fake_call_free(&fc);
		return NULL;
	}
	f->calls[f->n_calls++] = fc;
	sq_broker_call(f->broker, &fc->call);
	return fc;
}

static void
run(void)
{
	bool idle = fake_run();

	assert(idle);
	fake_self(0);
}

static void
step_attach(struct fuzz *f, unsigned who)
{
	struct sq_msg will = sq_msg_new(pick(f, 3), pick(f, 2), text(topics[pick(f, 4)]),
	    (struct sq_bytes){0}, pick(f, 8), text("will"));
	struct sq_open_id ids[3];
	struct sq_attach a = {.instance = 1 + pick(f, 3),
	    .link = 1,
	    .flags = (uint8_t)pick(f, 16),
	    .expiry_s = pick(f, 4),
	    .receive_max = (uint16_t)(1 + pick(f, 4)),
	    .incarnation = pick(f, 4) == 0 ? 7 : f->sessions[who].incarnation,
	    .will_delay_s = pick(f, 4),
	    .will = {will.image, sq_image_size(will.image)},
	    .n_open = (uint16_t)pick(f, 4)};
	struct sq_buf body = {0};
	struct sq_attached out;
	struct fake_call *fc;

	for (uint16_t i = 0; i < a.n_open; i++)
		ids[i] = (struct sq_open_id){.packet_id = (uint16_t)(1 + pick(f, 5)),
		    .state = (uint8_t)(1 + pick(f, 4)),
		    .queue = pick(f, 3)};
	if (pick(f, 2) == 0)
		f->sessions[who].ordinal++;
	a.ordinal = 1 + f->sessions[who].ordinal;
	a.attempt = ++f->sessions[who].attempt;
	f->sessions[who].link = pick(f, LINKS);
	sq_attach_encode(&body, &a, ids);
	sq_msg_unref(&will);
	fc = call(f, who, SQ_CALL_ATTACH, &body);
	if (pick(f, 4) != 0)
		run();
	if (fc == NULL || fc->answers == 0 || fake_call_status(fc) != 200)
		return;
	if (sq_attached_decode(sq_buf_data(&fc->answer), sq_buf_len(&fc->answer),
		fake_link_version(fc->call.outlet), &out) != SQ_OK)
		abort();
	f->sessions[who].epoch = out.epoch;
	f->sessions[who].incarnation = out.incarnation;
	for (unsigned lane = 0; lane < SQ_LANES; lane++)
		f->sessions[who].next[lane] = out.last[lane] + 1;
}

static void
step_batch(struct fuzz *f, unsigned who)
{
	struct sq_batch b = {
	    .lane = (uint8_t)pick(f, 2), .n = (uint16_t)(1 + pick(f, 4)), .run = 1 + pick(f, 2)};
	unsigned char head[SQ_BATCH_HEADER], entry[SQ_ENTRY_HEADER];
	struct sq_buf body = {0};

	b.first = f->sessions[who].next[b.lane] + (pick(f, 4) == 0 ? pick(f, 5) : 0);
	b.first -= pick(f, 4) == 0 && b.first > 4 ? pick(f, 4) : 0;
	b.first = b.first == 0 ? 1 : b.first;
	b.upto = b.first > 3 ? b.first - 1 - pick(f, 3) : 0;
	f->sessions[who].next[b.lane] = b.first + b.n;
	b.mark = pick(f, 3) == 0 ? pick(f, 4) : 0;
	sq_batch_header(head, &b);
	sq_buf_append(&body, head, sizeof head);
	for (uint16_t i = 0; i < b.n; i++) {
		uint8_t what = (uint8_t)pick(f, 4);
		uint8_t qos = b.lane == 0 ? 0 : (uint8_t)(1 + pick(f, 2));
		uint16_t id = qos == 2 ? (uint16_t)(1 + pick(f, 4)) : 0;
		struct sq_msg m;

		if (b.lane == 1 && what == 0) {
			sq_entry_header(entry, SQ_ENTRY_RELEASE, (uint16_t)(1 + pick(f, 4)));
			sq_buf_append(&body, entry, sizeof entry);
			continue;
		}
		m = sq_msg_new(qos, b.lane == 1 && what == 1, text(topics[pick(f, 4)]),
		    (struct sq_bytes){0}, pick(f, 2) != 0 ? SQ_MSG_NO_EXPIRY : pick(f, 3),
		    text(pick(f, 4) == 0 ? "" : "payload"));
		sq_entry_header(entry, SQ_ENTRY_MESSAGE, id);
		sq_buf_append(&body, entry, sizeof entry);
		sq_buf_append(&body, m.image, sq_image_size(m.image));
		sq_msg_unref(&m);
	}
	call(f, who, SQ_CALL_MESSAGES, &body);
}

static void
step_settle(struct fuzz *f, unsigned who)
{
	struct sq_buf body = {0};
	unsigned n = pick(f, 4);

	sq_settlements_header(&body, pick(f, 255), pick(f, 255) * 100u);
	for (unsigned i = 0; i < n; i++) {
		struct sq_settle e = {.kind = (uint8_t)(1 + pick(f, 5)),
		    .n = (uint16_t)(1 + pick(f, 8)),
		    .delivery = pick(f, 32)};

		sq_settle_put(&body, &e);
	}
	call(f, who, SQ_CALL_SETTLEMENTS, &body);
}

static void
step_subscribe(struct fuzz *f, unsigned who)
{
	unsigned n = 1 + pick(f, 3);
	struct sq_subs_head head = {.mark = pick(f, 4)};
	struct sq_buf body = {0};

	for (unsigned lane = 0; lane < SQ_LANES && head.mark != 0; lane++)
		head.after[lane] = f->sessions[who].next[lane] + pick(f, 3) - 1;

	sq_subs_head_put(&body, (uint16_t)n, &head, SQ_LINK_VERSION);
	for (unsigned i = 0; i < n; i++) {
		unsigned options = pick(f, 64);
		struct sq_sub s = {.op = (uint8_t)(1 + (pick(f, 4) == 0)),
		    .options = (uint8_t)options,
		    .sub_id = pick(f, 3),
		    .filter = text(filters[pick(f, SQ_ARRAY_LEN(filters))])};

		if (pick(f, 3) == 0) {
			s.flags = (uint8_t)(SQ_SUB_DECLARED | (pick(f, 4) << 1));
			s.group = text(pick(f, 2) != 0 ? "g" : "h");
			s.overflow = (uint8_t)pick(f, 4);
			s.queue_expiry_s = pick(f, 3);
			s.max_length = pick(f, 4);
			s.max_attempts = pick(f, 3);
		}
		sq_sub_put(&body, &s, SQ_LINK_VERSION);
	}
	call(f, who, SQ_CALL_SUBSCRIPTIONS, &body);
}

static void
step_detach(struct fuzz *f, unsigned who)
{
	struct sq_detach d = {.expiry_s = pick(f, 3), .will = (uint8_t)pick(f, 2)};
	struct sq_buf body = {0};

	for (unsigned lane = 0; lane < SQ_LANES; lane++)
		d.last[lane] = f->sessions[who].next[lane] - (f->sessions[who].next[lane] > 0);
	sq_detach_encode(&body, &d, SQ_LINK_VERSION);
	call(f, who, SQ_CALL_DETACH, &body);
}

/* Whatever bytes come, as any kind of body. */
static void
step_raw(struct fuzz *f, unsigned who)
{
	enum sq_call_kind kind = (enum sq_call_kind)pick(f, 5);
	size_t n = pick(f, 64);
	const unsigned char *p;
	struct sq_buf body = {0};

	n = n < sq_reader_left(&f->in) ? n : sq_reader_left(&f->in);
	p = sq_read_bytes(&f->in, n);
	sq_buf_append(&body, p, n);
	call(f, who, kind, &body);
}

static void
step_link(struct fuzz *f)
{
	unsigned i = pick(f, LINKS);

	switch (pick(f, 4)) {
	case 0:
		sq_outlet_close(f->links[i]);
		sq_broker_outlet_closed(f->broker, f->links[i]);
		sq_outlet_unref(&f->links[i]);
		f->links[i] = fake_link_new(0);
		break;
	case 1:
		sq_outlet_set_full(f->links[i], true);
		break;
	default:
		sq_outlet_set_full(f->links[i], false);
		sq_broker_outlet_writable(f->broker, f->links[i]);
		break;
	}
}

static void
step_time(struct fuzz *f)
{
	fake_set_now(fake_now() + 100u * pick(f, 30));
	for (unsigned i = 0; i < WORKERS; i++) {
		fake_self(i);
		sq_broker_tick(f->broker, fake_worker(i));
	}
	fake_self(0);
}

static void
step_commits(struct fuzz *f)
{
	bool fails = pick(f, 4) == 0;

	held_engine_hold(pick(f, 2) != 0);
	if (held_engine_waiting() > 0)
		held_engine_release(fails ? SQ_EIO : SQ_OK);
}

static void
step(struct fuzz *f)
{
	unsigned op = pick(f, 16), who = pick(f, SESSIONS);

	switch (op) {
	case 0:
	case 1:
		step_attach(f, who);
		break;
	case 2:
	case 3:
	case 4:
		step_batch(f, who);
		break;
	case 5:
	case 6:
		step_settle(f, who);
		break;
	case 7:
	case 8:
		step_subscribe(f, who);
		break;
	case 9:
		step_detach(f, who);
		break;
	case 10:
		step_raw(f, who);
		break;
	case 11:
		step_link(f);
		break;
	case 12:
		step_time(f);
		break;
	case 13:
		step_commits(f);
		break;
	default:
		run();
		break;
	}
}

static void *
stop_main(void *arg)
{
	sq_broker_stop(arg);
	return NULL;
}

static void
finish(struct fuzz *f)
{
	static const enum sq_broker_metric gauges[] = {
	    SQ_M_SESSIONS, SQ_M_ATTACHED, SQ_M_SUBSCRIPTIONS, SQ_M_GROUPS, SQ_M_RETAINED};
	pthread_t thread;

	held_engine_hold(false);
	while (held_engine_waiting() > 0)
		held_engine_release(SQ_OK);
	run();
	for (unsigned i = 0; i < LINKS; i++)
		sq_outlet_close(f->links[i]);
	pthread_create(&thread, NULL, stop_main, f->broker);
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		run();
		sched_yield();
	}
	run();
	for (size_t i = 0; i < f->n_calls; i++)
		fake_call_free(&f->calls[i]); /* each was answered once */
	sq_broker_free(&f->broker);
	run();
	for (unsigned i = 0; i < LINKS; i++)
		sq_outlet_unref(&f->links[i]);
	assert(fake_links() == 0);
	for (size_t i = 0; i < SQ_ARRAY_LEN(gauges); i++)
		assert(atomic_load(&sq_broker_metrics.values[gauges[i]]) == 0);
	assert(atomic_load(&sq_broker_metrics.values[SQ_M_QUEUED]) == 0);
	assert(atomic_load(&sq_broker_metrics.values[SQ_M_QUEUED_BYTES]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct sq_broker_cfg cfg = {.engine = &held_engine,
	    .max_packet = 4096,
	    .grace_ms = 1000,
	    .session_expiry_max_s = 3,
	    .max_inflight = 4,
	    .queue_max_msgs = 6,
	    .queue_max_bytes = 300,
	    .queue_expiry_s = 2,
	    .queue_expiry_max_s = 3,
	    .retained_max_msgs = 2,
	    .retained_max_bytes = 1000,
	    .max_sessions = 3,
	    .max_subs_per_session = 4};
	struct fuzz f = {.in = sq_reader(p, len)};
	struct sq_buf err = {0};

	fake_workers_init(WORKERS);
	held_engine_hold(false);
	f.broker = broker_open(&cfg, fake_workers(), WORKERS, &err);
	for (unsigned i = 0; i < LINKS; i++)
		f.links[i] = fake_link_new(0);
	while (!f.in.bad && sq_reader_left(&f.in) > 0)
		step(&f);
	finish(&f);
	return 0;
}
