/* The outbox between sessions and its store; see outbox.h. */
#include "sidecar/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/client.h"
#include "sidecar/hub.h"
#include "sidecar/outbox_store.h"
#include "sidecar/rules.h"
#include "sidecar/session_priv.h"

enum {
	MEMORY_DEFAULT = 8 << 20,
	DISK_DEFAULT = 1 << 30,
	SHARE = 8, /* a client holds at most so many times what is free */
};

struct sq_outbox {
	struct sq_hub *hub;
	enum sq_outbox_mode mode;
	struct sq_outbox_annotation said;
	bool started, stopping;
	/* memory */
	uint64_t held, max;
	struct sq_list paused;    /* sessions whose clients wait for room */
	struct sq_session *first; /* of those that the bound itself keeps waiting */
	/* disk */
	uint64_t disk_max;
	struct sq_outbox_store *store; /* NULL: not open */
	struct sq_session *session;
	struct sq_buf problem; /* why it is not open */
	struct sq_refusals refusals, drops;
	ev_async async;
};

struct outbox_post {
	struct sq_session_post post;
	struct sq_outbox_batch *batch;
};

static const char *const mode_names[] = {"memory", "disk"};

/* --- who waits --- */

static void
outbox_pause(struct sq_outbox *o, struct sq_session *s)
{
	if (!sq_list_empty(&s->paused))
		return;
	sq_list_push_back(&o->paused, &s->paused);
	sq_hub_count(o->hub, SQ_M_OUTBOX_PAUSED, 1);
}

/* Each tries again, in the order in which they came. */
static void
outbox_resume(struct sq_outbox *o)
{
	struct sq_session *s;

	o->first = NULL;
	while ((s = SQ_LIST_FIRST(&o->paused, struct sq_session, paused)) != NULL) {
		sq_list_remove(&s->paused);
		if (s->client != NULL)
			sq_client_resume(s->client);
	}
}

/* --- memory --- */

static void
outbox_show(const struct sq_outbox *o)
{
	uint64_t bytes = o->held + (o->store != NULL ? sq_outbox_store_bytes(o->store) : 0);

	sq_metric_set(o->hub->metrics, SQ_M_BACKLOG, (int64_t)o->held);
	sq_metric_set(o->hub->metrics, SQ_M_OUTBOX_BYTES, (int64_t)bytes);
}

void
sq_outbox_held(struct sq_outbox *o, int64_t delta)
{
	o->held += (uint64_t)delta;
	outbox_show(o);
	if (delta < 0 && !sq_list_empty(&o->paused) && o->held <= o->max - o->max / 4)
		outbox_resume(o);
}

/* What one client may hold: its lane's flow control while a broker takes what it
 * sends; a share of what is free, which leaves some for who comes next. */
static uint64_t
outbox_share(const struct sq_outbox *o, const struct sq_session *s)
{
	uint64_t free_bytes = o->held < o->max ? o->max - o->held : 0;
	uint64_t share = SHARE * free_bytes;

	if (s->state == SQ_SESSION_ATTACHED && share > o->hub->cfg->lane_bytes)
		return o->hub->cfg->lane_bytes;
	return share;
}

int
sq_outbox_admit(struct sq_outbox *o, struct sq_session *s, size_t size)
{
	uint64_t half = o->max / 2;
	bool fits = o->held + size <= o->max || (size > half && o->held <= half);

	if (s->backlog != 0 && s->backlog + size > outbox_share(o, s)) {
		outbox_pause(o, s);
		return SQ_EAGAIN;
	}
	/* Nobody overtakes who waits for the bound, or a large one would never fit. */
	if (o->first != NULL && o->first != s && o->held > half)
		fits = false;
	if (fits) {
		if (o->first == s)
			o->first = NULL;
		return 0;
	}
	if (o->first == NULL)
		o->first = s;
	outbox_pause(o, s);
	return SQ_EAGAIN;
}

bool
sq_outbox_drops_qos0(struct sq_outbox *o, struct sq_session *s, size_t size)
{
	if (o->mode != SQ_OUTBOX_DISK || s->state == SQ_SESSION_ATTACHED ||
	    ((s->backlog == 0 || s->backlog + size <= outbox_share(o, s)) &&
		o->held + size <= o->max))
		return false;
	sq_hub_count(o->hub, SQ_M_OUTBOX_DROPPED_QOS0, 1);
	return true;
}

/* --- disk: what the store says --- */

static void
outbox_on_acked(void *owner, struct sq_outbox_port *port, const struct sq_lane_outcome *outcome)
{
	struct sq_session *s = port->user;

	(void)owner;
	if (s->client != NULL)
		sq_client_acked(s->client, outcome);
}

static void
outbox_on_refused(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good)
{
	struct sq_outbox *o = owner;
	struct sq_refusal_seen r = {.client = client_id,
	    .what = "publish from the outbox",
	    .then = for_good ? "and dropped" : "and tried again",
	    .code = reason,
	    .refusal = note->refusal,
	    .text = note->text};

	sq_refusals_note(o->hub, for_good ? &o->drops : &o->refusals, &r);
	if (for_good)
		sq_hub_count(o->hub, SQ_M_OUTBOX_DROPPED, 1);
}

/* On the journal's thread. */
static void
outbox_on_wake(void *owner)
{
	struct sq_outbox *o = owner;

	ev_async_send(o->hub->loop, &o->async);
}

static void
outbox_turn(struct sq_outbox *o)
{
	bool was = sq_outbox_store_stalled(o->store) != NULL, is;
	const char *why;

	if (sq_outbox_store_turn(o->store))
		outbox_resume(o);
	why = sq_outbox_store_stalled(o->store);
	is = why != NULL;
	if (is && !was)
		SQ_WARN("outbox", "nothing more is acknowledged: %s", why);
	if (was && !is) {
		SQ_INFO("outbox", "the disk takes messages again");
		outbox_resume(o);
	}
	sq_metric_set(o->hub->metrics, SQ_M_OUTBOX_STALLED, is);
	outbox_show(o);
	if (o->session == NULL)
		return;
	if (o->stopping && !o->session->leaving && sq_outbox_store_idle(o->store)) {
		o->session->last[1] = sq_outbox_store_last(o->store);
		sq_session_leave(o->session, SQ_LEAVE_QUIET, UINT32_MAX);
	} else {
		sq_session_wake(o->session);
	}
}

static void
outbox_on_async(struct ev_loop *loop, ev_async *w, int events)
{
	(void)loop;
	(void)events;
	outbox_turn(w->data);
}

/* --- disk: life --- */

/* The session that publishes what is on disk: the brokers keep it. */
static void
outbox_open_session(struct sq_outbox *o)
{
	char id[64];
	struct sq_session_params p = {.client_id = id,
	    .version = SQ_MQTT_V5,
	    .durable = true,
	    .expiry_s = UINT32_MAX,
	    .receive_max = 1};

	snprintf(id, sizeof id, SQ_OUTBOX_ID_PREFIX "%016llx",
	    (unsigned long long)sq_outbox_store_id(o->store));
	o->session = sq_session_open(o->hub, &p, NULL);
	o->session->outbox = true;
	o->session->incarnation = sq_outbox_store_incarnation(o->store);
}

static void
outbox_open(struct sq_outbox *o)
{
	struct sq_outbox_store_cfg cfg = {.dir = o->hub->cfg->outbox_dir,
	    .size = o->disk_max,
	    .wake = outbox_on_wake,
	    .acked = outbox_on_acked,
	    .refused = outbox_on_refused,
	    .owner = o};
	struct sq_buf err = {0}, why = {0};

	if (sq_outbox_store_open(&o->store, &cfg, &why) != 0) {
		sq_buf_printf(&err, "outbox.dir: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
		sq_buf_u8(&err, 0);
		sq_buf_fini(&why);
		if (sq_buf_len(&o->problem) == 0)
			SQ_ERROR("outbox", "%s", (const char *)sq_buf_data(&err));
		sq_buf_fini(&o->problem);
		o->problem = err;
		return;
	}
	sq_buf_fini(&why);
	sq_buf_fini(&o->problem);
	SQ_INFO("outbox", "%s: %llu bytes wait for a broker", cfg.dir,
	    (unsigned long long)sq_outbox_store_bytes(o->store));
	outbox_open_session(o);
	outbox_turn(o);
	outbox_resume(o);
}

struct sq_outbox *
sq_outbox_new(struct sq_hub *h)
{
	struct sq_outbox *o = sq_xcalloc(1, sizeof *o);

	o->hub = h;
	o->mode = (enum sq_outbox_mode)h->cfg->outbox_mode;
	o->max = MEMORY_DEFAULT;
	o->disk_max = DISK_DEFAULT;
	sq_list_init(&o->paused);
	return o;
}

void
sq_outbox_free(struct sq_outbox **op)
{
	struct sq_outbox *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	if (o->started && o->mode == SQ_OUTBOX_DISK)
		ev_async_stop(o->hub->loop, &o->async);
	sq_outbox_store_close(&o->store);
	sq_buf_fini(&o->problem);
	free(o);
}

/* The size from the annotation, else from a configuration that means this mode. */
static void
outbox_size(struct sq_outbox *o)
{
	const struct sq_sidecar_cfg *cfg = o->hub->cfg;
	uint64_t size = cfg->outbox_mode == (unsigned)o->mode ? cfg->outbox_size : 0;

	if (o->said.set && o->said.mode == o->mode && o->said.size != 0)
		size = o->said.size;
	if (o->mode == SQ_OUTBOX_MEMORY)
		o->max = size != 0 ? size : MEMORY_DEFAULT;
	else
		o->disk_max = size != 0 ? size : DISK_DEFAULT;
	if (o->store != NULL)
		sq_outbox_store_resize(o->store, o->disk_max);
	outbox_resume(o);
}

void
sq_outbox_annotated(struct sq_outbox *o, const struct sq_outbox_annotation *a)
{
	enum sq_outbox_mode mode = a->set ? a->mode : (enum sq_outbox_mode)o->hub->cfg->outbox_mode;

	o->said = *a;
	if (!o->started) {
		o->mode = mode;
		return;
	}
	if (mode != o->mode)
		SQ_WARN("outbox", "the annotation says %s: that needs a restart, %s stays in force",
		    mode_names[mode], mode_names[o->mode]);
	outbox_size(o);
}

void
sq_outbox_start(struct sq_outbox *o)
{
	const char *dir = o->hub->cfg->outbox_dir;

	o->started = true;
	if (o->mode == SQ_OUTBOX_DISK && (dir == NULL || dir[0] == '\0')) {
		/* Nothing is acknowledged before a broker has it; but that isn't what was
		 * asked for, and the pod is not ready. */
		static const char text[] = "the annotation asks for an outbox on disk, and "
					   "outbox.dir is not configured";

		SQ_ERROR("outbox", "%s", text);
		sq_buf_append(&o->problem, text, sizeof text);
		o->mode = SQ_OUTBOX_MEMORY;
	}
	outbox_size(o);
	if (o->mode != SQ_OUTBOX_DISK)
		return;
	ev_async_init(&o->async, outbox_on_async);
	o->async.data = o;
	ev_async_start(o->hub->loop, &o->async);
	outbox_open(o);
}

void
sq_outbox_stop(struct sq_outbox *o)
{
	o->stopping = true;
	if (o->store != NULL)
		outbox_turn(o);
}

void
sq_outbox_sweep(struct sq_outbox *o)
{
	if (!o->started || o->mode != SQ_OUTBOX_DISK)
		return;
	if (o->store != NULL)
		sq_outbox_store_rest(o->store);
	else if (!o->stopping)
		outbox_open(o);
}

bool
sq_outbox_ready(const struct sq_outbox *o, struct sq_buf *why)
{
	const char *stalled = o->store != NULL ? sq_outbox_store_stalled(o->store) : NULL;

	if (sq_buf_len(&o->problem) != 0)
		stalled = (const char *)sq_buf_data(&o->problem);
	if (stalled != NULL)
		sq_buf_printf(why, "outbox: %s\n", stalled);
	return stalled == NULL;
}

/* --- disk: from sessions --- */

static bool
name_is(struct sq_bytes name, const char *text)
{
	return name.len == strlen(text) && memcmp(name.p, text, name.len) == 0;
}

/* Whether the app must hear what a broker says of it: it asks for QoS 3, or has a property
 * of ours that a broker may refuse for good.  Others ask for a delay, or for nothing. */
static bool
publish_asks(const struct sq_lane_publish *m)
{
	static const char prefix[] = "sqmqos-";
	static const char *const plain[] = {SQ_PROP_DELAY, "sqmqos-dead-reason", "sqmqos-dead-time",
	    "sqmqos-dead-queue", "sqmqos-target", "sqmqos-outcome", "sqmqos-time", NULL};
	struct sq_bytes rest = m->props, name, value;

	while (sq_props_user_next(&rest, &name, &value)) {
		const char *const *p = plain;

		if (name.len < sizeof prefix - 1 || memcmp(name.p, prefix, sizeof prefix - 1) != 0)
			continue;
		while (*p != NULL && !name_is(name, *p))
			p++;
		if (*p == NULL)
			return true;
	}
	return false;
}

bool
sq_outbox_takes(const struct sq_outbox *o, const struct sq_lane_publish *m)
{
	return o->mode == SQ_OUTBOX_DISK && m->qos > 0 && !publish_asks(m);
}

int
sq_outbox_publish(struct sq_outbox *o, struct sq_session *s, const struct sq_lane_publish *m)
{
	int rc = o->store != NULL ? sq_outbox_store_publish(o->store, &s->port, s->client_id, m)
				  : SQ_EAGAIN;

	if (rc == SQ_EAGAIN)
		outbox_pause(o, s);
	return rc;
}

bool
sq_outbox_holds(const struct sq_outbox *o, const struct sq_session *s, uint16_t packet_id)
{
	return o->store != NULL && sq_outbox_store_holds(o->store, s->client_id, packet_id);
}

int
sq_outbox_release(struct sq_outbox *o, struct sq_session *s, uint16_t packet_id)
{
	return sq_outbox_store_release(o->store, &s->port, s->client_id, packet_id);
}

void
sq_outbox_forget(struct sq_outbox *o, struct sq_session *s)
{
	if (o->store != NULL && !s->outbox)
		sq_outbox_store_forget(o->store, s->client_id);
}

void
sq_outbox_gone(struct sq_outbox *o, struct sq_session *s)
{
	sq_outbox_port_close(&s->port);
	sq_list_remove(&s->paused);
	if (o->first == s)
		o->first = NULL;
	if (o->session == s)
		o->session = NULL;
}

/* --- its own session --- */

void
sq_outbox_attached(struct sq_outbox *o, const struct sq_attached *a)
{
	sq_outbox_store_attached(o->store, a->incarnation, a->last[1], sq_random_u64());
	o->session->last[1] = sq_outbox_store_last(o->store);
}

static void
outbox_refused(struct sq_outbox *o, struct outbox_post *p, const struct sq_answer *ans)
{
	struct sq_session *s = p->post.session;
	bool lost = ans->status == 409 &&
	    (ans->conflict == SQ_ANSWER_RUN ||
		(ans->conflict == SQ_ANSWER_GAP && ans->last < sq_outbox_store_last(o->store)));

	if (lost && ans->conflict == SQ_ANSWER_RUN)
		sq_outbox_store_run_lost(o->store, &p->batch);
	else if (ans->status == 413)
		sq_outbox_store_too_big(o->store, &p->batch);
	else
		sq_outbox_store_failed(o->store, &p->batch);
	if (ans->status == 413)
		return;
	if (!lost)
		(void)sq_session_refused(s, &p->post, ans);
	else if (p->post.attach_seq == s->attach_seq && s->state == SQ_SESSION_ATTACHED)
		sq_session_again(s, 0);
}

static void
outbox_accepted(struct sq_outbox *o, struct outbox_post *p, const struct sq_answer *ans)
{
	struct sq_session *s = p->post.session;
	struct sq_outcomes outcomes;

	if (sq_outcomes_decode(ans->body, ans->len, ans->version, &outcomes) != 0)
		outcomes = (struct sq_outcomes){0};
	if (sq_outbox_store_answered(o->store, &p->batch, &outcomes, sq_hub_now(o->hub)) != 0)
		sq_uplink_fail(p->post.link, "its outcomes don't fit the batch");
	else if (p->post.attach_seq == s->attach_seq)
		s->failures = 0;
	s->last[1] = sq_outbox_store_last(o->store);
}

static void
outbox_post_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct outbox_post *p = SQ_CONTAINER_OF(req, struct outbox_post, post.req);
	struct sq_session *s = p->post.session;
	struct sq_outbox *o = s->hub->outbox;

	if (s->state == SQ_SESSION_ENDED) {
		sq_outbox_store_failed(o->store, &p->batch);
	} else if (ans->status == 200) {
		SQ_FAULT("sidecar-outbox-answered");
		outbox_accepted(o, p, ans);
	} else {
		outbox_refused(o, p, ans);
	}
	outbox_turn(o);
	sq_session_post_free(&p->post);
}

void
sq_outbox_post(struct sq_outbox *o, struct sq_session *s, uint64_t now_ms)
{
	struct sq_outbox_batch *b;
	uint64_t due;

	while ((b = sq_outbox_store_take(o->store, now_ms)) != NULL) {
		struct outbox_post *p = sq_session_post_new(s, sizeof *p, "messages");

		p->batch = b;
		p->post.req.body[0] = (struct iovec){sq_buf_data(&b->body), sq_buf_len(&b->body)};
		p->post.req.n_body = 1;
		p->post.req.done = outbox_post_done;
		SQ_FAULT("sidecar-outbox-posting");
		sq_session_post_send(&p->post, s->link);
		SQ_FAULT_LATER(true, "sidecar-outbox-posted", s->link);
	}
	due = sq_outbox_store_due(o->store);
	s->due_retry = due > now_ms ? due : 0;
}
