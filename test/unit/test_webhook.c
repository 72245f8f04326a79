/* proto/webhook: keys, signatures, and what is none. */
#include "proto/webhook/webhook.h"

#include <criterion/criterion.h>
#include <string.h>

/* The vector that the standard's libraries are tested with. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define TIME 1614265330
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define OTHER "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static struct sq_webhook_keys
keys_of(const char *text)
{
	struct sq_webhook_keys keys;
	struct sq_buf err = {0};

	cr_assert_eq(sq_webhook_keys_read(sq_bytes_of(text), &keys, &err), SQ_OK, "%.*s",
	    (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	return keys;
}

static void
signs(const char *keys_text, const char *expected)
{
	struct sq_webhook_keys keys = keys_of(keys_text);
	struct sq_buf out = {0};

	sq_webhook_sign(&keys, sq_bytes_of(ID), TIME, sq_bytes_of(BODY), &out);
	sq_buf_u8(&out, 0);
	cr_expect_str_eq((char *)sq_buf_data(&out), expected);
	sq_buf_fini(&out);
	sq_webhook_keys_fini(&keys);
}

Test(webhook, the_published_vector)
{
	signs(SECRET, SIGNATURE);
	signs("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SIGNATURE);
	signs("  " SECRET " \r\n\n", SIGNATURE);
}

Test(webhook, each_key_of_a_rotation_signs)
{
	struct sq_webhook_keys keys = keys_of(OTHER "\n" SECRET "\n");
	struct sq_buf out = {0};
	const char *second;

	cr_assert_eq(keys.n, 2);
	sq_webhook_sign(&keys, sq_bytes_of(ID), TIME, sq_bytes_of(BODY), &out);
	sq_buf_u8(&out, 0);
	second = strchr((char *)sq_buf_data(&out), ' ');
	cr_assert_not_null(second);
	cr_expect_str_eq(second + 1, SIGNATURE);
	cr_expect_neq(memcmp(sq_buf_data(&out), SIGNATURE, strlen(SIGNATURE)), 0);
	sq_buf_fini(&out);
}

Test(webhook, bounds_of_keys_and_their_forms)
{
	static const struct {
		const char *text;
		size_t len; /* 0: no key */
		const char *why;
	} rows[] = {
	    {"", 0, "there is no key"},
	    {"\n \r\n", 0, "there is no key"},
	    {"whsec_", 0, "line 1: a key has at least 24 bytes"},
	    /* 23, 24 and 64, 65 bytes */
	    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0, "line 1: a key has at least 24 bytes"},
	    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 24, NULL},
	    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	     "AAAAAA==",
		64, NULL},
	    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	     "AAAAAAA=",
		0, "line 1: a key has at most 64 bytes"},
	    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	     "AAAAAAAAAAAA",
		0, "line 1: a key has at most 64 bytes"},
	    /* without its padding */
	    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", 32, NULL},
	    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0,
		"line 1: a key is base64, with or without whsec_ before it"},
	    {"\n" OTHER "\nsecret stuff!", 0,
		"line 3: a key is base64, with or without whsec_ before it"},
	    {OTHER "\n" OTHER "\n" OTHER, 0, "line 3: there are two keys at most"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sq_webhook_keys keys;
		struct sq_buf err = {0};
		int rc = sq_webhook_keys_read(sq_bytes_of(rows[i].text), &keys, &err);

		sq_buf_u8(&err, 0);
		if (rows[i].why == NULL) {
			cr_expect_eq(rc, SQ_OK, "%s: %s", rows[i].text, (char *)sq_buf_data(&err));
			cr_expect_eq(keys.v[0].len, rows[i].len, "%s", rows[i].text);
		} else {
			cr_expect_eq(rc, SQ_EINVAL, "%s", rows[i].text);
			cr_expect_str_eq(
			    (char *)sq_buf_data(&err), rows[i].why, "%s", rows[i].text);
			cr_expect_eq(keys.n, 0);
		}
		sq_buf_fini(&err);
	}
}

Test(webhook, keys_are_wiped)
{
	struct sq_webhook_keys keys = keys_of(OTHER "\n" SECRET), none = {0};

	sq_webhook_keys_fini(&keys);
	cr_expect_arr_eq(&keys, &none, sizeof keys);
}

static bool
verifies(const char *keys_text, const char *id, const char *timestamp, const char *signatures,
    const char *body, int64_t now_s)
{
	struct sq_webhook_keys keys = keys_of(keys_text);
	bool good = sq_webhook_verify(&keys, sq_bytes_of(id), sq_bytes_of(timestamp),
	    sq_bytes_of(signatures), sq_bytes_of(body), now_s);

	sq_webhook_keys_fini(&keys);
	return good;
}

Test(webhook, verifies_what_was_signed_and_nothing_else)
{
	const char *now = "1614265330";

	cr_expect(verifies(SECRET, ID, now, SIGNATURE, BODY, TIME));
	cr_expect(verifies(OTHER "\n" SECRET, ID, now, SIGNATURE, BODY, TIME));
	cr_expect(
	    verifies(SECRET, ID, now, "v1a,abc v1,x v2," SIGNATURE " " SIGNATURE " ", BODY, TIME));
	cr_expect_not(verifies(OTHER, ID, now, SIGNATURE, BODY, TIME));
	cr_expect_not(verifies(SECRET, "msg_x", now, SIGNATURE, BODY, TIME));
	cr_expect_not(verifies(SECRET, ID, "1614265331", SIGNATURE, BODY, TIME));
	cr_expect_not(verifies(SECRET, ID, now, SIGNATURE, BODY " ", TIME));
	cr_expect_not(verifies(SECRET, ID, now, "", BODY, TIME));
	cr_expect_not(verifies(SECRET, ID, now, SIGNATURE "=", BODY, TIME));
	cr_expect_not(verifies(
	    SECRET, ID, now, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, TIME));
	cr_expect_not(verifies(
	    SECRET, ID, now, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", BODY, TIME));
}

Test(webhook, timestamps_within_five_minutes)
{
	const char *now = "1614265330";

	cr_expect(verifies(SECRET, ID, now, SIGNATURE, BODY, TIME + SQ_WEBHOOK_TOLERANCE_S));
	cr_expect(verifies(SECRET, ID, now, SIGNATURE, BODY, TIME - SQ_WEBHOOK_TOLERANCE_S));
	cr_expect_not(
	    verifies(SECRET, ID, now, SIGNATURE, BODY, TIME + SQ_WEBHOOK_TOLERANCE_S + 1));
	cr_expect_not(
	    verifies(SECRET, ID, now, SIGNATURE, BODY, TIME - SQ_WEBHOOK_TOLERANCE_S - 1));
}

/* Each is signed as it stands, so that the number alone is what is wrong. */
Test(webhook, timestamps_that_are_none)
{
	static const struct {
		const char *timestamp, *signature;
	} rows[] = {{"", "v1,qpNdG4GyYZm20lYVP2gMlqx58gTTnMDAVuP4GXqbv54="},
	    {"-5", "v1,l/pb02M0U1XOQ6FNMrRX3vHf4vuAINTlaceMbab7n6c="},
	    {"5.0", "v1,/9Tal1FlmCRNG2SrSxw0XsJsCEadqSOY6mo+uOXr3NI="},
	    {"5e0", "v1,VyKT4RLs7YbgBdKb/+AuCdMsLCOPxbEXI6pwZmnz7U8="},
	    {" 5", "v1,IgkfLupDzi8YyTlHG5UcVemiHVYirCOacTj6sTsXqiU="},
	    {"5x", "v1,1pJXXbO5dKvtMefDVlf9LfEY+E/qieIrIp2Ie9JUP2g="},
	    {"0x5", "v1,w8rPnnIGekhaviaFTFTj3Ko8jIDdrYTA9IuZHUI8BlA="},
	    {"00000000000000000005", "v1,6bSD6YrJ8Z1e+YbD4IMFOWcxmOf52PE+jNQMhoxeBfY="}};

	cr_expect(
	    verifies(SECRET, ID, "5", "v1,CHi8JVeEE31QeDZtB7tilOBn8NCd8irl4Umdxq1Donc=", BODY, 5));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_not(verifies(SECRET, ID, rows[i].timestamp, rows[i].signature, BODY, 5),
		    "%s", rows[i].timestamp);
}
