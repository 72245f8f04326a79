/* Declared subscriptions; see declared.h. */
#include "sidecar/declared/declared.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "proto/mqtt/mqtt.h"
#include "proto/mqtt/options.h"
#include "sidecar/hold/table.h"
#include "sidecar/outbox/outbox.h"
#include "sidecar/declared/pod_annotations.h"
#include "sidecar/declared/receiver.h"
#include "sidecar/declared/rights.h"
#include "sidecar/declared/pod_rules.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/user.h"

enum { RETRY_MS = 5000 };
enum place { P_ASKED, P_OK, P_FAILED };

/* One binding. */
struct item {
	struct sq_declaration d; /* owned */
	uint32_t id;
	uint8_t keeper, consumer; /* enum place, at either session */
	uint8_t code;             /* why it failed */
	char *note;               /* what the broker says of it to the keeper; or NULL */
};

struct sq_declared {
	struct sq_holds *holds;
	struct sq_outbox *outbox;
	struct sq_receiver *receiver; /* who gets what is declared */
	struct sq_rights *rights;     /* what clients may subscribe to; NULL: all */
	struct sq_pod_rules *rules;   /* for what clients publish; NULL: none */
	struct sq_pod_annotations *annotations;
	struct sq_hold *keeper, *consumer;
	struct item *items;
	size_t n;
	struct sq_client_ids client_ids; /* who consumes */
	char *pod_group;
	uint32_t last_id;
	uint64_t since_ms; /* when the set came into being, on the wall clock */
	uint64_t retry_ms;
	bool stopped;
	const char *refused; /* why no broker takes the keeper, in static text; or NULL */
};

/* --- bindings --- */

static const char *
item_group(const struct sq_declared *d, const struct sq_declaration *x)
{
	if (x->pod)
		return d->pod_group;
	return x->group != NULL ? x->group : d->holds->cfg->workload;
}

static bool
text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
binding_equal(
    const struct sq_declared *d, const struct sq_declaration *a, const struct sq_declaration *b)
{
	return strcmp(a->filter, b->filter) == 0 && text_equal(a->tag, b->tag) &&
	    strcmp(item_group(d, a), item_group(d, b)) == 0;
}

static bool
options_equal(const struct sq_declaration *a, const struct sq_declaration *b)
{
	return a->qos == b->qos && a->pod == b->pod && a->durable == b->durable &&
	    a->overflow == b->overflow && a->expiry_s == b->expiry_s &&
	    a->max_length == b->max_length && a->max_attempts == b->max_attempts &&
	    a->concurrency == b->concurrency;
}

/* Asks for 'x' at 'hold', or for its end. */
static void
declared_ask(struct sq_declared *d, struct sq_hold *hold, uint8_t op,
    const struct sq_declaration *x, uint32_t token)
{
	/* A group is shared and gets no retained messages; a pod's copy does, once. */
	unsigned retain = x->pod ? SQ_RETAIN_IF_NEW : SQ_RETAIN_NEVER;
	struct sq_sub sub = {.op = op,
	    .options = (uint8_t)(x->qos | retain << SQ_OPTION_RETAIN_SHIFT),
	    .flags = (uint8_t)(SQ_SUB_DECLARED | (hold == d->keeper ? 0 : SQ_SUB_CONSUME) |
		(x->durable ? SQ_SUB_DURABLE : 0)),
	    .overflow = x->overflow,
	    .queue_expiry_s = x->expiry_s,
	    .max_length = x->max_length,
	    .max_attempts = x->max_attempts,
	    .concurrency = x->concurrency,
	    .since_ms = d->since_ms,
	    .pod = sq_bytes_of(d->holds->cfg->pod),
	    .tag = sq_bytes_of(x->tag),
	    .group = sq_bytes_of(item_group(d, x)),
	    .filter = sq_bytes_of(x->filter)};

	sq_hold_declare(hold, &sub, token);
}

static void
declared_ask_all(struct sq_declared *d, struct sq_hold *hold)
{
	for (size_t i = 0; i < d->n; i++) {
		struct item *it = &d->items[i];

		*(hold == d->keeper ? &it->keeper : &it->consumer) = P_ASKED;
		declared_ask(d, hold, SQ_SUB_SUBSCRIBE, &it->d, it->id);
	}
}

static void
declared_count(struct sq_declared *d)
{
	int64_t ok = 0;

	for (size_t i = 0; i < d->n; i++)
		ok += d->items[i].keeper == P_OK;
	sq_metric_set(d->holds->metrics, SQ_M_DECLARED, (int64_t)d->n);
	sq_metric_set(d->holds->metrics, SQ_M_DECLARED_OK, ok);
}

/* Keeps the broker's note on a binding, and logs it when it changes. */
static void
item_noted(struct sq_declared *d, struct item *it, struct sq_bytes note)
{
	char *text = note.len > 0 ? sq_xmemdup0(note.p, note.len) : NULL;

	if (text != NULL && !text_equal(text, it->note))
		SQ_WARN(
		    "declared", "'%s' to group %s: %s", it->d.filter, item_group(d, &it->d), text);
	free(it->note);
	it->note = text;
}

void
sq_declared_answer(
    struct sq_declared *d, struct sq_hold *hold, uint32_t token, uint8_t code, struct sq_bytes note)
{
	uint8_t was;

	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++) {
		struct item *it = &d->items[i];
		uint8_t *place = hold == d->keeper ? &it->keeper : &it->consumer;

		if (it->id != token || (hold != d->keeper && hold != d->consumer))
			continue;
		was = *place;
		*place = sq_mqtt_reason_failed(code) ? P_FAILED : P_OK;
		if (hold == d->keeper)
			item_noted(d, it, note);
		if (was == P_OK && *place == P_OK) {
			SQ_DEBUG("declared", "'%s': said again", it->d.filter);
		} else if (*place == P_OK) {
			SQ_INFO("declared", "'%s'%s%s to group %s: in place%s", it->d.filter,
			    it->d.tag != NULL ? " with tag " : "",
			    it->d.tag != NULL ? it->d.tag : "", item_group(d, &it->d),
			    hold == d->keeper ? "" : ", consumed");
		} else {
			it->code = code;
			SQ_WARN("declared", "'%s' to group %s refused with 0x%02x", it->d.filter,
			    item_group(d, &it->d), code);
		}
		break;
	}
	declared_count(d);
}

/* --- who consumes --- */

/* Another session does, or none; the one before, if it is still there, gives the
 * bindings up. */
static void
declared_on_chosen(void *owner, struct sq_hold *hold)
{
	struct sq_declared *d = owner;
	struct sq_hold *before = d->consumer;

	d->consumer = hold;
	for (size_t i = 0; before != NULL && i < d->n; i++)
		declared_ask(d, before, SQ_SUB_UNSUBSCRIBE, &d->items[i].d, 0);
	if (hold == NULL)
		return;
	SQ_INFO("declared", "client %s gets the declared messages", sq_hold_client_id(hold));
	if (sq_hold_attached(hold))
		declared_ask_all(d, hold); /* else its attach asks for them */
}

void
sq_declared_attached(struct sq_declared *d, struct sq_hold *hold)
{
	if (d == NULL || (hold != d->keeper && hold != d->consumer))
		return;
	declared_ask_all(d, hold);
	declared_count(d);
}

/* --- the keeper --- */

static void
keeper_on_attached(void *user, const struct sq_hold_attached *a)
{
	struct sq_declared *d = user;

	d->refused = NULL;
	if (!a->bound)
		sq_declared_attached(d, d->keeper);
}

static bool
keeper_on_denied(void *user, const struct sq_answer *ans, const char *text)
{
	struct sq_declared *d = user;

	(void)ans;
	d->refused = text;
	return false;
}

/* The broker has ended its bindings: all are asked for anew, until they are in place. */
static void
keeper_on_ended(void *user, enum sq_hold_end why, struct sq_bytes text)
{
	struct sq_declared *d = user;

	(void)text;
	assert(why == SQ_HOLD_END_REVOKED);
	for (size_t i = 0; i < d->n; i++) {
		d->items[i].keeper = d->items[i].consumer = P_FAILED;
		d->items[i].code = SQ_MQTT_RC_NOT_AUTHORIZED;
	}
	declared_count(d);
}

static void
keeper_on_declared(void *user, uint32_t token, uint8_t code, struct sq_bytes note)
{
	struct sq_declared *d = user;

	sq_declared_answer(d, d->keeper, token, code, note);
}

static const struct sq_hold_user keeper_user = {
    .comes_again = true,
    .attached = keeper_on_attached,
    .denied = keeper_on_denied,
    .ended = keeper_on_ended,
    .declared = keeper_on_declared,
};

/* --- changes --- */

static void
declared_keep(struct sq_declared *d)
{
	struct sq_hold_params p = {.client_id = SQ_KEEPER_ID,
	    .version = SQ_MQTT_V5,
	    .clean_start = true,
	    .keeper = true,
	    .receive_max = 1};

	if (d->n != 0 && d->keeper == NULL && !d->stopped) {
		d->keeper = sq_hold_open(d->holds, &p, &keeper_user, d);
	} else if (d->n == 0 && d->keeper != NULL) {
		struct sq_hold *keeper = d->keeper;

		d->keeper = NULL;
		sq_hold_leave(keeper, SQ_LEAVE_QUIET, 0);
	}
}

/* Ends the bindings of 'old' that 'now' doesn't have. */
static void
declared_end_old(struct sq_declared *d, const struct item *old, size_t n_old)
{
	struct sq_hold *at[] = {d->keeper, d->consumer};

	for (size_t i = 0; i < n_old; i++) {
		bool kept = false;

		for (size_t k = 0; k < d->n && !kept; k++)
			kept = binding_equal(d, &old[i].d, &d->items[k].d);
		for (size_t k = 0; k < SQ_ARRAY_LEN(at) && !kept; k++) {
			if (at[k] != NULL)
				declared_ask(d, at[k], SQ_SUB_UNSUBSCRIBE, &old[i].d, 0);
		}
	}
}

/* The one of 'v' that is the same binding with the same options; NULL: none is. */
static struct item *
items_same(const struct sq_declared *d, struct item *v, size_t n, const struct sq_declaration *x)
{
	for (size_t i = 0; i < n; i++) {
		if (binding_equal(d, &v[i].d, x) && options_equal(&v[i].d, x))
			return &v[i];
	}
	return NULL;
}

/* A set that is another one than 'old' is as old as its file.  True: it is another one. */
static bool
declared_date(struct sq_declared *d, struct item *old, size_t n_old, uint64_t written_ms)
{
	bool same = d->n == n_old && d->since_ms != 0;

	for (size_t i = 0; i < d->n && same; i++)
		same = items_same(d, old, n_old, &d->items[i].d) != NULL;
	if (same)
		return false;
	/* A file that was moved back here is older than what it replaces. */
	d->since_ms = written_ms > d->since_ms ? written_ms : d->since_ms + 1;
	return true;
}

/* Makes the bindings that 'old' didn't have, or had with other options; where the set is
 * 'newer', the others say so, too. */
static void
declared_begin_new(struct sq_declared *d, struct item *old, size_t n_old, bool newer)
{
	for (size_t i = 0; i < d->n; i++) {
		struct item *it = &d->items[i];
		struct item *same = items_same(d, old, n_old, &it->d);

		if (same != NULL) {
			it->id = same->id;
			it->keeper = same->keeper;
			it->consumer = same->consumer;
			it->code = same->code;
			it->note = same->note;
			same->note = NULL;
			if (!newer)
				continue;
		} else {
			it->id = ++d->last_id;
		}
		if (d->keeper != NULL && sq_hold_attached(d->keeper))
			declared_ask(d, d->keeper, SQ_SUB_SUBSCRIBE, &it->d, it->id);
		if (d->consumer != NULL && sq_hold_attached(d->consumer))
			declared_ask(d, d->consumer, SQ_SUB_SUBSCRIBE, &it->d, it->id);
	}
}

static void
items_free(struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sq_declarations one = {.v = &items[i].d, .n = 1};

		free(one.v->filter);
		free(one.v->tag);
		free(one.v->group);
		free(one.v->queue);
		free(items[i].note);
	}
	free(items);
}

/* Takes over the content of 'new'. */
static void
declared_apply(struct sq_declared *d, struct sq_annotations *set, uint64_t written_ms)
{
	struct sq_declarations *new = &set->subscribe;
	struct item *old = d->items;
	size_t n_old = d->n;
	struct sq_client_ids ids;
	bool newer;

	sq_rights_free(&d->rights);
	d->rights = sq_rights_new(&set->rights, new);
	d->items = new->n != 0 ? sq_xcalloc(new->n, sizeof *d->items) : NULL;
	d->n = 0;
	for (size_t i = 0; i < new->n; i++) {
		bool twice = false;

		for (size_t k = 0; k < d->n && !twice; k++)
			twice = binding_equal(d, &new->v[i], &d->items[k].d);
		if (twice)
			continue;
		d->items[d->n++].d = new->v[i];
		new->v[i] = (struct sq_declaration){0};
	}
	ids = d->client_ids;
	d->client_ids = set->client_ids;
	set->client_ids = (struct sq_client_ids){0};
	sq_pod_rules_free(&d->rules);
	d->rules = sq_pod_rules_new(&set->publish);
	newer = declared_date(d, old, n_old, written_ms);
	declared_end_old(d, old, n_old);
	declared_begin_new(d, old, n_old, newer);
	items_free(old, n_old);
	declared_keep(d);
	sq_receiver_set(d->receiver, d->n != 0, d->client_ids.v, d->client_ids.n);
	sq_client_ids_free(&ids);
	declared_count(d);
	sq_holds_enforce(d->holds, d->rights != NULL);
}

static uint64_t
declared_on_annotations(void *owner, struct sq_annotations *set, uint64_t written_ms)
{
	struct sq_declared *d = owner;

	sq_outbox_annotated(d->outbox, &set->outbox);
	declared_apply(d, set, written_ms);
	return d->since_ms;
}

struct sq_receiver *
sq_declared_receiver(const struct sq_declared *d)
{
	return d != NULL ? d->receiver : NULL;
}

bool
sq_declared_allows(const struct sq_declared *d, const struct sq_topic_filter *f)
{
	return d == NULL || sq_rights_allow(d->rights, f);
}

const struct sq_pod_rules *
sq_declared_rules(const struct sq_declared *d)
{
	return d != NULL ? d->rules : NULL;
}

/* --- life --- */

struct sq_declared *
sq_declared_new(struct sq_holds *h, struct sq_outbox *outbox)
{
	struct sq_declared *d = sq_xcalloc(1, sizeof *d);
	struct sq_buf name = {0};

	d->holds = h;
	d->outbox = outbox;
	sq_buf_printf(&name, "pod:%.*s", SQ_GROUP_MAX - 4, h->cfg->pod);
	d->receiver = sq_receiver_new(h, declared_on_chosen, d);
	d->pod_group = sq_buf_take_text(&name);
	d->annotations = sq_pod_annotations_open(
	    h->loop->ev, h->cfg, h->metrics, declared_on_annotations, d);
	return d;
}

void
sq_declared_free(struct sq_declared **dp)
{
	struct sq_declared *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	sq_pod_annotations_close(&d->annotations);
	sq_receiver_free(&d->receiver);
	sq_holds_enforce(d->holds, false);
	sq_rights_free(&d->rights);
	sq_pod_rules_free(&d->rules);
	items_free(d->items, d->n);
	sq_client_ids_free(&d->client_ids);
	free(d->pod_group);
	free(d);
}

void
sq_declared_stop(struct sq_declared *d)
{
	struct sq_hold *keeper;

	if (d == NULL || d->stopped)
		return;
	d->stopped = true;
	d->consumer = NULL;
	sq_receiver_set(d->receiver, false, d->client_ids.v, d->client_ids.n);
	keeper = d->keeper;
	d->keeper = NULL;
	if (keeper != NULL)
		sq_hold_leave(keeper, SQ_LEAVE_QUIET, 0);
}

void
sq_declared_sweep(struct sq_declared *d, uint64_t now_ms)
{
	if (d == NULL || d->stopped)
		return;
	sq_pod_annotations_sweep(d->annotations);
	if (now_ms - d->retry_ms < RETRY_MS)
		return;
	d->retry_ms = now_ms;
	for (size_t i = 0; i < d->n; i++) {
		struct item *it = &d->items[i];

		if (it->keeper == P_FAILED && d->keeper != NULL) {
			it->keeper = P_ASKED;
			declared_ask(d, d->keeper, SQ_SUB_SUBSCRIBE, &it->d, it->id);
		}
		if (it->consumer == P_FAILED && d->consumer != NULL) {
			it->consumer = P_ASKED;
			declared_ask(d, d->consumer, SQ_SUB_SUBSCRIBE, &it->d, it->id);
		}
	}
}

bool
sq_declared_ready(const struct sq_declared *d, struct sq_buf *why)
{
	bool ready = sq_pod_annotations_in_force(d->annotations);

	if (!ready) /* else it is a note */
		sq_pod_annotations_print(d->annotations, why);
	for (size_t i = 0; i < d->n; i++) {
		const struct item *it = &d->items[i];

		if (it->keeper == P_OK)
			continue;
		ready = false;
		sq_buf_printf(why, "declared subscription '%s'%s%s (group %s) is not in place",
		    it->d.filter, it->d.tag != NULL ? " tag " : "",
		    it->d.tag != NULL ? it->d.tag : "", item_group(d, &it->d));
		if (it->keeper == P_FAILED)
			sq_buf_printf(why, ": the broker answered 0x%02x", it->code);
		sq_buf_printf(why, "\n");
	}
	return ready;
}

void
sq_declared_notes(const struct sq_declared *d, struct sq_buf *out)
{
	if (d == NULL)
		return;
	if (d->refused != NULL)
		sq_buf_printf(
		    out, "declared subscriptions: a broker refuses them: %s\n", d->refused);
	if (sq_pod_annotations_in_force(d->annotations))
		sq_pod_annotations_print(d->annotations, out);
	for (size_t i = 0; i < d->n; i++) {
		const struct item *it = &d->items[i];

		if (it->note != NULL)
			sq_buf_printf(out, "declared subscription '%s' (group %s): %s\n",
			    it->d.filter, item_group(d, &it->d), it->note);
	}
	sq_receiver_note(d->receiver, out);
}
