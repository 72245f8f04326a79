/* The bytes of keys and values in the tables; docs/store.md describes them. */
#include "broker/engine/embedded/table_priv.h"

#include <assert.h>

#include "core/crc32c.h"

const char *const sq_table_db_names[TABLE_DBS] = {
    [TABLE_META] = "meta",
    [TABLE_QUEUES] = "queues",
    [TABLE_ITEMS] = "items",
    [TABLE_RECORDS] = "records",
    [TABLE_GARBAGE] = "garbage",
};

void
sq_table_key_id(struct table_key *k, uint64_t id)
{
	sq_put64(k->bytes, id);
	k->val = (MDB_val){TABLE_ID_KEY, k->bytes};
}

void
sq_table_key_item(struct table_key *k, uint64_t queue, uint64_t seq)
{
	sq_put64(k->bytes, queue);
	sq_put64(k->bytes + 8, seq);
	k->val = (MDB_val){TABLE_ITEM_KEY, k->bytes};
}

void
sq_table_key_record(struct table_key *k, const struct sq_record_key *r)
{
	k->bytes[0] = r->kind;
	sq_put64(k->bytes + 1, r->id);
	sq_put64(k->bytes + 9, r->sub);
	k->val = (MDB_val){TABLE_RECORD_KEY, k->bytes};
}

void
sq_table_key_text(struct table_key *k, const char *text)
{
	size_t n = strlen(text);

	assert(n <= sizeof k->bytes);
	memcpy(k->bytes, text, n);
	k->val = (MDB_val){n, k->bytes};
}

static uint32_t
table_crc(enum table_db db, const MDB_val *key, const MDB_val *value)
{
	const unsigned char tag = (unsigned char)db;
	uint32_t crc = sq_crc32c(0, &tag, 1);

	crc = sq_crc32c(crc, key->mv_data, key->mv_size);
	return sq_crc32c(crc, (const unsigned char *)value->mv_data + 4, value->mv_size - 4);
}

void
sq_table_seal(enum table_db db, const MDB_val *key, const MDB_val *value)
{
	unsigned char *p = value->mv_data;

	assert(value->mv_size >= TABLE_VALUE_HEAD && value->mv_size <= UINT32_MAX);
	sq_put32(p + 4, (uint32_t)(value->mv_size - TABLE_VALUE_HEAD));
	sq_put32(p, table_crc(db, key, value));
}

bool
sq_table_proven(enum table_db db, const MDB_val *key, const MDB_val *value, struct sq_bytes *body)
{
	const unsigned char *p = value->mv_data;

	if (value->mv_size < TABLE_VALUE_HEAD)
		return false;
	*body = (struct sq_bytes){p + TABLE_VALUE_HEAD, value->mv_size - TABLE_VALUE_HEAD};
	return sq_get32(p + 4) == body->len && sq_get32(p) == table_crc(db, key, value);
}

uint64_t
sq_table_image_bytes(const MDB_val *value)
{
	const unsigned char *p = value->mv_data;
	uint64_t before = TABLE_VALUE_HEAD + TABLE_ITEM_HEAD;

	if (value->mv_size < before)
		return 0;
	before += UINT64_C(4) * sq_get32(p + TABLE_VALUE_HEAD + 4);
	return value->mv_size > before ? value->mv_size - before : 0;
}

/* The identifiers, in host order, go to 'out'. */
static bool
item_subs_get(struct sq_reader *r, uint32_t n, struct sq_buf *out)
{
	const unsigned char *p;
	unsigned char *to;

	if (n > sq_reader_left(r) / 4)
		return false;
	p = sq_read_bytes(r, 4 * (size_t)n);
	out->start = out->end = 0;
	to = sq_buf_reserve(out, 4 * (size_t)n + 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = sq_get32(p + 4 * (size_t)i);

		memcpy(to + 4 * (size_t)i, &id, sizeof id);
	}
	sq_buf_commit(out, 4 * (size_t)n);
	return true;
}

/* Takes the time of arrival off the end of the image. */
static bool
item_tail_get(struct sq_table_item *i)
{
	const unsigned char *tail;

	if (i->image.len < SQ_TABLE_ITEM_TAIL)
		return false;
	i->image.len -= SQ_TABLE_ITEM_TAIL;
	tail = i->image.p + i->image.len;
	i->arrived_ms = (uint64_t)sq_get16(tail) << 32 | sq_get32(tail + 2);
	return true;
}

bool
sq_table_item_get(
    const MDB_val *key, struct sq_bytes body, struct sq_buf *subs, struct sq_table_item *out)
{
	struct sq_reader r = sq_reader(body.p, body.len);
	struct sq_reader k = sq_reader(key->mv_data, key->mv_size);
	uint8_t flags;
	uint32_t n;

	*out = (struct sq_table_item){.queue = sq_read64(&k), .seq = sq_read64(&k)};
	flags = sq_read8(&r);
	out->retain = (flags & TABLE_ITEM_RETAIN) != 0;
	out->assured = (flags & TABLE_ITEM_ASSURED) != 0;
	out->qos = sq_read8(&r);
	out->attempts = sq_read16(&r);
	n = sq_read32(&r);
	out->origin.incarnation = sq_read64(&r);
	out->origin.run = sq_read64(&r);
	out->origin.number = sq_read64(&r);
	out->origin.copy = sq_read8(&r);
	out->expires_ms = sq_read64(&r);
	if (r.bad || k.bad || sq_reader_left(&k) != 0 || !item_subs_get(&r, n, subs))
		return false;
	out->subs = (struct sq_bytes){n != 0 ? sq_buf_data(subs) : NULL, sq_buf_len(subs)};
	out->image = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return (flags & TABLE_ITEM_TIMED) == 0 || item_tail_get(out);
}

bool
sq_table_queue_get(
    const MDB_val *key, struct sq_bytes body, struct sq_buf *name, struct sq_table_queue *out)
{
	struct sq_reader r = sq_reader(body.p, body.len);

	if (key->mv_size != TABLE_ID_KEY)
		return false;
	out->id = sq_get64(key->mv_data);
	out->n = sq_read64(&r);
	out->bytes = sq_read64(&r);
	if (r.bad || memchr(r.p, '\0', sq_reader_left(&r)) != NULL)
		return false;
	name->start = name->end = 0;
	sq_buf_append(name, r.p, sq_reader_left(&r));
	sq_buf_u8(name, 0);
	out->name = (const char *)sq_buf_data(name);
	return true;
}

bool
sq_table_record_key_get(const MDB_val *key, struct sq_record_key *out)
{
	struct sq_reader r = sq_reader(key->mv_data, key->mv_size);

	out->kind = sq_read8(&r);
	out->id = sq_read64(&r);
	out->sub = sq_read64(&r);
	return !r.bad && sq_reader_left(&r) == 0;
}
