/* Signed tokens; see broker/auth/jwt/jwt.h.
 *
 * cjose verifies signatures.  What it would take by the header alone (other algorithms,
 * "none", extensions) does not get that far. */
#include "broker/auth/jwt/jwt.h"

#include <limits.h>
#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_bounds.h"
#include "core/mem.h"

enum {
	JWT_ES256_SIGNATURE = 86, /* characters of 64 bytes */
	JWT_DESCRIBED_MAX = 200,  /* bytes of a part */
};

struct sq_jwt {
	char *text; /* compact form */
	size_t len;
	size_t signature_len;
	json_t *header, *claims;
	enum sq_jwk_kind kind;
	bool verified;
};

static const char *const algorithms[] = {
    [SQ_JWK_RS256] = "RS256",
    [SQ_JWK_ES256] = "ES256",
};

/* Taken apart. */

static bool
jwt_is_base64url(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '_';
}

/* Splits into three parts that are not empty. */
static bool
jwt_split(struct sq_bytes token, struct sq_bytes parts[3])
{
	size_t n = 0, from = 0;

	if (token.len > SQ_JWT_SIZE_MAX)
		return false;
	for (size_t i = 0; i <= token.len; i++) {
		if (i < token.len && jwt_is_base64url(token.p[i]))
			continue;
		if ((i < token.len && token.p[i] != '.') || n == 3 || i == from)
			return false;
		parts[n++] = (struct sq_bytes){token.p + from, i - from};
		from = i + 1;
	}
	return n == 3;
}

/* The JSON object of a part, or NULL. */
static json_t *
jwt_object(struct sq_bytes part)
{
	uint8_t *text = NULL;
	size_t len = 0;
	json_t *o = NULL;

	if (!cjose_base64url_decode((const char *)part.p, part.len, &text, &len, NULL))
		return NULL;
	if (text != NULL && sq_json_bounded(text, len, SQ_JWT_DEPTH_MAX, UINT_MAX))
		o = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, NULL);
	cjose_get_dealloc()(text);
	if (o != NULL && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static const char *
jwt_text(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member));
}

/* What the header says, as far as it may say anything. */
static enum sq_auth_reason
jwt_header(struct sq_jwt *t)
{
	const char *alg = jwt_text(t->header, "alg"), *kid = jwt_text(t->header, "kid");

	for (size_t i = 0; i < SQ_ARRAY_LEN(algorithms) && alg != NULL; i++) {
		if (strcmp(alg, algorithms[i]) != 0)
			continue;
		t->kind = (enum sq_jwk_kind)i;
		if (t->kind == SQ_JWK_ES256 && t->signature_len != JWT_ES256_SIGNATURE)
			return SQ_AUTH_SIGNATURE;
		if (json_object_get(t->header, "crit") != NULL || kid == NULL || *kid == '\0' ||
		    strlen(kid) > SQ_JWK_ID_MAX)
			return SQ_AUTH_MALFORMED;
		return SQ_AUTH_NONE;
	}
	return SQ_AUTH_ALGORITHM;
}

enum sq_auth_reason
sq_jwt_parse(struct sq_bytes token, struct sq_jwt **out)
{
	struct sq_bytes parts[3];
	struct sq_jwt *t;
	enum sq_auth_reason why;

	*out = NULL;
	if (!jwt_split(token, parts))
		return SQ_AUTH_MALFORMED;
	t = sq_xcalloc(1, sizeof *t);
	t->signature_len = parts[2].len;
	t->header = jwt_object(parts[0]);
	t->claims = jwt_object(parts[1]);
	if (t->header == NULL || t->claims == NULL) {
		sq_jwt_free(&t);
		return SQ_AUTH_MALFORMED;
	}
	*out = t;
	why = jwt_header(t);
	if (why == SQ_AUTH_NONE && jwt_text(t->claims, "iss") == NULL)
		why = SQ_AUTH_ISSUER;
	if (why == SQ_AUTH_NONE) {
		t->text = sq_xmemdup0(token.p, token.len);
		t->len = token.len;
	}
	return why;
}

void
sq_jwt_free(struct sq_jwt **tp)
{
	struct sq_jwt *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	json_decref(t->header);
	json_decref(t->claims);
	if (t->text != NULL)
		explicit_bzero(t->text, t->len);
	free(t->text);
	free(t);
}

const char *
sq_jwt_issuer(const struct sq_jwt *t)
{
	return jwt_text(t->claims, "iss");
}

const char *
sq_jwt_key_name(const struct sq_jwt *t)
{
	return jwt_text(t->header, "kid");
}

enum sq_jwk_kind
sq_jwt_key_kind(const struct sq_jwt *t)
{
	return t->kind;
}

bool
sq_jwt_verify(struct sq_jwt *t, const struct sq_jwk *key)
{
	cjose_jws_t *jws = cjose_jws_import(t->text, t->len, NULL);

	t->verified = jws != NULL && cjose_jws_verify(jws, sq_jwk_handle(key), NULL);
	cjose_jws_release(jws);
	ERR_clear_error(); /* the thread's TLS connections look there, too */
	return t->verified;
}

/* Read. */

/* Reads a time in seconds (RFC 7519 §2, NumericDate); false: it is none. */
static bool
jwt_time(const json_t *claims, const char *name, int64_t *out)
{
	const json_t *v = json_object_get(claims, name);
	double s = json_number_value(v);

	if (!json_is_number(v) || s < 0 || s > 253402300799.0) /* the year 9999 */
		return false;
	*out = (int64_t)s;
	return true;
}

static enum sq_auth_reason
jwt_times(const json_t *claims, int64_t now_s, int64_t *expires_s)
{
	int64_t at;

	if (!jwt_time(claims, "exp", expires_s))
		return SQ_AUTH_MALFORMED;
	if (now_s >= *expires_s + SQ_JWT_SKEW_S)
		return SQ_AUTH_EXPIRED;
	for (size_t i = 0; i < 2; i++) {
		const char *name = i == 0 ? "nbf" : "iat";

		if (json_object_get(claims, name) == NULL)
			continue;
		if (!jwt_time(claims, name, &at))
			return SQ_AUTH_MALFORMED;
		if (at > now_s + SQ_JWT_SKEW_S)
			return SQ_AUTH_NOT_YET;
	}
	return SQ_AUTH_NONE;
}

static bool
jwt_has_audience(const json_t *claims, const char *audience)
{
	const json_t *aud = json_object_get(claims, "aud");

	if (json_is_string(aud))
		return strcmp(json_string_value(aud), audience) == 0;
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *one = json_string_value(json_array_get(aud, i));

		if (one != NULL && strcmp(one, audience) == 0)
			return true;
	}
	return false;
}

/* What Kubernetes says of the pod that holds the token. */
struct kubernetes {
	const char *space, *name, *pod; /* NULL: not said */
	bool odd;                       /* a pod that has no name */
};

static struct kubernetes
jwt_kubernetes(const json_t *claims)
{
	const json_t *k = json_object_get(claims, "kubernetes.io");
	const json_t *pod = json_object_get(k, "pod");
	struct kubernetes out = {
	    .space = jwt_text(k, "namespace"),
	    .name = jwt_text(json_object_get(k, "serviceaccount"), "name"),
	    .pod = jwt_text(pod, "name"),
	};

	out.odd = pod != NULL && (out.pod == NULL || *out.pod == '\0');
	return out;
}

/* Who it is, by the namespace and account of Kubernetes, or by the subject in the space
 * that its issuer's tokens have. */
static enum sq_auth_reason
jwt_holder(const json_t *claims, const struct sq_jwt_rules *rules, int64_t expires_s,
    const struct sq_identity **out)
{
	struct kubernetes k = jwt_kubernetes(claims);
	bool kubernetes = rules->space == NULL;
	const char *name = kubernetes ? k.name : jwt_text(claims, "sub");
	const char *space = kubernetes ? k.space : rules->space;
	struct sq_buf text = {0};

	if (space == NULL || !sq_identity_text(space, SQ_KEY_PART_MAX) || name == NULL ||
	    !sq_identity_text(name, kubernetes ? SQ_IDENTITY_ACCOUNT_MAX : SQ_IDENTITY_NAME_MAX))
		return SQ_AUTH_CLAIMS;
	if (k.odd || (k.pod != NULL && !sq_identity_text(k.pod, SQ_KEY_PART_MAX)))
		return SQ_AUTH_CLAIMS;
	if (kubernetes)
		sq_buf_printf(&text, "kube:%s/%s%c", space, name, 0);
	else
		sq_buf_printf(&text, "jwt:%s#%s%c", rules->issuer, name, 0);
	*out = sq_identity_new(&(struct sq_identity){
	    .id = sq_identity_id(kubernetes ? "k8s" : "jwt", rules->issuer, space, name),
	    .expires_s = expires_s,
	    .name = (const char *)sq_buf_data(&text),
	    .pod = k.pod,
	    .spaces = &space,
	    .n_spaces = 1,
	});
	sq_buf_fini(&text);
	return SQ_AUTH_NONE;
}

enum sq_auth_reason
sq_jwt_identity(
    const struct sq_jwt *t, const struct sq_jwt_rules *rules, const struct sq_identity **out)
{
	enum sq_auth_reason why;
	int64_t expires_s = 0;

	*out = NULL;
	if (!t->verified)
		return SQ_AUTH_SIGNATURE;
	if (strcmp(sq_jwt_issuer(t), rules->issuer) != 0)
		return SQ_AUTH_ISSUER;
	if (!jwt_has_audience(t->claims, rules->audience))
		return SQ_AUTH_AUDIENCE;
	why = jwt_times(t->claims, rules->now_s, &expires_s);
	if (why == SQ_AUTH_NONE)
		why = jwt_holder(t->claims, rules, expires_s, out);
	return why;
}

/* Described. */

static void
jwt_say(struct sq_buf *out, const char *mark, const char *text)
{
	if (text != NULL)
		sq_buf_printf(out, "%s%.*s", mark, JWT_DESCRIBED_MAX, text);
}

void
sq_jwt_describe(const struct sq_jwt *t, struct sq_buf *out)
{
	struct kubernetes k = jwt_kubernetes(t->claims);

	sq_buf_printf(out, "%s", t->verified ? "signed" : "not verified");
	jwt_say(out, ": issuer ", sq_jwt_issuer(t));
	if (k.space != NULL) {
		jwt_say(out, ", namespace ", k.space);
		jwt_say(out, ", service account ", k.name);
		jwt_say(out, ", pod ", k.pod);
	} else {
		jwt_say(out, ", subject ", jwt_text(t->claims, "sub"));
	}
}
