/* Frames of the peer as messages that have arrived; see broker/bridge/amqp/in_priv.h. */
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/field.h"
#include "broker/bridge/amqp/in_priv.h"
#include "core/mem.h"

enum {
	OVERHEAD = 512,   /* bytes of a message beside its image */
	PARTS_MIN = 1024, /* frames that content may have, whatever its size */
	PART_MIN = 256,   /* bytes that each of more has on average; those of peers fill frames */
};

static int
content_nonsense(struct sq_amqp_peer *peer, const char *what, struct sq_buf *why)
{
	sq_buf_printf(why, "no peer of AMQP 0.9.1: %s", what);
	return sq_amqp_peer_fail(peer, SQ_AMQP_NONSENSE);
}

/* The in[] of a consumer's tag, its index in digits.  False: there is none. */
static bool
content_rule(const struct sq_amqp_in_line *l, amqp_bytes_t tag, unsigned *rule)
{
	const unsigned char *p = tag.bytes;
	unsigned n = 0;

	if (tag.len == 0 || tag.len > 4)
		return false;
	for (size_t i = 0; i < tag.len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		n = n * 10 + (p[i] - '0');
	}
	*rule = n;
	return n < l->in->half.cfg->in.n;
}

/* Maps what has come; what can't be published is what a letter can have of it. */
static void
content_map(struct sq_amqp_in_line *l, struct sq_amqp_arrival *a)
{
	const struct sq_bridge_cfg *cfg = l->in->half.cfg;
	const struct sq_amqp_content *c = &l->content;
	const struct sq_bridge_in *rule = sq_bridge_cfg_in(cfg, c->rule);
	const struct sq_amqp_delivery from = {.key = c->key, .props = c->props, .body = c->whole};
	size_t max_packet = l->in->half.env.max_packet;
	struct sq_buf why = {0};
	int rc = SQ_ETOOBIG;

	if (c->too_large)
		sq_buf_printf(&why, "the message has %llu bytes, limits.max-packet is %zu",
		    (unsigned long long)c->size, max_packet);
	else
		rc = sq_amqp_map_in(&from, cfg, rule, max_packet, &a->in, &why);
	if (rc != SQ_OK) {
		a->unmappable = sq_buf_take_text(&why);
		a->in.msg = sq_amqp_letter(
		    cfg, rule, rc == SQ_ETOOBIG ? (struct sq_bytes){0} : c->whole);
	}
	a->arrived.too_large = rc == SQ_ETOOBIG;
	sq_buf_fini(&why);
}

/* Makes a message of what has come. */
static struct sq_amqp_arrival *
content_arrival(struct sq_amqp_in_line *l)
{
	const struct sq_amqp_content *c = &l->content;
	struct sq_amqp_arrival *a = sq_xcalloc(1, sizeof *a);

	content_map(l, a);
	a->arrived = (struct sq_arrived){.msg = a->in.msg,
	    .unmappable = a->unmappable,
	    .too_large = a->arrived.too_large,
	    .rule = c->rule,
	    .key = sq_buf_bytes(&a->in.key),
	    .hops = sq_buf_bytes(&a->in.hops),
	    .again = c->again,
	    .held = a};
	sq_list_init(&a->arrived.node);
	a->bytes = sq_image_size(a->in.msg.image) + OVERHEAD + a->arrived.key.len +
	    a->arrived.hops.len;
	a->line = l;
	a->tag = c->tag;
	a->epoch = l->epoch;
	return a;
}

/* All of it is there.  What nobody wants any more goes back. */
static int
content_whole(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	struct sq_amqp_arrival *a;

	l->content.state = SQ_AMQP_NO_CONTENT;
	if (!l->consuming || l->consumers[l->content.rule].missing != NULL)
		return sq_amqp_in_requeue(peer, l->content.tag, why);
	a = content_arrival(l);
	l->bytes += a->bytes;
	sq_list_push_back(&l->unacked, &a->in_order);
	sq_list_push_back(&l->consumers[l->content.rule].held, &a->node);
	sq_buf_drain(&l->content.body, sq_buf_len(&l->content.body));
	sq_buf_trim(&l->content.body, SQ_AMQP_FRAME_MAX);
	return SQ_OK;
}

static int
content_deliver(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, const amqp_basic_deliver_t *m,
    struct sq_buf *why)
{
	struct sq_amqp_content *c = &l->content;

	if (!content_rule(l, m->consumer_tag, &c->rule) || m->delivery_tag != l->next_tag)
		return content_nonsense(peer, "a delivery that nobody asked for", why);
	l->next_tag++;
	c->tag = m->delivery_tag;
	c->again = m->redelivered;
	c->key = sq_amqp_bytes(m->routing_key);
	c->state = SQ_AMQP_CONTENT_HEADER;
	return SQ_OK;
}

static int
content_header(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, const amqp_frame_t *frame,
    struct sq_buf *why)
{
	struct sq_amqp_content *c = &l->content;

	if (frame->payload.properties.class_id != AMQP_BASIC_CLASS)
		return content_nonsense(peer, "content of another class", why);
	c->props = frame->payload.properties.decoded;
	c->size = frame->payload.properties.body_size;
	c->got = 0;
	c->parts = 0;
	c->too_large = c->size > l->in->half.env.max_packet;
	c->whole = (struct sq_bytes){0};
	c->state = SQ_AMQP_CONTENT_BODY;
	return c->size == 0 ? content_whole(l, peer, why) : SQ_OK;
}

static int
content_body(
    struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, amqp_bytes_t part, struct sq_buf *why)
{
	struct sq_amqp_content *c = &l->content;

	if (part.len > c->size - c->got)
		return content_nonsense(peer, "more content than it has announced", why);
	/* librabbitmq keeps something of each frame until all have come. */
	if (part.len == 0 || c->parts > PARTS_MIN + c->got / PART_MIN)
		return content_nonsense(peer, "content in crumbs", why);
	c->parts++;
	c->got += part.len;
	if (c->too_large) {
		/* Nothing of it is kept. */
	} else if (part.len == c->size) {
		c->whole = sq_amqp_bytes(part);
	} else {
		sq_buf_append(&c->body, part.bytes, part.len);
		c->whole = sq_buf_bytes(&c->body);
	}
	return c->got == c->size ? content_whole(l, peer, why) : SQ_OK;
}

/* The peer has ended a consumer: its queue was deleted, or lost its node. */
static int
content_cancelled(
    struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, amqp_bytes_t tag, struct sq_buf *why)
{
	struct sq_buf text = {0};
	unsigned rule;
	char *words;
	bool goes_on;

	if (!content_rule(l, tag, &rule))
		return content_nonsense(peer, "the end of a consumer that is none", why);
	sq_buf_printf(&text,
	    "queue %s: the peer has ended the consumer: it was deleted, or its node is down",
	    sq_bridge_cfg_in(l->in->half.cfg, rule)->queue);
	words = sq_buf_take_text(&text);
	goes_on = sq_amqp_in_miss(l, peer, rule, words);
	if (!goes_on)
		sq_buf_printf(why, "%s", words);
	free(words);
	return goes_on ? sq_amqp_in_hand_back(l, peer, rule, why)
		       : sq_amqp_peer_fail(peer, SQ_AMQP_TOPOLOGY);
}

static int
content_method(struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, const amqp_method_t *m,
    struct sq_buf *why)
{
	const amqp_channel_close_t *close = m->decoded;
	const amqp_basic_cancel_t *cancel = m->decoded;

	if (l->content.state != SQ_AMQP_NO_CONTENT)
		return content_nonsense(peer, "a method amid content", why);
	switch (m->id) {
	case AMQP_BASIC_DELIVER_METHOD:
		return content_deliver(l, peer, m->decoded, why);
	case AMQP_BASIC_QOS_OK_METHOD:
	case AMQP_BASIC_CANCEL_OK_METHOD:
		return SQ_OK;
	case AMQP_BASIC_CANCEL_METHOD:
		return content_cancelled(l, peer, cancel->consumer_tag, why);
	case AMQP_CHANNEL_CLOSE_METHOD:
		sq_buf_printf(why, "the peer closed the channel: ");
		sq_amqp_words(why, close->reply_code, close->reply_text);
		return sq_amqp_peer_fail(peer, SQ_AMQP_TOPOLOGY);
	default:
		return content_nonsense(peer, "a method out of turn", why);
	}
}

int
sq_amqp_in_frame(
    void *arg, struct sq_amqp_peer *peer, const amqp_frame_t *frame, struct sq_buf *why)
{
	struct sq_amqp_in_line *l = arg;
	struct sq_amqp_content *c = &l->content;
	int rc;

	if (frame->channel == SQ_AMQP_LOOK_CHANNEL)
		rc = sq_amqp_in_look_frame(l, peer, frame, why);
	else if (frame->frame_type == AMQP_FRAME_METHOD)
		rc = content_method(l, peer, &frame->payload.method, why);
	else if (frame->frame_type == AMQP_FRAME_HEADER && c->state == SQ_AMQP_CONTENT_HEADER)
		rc = content_header(l, peer, frame, why);
	else if (frame->frame_type == AMQP_FRAME_BODY && c->state == SQ_AMQP_CONTENT_BODY)
		rc = content_body(l, peer, frame->payload.body_fragment, why);
	else
		rc = content_nonsense(peer, "content out of turn", why);
	/* Key and properties are the frames' until the body is there. */
	if (rc != SQ_OK || c->state == SQ_AMQP_NO_CONTENT ||
	    (c->state == SQ_AMQP_CONTENT_BODY && c->too_large))
		sq_amqp_peer_done(peer);
	return rc;
}
