#include "broker/session/wanted.h"

#include <stdlib.h>

#include "broker/group/named.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/mqtt/reason.h"
#include "proto/topic/queue.h"
#include "proto/topic/topic.h"

enum {
	SEPARATOR = 0xff, /* in no UTF-8 */
	FILTER_SHOWN_MAX = 256,
	QUEUE_NAME_MAX = UINT16_MAX - 32, /* bytes, less what the store puts behind it */
};

char *
sq_wanted_text(const char *kind, struct sq_bytes a, struct sq_bytes b, struct sq_bytes c)
{
	const struct sq_bytes parts[] = {a, b, c};
	struct sq_buf text = {0};

	sq_buf_append(&text, kind, strlen(kind));
	for (size_t i = 0; i < SQ_ARRAY_LEN(parts); i++) {
		sq_buf_u8(&text, SEPARATOR);
		sq_buf_append(&text, parts[i].p, parts[i].len);
	}
	return sq_buf_take_text(&text);
}

static bool
wanted_has_nul(struct sq_bytes b)
{
	return b.len > 0 && (memchr(b.p, '\0', b.len) != NULL || !sq_utf8_valid(b.p, b.len));
}

/* A subscription to dead letters is to all of them, and without a share name: its subscribers share
 * them. */
static bool
wanted_dead(struct sq_wanted *w)
{
	struct sq_bytes f = w->filter.filter;

	w->dead = f.len == 7 && memcmp(f.p, "$dead/#", 7) == 0 && w->filter.share.len == 0 &&
	    w->filter.tag.len == 0;
	return w->dead;
}

uint8_t
sq_wanted_refuse(struct sq_wanted *w, uint8_t code, const char *why)
{
	struct sq_bytes f = w->e.filter;

	sq_buf_drain(&w->note, sq_buf_len(&w->note));
	f.len = sq_utf8_cut(f.p, f.len, FILTER_SHOWN_MAX);
	if (!wanted_has_nul(f))
		sq_buf_printf(&w->note, "filter %.*s: ", (int)f.len, (const char *)f.p);
	sq_buf_printf(&w->note, "%s", why);
	return code;
}

/* A subscription to a named queue joins it, and binds nothing. */
static uint8_t
wanted_named(const struct sq_key *key, struct sq_wanted *w)
{
	const struct sq_sub *e = &w->e;

	if (w->filter.share.len > 0 || w->filter.tag.len > 0)
		return sq_wanted_refuse(
		    w, SQ_MQTT_RC_FILTER_INVALID, "a named queue is joined by $queue/NAME alone");
	if (!sq_topic_queue_name(w->queue))
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID,
		    "the name of a queue must be " SQ_TOPIC_QUEUE_NAME_RULE);
	w->named = true;
	w->group = sq_named_group(key->space, w->queue);
	w->name = e->flags & SQ_SUB_DECLARED ? sq_wanted_text("", e->group, e->tag, e->filter)
					     : sq_xmemdup0(e->filter.p, e->filter.len);
	return SQ_MQTT_RC_SUCCESS;
}

/* Whether the filter, which begins with $queue/, is one that joins a queue. */
static bool
wanted_joins(const struct sq_wanted *w)
{
	return w->filter.share.len == 0 && w->filter.tag.len == 0 && sq_topic_queue_name(w->queue);
}

/* 'there': it may be one of an older broker, for which what begins with $queue/ was a plain filter. */
static uint8_t
wanted_parse(const struct sq_key *key, const struct sq_sub *e, bool there, struct sq_wanted *w)
{
	struct sq_bytes all = {(const unsigned char *)"#", 1};
	struct sq_bytes space = sq_bytes_of(key->space), workload = sq_bytes_of(key->workload);
	const char *why = "filter, tag and group must be UTF-8 without NUL";

	*w = (struct sq_wanted){.e = *e};
	if (wanted_has_nul(e->filter) || wanted_has_nul(e->tag) || wanted_has_nul(e->group) ||
	    wanted_has_nul(e->pod) ||
	    sq_topic_filter_parse(e->filter.len > 0 ? e->filter : all, &w->filter, &why) != SQ_OK ||
	    (e->tag.len > 0 && sq_topic_tag_check(e->tag, &why) != SQ_OK))
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, why);
	if (e->tag.len > 0 && w->filter.tag.len > 0)
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, "it names two tags");
	if (e->tag.len > 0)
		w->filter.tag = e->tag;
	if (sq_topic_is_dead(w->filter.filter) && !wanted_dead(w))
		return sq_wanted_refuse(
		    w, SQ_MQTT_RC_FILTER_INVALID, "dead letters are taken whole, by $dead/#");
	if (sq_topic_is_reply(w->filter.filter) && !there)
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID,
		    "nobody subscribes to $reply, where replies to requests go");
	if (sq_topic_queue_filter(w->filter.filter, &w->queue) && (!there || wanted_joins(w)))
		return wanted_named(key, w);
	if (e->flags & SQ_SUB_DECLARED) {
		if (w->filter.share.len > 0)
			return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID,
			    "a declared one shares by its group, not by $share");
		w->name = sq_wanted_text("", e->group, e->tag, e->filter);
		w->group = sq_wanted_text("declared", space, workload, e->group);
		return SQ_MQTT_RC_SUCCESS;
	}
	if (e->tag.len > 0) /* a plain one names its tag in the filter */
		return sq_wanted_refuse(w, SQ_MQTT_RC_FILTER_INVALID, "its tag belongs into it");
	w->name = sq_xmemdup0(e->filter.p, e->filter.len);
	if (w->filter.share.len > 0) {
		if (e->options & SQ_OPTION_NO_LOCAL) /* MQTT-3.8.3-4 */
			return sq_wanted_refuse(
			    w, SQ_MQTT_RC_PROTOCOL_ERROR, "No Local and $share exclude each other");
		w->group = sq_wanted_text("share", space, e->filter, (struct sq_bytes){0});
	}
	if (w->dead)
		w->group = sq_xstrdup("dead");
	return SQ_MQTT_RC_SUCCESS;
}

uint8_t
sq_wanted_parse(const struct sq_key *key, const struct sq_sub *e, struct sq_wanted *w)
{
	return wanted_parse(key, e, e->op == SQ_SUB_UNSUBSCRIBE, w);
}

uint8_t
sq_wanted_stored(const struct sq_key *key, const struct sq_sub *e, struct sq_wanted *w)
{
	return wanted_parse(key, e, true, w);
}

bool
sq_wanted_storable(const struct sq_wanted *w)
{
	return w->group == NULL ||
	    (strlen(w->group) <= QUEUE_NAME_MAX && strlen(w->name) <= UINT16_MAX);
}

void
sq_wanted_fini(struct sq_wanted *w)
{
	free(w->name);
	free(w->group);
	sq_buf_fini(&w->note);
}

struct sq_bytes
sq_wanted_note(const struct sq_wanted *w)
{
	return sq_buf_bytes(&w->note);
}
