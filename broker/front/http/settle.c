/* See broker/front/http/settle.h. */
#include "broker/front/http/settle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/digest.h"
#include "broker/front/http/entry.h"
#include "broker/front/http/object.h"
#include "broker/front/http/values.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "proto/json/json.h"

enum list { LIST_ACK, LIST_NACK, LIST_REJECT, LIST_EXTEND, LIST_PUBLISH, LISTS };

static const char *const lists[] = {
    [LIST_ACK] = "ack",
    [LIST_NACK] = "nack",
    [LIST_REJECT] = "reject",
    [LIST_EXTEND] = "extend",
    [LIST_PUBLISH] = "publish",
    NULL,
};

static const enum sq_lease_end ends[] = {
    [LIST_ACK] = SQ_LEASE_ACK,
    [LIST_NACK] = SQ_LEASE_NACK,
    [LIST_REJECT] = SQ_LEASE_REJECT,
    [LIST_EXTEND] = SQ_LEASE_EXTEND,
};

enum { TOKENS_MAX = 16 }; /* of an entry that is an object */

/* Members of an entry that is an object. */
enum { MEMBER_LEASE, MEMBER_DELAY, MEMBER_UNTRIED, MEMBER_BY, MEMBERS };

static const char *const of_nack[] = {"lease", "delay", "untried", NULL};
static const char *const of_extend[] = {"lease", "", "", "by", NULL};
static const char *const of_others[] = {"lease", NULL};

/* One reading. */
struct settle_reading {
	const struct sq_http_bounds *bounds;
	struct sq_http_settle *out;
	struct sq_http_fault *fault;
	int64_t now_ms;
	uint32_t max;
};

/* The text of a lease: as ours have nothing to escape, one that has escapes is none of ours. */
static int
settle_lease(const struct sq_json_tokens *t, uint32_t i, struct sq_lease_entry *e,
    struct sq_http_fault *fault)
{
	if (i == 0 || t->at[i].type != SQ_JSON_STRING)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "lease is missing, or no text");
	e->lease = sq_json_raw(t, i);
	return SQ_OK;
}

static int
settle_members(const struct sq_json_tokens *t, const uint32_t *found, struct sq_lease_entry *e,
    struct sq_http_fault *fault)
{
	uint32_t delay = found[MEMBER_DELAY], by = found[MEMBER_BY];

	if (found[MEMBER_UNTRIED] != 0 &&
	    sq_http_object_bool(t, found[MEMBER_UNTRIED], "untried", &e->untried, fault) != SQ_OK)
		return SQ_EINVAL;
	if (delay != 0 && sq_http_object_ms(t, delay, "delay", &e->ms, fault) != SQ_OK)
		return SQ_EINVAL;
	if (by != 0 && sq_http_object_ms(t, by, "by", &e->ms, fault) != SQ_OK)
		return SQ_EINVAL;
	e->timed |= delay != 0;
	return SQ_OK;
}

static const char *const *
settle_names(enum sq_lease_end end)
{
	return end == SQ_LEASE_NACK ? of_nack : end == SQ_LEASE_EXTEND ? of_extend : of_others;
}

static int
settle_check(const struct sq_lease_entry *e, bool by, struct sq_http_fault *fault)
{
	if (e->end == SQ_LEASE_EXTEND && (!by || e->ms == 0))
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "by is missing: how long the lease is to be, from now on");
	if ((e->end == SQ_LEASE_EXTEND || e->end == SQ_LEASE_NACK) && e->ms > SQ_LEASE_MAX_MS)
		return sq_http_fault_say(fault, SQ_HTTP_INVALID_PROPERTY,
		    "%s is %llu ms, at most 12h is possible",
		    e->end == SQ_LEASE_EXTEND ? "by" : "delay", (unsigned long long)e->ms);
	return SQ_OK;
}

static int
settle_object(struct sq_bytes text, struct sq_lease_entry *e, struct sq_http_fault *fault)
{
	struct sq_json_token at[TOKENS_MAX];
	struct sq_json_tokens t = {.at = at, .room = TOKENS_MAX, .depth = 1};
	uint32_t found[MEMBERS] = {0};

	if (sq_http_object_read(&t, text, settle_names(e->end), found, fault) != SQ_OK)
		return SQ_EINVAL;
	if (e->lease.p != NULL && found[MEMBER_LEASE] != 0)
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "the lease is there twice: in the path and the body");
	if ((e->lease.p == NULL && settle_lease(&t, found[MEMBER_LEASE], e, fault) != SQ_OK) ||
	    settle_members(&t, found, e, fault) != SQ_OK)
		return SQ_EINVAL;
	return settle_check(e, found[MEMBER_BY] != 0, fault);
}

int
sq_http_settle_entry(struct sq_bytes body, struct sq_lease_entry *e, struct sq_http_fault *fault)
{
	if (body.len == 0)
		return settle_check(e, e->ms > 0, fault);
	return settle_object(body, e, fault);
}

/* The entry at token 'i'; 'raw' also has the quotes of a string. */
static int
settle_entry(struct settle_reading *r, const struct sq_json_tokens *t, uint32_t i, enum list list)
{
	struct sq_lease_entry *e = &r->out->entries[r->out->in.n];

	*e = (struct sq_lease_entry){.end = ends[list]};
	if (t->at[i].type == SQ_JSON_OBJECT) {
		if (settle_object(sq_json_raw(t, i), e, r->fault) != SQ_OK)
			return SQ_EINVAL;
	} else if (settle_lease(t, i, e, r->fault) != SQ_OK ||
	    settle_check(e, false, r->fault) != SQ_OK) {
		return SQ_EINVAL;
	}
	r->out->in.n++;
	return SQ_OK;
}

/* The image says what equal entries say alike; but one that has an instant says another delay each
 * time. */
static struct sq_bytes
settle_alike(const struct sq_http_entry *entry, struct sq_bytes text, const struct sq_msg *msg)
{
	return entry->dated ? text : (struct sq_bytes){msg->image, sq_image_size(msg->image)};
}

static int
settle_publish(struct settle_reading *r, struct sq_bytes text)
{
	struct sq_http_settle *out = r->out;
	struct sq_http_entry entry = {0};
	int rc = sq_http_entry_read(text, r->now_ms, &entry, r->fault);

	if (rc == SQ_OK)
		rc = sq_http_message(r->bounds, &entry.fields, entry.topic, entry.payload,
		    &out->msgs[out->in.n_msgs], r->fault);
	if (rc == SQ_OK) {
		out->prints[out->in.n_msgs] = settle_alike(
		    &entry, text, &out->msgs[out->in.n_msgs]);
		out->wants[out->in.n_msgs].require_match = entry.fields.require_match;
		out->qos[out->in.n_msgs++] = entry.fields.qos;
	}
	sq_http_entry_fini(&entry);
	return rc;
}

static int
settle_list(struct settle_reading *r, const struct sq_json_tokens *t, uint32_t at, enum list list)
{
	size_t n = 0;

	if (t->at[at].type != SQ_JSON_ARRAY)
		return sq_http_fault_say(
		    r->fault, SQ_HTTP_MALFORMED, "%s must be a list", lists[list]);
	for (uint32_t i = sq_json_first(t, at); i != 0; i = sq_json_next(t, at, i), n++) {
		int rc = SQ_EINVAL;

		if ((list == LIST_PUBLISH ? r->out->in.n_msgs : r->out->in.n) >= r->max)
			return sq_http_fault_say(r->fault, SQ_HTTP_TOO_LARGE,
			    "more entries than http.max-batch, %u", r->max);
		if (list != LIST_PUBLISH)
			rc = settle_entry(r, t, i, list);
		else if (t->at[i].type == SQ_JSON_OBJECT)
			rc = settle_publish(r, sq_json_raw(t, i));
		else
			(void)sq_http_fault_say(
			    r->fault, SQ_HTTP_MALFORMED, "the entry is no object");
		if (rc != SQ_OK) {
			sq_http_fault_at(r->fault, lists[list], n);
			return rc;
		}
	}
	return SQ_OK;
}

/* Of the whole request: what equal ones say alike. */
static void
settle_print(struct sq_http_settle *out)
{
	struct sq_bytes *parts = sq_xcalloc(
	    (size_t)out->in.n * 2 + out->in.n_msgs + 1, sizeof *parts);
	unsigned char(*heads)[12] = sq_xcalloc((size_t)out->in.n + 1, sizeof *heads);
	size_t n = 0;

	for (unsigned i = 0; i < out->in.n; i++) {
		const struct sq_lease_entry *e = &out->entries[i];

		heads[i][0] = (unsigned char)e->end;
		heads[i][1] = (unsigned char)(e->untried | e->timed << 1);
		sq_put64(&heads[i][2], e->ms);
		parts[n++] = (struct sq_bytes){heads[i], sizeof heads[i]};
		parts[n++] = e->lease;
	}
	for (unsigned i = 0; i < out->in.n_msgs; i++)
		parts[n++] = out->prints[i];
	out->in.print = sq_digest_u64(parts, n);
	free(heads);
	free(parts);
}

static int
settle_lists(struct settle_reading *r, const struct sq_json_tokens *t, const uint32_t *found)
{
	struct sq_http_settle *out = r->out;

	for (unsigned list = 0; list < LISTS; list++) {
		out->kind[list] = out->in.n;
		if (found[list] != 0 && settle_list(r, t, found[list], (enum list)list) != SQ_OK)
			return SQ_EINVAL;
	}
	if (out->in.n == 0)
		return sq_http_fault_say(r->fault, SQ_HTTP_MALFORMED,
		    "there is no lease: ack, nack, reject and extend have lists of them");
	return SQ_OK;
}

/* Makes room for what the lists hold, and no more: many a settle is of one lease, and has that until it
 * is durable. */
static void
settle_make(
    struct sq_http_settle *out, const struct sq_json_tokens *t, const uint32_t *found, uint32_t max)
{
	uint32_t publish = found[LIST_PUBLISH];
	uint32_t n_msgs = publish != 0 ? t->at[publish].next - publish - 1 : 0;
	uint32_t n = t->n - n_msgs;

	n_msgs = n_msgs < max ? n_msgs : max;
	n = n < max ? n : max;
	out->entries = sq_xcalloc(n, sizeof *out->entries);
	if (n_msgs == 0)
		return;
	out->msgs = sq_xcalloc(n_msgs, sizeof *out->msgs);
	out->wants = sq_xcalloc(n_msgs, sizeof *out->wants);
	out->qos = sq_xcalloc(n_msgs, sizeof *out->qos);
	out->prints = sq_xcalloc(n_msgs, sizeof *out->prints);
}

int
sq_http_settle_read(const struct sq_http_bounds *bounds, struct sq_bytes body, uint32_t max,
    int64_t now_ms, struct sq_http_settle *out, struct sq_http_fault *fault)
{
	struct settle_reading r = {bounds, out, fault, now_ms, max};
	struct sq_json_tokens t = {.room = 2 * max + 2 * LISTS + 2, .depth = 2};
	uint32_t found[LISTS] = {0};
	int rc;

	t.at = sq_xcalloc(t.room, sizeof *t.at);
	rc = sq_http_object_read(&t, body, lists, found, fault);
	if (rc == SQ_OK) {
		settle_make(out, &t, found, max);
		rc = settle_lists(&r, &t, found);
	}
	free(t.at);
	if (rc != SQ_OK)
		return rc;
	out->in.entries = out->entries;
	out->in.msgs = out->msgs;
	out->in.wants = out->wants;
	settle_print(out);
	return SQ_OK;
}

void
sq_http_settle_one(const struct sq_lease_entry *entry, struct sq_http_settle *out)
{
	out->in.entries = entry;
	out->in.n = 1;
}

void
sq_http_settle_at(const struct sq_http_settle *s, uint16_t entry, struct sq_http_fault *fault)
{
	unsigned list = LIST_EXTEND;

	if (s->entries == NULL)
		return;
	while (list > 0 && s->kind[list] > entry)
		list--;
	sq_http_fault_at(fault, lists[list], (size_t)entry - s->kind[list]);
}

void
sq_http_settle_fini(struct sq_http_settle *s)
{
	for (unsigned i = 0; i < s->in.n_msgs; i++)
		sq_msg_unref(&s->msgs[i]);
	free(s->entries);
	free(s->msgs);
	free(s->wants);
	free(s->qos);
	free(s->prints);
	*s = (struct sq_http_settle){0};
}
