/* Entries and their layout; see entry.h. */
#include "sidecar/outbox/entry.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"

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

struct sq_outbox_entry *
sq_outbox_entry_of(enum sq_outbox_kind kind, uint16_t packet_id, const char *client_id)
{
	size_t len = strlen(client_id);
	struct sq_outbox_entry *e = sq_outbox_entry_new(
	    kind, packet_id, SQ_OUTBOX_ENTRY_HEADER + 2 + len);

	sq_put16(e->bytes + SQ_OUTBOX_ENTRY_HEADER, (uint16_t)len);
	memcpy(e->bytes + SQ_OUTBOX_ENTRY_HEADER + 2, client_id, len);
	return e;
}

/* Writes a message's sequence, client id and image behind the header. */
static void
entry_fill(struct sq_outbox_entry *e, const char *client_id, const struct sq_lane_publish *m)
{
	unsigned char *p = e->bytes + SQ_OUTBOX_ENTRY_HEADER;
	size_t len = strlen(client_id);

	sq_put64(p, e->seq);
	sq_put64(p + 8, e->end);
	sq_put16(p + 16, (uint16_t)len);
	memcpy(p + 18, client_id, len);
	p += 18 + len;
	e->image = (uint32_t)(p - e->bytes);
	sq_image_write(p, m->qos, m->retain, m->topic, m->props, m->expiry_s, m->payload);
}

size_t
sq_outbox_entry_message_size(const char *client_id, const struct sq_lane_publish *m)
{
	size_t image = SQ_MSG_HEADER + m->topic.len + m->props.len + m->payload.len;

	return SQ_OUTBOX_ENTRY_HEADER + SQ_OUTBOX_MESSAGE_HEADER + strlen(client_id) + image;
}

struct sq_outbox_entry *
sq_outbox_entry_message(
    const char *client_id, const struct sq_lane_publish *m, uint64_t seq, uint64_t end)
{
	size_t size = sq_outbox_entry_message_size(client_id, m);
	struct sq_outbox_entry *e = sq_outbox_entry_new(SQ_OUTBOX_MESSAGE, m->packet_id, size);

	e->qos = m->qos;
	e->seq = seq;
	e->end = end + size;
	if (m->qos == 2)
		e->bytes[1] = SQ_OUTBOX_HOLDS;
	entry_fill(e, client_id, m);
	return e;
}

struct sq_outbox_entry *
sq_outbox_entry_read(const unsigned char *p, size_t size, uint64_t lsn)
{
	struct sq_bytes client;
	size_t at = sq_outbox_entry_client(p, size, &client);
	struct sq_outbox_entry *e;

	if (at == 0 || sq_image_check(p + at, size - at) != 0)
		return NULL;
	e = sq_outbox_entry_new(SQ_OUTBOX_MESSAGE, sq_get16(p + 2), size);
	memcpy(e->bytes, p, size);
	e->image = (uint32_t)at;
	e->seq = sq_get64(p + SQ_OUTBOX_ENTRY_HEADER);
	e->end = sq_get64(p + SQ_OUTBOX_ENTRY_HEADER + 8);
	e->lsn = lsn;
	return e;
}
