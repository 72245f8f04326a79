#include "broker/publish/options.h"

#include <string.h>

#include "core/suggest.h"
#include "proto/props/names.h"
#include "proto/topic/topic.h"

enum { PREFIX_LEN = sizeof SQ_PROP_PREFIX - 1, NAME_SHOWN_MAX = 64 };

static const char *const asked_names[] = {SQ_PROPS_ASKED, NULL};
static const char *const written_names[] = {SQ_PROPS_WRITTEN, NULL};

/* A decimal number of seconds, at most 9 digits. */
static bool
asked_seconds(struct sq_bytes value, uint32_t *out)
{
	uint32_t n = 0;

	if (value.len == 0 || value.len > 9)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		n = n * 10 + (value.p[i] - '0');
	}
	*out = n;
	return true;
}

static bool
asked_written(struct sq_bytes name)
{
	for (const char *const *w = written_names; *w != NULL; w++) {
		if (sq_bytes_are(name, *w))
			return true;
	}
	return false;
}

/* Reads one property with the prefix; returns the fault in its value. */
static enum sq_publish_wrong
asked_take(struct sq_publish_options *a, struct sq_bytes name, struct sq_bytes value)
{
	if (sq_bytes_are(name, SQ_PROP_QOS)) {
		a->assured = true;
		return sq_bytes_are(value, "3") ? SQ_PUBLISH_GOOD : SQ_PUBLISH_WRONG_QOS;
	}
	if (sq_bytes_are(name, SQ_PROP_DELAY))
		return asked_seconds(value, &a->delay_s) ? SQ_PUBLISH_GOOD : SQ_PUBLISH_WRONG_DELAY;
	if (sq_bytes_are(name, SQ_PROP_KEY)) {
		a->key = value;
		return value.len > 0 && value.len <= SQ_PUBLISH_KEY_MAX ? SQ_PUBLISH_GOOD
									: SQ_PUBLISH_WRONG_KEY;
	}
	if (sq_bytes_are(name, SQ_PROP_RECEIPT)) {
		a->receipt = value;
		return sq_topic_name_check(value, NULL) == SQ_OK && sq_topic_closed(value) == NULL
		    ? SQ_PUBLISH_GOOD
		    : SQ_PUBLISH_WRONG_RECEIPT;
	}
	if (sq_bytes_are(name, SQ_PROP_ORDER_KEY))
		return value.len > 0 && value.len <= SQ_PUBLISH_ORDER_KEY_MAX
		    ? SQ_PUBLISH_GOOD
		    : SQ_PUBLISH_WRONG_ORDER_KEY;
	if (a->unknown.len == 0 && !asked_written(name))
		a->unknown = name;
	return SQ_PUBLISH_GOOD;
}

bool
sq_publish_options_parse(const unsigned char *image, struct sq_publish_options *out)
{
	struct sq_bytes props = sq_image_props(image), name, value;

	*out = (struct sq_publish_options){0};
	while (sq_props_user_next(&props, &name, &value)) {
		enum sq_publish_wrong wrong;

		if (name.len < PREFIX_LEN || memcmp(name.p, SQ_PROP_PREFIX, PREFIX_LEN) != 0)
			continue;
		wrong = asked_take(out, name, value);
		if (wrong != SQ_PUBLISH_GOOD && out->wrong == SQ_PUBLISH_GOOD)
			out->wrong = (uint8_t)wrong;
	}
	if (sq_image_qos(image) != 2 && out->wrong == SQ_PUBLISH_GOOD) {
		if (out->assured)
			out->wrong = SQ_PUBLISH_WRONG_QOS_BASE;
		else if (out->key.len > 0)
			out->wrong = SQ_PUBLISH_WRONG_KEY_BASE;
	}
	out->assured = out->wrong == SQ_PUBLISH_GOOD && (out->assured || out->key.len > 0);
	return out->wrong == SQ_PUBLISH_GOOD;
}

/* Appends a name from outside: cut, and with '?' for bytes that are not printable ASCII. */
static void
explain_name(struct sq_buf *out, struct sq_bytes name)
{
	for (size_t i = 0; i < name.len && i < NAME_SHOWN_MAX; i++)
		sq_buf_u8(out, name.p[i] >= 0x20 && name.p[i] < 0x7f ? name.p[i] : '?');
	if (name.len > NAME_SHOWN_MAX)
		sq_buf_append(out, "...", 3);
}

/* Offers a name, compared behind the prefix. */
static void
explain_offer(struct sq_suggest *s, const char *name)
{
	sq_suggest_offer(s, name + PREFIX_LEN, strlen(name) - PREFIX_LEN, name, strlen(name));
}

static void
explain_unknown(const struct sq_publish_options *a, struct sq_buf *out)
{
	struct sq_suggest s = sq_suggest_start(
	    (const char *)a->unknown.p + PREFIX_LEN, a->unknown.len - PREFIX_LEN);

	sq_buf_printf(out, "unknown user property ");
	explain_name(out, a->unknown);
	for (const char *const *w = asked_names; *w != NULL; w++)
		explain_offer(&s, *w);
	for (const char *const *w = written_names; *w != NULL; w++)
		explain_offer(&s, *w);
	if (s.best != NULL) {
		sq_buf_printf(out, ", did you mean %s?", s.best);
		return;
	}
	sq_buf_printf(out, ", known are");
	for (const char *const *w = asked_names; *w != NULL; w++)
		sq_buf_printf(out, "%s %s", w == asked_names ? "" : ",", *w);
}

void
sq_publish_options_explain(const struct sq_publish_options *a, struct sq_buf *out)
{
	static const char *const texts[] = {
#define ASKED_TEXT(sym, text) [SQ_PUBLISH_WRONG_##sym] = (text),
	    SQ_PUBLISH_WRONGS(ASKED_TEXT)
#undef ASKED_TEXT
	};

	if (a->wrong != SQ_PUBLISH_GOOD)
		sq_buf_append(out, texts[a->wrong], strlen(texts[a->wrong]));
	else if (a->unknown.len > 0)
		explain_unknown(a, out);
}
