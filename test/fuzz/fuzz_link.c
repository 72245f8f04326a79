/* The bodies and frames of the link, and session keys: what is taken must survive
 * its round trip byte for byte.
 *
 * The first byte of the input says which decoder gets the rest. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/link/frame.h"
#include "proto/link/key.h"

/* What was encoded again is what came. */
static void
same(struct sq_buf *b, const uint8_t *p, size_t len)
{
	assert(sq_buf_len(b) == len);
	assert(len == 0 || memcmp(sq_buf_data(b), p, len) == 0);
	sq_buf_fini(b);
}

static struct sq_open_id *
open_ids(struct sq_bytes open, uint16_t n, bool answer)
{
	struct sq_open_id *ids = sq_xcalloc(n + 1u, sizeof *ids);

	for (uint16_t i = 0; i < n; i++)
		ids[i] = sq_open_id_next(&open, answer);
	assert(open.len == 0);
	return ids;
}

static void
try_attach(const uint8_t *p, size_t len)
{
	struct sq_buf b = {0};
	struct sq_attach a;
	struct sq_open_id *ids;

	if (sq_attach_decode(p, len, &a) != SQ_OK)
		return;
	ids = open_ids(a.open, a.n_open, false);
	sq_attach_encode(&b, &a, ids);
	free(ids);
	same(&b, p, len);
}

static void
try_attached(const uint8_t *p, size_t len, unsigned version)
{
	struct sq_buf b = {0}, open = {0};
	struct sq_attached a;
	struct sq_open_id *ids;

	if (sq_attached_decode(p, len, version, &a) != SQ_OK)
		return;
	ids = open_ids(a.open, a.n_open, true);
	for (uint16_t i = 0; i < a.n_open; i++)
		sq_open_id_put(&open, &ids[i], true);
	free(ids);
	a.open = sq_buf_bytes(&open);
	sq_attached_encode(&b, &a, version);
	sq_buf_fini(&open);
	same(&b, p, len);
}

static void
try_batch(const uint8_t *p, size_t len, unsigned version)
{
	unsigned char head[SQ_BATCH_HEADER], entry[SQ_ENTRY_HEADER];
	struct sq_buf b = {0};
	struct sq_batch batch;

	if (sq_batch_decode(p, len, version, &batch) != SQ_OK)
		return;
	sq_batch_header(head, &batch);
	sq_buf_append(&b, head, sq_batch_header_size(version));
	for (uint16_t i = 0; i < batch.n; i++) {
		struct sq_entry e = sq_batch_next(&batch.entries);

		sq_entry_header(entry, e.kind, e.packet_id);
		sq_buf_append(&b, entry, sizeof entry);
		if (e.image != NULL)
			sq_buf_append(&b, e.image, sq_image_size(e.image));
	}
	same(&b, p, len);
}

/* The notes of an answer again; what says the same in a row is one note then. */
static void
notes_again(struct sq_notes *out, struct sq_bytes notes)
{
	struct sq_note note;

	while (sq_note_next(&notes, &note)) {
		assert(note.n > 0 && sq_note_text_valid(note.text));
		for (uint16_t i = 0; i < note.n; i++)
			sq_notes_add(out, (uint16_t)(note.index + i), note.refusal, note.text);
	}
}

static void
try_outcomes(const uint8_t *p, size_t len, unsigned version)
{
	struct sq_outcomes o, again;
	struct sq_notes notes = {0};
	struct sq_buf b = {0};

	if (sq_outcomes_decode(p, len, version, &o) != SQ_OK)
		return;
	notes_again(&notes, o.notes);
	o.notes = sq_notes_view(&notes);
	sq_outcomes_encode(&b, &o, version);
	if (sq_outcomes_decode(sq_buf_data(&b), sq_buf_len(&b), version, &again) != SQ_OK ||
	    again.n != o.n)
		abort();
	sq_notes_fini(&notes);
	sq_buf_fini(&b);
}

static void
try_settlements(const uint8_t *p, size_t len)
{
	struct sq_settlements s;
	struct sq_buf b = {0};
	struct sq_settle e;

	if (sq_settlements_decode(p, len, &s) != SQ_OK)
		return;
	sq_settlements_header(&b, s.credit_msgs, s.credit_bytes);
	while (sq_settle_next(&s.entries, &e))
		sq_settle_put(&b, &e);
	same(&b, p, len);
}

static void
try_subs(const uint8_t *p, size_t len, unsigned version)
{
	struct sq_subs_head head;
	struct sq_bytes entries;
	struct sq_buf b = {0};
	int n = sq_subs_decode(p, len, version, &head, &entries);

	if (n < 0)
		return;
	sq_subs_head_put(&b, (uint16_t)n, &head, version);
	for (int i = 0; i < n; i++) {
		struct sq_sub s = sq_sub_next(&entries, version);

		sq_sub_put(&b, &s, version);
	}
	same(&b, p, len);
}

static void
try_codes(const uint8_t *p, size_t len)
{
	struct sq_codes codes;
	struct sq_buf b = {0};

	if (sq_codes_decode(p, len, 1, &codes) != SQ_OK)
		return;
	sq_codes_encode(&b, &codes, 1);
	same(&b, p, len);
}

static void
try_detach(const uint8_t *p, size_t len, unsigned version)
{
	struct sq_buf b = {0};
	struct sq_detach d;

	if (sq_detach_decode(p, len, version, &d) != SQ_OK)
		return;
	sq_detach_encode(&b, &d, version);
	same(&b, p, len);
}

/* Encodes a deliver frame again; its subscription identifiers are big-endian
 * in a decoded target and host-order for the encoder. */
static void
deliver_again(struct sq_buf *b, const struct sq_deliver *d)
{
	size_t at = sq_deliver_open(b, d->has_origin ? &d->origin : NULL, d->expiry_s, d->image);
	struct sq_bytes targets = d->targets;

	for (uint16_t i = 0; i < d->n; i++) {
		struct sq_target t = sq_target_next(&targets);
		uint32_t subs[UINT8_MAX];

		for (unsigned k = 0; k < t.n_subs; k++)
			subs[k] = sq_get32(t.subs + 4u * k);
		if (sq_deliver_target(b, at, &t, subs) != SQ_OK)
			abort(); /* it was in a frame before */
	}
	assert(targets.len == 0);
}

static void
subscribed_again(struct sq_buf *b, const struct sq_frame *f)
{
	struct sq_notes notes = {0};
	struct sq_frame again;
	size_t used;

	notes_again(&notes, f->notes);
	sq_frame_subscribed(b, f->epoch, f->mark, f->codes, f->n_codes, &notes);
	sq_notes_fini(&notes);
	if (sq_frame_decode(sq_buf_data(b), sq_buf_len(b), 1 << 20, &again, &used) != SQ_OK ||
	    again.epoch != f->epoch || again.mark != f->mark || again.n_codes != f->n_codes ||
	    memcmp(again.codes, f->codes, f->n_codes) != 0)
		abort();
	sq_buf_fini(b);
}

enum { DRAINING_V1 = 5 }; /* bytes of a draining frame of versions 1 and 2 */

/* An address of no bytes is taken, but never written. */
static void
draining_again(struct sq_buf *b, const struct sq_frame *f, size_t used)
{
	assert(f->address.len == 0 || used == DRAINING_V1 + 2 + f->address.len);
	if (f->address.len > 0 || used == DRAINING_V1) {
		sq_frame_draining(b, f->address, 3);
		return;
	}
	sq_buf_u32(b, 3);
	sq_buf_u8(b, SQ_FRAME_DRAINING);
	sq_buf_u16(b, 0);
}

enum { DETACHED_V1 = 14 }; /* bytes of a detached frame of version 1 */

static void
try_frame(const uint8_t *p, size_t len)
{
	struct sq_frame f;
	struct sq_buf b = {0};
	size_t used = 0;

	if (sq_frame_decode(p, len, 1 << 20, &f, &used) != SQ_OK)
		return;
	assert(used <= len);
	for (size_t cut = 0; cut < used && cut < 64; cut++) {
		struct sq_frame part;
		size_t need;

		assert(sq_frame_decode(p, cut, 1 << 20, &part, &need) != SQ_OK);
	}
	if (f.type == SQ_FRAME_HEARTBEAT)
		sq_frame_heartbeat(&b);
	else if (f.type == SQ_FRAME_DRAINING)
		draining_again(&b, &f, used);
	else if (f.type == SQ_FRAME_STANDBY)
		sq_frame_standby(&b, f.address);
	else if (f.type == SQ_FRAME_DETACHED)
		sq_frame_detached(&b, f.epoch, f.reason, f.text, used > DETACHED_V1 ? 2 : 1);
	else if (f.type == SQ_FRAME_DELIVER)
		deliver_again(&b, &f.deliver);
	else if (f.type == SQ_FRAME_KEPT)
		sq_frame_kept(&b, f.epoch, f.last_kept, f.n_kept, f.kept);
	else if (f.type == SQ_FRAME_SUBSCRIBED) {
		subscribed_again(&b, &f); /* notes that say the same join */
		return;
	} else {
		return; /* skipped */
	}
	same(&b, p, used);
}

/* A key has one encoding; what is decoded and encoded decodes to the same. */
static void
try_key(const uint8_t *p, size_t len)
{
	struct sq_key key, again;
	struct sq_buf b = {0};
	int err;

	memset(&key, 0, sizeof key);
	memset(&again, 0, sizeof again);
	if (sq_key_decode((struct sq_bytes){p, len}, &key) != SQ_OK)
		return;
	sq_key_encode(&b, &key);
	err = sq_key_decode(sq_buf_bytes(&b), &again);
	assert(err == SQ_OK);
	assert(strcmp(key.space, again.space) == 0 && strcmp(key.workload, again.workload) == 0);
	assert(strcmp(key.client, again.client) == 0 && strcmp(key.pod, again.pod) == 0);
	sq_buf_fini(&b);
}

static void
try_batch_1(const uint8_t *p, size_t len)
{
	try_batch(p, len, 1);
}

static void
try_batch_2(const uint8_t *p, size_t len)
{
	try_batch(p, len, 2);
}

static void
try_attached_1(const uint8_t *p, size_t len)
{
	try_attached(p, len, 1);
}

static void
try_attached_2(const uint8_t *p, size_t len)
{
	try_attached(p, len, 2);
}

static void
try_outcomes_1(const uint8_t *p, size_t len)
{
	try_outcomes(p, len, 1);
}

static void
try_outcomes_2(const uint8_t *p, size_t len)
{
	try_outcomes(p, len, 2);
}

static void
try_subs_1(const uint8_t *p, size_t len)
{
	try_subs(p, len, 1);
}

static void
try_subs_2(const uint8_t *p, size_t len)
{
	try_subs(p, len, 2);
}

static void
try_detach_1(const uint8_t *p, size_t len)
{
	try_detach(p, len, 1);
}

static void
try_detach_2(const uint8_t *p, size_t len)
{
	try_detach(p, len, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static void (*const tries[])(const uint8_t *, size_t) = {try_attach, try_attached_1,
	    try_attached_2, try_batch_1, try_outcomes_1, try_settlements, try_subs_1, try_codes,
	    try_detach_1, try_frame, try_key, try_outcomes_2, try_subs_2, try_detach_2,
	    try_batch_2};

	if (len > 0)
		tries[p[0] % SQ_ARRAY_LEN(tries)](p + 1, len - 1);
	return 0;
}
