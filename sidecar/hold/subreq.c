/* Requests about subscriptions, and the codes of their answers. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/mqtt/reason.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

enum { TEXT_MAX = 1024 }; /* bytes of a SUBACK's words */

struct sq_subreq *
sq_subreq_new(uint8_t op, uint16_t packet_id, uint16_t n, sq_subreq_done *done)
{
	struct sq_subreq *r = sq_xcalloc(1, sizeof *r);

	r->op = op;
	r->done = done;
	r->packet_id = packet_id;
	r->n = n;
	r->codes = sq_xmalloc(n);
	sq_list_init(&r->node);
	return r;
}

void
sq_subreq_free(struct sq_subreq *r)
{
	free(r->codes);
	sq_buf_fini(&r->text);
	sq_buf_fini(&r->entries);
	free(r);
}

void
sq_subreq_ask(struct sq_subreq *r, uint16_t i, const struct sq_sub *sub)
{
	r->codes[i] = SQ_SUBREQ_ASK;
	r->n_ask++;
	sq_sub_put(&r->entries, sub, SQ_LINK_VERSION);
}

/* Adds to the words of the packet, each but once in a row. */
static void
subreq_say(struct sq_subreq *r, struct sq_bytes text)
{
	size_t had = sq_buf_len(&r->text);

	if (text.len == 0 || had + text.len > TEXT_MAX)
		return;
	if (had >= text.len &&
	    memcmp(sq_buf_data(&r->text) + had - text.len, text.p, text.len) == 0)
		return;
	if (had > 0)
		sq_buf_append(&r->text, "; ", 2);
	sq_buf_append(&r->text, text.p, text.len);
}

void
sq_subreq_refused(
    struct sq_hold *hold, struct sq_subreq *r, uint8_t code, const struct sq_note *note)
{
	struct sq_refusal_seen refused = {.client = hold->client_id,
	    .what = r->op == SQ_SUB_SUBSCRIBE ? "subscribe" : "unsubscribe",
	    .code = code,
	    .refusal = note->refusal,
	    .text = note->text};

	sq_refusals_note(hold->holds, &hold->up.refusals, &refused);
	subreq_say(r, note->text);
}

void
sq_subreq_take(struct sq_hold *hold, struct sq_subreq *r, const struct sq_sub_codes *codes,
    void (*entry)(struct sq_hold *, const struct sq_subreq *, const struct sq_sub *, uint8_t code))
{
	struct sq_bytes rest = {sq_buf_data(&r->entries), sq_buf_len(&r->entries)};
	const unsigned char *code = codes->codes + codes->first;
	uint16_t asked = codes->first;

	for (uint16_t i = 0; i < r->n; i++) {
		struct sq_sub e;

		if (r->codes[i] != SQ_SUBREQ_ASK)
			continue;
		e = sq_sub_next(&rest, SQ_LINK_VERSION);
		r->codes[i] = *code++;
		if (sq_mqtt_reason_failed(r->codes[i])) {
			struct sq_note note = sq_note_find(codes->notes, asked);

			sq_subreq_refused(hold, r, r->codes[i], &note);
		}
		asked++;
		if (entry != NULL)
			entry(hold, r, &e, r->codes[i]);
	}
}
