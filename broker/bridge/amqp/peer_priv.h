/* The inner interface of a connection: peer.c has its frames, dial.c above it makes it. */
#ifndef SQ_BROKER_BRIDGE_AMQP_PEER_PRIV_H
#define SQ_BROKER_BRIDGE_AMQP_PEER_PRIV_H

#include "broker/bridge/amqp/peer.h"

struct sq_amqp_peer {
	amqp_connection_state_t state;
	size_t frame_max;
	unsigned heartbeat_s;
	unsigned channels; /* that there may be */
	bool looks;        /* the second one was used */
	enum sq_amqp_trouble trouble;
	bool blocked;
	char *blocked_why;
	long tls_error; /* of the peer's certificate; X509_V_OK: none */
};

/* Each of these ends with the trouble set, and the reason in 'why'. */
int sq_amqp_peer_nonsense(struct sq_amqp_peer *, const char *what, struct sq_buf *why);
int sq_amqp_peer_broken(struct sq_amqp_peer *, int status, struct sq_buf *why);

/* Waits for a frame until 'until_ms' of sq_clock_ms(); 0: not at all.  SQ_EAGAIN: none came. */
int sq_amqp_peer_frame(
    struct sq_amqp_peer *, uint64_t until_ms, amqp_frame_t *, struct sq_buf *why) SQ_MUST_CHECK;
/* Waits for the method on the channel. */
int sq_amqp_peer_await(struct sq_amqp_peer *, unsigned channel, amqp_method_number_t wanted,
    amqp_method_t *out, enum sq_amqp_trouble of, struct sq_buf *why) SQ_MUST_CHECK;

/* Opens the channel. */
int sq_amqp_peer_open(struct sq_amqp_peer *, struct sq_buf *why) SQ_MUST_CHECK;

#endif
