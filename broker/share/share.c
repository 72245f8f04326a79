#include "broker/share/share.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/metrics.h"

enum {
	ALPHA = 3,
	FLOORS_OF_TOTAL = 4, /* floors together are at most the fourth part */
	SHOWN_MAX = 50,      /* accounts with metrics of their own */
	CACHE_LINE = 64,
};

#define MIB (UINT64_C(1) << 20)
/* The upper bound of each count. */
#define UNITS_MAX (UINT64_MAX >> 8)

static const struct share_row {
	const char *label; /* of metrics, and of spaces.NAME.limits */
	const char *text;
	const char *total; /* the key of the configuration */
	uint64_t floor;
	enum sq_share_of of;
} rows[SQ_SHARE_KINDS] = {
    [SQ_SHARE_SESSIONS] = {"sessions", "sessions", "limits.max-sessions", 16, SQ_SHARE_OF_TENANT},
    [SQ_SHARE_CONNECTIONS] = {"connections", "connections", "link.max-connections", 16,
	SQ_SHARE_OF_TENANT},
    [SQ_SHARE_GROUPS] = {"groups", "groups", "limits.max-groups", 16, SQ_SHARE_OF_TENANT},
    [SQ_SHARE_SUBSCRIPTIONS] = {"subscriptions", "subscriptions", "limits.total-subscriptions", 256,
	SQ_SHARE_OF_TENANT},
    [SQ_SHARE_RETAINED] = {"retained", "retained messages", "retained.max-messages", 16,
	SQ_SHARE_OF_SPACE},
    [SQ_SHARE_RETAINED_BYTES] = {"retained-bytes", "bytes of retained messages",
	"retained.max-bytes", MIB, SQ_SHARE_OF_SPACE},
    [SQ_SHARE_DELAYED] = {"delayed", "delayed messages", "delayed.max-messages", 16,
	SQ_SHARE_OF_TENANT},
    [SQ_SHARE_DELAYED_BYTES] = {"delayed-bytes", "bytes of delayed messages", "delayed.max-bytes",
	MIB, SQ_SHARE_OF_TENANT},
    [SQ_SHARE_DEAD_LETTERS] = {"dead-letters", "dead letters", "dead-letters.total-messages", 16,
	SQ_SHARE_OF_TENANT},
    [SQ_SHARE_DEAD_LETTERS_BYTES] = {"dead-letters-bytes", "bytes of dead letters",
	"dead-letters.total-bytes", MIB, SQ_SHARE_OF_TENANT},
    [SQ_SHARE_KEYS] = {"keys", "idempotency keys", "idempotency.max-keys", 64, SQ_SHARE_OF_TENANT},
    [SQ_SHARE_STORED_BYTES] = {"stored-bytes", "bytes in the store", "store.max-size", MIB,
	SQ_SHARE_OF_TENANT},
    [SQ_SHARE_MEMORY] = {"memory", "bytes of messages in memory", "limits.memory", MIB,
	SQ_SHARE_OF_TENANT},
};

const struct sq_share_limits sq_share_no_limits = {{SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED,
    SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED,
    SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED,
    SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED, SQ_SHARE_UNBOUNDED}};

/* The shared part of a total: all but the floors. */
struct share_pool {
	_Alignas(CACHE_LINE) atomic_uint_fast64_t taken;
	_Atomic uint64_t size, total; /* of what changes */
	uint64_t floor;
	atomic_uint_fast64_t refused;
};

struct sq_shares {
	struct share_pool pools[SQ_SHARE_KINDS];
	uint64_t spaces;
	bool divided;
	pthread_mutex_t lock;
	struct sq_list accounts[SQ_SHARE_OFS]; /* those without a floor behind those with one */
	uint64_t floors[SQ_SHARE_OFS];         /* given to accounts */
	uint64_t n[SQ_SHARE_OFS];              /* of these */
};

/* The use of a kind, doubled, plus 1 for an account with a floor: both change in one step. */
typedef uint64_t share_word;

/* Begins at a cache line. */
struct sq_account {
	_Atomic share_word used[SQ_SHARE_KINDS];
	struct sq_shares *shares;
	struct sq_list node;
	enum sq_share_of of;
	bool floored;
	const struct sq_share_limits *limits;
	char name[];
};

static uint64_t
word_used(share_word w)
{
	return w >> 1;
}

/* The part of the use that comes from the pool. */
static uint64_t
word_excess(share_word w, const struct share_pool *p)
{
	uint64_t used = word_used(w), floor = (w & 1) != 0 ? p->floor : 0;

	return used > floor ? used - floor : 0;
}

static share_word
word_with(share_word w, uint64_t used)
{
	return used << 1 | (w & 1);
}

/* The total, and what of it is no floor. */
static void
pool_set(const struct sq_shares *s, struct share_pool *p, uint64_t total)
{
	uint64_t size = total < UNITS_MAX ? total : UNITS_MAX, floors = p->floor * s->spaces;

	atomic_store_explicit(&p->total, total, memory_order_relaxed);
	atomic_store_explicit(&p->size, size > floors ? size - floors : 0, memory_order_relaxed);
}

static uint64_t
pool_size(const struct share_pool *p)
{
	return atomic_load_explicit(&p->size, memory_order_relaxed);
}

static uint64_t
pool_total(const struct share_pool *p)
{
	return atomic_load_explicit(&p->total, memory_order_relaxed);
}

void
sq_shares_set_totals(struct sq_shares *s, const uint64_t totals[SQ_SHARE_KINDS])
{
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++)
		pool_set(s, &s->pools[kind], totals[kind]);
}

struct sq_shares *
sq_shares_new(const struct sq_shares_cfg *cfg)
{
	struct sq_shares *s = sq_xcalloc_aligned(CACHE_LINE, sizeof *s);

	s->divided = cfg->spaces > 1;
	s->spaces = s->divided ? cfg->spaces : 0;
	pthread_mutex_init(&s->lock, NULL);
	for (int of = 0; of < SQ_SHARE_OFS; of++)
		sq_list_init(&s->accounts[of]);
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		uint64_t total = cfg->totals[kind];

		if (s->divided) {
			uint64_t size = total < UNITS_MAX ? total : UNITS_MAX;
			uint64_t most = size / FLOORS_OF_TOTAL / s->spaces;

			s->pools[kind].floor = rows[kind].floor < most ? rows[kind].floor : most;
		}
		pool_set(s, &s->pools[kind], total);
	}
	return s;
}

void
sq_shares_free(struct sq_shares **sp)
{
	struct sq_shares *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (int of = 0; of < SQ_SHARE_OFS; of++) {
		SQ_LIST_FOR_EACH_SAFE(a, &s->accounts[of], struct sq_account, node)
			free(a);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static uint64_t
account_limit(const struct sq_account *a, enum sq_share_kind kind)
{
	return atomic_load_explicit(&a->limits->of[kind], memory_order_relaxed);
}

struct sq_account *
sq_account_new(struct sq_shares *s, enum sq_share_of of, const char *name,
    const struct sq_share_limits *limits)
{
	size_t len = strlen(name) + 1;
	size_t size = (sizeof(struct sq_account) + len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct sq_account *a = sq_xcalloc_aligned(CACHE_LINE, size);

	memcpy(a->name, name, len);
	a->shares = s;
	a->of = of;
	a->limits = limits != NULL ? limits : &sq_share_no_limits;
	pthread_mutex_lock(&s->lock);
	a->floored = s->floors[of] < s->spaces;
	s->floors[of] += a->floored;
	s->n[of]++;
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++)
		atomic_init(&a->used[kind], a->floored);
	if (a->floored)
		sq_list_push_front(&s->accounts[of], &a->node);
	else
		sq_list_push_back(&s->accounts[of], &a->node);
	pthread_mutex_unlock(&s->lock);
	return a;
}

/* Gives the account a floor: its use of each kind counts against the floor first. */
static void
account_floor(struct sq_account *a)
{
	a->floored = true;
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		struct share_pool *p = &a->shares->pools[kind];
		share_word w = atomic_load(&a->used[kind]);

		while (!atomic_compare_exchange_weak(&a->used[kind], &w, w | 1))
			continue;
		atomic_fetch_sub(&p->taken, word_excess(w, p) - word_excess(w | 1, p));
	}
}

/* The floor of one that goes is the oldest's that has none; under the lock. */
static void
shares_pass_floor(struct sq_shares *s, enum sq_share_of of)
{
	SQ_LIST_FOR_EACH(a, &s->accounts[of], struct sq_account, node) {
		if (a->floored)
			continue;
		account_floor(a);
		sq_list_remove(&a->node);
		sq_list_push_front(&s->accounts[of], &a->node);
		return;
	}
	s->floors[of]--;
}

void
sq_account_free(struct sq_account **ap)
{
	struct sq_account *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	assert(sq_account_empty(a));
	pthread_mutex_lock(&a->shares->lock);
	sq_list_remove(&a->node);
	a->shares->n[a->of]--;
	if (a->floored)
		shares_pass_floor(a->shares, a->of);
	pthread_mutex_unlock(&a->shares->lock);
	free(a);
}

bool
sq_account_empty(const struct sq_account *a)
{
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		if (sq_share_used(a, (enum sq_share_kind)kind) > 0)
			return false;
	}
	return true;
}

uint64_t
sq_share_used(const struct sq_account *a, enum sq_share_kind kind)
{
	return word_used(atomic_load_explicit(&a->used[kind], memory_order_relaxed));
}

/* Whether one that is to have 'used' may have 'more' of it out of the pool, of which 'taken'
 * is taken. */
static bool
pool_allows(const struct sq_shares *s, const struct share_pool *p, uint64_t taken, uint64_t used,
    uint64_t more)
{
	uint64_t size = pool_size(p), left = size > taken ? size - taken : 0;

	if (more > left)
		return false;
	/* The last unit of these: what it had before is below three times what was free. */
	return !s->divided || (used - 1) / ALPHA < left - more + 1;
}

static bool
pool_take(const struct sq_shares *s, struct share_pool *p, uint64_t used, uint64_t more, bool force)
{
	uint64_t taken = atomic_load_explicit(&p->taken, memory_order_relaxed);

	if (more == 0)
		return true;
	do {
		if (!force && !pool_allows(s, p, taken, used, more))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &p->taken, &taken, taken + more, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static bool
share_add(struct sq_account *a, enum sq_share_kind kind, uint64_t n, bool force)
{
	struct share_pool *p = &a->shares->pools[kind];
	share_word w = atomic_load_explicit(&a->used[kind], memory_order_relaxed);

	assert(a->of == rows[kind].of);
	if (n == 0)
		return true;
	assert(n <= UNITS_MAX);
	for (;;) {
		uint64_t used = word_used(w) + n;
		share_word to = word_with(w, used);
		uint64_t more = word_excess(to, p) - word_excess(w, p);

		if (!force && used > account_limit(a, kind))
			return false;
		if (!pool_take(a->shares, p, used, more, force))
			return false;
		if (atomic_compare_exchange_weak_explicit(
			&a->used[kind], &w, to, memory_order_relaxed, memory_order_relaxed))
			return true;
		atomic_fetch_sub_explicit(&p->taken, more, memory_order_relaxed);
	}
}

bool
sq_share_take(struct sq_account *a, enum sq_share_kind kind, uint64_t n)
{
	if (share_add(a, kind, n, false))
		return true;
	atomic_fetch_add_explicit(&a->shares->pools[kind].refused, 1, memory_order_relaxed);
	return false;
}

bool
sq_share_fits(const struct sq_account *a, enum sq_share_kind kind, uint64_t n)
{
	if (sq_share_room(a, kind) >= n)
		return true;
	atomic_fetch_add_explicit(&a->shares->pools[kind].refused, 1, memory_order_relaxed);
	return false;
}

void
sq_share_force(struct sq_account *a, enum sq_share_kind kind, uint64_t n)
{
	(void)share_add(a, kind, n, true);
}

/* The account may be gone as soon as it is empty. */
void
sq_share_give(struct sq_account *a, enum sq_share_kind kind, uint64_t n)
{
	struct share_pool *p = &a->shares->pools[kind];
	share_word w = atomic_load_explicit(&a->used[kind], memory_order_relaxed), to;

	do
		to = word_with(w, word_used(w) > n ? word_used(w) - n : 0);
	while (!atomic_compare_exchange_weak_explicit(
	    &a->used[kind], &w, to, memory_order_relaxed, memory_order_relaxed));
	n = word_excess(w, p) - word_excess(to, p);
	if (n > 0)
		atomic_fetch_sub_explicit(&p->taken, n, memory_order_relaxed);
}

uint64_t
sq_share_room(const struct sq_account *a, enum sq_share_kind kind)
{
	const struct share_pool *p = &a->shares->pools[kind];
	share_word w = atomic_load_explicit(&a->used[kind], memory_order_relaxed);
	uint64_t taken = atomic_load_explicit(&p->taken, memory_order_relaxed);
	uint64_t used = word_used(w), floor = (w & 1) != 0 ? p->floor : 0;
	uint64_t size = pool_size(p), left = size > taken ? size - taken : 0;
	uint64_t of_floor = used < floor ? floor - used : 0, base = used + of_floor;
	uint64_t room = left;
	uint64_t limit = account_limit(a, kind);

	if (a->shares->divided) { /* the most that pool_allows() allows */
		uint64_t most = ALPHA * left + ALPHA;

		room = most > base ? (most - base) / (ALPHA + 1) : 0;
		room = room < left ? room : left;
	}
	room += of_floor;
	limit = limit > used ? limit - used : 0;
	return room < limit ? room : limit;
}

bool
sq_share_limited(const struct sq_account *a, enum sq_share_kind kind)
{
	return account_limit(a, kind) != SQ_SHARE_UNBOUNDED;
}

bool
sq_share_of_own(const struct sq_account *a, enum sq_share_kind kind)
{
	return a->shares->divided || sq_share_limited(a, kind);
}

void
sq_share_explain(const struct sq_account *a, enum sq_share_kind kind, struct sq_buf *out)
{
	uint64_t used = sq_share_used(a, kind), limit = account_limit(a, kind);

	sq_buf_printf(out, "%s has %" PRIu64 " %s, ", a->name, used, rows[kind].text);
	if (limit != SQ_SHARE_UNBOUNDED && sq_share_room(a, kind) + used >= limit)
		sq_buf_printf(
		    out, "of %" PRIu64 " that spaces.*.limits.%s allows", limit, rows[kind].label);
	else
		sq_buf_printf(out,
		    "which is its share of %" PRIu64 " (%s; limits.spaces: %" PRIu64 ")",
		    pool_total(&a->shares->pools[kind]), rows[kind].total,
		    a->shares->divided ? a->shares->spaces : 1);
}

/* Metrics. */

struct shown {
	const struct sq_account *account;
	double part; /* the largest that it has of any total */
};

static double
account_part(const struct sq_account *a)
{
	double most = 0;

	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		uint64_t total = pool_total(&a->shares->pools[kind]);
		double part = (double)sq_share_used(a, (enum sq_share_kind)kind) /
		    (double)(total > 0 ? total : 1);

		most = part > most ? part : most;
	}
	return most;
}

static int
shown_order(const void *x, const void *y)
{
	const struct shown *a = x, *b = y;

	if (a->part != b->part)
		return a->part > b->part ? -1 : 1;
	return strcmp(a->account->name, b->account->name);
}

static void
shares_write_use(struct sq_buf *out, int kind, const char *name, uint64_t used)
{
	if (used == 0)
		return;
	sq_buf_printf(out, "sqmqos_broker_share_used{kind=\"%s\",space=\"", rows[kind].label);
	sq_metrics_label(out, name);
	sq_buf_printf(out, "\"} %" PRIu64 "\n", used);
}

static void
shares_write_kind(struct sq_buf *out, int kind, const struct shown *v, size_t n)
{
	uint64_t other = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t used = sq_share_used(v[i].account, (enum sq_share_kind)kind);

		if (i < SHOWN_MAX)
			shares_write_use(out, kind, v[i].account->name, used);
		else
			other += used;
	}
	shares_write_use(out, kind, "other", other);
}

/* Under the lock. */
static void
shares_write_of(struct sq_shares *s, enum sq_share_of of, struct sq_buf *out)
{
	struct shown *v = NULL;
	size_t n = 0, cap = 0;

	SQ_LIST_FOR_EACH(a, &s->accounts[of], struct sq_account, node) {
		if (n == cap) {
			cap = cap > 0 ? cap * 2 : 64;
			v = sq_xrealloc(v, cap * sizeof *v);
		}
		v[n++] = (struct shown){a, account_part(a)};
	}
	if (n > 0)
		qsort(v, n, sizeof *v, shown_order);
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		if (rows[kind].of == of)
			shares_write_kind(out, kind, v, n);
	}
	free(v);
}

void
sq_shares_write(struct sq_shares *s, struct sq_buf *out)
{
	static const char *const holders[] = {
	    [SQ_SHARE_OF_TENANT] = "tenant", [SQ_SHARE_OF_SPACE] = "space"};

	sq_metrics_head(out, "sqmqos_broker_share_used", SQ_GAUGE,
	    "What those with most have of each total, by tenant; of retained messages by space.");
	pthread_mutex_lock(&s->lock);
	for (int of = 0; of < SQ_SHARE_OFS; of++)
		shares_write_of(s, (enum sq_share_of)of, out);
	sq_metrics_head(out, "sqmqos_broker_share_holders", SQ_GAUGE,
	    "Tenants and topic spaces that the broker has at present, for which floors are kept.");
	for (int of = 0; of < SQ_SHARE_OFS; of++)
		sq_buf_printf(out, "sqmqos_broker_share_holders{of=\"%s\"} %" PRIu64 "\n",
		    holders[of], s->n[of]);
	pthread_mutex_unlock(&s->lock);
	sq_metrics_head(out, "sqmqos_broker_share_total", SQ_GAUGE,
	    "The totals that tenants and spaces share.");
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++) {
		uint64_t total = pool_total(&s->pools[kind]);

		if (total != SQ_SHARE_UNBOUNDED)
			sq_buf_printf(out, "sqmqos_broker_share_total{kind=\"%s\"} %" PRIu64 "\n",
			    rows[kind].label, total);
	}
	sq_metrics_head(out, "sqmqos_broker_share_refused_total", SQ_COUNTER,
	    "What was refused because its owner had its share.");
	for (int kind = 0; kind < SQ_SHARE_KINDS; kind++)
		sq_buf_printf(out, "sqmqos_broker_share_refused_total{kind=\"%s\"} %" PRIu64 "\n",
		    rows[kind].label,
		    (uint64_t)atomic_load_explicit(&s->pools[kind].refused, memory_order_relaxed));
}
