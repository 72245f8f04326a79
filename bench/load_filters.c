/* A client that subscribes to many filters and does nothing else: how long does it
 * take?  At most --window of its SUBSCRIBEs are unanswered; one by one with 1. */
#include "bench/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t QUIET = UINT64_C(10000000000); /* ns without an answer: no more comes */

static uint16_t
filters_packet_id(uint32_t n)
{
	return (uint16_t)(1 + n % SQ_LOAD_PACKET_IDS);
}

static void
filters_send(struct sq_load *l, struct sq_load_conn *c)
{
	struct sq_load_filters *f = &l->filters;
	unsigned char packet[SQ_WIRE_SMALL];
	char filter[128];
	uint16_t id;
	size_t n;

	while (f->sent < l->o.filters && f->sent - f->answered < l->o.window) {
		id = filters_packet_id(f->sent);
		if (f->stamp[id] != 0)
			return; /* the one before with this id is unanswered */
		snprintf(filter, sizeof filter, "%s/filters/%" PRIu32, l->o.prefix, f->sent);
		n = sq_wire_put_subscribe(packet, id, filter, l->o.qos, l->o.v5);
		memcpy(sq_load_conn_room(c, n), packet, n);
		sq_load_conn_dirty(l, c);
		f->stamp[id] = l->now;
		f->sent++;
	}
}

bool
sq_load_filters_packet(struct sq_load *l, struct sq_load_conn *c, const struct sq_wire_frame *frame)
{
	struct sq_load_filters *f = &l->filters;
	uint16_t id;
	uint8_t code;

	if (frame->head >> 4 != SQ_WIRE_SUBACK ||
	    !sq_wire_read_suback(frame, l->o.v5, &id, &code) || f->stamp == NULL ||
	    f->stamp[id] == 0)
		return sq_load_fail(l, "not the SUBACK that is due: packet 0x%02x", frame->head);
	if (code != l->o.qos)
		return sq_load_fail(l, "asked for QoS %u: SUBACK 0x%02x", l->o.qos, code);
	sq_hist_add(l->ack, l->now - f->stamp[id]);
	f->stamp[id] = 0;
	f->answered++;
	l->last_progress = l->now;
	filters_send(l, c);
	return true;
}

static bool
filters_pass(struct sq_load *l)
{
	while (l->filters.answered < l->o.filters) {
		if (!sq_load_turn(l))
			return false;
		if (sq_load_interrupted() || l->now - l->last_progress > QUIET)
			return sq_load_fail(l, "%" PRIu32 " of %" PRIu32 " SUBSCRIBEs are answered",
			    l->filters.answered, l->o.filters);
	}
	return true;
}

int
sq_load_filters_run(struct sq_load *l)
{
	bool done;

	while (l->phase == SQ_LOAD_SETUP)
		if (!sq_load_step(l) || !sq_load_turn(l))
			return 3;
	l->filters.stamp = calloc(SQ_LOAD_PACKET_IDS + 1, sizeof *l->filters.stamp);
	if (l->filters.stamp == NULL)
		abort();
	sq_load_pids_before(l);
	l->now = l->from = l->last_progress = sq_load_clock_ns();
	filters_send(l, &l->idle[0]);
	done = filters_pass(l);
	l->till = l->now;
	sq_load_pids_after(l);
	free(l->filters.stamp);
	l->filters.stamp = NULL;
	if (!done)
		return 3;
	sq_load_report_filters(l);
	return 0;
}
