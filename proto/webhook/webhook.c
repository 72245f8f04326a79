/* See proto/webhook/webhook.h. */
#include "proto/webhook/webhook.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "core/base64.h"
#include "core/hmac.h"

#define KEY_PREFIX "whsec_"
#define SIGNATURE_PREFIX "v1,"

enum {
	KEY_TEXT_MAX = (SQ_WEBHOOK_KEY_MAX + 2) / 3 * 4,
	SIGNATURE_TEXT = (SQ_HMAC_SIZE + 2) / 3 * 4,
	TIMESTAMP_MAX = 18, /* digits, which an int64_t always has room for */
};

static bool
webhook_starts(struct sq_bytes text, const char *prefix)
{
	size_t len = strlen(prefix);

	return text.len >= len && memcmp(text.p, prefix, len) == 0;
}

/* ---- keys */

/* Takes the next line off '*text', without spaces at its ends. */
static struct sq_bytes
keys_line(struct sq_bytes *text)
{
	const unsigned char *end = memchr(text->p, '\n', text->len);
	struct sq_bytes line = {text->p, end != NULL ? (size_t)(end - text->p) : text->len};
	size_t used = line.len + (end != NULL);

	*text = (struct sq_bytes){text->p + used, text->len - used};
	while (line.len > 0 && strchr(" \t\r", line.p[line.len - 1]) != NULL &&
	    line.p[line.len - 1] != '\0')
		line.len--;
	while (line.len > 0 && (*line.p == ' ' || *line.p == '\t'))
		line = (struct sq_bytes){line.p + 1, line.len - 1};
	return line;
}

/* Reads a key in base64, with or without its padding, as the standard's libraries take both. */
static const char *
keys_read(struct sq_bytes line, struct sq_webhook_keys *out)
{
	unsigned char bytes[KEY_TEXT_MAX / 4 * 3]; /* a little more than a key may have */
	char text[KEY_TEXT_MAX + 4];
	const char *why = NULL;
	size_t n;

	if (webhook_starts(line, KEY_PREFIX))
		line = (struct sq_bytes){
		    line.p + strlen(KEY_PREFIX), line.len - strlen(KEY_PREFIX)};
	if (line.len > KEY_TEXT_MAX)
		return "a key has at most 64 bytes";
	if (line.len > 0)
		memcpy(text, line.p, line.len);
	n = line.len;
	while (n % 4 != 0)
		text[n++] = '=';
	if (sq_base64_read(bytes, &n, text, n) != SQ_OK)
		why = "a key is base64, with or without whsec_ before it";
	else if (n < SQ_WEBHOOK_KEY_MIN)
		why = "a key has at least 24 bytes";
	else if (n > SQ_WEBHOOK_KEY_MAX)
		why = "a key has at most 64 bytes";
	else if (out->n == SQ_WEBHOOK_KEYS_MAX)
		why = "there are two keys at most";
	else {
		memcpy(out->v[out->n].bytes, bytes, n);
		out->v[out->n++].len = n;
	}
	OPENSSL_cleanse(text, sizeof text);
	OPENSSL_cleanse(bytes, sizeof bytes);
	return why;
}

int
sq_webhook_keys_read(struct sq_bytes text, struct sq_webhook_keys *out, struct sq_buf *err)
{
	const char *why = NULL;
	unsigned number = 0;

	*out = (struct sq_webhook_keys){0};
	while (text.len > 0 && why == NULL) {
		struct sq_bytes line = keys_line(&text);

		number++;
		if (line.len > 0)
			why = keys_read(line, out);
	}
	if (why == NULL && out->n > 0)
		return SQ_OK;
	if (why == NULL)
		sq_buf_printf(err, "there is no key");
	else
		sq_buf_printf(err, "line %u: %s", number, why);
	sq_webhook_keys_fini(out);
	return SQ_EINVAL;
}

void
sq_webhook_keys_fini(struct sq_webhook_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof *keys);
}

/* ---- signatures */

/* Writes the signature by a key, in base64 and with a NUL. */
static void
signature_write(const struct sq_webhook_keys *keys, size_t key, struct sq_bytes id,
    struct sq_bytes timestamp, struct sq_bytes body, char out[SIGNATURE_TEXT + 1])
{
	const struct sq_bytes dot = sq_bytes_of("."), parts[] = {id, dot, timestamp, dot, body};
	struct sq_hmac *hmac = sq_hmac_new(keys->v[key].bytes, keys->v[key].len);
	unsigned char proof[SQ_HMAC_SIZE];

	sq_hmac_prove(hmac, parts, sizeof parts / sizeof parts[0], proof);
	sq_hmac_free(&hmac);
	sq_base64_write(out, proof, sizeof proof);
}

void
sq_webhook_sign(const struct sq_webhook_keys *keys, struct sq_bytes id, int64_t timestamp_s,
    struct sq_bytes body, struct sq_buf *out)
{
	char time[24], text[SIGNATURE_TEXT + 1];

	assert(keys->n > 0);
	(void)snprintf(time, sizeof time, "%" PRId64, timestamp_s);
	for (size_t i = 0; i < keys->n; i++) {
		if (i > 0)
			sq_buf_u8(out, ' ');
		sq_buf_append(out, SIGNATURE_PREFIX, strlen(SIGNATURE_PREFIX));
		signature_write(keys, i, id, sq_bytes_of(time), body, text);
		sq_buf_append(out, text, SIGNATURE_TEXT);
	}
}

/* Whether a timestamp is a number, and near enough. */
static bool
verify_time(struct sq_bytes text, int64_t now_s)
{
	int64_t t = 0;

	if (text.len == 0 || text.len > TIMESTAMP_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		t = t * 10 + (text.p[i] - '0');
	}
	return t >= now_s - SQ_WEBHOOK_TOLERANCE_S && t <= now_s + SQ_WEBHOOK_TOLERANCE_S;
}

/* Whether the signature stands in the list; it is compared with each of its form. */
static bool
verify_listed(struct sq_bytes list, const char expected[SIGNATURE_TEXT])
{
	const size_t prefix = strlen(SIGNATURE_PREFIX);
	bool found = false;

	while (list.len > 0) {
		const unsigned char *space = memchr(list.p, ' ', list.len);
		struct sq_bytes one = {list.p, space != NULL ? (size_t)(space - list.p) : list.len};
		size_t used = one.len + (space != NULL);

		list = (struct sq_bytes){list.p + used, list.len - used};
		if (one.len == prefix + SIGNATURE_TEXT && webhook_starts(one, SIGNATURE_PREFIX))
			found |= CRYPTO_memcmp(one.p + prefix, expected, SIGNATURE_TEXT) == 0;
	}
	return found;
}

bool
sq_webhook_verify(const struct sq_webhook_keys *keys, struct sq_bytes id, struct sq_bytes timestamp,
    struct sq_bytes signatures, struct sq_bytes body, int64_t now_s)
{
	bool signed_by_one = false;
	char text[SIGNATURE_TEXT + 1];

	for (size_t i = 0; i < keys->n; i++) {
		signature_write(keys, i, id, timestamp, body, text);
		signed_by_one |= verify_listed(signatures, text);
	}
	OPENSSL_cleanse(text, sizeof text);
	return signed_by_one & verify_time(timestamp, now_s);
}
