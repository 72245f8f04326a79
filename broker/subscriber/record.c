#include "broker/subscriber/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "core/mem.h"

enum {
	VERSION = 1,
	VERSION_PUSH = 2,
	FLAG_FILE = 1,
	FLAG_PAUSED = 2,
	FLAG_OWNED = 4,
	SET_ONCE = 1,
	SET_JITTER = 2,
	SET_BLOCKS = 4,
	BYTES = 512, /* more than a value without a push has */
};

static void
put_text(const char *text, struct sq_buf *v)
{
	sq_record_put_text(v, text, text != NULL ? strlen(text) : 0);
}

static void
put_push(const struct sq_subscriber *s, struct sq_buf *v)
{
	struct sq_buf push = {0};

	sq_declaration_write_push(s->decl, &push);
	assert(sq_buf_len(&push) <= UINT16_MAX); /* by the bounds of its settings */
	sq_record_put_text(v, sq_buf_data(&push), sq_buf_len(&push));
	put_text(s->declarer, v);
	put_text(s->pause_why, v);
	sq_buf_fini(&push);
}

/* A declaration: u8 version, u8 flags (1 a file's, 2 paused, 4 a
 * bridge's), u8 order, u8 overflow, u8 settings (1 exactly
 * once, 2 jitter, 4 blocks), u8 0, u16 factor, u64 revision, u64 lease, u64 first and u64 longest wait
 * in ms, u64 bytes, u32 messages, u32 attempts, u32 time to live and u32 expiry in s.  Version 2, where
 * there is a push or the reason of a pause, goes on: bytes16 the push as JSON or nothing, bytes16 who
 * declared it, bytes16 why it is paused. */
void
sq_declared_put(const struct sq_subscriber *s, struct sq_buf *v)
{
	const struct sq_declaration *d = s->decl;
	bool push = d->push.url != NULL || s->pause_why != NULL;

	sq_buf_u8(v, push ? VERSION_PUSH : VERSION);
	sq_buf_u8(v,
	    (uint8_t)((s->in_file ? FLAG_FILE : 0) | (s->paused ? FLAG_PAUSED : 0) |
		(s->owned ? FLAG_OWNED : 0)));
	sq_buf_u8(v, (uint8_t)d->order);
	sq_buf_u8(v, (uint8_t)d->overflow);
	sq_buf_u8(v,
	    (uint8_t)((d->exactly_once ? SET_ONCE : 0) | (d->retry.jitter ? SET_JITTER : 0) |
		(d->blocks ? SET_BLOCKS : 0)));
	sq_buf_u8(v, 0);
	sq_buf_u16(v, (uint16_t)d->retry.factor);
	sq_buf_u64(v, s->revision);
	sq_buf_u64(v, d->lease_ms);
	sq_buf_u64(v, d->retry.first_ms);
	sq_buf_u64(v, d->retry.max_ms);
	sq_buf_u64(v, d->max_bytes);
	sq_buf_u32(v, d->max_messages);
	sq_buf_u32(v, d->max_attempts);
	sq_buf_u32(v, d->ttl_s);
	sq_buf_u32(v, d->expiry_s);
	if (push)
		put_push(s, v);
}

size_t
sq_declared_bytes(const struct sq_declaration *d)
{
	struct sq_buf push = {0};
	size_t n;

	sq_declaration_write_push(d, &push);
	n = BYTES + sq_buf_len(&push);
	sq_buf_fini(&push);
	return n;
}

void
sq_declared_store(const struct sq_subscriber *s, struct sq_txn *txn)
{
	struct sq_record_key key = {SQ_RECORD_DECLARED, s->id, 0};
	struct sq_buf v = {0};

	if (!s->group->stored)
		return;
	sq_declared_put(s, &v);
	sq_record_write(txn, &key, &v);
}

void
sq_declared_unstore(const struct sq_subscriber *s, struct sq_txn *txn)
{
	struct sq_record_key key = {SQ_RECORD_DECLARED, s->id, 0};

	if (s->group->stored)
		sq_record_delete(txn, &key);
}

/* A text without NUL; NULL: it is empty. */
static char *
take_text(struct sq_reader *r)
{
	struct sq_bytes text = sq_record_take_text(r);

	if (text.len == 0)
		return NULL;
	r->bad |= memchr(text.p, '\0', text.len) != NULL;
	return sq_xmemdup0(text.p, text.len);
}

static void
read_push(struct sq_reader *r, struct sq_declared_record *out)
{
	struct sq_bytes push = sq_record_take_text(r);
	struct sq_buf err = {0};

	if (push.len > 0)
		r->bad |= sq_declaration_read_push(&out->decl, push, &err) != SQ_OK ||
		    out->decl.push.url == NULL;
	sq_buf_fini(&err);
	out->declarer = take_text(r);
	out->pause_why = take_text(r);
}

static bool
read_all(struct sq_reader *r, struct sq_declared_record *out)
{
	struct sq_declaration *d = &out->decl;
	uint8_t version = sq_read8(r), flags = sq_read8(r), order = sq_read8(r);
	uint8_t overflow = sq_read8(r), settings = sq_read8(r);

	(void)sq_read8(r);
	out->in_file = (flags & FLAG_FILE) != 0;
	out->paused = (flags & FLAG_PAUSED) != 0;
	out->owned = (flags & FLAG_OWNED) != 0;
	d->exactly_once = (settings & SET_ONCE) != 0;
	d->retry.jitter = (settings & SET_JITTER) != 0;
	d->blocks = (settings & SET_BLOCKS) != 0;
	d->retry.factor = sq_read16(r);
	out->revision = sq_read64(r);
	d->lease_ms = sq_read64(r);
	d->retry.first_ms = sq_read64(r);
	d->retry.max_ms = sq_read64(r);
	d->max_bytes = sq_read64(r);
	d->max_messages = sq_read32(r);
	d->max_attempts = sq_read32(r);
	d->ttl_s = sq_read32(r);
	d->expiry_s = sq_read32(r);
	if (version == VERSION_PUSH)
		read_push(r, out);
	if (r->bad || sq_reader_left(r) > 0 || version < VERSION || version > VERSION_PUSH ||
	    order > SQ_ORDER_STRICT || overflow < SQ_OVERFLOW_REJECT_PUBLISH ||
	    overflow > SQ_OVERFLOW_DROP_NEW || d->retry.factor == 0 || d->lease_ms == 0 ||
	    out->revision == 0)
		return false;
	d->order = order;
	d->overflow = overflow;
	return true;
}

bool
sq_declared_read(struct sq_bytes value, struct sq_declared_record *out)
{
	struct sq_reader r = sq_reader(value.p, value.len);

	*out = (struct sq_declared_record){0};
	sq_declaration_init(&out->decl);
	if (read_all(&r, out))
		return true;
	sq_declared_record_fini(out);
	return false;
}

void
sq_declared_record_fini(struct sq_declared_record *r)
{
	sq_declaration_fini(&r->decl);
	free(r->declarer);
	free(r->pause_why);
	*r = (struct sq_declared_record){0};
}
