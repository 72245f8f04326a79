#include "broker/group/group_options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* One set of options, for all declarers that have it. */
struct sq_options_set {
	struct sq_list node;
	struct sq_options options;
	unsigned refs;     /* declarers */
	unsigned counting; /* of these, such as count */
};

bool
sq_options_equal(const struct sq_options *a, const struct sq_options *b)
{
	return a->expiry_s == b->expiry_s && a->max_length == b->max_length &&
	    a->max_attempts == b->max_attempts && a->overflow == b->overflow &&
	    a->durable == b->durable;
}

static void
options_print_number(struct sq_buf *out, const char *name, uint32_t n, const char *unit)
{
	if (n != 0)
		sq_buf_printf(out, ", %s %u%s", name, n, unit);
}

void
sq_options_print(const struct sq_options *o, struct sq_buf *out)
{
	static const char *const overflows[] = {
	    [SQ_OVERFLOW_REJECT_PUBLISH] = "reject-publish",
	    [SQ_OVERFLOW_DROP_OLDEST] = "drop-oldest",
	    [SQ_OVERFLOW_DROP_NEW] = "drop-new",
	};

	sq_buf_printf(out, "durable %s", o->durable ? "true" : "false");
	options_print_number(out, "expiry", o->expiry_s, "s");
	options_print_number(out, "max-length", o->max_length, "");
	options_print_number(out, "max-attempts", o->max_attempts, "");
	if (o->overflow != SQ_OVERFLOW_DEFAULT && o->overflow < SQ_ARRAY_LEN(overflows))
		sq_buf_printf(out, ", overflow %s", overflows[o->overflow]);
}

/* Sets. */

static struct sq_options_set *
set_get(struct sq_group_options *go, const struct sq_options *o)
{
	struct sq_options_set *set;

	SQ_LIST_FOR_EACH(old, &go->sets, struct sq_options_set, node) {
		if (sq_options_equal(&old->options, o)) {
			old->refs++;
			return old;
		}
	}
	set = sq_xcalloc(1, sizeof *set);
	set->options = *o;
	set->refs = 1;
	sq_list_push_back(&go->sets, &set->node);
	return set;
}

static void
set_put(struct sq_options_set *set)
{
	if (--set->refs > 0)
		return;
	assert(set->counting == 0);
	sq_list_remove(&set->node);
	free(set);
}

/* Declarers. */

static uint64_t
pod_hash(const char *pod, size_t len)
{
	return sq_hash(pod, len);
}

static int
word_compare(uint64_t since_a, const char *pod_a, uint64_t since_b, const char *pod_b)
{
	if (since_a != since_b)
		return since_a < since_b ? -1 : 1;
	return strcmp(pod_a, pod_b);
}

static bool
declarer_above(const struct sq_declarer *d, const struct sq_declarer *other)
{
	return other == NULL || word_compare(d->since_ms, d->pod, other->since_ms, other->pod) > 0;
}

static void
declarer_find_first(struct sq_group_options *go)
{
	go->first = NULL;
	for (struct sq_hnode *n = NULL; (n = sq_htab_walk(&go->declarers, n)) != NULL;) {
		struct sq_declarer *d = SQ_CONTAINER_OF(n, struct sq_declarer, node);

		if (d->counts && declarer_above(d, go->first))
			go->first = d;
	}
}

static void
declarer_set_counts(struct sq_group_options *go, struct sq_declarer *d, bool counts)
{
	if (d->counts == counts)
		return;
	d->counts = counts;
	if (counts && d->set->counting++ == 0)
		go->n_sets++;
	else if (!counts && --d->set->counting == 0)
		go->n_sets--;
	if (counts && declarer_above(d, go->first))
		go->first = d;
	else if (!counts && go->first == d)
		declarer_find_first(go);
}

/* Of one pod the newest word that is held counts. */
static void
declarer_recount(struct sq_group_options *go, struct sq_declarer *of)
{
	struct sq_hnode *first = sq_htab_find(&go->declarers, of->node.hash);
	struct sq_declarer *newest = NULL;

	for (struct sq_hnode *n = first; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_declarer *d = SQ_CONTAINER_OF(n, struct sq_declarer, node);

		if (d->refs > 0 && strcmp(d->pod, of->pod) == 0 &&
		    (newest == NULL || d->since_ms > newest->since_ms ||
			(d->since_ms == newest->since_ms && d->counts)))
			newest = d;
	}
	for (struct sq_hnode *n = first; n != NULL; n = sq_htab_next_same(n)) {
		struct sq_declarer *d = SQ_CONTAINER_OF(n, struct sq_declarer, node);

		if (d != newest && strcmp(d->pod, of->pod) == 0)
			declarer_set_counts(go, d, false);
	}
	if (newest != NULL)
		declarer_set_counts(go, newest, true);
}

struct sq_declarer *
sq_declarer_join(
    struct sq_group_options *go, const struct sq_options *o, uint64_t since_ms, struct sq_bytes pod)
{
	uint64_t hash = pod_hash((const char *)pod.p, pod.len);
	struct sq_declarer *d;

	assert(since_ms != 0);
	for (struct sq_hnode *n = sq_htab_find(&go->declarers, hash); n != NULL;
	     n = sq_htab_next_same(n)) {
		d = SQ_CONTAINER_OF(n, struct sq_declarer, node);
		if (d->since_ms == since_ms && strlen(d->pod) == pod.len &&
		    memcmp(d->pod, pod.p, pod.len) == 0 && sq_options_equal(&d->set->options, o)) {
			d->refs++;
			return d;
		}
	}
	d = sq_xcalloc(1, sizeof *d + pod.len + 1);
	if (pod.len > 0)
		memcpy(d->pod, pod.p, pod.len);
	d->since_ms = since_ms;
	d->refs = 1;
	d->set = set_get(go, o);
	sq_htab_insert(&go->declarers, &d->node, hash);
	declarer_recount(go, d);
	return d;
}

void
sq_declarer_leave(struct sq_group_options *go, struct sq_declarer **dp)
{
	struct sq_declarer *d = *dp;

	*dp = NULL;
	if (d == NULL || --d->refs > 0)
		return;
	declarer_recount(go, d);
	assert(!d->counts);
	sq_htab_remove(&go->declarers, &d->node);
	set_put(d->set);
	free(d);
}

const struct sq_options *
sq_declarer_options(const struct sq_declarer *d)
{
	return &d->set->options;
}

/* The options in force. */

void
sq_group_options_init(struct sq_group_options *go, const struct sq_options *now, uint64_t since_ms,
    struct sq_bytes pod, uint64_t now_ms)
{
	*go = (struct sq_group_options){0};
	sq_list_init(&go->sets);
	sq_group_options_set(go, now, since_ms, pod, now_ms);
}

void
sq_group_options_set(struct sq_group_options *go, const struct sq_options *now, uint64_t since_ms,
    struct sq_bytes pod, uint64_t now_ms)
{
	assert(go->first == NULL);
	free(go->pod);
	go->now = *now;
	go->since_ms = since_ms;
	go->pod = sq_xmemdup0(pod.p, pod.len);
	go->away = true;
	go->away_ms = now_ms;
}

void
sq_group_options_fini(struct sq_group_options *go)
{
	assert(go->declarers.n == 0 && sq_list_empty(&go->sets));
	sq_htab_fini(&go->declarers);
	free(go->pod);
	go->pod = NULL;
}

/* The first one's word is in force from now on. */
static enum sq_chosen
options_take(struct sq_group_options *go)
{
	const struct sq_declarer *d = go->first;
	bool same = word_compare(d->since_ms, d->pod, go->since_ms, go->pod) == 0;
	bool other = !sq_options_equal(&go->now, &d->set->options);

	go->now = d->set->options;
	go->since_ms = d->since_ms;
	if (strcmp(go->pod, d->pod) != 0) {
		free(go->pod);
		go->pod = sq_xstrdup(d->pod);
	}
	go->away = false;
	if (other)
		return SQ_CHOSEN_OTHER;
	return same ? SQ_CHOSEN_SAME : SQ_CHOSEN_WORD;
}

enum sq_chosen
sq_group_options_choose(struct sq_group_options *go, uint64_t now_ms, uint64_t wait_ms)
{
	const struct sq_declarer *d = go->first;

	if (d != NULL && word_compare(d->since_ms, d->pod, go->since_ms, go->pod) >= 0)
		return options_take(go);
	if (!go->away) {
		go->away = true;
		go->away_ms = now_ms;
	}
	return sq_group_options_due(go, now_ms, wait_ms) ? options_take(go) : SQ_CHOSEN_SAME;
}

bool
sq_group_options_due(const struct sq_group_options *go, uint64_t now_ms, uint64_t wait_ms)
{
	/* 'away_ms' may be another worker's idea of the time. */
	return go->away && go->first != NULL && now_ms >= go->away_ms + wait_ms;
}

bool
sq_group_options_disagree(const struct sq_group_options *go)
{
	return go->n_sets > 1;
}

/* The hash of a pair, equal for both orders. */
static uint64_t
pair_hash(const struct sq_options *a, const struct sq_options *b)
{
	uint64_t h[2] = {0};

	for (int i = 0; i < 2; i++) {
		const struct sq_options *o = i == 0 ? a : b;
		uint32_t v[] = {
		    o->expiry_s, o->max_length, o->max_attempts, (uint32_t)o->overflow, o->durable};

		h[i] = sq_hash(v, sizeof v);
	}
	return h[0] ^ h[1];
}

/* Whether the pair is remembered; it is then. */
static bool
pair_told(struct sq_group_options *go, const struct sq_options *a, const struct sq_options *b)
{
	uint64_t hash = pair_hash(a, b);

	for (unsigned i = 0; i < SQ_OPTIONS_TOLD && i < go->n_told; i++) {
		if (go->told[i] == hash)
			return true;
	}
	go->told[go->n_told++ % SQ_OPTIONS_TOLD] = hash;
	return false;
}

static const struct sq_declarer *
set_declarer(const struct sq_group_options *go, const struct sq_options_set *set)
{
	for (struct sq_hnode *n = NULL; (n = sq_htab_walk(&go->declarers, n)) != NULL;) {
		const struct sq_declarer *d = SQ_CONTAINER_OF(n, struct sq_declarer, node);

		if (d->counts && d->set == set)
			return d;
	}
	return NULL;
}

const struct sq_declarer *
sq_group_options_tell(struct sq_group_options *go)
{
	if (go->n_sets < 2)
		return NULL;
	SQ_LIST_FOR_EACH(set, &go->sets, struct sq_options_set, node) {
		if (set->counting > 0 && set != go->first->set &&
		    !pair_told(go, &set->options, &go->first->set->options))
			return set_declarer(go, set);
	}
	return NULL;
}
