#include "broker/engine/record.h"

#include <string.h>

#include "broker/engine/engine.h"
#include "core/mem.h"

void
sq_record_put_text(struct sq_buf *b, const void *p, size_t len)
{
	sq_buf_u16(b, (uint16_t)len);
	sq_buf_append(b, p, len);
}

void
sq_record_put_name(struct sq_buf *b, const char *name)
{
	sq_record_put_text(b, name, strlen(name));
}

struct sq_bytes
sq_record_take_text(struct sq_reader *r)
{
	size_t len = sq_read16(r);
	const unsigned char *p = sq_read_bytes(r, len);

	return (struct sq_bytes){p, r->bad ? 0 : len};
}

char *
sq_record_take_name(struct sq_reader *r)
{
	struct sq_bytes text = sq_record_take_text(r);

	return sq_xmemdup0(text.p, text.len);
}

void
sq_record_put_image(struct sq_buf *b, const struct sq_msg *m)
{
	sq_buf_append(b, m->image, sq_image_size(m->image));
}

struct sq_msg
sq_record_take_image(struct sq_reader *r)
{
	size_t left = r->bad ? 0 : sq_reader_left(r);

	if (left == 0 || sq_image_check(r->p, left) != SQ_OK) {
		r->bad = true;
		return (struct sq_msg){0};
	}
	return (struct sq_msg){.image = sq_read_bytes(r, left)};
}

void
sq_record_write(struct sq_txn *txn, const struct sq_record_key *key, struct sq_buf *value)
{
	const struct sq_bytes bytes = {sq_buf_data(value), sq_buf_len(value)};

	txn->engine->ops->txn.record(txn, key, bytes);
	sq_buf_fini(value);
}

void
sq_record_delete(struct sq_txn *txn, const struct sq_record_key *key)
{
	txn->engine->ops->txn.record(txn, key, (struct sq_bytes){0});
}

char *
sq_record_queue_name(const char *name, uint64_t number)
{
	struct sq_buf text = {0};

	sq_buf_printf(&text, "%s#%016llx", name, (unsigned long long)number);
	return sq_buf_take_text(&text);
}
