/* See broker/push/secret_text.h. */
#include "broker/push/secret_text.h"

#include <string.h>

#include "core/base64.h"

/* Without the ends of lines behind it. */
static struct sq_bytes
text_trim(struct sq_bytes t)
{
	while (t.len > 0 && (t.p[t.len - 1] == '\n' || t.p[t.len - 1] == '\r'))
		t.len--;
	return t;
}

static bool
text_has(struct sq_bytes t, const char *word)
{
	return memmem(t.p, t.len, word, strlen(word)) != NULL;
}

static int
text_bad(struct sq_buf *why, const char *reason)
{
	sq_buf_printf(why, "%s", reason);
	return SQ_EINVAL;
}

/* Whether all bytes are of 'least' to '~'. */
static bool
text_visible(struct sq_bytes t, unsigned char least)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < least || t.p[i] > '~')
			return false;
	}
	return true;
}

/* Appends the two, and a NUL, without a copy left behind. */
static void
text_put(struct sq_buf *out, const char *scheme, struct sq_bytes t)
{
	sq_buf_reserve(out, strlen(scheme) + t.len + 1);
	sq_buf_append(out, scheme, strlen(scheme));
	sq_buf_append(out, t.p, t.len);
	sq_buf_u8(out, '\0');
}

static int
text_bearer(struct sq_bytes t, struct sq_buf *out, struct sq_buf *why)
{
	if (!text_visible(t, '!'))
		return text_bad(why, "is no token: it has a space, or what isn't visible ASCII");
	text_put(out, "Bearer ", t);
	return SQ_OK;
}

static int
text_basic(struct sq_bytes t, struct sq_buf *out, struct sq_buf *why)
{
	static const char scheme[] = "Basic ";
	size_t room = sizeof scheme + (t.len + 2) / 3 * 4 + 1;

	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < ' ' || t.p[i] == 0x7f)
			return text_bad(why, "has a control character");
	}
	if (memchr(t.p, ':', t.len) == NULL)
		return text_bad(why, "is not user:password, in one line");
	sq_buf_reserve(out, room);
	sq_buf_append(out, scheme, sizeof scheme - 1);
	sq_base64_put(out, t.p, t.len);
	sq_buf_u8(out, '\0');
	return SQ_OK;
}

static int
text_value(struct sq_bytes t, struct sq_buf *out, struct sq_buf *why)
{
	if (!text_visible(t, ' ') || t.p[0] == ' ' || t.p[t.len - 1] == ' ')
		return text_bad(why,
		    "is no value of a header: it has more than a line, what isn't visible ASCII, "
		    "or spaces around it");
	text_put(out, "", t);
	return SQ_OK;
}

static int
text_cert(struct sq_bytes t, struct sq_buf *why)
{
	if (!text_has(t, "-----BEGIN CERTIFICATE-----"))
		return text_bad(why, "has no certificate in PEM format");
	if (!text_has(t, "PRIVATE KEY-----"))
		return text_bad(why, "has no private key in PEM format behind its certificates");
	return SQ_OK;
}

int
sq_secret_text_read(enum sq_secret_kind kind, struct sq_bytes text, struct sq_buf *out,
    struct sq_webhook_keys *keys, struct sq_buf *why)
{
	struct sq_bytes t = text_trim(text);

	if (t.len == 0)
		return text_bad(why, "is empty");
	switch (kind) {
	case SQ_SECRET_BEARER:
		return text_bearer(t, out, why);
	case SQ_SECRET_BASIC:
		return text_basic(t, out, why);
	case SQ_SECRET_VALUE:
		return text_value(t, out, why);
	case SQ_SECRET_KEYS:
		return sq_webhook_keys_read(t, keys, why);
	case SQ_SECRET_CERT:
		return text_cert(t, why);
	}
	return text_bad(why, "is of no kind that is known");
}
