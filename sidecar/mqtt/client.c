/* The socket of a client: events, input to packets, time-outs.  The end is in client_end.c, packets
 * are in client_in.c, CONNECT in client_connect.c, output in client_out.c. */
#include "sidecar/mqtt/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/mqtt/foreign.h"
#include "sidecar/hold/room.h"
#include "sidecar/hold/hold.h"

enum { CLOSING_MS = 2000, CATCH_UP_READS = 16 };

/* The end that an error of the decoder is. */
static enum sq_client_end
client_decode_end(uint8_t reason)
{
	switch (reason) {
	case SQ_MQTT_RC_PACKET_TOO_LARGE:
		return SQ_END_TOO_LARGE;
	case SQ_MQTT_RC_PROTOCOL_ERROR:
		return SQ_END_PROTOCOL;
	case SQ_MQTT_RC_TOPIC_ALIAS_INVALID:
		return SQ_END_ALIAS;
	default:
		return SQ_END_MALFORMED;
	}
}

/* Whether the first bytes are of another protocol, or may be; then they are not
 * decoded.  A foreigner is told in its own protocol, and the log says who came. */
static bool
client_foreign(struct sq_client *c, const unsigned char *p, size_t len, bool last)
{
	enum sq_foreign f = sq_foreign_find(p, len, last);
	struct sq_buf answer = {0};

	if (f == SQ_FOREIGN_NONE || f == SQ_FOREIGN_UNSURE)
		return f == SQ_FOREIGN_UNSURE;
	sq_holds_count(c->of->holds, SQ_M_FOREIGN_HTTP + (f - SQ_FOREIGN_HTTP), 1);
	SQ_WARN("client", "%s: %s came to the MQTT port, closed; %s", c->from, sq_foreign_name(f),
	    sq_foreign_hint(f));
	sq_foreign_answer(f, &answer);
	if (sq_buf_len(&answer) > 0)
		(void)sq_client_put(c, &answer);
	sq_buf_fini(&answer);
	sq_client_end(c, SQ_END_FOREIGN);
	return true;
}

/* Decodes the packets at 'p'; returns the number of bytes used. */
static size_t
client_decode(struct sq_client *c, unsigned char *p, size_t len)
{
	size_t at = 0;

	if (c->state == SQ_CLIENT_NEW && client_foreign(c, p, len, false))
		return 0;
	while (at < len && (c->state == SQ_CLIENT_NEW || c->state == SQ_CLIENT_OPEN) &&
	    !c->in.blocked) {
		struct sq_mqtt_packet packet;
		size_t used;
		int rc = sq_mqtt_decode(&c->in.decoder, p + at, len - at, &packet, &used);

		if (rc == SQ_EAGAIN)
			break;
		if (rc != 0) {
			if (c->state == SQ_CLIENT_NEW)
				sq_client_refuse(c, c->in.decoder.reason, c->in.decoder.error);
			else
				sq_client_end_because(c, client_decode_end(c->in.decoder.reason),
				    sq_bytes_of(c->in.decoder.error));
			break;
		}
		if (c->state == SQ_CLIENT_NEW) {
			sq_client_first(c, &packet, p + at, used);
		} else if (sq_client_packet(c, &packet, used) == SQ_EAGAIN) {
			c->in.blocked = true;
			break;
		}
		at += used;
	}
	/* While the client waits for its CONNACK or for room, it is not read. */
	if (c->in.blocked || c->state == SQ_CLIENT_CHECKING || c->state == SQ_CLIENT_WAITING)
		ev_io_stop(c->of->loop->ev, &c->in.io);
	return at;
}

/* Whether input is of no more use; drops pending input then. */
static bool
client_deaf(struct sq_client *c)
{
	if (c->state < SQ_CLIENT_CLOSING)
		return false;
	sq_buf_fini(&c->in.rest);
	return true;
}

/* Reads once.  Returns the bytes read, 0 when there is nothing to do. */
static size_t
client_recv(struct sq_client *c, unsigned char *to, size_t room)
{
	ssize_t n = read(c->in.io.fd, to, room);

	if (n > 0) {
		c->in.heard_ms = sq_holds_now(c->of->holds);
		c->in.received += (uint64_t)n;
		c->of->bytes_received += (uint64_t)n;
		return (size_t)n;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (c->state == SQ_CLIENT_CLOSING)
		sq_client_enter(c, SQ_CLIENT_DEAD);
	else
		sq_client_end(c, n == 0 || errno == ECONNRESET ? SQ_END_GONE : SQ_END_IO);
	return 0;
}

/* A packet larger than the shared buffer is put together in one of its own. */
static void
client_read_large(struct sq_client *c, size_t room)
{
	size_t n = client_recv(c, sq_buf_reserve(&c->in.rest, room), room);

	if (n == 0 || client_deaf(c))
		return;
	sq_buf_commit(&c->in.rest, n);
	if (sq_buf_len(&c->in.rest) >= c->in.decoder.need)
		sq_buf_drain(&c->in.rest,
		    client_decode(c, sq_buf_data(&c->in.rest), sq_buf_len(&c->in.rest)));
	if (!client_deaf(c))
		sq_buf_trim(&c->in.rest, 0);
}

/* Whether the rest of a large packet is not read just now, for want of memory. */
static bool
client_waits(struct sq_client *c)
{
	if (!sq_room_none())
		return false;
	if (c->hold == NULL) {
		sq_client_end(c, SQ_END_MEMORY);
		return true;
	}
	c->in.blocked = true;
	ev_io_stop(c->of->loop->ev, &c->in.io);
	sq_hold_pause(c->hold);
	return true;
}

/* Reads once by way of 'buf', which has room for twice SQ_READ_MAX. */
static void
client_read(struct sq_client *c, unsigned char *buf)
{
	size_t left = sq_buf_len(&c->in.rest), n, used;
	bool fresh;

	if (c->state == SQ_CLIENT_CLOSING) {
		(void)client_recv(c, buf, SQ_READ_MAX);
		return;
	}
	if (left > 0 && (left > SQ_READ_MAX || c->in.decoder.need > SQ_READ_MAX)) {
		size_t missing = c->in.decoder.need > left ? c->in.decoder.need - left : 1;

		if (client_waits(c))
			return;
		client_read_large(c, missing > SQ_READ_MAX ? missing : SQ_READ_MAX);
		return;
	}
	if (left > 0)
		memcpy(buf, sq_buf_data(&c->in.rest), left);
	n = client_recv(c, buf + left, SQ_READ_MAX);
	if (n == 0 || client_deaf(c))
		return;
	n += left;
	fresh = c->state == SQ_CLIENT_NEW;
	used = client_decode(c, buf, n);
	if (fresh && left > 0) /* it may have a part of a password */
		explicit_bzero(sq_buf_data(&c->in.rest), left);
	sq_buf_fini(&c->in.rest);
	if (!client_deaf(c))
		sq_buf_append(&c->in.rest, buf + used, n - used);
}

static void
client_on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct sq_client *c = w->data;

	(void)loop;
	(void)events;
	client_read(c, c->of->loop->read_buf);
	sq_client_bury(c);
}

void
sq_client_catch_up(struct sq_client *c)
{
	unsigned char *buf; /* the loop's has the CONNECT that this comes from */
	uint64_t before;

	if (c->state != SQ_CLIENT_OPEN || c->in.blocked)
		return;
	buf = sq_xmalloc(2 * SQ_READ_MAX);
	for (int i = 0; i < CATCH_UP_READS && c->state == SQ_CLIENT_OPEN && !c->in.blocked; i++) {
		before = c->in.received;
		client_read(c, buf);
		if (c->in.received == before)
			break;
	}
	free(buf);
	sq_client_bury(c);
}

static void
client_on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct sq_client *c = w->data;

	(void)events;
	ev_io_stop(loop, w);
	sq_client_touch(c);
}

/* Goes on with input that had to wait. */
static void
client_on_reader(struct sq_turn *t)
{
	struct sq_client *c = SQ_CONTAINER_OF(t, struct sq_client, reader);

	if (c->state != SQ_CLIENT_OPEN)
		return;
	if (sq_output_len(&c->out.queue) > c->of->cfg->output_bytes + c->of->cfg->credit_bytes)
		return; /* it must read first */
	c->in.blocked = false;
	if (sq_buf_len(&c->in.rest) > 0) {
		sq_buf_drain(&c->in.rest,
		    client_decode(c, sq_buf_data(&c->in.rest), sq_buf_len(&c->in.rest)));
		if (!client_deaf(c))
			sq_buf_trim(&c->in.rest, 0);
	}
	if (c->state == SQ_CLIENT_OPEN && !c->in.blocked) {
		c->in.heard_ms = sq_holds_now(c->of->holds);
		ev_io_start(c->of->loop->ev, &c->in.io);
	}
}

static void
client_on_writer(struct sq_turn *t)
{
	sq_client_write(SQ_CONTAINER_OF(t, struct sq_client, writer));
}

void
sq_client_new(struct sq_clients *of, int fd, const char *from)
{
	struct sq_client *c = sq_xcalloc(1, sizeof *c);

	c->of = of;
	c->from = sq_xstrdup(from);
	c->since_ms = c->in.heard_ms = sq_holds_now(of->holds);
	c->out.wants_words = true;
	c->in.decoder.role = SQ_MQTT_SERVER;
	c->in.decoder.max_packet = (uint32_t)of->cfg->max_packet;
	c->in.decoder.plain = (of->holds->told.limits.off & SQ_OFF_CONTROL) != 0;
	ev_io_init(&c->in.io, client_on_readable, fd, EV_READ);
	ev_io_init(&c->out.io, client_on_writable, fd, EV_WRITE);
	c->in.io.data = c->out.io.data = c;
	sq_turn_init(&c->reader, client_on_reader);
	sq_turn_init(&c->writer, client_on_writer);
	sq_client_begin(c);
	ev_io_start(of->loop->ev, &c->in.io);
	SQ_DEBUG("client", "%s connected", from);
}

size_t
sq_client_holds(const struct sq_client *c)
{
	return c->state == SQ_CLIENT_DEAD ? 0 : sq_output_len(&c->out.queue) + c->in.rest.cap;
}

size_t
sq_client_output(const struct sq_client *c)
{
	return c->state == SQ_CLIENT_DEAD ? 0 : sq_output_len(&c->out.queue);
}

void
sq_client_evict(struct sq_client *c)
{
	uint64_t msgs, bytes;

	if (c->state < SQ_CLIENT_CLOSING) {
		sq_client_end(c, SQ_END_MEMORY);
		sq_client_write(c);
	}
	if (c->state == SQ_CLIENT_DEAD)
		return;
	sq_output_drop(&c->out.queue, &msgs, &bytes);
	sq_buf_fini(&c->in.rest);
	sq_client_enter(c, SQ_CLIENT_DEAD);
	sq_client_bury(c);
}

void
sq_client_sweep(struct sq_client *c, uint64_t now_ms)
{
	const struct sq_sidecar_cfg *cfg = c->of->cfg;

	switch ((enum sq_client_state)c->state) {
	case SQ_CLIENT_NEW:
		if (now_ms - c->since_ms >= cfg->connect_timeout_ms &&
		    !client_foreign(c, sq_buf_data(&c->in.rest), sq_buf_len(&c->in.rest), true))
			sq_client_end(c, SQ_END_NO_CONNECT);
		break;
	case SQ_CLIENT_CHECKING:
		if (now_ms - c->since_ms >= cfg->attach_timeout_ms)
			sq_client_refuse(c, SQ_MQTT_RC_SERVER_UNAVAILABLE,
			    "its password could not be checked in time");
		break;
	case SQ_CLIENT_WAITING:
		if (c->con.transient && now_ms - c->since_ms >= SQ_LIMITS_WAIT_MS)
			sq_client_go_ahead(c);
		else if (now_ms - c->since_ms >= cfg->attach_timeout_ms)
			sq_client_refuse(
			    c, SQ_MQTT_RC_SERVER_UNAVAILABLE, "no broker is reachable");
		break;
	case SQ_CLIENT_OPEN:
		/* While it isn't read, nobody can tell whether it is alive. */
		if (c->con.keep_alive_s != 0 && !c->in.blocked &&
		    now_ms - c->in.heard_ms > c->con.keep_alive_s * UINT64_C(1500))
			sq_client_end(c, SQ_END_KEEP_ALIVE);
		else if (now_ms - c->in.heard_ms > 1000 && c->hold != NULL)
			sq_hold_trim(c->hold);
		break;
	case SQ_CLIENT_CLOSING:
		if (now_ms - c->since_ms >= CLOSING_MS) {
			sq_client_enter(c, SQ_CLIENT_DEAD);
			sq_client_bury(c);
		}
		break;
	case SQ_CLIENT_DEAD:
		break;
	}
}
