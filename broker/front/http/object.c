/* See broker/front/http/object.h. */
#include "broker/front/http/object.h"

#include <string.h>

#include "broker/front/http/values.h"
#include "core/mem.h"
#include "core/suggest.h"
#include "core/utf8.h"

static int
object_unknown(struct sq_bytes name, const char *const *names, struct sq_http_fault *fault)
{
	struct sq_suggest s = sq_suggest_start((const char *)name.p, name.len);

	(void)sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "unknown member ");
	sq_http_fault_name(fault, name);
	for (; *names != NULL; names++)
		if (**names != '\0')
			sq_suggest_offer(&s, *names, strlen(*names), *names, strlen(*names));
	if (s.best != NULL)
		sq_buf_printf(&fault->detail, ", did you mean %s?", s.best);
	return SQ_EINVAL;
}

static int
object_members(const struct sq_json_tokens *t, const char *const *names, uint32_t *found,
    struct sq_http_fault *fault)
{
	for (uint32_t i = sq_json_first(t, 0), value; i != 0; i = sq_json_next(t, 0, value)) {
		size_t k = 0;

		value = t->at[i].next;
		while (names[k] != NULL &&
		    (names[k][0] == '\0' || !sq_json_equals(t, i, sq_bytes_of(names[k]))))
			k++;
		if (names[k] == NULL)
			return object_unknown(sq_json_raw(t, i), names, fault);
		if (found[k] != 0)
			return sq_http_fault_say(
			    fault, SQ_HTTP_MALFORMED, "%s stands there twice", names[k]);
		found[k] = value;
	}
	return SQ_OK;
}

int
sq_http_object_read(struct sq_json_tokens *t, struct sq_bytes text, const char *const *names,
    uint32_t *found, struct sq_http_fault *fault)
{
	struct sq_json_error err;
	int rc = sq_json_read(t, text, &err);

	if (rc != SQ_OK)
		return sq_http_fault_say(fault,
		    rc == SQ_ETOOBIG ? SQ_HTTP_TOO_LARGE : SQ_HTTP_MALFORMED, "JSON, byte %zu: %s",
		    err.offset, err.why);
	if (t->at[0].type != SQ_JSON_OBJECT)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "it must be a JSON object");
	return object_members(t, names, found, fault);
}

static bool
object_plain(const struct sq_json_tokens *t, uint32_t i)
{
	return t->at[i].type == SQ_JSON_NUMBER || t->at[i].type == SQ_JSON_STRING;
}

int
sq_http_object_bool(const struct sq_json_tokens *t, uint32_t i, const char *name, bool *out,
    struct sq_http_fault *fault)
{
	*out = t->at[i].type == SQ_JSON_TRUE;
	if (*out || t->at[i].type == SQ_JSON_FALSE)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "%s must be true or false", name);
}

int
sq_http_object_ms(const struct sq_json_tokens *t, uint32_t i, const char *name, uint64_t *out,
    struct sq_http_fault *fault)
{
	return sq_http_text_ms(
	    object_plain(t, i) ? sq_json_raw(t, i) : (struct sq_bytes){0}, name, out, fault);
}

int
sq_http_object_number(const struct sq_json_tokens *t, uint32_t i, const char *name, uint64_t max,
    uint64_t *out, struct sq_http_fault *fault)
{
	return sq_http_text_number(
	    t->at[i].type == SQ_JSON_NUMBER ? sq_json_raw(t, i) : (struct sq_bytes){0}, name, max,
	    out, fault);
}

int
sq_http_text_ms(struct sq_bytes text, const char *name, uint64_t *out, struct sq_http_fault *fault)
{
	if (sq_http_duration(text, out) == SQ_OK)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
	    "%s must be a duration as 250ms, 30s, 5m or 24h, or seconds", name);
}

int
sq_http_text_number(struct sq_bytes text, const char *name, uint64_t max, uint64_t *out,
    struct sq_http_fault *fault)
{
	if (sq_http_number(text, max, out) == SQ_OK)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "%s must be a whole number up to %llu",
	    name, (unsigned long long)max);
}

int
sq_http_text_bool(struct sq_bytes text, const char *name, bool *out, struct sq_http_fault *fault)
{
	*out = text.len == 0;
	if (*out || sq_http_bool(text, out) == SQ_OK)
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "%s must be true or false", name);
}

int
sq_http_object_text(const struct sq_json_tokens *t, uint32_t i, const char *name, char **out,
    struct sq_http_fault *fault)
{
	struct sq_buf text = {0};
	bool good = t->at[i].type == SQ_JSON_STRING;

	if (good)
		sq_json_unescape(t, i, &text);
	good = good && sq_buf_len(&text) > 0 &&
	    sq_utf8_valid(sq_buf_data(&text), sq_buf_len(&text));
	if (good)
		*out = sq_xmemdup0(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return good ? SQ_OK
		    : sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
			  "%s must be a text, neither empty nor with U+0000 in it", name);
}
