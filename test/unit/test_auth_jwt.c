/* broker/auth: signed tokens through the seam, with real keys from a file; what attackers
 * send, and whom good ones name. */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/jwt_maker.h"
#include "../support/temp_dir.h"
#include "../support/token_line.h"
#include "broker/auth/auth.h"
#include "core/mem.h"

#define ISSUER "https://kubernetes.default.svc.cluster.local"
#define RS "{\"alg\":\"RS256\",\"kid\":\"r\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"e\"}"

static char *dir, *keys_file, *set;
static struct jwt_key *rsa, *ec, *stranger, *stranger_ec, *p384;
static struct sq_auth *auth;
static struct sq_auth_request asked;
static struct sq_buf err;

static void
write_keys(const char *text)
{
	char fresh[300];
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", keys_file);
	f = fopen(fresh, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	cr_assert_eq(rename(fresh, keys_file), 0);
}

static void
setup(void)
{
	char path[300];

	dir = temp_dir_new();
	snprintf(path, sizeof path, "%s/keys.json", dir);
	keys_file = sq_xstrdup(path);
	rsa = jwt_rsa(2048, "r");
	ec = jwt_ec("P-256", "e");
	stranger = jwt_rsa(2048, "r");
	stranger_ec = jwt_ec("P-256", "e");
	p384 = jwt_ec("P-384", "p");
	set = jwt_set((struct jwt_key *[]){rsa, ec, p384}, 3);
	write_keys(set);
}

static void
tidy(void)
{
	sq_auth_free(&auth);
	sq_auth_request_fini(&asked);
	sq_buf_fini(&err);
	jwt_key_free(&rsa);
	jwt_key_free(&ec);
	jwt_key_free(&stranger);
	jwt_key_free(&stranger_ec);
	jwt_key_free(&p384);
	free(keys_file);
	free(set);
	temp_dir_free(&dir);
}

TestSuite(auth_jwt, .init = setup, .fini = tidy, .timeout = 60);

static const char *
text(struct sq_buf *b)
{
	sq_buf_u8(b, 0);
	b->end--;
	return (const char *)sq_buf_data(b);
}

static void
open_auth(struct sq_auth_issuer issuer)
{
	issuer.issuer = ISSUER;
	issuer.keys_file = keys_file;
	auth = sq_auth_new(
	    &(struct sq_auth_cfg){.audience = "sqmqos", .issuers = &issuer, .n_issuers = 1}, &err);
	cr_assert_not_null(auth, "%s", text(&err));
}

/* Asks with "Bearer 'token'", which is freed. */
static enum sq_auth_reason
ask(char *token)
{
	struct sq_buf header = {0};
	bool now;

	sq_auth_request_fini(&asked);
	memset(&asked, 0, sizeof asked);
	sq_buf_printf(&header, "Bearer %s", token);
	asked.credential = sq_buf_bytes(&header);
	now = sq_auth_ask(auth, &asked);
	cr_assert(now);
	sq_buf_fini(&header);
	free(token);
	return asked.reason;
}

/* Claims of a pod's token, with "%N" in 'form' as the time in N seconds. */
static const char *
claims(const char *form)
{
	static char out[4][4096];
	static unsigned turn;
	char *to = out[turn = (turn + 1) % 4];
	size_t n = 0;

	for (const char *p = form; *p != '\0'; p++) {
		if (*p == '%')
			n += (size_t)sprintf(
			    to + n, "%lld", (long long)time(NULL) + strtol(p + 1, (char **)&p, 10));
		if (*p == '%')
			continue;
		to[n++] = *p;
	}
	to[n] = '\0';
	return to;
}

#define POD \
	"\"kubernetes.io\":{\"namespace\":\"shop\",\"node\":{\"name\":\"n1\"}," \
	"\"pod\":{\"name\":\"web-1\",\"uid\":\"u\"},\"serviceaccount\":{\"name\":\"web\"," \
	"\"uid\":\"v\"}},\"sub\":\"system:serviceaccount:shop:web\""
#define ISS "\"iss\":\"" ISSUER "\""
#define AUD "\"aud\":[\"sqmqos\"]"
#define TIMES "\"iat\":%-10 ,\"nbf\":%-10 ,\"exp\":%3600 "
#define GOOD "{" ISS "," AUD "," TIMES "," POD "}"

Test(auth_jwt, a_pods_token_names_space_pod_and_account)
{
	long long before = time(NULL);
	uint64_t id;

	open_auth((struct sq_auth_issuer){0});
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_NONE);
	cr_assert_str_eq(asked.identity->spaces[0], "shop");
	cr_assert_str_eq(asked.identity->pod, "web-1");
	cr_assert_str_eq(asked.identity->name, "kube:shop/web");
	cr_assert(asked.identity->expires_s >= before + 3600 &&
	    asked.identity->expires_s <= before + 3700);
	cr_assert_gt(asked.identity->id, SQ_IDENTITY_OLD_TOKEN);
	id = asked.identity->id;
	cr_assert_eq(ask(jwt_sign(ec, ES, claims(GOOD))), SQ_AUTH_NONE);
	cr_assert_eq(asked.identity->id, id);
}

/* Stores keep it: SHA-256 of "k8s\0<issuer>\0<namespace>\0<account>". */
Test(auth_jwt, an_accounts_id_is_the_same_for_ever)
{
	open_auth((struct sq_auth_issuer){0});
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_NONE);
	cr_assert_eq(asked.identity->id, UINT64_C(0x757516ac4a3a949b), "%016llx",
	    (unsigned long long)asked.identity->id);
	cr_assert_neq(sq_identity_id("k8s", "i", "a", "bc"), sq_identity_id("k8s", "i", "ab", "c"));
	cr_assert_neq(sq_identity_id("k8s", "i", "a", "b"), sq_identity_id("jwt", "i", "a", "b"));
	cr_assert_neq(sq_identity_id("k8s", "i", "a", "b"), sq_identity_id("k8s", "j", "a", "b"));
}

#define OTHER_ACCOUNT \
	"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":{\"namespace\":\"shop\"," \
	"\"serviceaccount\":{\"name\":\"other\"}}}"

Test(auth_jwt, accounts_of_a_namespace_are_owners_each)
{
	uint64_t id;

	open_auth((struct sq_auth_issuer){0});
	ask(jwt_sign(rsa, RS, claims(GOOD)));
	id = asked.identity->id;
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(OTHER_ACCOUNT))), SQ_AUTH_NONE);
	cr_assert_str_eq(asked.identity->pod, "");
	cr_assert_neq(asked.identity->id, id);
}

Test(auth_jwt, an_issuer_with_a_space_has_accounts_by_subject)
{
	uint64_t id;

	open_auth((struct sq_auth_issuer){.space = "ci", .audience = "other"});
	cr_assert_eq(ask(jwt_sign(rsa, RS,
			 claims("{" ISS ",\"aud\":\"other\"," TIMES ",\"sub\":\"repo:a\"}"))),
	    SQ_AUTH_NONE);
	cr_assert_str_eq(asked.identity->spaces[0], "ci");
	cr_assert_str_eq(asked.identity->name, "jwt:" ISSUER "#repo:a");
	cr_assert_str_eq(asked.identity->pod, "");
	id = asked.identity->id;
	ask(jwt_sign(rsa, RS, claims("{" ISS ",\"aud\":\"other\"," TIMES ",\"sub\":\"repo:b\"}")));
	cr_assert_neq(asked.identity->id, id);
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims("{" ISS ",\"aud\":\"other\"," TIMES "}"))),
	    SQ_AUTH_CLAIMS);
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_AUDIENCE);
}

/* Each token is signed by the right key; what it claims is at fault. */
static const struct {
	const char *claims;
	enum sq_auth_reason why;
} claim_cases[] = {
    {"{" ISS ",\"aud\":\"sqmqos\"," TIMES "," POD "}", SQ_AUTH_NONE},
    {"{" ISS ",\"aud\":[\"a\",\"sqmqos\"]," TIMES "," POD "}", SQ_AUTH_NONE},
    {"{" ISS "," AUD ",\"exp\":%-50 ," POD "}", SQ_AUTH_NONE},
    {"{" ISS "," AUD ",\"exp\":%3600 ,\"nbf\":%50 ,\"iat\":%50 ," POD "}", SQ_AUTH_NONE},
    {"{" ISS ",\"aud\":\"sqmqos2\"," TIMES "," POD "}", SQ_AUTH_AUDIENCE},
    {"{" ISS ",\"aud\":[]," TIMES "," POD "}", SQ_AUTH_AUDIENCE},
    {"{" ISS ",\"aud\":[[\"sqmqos\"],1]," TIMES "," POD "}", SQ_AUTH_AUDIENCE},
    {"{" ISS "," TIMES "," POD "}", SQ_AUTH_AUDIENCE},
    {"{" ISS "," AUD ",\"exp\":%-61 ," POD "}", SQ_AUTH_EXPIRED},
    {"{" ISS "," AUD ",\"exp\":0," POD "}", SQ_AUTH_EXPIRED},
    {"{" ISS "," AUD ",\"nbf\":%-10 ," POD "}", SQ_AUTH_MALFORMED},
    {"{" ISS "," AUD ",\"exp\":\"%3600 \"," POD "}", SQ_AUTH_MALFORMED},
    {"{" ISS "," AUD ",\"exp\":1e300," POD "}", SQ_AUTH_MALFORMED},
    {"{" ISS "," AUD ",\"exp\":-1," POD "}", SQ_AUTH_MALFORMED},
    {"{" ISS "," AUD ",\"exp\":%3600 ,\"nbf\":%70 ," POD "}", SQ_AUTH_NOT_YET},
    {"{" ISS "," AUD ",\"exp\":%3600 ,\"iat\":%70 ," POD "}", SQ_AUTH_NOT_YET},
    {"{" ISS "," AUD ",\"exp\":%3600 ,\"nbf\":\"x\"," POD "}", SQ_AUTH_MALFORMED},
    {"{\"iss\":\"https://other\"," AUD "," TIMES "," POD "}", SQ_AUTH_ISSUER},
    {"{\"iss\":\"" ISSUER "/\"," AUD "," TIMES "," POD "}", SQ_AUTH_ISSUER},
    {"{\"iss\":1," AUD "," TIMES "," POD "}", SQ_AUTH_ISSUER},
    {"{" AUD "," TIMES "," POD "}", SQ_AUTH_ISSUER},
    {"{" ISS "," AUD "," TIMES "}", SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":[]}", SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":{\"namespace\":\"shop\"}}", SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," TIMES
     ",\"kubernetes.io\":{\"namespace\":\"\",\"serviceaccount\":{\"name\":\"a\"}}}",
	SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":{\"namespace\":\"shop\","
     "\"serviceaccount\":{\"name\":\"a\"},\"pod\":{}}}",
	SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":{\"namespace\":\"shop\","
     "\"serviceaccount\":{\"name\":\"a\"},\"pod\":{\"name\":\"\"}}}",
	SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":{\"namespace\":\"sh\\u0000op\","
     "\"serviceaccount\":{\"name\":\"a\"}}}",
	SQ_AUTH_MALFORMED},
    {"{" ISS "," AUD "," TIMES ",\"kubernetes.io\":{\"namespace\":\"sh\\nop\","
     "\"serviceaccount\":{\"name\":\"a\"}}}",
	SQ_AUTH_CLAIMS},
    {"{" ISS "," AUD "," AUD "," TIMES "," POD "}", SQ_AUTH_MALFORMED},
    {"[]", SQ_AUTH_MALFORMED},
    {"\"x\"", SQ_AUTH_MALFORMED},
    {"{" ISS "," AUD "," TIMES "," POD ",\"x\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}",
	SQ_AUTH_MALFORMED},
};

Test(auth_jwt, claims_are_checked)
{
	open_auth((struct sq_auth_issuer){0});
	for (size_t i = 0; i < SQ_ARRAY_LEN(claim_cases); i++) {
		const char *form = claim_cases[i].claims;
		enum sq_auth_reason why = ask(
		    jwt_sign(i % 2 == 0 ? rsa : ec, i % 2 == 0 ? RS : ES, claims(form)));

		cr_expect_eq(why, claim_cases[i].why, "%s: %s", form, sq_auth_reason_name(why));
		cr_expect_eq(asked.identity != NULL, why == SQ_AUTH_NONE);
	}
}

/* Good claims; who signed, or what the header says, is at fault. */
Test(auth_jwt, forged_tokens_are_refused)
{
	char *pem = jwt_pem(rsa), *ec_pem = jwt_pem(ec);
	const char *good = claims(GOOD);
	const struct {
		const char *what;
		char *token;
		enum sq_auth_reason why;
	} cases[] = {
	    {"stranger's key, same name", jwt_sign(stranger, RS, good), SQ_AUTH_SIGNATURE},
	    {"stranger's EC key", jwt_sign(stranger_ec, ES, good), SQ_AUTH_SIGNATURE},
	    {"stranger's key, own name",
		jwt_sign(stranger, "{\"alg\":\"RS256\",\"kid\":\"s\"}", good), SQ_AUTH_UNKNOWN_KEY},
	    {"alg none", jwt_unsigned("{\"alg\":\"none\",\"kid\":\"r\"}", good),
		SQ_AUTH_MALFORMED}, /* an empty part */
	    {"alg none, signed", jwt_sign(rsa, "{\"alg\":\"none\",\"kid\":\"r\"}", good),
		SQ_AUTH_ALGORITHM},
	    {"alg None", jwt_hmac("x", "{\"alg\":\"None\",\"kid\":\"r\"}", good),
		SQ_AUTH_ALGORITHM},
	    {"no alg", jwt_sign(rsa, "{\"kid\":\"r\"}", good), SQ_AUTH_ALGORITHM},
	    {"alg is no text", jwt_sign(rsa, "{\"alg\":256,\"kid\":\"r\"}", good),
		SQ_AUTH_ALGORITHM},
	    {"HS256 with the public key", jwt_hmac(pem, "{\"alg\":\"HS256\",\"kid\":\"r\"}", good),
		SQ_AUTH_ALGORITHM},
	    {"HS256 with the EC key", jwt_hmac(ec_pem, "{\"alg\":\"HS256\",\"kid\":\"e\"}", good),
		SQ_AUTH_ALGORITHM},
	    {"HS256 with the key set", jwt_hmac(set, "{\"alg\":\"HS256\",\"kid\":\"r\"}", good),
		SQ_AUTH_ALGORITHM},
	    {"RS256 said, hashed with the public key", jwt_hmac(pem, RS, good), SQ_AUTH_SIGNATURE},
	    {"RS256 with an EC key", jwt_sign(ec, "{\"alg\":\"RS256\",\"kid\":\"e\"}", good),
		SQ_AUTH_UNKNOWN_KEY},
	    {"ES256 with an RSA key", jwt_sign(rsa, "{\"alg\":\"ES256\",\"kid\":\"r\"}", good),
		SQ_AUTH_SIGNATURE},
	    {"ES256 with a P-384 key", jwt_sign(p384, "{\"alg\":\"ES256\",\"kid\":\"p\"}", good),
		SQ_AUTH_SIGNATURE},
	    {"RS512", jwt_sign(rsa, "{\"alg\":\"RS512\",\"kid\":\"r\"}", good), SQ_AUTH_ALGORITHM},
	    {"PS256", jwt_sign(rsa, "{\"alg\":\"PS256\",\"kid\":\"r\"}", good), SQ_AUTH_ALGORITHM},
	    {"ES384", jwt_sign(p384, "{\"alg\":\"ES384\",\"kid\":\"p\"}", good), SQ_AUTH_ALGORITHM},
	    {"no kid", jwt_sign(rsa, "{\"alg\":\"RS256\"}", good), SQ_AUTH_MALFORMED},
	    {"kid is no text", jwt_sign(rsa, "{\"alg\":\"RS256\",\"kid\":{}}", good),
		SQ_AUTH_MALFORMED},
	    {"a critical extension",
		jwt_sign(rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"b64\"],\"b64\":false}",
		    good),
		SQ_AUTH_MALFORMED},
	    {"its own key in the header",
		jwt_sign(stranger,
		    "{\"alg\":\"RS256\",\"kid\":\"r\",\"jwk\":{\"kty\":\"RSA\"},"
		    "\"jku\":\"http://localhost/\"}",
		    good),
		SQ_AUTH_SIGNATURE},
	    {"two algorithms",
		jwt_sign(rsa, "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"r\"}", good),
		SQ_AUTH_MALFORMED},
	};

	open_auth((struct sq_auth_issuer){0});
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		enum sq_auth_reason why = ask(cases[i].token);

		cr_expect_eq(why, cases[i].why, "%s: %s", cases[i].what, sq_auth_reason_name(why));
	}
	free(pem);
	free(ec_pem);
}

/* Damages a token in one way. */
static char *
edited(char *token, char where)
{
	size_t len = strlen(token);

	switch (where) {
	case 's': /* a bit of the signature */
		token[len - 20] = token[len - 20] == 'A' ? 'B' : 'A';
		break;
	case 'c': /* a letter of the claims */
		strchr(token, '.')[30] ^= 1;
		break;
	case '=': /* padding */
		token = sq_xrealloc(token, len + 2);
		strcpy(token + len, "=");
		break;
	case '.': /* a fourth part */
		token = sq_xrealloc(token, len + 3);
		strcpy(token + len, ".A");
		break;
	case ' ':
		token = sq_xrealloc(token, len + 2);
		strcpy(token + len, " ");
		break;
	case 'x': /* without a signature */
		*strrchr(token, '.') = '\0';
		break;
	case 'l': /* one byte more of signature */
		token = sq_xrealloc(token, len + 3);
		strcpy(token + len, "AA");
		break;
	}
	return token;
}

Test(auth_jwt, damaged_tokens_are_refused)
{
	static const struct {
		char where;
		enum sq_auth_reason why;
	} cases[] = {{'s', SQ_AUTH_SIGNATURE}, {'=', SQ_AUTH_MALFORMED}, {'.', SQ_AUTH_MALFORMED},
	    {' ', SQ_AUTH_MALFORMED}, {'x', SQ_AUTH_MALFORMED}, {'l', SQ_AUTH_SIGNATURE}};
	enum sq_auth_reason why;
	char *huge;

	open_auth((struct sq_auth_issuer){0});
	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		why = ask(edited(jwt_sign(rsa, RS, claims(GOOD)), cases[i].where));
		cr_expect_eq(
		    why, cases[i].why, "RS256 %c: %s", cases[i].where, sq_auth_reason_name(why));
		why = ask(edited(jwt_sign(ec, ES, claims(GOOD)), cases[i].where));
		cr_expect_eq(
		    why, cases[i].why, "ES256 %c: %s", cases[i].where, sq_auth_reason_name(why));
	}
	why = ask(edited(jwt_sign(rsa, RS, claims(GOOD)), 'c'));
	cr_expect(why == SQ_AUTH_SIGNATURE || why == SQ_AUTH_MALFORMED || why == SQ_AUTH_ISSUER);
	huge = sq_xmalloc(20001);
	memset(huge, 'A', 20000);
	huge[20000] = '\0';
	huge[10] = huge[20] = '.';
	cr_expect_eq(ask(huge), SQ_AUTH_MALFORMED);
	cr_expect_eq(ask(sq_xstrdup("..")), SQ_AUTH_MALFORMED);
	cr_expect_eq(ask(sq_xstrdup("a.b.c")), SQ_AUTH_MALFORMED);
	cr_expect_eq(ask(sq_xstrdup("sesame")), SQ_AUTH_MALFORMED);
	cr_expect_eq(ask(sq_xstrdup("")), SQ_AUTH_MISSING);
}

Test(auth_jwt, a_refusal_says_who_it_was_and_whether_that_is_proven)
{
	open_auth((struct sq_auth_issuer){0});
	ask(jwt_sign(rsa, RS, claims("{" ISS ",\"aud\":\"x\"," TIMES "," POD "}")));
	cr_assert_str_eq(text(&asked.known),
	    "signed: issuer " ISSUER ", namespace shop, service account web, pod web-1");
	ask(jwt_sign(stranger, RS, claims(GOOD)));
	cr_assert_str_eq(text(&asked.known),
	    "not verified: issuer " ISSUER ", namespace shop, service account web, pod web-1");
}

Test(auth_jwt, keys_that_are_gone_from_the_file_hold_nobody)
{
	char *ec_alone = jwt_set(&ec, 1), *both = jwt_set((struct jwt_key *[]){rsa, ec}, 2);
	struct sq_basis by_rsa, by_ec;
	uint64_t epoch;

	open_auth((struct sq_auth_issuer){0});
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_NONE);
	by_rsa = asked.basis;
	cr_assert_eq(ask(jwt_sign(ec, ES, claims(GOOD))), SQ_AUTH_NONE);
	by_ec = asked.basis;
	cr_assert_neq(by_rsa.what, by_ec.what);
	epoch = sq_auth_epoch(auth);
	sq_auth_refresh(auth);
	cr_assert_eq(sq_auth_epoch(auth), epoch);

	write_keys(ec_alone);
	sq_auth_refresh(auth);
	cr_assert_neq(sq_auth_epoch(auth), epoch);
	cr_assert_not(sq_auth_holds(auth, by_rsa));
	cr_assert(sq_auth_holds(auth, by_ec));
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_UNKNOWN_KEY);

	write_keys("{\"keys\": [{}]}"); /* nobody's mistake ends links */
	sq_auth_refresh(auth);
	write_keys("nonsense");
	sq_auth_refresh(auth);
	cr_assert(sq_auth_holds(auth, by_ec));

	write_keys(both); /* the same key is the same again */
	sq_auth_refresh(auth);
	cr_assert(sq_auth_holds(auth, by_rsa));

	unlink(keys_file);
	sq_auth_refresh(auth);
	cr_assert_not(sq_auth_holds(auth, by_ec));
	cr_assert_eq(ask(jwt_sign(ec, ES, claims(GOOD))), SQ_AUTH_UNKNOWN_KEY);
	write_keys("{\"keys\": []}");
	sq_auth_refresh(auth);
	cr_assert_eq(ask(jwt_sign(ec, ES, claims(GOOD))), SQ_AUTH_UNKNOWN_KEY);
	write_keys(both);
	sq_auth_refresh(auth);
	cr_assert_eq(ask(jwt_sign(ec, ES, claims(GOOD))), SQ_AUTH_NONE);
	free(ec_alone);
	free(both);
}

Test(auth_jwt, the_same_key_under_another_issuer_is_another)
{
	struct sq_auth_issuer two[] = {{.issuer = ISSUER, .keys_file = keys_file},
	    {.issuer = "https://other", .keys_file = keys_file}};
	struct sq_basis basis;

	auth = sq_auth_new(
	    &(struct sq_auth_cfg){.audience = "sqmqos", .issuers = two, .n_issuers = 2}, &err);
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_NONE);
	basis = asked.basis;
	cr_assert_eq(
	    ask(jwt_sign(rsa, RS, claims("{\"iss\":\"https://other\"," AUD "," TIMES "," POD "}"))),
	    SQ_AUTH_NONE);
	cr_assert_neq(asked.basis.what, basis.what);
}

Test(auth_jwt, static_tokens_and_signed_ones_are_taken_beside_each_other)
{
	struct sq_auth_issuer one = {.issuer = ISSUER, .keys_file = keys_file};
	char path[300];
	struct sq_buf line = {0};
	FILE *f;

	snprintf(path, sizeof path, "%s/token", dir);
	f = fopen(path, "w");
	token_line(&line, "web", "shop", "sesame");
	cr_assert_eq(fwrite(sq_buf_data(&line), 1, sq_buf_len(&line), f), sq_buf_len(&line));
	sq_buf_fini(&line);
	fclose(f);
	auth = sq_auth_new(
	    &(struct sq_auth_cfg){
		.tokens_file = path, .audience = "sqmqos", .issuers = &one, .n_issuers = 1},
	    &err);
	cr_assert_eq(ask(sq_xstrdup("sesame")), SQ_AUTH_NONE);
	cr_assert_str_eq(asked.identity->name, "token:web");
	cr_assert_eq(ask(sq_xstrdup("sesame2")), SQ_AUTH_STATIC_UNKNOWN);
	cr_assert_eq(ask(jwt_sign(rsa, RS, claims(GOOD))), SQ_AUTH_NONE);
	cr_assert_eq(ask(jwt_sign(stranger, RS, claims(GOOD))), SQ_AUTH_SIGNATURE);
}

Test(auth_jwt, files_that_hold_no_keys_are_said)
{
	struct sq_auth_issuer one = {.issuer = ISSUER, .keys_file = keys_file};
	struct jwt_key *small = jwt_rsa(1024, "small");
	char *weak = jwt_set((struct jwt_key *[]){small, p384}, 2);
	const struct {
		const char *text, *error;
	} cases[] = {
	    {"", "not JSON"},
	    {"{", "not JSON"},
	    {"[]", "no JWK Set"},
	    {"{\"keys\":{}}", "no JWK Set"},
	    {weak, "none of its 2 keys"},
	    {"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"r\",\"k\":\"AAAA\"}]}", "none of its 1 keys"},
	    {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"r\",\"x\":\"AAAA\","
	     "\"y\":\"AAAA\"}]}",
		"none of its 1 keys"},
	    /* cut short by a '=' */
	    {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"r\",\"x\":\"AAAAA=A\","
	     "\"y\":\"AAAA\"},{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"A=AA\",\"e\":\"AQAB\"}]}",
		"none of its 2 keys"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		write_keys(cases[i].text);
		sq_buf_fini(&err);
		auth = sq_auth_new(
		    &(struct sq_auth_cfg){.audience = "a", .issuers = &one, .n_issuers = 1}, &err);
		cr_expect_null(auth, "%s", cases[i].text);
		cr_expect_eq(strncmp(text(&err), "auth.issuers: keys-file: ", 25), 0);
		cr_expect_not_null(strstr(text(&err), cases[i].error), "%s", text(&err));
	}
	free(weak);
	jwt_key_free(&small);
}
