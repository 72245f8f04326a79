/* What a line does with messages that have come; see broker/bridge/amqp/in_priv.h. */
#include <assert.h>
#include <stdlib.h>

#include "broker/bridge/amqp/in_priv.h"
#include "broker/bridge/amqp/topology.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	REST_MS = 2000,       /* nothing is wanted for so long: the queues are left to others */
	BYTES_MAX = 32 << 20, /* of messages that are here; above, the socket is not read */
	BEAT_MS = 2000,       /* meanwhile the peer hears of us as often */
};

/* What the user has settled. */

/* Puts a message back among those that its consumer holds, by its tag. */
static void
line_hold(struct sq_amqp_in_line *l, struct sq_amqp_arrival *a)
{
	struct sq_amqp_consumer *c = &l->consumers[a->arrived.rule];
	struct sq_list *at = c->held.next;

	while (at != &c->held && SQ_CONTAINER_OF(at, struct sq_amqp_arrival, node)->tag < a->tag)
		at = at->next;
	a->state = SQ_AMQP_HELD;
	sq_list_insert(at, &a->node);
	c->resume_ms = sq_clock_ms() + SQ_BRIDGE_LATER_MS;
}

/* Takes in what the user has settled.  What came by a connection that is over comes again by itself. */
static void
line_take(struct sq_amqp_in_line *l)
{
	struct sq_list settled;

	sq_list_init(&settled);
	pthread_mutex_lock(&l->in->half.lock);
	sq_list_splice(&settled, &l->settled);
	pthread_mutex_unlock(&l->in->half.lock);
	SQ_LIST_FOR_EACH_SAFE(a, &settled, struct sq_amqp_arrival, node) {
		sq_list_remove(&a->node);
		if (a->epoch != l->epoch) {
			sq_amqp_in_forget(l, a);
		} else if (a->how == SQ_ARRIVAL_TAKEN) {
			a->state = SQ_AMQP_TAKEN;
			sq_list_push_back(&l->taken, &a->node);
		} else {
			line_hold(l, a);
		}
	}
}

static int
line_ack(struct sq_amqp_peer *peer, uint64_t tag, bool multiple, struct sq_buf *why)
{
	amqp_basic_ack_t ack = {.delivery_tag = tag, .multiple = multiple};

	return sq_amqp_peer_send(peer, AMQP_BASIC_ACK_METHOD, &ack, why);
}

/* Tells the peer of what was taken: all up to the first that was not by one acknowledgement, the others
 * one by one. */
static int
line_tell(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	struct sq_amqp_arrival *a;
	uint64_t last = 0;
	unsigned n = 0;
	int rc = SQ_OK;

	if (sq_list_empty(&l->taken))
		return SQ_OK;
	while ((a = SQ_LIST_FIRST(&l->unacked, struct sq_amqp_arrival, in_order)) != NULL &&
	    a->state == SQ_AMQP_TAKEN) {
		last = a->tag;
		n++;
		sq_amqp_in_forget(l, a);
	}
	if (n > 0)
		rc = line_ack(peer, last, n > 1, why);
	while (
	    rc == SQ_OK && (a = SQ_LIST_FIRST(&l->taken, struct sq_amqp_arrival, node)) != NULL) {
		rc = line_ack(peer, a->tag, false, why);
		sq_amqp_in_forget(l, a);
	}
	return rc;
}

/* Messages for the user. */

/* Moves what one consumer holds to those that are brought, as far as there is demand. */
static bool
line_bring_of(struct sq_amqp_in_line *l, struct sq_amqp_consumer *c)
{
	struct sq_amqp_inlet *in = l->in;
	struct sq_amqp_arrival *a;
	bool any = false;

	while (in->n_user < in->demand &&
	    (a = SQ_LIST_FIRST(&c->held, struct sq_amqp_arrival, node)) != NULL) {
		sq_list_remove(&a->node);
		a->state = SQ_AMQP_GIVEN;
		sq_list_push_back(&in->brought, &a->node);
		in->n_user++;
		any = true;
	}
	return any;
}

static void
line_bring(struct sq_amqp_in_line *l, struct sq_amqp_wants *wants)
{
	struct sq_amqp_inlet *in = l->in;
	uint64_t now_ms = sq_clock_ms();
	bool any = false;

	pthread_mutex_lock(&in->half.lock);
	for (size_t i = 0; i < in->half.cfg->in.n; i++) {
		struct sq_amqp_consumer *c = &l->consumers[i];

		if (c->resume_ms <= now_ms)
			any |= line_bring_of(l, c);
		else if (!sq_list_empty(&c->held) &&
		    (wants->at_ms == 0 || c->resume_ms < wants->at_ms))
			wants->at_ms = c->resume_ms;
	}
	pthread_mutex_unlock(&in->half.lock);
	if (any)
		sq_amqp_half_post(&in->half);
}

/* Consumers. */

static int
line_consume(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	int rc = SQ_OK;

	for (unsigned i = 0; i < l->in->half.cfg->in.n && rc == SQ_OK; i++)
		if (l->consumers[i].missing == NULL)
			rc = sq_amqp_in_consume(l, peer, i, why);
	l->consuming = rc == SQ_OK;
	return rc;
}

/* Leaves the queues to others: ends the consumers and hands back what the user has not seen. */
static int
line_rest(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	int rc = SQ_OK;

	l->consuming = false;
	for (unsigned i = 0; i < l->in->half.cfg->in.n && rc == SQ_OK; i++) {
		if (l->consumers[i].missing == NULL)
			rc = sq_amqp_in_cancel(peer, i, why);
		if (rc == SQ_OK)
			rc = sq_amqp_in_hand_back(l, peer, i, why);
	}
	return rc;
}

/* Consumes while something is wanted, and a little longer. */
static int
line_want(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants,
    struct sq_buf *why)
{
	uint64_t now_ms = sq_clock_ms();
	bool wanted;

	pthread_mutex_lock(&l->in->half.lock);
	wanted = l->in->demand > 0;
	pthread_mutex_unlock(&l->in->half.lock);
	if (wanted) {
		l->unwanted_ms = 0;
		return l->consuming ? SQ_OK : line_consume(l, peer, why);
	}
	if (!l->consuming)
		return SQ_OK;
	if (l->unwanted_ms == 0)
		l->unwanted_ms = now_ms;
	if (now_ms - l->unwanted_ms >= REST_MS)
		return line_rest(l, peer, why);
	wants->at_ms = l->unwanted_ms + REST_MS;
	return SQ_OK;
}

/* While there is too much here, nothing is read; the peer is told that we live. */
static int
line_bound(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants,
    struct sq_buf *why)
{
	uint64_t now_ms = sq_clock_ms();

	if (l->bytes <= BYTES_MAX) {
		l->beat_ms = now_ms;
		return SQ_OK;
	}
	wants->hold = true;
	if (wants->at_ms == 0 || wants->at_ms > l->beat_ms + BEAT_MS)
		wants->at_ms = l->beat_ms + BEAT_MS;
	if (now_ms - l->beat_ms < BEAT_MS)
		return SQ_OK;
	l->beat_ms = now_ms;
	wants->at_ms = now_ms + BEAT_MS;
	return sq_amqp_peer_beat(peer, why);
}

static int
line_work(void *arg, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants, struct sq_buf *why)
{
	struct sq_amqp_in_line *l = arg;
	int rc;

	wants->idle = true; /* what is not settled by then goes back */
	line_take(l);
	if (peer == NULL)
		return SQ_OK;
	sq_amqp_half_look(&l->in->half, l->next_tag > 1);
	rc = line_tell(l, peer, why);
	if (rc == SQ_OK)
		rc = line_want(l, peer, wants, why);
	if (rc == SQ_OK)
		rc = sq_amqp_in_look(l, peer, wants, why);
	if (rc != SQ_OK)
		return rc;
	line_bring(l, wants);
	return line_bound(l, peer, wants, why);
}

/* The connection. */

/* Looks at a queue.  Where it is not there, the peer has closed the channel, and the others go on. */
static int
line_look(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, unsigned rule, struct sq_buf *why)
{
	struct sq_buf text = {0};
	int rc = sq_amqp_topology_in(peer, l->in->half.cfg, rule, &text);
	char *words = sq_buf_take_text(&text);

	if (rc != SQ_OK && sq_amqp_peer_trouble(peer) == SQ_AMQP_TOPOLOGY &&
	    sq_amqp_in_miss(l, peer, rule, words))
		rc = sq_amqp_peer_reopen(peer, why);
	else if (rc != SQ_OK)
		sq_buf_printf(why, "%s", words);
	free(words);
	return rc;
}

static int
line_up(void *arg, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	struct sq_amqp_in_line *l = arg;
	int rc = SQ_OK;

	l->next_tag = 1;
	l->consuming = false;
	l->unwanted_ms = 0;
	l->beat_ms = sq_clock_ms();
	for (unsigned i = 0; i < l->in->half.cfg->in.n && rc == SQ_OK; i++)
		rc = line_look(l, peer, i, why);
	return rc;
}

/* All that the user has not seen is forgotten: it comes again. */
static void
line_down(void *arg)
{
	struct sq_amqp_in_line *l = arg;
	struct sq_amqp_inlet *in = l->in;

	line_take(l);
	pthread_mutex_lock(&in->half.lock);
	SQ_LIST_FOR_EACH_SAFE(a, &in->brought, struct sq_amqp_arrival, node)
		if (a->line == l) {
			in->n_user--;
			a->state = SQ_AMQP_HELD;
			sq_list_remove(&a->node);
		}
	pthread_mutex_unlock(&in->half.lock);
	SQ_LIST_FOR_EACH_SAFE(a, &l->unacked, struct sq_amqp_arrival, in_order) {
		if (a->state == SQ_AMQP_GIVEN)
			sq_list_remove(&a->in_order); /* the user's, until it is settled */
		else
			sq_amqp_in_forget(l, a);
	}
	sq_amqp_in_look_over(l);
	l->epoch++;
	l->content.state = SQ_AMQP_NO_CONTENT;
	sq_buf_drain(&l->content.body, sq_buf_len(&l->content.body));
	for (size_t i = 0; i < in->half.cfg->in.n; i++)
		l->consumers[i].resume_ms = 0;
}

static void
line_state(void *arg, bool up, enum sq_amqp_trouble trouble, const char *why)
{
	struct sq_amqp_in_line *l = arg;

	sq_amqp_half_state(&l->in->half, l->index, up, trouble, why);
}

const struct sq_amqp_line_user sq_amqp_in_line_user = {.up = line_up,
    .frame = sq_amqp_in_frame,
    .work = line_work,
    .down = line_down,
    .state = line_state};

void
sq_amqp_in_line_init(struct sq_amqp_in_line *l, struct sq_amqp_inlet *in, unsigned index)
{
	l->in = in;
	l->index = index;
	sq_list_init(&l->unacked);
	sq_list_init(&l->taken);
	sq_list_init(&l->settled);
	l->consumers = sq_xcalloc(in->half.cfg->in.n, sizeof *l->consumers);
	for (size_t i = 0; i < in->half.cfg->in.n; i++)
		sq_list_init(&l->consumers[i].held);
}

void
sq_amqp_in_line_fini(struct sq_amqp_in_line *l)
{
	assert(sq_list_empty(&l->unacked));
	sq_buf_fini(&l->content.body);
	free(l->consumers);
}
