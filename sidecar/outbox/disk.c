/* A store and its hold; see disk.h. */
#include "sidecar/outbox/disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/table.h"
#include "proto/link/key.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/post.h"
#include "sidecar/hold/user.h"

enum { RENEW_MS = 10000 }; /* between two names of a session */

struct sq_outbox_disk {
	struct sq_holds *holds;
	const struct sq_outbox_disk_user *user;
	void *owner;
	char *dir;
	struct sq_outbox_store *store;
	struct sq_hold *hold; /* NULL: none is needed, or it is gone */
	bool own, finishing, leaving, for_good;
	uint64_t renewed_ms; /* when its session was given another name; 0: never */
	ev_async async;
};

struct disk_post {
	struct sq_hold_post post;
	struct sq_outbox_disk *disk;
	struct sq_outbox_batch *batch;
};

/* --- events of the store --- */

static void
disk_on_acked(void *owner, struct sq_outbox_port *port, const struct sq_lane_outcome *outcome)
{
	struct sq_outbox_disk *d = owner;

	d->user->acked(d->owner, port, outcome);
}

static void
disk_on_refused(
    void *owner, const char *client_id, uint8_t reason, const struct sq_note *note, bool for_good)
{
	struct sq_outbox_disk *d = owner;

	d->user->refused(d->owner, client_id, reason, note, for_good);
}

/* On the journal's thread. */
static void
disk_on_wake(void *owner)
{
	struct sq_outbox_disk *d = owner;

	ev_async_send(d->holds->loop->ev, &d->async);
}

static void
disk_on_async(struct ev_loop *loop, ev_async *w, int events)
{
	(void)loop;
	(void)events;
	sq_outbox_disk_turn(w->data);
}

/* --- life --- */

/* The session that forwards the messages: the brokers keep it. */
static const struct sq_hold_user disk_hold_user;

static void
disk_open_session(struct sq_outbox_disk *d)
{
	char id[64];
	struct sq_hold_params p = {.client_id = id,
	    .version = SQ_MQTT_V5,
	    .durable = true,
	    .expiry_s = UINT32_MAX,
	    .receive_max = 1,
	    .incarnation = sq_outbox_store_incarnation(d->store)};

	assert(d->hold == NULL);
	snprintf(id, sizeof id, SQ_KEY_OUTBOX_PREFIX "%016llx",
	    (unsigned long long)sq_outbox_store_id(d->store));
	d->hold = sq_hold_open(d->holds, &p, &disk_hold_user, d);
	d->leaving = false;
}

int
sq_outbox_disk_open(struct sq_outbox_disk **out, struct sq_holds *holds, const char *dir,
    uint64_t size, bool own, const struct sq_outbox_disk_user *user, void *owner,
    struct sq_buf *err)
{
	struct sq_outbox_disk *d = sq_xcalloc(1, sizeof *d);
	struct sq_outbox_store_cfg cfg = {.dir = dir,
	    .size = size,
	    .wake = disk_on_wake,
	    .acked = disk_on_acked,
	    .refused = disk_on_refused,
	    .owner = d};
	int rc;

	*d = (struct sq_outbox_disk){
	    .holds = holds, .user = user, .owner = owner, .own = own, .dir = sq_xstrdup(dir)};
	ev_async_init(&d->async, disk_on_async);
	d->async.data = d;
	ev_async_start(holds->loop->ev, &d->async);
	rc = sq_outbox_store_open(&d->store, &cfg, err);
	*out = d;
	if (rc != 0)
		sq_outbox_disk_free(out, false);
	else if (own || !sq_outbox_store_idle(d->store))
		disk_open_session(d);
	return rc;
}

void
sq_outbox_disk_free(struct sq_outbox_disk **dp, bool remove)
{
	struct sq_outbox_disk *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	assert(d->hold == NULL);
	if (remove && !d->own)
		sq_outbox_store_forget_all(d->store); /* its clients are gone with their pod */
	if (remove && sq_outbox_store_spent(d->store))
		sq_outbox_store_remove(&d->store);
	else
		sq_outbox_store_close(&d->store);
	ev_async_stop(d->holds->loop->ev, &d->async);
	free(d->dir);
	free(d);
}

const char *
sq_outbox_disk_dir(const struct sq_outbox_disk *d)
{
	return d->dir;
}

struct sq_outbox_store *
sq_outbox_disk_store(const struct sq_outbox_disk *d)
{
	return d->store;
}

static void
disk_leave(struct sq_outbox_disk *d)
{
	assert(d->hold != NULL && !d->leaving);
	d->leaving = true;
	sq_hold_set_last(d->hold, sq_outbox_store_last(d->store));
	sq_hold_leave(d->hold, SQ_LEAVE_QUIET, d->for_good ? 0 : UINT32_MAX);
}

void
sq_outbox_disk_turn(struct sq_outbox_disk *d)
{
	bool room = sq_outbox_store_turn(d->store);

	d->user->turned(d->owner, d, room);
	if (d->hold == NULL || d->leaving)
		return;
	if (d->finishing && sq_outbox_store_idle(d->store))
		disk_leave(d);
	else
		sq_hold_wake(d->hold);
}

void
sq_outbox_disk_bar(struct sq_outbox_disk *d, uint64_t seq)
{
	sq_outbox_store_bar(d->store, seq);
	if (d->hold != NULL)
		sq_hold_wake(d->hold);
}

void
sq_outbox_disk_finish(struct sq_outbox_disk *d, bool for_good)
{
	d->finishing = true;
	d->for_good = for_good;
	sq_outbox_disk_turn(d);
}

void
sq_outbox_disk_let_go(struct sq_outbox_disk *d)
{
	d->for_good = false;
	if (d->hold != NULL && !d->leaving)
		disk_leave(d);
}

bool
sq_outbox_disk_over(const struct sq_outbox_disk *d)
{
	return d->hold == NULL && !sq_outbox_store_flies(d->store);
}

/* --- its session --- */

static void
disk_on_gone(void *user)
{
	struct sq_outbox_disk *d = user;

	d->hold = NULL;
}

static void
disk_on_attached(void *user, const struct sq_hold_attached *attached)
{
	const struct sq_attached *a = attached->answer;
	struct sq_outbox_disk *d = user;

	sq_outbox_store_attached(d->store, a->incarnation, a->last[1], sq_random_u64());
	sq_hold_set_last(d->hold, sq_outbox_store_last(d->store));
	d->user->linked(d->owner, d, true);
}

static void
disk_on_unlinked(void *user)
{
	struct sq_outbox_disk *d = user;

	d->user->linked(d->owner, d, false);
}

/* The brokers keep it for another account: unfinished messages go on in another one. */
static bool
disk_renew(struct sq_outbox_disk *d)
{
	uint64_t now_ms = sq_holds_now(d->holds);
	struct sq_hold *hold = d->hold;
	struct sq_buf err = {0};

	if (d->leaving) { /* nothing waits */
		sq_hold_end(hold);
		return true;
	}
	if (d->renewed_ms != 0 && now_ms - d->renewed_ms < RENEW_MS)
		return false;
	if (sq_outbox_store_renew(d->store, &err) != 0) {
		SQ_WARN("outbox", "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		sq_buf_fini(&err);
		return false;
	}
	d->renewed_ms = now_ms;
	sq_holds_count(d->holds, SQ_M_OUTBOX_RENEWED, 1);
	SQ_WARN("outbox",
	    "%s: session %s belongs to another account: %llu bytes go on in a new one, from the "
	    "first message without an answer; some may arrive twice",
	    d->dir, sq_hold_client_id(hold), (unsigned long long)sq_outbox_store_bytes(d->store));
	sq_hold_end(hold);
	disk_open_session(d);
	return true;
}

static bool
disk_on_denied(void *user, const struct sq_answer *ans, const char *text)
{
	(void)text;
	return ans->status == 403 &&
	    (ans->denied == SQ_DENIED_OWNER || ans->denied == SQ_DENIED_NONE) && disk_renew(user);
}

static void
disk_refused(struct sq_outbox_disk *d, struct disk_post *p, const struct sq_answer *ans)
{
	struct sq_hold *hold = p->post.hold;
	bool lost = ans->status == 409 &&
	    (ans->conflict == SQ_CONFLICT_RUN ||
		(ans->conflict == SQ_CONFLICT_GAP && ans->last < sq_outbox_store_last(d->store)));

	if (lost && ans->conflict == SQ_CONFLICT_RUN && sq_hold_post_holds(&p->post))
		sq_outbox_store_run_lost(d->store, &p->batch);
	else if (ans->status == 413)
		sq_outbox_store_too_big(d->store, &p->batch);
	else
		sq_outbox_store_failed(d->store, &p->batch);
	if (ans->status == 413)
		return;
	if (!lost)
		(void)sq_hold_refused(hold, &p->post, ans);
	else
		sq_hold_post_again(&p->post);
}

static void
disk_accepted(struct sq_outbox_disk *d, struct disk_post *p, const struct sq_answer *ans)
{
	struct sq_outcomes outcomes;

	if (sq_outcomes_decode(ans->body, ans->len, ans->version, &outcomes) != 0)
		outcomes = (struct sq_outcomes){0};
	if (sq_outbox_store_answered(d->store, &p->batch, &outcomes, sq_holds_now(d->holds)) != 0)
		sq_uplink_fail(p->post.req.link, "its outcomes don't fit the batch");
	else
		sq_hold_post_good(&p->post);
	sq_hold_set_last(p->post.hold, sq_outbox_store_last(d->store));
}

static void
disk_post_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct disk_post *p = SQ_CONTAINER_OF(req, struct disk_post, post.req);
	struct sq_outbox_disk *d = p->disk;

	if (sq_hold_ended(p->post.hold)) {
		sq_outbox_store_failed(d->store, &p->batch);
	} else if (ans->status == 200) {
		SQ_FAULT("sidecar-outbox-answered");
		disk_accepted(d, p, ans);
	} else {
		disk_refused(d, p, ans);
	}
	sq_outbox_disk_turn(d);
	sq_hold_post_free(&p->post);
}

/* The batch's header as the version of the link has it, then its entries. */
static void
disk_post_body(struct disk_post *p, struct sq_outbox_batch *b, unsigned version)
{
	unsigned char *body = sq_buf_data(&b->body);

	p->post.req.body[0] = (struct iovec){body, sq_batch_header_size(version)};
	p->post.req.body[1] = (struct iovec){
	    body + SQ_BATCH_HEADER, sq_buf_len(&b->body) - SQ_BATCH_HEADER};
	p->post.req.n_body = 2;
}

static void
disk_on_post(void *user, uint64_t now_ms)
{
	struct sq_outbox_disk *d = user;
	struct sq_hold *hold = d->hold;
	struct sq_uplink *link = sq_hold_link(hold);
	struct sq_outbox_batch *b;
	uint64_t due;

	while ((b = sq_outbox_store_take(d->store, now_ms)) != NULL) {
		struct disk_post *p = sq_hold_post_new(hold, sizeof *p, "messages");

		p->disk = d;
		p->batch = b;
		disk_post_body(p, b, sq_uplink_version(link));
		p->post.req.done = disk_post_done;
		SQ_FAULT("sidecar-outbox-posting");
		sq_hold_post_send(&p->post, link);
		SQ_FAULT_LATER(true, "sidecar-outbox-posted", link);
	}
	due = sq_outbox_store_due(d->store);
	sq_hold_retry_at(hold, due > now_ms ? due : 0);
}

static const struct sq_hold_source disk_source = {.post = disk_on_post, .gone = disk_on_gone};

static const struct sq_hold_user disk_hold_user = {
    .comes_again = true,
    .attached = disk_on_attached,
    .unlinked = disk_on_unlinked,
    .denied = disk_on_denied,
    .source = &disk_source,
};
