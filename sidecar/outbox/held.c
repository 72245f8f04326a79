/* QoS 2 ids between PUBREC and PUBREL, and the state of a disk outbox as it is
 * written down. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "sidecar/outbox/priv.h"

static struct sq_outbox_client *
held_find(const struct sq_outbox_store *st, const char *id, size_t len)
{
	struct sq_hnode *n = sq_htab_find(&st->clients, sq_hash(id, len));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_outbox_client *c = SQ_CONTAINER_OF(n, struct sq_outbox_client, node);

		if (strlen(c->id) == len && memcmp(c->id, id, len) == 0)
			return c;
	}
	return NULL;
}

static void
held_drop(struct sq_outbox_store *st, struct sq_outbox_client *c)
{
	sq_htab_remove(&st->clients, &c->node);
	sq_list_remove(&c->used);
	free(c);
}

static bool
held_bit(const struct sq_outbox_client *c, uint16_t id)
{
	return (c->bits[id / 64] >> (id % 64) & 1) != 0;
}

void
sq_outbox_hold(struct sq_outbox_store *st, const char *id, size_t len, uint16_t packet_id)
{
	struct sq_outbox_client *c = held_find(st, id, len);

	if (c == NULL) {
		if (st->clients.n >= SQ_OUTBOX_CLIENTS_MAX)
			held_drop(
			    st, SQ_LIST_FIRST(&st->clients_used, struct sq_outbox_client, used));
		c = sq_xcalloc(1, sizeof *c + len + 1);
		memcpy(c->id, id, len);
		sq_list_init(&c->used);
		sq_htab_insert(&st->clients, &c->node, sq_hash(id, len));
	}
	sq_list_remove(&c->used);
	sq_list_push_back(&st->clients_used, &c->used);
	c->n += !held_bit(c, packet_id);
	c->bits[packet_id / 64] |= UINT64_C(1) << (packet_id % 64);
}

void
sq_outbox_unhold(struct sq_outbox_store *st, const char *id, size_t len, uint16_t packet_id)
{
	struct sq_outbox_client *c = held_find(st, id, len);

	if (c == NULL || !held_bit(c, packet_id))
		return;
	c->bits[packet_id / 64] &= ~(UINT64_C(1) << (packet_id % 64));
	if (--c->n == 0)
		held_drop(st, c);
}

void
sq_outbox_unhold_all(struct sq_outbox_store *st, const char *id, size_t len)
{
	struct sq_outbox_client *c = held_find(st, id, len);

	if (c != NULL)
		held_drop(st, c);
}

bool
sq_outbox_store_holds(const struct sq_outbox_store *st, const char *client_id, uint16_t id)
{
	const struct sq_outbox_client *c = held_find(st, client_id, strlen(client_id));

	return c != NULL && held_bit(c, id);
}

void
sq_outbox_held_fini(struct sq_outbox_store *st)
{
	struct sq_outbox_client *c;

	while ((c = SQ_LIST_FIRST(&st->clients_used, struct sq_outbox_client, used)) != NULL)
		held_drop(st, c);
	sq_htab_fini(&st->clients);
}

void
sq_outbox_store_forget_all(struct sq_outbox_store *st)
{
	sq_outbox_held_fini(st);
	st->clients = (struct sq_htab){0};
}

/* --- the state --- */

static void
state_put_skips(const struct sq_outbox_store *st, struct sq_buf *b)
{
	struct sq_outbox_skip at = {0};
	size_t mark = sq_buf_len(b);
	uint32_t n = 0;

	sq_buf_u32(b, 0);
	SQ_LIST_FOR_EACH(e, &st->ahead, struct sq_outbox_entry, journal.node) {
		if (e->send != SQ_OUTBOX_DONE)
			continue;
		if (at.n != 0 && at.first + at.n == e->seq) {
			at.n++;
			continue;
		}
		if (at.n != 0) {
			sq_buf_u64(b, at.first);
			sq_buf_u64(b, at.n);
			n++;
		}
		at = (struct sq_outbox_skip){e->seq, 1};
	}
	if (at.n != 0) {
		sq_buf_u64(b, at.first);
		sq_buf_u64(b, at.n);
		n++;
	}
	for (size_t i = 0; i < st->n_skips; i++) {
		if (st->skips[i].first + st->skips[i].n - 1 <= sq_outbox_done_seq(st))
			continue;
		sq_buf_u64(b, st->skips[i].first);
		sq_buf_u64(b, st->skips[i].n);
		n++;
	}
	sq_put32(sq_buf_data(b) + mark, n);
}

/* u64 finished up to (sequence), u64 bytes of those, u64 lowest record needed, u64
 * next sequence, u64 bytes appended, u64 run, u64 incarnation, u64 number of the
 * first unfinished entry, u32 n, n x (u64 first, u64 n) finished
 * behind it; u32 n clients, each bytes16 id, u32 n, n x u16 held id. */
void
sq_outbox_state_put(const struct sq_outbox_store *st, struct sq_buf *b, uint64_t low)
{
	sq_buf_u64(b, sq_outbox_done_seq(st));
	sq_buf_u64(b, sq_outbox_done_bytes(st));
	sq_buf_u64(b, low);
	sq_buf_u64(b, st->next_seq);
	sq_buf_u64(b, st->tail_bytes);
	sq_buf_u64(b, st->run);
	sq_buf_u64(b, st->incarnation);
	sq_buf_u64(b, sq_outbox_first_number(st));
	state_put_skips(st, b);
	sq_buf_u32(b, (uint32_t)st->clients.n);
	SQ_LIST_FOR_EACH(c, &st->clients_used, struct sq_outbox_client, used) {
		sq_buf_u16(b, (uint16_t)strlen(c->id));
		sq_buf_append(b, c->id, strlen(c->id));
		sq_buf_u32(b, c->n);
		for (unsigned id = 1; id <= UINT16_MAX; id++) {
			if (held_bit(c, (uint16_t)id))
				sq_buf_u16(b, (uint16_t)id);
		}
	}
}

static int
state_get_skips(struct sq_outbox_store *st, struct sq_reader *r)
{
	uint32_t n = sq_read32(r);

	if (r->bad || n > sq_reader_left(r) / 16)
		return SQ_EINVAL;
	free(st->skips);
	st->skips = sq_xcalloc(n != 0 ? n : 1, sizeof *st->skips);
	st->n_skips = n;
	for (uint32_t i = 0; i < n; i++) {
		st->skips[i].first = sq_read64(r);
		st->skips[i].n = sq_read64(r);
	}
	return 0;
}

static int
state_get_client(struct sq_outbox_store *st, struct sq_reader *r)
{
	uint16_t len = sq_read16(r);
	const char *id = (const char *)sq_read_bytes(r, len);
	uint32_t n = sq_read32(r);

	if (r->bad || n > sq_reader_left(r) / 2)
		return SQ_EINVAL;
	while (n-- > 0)
		sq_outbox_hold(st, id, len, sq_read16(r));
	return 0;
}

int
sq_outbox_state_get(struct sq_outbox_store *st, struct sq_bytes in, uint64_t *low)
{
	struct sq_reader r = sq_reader(in.p, in.len);
	uint32_t clients;

	st->loaded_seq = sq_read64(&r);
	st->loaded_bytes = sq_read64(&r);
	*low = sq_read64(&r);
	st->next_seq = sq_read64(&r);
	st->tail_bytes = sq_read64(&r);
	st->run = sq_read64(&r);
	st->incarnation = sq_read64(&r);
	st->next_number = sq_read64(&r);
	if (state_get_skips(st, &r) != 0)
		return SQ_EINVAL;
	sq_outbox_held_fini(st);
	st->clients = (struct sq_htab){0};
	clients = sq_read32(&r);
	while (!r.bad && clients-- > 0) {
		if (state_get_client(st, &r) != 0)
			return SQ_EINVAL;
	}
	return r.bad || sq_reader_left(&r) != 0 ? SQ_EINVAL : 0;
}
