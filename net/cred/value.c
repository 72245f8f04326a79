/* Values: immutable, counted, wiped. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/cred/cred_priv.h"

enum { KEY_ID_MAX = 128 };

bool
sq_cred_visible(struct sq_bytes t, size_t max)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] <= ' ' || t.p[i] > '~')
			return false;
	}
	return t.len > 0 && t.len <= max;
}

struct sq_bytes
sq_cred_trim(struct sq_bytes t)
{
	while (t.len > 0 && (t.p[t.len - 1] == '\n' || t.p[t.len - 1] == '\r'))
		t.len--;
	return t;
}

/* An access key's id: what may stand in the header that says who has signed. */
static bool
value_is_key_id(struct sq_bytes t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] == ':' || t.p[i] == '/' || t.p[i] == ',' || t.p[i] == '=')
			return false;
	}
	return sq_cred_visible(t, KEY_ID_MAX);
}

static const char *
value_put(struct sq_buf *out, struct sq_bytes t)
{
	size_t at = sq_buf_len(out);

	sq_buf_append(out, t.p, t.len);
	sq_buf_u8(out, '\0');
	return (const char *)sq_buf_data(out) + at;
}

struct sq_cred_kept *
sq_cred_kept_new(const struct sq_cred_parts *p, struct sq_buf *why)
{
	struct sq_cred_kept *k;

	if (!value_is_key_id(p->key_id)) {
		sq_buf_printf(why, "the access key's id is none");
		return NULL;
	}
	if (!sq_cred_visible(p->secret, SQ_CRED_TEXT_MAX)) {
		sq_buf_printf(why, "the secret key is none");
		return NULL;
	}
	if (p->token.len > 0 && !sq_cred_visible(p->token, SQ_CRED_TEXT_MAX)) {
		sq_buf_printf(why, "the session's token is none");
		return NULL;
	}
	k = sq_xcalloc(1, sizeof *k);
	k->refs = 1;
	k->expires_ms = p->expires_ms;
	/* At once: growing would leave copies behind. */
	(void)sq_buf_reserve(&k->text, p->key_id.len + p->secret.len + p->token.len + 3);
	k->value.key_id = value_put(&k->text, p->key_id);
	k->value.secret = value_put(&k->text, p->secret);
	if (p->token.len > 0)
		k->value.token = value_put(&k->text, p->token);
	return k;
}

void
sq_cred_kept_unref(struct sq_cred_kept *k)
{
	if (k == NULL || atomic_fetch_sub(&k->refs, 1) > 1)
		return;
	sq_buf_wipe(&k->text);
	free(k);
}

void
sq_cred_value_put(const struct sq_cred_value **vp)
{
	const struct sq_cred_value *v = *vp;

	*vp = NULL;
	if (v != NULL)
		sq_cred_kept_unref(SQ_CONTAINER_OF(v, struct sq_cred_kept, value));
}
