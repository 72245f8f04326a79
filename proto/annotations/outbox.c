/* The value of sqmqos.io/outbox; see outbox.h. */
#include "proto/annotations/outbox.h"

#include <string.h>

#include "proto/annotations/values.h"

/* A part of the value. */
struct word {
	const char *p;
	size_t len;
};

static struct word
word_trim(const char *p, size_t len)
{
	while (len > 0 && sq_value_space(*p)) {
		p++;
		len--;
	}
	while (len > 0 && sq_value_space(p[len - 1]))
		len--;
	return (struct word){p, len};
}

/* Within quotes, as YAML may write it. */
static struct word
word_unquote(struct word w)
{
	if (w.len >= 2 && (w.p[0] == '"' || w.p[0] == '\'') && w.p[w.len - 1] == w.p[0])
		return (struct word){w.p + 1, w.len - 2};
	return w;
}

static bool
word_is(struct word w, const char *s)
{
	return w.len == strlen(s) && memcmp(w.p, s, w.len) == 0;
}

/* 4096, 64Ki, 8Mi, 1Gi; as in the configuration. */
static int
size_parse(struct word w, uint64_t *out)
{
	static const char units[] = "KMG";
	uint64_t v = 0;
	size_t i = 0;
	const char *unit;

	for (; i < w.len && w.p[i] >= '0' && w.p[i] <= '9'; i++) {
		if (v > SQ_OUTBOX_SIZE_MAX)
			return SQ_EINVAL;
		v = v * 10 + (uint64_t)(w.p[i] - '0');
	}
	if (i == 0)
		return SQ_EINVAL;
	if (i < w.len) {
		unit = w.p[i] != '\0' ? strchr(units, w.p[i]) : NULL;
		if (unit == NULL || i + 2 != w.len || w.p[i + 1] != 'i')
			return SQ_EINVAL;
		if (v > SQ_OUTBOX_SIZE_MAX)
			return SQ_EINVAL;
		v <<= 10 * (unit - units + 1);
	}
	*out = v;
	return v >= SQ_OUTBOX_SIZE_MIN && v <= SQ_OUTBOX_SIZE_MAX ? 0 : SQ_EINVAL;
}

void
sq_take_outbox(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_outbox_annotation a = {.set = true};
	struct word all = word_trim(value->text, value->len), mode, size;
	const char *colon;

	if (all.len >= 2 && all.p[0] == '{' && all.p[all.len - 1] == '}')
		all = word_trim(all.p + 1, all.len - 2);
	colon = memchr(all.p, ':', all.len);
	mode = word_unquote(word_trim(all.p, colon != NULL ? (size_t)(colon - all.p) : all.len));
	if (word_is(mode, "disk"))
		a.mode = SQ_OUTBOX_DISK;
	else if (!word_is(mode, "memory"))
		sq_value_wrong(value, sq_position_of(value->text, (size_t)(mode.p - value->text)),
		    "an outbox is memory or disk, or one of them with a size, as in disk: 1Gi");
	if (colon != NULL) {
		size = word_unquote(word_trim(colon + 1, all.len - (size_t)(colon + 1 - all.p)));
		if (size_parse(size, &a.size) != 0)
			sq_value_wrong(value,
			    sq_position_of(value->text, (size_t)(size.p - value->text)),
			    "the size of an outbox is one like 64Ki, 8Mi or 1Gi, at least 64Ki");
	}
	out->outbox = a;
}
