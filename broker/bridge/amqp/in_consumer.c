/* The consumers of a line, and what they hold; see broker/bridge/amqp/in_priv.h. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/bridge/amqp/in_priv.h"

static amqp_bytes_t
consumer_tag(unsigned rule, char room[16])
{
	snprintf(room, 16, "%u", rule);
	return amqp_cstring_bytes(room);
}

/* Its answer comes as a frame, among deliveries. */
int
sq_amqp_in_consume(
    struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, unsigned rule, struct sq_buf *why)
{
	const struct sq_bridge_in *in = sq_bridge_cfg_in(l->in->half.cfg, rule);
	char tag[16];
	amqp_basic_qos_t qos = {.prefetch_count = (uint16_t)in->prefetch};
	amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(in->queue),
	    .consumer_tag = consumer_tag(rule, tag),
	    .nowait = 1};
	int rc = sq_amqp_peer_send(peer, AMQP_BASIC_QOS_METHOD, &qos, why);

	return rc == SQ_OK ? sq_amqp_peer_send(peer, AMQP_BASIC_CONSUME_METHOD, &consume, why) : rc;
}

int
sq_amqp_in_cancel(struct sq_amqp_peer *peer, unsigned rule, struct sq_buf *why)
{
	char tag[16];
	amqp_basic_cancel_t cancel = {.consumer_tag = consumer_tag(rule, tag), .nowait = 1};

	return sq_amqp_peer_send(peer, AMQP_BASIC_CANCEL_METHOD, &cancel, why);
}

int
sq_amqp_in_requeue(struct sq_amqp_peer *peer, uint64_t tag, struct sq_buf *why)
{
	amqp_basic_nack_t nack = {.delivery_tag = tag, .requeue = 1};

	return sq_amqp_peer_send(peer, AMQP_BASIC_NACK_METHOD, &nack, why);
}

void
sq_amqp_arrival_free(struct sq_amqp_arrival *a)
{
	sq_list_remove(&a->node);
	sq_list_remove(&a->in_order);
	sq_amqp_in_fini(&a->in);
	free(a->unmappable);
	free(a);
}

void
sq_amqp_in_forget(struct sq_amqp_in_line *l, struct sq_amqp_arrival *a)
{
	l->bytes -= a->bytes;
	sq_amqp_arrival_free(a);
}

int
sq_amqp_in_hand_back(
    struct sq_amqp_in_line *l, struct sq_amqp_peer *peer, unsigned rule, struct sq_buf *why)
{
	int rc = SQ_OK;

	SQ_LIST_FOR_EACH_SAFE(a, &l->consumers[rule].held, struct sq_amqp_arrival, node) {
		if (rc == SQ_OK)
			rc = sq_amqp_in_requeue(peer, a->tag, why);
		sq_amqp_in_forget(l, a);
	}
	return rc;
}
