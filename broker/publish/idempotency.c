#include "broker/publish/idempotency.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/shard/system_txn.h"
#include "broker/engine/record.h"
#include "core/htab.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "proto/link/key.h"

enum {
	SWEEP_MAX = 1000, /* keys forgotten in one go */
	VALUE_SIZE = 8,   /* of a record without its tenant, as older brokers wrote them */
	PRINT_SIZE = 8,
};

struct known {
	struct sq_hnode node;
	struct sq_list by_age; /* the first to end first */
	struct sq_key_hash hash;
	uint64_t print; /* of its message; 0: not known */
	uint64_t expires_ms;
	struct sq_tenant *tenant; /* in whose account it counts; NULL: not known */
};

struct sq_keys {
	pthread_mutex_t lock;
	struct sq_htab table;
	struct sq_list by_age;
	uint64_t window_ms;
};

struct sq_keys *
sq_keys_new(uint64_t window_ms)
{
	struct sq_keys *k = sq_xcalloc(1, sizeof *k);

	pthread_mutex_init(&k->lock, NULL);
	sq_list_init(&k->by_age);
	k->window_ms = window_ms;
	return k;
}

static void
known_free(struct sq_keys *k, struct known *at)
{
	sq_htab_remove(&k->table, &at->node);
	sq_list_remove(&at->by_age);
	if (at->tenant != NULL)
		sq_share_give(sq_tenant_account(at->tenant), SQ_SHARE_KEYS, 1);
	free(at);
}

void
sq_keys_free(struct sq_keys **kp)
{
	struct sq_keys *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(at, &k->by_age, struct known, by_age)
		known_free(k, at);
	sq_htab_fini(&k->table);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

struct sq_key_hash
sq_keys_hash(const char *tenant, struct sq_bytes key)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	struct sq_buf text = {0};

	sq_buf_append(&text, tenant, strlen(tenant) + 1); /* the NUL parts the two */
	sq_buf_append(&text, key.p, key.len);
	if (EVP_Digest(sq_buf_data(&text), sq_buf_len(&text), md, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* the library lacks what every build of it has */
	sq_buf_fini(&text);
	return (struct sq_key_hash){sq_get64(md), sq_get64(md + 8)};
}

uint64_t
sq_keys_print(const unsigned char *image)
{
	struct sq_bytes topic = sq_image_topic(image), payload = sq_image_payload(image);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char out[EVP_MAX_MD_SIZE];
	uint64_t print;

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(md, topic.p, topic.len) != 1 ||
	    EVP_DigestUpdate(md, "", 1) != 1 || /* no topic has a NUL */
	    EVP_DigestUpdate(md, payload.p, payload.len) != 1 ||
	    EVP_DigestFinal_ex(md, out, NULL) != 1)
		abort(); /* as above */
	EVP_MD_CTX_free(md);
	print = sq_get64(out);
	return print != 0 ? print : 1;
}

void
sq_keys_lock(struct sq_keys *k)
{
	pthread_mutex_lock(&k->lock);
}

void
sq_keys_unlock(struct sq_keys *k)
{
	pthread_mutex_unlock(&k->lock);
}

/* Keyed, because publishers choose the hashed text. */
static uint64_t
known_bucket(const struct sq_key_hash *h)
{
	return sq_hash(h, sizeof *h);
}

static struct known *
known_find(const struct sq_keys *k, const struct sq_key_hash *h)
{
	struct sq_hnode *n = sq_htab_find(&k->table, known_bucket(h));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct known *at = SQ_CONTAINER_OF(n, struct known, node);

		if (at->hash.hi == h->hi && at->hash.lo == h->lo)
			return at;
	}
	return NULL;
}

static struct sq_record_key
known_record(const struct known *at)
{
	return (struct sq_record_key){SQ_RECORD_KEY, at->hash.hi, at->hash.lo};
}

/* The record: u64 when it ends, wall-clock ms; the tenant; where it has a print, a NUL and the print,
 * u64.  Brokers that know no prints end the tenant at the NUL. */
static void
known_write(const struct known *at, struct sq_txn *txn, uint64_t now_ms)
{
	const char *tenant = sq_tenant_name(at->tenant);
	struct sq_record_key key = known_record(at);
	struct sq_buf v = {0};

	sq_buf_u64(&v, sq_wallclock_from_mono(at->expires_ms, now_ms));
	sq_buf_append(&v, tenant, strlen(tenant));
	if (at->print != 0) {
		sq_buf_u8(&v, '\0');
		sq_buf_u64(&v, at->print);
	}
	sq_record_write(txn, &key, &v);
}

static void
known_count(struct known *at, struct sq_tenant *tenant)
{
	if (at->tenant != NULL)
		return;
	at->tenant = tenant;
	sq_share_force(sq_tenant_account(tenant), SQ_SHARE_KEYS, 1);
}

static struct known *
known_new(struct sq_keys *k, const struct sq_key_hash *h)
{
	struct known *at = sq_xcalloc(1, sizeof *at);

	at->hash = *h;
	sq_htab_insert(&k->table, &at->node, known_bucket(h));
	sq_list_push_back(&k->by_age, &at->by_age);
	return at;
}

enum sq_key_state
sq_keys_look(const struct sq_keys *k, const struct sq_tenant *tenant,
    const struct sq_message_key *key, size_t more, uint64_t now_ms)
{
	const struct known *at = known_find(k, &key->hash);

	if (at != NULL && at->expires_ms > now_ms)
		return key->print != 0 && at->print != 0 && key->print != at->print ? SQ_KEY_OTHER
										    : SQ_KEY_KNOWN;
	return at == NULL && !sq_share_fits(sq_tenant_account(tenant), SQ_SHARE_KEYS, more + 1)
	    ? SQ_KEY_FULL
	    : SQ_KEY_NEW;
}

enum sq_key_state
sq_keys_find(struct sq_keys *k, struct sq_txn *txn, struct sq_tenant *tenant,
    const struct sq_message_key *key, uint64_t now_ms)
{
	enum sq_key_state state = sq_keys_look(k, tenant, key, 0, now_ms);

	if (state == SQ_KEY_KNOWN) {
		struct known *at = known_find(k, &key->hash);

		known_count(at, tenant);
		known_write(at, txn, now_ms);
	}
	return state;
}

uint64_t
sq_keys_expires_ms(struct sq_keys *k, const struct sq_key_hash *h, uint64_t now_ms)
{
	const struct known *at;
	uint64_t expires_ms = 0;

	pthread_mutex_lock(&k->lock);
	at = known_find(k, h);
	if (at != NULL && at->expires_ms > now_ms)
		expires_ms = at->expires_ms;
	pthread_mutex_unlock(&k->lock);
	return expires_ms;
}

uint64_t
sq_keys_window_ms(const struct sq_keys *k)
{
	return k->window_ms;
}

void
sq_keys_add(struct sq_keys *k, struct sq_txn *txn, struct sq_tenant *tenant,
    const struct sq_message_key *key, uint64_t now_ms)
{
	struct known *at = known_find(k, &key->hash);

	if (at == NULL) {
		at = known_new(k, &key->hash);
	} else { /* its window was over */
		sq_list_remove(&at->by_age);
		sq_list_push_back(&k->by_age, &at->by_age);
	}
	known_count(at, tenant);
	at->print = key->print;
	at->expires_ms = now_ms + k->window_ms;
	known_write(at, txn, now_ms);
}

/* Start. */

struct load {
	struct sq_keys *keys;
	struct sq_tenants *tenants;
	struct known **v;
	size_t n, cap;
	uint64_t now_ms;
};

/* Reads what is behind the end: the tenant, and the print. */
static void
keys_load_owner(struct load *l, struct known *at, struct sq_bytes tenant)
{
	const unsigned char *end = memchr(tenant.p, '\0', tenant.len);
	char *name = sq_xmemdup0(tenant.p, tenant.len);
	struct sq_tenant *t = sq_tenant_get(l->tenants, name);

	known_count(at, t);
	sq_tenant_unref(&t);
	free(name);
	if (end != NULL && (size_t)(tenant.p + tenant.len - end) == 1 + PRINT_SIZE)
		at->print = sq_get64(end + 1);
}

static void
keys_load_one(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct sq_key_hash h = {key->id, key->sub};
	struct load *l = arg;
	struct known *at;

	at = known_new(l->keys, &h);
	/* one that does not read ends at once */
	at->expires_ms = l->now_ms;
	if (value.len >= VALUE_SIZE)
		at->expires_ms = sq_wallclock_to_mono(sq_get64(value.p), l->now_ms);
	if (value.len > VALUE_SIZE)
		keys_load_owner(
		    l, at, (struct sq_bytes){value.p + VALUE_SIZE, value.len - VALUE_SIZE});
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? l->cap * 2 : 64;
		l->v = sq_xrealloc(l->v, l->cap * sizeof(struct known *));
	}
	l->v[l->n++] = at;
}

static int
known_by_end(const void *a, const void *b)
{
	const struct known *x = *(struct known *const *)a, *y = *(struct known *const *)b;

	return x->expires_ms < y->expires_ms ? -1 : x->expires_ms > y->expires_ms;
}

int
sq_keys_load(struct sq_keys *k, struct sq_engine *e, struct sq_tenants *tenants, uint64_t now_ms)
{
	struct load l = {.keys = k, .tenants = tenants, .now_ms = now_ms};
	int err = e->ops->start.load(e, SQ_RECORD_KEY, keys_load_one, &l);

	if (l.n > 0)
		qsort(l.v, l.n, sizeof(struct known *), known_by_end);
	for (size_t i = 0; i < l.n; i++) {
		sq_list_remove(&l.v[i]->by_age);
		sq_list_push_back(&k->by_age, &l.v[i]->by_age);
	}
	free(l.v);
	return err;
}

void
sq_keys_sweep(struct sq_keys *k, struct sq_shard *sh, uint64_t now_ms)
{
	struct sq_system_txn *own = NULL;

	pthread_mutex_lock(&k->lock);
	for (int n = 0; n < SWEEP_MAX; n++) {
		struct known *at = SQ_LIST_FIRST(&k->by_age, struct known, by_age);
		struct sq_record_key key;

		if (at == NULL || at->expires_ms > now_ms)
			break;
		key = known_record(at);
		sh->broker->engine->ops->txn.record(
		    sq_system_txn(sh, &own), &key, (struct sq_bytes){0});
		known_free(k, at);
	}
	sq_system_commit(&own); /* before anybody adds one of them again */
	pthread_mutex_unlock(&k->lock);
}
