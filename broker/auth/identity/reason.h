/* Why a credential was refused: the one table of the words that metrics, logs and docs
 * use, and of the status that the caller gets. */
#ifndef SQ_BROKER_AUTH_IDENTITY_REASON_H
#define SQ_BROKER_AUTH_IDENTITY_REASON_H

/* X(symbol, name, status, what is wrong, in a few words) */
#define SQ_AUTH_REASONS(X) \
	X(NONE, "none", 200, "nothing") \
	X(MISSING, "missing", 401, "no token, or certificate of its own") \
	X(STATIC_UNKNOWN, "static-unknown", 401, "the token is none of auth.tokens-file") \
	X(MALFORMED, "malformed", 401, "the token is no signed token") \
	X(ALGORITHM, "algorithm", 401, "the token's algorithm is neither RS256 nor ES256") \
	X(ISSUER, "issuer", 401, "the token's issuer is not known") \
	X(UNKNOWN_KEY, "unknown-key", 401, "the token's issuer has no such key") \
	X(SIGNATURE, "signature", 401, "the token's signature is not its issuer's") \
	X(AUDIENCE, "audience", 401, "the token is for another audience") \
	X(EXPIRED, "expired", 401, "the token has expired") \
	X(NOT_YET, "not-yet", 401, "the token is not valid yet") \
	X(CLAIMS, "claims", 401, "the token names no namespace and service account") \
	X(UNAVAILABLE, "unavailable", 503, "the keys to verify the token with can't be had") \
	X(BUSY, "busy", 503, "too many tokens wait for keys") \
	X(CERT_UNTRUSTED, "certificate", 401, \
	    "the certificate is not one of auth.client-ca-file's") \
	X(CERT_EXPIRED, "certificate-expired", 401, "the certificate has expired") \
	X(CERT_REVOKED, "certificate-revoked", 401, "the certificate is revoked") \
	X(CERT_NAME, "certificate-name", 401, "the certificate's name has no spaces")

#define SQ_AUTH_REASON_ENUM(symbol, name, status, text) SQ_AUTH_##symbol,
enum sq_auth_reason { SQ_AUTH_REASONS(SQ_AUTH_REASON_ENUM) SQ_AUTH_REASON_COUNT };
#undef SQ_AUTH_REASON_ENUM

/* A row of the broker's table of metrics for each reason, in their order (core/metrics.h). */
#define SQ_AUTH_REASON_METRIC(X, symbol, name) \
	X(AUTH_REFUSED_##symbol, "sqmqos_auth_refused_total", "reason=\"" name "\"", SQ_COUNTER, \
	    "Requests whose caller was not let in, by reason.")
#define SQ_AUTH_REASON_METRICS(X) \
	SQ_AUTH_REASON_METRIC(X, MISSING, "missing") \
	SQ_AUTH_REASON_METRIC(X, STATIC_UNKNOWN, "static-unknown") \
	SQ_AUTH_REASON_METRIC(X, MALFORMED, "malformed") \
	SQ_AUTH_REASON_METRIC(X, ALGORITHM, "algorithm") \
	SQ_AUTH_REASON_METRIC(X, ISSUER, "issuer") \
	SQ_AUTH_REASON_METRIC(X, UNKNOWN_KEY, "unknown-key") \
	SQ_AUTH_REASON_METRIC(X, SIGNATURE, "signature") \
	SQ_AUTH_REASON_METRIC(X, AUDIENCE, "audience") \
	SQ_AUTH_REASON_METRIC(X, EXPIRED, "expired") \
	SQ_AUTH_REASON_METRIC(X, NOT_YET, "not-yet") \
	SQ_AUTH_REASON_METRIC(X, CLAIMS, "claims") \
	SQ_AUTH_REASON_METRIC(X, UNAVAILABLE, "unavailable") \
	SQ_AUTH_REASON_METRIC(X, BUSY, "busy") \
	SQ_AUTH_REASON_METRIC(X, CERT_UNTRUSTED, "certificate") \
	SQ_AUTH_REASON_METRIC(X, CERT_EXPIRED, "certificate-expired") \
	SQ_AUTH_REASON_METRIC(X, CERT_REVOKED, "certificate-revoked") \
	SQ_AUTH_REASON_METRIC(X, CERT_NAME, "certificate-name")

const char *sq_auth_reason_name(enum sq_auth_reason);
const char *sq_auth_reason_text(enum sq_auth_reason);
unsigned sq_auth_reason_status(enum sq_auth_reason);

#endif
