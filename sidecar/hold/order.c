/* Requests to subscribe and to unsubscribe, and their answers.
 *
 * Requests of the client's packets are *marked* (proto/link/order_out.h): a request is posted in
 * its place among the client's publishes, and answered by a frame, which precedes messages of the
 * subscription.  Declared subscriptions, and those made again after a restart of the broker, have
 * no mark: one request at a time, answered by its response; those made again come first.  A link of
 * version 1 has no frames: the response answers both kinds. */
#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/lane_mark.h"
#include "sidecar/hold/order.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

enum { FLYING_MAX = 2, FLYING_MAX_V1 = 1, GAP_PAUSE_MS = 50 };

struct sub_post;

/* Packets, or declarations, that are asked for together. */
struct sq_sub_request {
	struct sq_order_request order; /* of a marked one */
	struct sq_hold_place *place;   /* of a marked one, at the gate; NULL: it needs none */
	bool marked;
	uint16_t n; /* entries that are asked for */
	size_t bytes;
	struct sq_list subreqs;
	struct sub_post *flight; /* NULL: it has no request without a response */
};

struct sub_post {
	struct sq_hold_post post;
	struct sq_sub_request *request; /* NULL: it is asked again, or nobody asks any more */
	struct sq_buf body;
};

static struct sq_sub_request *
request_new(bool marked)
{
	struct sq_sub_request *q = sq_xcalloc(1, sizeof *q);

	q->marked = marked;
	sq_list_init(&q->order.node);
	sq_list_init(&q->subreqs);
	return q;
}

static bool
request_fits(const struct sq_sub_request *q, const struct sq_subreq *r)
{
	return q->n == 0 ||
	    (q->n + r->n_ask <= SQ_SUBS_ENTRIES_MAX &&
		q->bytes + sq_buf_len(&r->entries) <= SQ_SUBS_POST_MAX);
}

static void
request_add(struct sq_sub_request *q, struct sq_subreq *r)
{
	sq_list_push_back(&q->subreqs, &r->node);
	q->n = (uint16_t)(q->n + r->n_ask);
	q->bytes += sq_buf_len(&r->entries);
}

/* A later response to the request is ignored. */
static void
request_land(struct sq_sub_request *q)
{
	if (q->flight != NULL)
		q->flight->request = NULL;
	q->flight = NULL;
}

/* How many subscriptions of the client's it asks for. */
static uint64_t
subreq_fresh(const struct sq_subreq *r)
{
	return r->op == SQ_SUB_SUBSCRIBE && !r->declared && !r->again ? r->n_ask : 0;
}

static void
subreq_drop(struct sq_hold *hold, struct sq_subreq *r)
{
	assert(hold->subs.n_asked >= subreq_fresh(r));
	assert(hold->subs.bytes >= sq_buf_len(&r->entries));
	hold->subs.n_asked -= subreq_fresh(r);
	hold->subs.bytes -= sq_buf_len(&r->entries);
	sq_list_remove(&r->node);
	sq_subreq_free(r);
}

static void
request_free(struct sq_hold *hold, struct sq_sub_request *q)
{
	request_land(q);
	if (q->place != NULL)
		hold->gate->ops->leave(hold->gate, q->place);
	SQ_LIST_FOR_EACH_SAFE(r, &q->subreqs, struct sq_subreq, node)
		subreq_drop(hold, r);
	free(q);
}

static struct sq_sub_request *
request_of(struct sq_order_request *o)
{
	return o != NULL ? SQ_CONTAINER_OF(o, struct sq_sub_request, order) : NULL;
}

/* --- requests --- */

/* The last request, if it is not posted yet and nothing was published behind it. */
static struct sq_sub_request *
order_growing(const struct sq_hold *hold)
{
	struct sq_order_request *o = sq_order_out_growing(&hold->subs.order);

	for (int i = 0; i < SQ_LANES && o != NULL; i++) {
		if (hold->up.lane[i] != NULL && sq_lane_out_behind(hold->up.lane[i], o->mark))
			return NULL;
	}
	if (o != NULL && request_of(o)->place != NULL &&
	    hold->gate->ops->passed(request_of(o)->place))
		return NULL;
	return request_of(o);
}

void
sq_hold_ask_in_order(struct sq_hold *hold, struct sq_subreq *r)
{
	struct sq_sub_request *q = order_growing(hold);

	if (q == NULL || !request_fits(q, r)) {
		q = request_new(true);
		sq_order_out_add(&hold->subs.order, &q->order);
		if (hold->gate != NULL)
			q->place = hold->gate->ops->take(hold->gate);
		for (int i = 0; i < SQ_LANES; i++) {
			if (hold->up.lane[i] != NULL)
				sq_lane_out_mark(hold->up.lane[i], q->order.mark);
		}
	}
	request_add(q, r);
	hold->subs.n_asked += subreq_fresh(r);
	hold->subs.bytes += sq_buf_len(&r->entries);
	sq_hold_wake(hold);
}

void
sq_hold_ask(struct sq_hold *hold, struct sq_subreq *r, bool first)
{
	hold->subs.bytes += sq_buf_len(&r->entries);
	if (first)
		sq_list_push_front(&hold->subs.asked, &r->node);
	else
		sq_list_push_back(&hold->subs.asked, &r->node);
	sq_hold_wake(hold);
}

void
sq_hold_ask_not_again(struct sq_hold *hold)
{
	SQ_LIST_FOR_EACH_SAFE(r, &hold->subs.asked, struct sq_subreq, node) {
		if (r->again || (r->declared && r->op == SQ_SUB_SUBSCRIBE))
			subreq_drop(hold, r);
	}
}

/* --- answers --- */

/* Gives the codes to the request's entries. */
static void
request_answered(struct sq_hold *hold, struct sq_sub_request *q, const unsigned char *codes,
    struct sq_bytes notes)
{
	struct sq_sub_codes answer = {.codes = codes, .notes = notes};

	sq_hold_good(hold);
	if (q->marked)
		sq_order_out_end(&hold->subs.order, &q->order);
	else
		hold->subs.asking = NULL;
	SQ_LIST_FOR_EACH(r, &q->subreqs, struct sq_subreq, node) {
		r->done(hold, r, &answer);
		answer.first = (uint16_t)(answer.first + r->n_ask);
	}
	request_free(hold, q);
	sq_inbox_hold_credit(hold->inbox, sq_order_out_owes(&hold->subs.order));
	sq_hold_writable(hold);
	sq_hold_wake(hold);
}

void
sq_hold_subscribed(struct sq_hold *hold, const struct sq_frame *f)
{
	struct sq_sub_request *q = request_of(sq_order_out_find(&hold->subs.order, f->mark));

	if (q == NULL && f->mark <= hold->subs.order.posted)
		return; /* it was answered before */
	if (q == NULL || f->mark > hold->subs.order.posted || f->n_codes != q->n)
		sq_uplink_fail(hold->at.link, "it answered a SUBSCRIBE that it was not asked");
	else
		request_answered(hold, q, f->codes, f->notes);
}

/* Puts the entries of the request without a mark that is on its way back in front of the others. */
static void
asking_again(struct sq_hold *hold)
{
	struct sq_sub_request *q = hold->subs.asking;

	if (q == NULL)
		return;
	sq_list_splice(&q->subreqs, &hold->subs.asked);
	sq_list_splice(&hold->subs.asked, &q->subreqs);
	hold->subs.asking = NULL;
	request_free(hold, q);
}

/* Queues a failed request again. */
static void
request_failed(struct sq_hold *hold, struct sq_sub_request *q, const struct sq_answer *ans)
{
	bool gap = ans->status == 409 && ans->conflict == SQ_CONFLICT_GAP;

	if (!q->marked) {
		asking_again(hold);
		return;
	}
	sq_order_out_failed(&hold->subs.order, &q->order, gap);
	/* Nothing else of ours is in its way: the broker needs a moment. */
	if (gap && sq_order_out_next(&hold->subs.order, 1) == &q->order)
		sq_hold_post_at(hold, sq_holds_now(hold->holds) + GAP_PAUSE_MS);
}

/* The response has the codes.  False: they don't fit. */
static bool
request_done(struct sq_hold *hold, struct sq_sub_request *q, const struct sq_answer *ans)
{
	struct sq_codes codes;

	if (sq_codes_decode(ans->body, ans->len, ans->version, &codes) != SQ_OK || codes.n != q->n)
		return false;
	request_answered(hold, q, codes.codes, codes.notes);
	return true;
}

static void
sub_post_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct sub_post *p = SQ_CONTAINER_OF(req, struct sub_post, post.req);
	struct sq_sub_request *q = p->request;
	struct sq_hold *hold = p->post.hold;
	bool done = ans->status == 200 || ans->status == 204;

	assert(hold->subs.flights > 0);
	hold->subs.flights--;
	if (q != NULL)
		q->flight = NULL;
	if (q != NULL && q->marked && ans->status == 204) {
		sq_order_out_written(&hold->subs.order, &q->order);
	} else if (q != NULL && (!done || !request_done(hold, q, ans))) {
		request_failed(hold, q, ans);
		if (done)
			sq_uplink_fail(p->post.req.link, "it answered a SUBSCRIBE malformed");
	}
	if (!done && hold->state != SQ_HOLD_ENDED)
		(void)sq_hold_refused(hold, &p->post, ans);
	sq_buf_fini(&p->body);
	sq_hold_post_free(&p->post);
}

/* --- posts --- */

/* Writes the entries of 'r' as the link wants them. */
static void
subreq_write(struct sq_buf *b, const struct sq_subreq *r, unsigned version)
{
	struct sq_bytes rest = {sq_buf_data(&r->entries), sq_buf_len(&r->entries)};

	if (version == SQ_LINK_VERSION) {
		sq_buf_append(b, rest.p, rest.len);
		return;
	}
	while (rest.len > 0) {
		struct sq_sub e = sq_sub_next(&rest, SQ_LINK_VERSION);

		sq_sub_put(b, &e, version);
	}
}

/* The place of a marked request: the last numbers of publishes before it. */
static struct sq_subs_head
request_head(const struct sq_hold *hold, const struct sq_sub_request *q)
{
	struct sq_subs_head head = {.mark = q->order.mark};

	for (int i = 0; i < SQ_LANES; i++)
		head.after[i] = hold->up.lane[i] != NULL
		    ? sq_lane_out_before(hold->up.lane[i], q->order.mark)
		    : hold->up.last[i];
	return head;
}

static void
request_post(struct sq_hold *hold, struct sq_sub_request *q)
{
	static const struct sq_subs_head unmarked;
	struct sub_post *p = sq_hold_post_new(hold, sizeof *p, "subscriptions");
	struct sq_subs_head head = q->marked ? request_head(hold, q) : unmarked;
	unsigned version = sq_uplink_version(hold->at.link);

	sq_subs_head_put(&p->body, q->n, &head, version);
	SQ_LIST_FOR_EACH(r, &q->subreqs, struct sq_subreq, node)
		subreq_write(&p->body, r, version);
	p->request = q;
	assert(q->flight == NULL);
	q->flight = p;
	hold->subs.flights++;
	p->post.req.body[0] = (struct iovec){sq_buf_data(&p->body), sq_buf_len(&p->body)};
	p->post.req.n_body = 1;
	p->post.req.done = sub_post_done;
	sq_hold_post_send(&p->post, hold->at.link);
}

/* Posts the next request without a mark, one at a time. */
static void
order_post_unmarked(struct sq_hold *hold)
{
	struct sq_sub_request *q;

	if (hold->subs.asking != NULL || sq_list_empty(&hold->subs.asked))
		return;
	q = request_new(false);
	SQ_LIST_FOR_EACH_SAFE(r, &hold->subs.asked, struct sq_subreq, node) {
		if (!request_fits(q, r))
			break;
		sq_list_remove(&r->node);
		request_add(q, r);
	}
	hold->subs.asking = q;
	request_post(hold, q);
}

/* Whether something is still to be made again; such stand first. */
static bool
order_makes_again(const struct sq_hold *hold)
{
	const struct sq_subreq *r = SQ_LIST_FIRST(&hold->subs.asked, struct sq_subreq, node);

	if (hold->subs.asking != NULL)
		r = SQ_LIST_FIRST(&hold->subs.asking->subreqs, struct sq_subreq, node);
	return r != NULL && r->again;
}

static bool
order_may_post(const struct sq_hold *hold, struct sq_order_request *o)
{
	for (int i = 0; i < SQ_LANES; i++) {
		if (hold->up.lane[i] != NULL && !sq_lane_out_sent(hold->up.lane[i], o->mark))
			return false;
	}
	return request_of(o)->place == NULL || hold->gate->ops->open(request_of(o)->place);
}

/* Posts the marked requests whose turn it is; true: there was one, and what was published
 * behind it may leave. */
static bool
order_post_marked(struct sq_hold *hold)
{
	unsigned most = sq_uplink_version(hold->at.link) >= 2 ? FLYING_MAX : FLYING_MAX_V1;
	struct sq_order_request *o;

	if (sq_order_out_idle(&hold->subs.order))
		return false;
	o = sq_order_out_next(&hold->subs.order, most);
	if (o == NULL || !order_may_post(hold, o))
		return false;
	sq_order_out_flies(&hold->subs.order, o);
	request_post(hold, request_of(o));
	return true;
}

void
sq_hold_post_in_order(struct sq_hold *hold, uint64_t now_ms)
{
	order_post_unmarked(hold);
	if (order_makes_again(hold)) /* what is published would miss it */
		return;
	do
		sq_hold_post_lanes(hold, now_ms);
	while (order_post_marked(hold));
}

/* --- attach, leave, end --- */

/* Drops requests that were not posted under this attachment; publishes behind them wait for those
 * posted. */
static void
order_drop(struct sq_hold *hold)
{
	struct sq_order_request *o;

	while ((o = sq_order_out_drop(&hold->subs.order)) != NULL)
		request_free(hold, request_of(o));
	for (int i = 0; i < SQ_LANES; i++) {
		if (hold->up.lane[i] != NULL)
			sq_lane_out_unmark(hold->up.lane[i], hold->subs.order.given);
	}
}

void
sq_hold_order_attached(struct sq_hold *hold)
{
	SQ_LIST_FOR_EACH(o, &hold->subs.order.requests, struct sq_order_request, node)
		request_land(request_of(o));
	asking_again(hold);
	for (int i = 0; i < SQ_LANES; i++) {
		struct sq_order_out_rank rank = sq_order_out_rank_begin(&hold->subs.order);

		if (hold->up.lane[i] != NULL)
			sq_lane_out_remark(hold->up.lane[i], sq_order_out_rank, &rank);
	}
	sq_order_out_attached(&hold->subs.order);
	if (hold->bye.leaving && hold->bye.expiry_s == 0)
		order_drop(hold);
	sq_inbox_hold_credit(hold->inbox, sq_order_out_owes(&hold->subs.order));
}

/* Drops requests without a mark, except, unless 'again', those that make subscriptions again. */
static void
order_drop_unmarked(struct sq_hold *hold, bool again)
{
	if (again || !order_makes_again(hold))
		asking_again(hold);
	SQ_LIST_FOR_EACH_SAFE(r, &hold->subs.asked, struct sq_subreq, node) {
		if (again || !r->again)
			subreq_drop(hold, r);
	}
}

void
sq_hold_order_leave(struct sq_hold *hold)
{
	order_drop_unmarked(hold, hold->bye.expiry_s == 0);
	if (hold->bye.expiry_s != 0)
		return;
	order_drop(hold);
	/* Nobody is told of what is on its way: nothing waits for it. */
	if (hold->gate != NULL)
		hold->gate->ops->clear(hold->gate);
}

void
sq_hold_order_end(struct sq_hold *hold)
{
	order_drop_unmarked(hold, true);
	sq_order_out_attached(&hold->subs.order); /* all may be dropped */
	order_drop(hold);
}

bool
sq_hold_order_flushed(const struct sq_hold *hold)
{
	return sq_order_out_idle(&hold->subs.order) && sq_list_empty(&hold->subs.asked) &&
	    hold->subs.flights == 0;
}
