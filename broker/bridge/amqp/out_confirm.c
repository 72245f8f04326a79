/* What the peer says of messages: confirms, returns, a channel that it closes; see
 * broker/bridge/amqp/out_priv.h. */
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/field.h"
#include "broker/bridge/amqp/out_priv.h"
#include "broker/bridge/amqp/topology.h"
#include "broker/bridge/carry.h"
#include "core/clock.h"
#include "core/mem.h"

enum { REFUSED_MS = 10000 }; /* a channel to a queue whose leader is gone may refuse for ever */

static int
confirm_nonsense(struct sq_amqp_peer *peer, const char *what, struct sq_buf *why)
{
	sq_buf_printf(why, "no peer of AMQP 0.9.1: %s", what);
	return sq_amqp_peer_fail(peer, SQ_AMQP_NONSENSE);
}

/* Nobody at the peer has a use for it. */
static void
confirm_unroutable(struct sq_amqp_out_line *l, struct sq_amqp_item *it, const char *words)
{
	bool retry = l->f->half.cfg->unroutable == SQ_BRIDGE_UNROUTABLE_RETRY;

	sq_amqp_out_end(
	    l, it, retry ? SQ_OFFER_FAILED : SQ_OFFER_NEVER, SQ_OFFER_UNROUTABLE, words);
}

static void
confirm_one(struct sq_amqp_out_line *l, struct sq_amqp_item *it, bool acked)
{
	if (!acked)
		sq_amqp_out_end(l, it, SQ_OFFER_FAILED, SQ_OFFER_REFUSED,
		    "the peer could not take it (basic.nack)");
	else if (it->unroutable != NULL)
		confirm_unroutable(l, it, it->unroutable);
	else
		sq_amqp_out_end(l, it, SQ_OFFER_ACCEPTED, SQ_OFFER_REFUSED, NULL);
}

static int
confirm_taken(struct sq_amqp_out_line *l)
{
	l->refused_ms = 0;
	return SQ_OK;
}

/* One that has refused all for long is dialled anew. */
static int
confirm_refused(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	uint64_t now_ms = sq_clock_ms();

	if (l->refused_ms == 0)
		l->refused_ms = now_ms;
	if (now_ms - l->refused_ms < REFUSED_MS)
		return SQ_OK;
	sq_buf_printf(why, "it has taken nothing for %d s (basic.nack)", REFUSED_MS / 1000);
	return sq_amqp_peer_fail(peer, SQ_AMQP_LOST);
}

/* basic.ack or basic.nack: of one message, or of all up to one. */
static int
confirm_up_to(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, uint64_t tag, bool multiple,
    bool acked, struct sq_buf *why)
{
	uint64_t from = multiple ? l->low : tag;

	if (tag == 0 && multiple)
		tag = l->next - 1;
	if (tag == 0 || tag >= l->next)
		return confirm_nonsense(peer, "it confirms what was never published", why);
	for (uint64_t t = from < l->low ? l->low : from; t <= tag; t++) {
		struct sq_amqp_item *it = l->ring[t & l->mask];

		if (it == NULL)
			continue;
		l->ring[t & l->mask] = NULL;
		l->out--;
		if (l->careful > 0)
			l->careful--;
		confirm_one(l, it, acked);
		l->proved |= acked;
	}
	while (l->low < l->next && l->ring[l->low & l->mask] == NULL)
		l->low++;
	return acked ? confirm_taken(l) : confirm_refused(l, peer, why);
}

/* Returns. */

/* The message that is out and has that origin. */
static struct sq_amqp_item *
confirm_find(struct sq_amqp_out_line *l, const amqp_basic_properties_t *p)
{
	const amqp_field_value_t *v = (p->_flags & AMQP_BASIC_HEADERS_FLAG) != 0
	    ? sq_amqp_find(&p->headers, sq_bytes_of(SQ_CARRY_ORIGIN))
	    : NULL;

	if (v == NULL || v->kind != AMQP_FIELD_KIND_UTF8)
		return NULL;
	for (uint64_t tag = l->low; tag != l->next; tag++) {
		struct sq_amqp_item *it = l->ring[tag & l->mask];

		if (it != NULL && it->unroutable == NULL &&
		    sq_bytes_are(sq_amqp_bytes(v->value.bytes), it->offered->origin))
			return it;
	}
	return NULL;
}

static int
confirm_return(struct sq_amqp_out_line *l, const amqp_basic_return_t *m)
{
	struct sq_buf *words = &l->returning.words;

	sq_buf_drain(words, sq_buf_len(words));
	sq_buf_printf(words, "the peer has nobody for it: ");
	sq_amqp_words(words, m->reply_code, m->reply_text);
	l->returning.state = SQ_AMQP_RETURN_HEADER;
	return SQ_OK;
}

/* Its content: the header says which it is. */
static int
confirm_content(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, const amqp_frame_t *frame,
    struct sq_buf *why)
{
	struct sq_amqp_return *r = &l->returning;
	struct sq_amqp_item *it;

	if (r->state == SQ_AMQP_RETURN_HEADER && frame->frame_type == AMQP_FRAME_HEADER &&
	    frame->payload.properties.class_id == AMQP_BASIC_CLASS) {
		it = confirm_find(l, frame->payload.properties.decoded);
		if (it == NULL)
			return confirm_nonsense(peer, "it returns what was never published", why);
		it->unroutable = sq_xmemdup0(sq_buf_data(&r->words), sq_buf_len(&r->words));
		r->left = frame->payload.properties.body_size;
		r->state = SQ_AMQP_RETURN_BODY;
	} else if (r->state == SQ_AMQP_RETURN_BODY && frame->frame_type == AMQP_FRAME_BODY &&
	    frame->payload.body_fragment.len <= r->left) {
		r->left -= frame->payload.body_fragment.len;
	} else {
		return confirm_nonsense(peer, "content out of turn", why);
	}
	if (r->state == SQ_AMQP_RETURN_BODY && r->left == 0)
		r->state = SQ_AMQP_NO_RETURN;
	return SQ_OK;
}

/* The channel. */

int
sq_amqp_out_prepare(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	amqp_confirm_select_t confirm = {0};
	int rc = sq_amqp_topology_out(peer, l->f->half.cfg, l->f->half.env.queue, why);

	if (rc == SQ_OK)
		rc = sq_amqp_peer_ask(peer, AMQP_CONFIRM_SELECT_METHOD, &confirm,
		    AMQP_CONFIRM_SELECT_OK_METHOD, NULL, SQ_AMQP_TOPOLOGY, why);
	sq_amqp_peer_done(peer);
	l->written = 0;
	return rc;
}

/* Whether a message itself is why the peer has closed the channel, and not what all messages of its rule
 * share: the exchange of the configuration. */
static bool
confirm_is_its_fault(
    const struct sq_amqp_out_line *l, const struct sq_amqp_item *it, const amqp_channel_close_t *m)
{
	static const char topic[] = "ACCESS_REFUSED - access to topic ";
	const struct sq_bridge_out *rule = sq_bridge_cfg_out(l->f->half.cfg, it->offered->rule);

	if (m->reply_code == AMQP_NOT_FOUND)
		return !sq_amqp_has_exchange(rule);
	if (m->reply_code != AMQP_ACCESS_REFUSED)
		return true;
	return !sq_amqp_has_exchange(rule) ||
	    (m->reply_text.len > sizeof topic &&
		memcmp(m->reply_text.bytes, topic, sizeof topic - 1) == 0);
}

/* The only message that is out had the channel closed.  False: the rule did. */
static bool
confirm_blame(struct sq_amqp_out_line *l, const amqp_channel_close_t *m, const char *words)
{
	struct sq_amqp_item *it = l->ring[l->low & l->mask];

	if (!confirm_is_its_fault(l, it, m))
		return false;
	l->ring[l->low & l->mask] = NULL;
	l->out = 0;
	l->low = l->next = 1; /* of the next channel */
	if (l->careful > 0)
		l->careful--;
	if (m->reply_code == AMQP_NOT_FOUND)
		confirm_unroutable(l, it, words);
	else
		sq_amqp_out_end(l, it, SQ_OFFER_NEVER, SQ_OFFER_REFUSED, words);
	return true;
}

/* The peer closes the channel where it does not like a message, and does not say which.  Then those that
 * were out go again one at a time, until it is found. */
static int
confirm_closed(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, const amqp_channel_close_t *m,
    struct sq_buf *why)
{
	bool by_message = m->class_id == AMQP_BASIC_CLASS &&
	    m->method_id == (AMQP_BASIC_PUBLISH_METHOD & 0xffff);
	struct sq_buf text = {0};
	bool goes_on = by_message && l->out > 1;
	char *words;

	sq_buf_printf(&text, "the peer closed the channel: ");
	sq_amqp_words(&text, m->reply_code, m->reply_text);
	words = sq_buf_take_text(&text);
	if (goes_on) {
		l->careful = l->out;
		sq_amqp_out_give_back(l);
	} else if (by_message && l->out == 1) {
		goes_on = confirm_blame(l, m, words);
	}
	if (!goes_on)
		sq_buf_printf(why, "%s", words);
	free(words);
	if (!goes_on)
		return sq_amqp_peer_fail(peer, by_message ? SQ_AMQP_TOPOLOGY : SQ_AMQP_LOST);
	if (sq_amqp_peer_reopen(peer, why) != SQ_OK)
		return SQ_ECLOSED;
	return sq_amqp_out_prepare(l, peer, why);
}

static int
confirm_method(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, const amqp_method_t *m,
    struct sq_buf *why)
{
	const amqp_basic_ack_t *ack = m->decoded;
	const amqp_basic_nack_t *nack = m->decoded;

	if (l->returning.state != SQ_AMQP_NO_RETURN)
		return confirm_nonsense(peer, "a method amid content", why);
	switch (m->id) {
	case AMQP_BASIC_ACK_METHOD:
		return confirm_up_to(l, peer, ack->delivery_tag, ack->multiple, true, why);
	case AMQP_BASIC_NACK_METHOD:
		return confirm_up_to(l, peer, nack->delivery_tag, nack->multiple, false, why);
	case AMQP_BASIC_RETURN_METHOD:
		return confirm_return(l, m->decoded);
	case AMQP_CHANNEL_CLOSE_METHOD:
		return confirm_closed(l, peer, m->decoded, why);
	default:
		return confirm_nonsense(peer, "a method out of turn", why);
	}
}

int
sq_amqp_out_frame(
    void *arg, struct sq_amqp_peer *peer, const amqp_frame_t *frame, struct sq_buf *why)
{
	int rc = frame->frame_type == AMQP_FRAME_METHOD
	    ? confirm_method(arg, peer, &frame->payload.method, why)
	    : confirm_content(arg, peer, frame, why);

	sq_amqp_peer_done(peer);
	return rc;
}
