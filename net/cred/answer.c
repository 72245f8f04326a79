/* What services answer, in JSON.
 *
 * STS speaks XML unless it is asked for application/json; it then has the same names, and an end in
 * seconds since 1970, perhaps as 1.7E9.  Agents have an end by RFC 3339. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rfc3339.h"
#include "net/cred/cred_priv.h"
#include "proto/json/json.h"

enum {
	TOKENS = 256,
	DEPTH = 8,
	NUMBER_MAX = 32,
	CODE_MAX = 64,
};

static const char *const sts_results[][2] = {
    [SQ_CRED_FORM_IDENTITY] = {"AssumeRoleWithWebIdentityResponse",
	"AssumeRoleWithWebIdentityResult"},
    [SQ_CRED_FORM_ASSUMED] = {"AssumeRoleResponse", "AssumeRoleResult"},
};

struct answer {
	struct sq_json_token room[TOKENS];
	struct sq_json_tokens json;
};

static bool
answer_parse(struct answer *a, struct sq_bytes text)
{
	struct sq_json_error err;

	a->json = (struct sq_json_tokens){.at = a->room, .room = TOKENS, .depth = DEPTH};
	return sq_json_read(&a->json, text, &err) == SQ_OK && a->json.n > 0;
}

/* The value of a member of an object; 0: there is none, or there are two. */
static uint32_t
answer_member(const struct answer *a, uint32_t object, const char *name)
{
	struct sq_json_error err;
	uint32_t found = 0;

	if (a->room[object].type != SQ_JSON_OBJECT ||
	    sq_json_members(&a->json, object, &name, 1, &found, &err) != SQ_OK)
		return 0;
	return found;
}

/* A string without its escapes, appended to 'room'; .len 0: none. */
static struct sq_bytes
answer_text(const struct answer *a, uint32_t object, const char *name, struct sq_buf *room)
{
	uint32_t at = answer_member(a, object, name);
	size_t before = sq_buf_len(room);

	if (at == 0 || a->room[at].type != SQ_JSON_STRING)
		return (struct sq_bytes){0};
	sq_json_unescape(&a->json, at, room);
	return (struct sq_bytes){sq_buf_data(room) + before, sq_buf_len(room) - before};
}

/* Milliseconds since 1970; false: it is there, and no time. */
static bool
answer_expiration(const struct answer *a, uint32_t object, uint64_t *out)
{
	uint32_t at = answer_member(a, object, "Expiration");
	char number[NUMBER_MAX + 1];
	struct sq_bytes raw;
	int64_t ms = 0;
	double s;

	*out = 0;
	if (at == 0 || a->room[at].type == SQ_JSON_NULL)
		return true;
	raw = sq_json_raw(&a->json, at);
	if (a->room[at].type == SQ_JSON_STRING) {
		if (sq_rfc3339_read(raw, &ms) != SQ_OK || ms <= 0)
			return false;
		*out = (uint64_t)ms;
		return true;
	}
	if (a->room[at].type != SQ_JSON_NUMBER || raw.len > NUMBER_MAX)
		return false;
	memcpy(number, raw.p, raw.len);
	number[raw.len] = '\0';
	s = strtod(number, NULL);
	if (!isfinite(s) || s < 1 || s > 1e11)
		return false;
	*out = (uint64_t)s * 1000;
	return true;
}

/* The object that has the keys; 0 with the reason in 'why'. */
static uint32_t
answer_keys(const struct answer *a, enum sq_cred_form form, struct sq_buf *why)
{
	uint32_t at;

	if (a->room[0].type != SQ_JSON_OBJECT)
		sq_buf_printf(why, "the answer is no object");
	if (form == SQ_CRED_FORM_AGENT || a->room[0].type != SQ_JSON_OBJECT)
		return 0;
	at = answer_member(a, 0, sts_results[form][0]);
	at = at != 0 ? answer_member(a, at, sts_results[form][1]) : 0;
	at = at != 0 ? answer_member(a, at, "Credentials") : 0;
	if (at == 0)
		sq_buf_printf(why, "the answer has no credentials");
	return at;
}

struct sq_cred_kept *
sq_cred_answer_read(enum sq_cred_form form, struct sq_bytes text, struct sq_buf *why)
{
	const char *token = form == SQ_CRED_FORM_AGENT ? "Token" : "SessionToken";
	struct sq_cred_kept *kept = NULL;
	struct sq_cred_parts parts;
	struct sq_buf room = {0};
	struct answer a;
	uint32_t keys;

	if (!answer_parse(&a, text)) {
		sq_buf_printf(why, "the answer is no JSON, or has too much in it");
		return NULL;
	}
	keys = answer_keys(&a, form, why);
	if (sq_buf_len(why) > 0)
		return NULL;
	/* Never moved: what is unescaped is not longer than it was. */
	(void)sq_buf_reserve(&room, text.len + 1);
	parts.key_id = answer_text(&a, keys, "AccessKeyId", &room);
	parts.secret = answer_text(&a, keys, "SecretAccessKey", &room);
	parts.token = answer_text(&a, keys, token, &room);
	if (parts.key_id.len == 0 && parts.secret.len == 0)
		sq_buf_printf(why, "the answer has no credentials");
	else if (parts.token.len == 0)
		sq_buf_printf(why, "the answer has no session's token");
	else if (!answer_expiration(&a, keys, &parts.expires_ms))
		sq_buf_printf(why, "the answer's Expiration is no time");
	else
		kept = sq_cred_kept_new(&parts, why);
	sq_buf_wipe(&room);
	return kept;
}

void
sq_cred_answer_code(struct sq_bytes text, struct sq_buf *out)
{
	static const char *const names[] = {"Code", "code"};
	struct answer a;
	uint32_t error, at = 0;

	if (!answer_parse(&a, text) || a.room[0].type != SQ_JSON_OBJECT)
		return;
	error = answer_member(&a, 0, "Error");
	for (size_t i = 0; at == 0 && i < SQ_ARRAY_LEN(names); i++)
		at = answer_member(&a, error, names[i]);
	if (at != 0 && a.room[at].type == SQ_JSON_STRING) {
		struct sq_bytes code = sq_json_raw(&a.json, at);

		for (size_t i = 0; i < code.len; i++) {
			bool letter = (code.p[i] | 0x20) >= 'a' && (code.p[i] | 0x20) <= 'z';

			if (!letter && code.p[i] != '.')
				return;
		}
		if (code.len > 0 && code.len <= CODE_MAX)
			sq_buf_printf(out, " (%.*s)", (int)code.len, (const char *)code.p);
	}
}
