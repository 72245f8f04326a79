/* SUBSCRIBE and UNSUBSCRIBE of a session, and declared bindings: asked of the
 * broker in order, one request at a time; what a live client has subscribed to
 * is kept, to be made again when the broker has lost it. */
#include "sidecar/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "proto/topic/topic.h"
#include "sidecar/client.h"
#include "sidecar/declared.h"
#include "sidecar/session_priv.h"

enum {
	SUBREQ_BYTES_MAX = 262144, /* of a session that waits to be asked; then EAGAIN */
	POST_BYTES_MAX = 65536,    /* of a request, unless it is one packet's */
	PACKET_ENTRIES_MAX = 2048,
	TEXT_MAX = 1024, /* bytes of a SUBACK's words */
	CODE_ASK = 0xff, /* the broker's answer goes here */
};

/* What came in one packet, or one declaration. */
struct subreq {
	struct sq_list node;
	uint8_t op;           /* SQ_SUB_SUBSCRIBE or SQ_SUB_UNSUBSCRIBE */
	bool declared, again; /* 'again': the client knows nothing of it */
	uint16_t packet_id;
	uint16_t n, n_ask; /* entries; of which are asked for */
	uint32_t token;
	uint8_t *codes;
	struct sq_buf text;    /* why of what is refused */
	struct sq_buf entries; /* as in version SQ_LINK_VERSION of the link */
};

/* A live client's subscription. */
struct sub {
	struct sq_hnode node;
	uint32_t sub_id;
	uint16_t len;
	uint8_t options;
	char filter[];
};

struct subs_post {
	struct sq_session_post post;
	struct sq_list subreqs;
	struct sq_buf body;
};

/* --- what the client has subscribed to --- */

static struct sub *
subs_find(const struct sq_session *s, struct sq_bytes filter, uint64_t hash)
{
	struct sq_hnode *n = sq_htab_find(&s->subs, hash);

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct sub *sub = SQ_CONTAINER_OF(n, struct sub, node);

		if (sub->len == filter.len && memcmp(sub->filter, filter.p, filter.len) == 0)
			return sub;
	}
	return NULL;
}

static void
subs_set(struct sq_session *s, const struct sq_sub *e)
{
	uint64_t hash = sq_hash(e->filter.p, e->filter.len);
	struct sub *sub = subs_find(s, e->filter, hash);

	if (sub == NULL) {
		sub = sq_xmalloc(sizeof *sub + e->filter.len);
		sub->len = (uint16_t)e->filter.len;
		memcpy(sub->filter, e->filter.p, e->filter.len);
		sq_htab_insert(&s->subs, &sub->node, hash);
	}
	sub->options = e->options;
	sub->sub_id = e->sub_id;
}

static void
subs_remove(struct sq_session *s, struct sq_bytes filter)
{
	struct sub *sub = subs_find(s, filter, sq_hash(filter.p, filter.len));

	if (sub == NULL)
		return;
	sq_htab_remove(&s->subs, &sub->node);
	free(sub);
}

void
sq_session_free_subs(struct sq_session *s)
{
	struct sq_hnode *n, *next;

	for (n = sq_htab_walk(&s->subs, NULL); n != NULL; n = next) {
		next = sq_htab_walk(&s->subs, n);
		sq_htab_remove(&s->subs, n);
		free(SQ_CONTAINER_OF(n, struct sub, node));
	}
	sq_htab_fini(&s->subs);
}

void
sq_session_inherit_subs(struct sq_session *to, struct sq_session *from)
{
	struct sq_htab mine = to->subs;

	if (to->clean_start || !to->durable || !from->durable || mine.n != 0)
		return;
	to->subs = from->subs;
	from->subs = mine;
}

/* --- requests --- */

static void
subreq_free(struct subreq *r)
{
	free(r->codes);
	sq_buf_fini(&r->text);
	sq_buf_fini(&r->entries);
	free(r);
}

/* Adds to the words of the packet, each but once in a row. */
static void
subreq_say(struct subreq *r, struct sq_bytes text)
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

/* An entry of a packet is refused: counted, logged, and the client is told. */
static void
subreq_refused(struct sq_session *s, struct subreq *r, uint8_t code, const struct sq_note *note)
{
	struct sq_refusal_seen refused = {.client = s->client_id,
	    .what = r->op == SQ_SUB_SUBSCRIBE ? "subscribe" : "unsubscribe",
	    .code = code,
	    .refusal = note->refusal,
	    .text = note->text};

	sq_refusals_note(s->hub, &s->refusals, &refused);
	subreq_say(r, note->text);
}

static struct subreq *
subreq_new(uint8_t op, uint16_t packet_id, uint16_t n)
{
	struct subreq *r = sq_xcalloc(1, sizeof *r);

	r->op = op;
	r->packet_id = packet_id;
	r->n = n;
	r->codes = sq_xmalloc(n);
	sq_list_init(&r->node);
	return r;
}

/* Entry 'i' is refused here, for 'why'. */
static void
subreq_refuse(struct sq_session *s, struct subreq *r, uint16_t i, uint8_t code,
    enum sq_refusal refusal, struct sq_bytes filter, const char *why)
{
	struct sq_buf text = {0};
	struct sq_note note = {.refusal = (uint8_t)refusal};
	unsigned char room[SQ_NOTE_TEXT_MAX];

	r->codes[i] = code;
	sq_buf_printf(&text, "filter %.*s: %s", (int)filter.len, (const char *)filter.p, why);
	note.text = sq_note_text_clean(
	    (struct sq_bytes){sq_buf_data(&text), sq_buf_len(&text)}, room);
	subreq_refused(s, r, code, &note);
	sq_buf_fini(&text);
}

static void
subreq_ask(struct subreq *r, uint16_t i, const struct sq_sub *sub)
{
	r->codes[i] = CODE_ASK;
	r->n_ask++;
	sq_sub_put(&r->entries, sub, SQ_LINK_VERSION);
}

static void
subreq_queue(struct sq_session *s, struct subreq *r, bool first)
{
	s->subreq_bytes += sq_buf_len(&r->entries);
	if (first)
		sq_list_push_front(&s->subreqs, &r->node);
	else
		sq_list_push_back(&s->subreqs, &r->node);
	sq_session_wake(s);
}

void
sq_session_drop_subreqs(struct sq_session *s)
{
	SQ_LIST_FOR_EACH_SAFE(r, &s->subreqs, struct subreq, node) {
		sq_list_remove(&r->node);
		subreq_free(r);
	}
	s->subreq_bytes = 0;
}

static void
subreq_suback(struct sq_session *s, const struct subreq *r)
{
	sq_client_suback(s->client, r->op == SQ_SUB_SUBSCRIBE ? SQ_MQTT_SUBACK : SQ_MQTT_UNSUBACK,
	    r->packet_id, r->codes, r->n,
	    (struct sq_bytes){sq_buf_data(&r->text), sq_buf_len(&r->text)});
}

/* A packet's request is complete; one with nothing to ask is answered at once. */
static void
subreq_start(struct sq_session *s, struct subreq *r)
{
	if (r->n_ask != 0) {
		subreq_queue(s, r, false);
		return;
	}
	subreq_suback(s, r);
	subreq_free(r);
}

/* All entries of a packet are refused alike. */
static void
subs_refuse_packet(struct sq_session *s, uint8_t type, uint16_t packet_id, uint32_t count)
{
	uint8_t *codes = sq_xmalloc(count);
	struct sq_buf text = {0};
	struct sq_refusal_seen refused = {.client = s->client_id,
	    .what = type == SQ_MQTT_SUBACK ? "subscribe" : "unsubscribe",
	    .code = type == SQ_MQTT_SUBACK ? SQ_MQTT_RC_QUOTA_EXCEEDED : SQ_MQTT_RC_IMPLEMENTATION,
	    .refusal = SQ_REFUSAL_QUOTA};

	memset(codes, refused.code, count);
	sq_buf_printf(&text, "%u filters in one packet, at most %d are taken", (unsigned)count,
	    PACKET_ENTRIES_MAX);
	refused.text = (struct sq_bytes){sq_buf_data(&text), sq_buf_len(&text)};
	sq_refusals_note(s->hub, &s->refusals, &refused);
	sq_client_suback(s->client, type, packet_id, codes, count, refused.text);
	sq_buf_fini(&text);
	free(codes);
}

/* Whether 'filter', one of 'count' in a packet with 'fresh' new ones before it, is
 * one subscription too many.  One that the session has is replaced (MQTT-3.8.4-3). */
static bool
subs_full(const struct sq_session *s, uint32_t count, uint32_t *fresh, struct sq_bytes filter)
{
	uint64_t most = s->hub->cfg->max_subscriptions;

	if (s->subs.n + count <= most ||
	    subs_find(s, filter, sq_hash(filter.p, filter.len)) != NULL)
		return false;
	return s->subs.n + (*fresh)++ >= most;
}

/* More than limits.subscriptions. */
static void
subs_refuse_entry(struct sq_session *s, struct subreq *r, uint16_t i, struct sq_bytes filter)
{
	char why[96];

	snprintf(why, sizeof why, "a client may have %llu subscriptions (limits.subscriptions)",
	    (unsigned long long)s->hub->cfg->max_subscriptions);
	subreq_refuse(s, r, i, SQ_MQTT_RC_QUOTA_EXCEEDED, SQ_REFUSAL_QUOTA, filter, why);
}

int
sq_session_subscribe(struct sq_session *s, uint16_t packet_id, uint32_t count,
    struct sq_bytes entries, uint32_t sub_id)
{
	struct sq_topic_filter f;
	struct sq_mqtt_sub in;
	uint32_t fresh = 0;
	struct subreq *r;

	if (s->subreq_bytes > SUBREQ_BYTES_MAX)
		return SQ_EAGAIN;
	if (count > PACKET_ENTRIES_MAX) {
		subs_refuse_packet(s, SQ_MQTT_SUBACK, packet_id, count);
		return 0;
	}
	r = subreq_new(SQ_SUB_SUBSCRIBE, packet_id, (uint16_t)count);
	for (uint16_t i = 0; i < count && sq_mqtt_sub_next(&entries, &in); i++) {
		struct sq_sub sub = {.op = SQ_SUB_SUBSCRIBE,
		    .sub_id = sub_id,
		    .filter = in.filter,
		    .options = (uint8_t)(in.qos | (in.no_local ? 4 : 0) |
			(in.retain_as_published ? 8 : 0) | in.retain_handling << 4)};

		const char *why = "not UTF-8";

		if (sq_topic_filter_parse(in.filter, &f, &why) != 0)
			subreq_refuse(
			    s, r, i, SQ_MQTT_RC_FILTER_INVALID, SQ_REFUSAL_TOPIC, in.filter, why);
		else if (subs_full(s, count, &fresh, in.filter))
			subs_refuse_entry(s, r, i, in.filter);
		else
			subreq_ask(r, i, &sub);
	}
	subreq_start(s, r);
	return 0;
}

int
sq_session_unsubscribe(
    struct sq_session *s, uint16_t packet_id, uint32_t count, struct sq_bytes filters)
{
	struct sq_bytes filter;
	struct sq_topic_filter f;
	struct subreq *r;

	if (s->subreq_bytes > SUBREQ_BYTES_MAX)
		return SQ_EAGAIN;
	if (count > PACKET_ENTRIES_MAX) {
		subs_refuse_packet(s, SQ_MQTT_UNSUBACK, packet_id, count);
		return 0;
	}
	r = subreq_new(SQ_SUB_UNSUBSCRIBE, packet_id, (uint16_t)count);
	for (uint16_t i = 0; i < count && sq_mqtt_filter_next(&filters, &filter); i++) {
		struct sq_sub sub = {.op = SQ_SUB_UNSUBSCRIBE, .filter = filter};

		const char *why = "not UTF-8";

		if (sq_topic_filter_parse(filter, &f, &why) != 0)
			subreq_refuse(
			    s, r, i, SQ_MQTT_RC_FILTER_INVALID, SQ_REFUSAL_TOPIC, filter, why);
		else
			subreq_ask(r, i, &sub);
	}
	subreq_start(s, r);
	return 0;
}

void
sq_session_declare(struct sq_session *s, const struct sq_sub *sub, uint32_t token)
{
	struct subreq *r;

	if (s->leaving || s->state == SQ_SESSION_ENDED)
		return;
	r = subreq_new(sub->op, 0, 1);
	r->declared = true;
	r->token = token;
	subreq_ask(r, 0, sub);
	subreq_queue(s, r, false);
}

/* Subscribes to everything again, before what waits. */
static void
subs_make_again(struct sq_session *s)
{
	struct subreq *r = NULL;
	struct sq_hnode *n;

	s->sub_again = false;
	for (n = sq_htab_walk(&s->subs, NULL); n != NULL; n = sq_htab_walk(&s->subs, n)) {
		const struct sub *sub = SQ_CONTAINER_OF(n, struct sub, node);
		/* No retained messages again: the client would notice. */
		struct sq_sub e = {.op = SQ_SUB_SUBSCRIBE,
		    .sub_id = sub->sub_id,
		    .options = (uint8_t)((sub->options & 0x0f) | 2 << 4),
		    .filter = {(const unsigned char *)sub->filter, sub->len}};

		if (r == NULL) {
			r = subreq_new(SQ_SUB_SUBSCRIBE, 0, PACKET_ENTRIES_MAX);
			r->again = true;
		}
		subreq_ask(r, r->n_ask, &e);
		if (r->n_ask == PACKET_ENTRIES_MAX || sq_buf_len(&r->entries) > POST_BYTES_MAX) {
			r->n = r->n_ask;
			subreq_queue(s, r, true);
			r = NULL;
		}
	}
	if (r != NULL) {
		r->n = r->n_ask;
		subreq_queue(s, r, true);
	}
}

/* What still waits to make again what the broker has lost once more. */
static void
subreqs_drop_again(struct sq_session *s)
{
	SQ_LIST_FOR_EACH_SAFE(r, &s->subreqs, struct subreq, node) {
		if (!r->again && !(r->declared && r->op == SQ_SUB_SUBSCRIBE))
			continue;
		s->subreq_bytes -= sq_buf_len(&r->entries);
		sq_list_remove(&r->node);
		subreq_free(r);
	}
}

void
sq_session_resubscribe(struct sq_session *s)
{
	if (s->leaving)
		return;
	subreqs_drop_again(s);
	/* What is on its way comes first: it may end a subscription. */
	if (s->sub_flying)
		s->sub_again = true;
	else
		subs_make_again(s);
}

/* --- answers --- */

/* An entry was answered: what the client has subscribed to follows. */
static void
subreq_remember(struct sq_session *s, const struct subreq *r, const struct sq_sub *e, uint8_t code)
{
	if (r->op == SQ_SUB_UNSUBSCRIBE)
		subs_remove(s, e->filter);
	else if (code < 0x80 && !r->again)
		subs_set(s, e);
	else if (code >= 0x80 && r->again)
		SQ_WARN("session", "client %s: a subscription could not be made again, 0x%02x",
		    s->client_id, code);
}

/* Takes the answers of 'r', whose first entry is the 'first' of the request. */
static void
subreq_answer(struct sq_session *s, struct subreq *r, const unsigned char *codes,
    struct sq_bytes notes, uint16_t first)
{
	struct sq_bytes rest = {sq_buf_data(&r->entries), sq_buf_len(&r->entries)};
	const unsigned char *code = codes + first;
	uint16_t asked = first;

	for (uint16_t i = 0; i < r->n; i++) {
		struct sq_sub e;

		if (r->codes[i] != CODE_ASK)
			continue;
		e = sq_sub_next(&rest, SQ_LINK_VERSION);
		r->codes[i] = *code++;
		if (r->codes[i] >= 0x80) {
			struct sq_note note = sq_note_find(notes, asked);

			subreq_refused(s, r, r->codes[i], &note);
		}
		asked++;
		if (!r->declared && !s->leaving)
			subreq_remember(s, r, &e, r->codes[i]);
	}
	if (r->declared)
		sq_declared_answer(
		    s->hub->declared, s, r->token, r->codes[0], sq_note_find(notes, first).text);
	else if (!r->again && s->client != NULL)
		subreq_suback(s, r);
}

static void
subs_post_free(struct subs_post *p)
{
	SQ_LIST_FOR_EACH_SAFE(r, &p->subreqs, struct subreq, node)
		subreq_free(r);
	sq_buf_fini(&p->body);
	sq_session_post_free(&p->post);
}

/* Back to the front of the queue, in their order. */
static void
subs_requeue(struct sq_session *s, struct subs_post *p)
{
	SQ_LIST_FOR_EACH(r, &p->subreqs, struct subreq, node)
		s->subreq_bytes += sq_buf_len(&r->entries);
	sq_list_splice(&p->subreqs, &s->subreqs);
	sq_list_splice(&s->subreqs, &p->subreqs);
}

static void
subs_done(struct sq_request *req, const struct sq_answer *ans)
{
	struct subs_post *p = SQ_CONTAINER_OF(req, struct subs_post, post.req);
	struct sq_session *s = p->post.session;
	const unsigned char *codes = NULL;
	struct sq_bytes notes = {0};
	int n = ans->status == 200
	    ? sq_codes_decode(ans->body, ans->len, ans->version, &codes, &notes)
	    : 0;
	uint16_t first = 0;
	int want = 0;

	s->sub_flying = false;
	SQ_LIST_FOR_EACH(r, &p->subreqs, struct subreq, node)
		want += r->n_ask;
	if (s->state == SQ_SESSION_ENDED) {
		/* nobody asks any more */
	} else if (ans->status == 200 && n == want) {
		if (p->post.attach_seq == s->attach_seq)
			s->failures = 0;
		SQ_LIST_FOR_EACH(r, &p->subreqs, struct subreq, node) {
			subreq_answer(s, r, codes, notes, first);
			first = (uint16_t)(first + r->n_ask);
		}
	} else {
		if (!s->leaving)
			subs_requeue(s, p);
		if (ans->status == 200)
			sq_uplink_fail(p->post.link, "it answered a SUBSCRIBE malformed");
		else
			(void)sq_session_refused(s, &p->post, ans);
	}
	if (s->sub_again && !s->leaving && s->state != SQ_SESSION_ENDED)
		subs_make_again(s);
	if (s->client != NULL)
		sq_client_resume(s->client);
	subs_post_free(p);
}

/* Writes the entries of 'r' as the link wants them. */
static void
subreq_write(struct sq_buf *b, const struct subreq *r, unsigned version)
{
	struct sq_bytes rest = {sq_buf_data(&r->entries), sq_buf_len(&r->entries)};

	if (version == SQ_LINK_VERSION) {
		sq_buf_append(b, rest.p, rest.len);
		return;
	}
	while (rest.len > 0) {
		struct sq_sub e = sq_sub_next(&rest, SQ_LINK_VERSION);

		sq_sub_put(b, &e, version);
	}
}

void
sq_session_post_subs(struct sq_session *s)
{
	static const struct sq_subs_head head;
	struct subs_post *p;
	unsigned n = 0;

	if (s->sub_flying || sq_list_empty(&s->subreqs))
		return;
	p = sq_session_post_new(s, sizeof *p, "subscriptions");
	sq_list_init(&p->subreqs);
	sq_subs_head_put(&p->body, 0, &head, sq_uplink_version(s->link));
	SQ_LIST_FOR_EACH_SAFE(r, &s->subreqs, struct subreq, node) {
		size_t len = sq_buf_len(&r->entries);

		if (n != 0 &&
		    (n + r->n_ask > PACKET_ENTRIES_MAX ||
			sq_buf_len(&p->body) + len > POST_BYTES_MAX))
			break;
		sq_list_remove(&r->node);
		sq_list_push_back(&p->subreqs, &r->node);
		subreq_write(&p->body, r, sq_uplink_version(s->link));
		s->subreq_bytes -= len;
		n += r->n_ask;
	}
	sq_put16(sq_buf_data(&p->body), (uint16_t)n);
	p->post.req.body[0] = (struct iovec){sq_buf_data(&p->body), sq_buf_len(&p->body)};
	p->post.req.n_body = 1;
	p->post.req.done = subs_done;
	s->sub_flying = true;
	sq_session_post_send(&p->post, s->link);
}
