/* The app's side of a disk outbox, and what waits in it; its life is in outbox_open.c, the
 * sender in outbox_send.c, held ids and the written state in outbox_held.c. */
#include "sidecar/outbox/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "sidecar/outbox/priv.h"

enum { STATE_EVERY = 256 << 10 }; /* bytes appended or finished between states */

/* --- entries --- */

struct sq_outbox_entry *
sq_outbox_entry_new(enum sq_outbox_kind kind, uint16_t packet_id, size_t size)
{
	struct sq_outbox_entry *e = sq_xmalloc(sizeof *e + size);

	memset(e, 0, sizeof *e);
	sq_list_init(&e->journal.node);
	sq_list_init(&e->mine);
	sq_list_init(&e->all);
	e->kind = (uint8_t)kind;
	e->packet_id = packet_id;
	e->size = (uint32_t)size;
	e->journal.data = (struct sq_bytes){e->bytes, size};
	e->bytes[0] = (unsigned char)kind;
	e->bytes[1] = 0;
	sq_put16(e->bytes + 2, packet_id);
	sq_put32(e->bytes + 4, (uint32_t)size);
	return e;
}

void
sq_outbox_entry_free(struct sq_outbox_entry *e)
{
	sq_list_remove(&e->journal.node);
	sq_list_remove(&e->mine);
	sq_list_remove(&e->all);
	free(e);
}

size_t
sq_outbox_entry_size(const unsigned char *p, size_t left)
{
	size_t size = left >= SQ_OUTBOX_ENTRY_HEADER ? sq_get32(p + 4) : 0;

	return size >= SQ_OUTBOX_ENTRY_HEADER && size <= left ? size : 0;
}

size_t
sq_outbox_entry_client(const unsigned char *p, size_t size, struct sq_bytes *client)
{
	size_t at = SQ_OUTBOX_ENTRY_HEADER + (p[0] == SQ_OUTBOX_MESSAGE ? 16u : 0u);
	size_t len;

	if (size < at + 2)
		return 0;
	len = sq_get16(p + at);
	if (size < at + 2 + len)
		return 0;
	*client = (struct sq_bytes){p + at + 2, len};
	return at + 2 + len;
}

void
sq_outbox_append(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	st->unsynced += e->size;
	sq_list_push_back(&st->appended, &e->all);
	if (e->kind != SQ_OUTBOX_STATE)
		st->since_state += e->size;
	sq_journal_append(st->journal, &e->journal);
}

/* An entry about a client and its packet id. */
static struct sq_outbox_entry *
entry_of_client(enum sq_outbox_kind kind, uint16_t packet_id, const char *client_id)
{
	size_t len = strlen(client_id);
	struct sq_outbox_entry *e = sq_outbox_entry_new(
	    kind, packet_id, SQ_OUTBOX_ENTRY_HEADER + 2 + len);

	sq_put16(e->bytes + SQ_OUTBOX_ENTRY_HEADER, (uint16_t)len);
	memcpy(e->bytes + SQ_OUTBOX_ENTRY_HEADER + 2, client_id, len);
	return e;
}

/* Where records are still needed from. */
static uint64_t
store_low(const struct sq_outbox_store *st)
{
	const struct sq_outbox_entry *head = SQ_LIST_FIRST(
	    &st->ahead, struct sq_outbox_entry, journal.node);

	if (head != NULL)
		return head->lsn;
	return st->behind ? st->cursor.lsn : st->last_lsn + 1;
}

/* Forgets what was finished before the first one that is not. */
static void
store_prune_skips(struct sq_outbox_store *st)
{
	size_t n = 0;

	for (size_t i = 0; i < st->n_skips; i++) {
		if (st->skips[i].first + st->skips[i].n - 1 > sq_outbox_done_seq(st))
			st->skips[n++] = st->skips[i];
	}
	st->n_skips = n;
}

void
sq_outbox_write_state(struct sq_outbox_store *st, bool gates)
{
	struct sq_buf b = {0};
	struct sq_outbox_entry *e;

	store_prune_skips(st);
	st->dirty = false;
	st->since_state = 0;
	st->state_flies = true;
	sq_outbox_state_put(st, &b, store_low(st));
	e = sq_outbox_entry_new(SQ_OUTBOX_STATE, 0, SQ_OUTBOX_ENTRY_HEADER + sq_buf_len(&b));
	memcpy(e->bytes + SQ_OUTBOX_ENTRY_HEADER, sq_buf_data(&b), sq_buf_len(&b));
	e->low = store_low(st);
	e->gates = gates;
	st->gates += gates;
	st->state_size = sq_buf_len(&b);
	sq_buf_fini(&b);
	sq_outbox_append(st, e);
}

/* --- the app's side --- */

/* Whether an entry of 'size' bytes may come now; at least one may. */
static bool
store_room(struct sq_outbox_store *st, size_t size)
{
	uint64_t waiting = sq_outbox_store_bytes(st);

	if ((st->unsynced != 0 && st->unsynced + size > SQ_OUTBOX_UNSYNCED_MAX) ||
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
	sq_outbox_append(st, e);
}

/* Writes a message's client id and image behind its header. */
static void
message_fill(struct sq_outbox_entry *e, const char *client_id, const struct sq_lane_publish *m)
{
	unsigned char *p = e->bytes + SQ_OUTBOX_ENTRY_HEADER;
	size_t len = strlen(client_id);

	sq_put64(p, e->seq);
	sq_put64(p + 8, e->end);
	sq_put16(p + 16, (uint16_t)len);
	memcpy(p + 18, client_id, len);
	p += 18 + len;
	e->image = (uint32_t)(p - e->bytes);
	sq_image_header(
	    p, m->qos, m->retain, m->topic.len, m->props.len, m->expiry_s, m->payload.len);
	p += SQ_MSG_HEADER;
	memcpy(p, m->topic.p, m->topic.len);
	p += m->topic.len;
	if (m->props.len != 0)
		memcpy(p, m->props.p, m->props.len);
	p += m->props.len;
	if (m->payload.len != 0)
		memcpy(p, m->payload.p, m->payload.len);
}

int
sq_outbox_store_publish(struct sq_outbox_store *st, struct sq_outbox_port *port,
    const char *client_id, const struct sq_lane_publish *m)
{
	size_t len = strlen(client_id);
	size_t image = SQ_MSG_HEADER + m->topic.len + m->props.len + m->payload.len;
	size_t size = SQ_OUTBOX_ENTRY_HEADER + 18 + len + image;
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
	e = sq_outbox_entry_new(SQ_OUTBOX_MESSAGE, m->packet_id, size);
	e->qos = m->qos;
	e->seq = st->next_seq++;
	st->tail_bytes += size;
	e->end = st->tail_bytes;
	message_fill(e, client_id, m);
	if (port != NULL)
		port->last = e->seq;
	if (m->qos == 2) {
		e->bytes[1] = SQ_OUTBOX_HOLDS;
		sq_outbox_hold(st, client_id, len, m->packet_id);
	}
	store_put(st, port, e);
	return 0;
}

int
sq_outbox_store_release(struct sq_outbox_store *st, struct sq_outbox_port *port,
    const char *client_id, uint16_t packet_id)
{
	struct sq_outbox_entry *e;

	/* Its entries are small and one for each message: they need no bound. */
	e = entry_of_client(SQ_OUTBOX_RELEASE, packet_id, client_id);
	e->qos = 2;
	sq_outbox_unhold(st, client_id, strlen(client_id), packet_id);
	store_put(st, port, e);
	return 0;
}

void
sq_outbox_store_forget(struct sq_outbox_store *st, const char *client_id)
{
	size_t n = st->clients.n;

	sq_outbox_unhold_all(st, client_id, strlen(client_id));
	if (st->clients.n != n)
		sq_outbox_append(st, entry_of_client(SQ_OUTBOX_FORGET, 0, client_id));
}

void
sq_outbox_port_close(struct sq_outbox_port *port)
{
	SQ_LIST_FOR_EACH_SAFE(e, &port->pending, struct sq_outbox_entry, mine) {
		sq_list_remove(&e->mine);
		e->port = NULL;
	}
}

/* --- what the journal has done --- */

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

	st->state_flies = false;
	if (e->gates)
		st->gates--;
	if (low > 1)
		sq_journal_release(st->journal, low - 1);
}

static void
entry_synced(struct sq_outbox_store *st, struct sq_outbox_entry *e)
{
	st->unsynced -= e->size;
	sq_list_remove(&e->all);
	st->last_lsn = e->lsn;
	entry_ack(st, e);
	if (e->kind == SQ_OUTBOX_STATE)
		state_synced(st, e);
	if (e->kind != SQ_OUTBOX_MESSAGE || e->seq <= st->loaded_seq) {
		sq_outbox_entry_free(e);
		return;
	}
	if (!st->behind && st->ahead_bytes > 0 && st->ahead_bytes + e->size > SQ_OUTBOX_AHEAD_MAX) {
		st->behind = true; /* from here on it is read back */
		sq_journal_cursor_fini(&st->cursor);
		st->cursor = (struct sq_journal_cursor){.lsn = e->lsn, .fd = -1};
	}
	if (st->behind)
		sq_outbox_entry_free(e);
	else
		sq_outbox_load(st, e);
}

/* --- reading ahead --- */

/* Takes a record's messages that are not loaded yet. */
static int
ahead_record(struct sq_outbox_store *st, uint64_t lsn)
{
	struct sq_bytes rest = {sq_buf_data(&st->record), sq_buf_len(&st->record)};

	for (size_t size; rest.len > 0; rest.p += size, rest.len -= size) {
		struct sq_bytes client;
		struct sq_outbox_entry *e;
		size_t at;

		size = sq_outbox_entry_size(rest.p, rest.len);
		if (size == 0)
			return SQ_EINVAL;
		if (rest.p[0] != SQ_OUTBOX_MESSAGE)
			continue;
		at = sq_outbox_entry_client(rest.p, size, &client);
		if (at == 0 || sq_image_check(rest.p + at, size - at) != 0)
			return SQ_EINVAL;
		if (sq_get64(rest.p + SQ_OUTBOX_ENTRY_HEADER) <= st->loaded_seq)
			continue;
		e = sq_outbox_entry_new(SQ_OUTBOX_MESSAGE, sq_get16(rest.p + 2), size);
		memcpy(e->bytes, rest.p, size);
		e->image = (uint32_t)at;
		e->seq = sq_get64(rest.p + SQ_OUTBOX_ENTRY_HEADER);
		e->end = sq_get64(rest.p + SQ_OUTBOX_ENTRY_HEADER + 8);
		e->lsn = lsn;
		sq_outbox_load(st, e);
	}
	return 0;
}

static void
store_broken(struct sq_outbox_store *st)
{
	st->broken = true;
	sq_buf_fini(&st->stalled);
	sq_buf_printf(&st->stalled, "%s: what waits in record %llu can't be read again",
	    st->cfg.dir, (unsigned long long)st->cursor.lsn);
	sq_buf_u8(&st->stalled, 0);
}

static void
store_read_ahead(struct sq_outbox_store *st)
{
	while (st->behind && !st->broken && st->ahead_bytes < SQ_OUTBOX_AHEAD_MAX / 2) {
		uint64_t lsn = st->cursor.lsn;
		int rc = sq_journal_read(st->journal, &st->cursor, &st->record);

		if (rc == SQ_EAGAIN)
			st->behind = false;
		else if (rc != 0 || ahead_record(st, lsn) != 0)
			store_broken(st);
	}
	if (!st->behind) {
		sq_buf_fini(&st->record);
		sq_journal_cursor_fini(&st->cursor);
	}
}

/* Takes over what the journal's thread says. */
static void
store_news(struct sq_outbox_store *st, struct sq_list *synced)
{
	pthread_mutex_lock(&st->mutex);
	sq_list_splice(synced, &st->synced);
	if (!st->broken) {
		sq_buf_fini(&st->stalled);
		if (sq_buf_len(&st->stall) != 0) {
			sq_buf_append(
			    &st->stalled, sq_buf_data(&st->stall), sq_buf_len(&st->stall));
			sq_buf_u8(&st->stalled, 0);
		}
	}
	pthread_mutex_unlock(&st->mutex);
}

bool
sq_outbox_store_turn(struct sq_outbox_store *st)
{
	struct sq_outbox_entry *e;
	struct sq_list synced;
	size_t every = st->state_size * 4 > STATE_EVERY ? st->state_size * 4 : STATE_EVERY;
	bool asked = st->refused;

	sq_list_init(&synced);
	store_news(st, &synced);
	while ((e = SQ_LIST_FIRST(&synced, struct sq_outbox_entry, journal.node)) != NULL) {
		sq_list_remove(&e->journal.node);
		st->dirty = st->dirty || e->kind != SQ_OUTBOX_STATE;
		entry_synced(st, e);
	}
	sq_outbox_finish(st);
	store_read_ahead(st);
	sq_outbox_settle_numbers(st);
	if (st->since_state >= every && !st->state_flies)
		sq_outbox_write_state(st, false);
	/* Room is told of once there is some, not at each message. */
	if (asked && sq_buf_len(&st->stalled) == 0 && st->unsynced <= SQ_OUTBOX_UNSYNCED_MAX / 2 &&
	    sq_outbox_store_bytes(st) <= st->cfg.size - st->cfg.size / 8)
		st->refused = false;
	return !sq_list_empty(&st->ahead) || (asked && !st->refused);
}

void
sq_outbox_store_rest(struct sq_outbox_store *st)
{
	if (st->dirty && !st->state_flies && sq_list_empty(&st->ahead) && st->unsynced == 0)
		sq_outbox_write_state(st, false);
}

uint64_t
sq_outbox_store_bytes(const struct sq_outbox_store *st)
{
	return st->tail_bytes - sq_outbox_done_bytes(st);
}

bool
sq_outbox_store_idle(const struct sq_outbox_store *st)
{
	return sq_list_empty(&st->ahead) && !st->behind && st->flying == 0 &&
	    sq_outbox_store_bytes(st) == 0;
}

bool
sq_outbox_store_spent(const struct sq_outbox_store *st)
{
	return sq_outbox_store_idle(st) && st->clients.n == 0;
}

const char *
sq_outbox_store_stalled(const struct sq_outbox_store *st)
{
	return sq_buf_len(&st->stalled) != 0 ? (const char *)sq_buf_data(&st->stalled) : NULL;
}

void
sq_outbox_store_resize(struct sq_outbox_store *st, uint64_t size)
{
	st->cfg.size = size < st->opened_size ? size : st->opened_size;
}
