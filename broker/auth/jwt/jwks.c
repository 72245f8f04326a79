/* Sets of public keys; see broker/auth/jwt/jwks.h.
 *
 * What cjose gets is made anew of the members that a public key has, so that nothing
 * else of a set is ever looked at. */
#include "broker/auth/jwt/jwks.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/digest.h"
#include "core/mem.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

struct sq_jwk {
	char *name;
	enum sq_jwk_kind kind;
	cjose_jwk_t *key;
	uint64_t number;
};

struct sq_jwks {
	atomic_uint refs;
	char *issuer;
	size_t n;
	struct sq_jwk keys[SQ_JWKS_KEYS_MAX];
};

/* What a key of one kind says of itself. */
static const struct kind {
	const char *kty, *alg, *crv;
	const char *members[2];
} kinds[] = {
    [SQ_JWK_RS256] = {"RSA", "RS256", NULL, {"n", "e"}},
    [SQ_JWK_ES256] = {"EC", "ES256", "P-256", {"x", "y"}},
};

/* Whether a member is absent or this text. */
static bool
jwk_may_be(const json_t *o, const char *member, const char *text)
{
	const json_t *v = json_object_get(o, member);

	return v == NULL || (json_is_string(v) && strcmp(json_string_value(v), text) == 0);
}

static bool
jwk_is(const json_t *o, const char *member, const char *text)
{
	return json_object_get(o, member) != NULL && jwk_may_be(o, member, text);
}

static const struct kind *
jwk_kind(const json_t *o)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(kinds); i++) {
		const struct kind *k = &kinds[i];

		if (jwk_is(o, "kty", k->kty) && jwk_may_be(o, "alg", k->alg) &&
		    jwk_may_be(o, "use", "sig") && (k->crv == NULL || jwk_is(o, "crv", k->crv)))
			return k;
	}
	return NULL;
}

/* Whether cjose may decode it: where a '=' cuts a value short (RFC 7515 §2 knows none), it
 * ends the process by an assertion. */
static bool
jwk_is_base64url(const char *v)
{
	return v[strspn(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] ==
	    '\0';
}

/* The public key alone, as JSON; NULL: a member is missing, or no number. */
static char *
jwk_public(const json_t *o, const struct kind *k, const char *name)
{
	json_t *p = json_pack("{s:s, s:s}", "kty", k->kty, "kid", name);
	char *text;

	if (k->crv != NULL)
		json_object_set_new(p, "crv", json_string(k->crv));
	for (size_t i = 0; i < 2; i++) {
		const char *v = json_string_value(json_object_get(o, k->members[i]));

		if (v == NULL || !jwk_is_base64url(v)) {
			json_decref(p);
			return NULL;
		}
		json_object_set_new(p, k->members[i], json_string(v));
	}
	text = json_dumps(p, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(p);
	return text;
}

/* Takes one key of a set; false: it is none to verify with. */
static bool
jwk_take(struct sq_jwk *out, const char *issuer, const json_t *o)
{
	const struct kind *k = jwk_kind(o);
	const char *name = json_string_value(json_object_get(o, "kid"));
	struct sq_bytes parts[2];
	size_t bits;
	char *text;

	if (k == NULL || name == NULL || *name == '\0' || strlen(name) > SQ_JWK_ID_MAX)
		return false;
	text = jwk_public(o, k, name);
	if (text == NULL)
		return false;
	out->kind = (enum sq_jwk_kind)(k - kinds);
	out->key = cjose_jwk_import(text, strlen(text), NULL);
	parts[0] = sq_bytes_of(issuer);
	parts[1] = sq_bytes_of(text);
	out->number = sq_digest_u64(parts, 2);
	free(text);
	ERR_clear_error(); /* it is the thread's, and others look at it */
	if (out->key == NULL)
		return false;
	bits = cjose_jwk_get_keysize(out->key, NULL);
	if (out->kind == SQ_JWK_RS256 && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
		cjose_jwk_release(out->key);
		return false;
	}
	out->name = sq_xstrdup(name);
	return true;
}

/* The list of keys of the set 'all'; NULL with a line in 'err'. */
static const json_t *
jwks_list(const json_t *all, const json_error_t *why, struct sq_buf *err)
{
	const json_t *keys = json_object_get(all, "keys");

	if (all == NULL)
		sq_buf_printf(err, "not JSON: line %d: %s", why->line, why->text);
	else if (!json_is_array(keys))
		sq_buf_printf(err, "no JWK Set: it has no list of keys");
	else if (json_array_size(keys) > SQ_JWKS_KEYS_MAX)
		sq_buf_printf(err, "more than %d keys", SQ_JWKS_KEYS_MAX);
	else
		return keys;
	return NULL;
}

struct sq_jwks *
sq_jwks_parse(const char *issuer, const void *text, size_t len, struct sq_buf *err)
{
	json_error_t why = {0};
	struct sq_jwks *set;
	const json_t *keys;
	json_t *all;

	if (len > SQ_JWKS_SIZE_MAX) {
		sq_buf_printf(err, "larger than %d bytes", SQ_JWKS_SIZE_MAX);
		return NULL;
	}
	all = json_loadb(len > 0 ? text : "", len, 0, &why);
	keys = jwks_list(all, &why, err);
	if (keys == NULL) {
		json_decref(all);
		return NULL;
	}
	set = sq_xcalloc(1, sizeof *set);
	atomic_init(&set->refs, 1);
	set->issuer = sq_xstrdup(issuer);
	for (size_t i = 0; i < json_array_size(keys); i++)
		if (jwk_take(&set->keys[set->n], issuer, json_array_get(keys, i)))
			set->n++;
	if (json_array_size(keys) > 0 && set->n == 0) {
		sq_buf_printf(err,
		    "none of its %zu keys is RSA of 2048 bits or more, or EC P-256, "
		    "for signatures and with a kid",
		    json_array_size(keys));
		sq_jwks_unref(&set);
	}
	json_decref(all);
	return set;
}

struct sq_jwks *
sq_jwks_ref(struct sq_jwks *set)
{
	atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void
sq_jwks_unref(struct sq_jwks **sp)
{
	struct sq_jwks *set = *sp;

	*sp = NULL;
	if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < set->n; i++) {
		cjose_jwk_release(set->keys[i].key);
		free(set->keys[i].name);
	}
	free(set->issuer);
	free(set);
}

const char *
sq_jwks_issuer(const struct sq_jwks *set)
{
	return set->issuer;
}

size_t
sq_jwks_count(const struct sq_jwks *set)
{
	return set->n;
}

const struct sq_jwk *
sq_jwks_find(const struct sq_jwks *set, const char *name, enum sq_jwk_kind kind)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->keys[i].kind == kind && strcmp(set->keys[i].name, name) == 0)
			return &set->keys[i];
	return NULL;
}

uint64_t
sq_jwk_number(const struct sq_jwk *k)
{
	return k->number;
}

bool
sq_jwks_has(const struct sq_jwks *set, uint64_t number)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->keys[i].number == number)
			return true;
	return false;
}

bool
sq_jwks_equal(const struct sq_jwks *a, const struct sq_jwks *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < b->n; i++)
		if (!sq_jwks_has(a, b->keys[i].number))
			return false;
	return true;
}

const void *
sq_jwk_handle(const struct sq_jwk *k)
{
	return k->key;
}
