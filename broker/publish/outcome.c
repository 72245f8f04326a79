#include "broker/publish/outcome.h"

#include <assert.h>
#include <string.h>

#include "broker/publish/id.h"
#include "broker/publish/received.h"
#include "broker/shard/source.h"
#include "proto/mqtt/reason.h"

static struct sq_published *
outcome_list(struct sq_call *c)
{
	return (struct sq_published *)(void *)sq_buf_data(&c->store);
}

void
sq_outcome_begin(struct sq_call *c, uint16_t n)
{
	size_t size = n * sizeof(struct sq_published);

	assert(sq_buf_len(&c->store) == 0);
	memset(sq_buf_reserve(&c->store, size), 0, size);
	sq_buf_commit(&c->store, size);
}

static enum sq_published_how
outcome_how(const struct sq_publish *p, uint8_t code)
{
	switch ((enum sq_publish_how)p->end.how) {
	case SQ_PUBLISH_DELAYED:
		return SQ_PUBLISHED_SCHEDULED;
	case SQ_PUBLISH_KNOWN:
		return SQ_PUBLISHED_REPLAYED;
	case SQ_PUBLISH_OTHER:
		return SQ_PUBLISHED_KEY_REUSED;
	case SQ_PUBLISH_UNMATCHED:
		return SQ_PUBLISHED_REFUSED;
	case SQ_PUBLISH_ROUTED:
	case SQ_PUBLISH_HELD:
		break;
	}
	if (sq_mqtt_reason_failed(code))
		return SQ_PUBLISHED_REFUSED;
	if (sq_image_qos(p->msg->image) == 0)
		return SQ_PUBLISHED_ACCEPTED;
	return code == SQ_MQTT_RC_SUCCESS ? SQ_PUBLISHED_STORED : SQ_PUBLISHED_NO_MATCH;
}

_Static_assert(sizeof(((struct sq_published *)0)->id) == SQ_MESSAGE_ID, "the same id");

/* Keeps the name of the full queue, of as many as there may be texts. */
static void
outcome_queue(struct sq_outcome_list *l, const struct sq_refused *r, uint16_t i)
{
	const char *name;

	if (r->queue == NULL || l->n_queues == SQ_NOTE_TEXTS_MAX)
		return;
	name = sq_source_name(r->queue->source);
	sq_buf_u16(&l->queues, i);
	sq_buf_append(&l->queues, name, strlen(name) + 1);
	l->n_queues++;
}

void
sq_outcome_set(
    struct sq_outcome_list *l, struct sq_call *c, struct sq_publish *p, uint8_t code, uint16_t i)
{
	struct sq_published *out = &outcome_list(c)[i];

	sq_received_explain(p, code, i, &l->notes);
	out->code = code;
	out->how = (uint8_t)outcome_how(p, code);
	out->matched = out->how == SQ_PUBLISHED_REFUSED ? 0 : (uint32_t)p->n;
	sq_message_id_of(p->end.keyed ? &p->end.key : NULL, p->origin, out->id);
	if (sq_mqtt_reason_failed(code))
		outcome_queue(l, &p->refused, i);
	l->waits |= out->how == SQ_PUBLISHED_STORED || out->how == SQ_PUBLISHED_REPLAYED ||
	    out->how == SQ_PUBLISHED_SCHEDULED;
}

void
sq_outcome_refused(
    struct sq_outcome_list *l, struct sq_call *c, uint16_t n, uint16_t culprit, bool too_large)
{
	for (uint16_t i = 0; i < n; i++) {
		if (i != culprit)
			outcome_list(c)[i] = (struct sq_published){
			    .code = SQ_MQTT_RC_UNSPECIFIED, .how = SQ_PUBLISHED_NOT};
	}
	if (too_large)
		outcome_list(c)[culprit].how = SQ_PUBLISHED_TOO_LARGE;
	l->waits = false;
}

static void
outcome_notes(struct sq_published *v, struct sq_bytes notes)
{
	struct sq_note note;

	while (sq_note_next(&notes, &note)) {
		for (uint16_t i = 0; i < note.n; i++) {
			v[note.index + i].refusal = note.refusal;
			v[note.index + i].note = note.text;
		}
	}
}

static void
outcome_queues(struct sq_published *v, const unsigned char *p, uint16_t n)
{
	for (; n > 0; n--) {
		uint16_t i = sq_get16(p);

		v[i].queue = (const char *)p + 2;
		p += 2 + strlen(v[i].queue) + 1;
	}
}

const struct sq_published *
sq_outcome_end(struct sq_outcome_list *l, struct sq_call *c)
{
	struct sq_bytes notes = sq_notes_view(&l->notes);
	size_t list = sq_buf_len(&c->store);

	sq_buf_append(&c->store, notes.p, notes.len);
	sq_buf_append(&c->store, sq_buf_data(&l->queues), sq_buf_len(&l->queues));
	notes.p = sq_buf_data(&c->store) + list;
	outcome_notes(outcome_list(c), notes);
	outcome_queues(outcome_list(c), notes.p + notes.len, l->n_queues);
	return outcome_list(c);
}

void
sq_outcome_fini(struct sq_outcome_list *l)
{
	sq_notes_fini(&l->notes);
	sq_buf_fini(&l->queues);
}
