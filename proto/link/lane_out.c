/* Sender of a lane; see lane_out.h.  Batches stand in one list in number order;
 * 'scan' is where the next one to send is looked for. */
#include "proto/link/lane_out.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/lane_out_priv.h"
#include "proto/mqtt/reason.h"

struct sq_lane_out *
sq_lane_out_new(unsigned lane, uint64_t run, size_t bytes_max)
{
	struct sq_lane_out *l = sq_xcalloc(1, sizeof *l);

	l->lane = lane;
	l->run = run;
	l->next = 1;
	l->bytes_max = bytes_max;
	sq_list_init(&l->batches);
	l->scan = &l->batches;
	return l;
}

void
sq_lane_out_free(struct sq_lane_out **lp)
{
	struct sq_lane_out *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(b, &l->batches, struct sq_lane_batch, node) {
		assert(b->flights == 0);
		sq_lane_batch_free(b);
	}
	sq_buf_fini(&l->held_entry);
	sq_buf_fini(&l->held_text);
	free(l);
}

static struct sq_lane_meta
meta_of(uint8_t kind, uint8_t qos, uint8_t image_qos, uint16_t packet_id)
{
	return (struct sq_lane_meta){packet_id,
	    (uint8_t)(kind << SQ_META_KIND_SHIFT | image_qos << SQ_META_IMAGE_QOS_SHIFT | qos), 0};
}

int
sq_lane_out_message(struct sq_lane_out *l, const struct sq_lane_publish *m)
{
	size_t image = SQ_MSG_HEADER + m->topic.len + m->props.len + m->payload.len;
	size_t size = SQ_ENTRY_HEADER + image;
	uint8_t qos = sq_lane_publish_qos(m);
	struct sq_lane_batch *b;
	unsigned char *p;

	if (m->topic.len == 0 || m->topic.len > UINT16_MAX || image > UINT32_MAX / 2)
		return SQ_ETOOBIG;
	if (l->bytes != 0 && l->bytes + size > l->bytes_max)
		return SQ_EAGAIN;
	b = sq_lane_open_batch(l, size);
	p = sq_buf_reserve(&b->bytes, size);
	sq_entry_header(p, SQ_ENTRY_MESSAGE, m->qos == 2 ? m->packet_id : 0);
	sq_image_write(
	    p + SQ_ENTRY_HEADER, qos, m->retain, m->topic, m->props, m->expiry_s, m->payload);
	sq_buf_commit(&b->bytes, size);
	sq_lane_batch_meta(b, meta_of(SQ_ENTRY_MESSAGE, m->qos, qos, m->packet_id));
	l->next++;
	l->bytes += size;
	return 0;
}

static int
lane_release(struct sq_lane_out *l, struct sq_lane_meta m)
{
	struct sq_lane_batch *b;

	if (l->bytes != 0 && l->bytes + SQ_ENTRY_HEADER > l->bytes_max)
		return SQ_EAGAIN;
	b = sq_lane_open_batch(l, SQ_ENTRY_HEADER);
	sq_entry_header(sq_buf_reserve(&b->bytes, SQ_ENTRY_HEADER), SQ_ENTRY_RELEASE, m.packet_id);
	sq_buf_commit(&b->bytes, SQ_ENTRY_HEADER);
	sq_lane_batch_meta(b, m);
	l->next++;
	l->bytes += SQ_ENTRY_HEADER;
	return 0;
}

int
sq_lane_out_release(struct sq_lane_out *l, uint16_t packet_id)
{
	return lane_release(l, meta_of(SQ_ENTRY_RELEASE, 2, 2, packet_id));
}

int
sq_lane_out_refused(struct sq_lane_out *l, uint8_t qos, uint16_t packet_id, uint8_t reason,
    uint8_t refusal, struct sq_bytes text)
{
	struct sq_lane_meta m = meta_of(SQ_ENTRY_MESSAGE, qos, qos, packet_id);
	struct sq_lane_batch *b;
	int rc;

	/* To the broker it is a release: of an id that isn't held it uses up the
	 * number and no more, and one that is held ends with this refusal. */
	assert(l->lane == 1 && qos > 0);
	m.bits |= SQ_META_FORCED;
	m.reason = reason;
	rc = lane_release(l, m);
	if (rc != 0 || !sq_mqtt_reason_failed(reason))
		return rc;
	b = SQ_CONTAINER_OF(l->batches.prev, struct sq_lane_batch, node);
	sq_lane_say(l, b, (uint16_t)(b->n - 1), refusal, text);
	return 0;
}

bool
sq_lane_out_room(const struct sq_lane_out *l)
{
	return l->bytes <= l->bytes_max - l->bytes_max / 4;
}

size_t
sq_lane_out_bytes(const struct sq_lane_out *l)
{
	return l->bytes;
}

bool
sq_lane_out_idle(const struct sq_lane_out *l)
{
	return sq_list_empty(&l->batches) && !l->held;
}

uint64_t
sq_lane_out_last(const struct sq_lane_out *l)
{
	return l->next - 1;
}

/* The oldest batch without an answer, or NULL. */
static struct sq_lane_batch *
lane_oldest(const struct sq_lane_out *l)
{
	SQ_LIST_FOR_EACH(b, &l->batches, struct sq_lane_batch, node) {
		if (b->state != SQ_LB_ANSWERED)
			return b;
	}
	return NULL;
}

bool
sq_lane_out_take(struct sq_lane_out *l, uint32_t mark, struct sq_lane_flight *out)
{
	struct sq_lane_batch *b = NULL;
	struct sq_batch head;

	if (l->flying >= SQ_BATCH_FLYING_MAX)
		return false;
	for (; l->scan != &l->batches; l->scan = l->scan->next) {
		b = SQ_CONTAINER_OF(l->scan, struct sq_lane_batch, node);
		if (b->state == SQ_LB_OPEN || b->state == SQ_LB_SEALED)
			break;
	}
	if (l->scan == &l->batches || b->mark > mark || b->waits)
		return false;
	if (b->state == SQ_LB_OPEN)
		l->hint = sq_buf_len(&b->bytes);
	sq_lane_enter(l, b, SQ_LB_FLYING);
	b->flown = true;
	b->flights++;
	b->turn++;
	l->started = true;
	l->scan = b->node.next;
	*out = (struct sq_lane_flight){.batch = b,
	    .turn = b->turn,
	    .run = l->run,
	    .first = b->first,
	    .upto = lane_oldest(l)->first - 1,
	    .n = b->n,
	    .entries = {sq_buf_data(&b->bytes), sq_buf_len(&b->bytes)}};
	head = (struct sq_batch){.lane = (uint8_t)l->lane,
	    .n = b->n,
	    .run = l->run,
	    .first = b->first,
	    .upto = out->upto,
	    .mark = b->mark};
	sq_batch_header(out->header, &head);
	return true;
}

/* Ends a flight's hold on its batch.  Returns the batch if it is still of the
 * lane, else NULL. */
static struct sq_lane_batch *
flight_end(const struct sq_lane_flight *f)
{
	struct sq_lane_batch *b = f->batch;

	assert(b->flights > 0);
	b->flights--;
	if (b->listed)
		return b;
	if (b->flights == 0)
		sq_lane_batch_free(b);
	return NULL;
}

/* Sends 'b' again unless a later flight of it is already on its way. */
static void
flight_reseal(struct sq_lane_out *l, struct sq_lane_batch *b, const struct sq_lane_flight *f)
{
	if (b != NULL && b->state == SQ_LB_FLYING && b->turn == f->turn)
		sq_lane_enter(l, b, SQ_LB_SEALED);
}

/* Codes that a broker may answer (docs/link.md, "Outcomes"). */
static bool
outcome_known(uint8_t code)
{
	switch (code) {
	case SQ_MQTT_RC_SUCCESS:
	case SQ_MQTT_RC_NO_MATCHING_SUBSCRIBERS:
	case SQ_MQTT_RC_UNSPECIFIED:
	case SQ_MQTT_RC_IMPLEMENTATION:
	case SQ_MQTT_RC_NOT_AUTHORIZED:
	case SQ_MQTT_RC_TOPIC_INVALID:
	case SQ_MQTT_RC_PACKET_ID_NOT_FOUND:
	case SQ_MQTT_RC_QUOTA_EXCEEDED:
	case SQ_MQTT_RC_PAYLOAD_FORMAT_INVALID:
		return true;
	default:
		return false;
	}
}

int
sq_lane_out_answered(
    struct sq_lane_out *l, const struct sq_lane_flight *f, const struct sq_outcomes *o)
{
	struct sq_lane_batch *b;
	bool fits = o->first == f->first && o->n == f->n;

	for (unsigned i = 0; fits && i < o->n; i++)
		fits = outcome_known(o->codes[i]);
	b = flight_end(f);
	if (!fits) {
		flight_reseal(l, b, f);
		return SQ_EINVAL;
	}
	/* Numbers of an older run say nothing about this batch's. */
	if (b == NULL || b->state == SQ_LB_ANSWERED || f->run != l->run || f->first != b->first)
		return 0;
	sq_lane_answer(l, b, o);
	return 0;
}

void
sq_lane_out_failed(struct sq_lane_out *l, const struct sq_lane_flight *f)
{
	flight_reseal(l, flight_end(f), f);
}

int
sq_lane_out_gap(struct sq_lane_out *l, const struct sq_lane_flight *f, uint64_t last)
{
	struct sq_lane_batch *b = flight_end(f);

	/* An older flight's: another one is on its way, or has been answered. */
	if (b == NULL || b->state != SQ_LB_FLYING || b->turn != f->turn || f->run != l->run)
		return 0;
	SQ_LIST_FOR_EACH(it, &l->batches, struct sq_lane_batch, node) {
		if (it->state == SQ_LB_FLYING && (it == b || it->first > last))
			sq_lane_enter(l, it, SQ_LB_SEALED);
	}
	if (last >= f->upto)
		return 0;
	l->run_lost = true;
	return SQ_ESTALE;
}

int
sq_lane_out_run_lost(struct sq_lane_out *l, const struct sq_lane_flight *f)
{
	struct sq_lane_batch *b = flight_end(f);

	/* A flight of a batch that another one has answered says nothing: its
	 * outcomes are no longer kept because they have arrived. */
	if (b == NULL || b->state != SQ_LB_FLYING || b->turn != f->turn || f->run != l->run)
		return 0;
	sq_lane_enter(l, b, SQ_LB_SEALED);
	l->run_lost = true;
	return SQ_ESTALE;
}

int
sq_lane_out_too_big(struct sq_lane_out *l, const struct sq_lane_flight *f, uint8_t reason,
    uint8_t refusal, struct sq_bytes text)
{
	struct sq_lane_batch *b = flight_end(f);
	uint16_t id;

	if (b == NULL || b->state == SQ_LB_ANSWERED)
		return 0;
	flight_reseal(l, b, f);
	if (b->forced)
		return 0;
	id = b->metas[0].packet_id;
	if (id == 0) {
		/* QoS 0: nothing can take the number's place, the next run leaves it out. */
		sq_lane_unlist(l, b);
		l->run_lost = true;
		return SQ_ESTALE;
	}
	/* A release of an id that isn't held uses up the number, and no more. */
	if (b->n != 1 || b->flights != 0)
		return SQ_ESTALE;
	b->metas[0].reason = reason;
	b->metas[0].bits |= SQ_META_FORCED;
	b->forced = true;
	sq_lane_say(l, b, 0, refusal, text);
	l->bytes -= sq_buf_len(&b->bytes) - SQ_ENTRY_HEADER;
	sq_buf_fini(&b->bytes);
	sq_entry_header(sq_buf_reserve(&b->bytes, SQ_ENTRY_HEADER), SQ_ENTRY_RELEASE, id);
	sq_buf_commit(&b->bytes, SQ_ENTRY_HEADER);
	return 0;
}

/* Gives every batch without an answer numbers from 'number' on, in a new run. */
static void
lane_renumber(struct sq_lane_out *l, uint64_t run, uint64_t number, bool drop_flown)
{
	l->run = run;
	l->top = 0;
	l->run_lost = false;
	l->started = false;
	SQ_LIST_FOR_EACH_SAFE(b, &l->batches, struct sq_lane_batch, node) {
		if (b->state == SQ_LB_ANSWERED)
			continue;
		if (drop_flown && b->flown) {
			sq_lane_unlist(l, b);
			continue;
		}
		b->first = number;
		b->flown = false;
		number += b->n;
	}
	l->next = number;
}

void
sq_lane_out_attached(struct sq_lane_out *l, const struct sq_lane_attach *a)
{
	struct sq_lane_batch *oldest;
	bool keep;

	SQ_LIST_FOR_EACH(b, &l->batches, struct sq_lane_batch, node) {
		if (b->state == SQ_LB_FLYING)
			sq_lane_enter(l, b, SQ_LB_SEALED);
	}
	l->scan = l->batches.next;
	oldest = lane_oldest(l);
	/* A broker that forgot an answered number would wait for it for ever.  Of lane 0 it
	 * knows no number after a restart, though it may have had some. */
	keep = a->same && l->started && !l->run_lost && l->top <= a->last && a->last < l->next &&
	    (l->lane != 0 || a->last != 0) &&
	    (oldest == NULL ? a->last + 1 == l->next : a->last + 1 >= oldest->first);
	if (!keep)
		lane_renumber(l, a->run, a->last + 1, l->lane == 0 || a->clean);
	if (l->held && l->retrying && !l->settled) {
		/* Its batch may just have been dropped. */
		bool there = false;

		SQ_LIST_FOR_EACH(b, &l->batches, struct sq_lane_batch, node)
			there = there || b->retry;
		l->retrying = there;
	}
}
