#include "broker/bridge/amqp/peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/bridge/amqp/peer_priv.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/utf8.h"

enum {
	WORDS_MAX = 200,
	PROTOCOL_HEADER = 'A', /* what librabbitmq makes of a peer's own version */
	BYE_MS = 500,
};

/* Words. */

void
sq_amqp_words(struct sq_buf *out, unsigned code, amqp_bytes_t text)
{
	struct sq_buf mended = {0};
	size_t len;

	sq_utf8_mend(&mended, text.bytes, text.len <= 4 * WORDS_MAX ? text.len : 4 * WORDS_MAX);
	len = sq_utf8_cut(sq_buf_data(&mended), sq_buf_len(&mended), WORDS_MAX);
	if (len > 0)
		sq_buf_printf(out, "%.*s", (int)len, (const char *)sq_buf_data(&mended));
	else
		sq_buf_printf(out, "%u", code);
	sq_buf_fini(&mended);
}

int
sq_amqp_peer_fail(struct sq_amqp_peer *p, enum sq_amqp_trouble trouble)
{
	p->trouble = trouble;
	return SQ_ECLOSED;
}

int
sq_amqp_peer_nonsense(struct sq_amqp_peer *p, const char *what, struct sq_buf *why)
{
	sq_buf_printf(why, "no peer of AMQP 0.9.1: %s", what);
	return sq_amqp_peer_fail(p, SQ_AMQP_NONSENSE);
}

/* A status of librabbitmq that is an error. */
int
sq_amqp_peer_broken(struct sq_amqp_peer *p, int status, struct sq_buf *why)
{
	switch (status) {
	case AMQP_STATUS_BAD_AMQP_DATA:
	case AMQP_STATUS_UNKNOWN_CLASS:
	case AMQP_STATUS_UNKNOWN_METHOD:
	case AMQP_STATUS_WRONG_METHOD:
		return sq_amqp_peer_nonsense(p, "a frame that is none", why);
	case AMQP_STATUS_HEARTBEAT_TIMEOUT:
		sq_buf_printf(why, "nothing has come for %u s", 2 * p->heartbeat_s);
		break;
	case AMQP_STATUS_CONNECTION_CLOSED:
	case AMQP_STATUS_SOCKET_CLOSED:
		sq_buf_printf(why, "the connection was closed");
		break;
	default:
		sq_buf_printf(why, "the connection broke: %s", amqp_error_string2(status));
		break;
	}
	return sq_amqp_peer_fail(p, SQ_AMQP_LOST);
}

/* Frames. */

/* connection.close: its words, and what it is about. */
static int
peer_closed(struct sq_amqp_peer *p, const amqp_connection_close_t *m, struct sq_buf *why)
{
	amqp_connection_close_ok_t ok = {0};

	sq_buf_printf(why, "the peer closed the connection: ");
	sq_amqp_words(why, m->reply_code, m->reply_text);
	(void)amqp_send_method(p->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
	return sq_amqp_peer_fail(p,
	    m->reply_code == AMQP_ACCESS_REFUSED || m->reply_code == AMQP_NOT_ALLOWED
		? SQ_AMQP_REFUSED
		: SQ_AMQP_LOST);
}

/* A method of channel 0 that comes at any time.  SQ_EAGAIN: it was one. */
static int
peer_of_connection(struct sq_amqp_peer *p, const amqp_method_t *m, struct sq_buf *why)
{
	const amqp_connection_blocked_t *blocked = m->decoded;
	struct sq_buf text = {0};

	switch (m->id) {
	case AMQP_CONNECTION_CLOSE_METHOD:
		return peer_closed(p, m->decoded, why);
	case AMQP_CONNECTION_BLOCKED_METHOD:
		p->blocked = true;
		sq_amqp_words(&text, 0, blocked->reason);
		free(p->blocked_why);
		p->blocked_why = sq_buf_take_text(&text);
		return SQ_EAGAIN;
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
		p->blocked = false;
		return SQ_EAGAIN;
	default:
		return SQ_OK;
	}
}

/* Waits for a frame until 'until' of the monotonic clock; 0: not at all.  SQ_EAGAIN: none came. */
int
sq_amqp_peer_frame(struct sq_amqp_peer *p, uint64_t until_ms, amqp_frame_t *out, struct sq_buf *why)
{
	int status, rc;

	for (;;) {
		uint64_t now_ms = until_ms > 0 ? sq_clock_ms() : 0;
		uint64_t left = until_ms > now_ms ? until_ms - now_ms : 0;
		struct timeval wait = {
		    .tv_sec = (time_t)(left / 1000), .tv_usec = (suseconds_t)(left % 1000) * 1000};

		status = amqp_simple_wait_frame_noblock(p->state, out, &wait);
		if (status == AMQP_STATUS_TIMEOUT)
			return SQ_EAGAIN;
		if (status != AMQP_STATUS_OK)
			return sq_amqp_peer_broken(p, status, why);
		if (out->frame_type == PROTOCOL_HEADER)
			return sq_amqp_peer_nonsense(p, "it has another version", why);
		if (out->channel > (p->looks ? SQ_AMQP_LOOK_CHANNEL : SQ_AMQP_CHANNEL))
			return sq_amqp_peer_nonsense(p, "a frame of a channel never opened", why);
		if (out->channel != 0)
			return SQ_OK;
		if (out->frame_type != AMQP_FRAME_METHOD)
			return sq_amqp_peer_nonsense(p, "content on channel 0", why);
		rc = peer_of_connection(p, &out->payload.method, why);
		if (rc != SQ_EAGAIN)
			return rc;
		/* Content of the other channels may be half here. */
		amqp_maybe_release_buffers_on_channel(p->state, 0);
	}
}

int
sq_amqp_peer_next(struct sq_amqp_peer *p, amqp_frame_t *out, struct sq_buf *why)
{
	int rc = sq_amqp_peer_frame(p, 0, out, why);

	if (rc == SQ_OK && out->channel == 0)
		return sq_amqp_peer_nonsense(p, "a method out of turn", why);
	return rc;
}

void
sq_amqp_peer_done(struct sq_amqp_peer *p)
{
	amqp_maybe_release_buffers(p->state);
}

int
sq_amqp_peer_await(struct sq_amqp_peer *p, unsigned channel, amqp_method_number_t wanted,
    amqp_method_t *out, enum sq_amqp_trouble of, struct sq_buf *why)
{
	uint64_t until_ms = sq_clock_ms() + SQ_AMQP_DIAL_MS;
	const amqp_channel_close_t *close;
	amqp_frame_t frame;
	int rc = sq_amqp_peer_frame(p, until_ms, &frame, why);

	if (rc == SQ_EAGAIN) {
		sq_buf_printf(why, "no answer within %d s", SQ_AMQP_DIAL_MS / 1000);
		return sq_amqp_peer_fail(p, SQ_AMQP_LOST);
	}
	if (rc != SQ_OK)
		return rc;
	if (frame.frame_type == AMQP_FRAME_METHOD && frame.channel == channel &&
	    frame.payload.method.id == wanted) {
		if (out != NULL)
			*out = frame.payload.method;
		return SQ_OK;
	}
	if (frame.frame_type != AMQP_FRAME_METHOD || channel == 0 ||
	    frame.payload.method.id != AMQP_CHANNEL_CLOSE_METHOD)
		return sq_amqp_peer_nonsense(p, "a method out of turn", why);
	close = frame.payload.method.decoded;
	sq_amqp_words(why, close->reply_code, close->reply_text);
	return sq_amqp_peer_fail(p, of);
}

static int
peer_send(struct sq_amqp_peer *p, unsigned channel, amqp_method_number_t id, void *decoded,
    struct sq_buf *why)
{
	int status = amqp_send_method(p->state, (amqp_channel_t)channel, id, decoded);

	return status == AMQP_STATUS_OK ? SQ_OK : sq_amqp_peer_broken(p, status, why);
}

int
sq_amqp_peer_send(
    struct sq_amqp_peer *p, amqp_method_number_t id, void *decoded, struct sq_buf *why)
{
	return peer_send(p, SQ_AMQP_CHANNEL, id, decoded, why);
}

bool
sq_amqp_peer_looks(const struct sq_amqp_peer *p)
{
	return p->channels >= SQ_AMQP_LOOK_CHANNEL;
}

int
sq_amqp_peer_look(
    struct sq_amqp_peer *p, amqp_method_number_t id, void *decoded, struct sq_buf *why)
{
	p->looks = true;
	return peer_send(p, SQ_AMQP_LOOK_CHANNEL, id, decoded, why);
}

int
sq_amqp_peer_ask(struct sq_amqp_peer *p, amqp_method_number_t id, void *decoded,
    amqp_method_number_t wanted, amqp_method_t *out, enum sq_amqp_trouble of, struct sq_buf *why)
{
	int rc = peer_send(p, SQ_AMQP_CHANNEL, id, decoded, why);

	return rc == SQ_OK ? sq_amqp_peer_await(p, SQ_AMQP_CHANNEL, wanted, out, of, why) : rc;
}

int
sq_amqp_peer_open(struct sq_amqp_peer *p, struct sq_buf *why)
{
	amqp_channel_open_t open = {0};
	int rc = sq_amqp_peer_ask(p, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD,
	    NULL, SQ_AMQP_REFUSED, why);

	sq_amqp_peer_done(p);
	return rc;
}

int
sq_amqp_peer_reopen(struct sq_amqp_peer *p, struct sq_buf *why)
{
	amqp_channel_close_ok_t ok = {0};
	int rc = sq_amqp_peer_send(p, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, why);

	sq_amqp_peer_done(p);
	return rc == SQ_OK ? sq_amqp_peer_open(p, why) : rc;
}

int
sq_amqp_peer_beat(struct sq_amqp_peer *p, struct sq_buf *why)
{
	const amqp_frame_t beat = {.frame_type = AMQP_FRAME_HEARTBEAT, .channel = 0};
	int status = amqp_send_frame(p->state, &beat);

	return status == AMQP_STATUS_OK ? SQ_OK : sq_amqp_peer_broken(p, status, why);
}

/* Life. */

void
sq_amqp_peer_free(struct sq_amqp_peer **pp)
{
	struct sq_amqp_peer *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	amqp_destroy_connection(p->state);
	free(p->blocked_why);
	free(p);
}

void
sq_amqp_peer_bye(struct sq_amqp_peer *p)
{
	amqp_connection_close_t close = {
	    .reply_code = AMQP_REPLY_SUCCESS, .reply_text = amqp_cstring_bytes("bye")};
	uint64_t until_ms = sq_clock_ms() + BYE_MS;
	struct sq_buf why = {0};
	amqp_frame_t frame;
	int rc = peer_send(p, 0, AMQP_CONNECTION_CLOSE_METHOD, &close, &why);

	while (rc == SQ_OK && sq_clock_ms() < until_ms) {
		rc = sq_amqp_peer_frame(p, until_ms, &frame, &why);
		if (rc == SQ_OK && frame.channel == 0)
			break; /* its answer, or what is none */
		sq_amqp_peer_done(p);
	}
	sq_buf_fini(&why);
}

amqp_connection_state_t
sq_amqp_peer_state(const struct sq_amqp_peer *p)
{
	return p->state;
}

int
sq_amqp_peer_fd(const struct sq_amqp_peer *p)
{
	return amqp_get_sockfd(p->state);
}

void
sq_amqp_peer_cork(const struct sq_amqp_peer *p, bool on)
{
	int value = on;

	/* Without it there are more packets, no more than that. */
	(void)setsockopt(sq_amqp_peer_fd(p), IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

size_t
sq_amqp_peer_frame_max(const struct sq_amqp_peer *p)
{
	return p->frame_max;
}

bool
sq_amqp_peer_blocked(const struct sq_amqp_peer *p)
{
	return p->blocked;
}

const char *
sq_amqp_peer_blocked_why(const struct sq_amqp_peer *p)
{
	return p->blocked_why;
}

enum sq_amqp_trouble
sq_amqp_peer_trouble(const struct sq_amqp_peer *p)
{
	return p->trouble;
}
