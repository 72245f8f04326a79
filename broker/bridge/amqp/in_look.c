/* Queues of an inlet that are not there, while others are: looked at again and again on the second channel,
 * which the peer closes each time that one is still missing; see broker/bridge/amqp/in_priv.h.
 *
 *   opens ─▶ declares ─▶ (binds) ─▶ closes ─▶ it is consumed from
 *               └───────────┴─▶ the peer has closed the channel: later again */
#include <stdlib.h>

#include "broker/bridge/amqp/in_priv.h"
#include "broker/bridge/amqp/topology.h"
#include "core/clock.h"
#include "core/mem.h"

/* Tells which are missing. */
static void
look_tell(const struct sq_amqp_in_line *l)
{
	struct sq_buf text = {0};
	char *s;

	for (size_t i = 0; i < l->in->half.cfg->in.n; i++)
		if (l->consumers[i].missing != NULL)
			sq_buf_printf(&text, "%s%s", sq_buf_len(&text) > 0 ? "; " : "",
			    l->consumers[i].missing);
	s = sq_buf_len(&text) > 0 ? sq_buf_take_text(&text) : NULL;
	sq_amqp_half_lacks(&l->in->half, l->index, s);
	free(s);
}

bool
sq_amqp_in_miss(
    struct sq_amqp_in_line *l, const struct sq_amqp_peer *peer, unsigned rule, const char *words)
{
	struct sq_amqp_consumer *c = &l->consumers[rule];
	uint64_t now_ms = sq_clock_ms();
	size_t there = 0;

	for (size_t i = 0; i < l->in->half.cfg->in.n; i++)
		there += i != rule && l->consumers[i].missing == NULL;
	if (there == 0 || !sq_amqp_peer_looks(peer))
		return false;
	if (c->missing != NULL)
		return true;
	c->missing = sq_xstrdup(words);
	if (c->retry == NULL) {
		c->retry = sq_amqp_backoff_new();
		(void)sq_reconnect_step(c->retry, SQ_RECONNECT_TICK, now_ms);
	}
	(void)sq_reconnect_step(c->retry, SQ_RECONNECT_DOWN, now_ms);
	look_tell(l);
	return true;
}

static int
look_begin(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, unsigned rule, struct sq_buf *why)
{
	amqp_channel_open_t open = {0};

	l->look = (struct sq_amqp_look){.state = SQ_AMQP_LOOK_OPENS, .rule = rule};
	return sq_amqp_peer_look(peer, AMQP_CHANNEL_OPEN_METHOD, &open, why);
}

int
sq_amqp_in_look(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants,
    struct sq_buf *why)
{
	uint64_t now_ms = sq_clock_ms(), at_ms;

	if (l->look.state != SQ_AMQP_NO_LOOK)
		return SQ_OK; /* its answer wakes us; a peer that is silent is what heartbeats are for */
	for (unsigned i = 0; i < l->in->half.cfg->in.n; i++) {
		struct sq_amqp_consumer *c = &l->consumers[i];

		if (c->missing == NULL)
			continue;
		if (sq_reconnect_step(c->retry, SQ_RECONNECT_TICK, now_ms) == SQ_RECONNECT_DIAL)
			return look_begin(l, peer, i, why);
		at_ms = sq_reconnect_deadline(c->retry);
		if (wants->at_ms == 0 || at_ms < wants->at_ms)
			wants->at_ms = at_ms;
	}
	return SQ_OK;
}

/* The queue is there. */
static int
look_found(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	struct sq_amqp_consumer *c = &l->consumers[l->look.rule];

	l->look.state = SQ_AMQP_NO_LOOK;
	free(c->missing);
	c->missing = NULL;
	(void)sq_reconnect_step(c->retry, SQ_RECONNECT_UP, sq_clock_ms());
	look_tell(l);
	return l->consuming ? sq_amqp_in_consume(l, peer, l->look.rule, why) : SQ_OK;
}

/* The peer has closed the channel: the queue is still not there, or not so. */
static int
look_missed(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	amqp_channel_close_ok_t ok = {0};

	l->look.state = SQ_AMQP_NO_LOOK;
	(void)sq_reconnect_step(l->consumers[l->look.rule].retry, SQ_RECONNECT_DOWN, sq_clock_ms());
	return sq_amqp_peer_look(peer, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, why);
}

static int
look_close(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};

	l->look.state = SQ_AMQP_LOOK_CLOSES;
	return sq_amqp_peer_look(peer, AMQP_CHANNEL_CLOSE_METHOD, &close, why);
}

/* The next step, after the one that the state says. */
static int
look_step(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	const struct sq_bridge_cfg *cfg = l->in->half.cfg;

	switch (l->look.state) {
	case SQ_AMQP_LOOK_OPENS:
		l->look.state = SQ_AMQP_LOOK_DECLARES;
		return sq_amqp_topology_look(peer, cfg, l->look.rule, why);
	case SQ_AMQP_LOOK_DECLARES:
		if (!sq_amqp_topology_binds(cfg, l->look.rule))
			return look_close(l, peer, why);
		l->look.state = SQ_AMQP_LOOK_BINDS;
		return sq_amqp_topology_look_bind(peer, cfg, l->look.rule, why);
	case SQ_AMQP_LOOK_BINDS:
		return look_close(l, peer, why);
	default:
		return look_found(l, peer, why);
	}
}

int
sq_amqp_in_look_frame(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer,
    const amqp_frame_t *frame, struct sq_buf *why)
{
	static const amqp_method_number_t wanted[] = {
	    [SQ_AMQP_LOOK_OPENS] = AMQP_CHANNEL_OPEN_OK_METHOD,
	    [SQ_AMQP_LOOK_DECLARES] = AMQP_QUEUE_DECLARE_OK_METHOD,
	    [SQ_AMQP_LOOK_BINDS] = AMQP_QUEUE_BIND_OK_METHOD,
	    [SQ_AMQP_LOOK_CLOSES] = AMQP_CHANNEL_CLOSE_OK_METHOD};
	amqp_method_number_t id = frame->frame_type == AMQP_FRAME_METHOD ? frame->payload.method.id
									 : 0;

	if (l->look.state != SQ_AMQP_NO_LOOK && id == wanted[l->look.state])
		return look_step(l, peer, why);
	if (l->look.state != SQ_AMQP_NO_LOOK && l->look.state != SQ_AMQP_LOOK_CLOSES &&
	    id == AMQP_CHANNEL_CLOSE_METHOD)
		return look_missed(l, peer, why);
	sq_buf_printf(why, "no peer of AMQP 0.9.1: a frame out of turn on the second channel");
	return sq_amqp_peer_fail(peer, SQ_AMQP_NONSENSE);
}

void
sq_amqp_in_look_over(struct sq_amqp_in_line *l)
{
	l->look.state = SQ_AMQP_NO_LOOK;
	for (size_t i = 0; i < l->in->half.cfg->in.n; i++) {
		free(l->consumers[i].missing);
		l->consumers[i].missing = NULL;
		sq_reconnect_free(&l->consumers[i].retry);
	}
}
