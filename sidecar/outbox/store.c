/* The store of a disk outbox: the app's side, the journal's news, reading ahead, and the states
 * that the sender asks for; see store.h. */
#include "sidecar/outbox/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "sidecar/outbox/store_priv.h"

enum {
	STATE_EVERY = 256 << 10, /* bytes appended or finished between states */
	AHEAD_MAX = 1 << 20,     /* bytes in memory that wait for a broker */
	UNSYNCED_MAX = 256 << 10,
	HANG_MS = 30000, /* a longer commit is a stall, as by the broker's default */
};

static void
store_append(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	st->tail.unsynced += e->size;
	sq_list_push_back(&st->tail.appended, &e->all);
	if (e->kind != SQ_OUTBOX_STATE)
		st->written.since += e->size;
	sq_journal_append(st->journal, &e->journal);
}

/* Where records are still needed from. */
static uint64_t
store_low(const struct sq_outbox_store *st)
{
	const struct sq_outbox_entry *head = sq_outbox_send_first(&st->send);

	if (head != NULL)
		return head->lsn;
	return st->behind.is ? st->behind.cursor.lsn : st->tail.last_lsn + 1;
}

void
sq_outbox_store_write(struct sq_outbox_store *st, bool gates)
{
	struct sq_outbox_state state = {
	    .low = store_low(st), .next_seq = st->tail.next_seq, .tail_bytes = st->tail.bytes};
	struct sq_buf b = {0};
	struct sq_outbox_entry *e;

	st->written.dirty = false;
	st->written.since = 0;
	st->written.flies = true;
	assert(sq_outbox_send_whole(&st->send));
	sq_outbox_send_state(&st->send, &state);
	sq_outbox_state_put(&state, &st->held, &b);
	sq_outbox_skips_fini(&state.skips);
	e = sq_outbox_entry_new(SQ_OUTBOX_STATE, 0, SQ_OUTBOX_ENTRY_HEADER + sq_buf_len(&b));
	memcpy(e->bytes + SQ_OUTBOX_ENTRY_HEADER, sq_buf_data(&b), sq_buf_len(&b));
	e->low = state.low;
	e->first_number = state.first_number;
	e->done_bytes = state.done_bytes;
	e->gates = gates;
	st->written.size = sq_buf_len(&b);
	sq_buf_fini(&b);
	store_append(st, e);
}

/* Drops entries that the sender has finished. */
static void
store_finish(struct sq_outbox_store *st)
{
	size_t bytes = sq_outbox_send_finish(&st->send);

	st->written.since += bytes;
	st->written.dirty = st->written.dirty || bytes != 0;
}

/* After each call that moves the sender on. */
static void
store_settle(struct sq_outbox_store *st)
{
	store_finish(st);
	if (sq_outbox_send_settle(&st->send))
		sq_outbox_store_write(st, true);
}

/* --- the app's side --- */

/* Whether an entry of 'size' bytes may come now; at least one may. */
static bool
store_room(struct sq_outbox_store *st, size_t size)
{
	uint64_t waiting = sq_outbox_store_bytes(st);

	if ((st->tail.unsynced != 0 && st->tail.unsynced + size > UNSYNCED_MAX) ||
	    (waiting != 0 && waiting + size > st->cfg.size) || sq_buf_len(&st->stalled) != 0) {
		st->refused = true;
		return false;
	}
	return true;
}

static void
store_put(struct sq_outbox_store *st, struct sq_outbox_port *port, struct sq_outbox_entry *e)
{
	e->port = port;
	if (port != NULL)
		sq_list_push_back(&port->pending, &e->mine);
	store_append(st, e);
}

int
sq_outbox_store_publish(struct sq_outbox_store *st, struct sq_outbox_port *port,
    const char *client_id, const struct sq_lane_publish *m)
{
	size_t size = sq_outbox_entry_message_size(client_id, m);
	struct sq_outbox_entry *e;

	assert(m->qos > 0);
	if (m->topic.len == 0 || m->topic.len > UINT16_MAX || size > SQ_LOG_ENTRY_MAX)
		return SQ_ETOOBIG;
	if (m->qos == 2 && sq_outbox_store_holds(st, client_id, m->packet_id)) {
		if (!store_room(st, SQ_OUTBOX_ENTRY_HEADER))
			return SQ_EAGAIN;
		e = sq_outbox_entry_new(SQ_OUTBOX_AGAIN, m->packet_id, SQ_OUTBOX_ENTRY_HEADER);
		e->qos = 2;
		store_put(st, port, e);
		return 0;
	}
	if (!store_room(st, size))
		return SQ_EAGAIN;
	e = sq_outbox_entry_message(client_id, m, st->tail.next_seq++, st->tail.bytes);
	st->tail.bytes = e->end;
	if (port != NULL)
		port->last = e->seq;
	if (m->qos == 2)
		sq_outbox_held_add(&st->held, client_id, strlen(client_id), m->packet_id);
	store_put(st, port, e);
	return 0;
}

int
sq_outbox_store_release(struct sq_outbox_store *st, struct sq_outbox_port *port,
    const char *client_id, uint16_t packet_id)
{
	struct sq_outbox_entry *e;

	/* Releases are small, and one for each message: they need no bound. */
	e = sq_outbox_entry_of(SQ_OUTBOX_RELEASE, packet_id, client_id);
	e->qos = 2;
	sq_outbox_held_remove(&st->held, client_id, strlen(client_id), packet_id);
	store_put(st, port, e);
	return 0;
}

void
sq_outbox_store_forget(struct sq_outbox_store *st, const char *client_id)
{
	size_t n = st->held.clients.n;

	sq_outbox_held_forget(&st->held, client_id, strlen(client_id));
	if (st->held.clients.n != n)
		store_append(st, sq_outbox_entry_of(SQ_OUTBOX_FORGET, 0, client_id));
}

bool
sq_outbox_store_holds(const struct sq_outbox_store *st, const char *client_id, uint16_t id)
{
	return sq_outbox_held_has(&st->held, client_id, id);
}

void
sq_outbox_store_forget_all(struct sq_outbox_store *st)
{
	sq_outbox_held_fini(&st->held);
}

void
sq_outbox_port_init(struct sq_outbox_port *port, void *user)
{
	*port = (struct sq_outbox_port){.user = user};
	sq_list_init(&port->pending);
}

void
sq_outbox_port_close(struct sq_outbox_port *port)
{
	SQ_LIST_FOR_EACH_SAFE(e, &port->pending, struct sq_outbox_entry, mine) {
		sq_list_remove(&e->mine);
		e->port = NULL;
	}
}

/* --- the journal's news --- */

static void
entry_ack(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	struct sq_outbox_port *port = e->port;
	struct sq_lane_outcome o = {
	    .kind = e->kind == SQ_OUTBOX_RELEASE ? SQ_ENTRY_RELEASE : SQ_ENTRY_MESSAGE,
	    .qos = e->qos,
	    .packet_id = e->packet_id};

	if (port == NULL)
		return;
	sq_list_remove(&e->mine);
	e->port = NULL;
	st->cfg.acked(st->cfg.owner, port, &o);
}

static void
state_synced(struct sq_outbox_store *st, const struct sq_outbox_entry *e)
{
	uint64_t low = e->low < e->lsn ? e->low : e->lsn;

	st->written.flies = false;
	sq_outbox_send_written(&st->send, e->first_number, e->done_bytes, e->gates);
	if (low > 1)
		sq_journal_release(st->journal, low - 1);
}

static void
entry_synced(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	assert(st->tail.unsynced >= e->size && e->lsn >= st->tail.last_lsn);
	st->tail.unsynced -= e->size;
	sq_list_remove(&e->all);
	st->tail.last_lsn = e->lsn;
	entry_ack(st, e);
	if (e->kind == SQ_OUTBOX_STATE)
		state_synced(st, e);
	if (e->kind != SQ_OUTBOX_MESSAGE || e->seq <= st->send.loaded_seq) {
		sq_outbox_entry_free(e);
		return;
	}
	if (!st->behind.is && st->send.ahead_bytes > 0 &&
	    st->send.ahead_bytes + e->size > AHEAD_MAX) {
		st->behind.is = true; /* from here on it is read back */
		sq_journal_cursor_fini(&st->behind.cursor);
		st->behind.cursor = (struct sq_journal_cursor){.lsn = e->lsn, .fd = -1};
	}
	if (st->behind.is)
		sq_outbox_entry_free(e);
	else
		sq_outbox_send_load(&st->send, e);
}

/* --- reading ahead --- */

/* Takes a record's messages that are not loaded yet. */
static int
ahead_record(struct sq_outbox_store *st, uint64_t lsn)
{
	struct sq_bytes rest = {sq_buf_data(&st->behind.record), sq_buf_len(&st->behind.record)};

	for (size_t size; rest.len > 0; rest.p += size, rest.len -= size) {
		struct sq_outbox_entry *e;

		size = sq_outbox_entry_size(rest.p, rest.len);
		if (size == 0)
			return SQ_EINVAL;
		if (rest.p[0] != SQ_OUTBOX_MESSAGE)
			continue;
		e = sq_outbox_entry_read(rest.p, size, lsn);
		if (e == NULL)
			return SQ_EINVAL;
		if (e->seq > st->send.loaded_seq)
			sq_outbox_send_load(&st->send, e);
		else
			sq_outbox_entry_free(e);
	}
	return 0;
}

static void
store_broken(struct sq_outbox_store *st)
{
	st->behind.broken = true;
	sq_buf_fini(&st->stalled);
	sq_buf_printf(&st->stalled, "%s: what waits in record %llu can't be read again",
	    st->cfg.dir, (unsigned long long)st->behind.cursor.lsn);
	sq_buf_u8(&st->stalled, 0);
}

static void
store_read_ahead(struct sq_outbox_store *st)
{
	while (st->behind.is && !st->behind.broken &&
	    (st->send.ahead_bytes < AHEAD_MAX / 2 || sq_outbox_send_lacks(&st->send))) {
		uint64_t lsn = st->behind.cursor.lsn;
		int rc = sq_journal_read(st->journal, &st->behind.cursor, &st->behind.record);

		if (rc == SQ_EAGAIN)
			st->behind.is = false;
		else if (rc != 0 || ahead_record(st, lsn) != 0)
			store_broken(st);
	}
	if (!st->behind.is) {
		sq_buf_fini(&st->behind.record);
		sq_journal_cursor_fini(&st->behind.cursor);
	}
}

/* Takes over the news of the journal's thread. */
static void
store_news(struct sq_outbox_store *st, struct sq_list *synced)
{
	pthread_mutex_lock(&st->news.mutex);
	sq_list_splice(synced, &st->news.synced);
	if (!st->behind.broken) {
		sq_buf_fini(&st->stalled);
		if (sq_buf_len(&st->news.stall) != 0) {
			sq_buf_append(&st->stalled, sq_buf_data(&st->news.stall),
			    sq_buf_len(&st->news.stall));
			sq_buf_u8(&st->stalled, 0);
		}
	}
	pthread_mutex_unlock(&st->news.mutex);
}

bool
sq_outbox_store_turn(struct sq_outbox_store *st)
{
	struct sq_outbox_entry *e;
	struct sq_list synced;
	size_t every = st->written.size * 4 > STATE_EVERY ? st->written.size * 4 : STATE_EVERY;
	bool asked = st->refused;

	sq_list_init(&synced);
	store_news(st, &synced);
	while ((e = SQ_LIST_FIRST(&synced, struct sq_outbox_entry, journal.node)) != NULL) {
		sq_list_remove(&e->journal.node);
		st->written.dirty = st->written.dirty || e->kind != SQ_OUTBOX_STATE;
		entry_synced(st, e);
	}
	store_finish(st);
	store_read_ahead(st);
	store_settle(st);
	if ((st->written.since >= every || sq_outbox_send_due(&st->send)) && !st->written.flies &&
	    sq_outbox_send_whole(&st->send))
		sq_outbox_store_write(st, false);
	/* Room is told of once there is some, not at each message. */
	if (asked && sq_buf_len(&st->stalled) == 0 && st->tail.unsynced <= UNSYNCED_MAX / 2 &&
	    sq_outbox_store_bytes(st) <= st->cfg.size - st->cfg.size / 8)
		st->refused = false;
	return sq_outbox_send_first(&st->send) != NULL || (asked && !st->refused);
}

void
sq_outbox_store_rest(struct sq_outbox_store *st)
{
	if (st->written.dirty && !st->written.flies && sq_outbox_send_first(&st->send) == NULL &&
	    sq_outbox_send_whole(&st->send) && st->tail.unsynced == 0)
		sq_outbox_store_write(st, false);
}

uint64_t
sq_outbox_store_bytes(const struct sq_outbox_store *st)
{
	return st->tail.bytes - sq_outbox_send_done_bytes(&st->send);
}

bool
sq_outbox_store_idle(const struct sq_outbox_store *st)
{
	return (sq_outbox_send_first(&st->send) == NULL) && !st->behind.is &&
	    st->send.flying == 0 && sq_outbox_store_bytes(st) == 0;
}

bool
sq_outbox_store_spent(const struct sq_outbox_store *st)
{
	return sq_outbox_store_idle(st) && st->held.clients.n == 0;
}

const char *
sq_outbox_store_stalled(const struct sq_outbox_store *st)
{
	if (sq_buf_len(&st->stalled) != 0)
		return (const char *)sq_buf_data(&st->stalled);
	return sq_journal_busy_ms(st->journal) > HANG_MS ? "the disk does not answer" : NULL;
}

void
sq_outbox_store_resize(struct sq_outbox_store *st, uint64_t size)
{
	st->cfg.size = size < st->opened_size ? size : st->opened_size;
}

/* --- towards the broker --- */

void
sq_outbox_store_attached(
    struct sq_outbox_store *st, uint64_t incarnation, uint64_t last, uint64_t run)
{
	sq_outbox_send_attached(&st->send, incarnation, last, run, st->tail.next_seq);
	store_settle(st);
}

void
sq_outbox_store_bar(struct sq_outbox_store *st, uint64_t seq)
{
	sq_outbox_send_bar(&st->send, seq);
}

uint64_t
sq_outbox_store_outcomes(struct sq_outbox_store *st)
{
	return sq_outbox_send_outcomes(&st->send);
}

struct sq_outbox_batch *
sq_outbox_store_take(struct sq_outbox_store *st, uint64_t now_ms)
{
	return sq_outbox_send_take(&st->send, now_ms);
}

int
sq_outbox_store_answered(struct sq_outbox_store *st, struct sq_outbox_batch **bp,
    const struct sq_outcomes *o, uint64_t now_ms)
{
	int rc = sq_outbox_send_answered(&st->send, bp, o, now_ms);

	store_settle(st);
	return rc;
}

void
sq_outbox_store_failed(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	sq_outbox_send_failed(&st->send, bp);
	store_settle(st);
}

void
sq_outbox_store_run_lost(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	sq_outbox_send_run_lost(&st->send, bp);
	store_settle(st);
}

void
sq_outbox_store_too_big(struct sq_outbox_store *st, struct sq_outbox_batch **bp)
{
	sq_outbox_send_too_big(&st->send, bp);
	store_settle(st);
}

uint64_t
sq_outbox_store_incarnation(const struct sq_outbox_store *st)
{
	return st->send.numbers.incarnation;
}

uint64_t
sq_outbox_store_last(const struct sq_outbox_store *st)
{
	return sq_outbox_send_first_number(&st->send) - 1;
}

bool
sq_outbox_store_flies(const struct sq_outbox_store *st)
{
	return st->send.flying != 0;
}

uint64_t
sq_outbox_store_due(const struct sq_outbox_store *st)
{
	return st->send.due_ms;
}
