/* The end of a client, with its packets and log lines; above client_put.c, below all files that may
 * end a client. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/hold.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/mqtt/password_check.h"
#include "sidecar/outbox/writer.h"

static const struct {
	uint8_t reason;
	bool bad, quiet;
	const char *text;
} client_ends[] = {
#define CLIENT_END_ROW(sym, reason, bad, quiet, text) {reason, bad, quiet, text},
    SQ_CLIENT_ENDS(CLIENT_END_ROW)
#undef CLIENT_END_ROW
};

const char *
sq_client_name(const struct sq_client *c)
{
	return c->hold != NULL ? sq_hold_client_id(c->hold) : c->from;
}

void
sq_client_resume(struct sq_client *c)
{
	if (c->state < SQ_CLIENT_CLOSING)
		sq_loop_post(c->of->loop, SQ_TURN_INPUT, &c->reader);
}

static void
client_forget_password(struct sq_client *c)
{
	sq_password_forget(&c->con.ask);
	sq_buf_fini(&c->con.packet);
}

/* Lets go of the hold, which ends as the client has. */
static void
client_leave(struct sq_client *c, unsigned how)
{
	struct sq_hold *hold = c->hold;

	if (hold == NULL)
		return;
	if (c->of->tracer != NULL)
		sq_tracer_left(c->of->tracer, c);
	if (c->con.expiry_s == 0)
		sq_outbox_writer_forget(c->disk);
	c->disk = NULL; /* it goes with the hold */
	c->hold = NULL;
	sq_hold_leave(hold, how, c->con.expiry_s);
	sq_receiver_left(sq_declared_receiver(c->of->declared), &c->taker);
}

void
sq_client_enter(struct sq_client *c, enum sq_client_state to)
{
	static const uint8_t from[] = {
	    [SQ_CLIENT_NEW] = 1 << SQ_CLIENT_CHECKING,
	    [SQ_CLIENT_CHECKING] = 1 << SQ_CLIENT_NEW,
	    [SQ_CLIENT_WAITING] = 1 << SQ_CLIENT_NEW,
	    [SQ_CLIENT_OPEN] = 1 << SQ_CLIENT_WAITING,
	    [SQ_CLIENT_CLOSING] = (1 << SQ_CLIENT_CLOSING) - 1,
	    [SQ_CLIENT_DEAD] = (2 << SQ_CLIENT_DEAD) - 1,
	};

	assert((from[to] >> c->state & 1) != 0);
	assert(to < SQ_CLIENT_CLOSING || c->hold == NULL);
	c->state = (uint8_t)to;
}

void
sq_client_begin(struct sq_client *c)
{
	sq_list_push_back(&c->of->all, &c->all);
	c->of->n++;
	sq_holds_count(c->of->holds, SQ_M_CLIENTS, 1);
}

static void
client_free_aliases(struct sq_alias **ap, unsigned n)
{
	for (unsigned i = 0; *ap != NULL && i < n; i++)
		free((*ap)[i].topic);
	free(*ap);
	*ap = NULL;
}

void
sq_client_free(struct sq_client *c)
{
	struct sq_clients *of = c->of;
	uint64_t msgs, bytes;

	client_leave(c, SQ_LEAVE_WILL | SQ_LEAVE_QUIET);
	client_forget_password(c);
	ev_io_stop(of->loop->ev, &c->in.io);
	ev_io_stop(of->loop->ev, &c->out.io);
	close(c->in.io.fd);
	sq_list_remove(&c->all);
	sq_turn_cancel(&c->reader);
	sq_turn_cancel(&c->writer);
	sq_output_drop(&c->out.queue, &msgs, &bytes);
	sq_buf_fini(&c->in.rest);
	client_free_aliases(&c->in.aliases, c->in.n_aliases);
	client_free_aliases(&c->out.aliases, SQ_ALIAS_OUT_MAX);
	free(c->from);
	free(c);
	assert(of->n > 0);
	of->n--;
	sq_holds_count(of->holds, SQ_M_CLIENTS, -1);
}

static void
client_reap(struct sq_turn *t)
{
	sq_client_free(SQ_CONTAINER_OF(t, struct sq_client, reader));
}

void
sq_client_bury(struct sq_client *c)
{
	if (c->state != SQ_CLIENT_DEAD)
		return;
	sq_turn_cancel(&c->reader);
	sq_turn_init(&c->reader, client_reap);
	sq_loop_post(c->of->loop, SQ_TURN_REAP, &c->reader);
}

void
sq_client_end(struct sq_client *c, enum sq_client_end why)
{
	sq_client_end_because(c, why, (struct sq_bytes){0});
}

void
sq_client_end_because(struct sq_client *c, enum sq_client_end why, struct sq_bytes text)
{
	unsigned how = (why != SQ_END_DISCONNECTED ? SQ_LEAVE_WILL : 0) |
	    (client_ends[why].quiet ? SQ_LEAVE_QUIET : 0);
	uint8_t reason = client_ends[why].reason;

	if (c->state >= SQ_CLIENT_CLOSING)
		return;
	c->end = (uint8_t)why;
	if (client_ends[why].bad)
		SQ_WARN("client", "%s: closed, %s%s%.*s", sq_client_name(c), client_ends[why].text,
		    text.len > 0 ? ": " : "", (int)text.len, (const char *)text.p);
	else
		SQ_DEBUG("client", "%s: closed, %s", sq_client_name(c), client_ends[why].text);
	if (text.len == 0)
		text = sq_bytes_of(client_ends[why].text);
	if (c->state == SQ_CLIENT_OPEN && reason != 0)
		sq_client_put_disconnect(c, reason, text);
	client_leave(c, how);
	client_forget_password(c);
	sq_client_enter(c, SQ_CLIENT_CLOSING);
	c->since_ms = sq_holds_now(c->of->holds);
	c->in.blocked = false;
	if (why == SQ_END_GONE || why == SQ_END_IO || why == SQ_END_LEFT_WILL) {
		sq_client_enter(c, SQ_CLIENT_DEAD);
		sq_client_bury(c);
		return;
	}
	ev_io_start(c->of->loop->ev, &c->in.io);
	sq_client_touch(c); /* what is left is written, then our side is shut */
}
