#include "broker/bridge/dedup.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/shard/system_txn.h"
#include "core/htab.h"
#include "core/mem.h"
#include "core/wallclock.h"

enum {
	SWEEP_MAX = 1000, /* keys removed in one go */
	GO_MAX = 2,       /* that go for a new one: windows that are too full shrink */
};

struct known {
	struct sq_hnode node;
	struct sq_list by_age;
	struct sq_dedup_key key;
	int64_t
	    came_ms; /* on the workers' clock; before its zero where the machine was started since */
};

_Static_assert(sizeof(struct known) <= SQ_DEDUP_BYTES - sizeof(size_t), "with the allocator's");

struct sq_dedup {
	struct sq_dedups *all;
	struct sq_list of_all;
	uint64_t name;   /* the hash of the bridge's name */
	char *bridge;    /* that */
	uint64_t for_ms; /* these of its last user */
	uint64_t max;
	struct sq_htab table;
	struct sq_list by_age; /* the oldest first */
	bool used;             /* the lock's */
};

struct sq_dedups {
	pthread_mutex_t lock; /* of the list, and of windows that nobody uses */
	struct sq_list windows;
};

/* Keys of a window. */

/* Keyed, because peers choose the hashed text. */
static uint64_t
known_bucket(const struct sq_dedup_key *key)
{
	return sq_hash(key, sizeof *key);
}

static struct known *
known_find(const struct sq_dedup *d, const struct sq_dedup_key *key)
{
	struct sq_hnode *n = sq_htab_find(&d->table, known_bucket(key));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct known *at = SQ_CONTAINER_OF(n, struct known, node);

		if (at->key.hi == key->hi && at->key.lo == key->lo)
			return at;
	}
	return NULL;
}

static struct known *
known_new(struct sq_dedup *d, const struct sq_dedup_key *key, int64_t came_ms)
{
	struct known *at = sq_xcalloc(1, sizeof *at);

	at->key = *key;
	at->came_ms = came_ms;
	sq_htab_insert(&d->table, &at->node, known_bucket(key));
	sq_list_push_back(&d->by_age, &at->by_age);
	return at;
}

static void
known_free(struct sq_dedup *d, struct known *at)
{
	sq_htab_remove(&d->table, &at->node);
	sq_list_remove(&at->by_age);
	free(at);
}

static bool
known_is_older(const struct known *at, uint64_t than_ms, uint64_t now_ms)
{
	return (uint64_t)((int64_t)now_ms - at->came_ms) >= than_ms;
}

static struct sq_record_key
known_record(const struct known *at)
{
	return (struct sq_record_key){SQ_RECORD_BRIDGE_KEY, at->key.hi, at->key.lo};
}

/* The record: u64 when it came, wall-clock ms; u64 the hash of the bridge's name. */
static void
known_write(const struct sq_dedup *d, const struct known *at, struct sq_txn *txn)
{
	struct sq_record_key key = known_record(at);
	struct sq_buf v = {0};

	sq_buf_u64(&v, sq_clock_wall_ms());
	sq_buf_u64(&v, d->name);
	sq_record_write(txn, &key, &v);
}

static void
known_remove(struct sq_dedup *d, struct known *at, struct sq_txn *txn)
{
	struct sq_record_key key = known_record(at);

	sq_record_delete(txn, &key);
	known_free(d, at);
}

/* The oldest key that has to go; NULL: none. */
static struct known *
dedup_goes(const struct sq_dedup *d, uint64_t now_ms)
{
	struct known *at = SQ_LIST_FIRST(&d->by_age, struct known, by_age);

	return at != NULL && (d->table.n > d->max || known_is_older(at, d->for_ms, now_ms)) ? at
											    : NULL;
}

/* Windows. */

static uint64_t
dedup_name(const char *bridge)
{
	unsigned char md[EVP_MAX_MD_SIZE];

	if (EVP_Digest(bridge, strlen(bridge), md, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* the library lacks what every build of it has */
	return sq_get64(md);
}

struct sq_dedups *
sq_dedups_new(void)
{
	struct sq_dedups *all = sq_xcalloc(1, sizeof *all);

	pthread_mutex_init(&all->lock, NULL);
	sq_list_init(&all->windows);
	return all;
}

static struct sq_dedup *
dedup_of(struct sq_dedups *all, uint64_t name)
{
	struct sq_dedup *d;

	SQ_LIST_FOR_EACH(at, &all->windows, struct sq_dedup, of_all) {
		if (at->name == name)
			return at;
	}
	d = sq_xcalloc(1, sizeof *d);
	d->all = all;
	d->name = name;
	sq_list_init(&d->by_age);
	sq_list_push_back(&all->windows, &d->of_all);
	return d;
}

static void
dedup_free(struct sq_dedup *d)
{
	SQ_LIST_FOR_EACH_SAFE(at, &d->by_age, struct known, by_age)
		known_free(d, at);
	sq_htab_fini(&d->table);
	sq_list_remove(&d->of_all);
	free(d->bridge);
	free(d);
}

void
sq_dedups_free(struct sq_dedups **allp)
{
	struct sq_dedups *all = *allp;

	*allp = NULL;
	if (all == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(d, &all->windows, struct sq_dedup, of_all)
		dedup_free(d);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* A window that nobody uses stays for its keys. */
static void
dedup_left(struct sq_dedup *d)
{
	if (!d->used && d->table.n == 0)
		dedup_free(d);
}

struct sq_dedup *
sq_dedup_open(struct sq_dedups *all, const char *bridge, uint64_t for_ms, uint64_t max)
{
	struct sq_dedup *d;

	pthread_mutex_lock(&all->lock);
	d = dedup_of(all, dedup_name(bridge));
	if (d->bridge == NULL)
		d->bridge = sq_xstrdup(bridge);
	d->for_ms = for_ms;
	d->max = max;
	d->used = true;
	pthread_mutex_unlock(&all->lock);
	return d;
}

void
sq_dedup_close(struct sq_dedup **dp)
{
	struct sq_dedup *d = *dp;
	struct sq_dedups *all;

	*dp = NULL;
	if (d == NULL)
		return;
	all = d->all;
	pthread_mutex_lock(&all->lock);
	d->used = false;
	dedup_left(d);
	pthread_mutex_unlock(&all->lock);
}

struct sq_dedup_key
sq_dedup_key(const struct sq_dedup *d, struct sq_bytes text)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	struct sq_buf all = {0};

	sq_buf_append(&all, d->bridge, strlen(d->bridge) + 1); /* the NUL parts the two */
	sq_buf_append(&all, text.p, text.len);
	if (EVP_Digest(sq_buf_data(&all), sq_buf_len(&all), md, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* as above */
	sq_buf_fini(&all);
	return (struct sq_dedup_key){sq_get64(md), sq_get64(md + 8)};
}

bool
sq_dedup_knows(const struct sq_dedup *d, const struct sq_dedup_key *key, uint64_t now_ms)
{
	const struct known *at = known_find(d, key);

	return at != NULL && !known_is_older(at, d->for_ms, now_ms);
}

unsigned
sq_dedup_add(
    struct sq_dedup *d, struct sq_txn *txn, const struct sq_dedup_key *key, uint64_t now_ms)
{
	struct known *at = d->max > 0 ? known_find(d, key) : NULL;
	unsigned early = 0;

	if (d->max == 0)
		return 0;
	if (at == NULL) {
		at = known_new(d, key, (int64_t)now_ms);
	} else { /* it was too old */
		at->came_ms = (int64_t)now_ms;
		sq_list_remove(&at->by_age);
		sq_list_push_back(&d->by_age, &at->by_age);
	}
	known_write(d, at, txn);
	for (int n = 0; n < GO_MAX && (at = dedup_goes(d, now_ms)) != NULL; n++) {
		early += !known_is_older(at, d->for_ms, now_ms);
		known_remove(d, at, txn);
	}
	return early;
}

void
sq_dedup_forget(struct sq_dedup *d, const struct sq_dedup_key *key)
{
	struct known *at = known_find(d, key);

	if (at != NULL)
		known_free(d, at);
}

unsigned
sq_dedup_sweep(struct sq_dedup *d, struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_system_txn *own = NULL;
	unsigned early = 0;
	struct known *at;

	for (int n = 0; n < SWEEP_MAX && (at = dedup_goes(d, now_ms)) != NULL; n++) {
		early += !known_is_older(at, d->for_ms, now_ms);
		known_remove(d, at, sq_system_txn(sh, &own));
	}
	sq_system_commit(&own);
	return early;
}

size_t
sq_dedup_count(const struct sq_dedup *d)
{
	return d->table.n;
}

void
sq_dedups_sweep(struct sq_dedups *all, struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_system_txn *own = NULL;
	int n = 0;

	pthread_mutex_lock(&all->lock);
	SQ_LIST_FOR_EACH_SAFE(d, &all->windows, struct sq_dedup, of_all) {
		struct known *at;

		if (d->used)
			continue;
		while (n < SWEEP_MAX &&
		    (at = SQ_LIST_FIRST(&d->by_age, struct known, by_age)) != NULL &&
		    known_is_older(at, SQ_DEDUP_LEFT_MS, now_ms)) {
			known_remove(d, at, sq_system_txn(sh, &own));
			n++;
		}
		dedup_left(d);
	}
	sq_system_commit(&own); /* before a bridge that comes back adds one of them again */
	pthread_mutex_unlock(&all->lock);
}

/* Start. */

/* A key of the store, and its window. */
struct loaded {
	struct sq_dedup *of;
	struct sq_dedup_key key;
	int64_t came_ms;
};

struct load {
	struct sq_dedups *all;
	struct loaded *v;
	size_t n, cap;
	uint64_t now_ms, wall_ms;
};

static void
dedups_load_one(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_reader r = sq_reader(value.p, value.len);
	struct load *l = arg;
	uint64_t came_ms = sq_read64(&r), name = sq_read64(&r);
	struct loaded *at;

	if (r.bad) /* it is of no bridge, and goes in its time */
		came_ms = name = 0;
	if (came_ms > l->wall_ms) /* the clock was set back */
		came_ms = l->wall_ms;
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 64;
		l->v = sq_xrealloc(l->v, l->cap * sizeof *l->v);
	}
	at = &l->v[l->n++];
	at->of = dedup_of(l->all, name);
	at->key = (struct sq_dedup_key){key->id, key->sub};
	at->came_ms = (int64_t)l->now_ms - (int64_t)(l->wall_ms - came_ms);
}

static int
loaded_by_age(const void *a, const void *b)
{
	const struct loaded *x = a, *y = b;

	return x->came_ms < y->came_ms ? -1 : x->came_ms > y->came_ms;
}

int
sq_dedups_load(struct sq_dedups *all, struct sq_engine *e, uint64_t now_ms)
{
	struct load l = {.all = all, .now_ms = now_ms, .wall_ms = sq_clock_wall_ms()};
	int err = e->ops->start.load(e, SQ_RECORD_BRIDGE_KEY, dedups_load_one, &l);

	if (l.n > 0)
		qsort(l.v, l.n, sizeof *l.v, loaded_by_age);
	for (size_t i = 0; i < l.n; i++)
		(void)known_new(l.v[i].of, &l.v[i].key, l.v[i].came_ms);
	free(l.v);
	return err;
}
