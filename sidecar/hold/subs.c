/* SUBSCRIBE and UNSUBSCRIBE of a client, and declared bindings: requests to the broker, and the
 * effect of the answers. order.c decides the time of a request. */
#include "sidecar/hold/hold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/annotations/annotations.h"
#include "proto/mqtt/options.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/topic.h"
#include "sidecar/hold/limits.h"
#include "sidecar/hold/room.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/subs.h"

enum {
	FILTER_SHOWN_MAX = 256, /* of a filter in them */
	ENTRY_OVERHEAD = 48,    /* by which an entry is larger on the link, at most */
};

/* Entry 'i' is refused here, for 'why'. */
static void
subreq_refuse(struct sq_hold *hold, struct sq_subreq *r, uint16_t i, uint8_t code,
    enum sq_refusal refusal, struct sq_bytes filter, const char *why)
{
	struct sq_buf text = {0};
	struct sq_note note = {.refusal = (uint8_t)refusal};
	unsigned char room[SQ_NOTE_TEXT_MAX];

	r->codes[i] = code;
	sq_buf_printf(&text, "filter %.*s: %s",
	    (int)sq_utf8_cut(filter.p, filter.len, FILTER_SHOWN_MAX), (const char *)filter.p, why);
	note.text = sq_note_text_clean(sq_buf_bytes(&text), room);
	sq_subreq_refused(hold, r, code, &note);
	sq_buf_fini(&text);
}

static void
subreq_suback(struct sq_hold *hold, const struct sq_subreq *r)
{
	struct sq_sub_answer answer = {
	    .type = r->op == SQ_SUB_SUBSCRIBE ? SQ_MQTT_SUBACK : SQ_MQTT_UNSUBACK,
	    .packet_id = r->packet_id,
	    .codes = r->codes,
	    .n = r->n,
	    .text = {sq_buf_data(&r->text), sq_buf_len(&r->text)}};

	if (sq_hold_has_client(hold))
		hold->ops->subscribed(hold->user, &answer);
}

/* An edit of the annotations may have come since it was asked for. */
static void
subreq_made(struct sq_hold *hold, const struct sq_sub *e)
{
	struct sq_topic_filter f;

	sq_hold_made(hold, e);
	if (sq_topic_filter_parse(e->filter, &f, NULL) != 0 || !sq_hold_allows(hold, &f))
		sq_hold_enforce(hold);
}

static void
packet_entry(struct sq_hold *hold, const struct sq_subreq *r, const struct sq_sub *e, uint8_t code)
{
	if (hold->bye.leaving && hold->bye.expiry_s == 0)
		return;
	if (r->op == SQ_SUB_UNSUBSCRIBE)
		sq_hold_unmade(hold, e->filter);
	else if (!sq_mqtt_reason_failed(code))
		subreq_made(hold, e);
}

/* Handles the answer to a packet: updates the client's subscriptions, and tells the client. */
static void
packet_answered(struct sq_hold *hold, struct sq_subreq *r, const struct sq_sub_codes *codes)
{
	sq_subreq_take(hold, r, codes, packet_entry);
	subreq_suback(hold, r);
}

static void
declared_answered(struct sq_hold *hold, struct sq_subreq *r, const struct sq_sub_codes *codes)
{
	sq_subreq_take(hold, r, codes, NULL);
	if (hold->user != NULL)
		hold->ops->declared(hold->user, r->token, r->codes[0],
		    sq_note_find(codes->notes, codes->first).text);
}

/* A packet's request is complete; one with nothing to ask is answered at once. */
static void
subreq_start(struct sq_hold *hold, struct sq_subreq *r)
{
	if (r->n_ask != 0) {
		sq_hold_ask_in_order(hold, r);
		return;
	}
	subreq_suback(hold, r);
	sq_subreq_free(r);
}

/* UNSUBACK has no codes before MQTT 5: it says that all is done. */
static bool
subs_can_refuse(const struct sq_hold *hold, uint8_t type)
{
	return type == SQ_MQTT_SUBACK || hold->version == SQ_MQTT_V5;
}

/* All entries of a packet are refused alike, for 'why'. */
static void
subs_refuse_packet(
    struct sq_hold *hold, uint8_t type, uint16_t packet_id, uint32_t count, struct sq_buf *why)
{
	uint8_t *codes = sq_xmalloc(count);
	struct sq_refusal_seen refused = {.client = hold->client_id,
	    .what = type == SQ_MQTT_SUBACK ? "subscribe" : "unsubscribe",
	    .code = type == SQ_MQTT_SUBACK ? SQ_MQTT_RC_QUOTA_EXCEEDED : SQ_MQTT_RC_IMPLEMENTATION,
	    .refusal = SQ_REFUSAL_QUOTA,
	    .text = {sq_buf_data(why), sq_buf_len(why)}};
	struct sq_sub_answer answer = {
	    .type = type, .packet_id = packet_id, .codes = codes, .n = count, .text = refused.text};

	memset(codes, refused.code, count);
	sq_refusals_note(hold->holds, &hold->up.refusals, &refused);
	if (subs_can_refuse(hold, type) && sq_hold_has_client(hold))
		hold->ops->subscribed(hold->user, &answer);
	sq_buf_fini(why);
	free(codes);
}

/* Whether a packet of 'count' filters in 'bytes' may be asked for: 0; SQ_EAGAIN: not now;
 * SQ_ETOOBIG: it has been refused. */
static int
subs_admit(struct sq_hold *hold, uint8_t type, uint16_t packet_id, uint32_t count, size_t bytes)
{
	size_t body = bytes + (size_t)count * ENTRY_OVERHEAD;
	struct sq_buf why = {0};

	if (hold->subs.bytes > SQ_SUBS_BYTES_MAX)
		return SQ_EAGAIN;
	if (count > SQ_SUBS_ENTRIES_MAX)
		sq_buf_printf(&why, "%u filters in one packet, at most %d are taken",
		    (unsigned)count, SQ_SUBS_ENTRIES_MAX);
	else if (body <= SQ_BODY_SLACK) /* any broker takes it */
		return 0;
	else if (hold->holds->told.max_packet == 0)
		return SQ_EAGAIN; /* until one has said what it takes */
	else if (body > (size_t)hold->holds->told.max_packet + SQ_BODY_SLACK * 2)
		sq_buf_printf(&why,
		    "the packet is too large for the broker, whose limits.max-packet is %u",
		    hold->holds->told.max_packet);
	else
		return 0;
	subs_refuse_packet(hold, type, packet_id, count, &why);
	return SQ_ETOOBIG;
}

/* Whether the room for 'count' more depends on answers that are still to come. */
static bool
subs_near_full(const struct sq_hold *hold, uint32_t count)
{
	return hold->subs.made.n + hold->subs.n_asked + count >
	    hold->holds->cfg->max_subscriptions &&
	    !sq_order_out_idle(&hold->subs.order);
}

/* Whether 'filter', one of 'count' in a packet with 'fresh' new ones before it, is
 * one subscription too many.  One that the session has is replaced (MQTT-3.8.4-3). */
static bool
subs_full(const struct sq_hold *hold, uint32_t count, uint32_t *fresh, struct sq_bytes filter)
{
	uint64_t most = hold->holds->cfg->max_subscriptions;

	if (hold->subs.made.n + count <= most || sq_hold_has_made(hold, filter))
		return false;
	return hold->subs.made.n + (*fresh)++ >= most;
}

/* More than limits.subscriptions. */
static void
subs_refuse_entry(struct sq_hold *hold, struct sq_subreq *r, uint16_t i, struct sq_bytes filter)
{
	char why[96];

	snprintf(why, sizeof why, "a client may have %llu subscriptions (limits.subscriptions)",
	    (unsigned long long)hold->holds->cfg->max_subscriptions);
	subreq_refuse(hold, r, i, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA, filter, why);
}

/* Refuses an entry whose filter sqmqos.io/subscribe does not allow. */
static void
subs_deny_entry(struct sq_hold *hold, struct sq_subreq *r, uint16_t i, struct sq_bytes filter)
{
	sq_holds_count(hold->holds, SQ_M_SUBSCRIBE_STRICT, 1);
	subreq_refuse(hold, r, i, SQ_MQTT_RC_NOT_AUTHORIZED, SQ_REFUSAL_DENIED, filter,
	    SQ_ANNOTATION_SUBSCRIBE " is strict, and neither declares nor allows it");
}

/* Whether entry 'i' of 'count' is asked for; else it has been refused. */
static bool
subs_may_ask(struct sq_hold *hold, struct sq_subreq *r, uint16_t i, uint32_t count, uint32_t *fresh,
    struct sq_bytes filter)
{
	const char *why = "not UTF-8";
	struct sq_topic_filter f;
	uint8_t code;

	if (sq_topic_filter_parse(filter, &f, &why) != 0) {
		subreq_refuse(hold, r, i, SQ_MQTT_RC_FILTER_INVALID, SQ_REFUSAL_TOPIC, filter, why);
		return false;
	}
	if ((code = sq_limits_filter(&hold->holds->told.limits, filter, &f, &why)) != 0) {
		subreq_refuse(hold, r, i, code,
		    code == SQ_MQTT_RC_FILTER_INVALID ? SQ_REFUSAL_TOPIC : SQ_REFUSAL_DENIED,
		    filter, why);
		return false;
	}
	if (!sq_hold_allows(hold, &f)) {
		subs_deny_entry(hold, r, i, filter);
		return false;
	}
	if (subs_full(hold, count, fresh, filter)) {
		subs_refuse_entry(hold, r, i, filter);
		return false;
	}
	if (sq_room_none_to_stay() && !sq_hold_has_made(hold, filter)) {
		subreq_refuse(
		    hold, r, i, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_MEMORY, filter, SQ_ROOM_TEXT);
		return false;
	}
	return true;
}

int
sq_hold_subscribe(struct sq_hold *hold, uint16_t packet_id, uint32_t count, struct sq_bytes entries,
    uint32_t sub_id)
{
	uint8_t most = hold->holds->told.limits.max_qos;
	struct sq_mqtt_sub in;
	uint32_t fresh = 0;
	struct sq_subreq *r;
	int rc;

	rc = subs_near_full(hold, count)
	    ? SQ_EAGAIN
	    : subs_admit(hold, SQ_MQTT_SUBACK, packet_id, count, entries.len);
	if (rc != 0)
		return rc == SQ_EAGAIN ? rc : 0;
	r = sq_subreq_new(SQ_SUB_SUBSCRIBE, packet_id, (uint16_t)count, packet_answered);
	for (uint16_t i = 0; i < count && sq_mqtt_sub_next(&entries, &in); i++) {
		struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE,
		    .sub_id = sub_id,
		    .filter = in.filter,
		    .options = (uint8_t)((in.qos < most ? in.qos : most) |
			(in.no_local ? SQ_OPTION_NO_LOCAL : 0) |
			(in.retain_as_published ? SQ_OPTION_AS_PUBLISHED : 0) |
			in.retain_handling << SQ_OPTION_RETAIN_SHIFT)};

		if (subs_may_ask(hold, r, i, count, &fresh, in.filter))
			sq_subreq_ask(r, i, &sub);
	}
	subreq_start(hold, r);
	return 0;
}

int
sq_hold_unsubscribe(
    struct sq_hold *hold, uint16_t packet_id, uint32_t count, struct sq_bytes filters)
{
	struct sq_bytes filter;
	struct sq_topic_filter f;
	struct sq_subreq *r;
	int rc;

	rc = subs_admit(hold, SQ_MQTT_UNSUBACK, packet_id, count, filters.len);
	if (rc != 0)
		return rc == SQ_EAGAIN || !subs_can_refuse(hold, SQ_MQTT_UNSUBACK) ? rc : 0;
	r = sq_subreq_new(SQ_SUB_UNSUBSCRIBE, packet_id, (uint16_t)count, packet_answered);
	for (uint16_t i = 0; i < count && sq_mqtt_filter_next(&filters, &filter); i++) {
		struct sq_sub sub = {.op = SQ_SUB_UNSUBSCRIBE, .filter = filter};

		const char *why = "not UTF-8";

		if (sq_topic_filter_parse(filter, &f, &why) != 0)
			subreq_refuse(
			    hold, r, i, SQ_MQTT_RC_FILTER_INVALID, SQ_REFUSAL_TOPIC, filter, why);
		else
			sq_subreq_ask(r, i, &sub);
	}
	subreq_start(hold, r);
	return 0;
}

void
sq_hold_declare(struct sq_hold *hold, const struct sq_sub *sub, uint32_t token)
{
	struct sq_subreq *r;

	if (hold->bye.leaving || hold->state == SQ_HOLD_ENDED)
		return;
	r = sq_subreq_new(sub->op, 0, 1, declared_answered);
	r->declared = true;
	r->token = token;
	sq_subreq_ask(r, 0, sub);
	if (sub->concurrency != 0)
		sq_inbox_limit(hold->inbox, sub->concurrency);
	sq_hold_ask(hold, r, false);
}
