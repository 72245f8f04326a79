/* Held packet ids; see held.h. */
#include "sidecar/outbox/held.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { HELD_CLIENTS_MAX = 4096 };

struct held_client {
	struct sq_hnode node;
	struct sq_list used; /* held->used */
	uint32_t n;
	uint64_t bits[65536 / 64];
	char id[];
};

void
sq_outbox_held_init(struct sq_outbox_held *h)
{
	*h = (struct sq_outbox_held){0};
	sq_list_init(&h->used);
}

static struct held_client *
held_find(const struct sq_outbox_held *h, const char *id, size_t len)
{
	struct sq_hnode *n = sq_htab_find(&h->clients, sq_hash(id, len));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct held_client *c = SQ_CONTAINER_OF(n, struct held_client, node);

		if (strlen(c->id) == len && memcmp(c->id, id, len) == 0)
			return c;
	}
	return NULL;
}

static void
held_drop(struct sq_outbox_held *h, struct held_client *c)
{
	sq_htab_remove(&h->clients, &c->node);
	sq_list_remove(&c->used);
	free(c);
}

static bool
held_bit(const struct held_client *c, uint16_t id)
{
	return (c->bits[id / 64] >> (id % 64) & 1) != 0;
}

void
sq_outbox_held_add(struct sq_outbox_held *h, const char *id, size_t len, uint16_t packet_id)
{
	struct held_client *c = held_find(h, id, len);

	if (c == NULL) {
		if (h->clients.n >= HELD_CLIENTS_MAX)
			held_drop(h, SQ_LIST_FIRST(&h->used, struct held_client, used));
		c = sq_xcalloc(1, sizeof *c + len + 1);
		memcpy(c->id, id, len);
		sq_list_init(&c->used);
		sq_htab_insert(&h->clients, &c->node, sq_hash(id, len));
	}
	sq_list_remove(&c->used);
	sq_list_push_back(&h->used, &c->used);
	c->n += !held_bit(c, packet_id);
	c->bits[packet_id / 64] |= UINT64_C(1) << (packet_id % 64);
}

void
sq_outbox_held_remove(struct sq_outbox_held *h, const char *id, size_t len, uint16_t packet_id)
{
	struct held_client *c = held_find(h, id, len);

	if (c == NULL || !held_bit(c, packet_id))
		return;
	c->bits[packet_id / 64] &= ~(UINT64_C(1) << (packet_id % 64));
	if (--c->n == 0)
		held_drop(h, c);
}

void
sq_outbox_held_forget(struct sq_outbox_held *h, const char *id, size_t len)
{
	struct held_client *c = held_find(h, id, len);

	if (c != NULL)
		held_drop(h, c);
}

bool
sq_outbox_held_has(const struct sq_outbox_held *h, const char *client_id, uint16_t id)
{
	const struct held_client *c = held_find(h, client_id, strlen(client_id));

	return c != NULL && held_bit(c, id);
}

void
sq_outbox_held_fini(struct sq_outbox_held *h)
{
	struct held_client *c;

	while ((c = SQ_LIST_FIRST(&h->used, struct held_client, used)) != NULL)
		held_drop(h, c);
	sq_htab_fini(&h->clients);
	h->clients = (struct sq_htab){0};
}

void
sq_outbox_held_put(const struct sq_outbox_held *h, struct sq_buf *b)
{
	sq_buf_u32(b, (uint32_t)h->clients.n);
	SQ_LIST_FOR_EACH(c, &h->used, struct held_client, used) {
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
held_get_client(struct sq_outbox_held *h, struct sq_reader *r)
{
	uint16_t len = sq_read16(r);
	const char *id = (const char *)sq_read_bytes(r, len);
	uint32_t n = sq_read32(r);

	if (r->bad || n > sq_reader_left(r) / 2)
		return SQ_EINVAL;
	while (n-- > 0)
		sq_outbox_held_add(h, id, len, sq_read16(r));
	return 0;
}

int
sq_outbox_held_get(struct sq_outbox_held *h, struct sq_reader *r)
{
	uint32_t clients = sq_read32(r);

	sq_outbox_held_fini(h);
	while (!r->bad && clients-- > 0) {
		if (held_get_client(h, r) != 0)
			return SQ_EINVAL;
	}
	return r->bad ? SQ_EINVAL : 0;
}
