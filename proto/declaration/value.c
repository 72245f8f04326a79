/* Values of settings, from text and to it. */
#include <assert.h>
#include <string.h>

#include "proto/declaration/declaration_priv.h"
#include "proto/topic/queue.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, as they are tried when a value is written. */
static const struct unit size_units[] = {
    {"Gi", UINT64_C(1) << 30}, {"Mi", 1u << 20}, {"Ki", 1u << 10}, {"", 1}, {NULL, 0}};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit plain_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *
value_units(enum sq_setting_type type)
{
	return type == SQ_SETTING_SIZE                            ? size_units
	    : type == SQ_SETTING_MS || type == SQ_SETTING_SECONDS ? duration_units
								  : plain_units;
}

static bool
value_is_number(enum sq_setting_type type)
{
	return type < SQ_SETTING_BOOL;
}

/* The unit of a number without one: seconds are meant where it is a duration. */
static uint64_t
value_bare_factor(const struct unit *units)
{
	return units == duration_units ? 1000 : 1;
}

/* Reads "64Ki" by 'units'; false if it isn't one or is too big. */
static bool
value_parse(struct sq_bytes text, const struct unit *units, uint64_t *out)
{
	uint64_t v = 0, factor = 0;
	size_t i = 0;

	for (; i < text.len && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text.p[i] - '0'), &v))
			return false;
	}
	if (i == 0)
		return false;
	if (i == text.len)
		factor = value_bare_factor(units);
	for (; factor == 0 && units->name != NULL; units++) {
		if (sq_bytes_are((struct sq_bytes){text.p + i, text.len - i}, units->name))
			factor = units->factor;
	}
	return factor != 0 && !__builtin_mul_overflow(v, factor, out);
}

/* Writes a number in the largest unit that divides it. */
static void
value_print(struct sq_buf *out, const struct unit *u, uint64_t v)
{
	if (v == 0 && u == duration_units) {
		sq_buf_printf(out, "0s");
		return;
	}
	while (u[1].name != NULL && (v == 0 || v % u->factor != 0))
		u++;
	sq_buf_printf(out, "%llu%s", (unsigned long long)(v / u->factor), u->name);
}

static void *
value_at(struct sq_declaration *d, const struct sq_setting *s)
{
	return (char *)d + s->offset;
}

static const void *
value_at_const(const struct sq_declaration *d, const struct sq_setting *s)
{
	return (const char *)d + s->offset;
}

/* A number in ms, bytes, or as it is. */
static uint64_t
value_get(const struct sq_declaration *d, const struct sq_setting *s)
{
	const void *at = value_at_const(d, s);

	if (s->type == SQ_SETTING_MS || s->type == SQ_SETTING_SIZE)
		return *(const uint64_t *)at;
	return *(const uint32_t *)at * (s->type == SQ_SETTING_SECONDS ? UINT64_C(1000) : 1);
}

static void
value_put(struct sq_declaration *d, const struct sq_setting *s, uint64_t v)
{
	void *at = value_at(d, s);

	if (s->type == SQ_SETTING_MS || s->type == SQ_SETTING_SIZE)
		*(uint64_t *)at = v;
	else
		*(uint32_t *)at = (uint32_t)(s->type == SQ_SETTING_SECONDS ? v / 1000 : v);
}

static int
value_set_number(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	const struct unit *units = value_units(s->type);
	uint64_t scale = s->type == SQ_SETTING_SECONDS ? 1000 : 1, v;

	if (s->words != NULL && sq_bytes_are(text, s->words[0])) {
		value_put(d, s, 0);
		return SQ_OK;
	}
	if (!value_parse(text, units, &v) || v % scale != 0) {
		sq_setting_quote(why, text);
		sq_buf_printf(why, " is not %s",
		    units == size_units           ? "a size like 4096, 64Ki, 8Mi or 1Gi"
			: scale == 1000           ? "a duration like 30s, 5m, 24h or 7d"
			: units == duration_units ? "a duration like 250ms, 30s, 5m or 24h"
						  : "a number");
		if (s->words != NULL)
			sq_buf_printf(why, " or %s", s->words[0]);
		return SQ_EINVAL;
	}
	if (v < s->min * scale || v > s->max * scale) {
		sq_setting_quote(why, text);
		sq_buf_printf(why, " is out of range: ");
		value_print(why, units, s->min * scale);
		sq_buf_printf(why, " to ");
		value_print(why, units, s->max * scale);
		return SQ_EINVAL;
	}
	value_put(d, s, v);
	return SQ_OK;
}

void
sq_setting_bounds(const struct sq_setting *s, struct sq_buf *out)
{
	const struct unit *units = value_units(s->type);
	uint64_t scale = s->type == SQ_SETTING_SECONDS ? 1000 : 1;

	if (!value_is_number(s->type))
		return;
	sq_buf_printf(out, "; ");
	value_print(out, units, s->min * scale);
	sq_buf_printf(out, " to ");
	value_print(out, units, s->max * scale);
	if (s->words != NULL)
		sq_buf_printf(out, ", or `%s`", s->words[0]);
}

static const char *const truths[] = {"false", "true", NULL};

/* Whether the text is that word; "off" is false where YAML 1.1 has read it. */
static bool
value_is_word(struct sq_bytes text, const char *word)
{
	return sq_bytes_are(text, word) ||
	    (strcmp(word, "off") == 0 && sq_bytes_are(text, truths[0]));
}

static int
value_set_word(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	const char *const *words = s->type == SQ_SETTING_BOOL ? truths : s->words;

	for (unsigned i = 0; words[i] != NULL; i++) {
		if (!value_is_word(text, words[i]))
			continue;
		if (s->type == SQ_SETTING_WORD)
			*(unsigned *)value_at(d, s) = i + (unsigned)s->min;
		else
			*(bool *)value_at(d, s) = i != 0;
		return SQ_OK;
	}
	sq_setting_quote(why, text);
	sq_buf_printf(why, " is not one of ");
	for (unsigned i = 0; words[i] != NULL; i++)
		sq_buf_printf(why, "%s%s", i != 0 ? ", " : "", words[i]);
	return SQ_EINVAL;
}

int
sq_setting_set(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	if (sq_setting_may_be_none(s))
		return sq_setting_set_more(d, s, text, why);
	return value_is_number(s->type) ? value_set_number(d, s, text, why)
					: value_set_word(d, s, text, why);
}

bool
sq_setting_bare(const struct sq_declaration *d, const struct sq_setting *s)
{
	return s->type == SQ_SETTING_BOOL ||
	    (s->type == SQ_SETTING_NUMBER && (s->words == NULL || value_get(d, s) != 0));
}

void
sq_setting_print(const struct sq_declaration *d, const struct sq_setting *s, struct sq_buf *out)
{
	if (sq_setting_may_be_none(s))
		sq_setting_print_more(d, s, out);
	else if (s->type == SQ_SETTING_WORD)
		sq_buf_printf(out, "%s",
		    s->words[*(const unsigned *)value_at_const(d, s) - (unsigned)s->min]);
	else if (!value_is_number(s->type))
		sq_buf_printf(out, "%s",
		    (s->type == SQ_SETTING_BOOL
			    ? truths
			    : s->words)[*(const bool *)value_at_const(d, s) ? 1 : 0]);
	else if (s->words != NULL && value_get(d, s) == 0)
		sq_buf_printf(out, "%s", s->words[0]);
	else
		value_print(out, value_units(s->type), value_get(d, s));
}

bool
sq_setting_equal(
    const struct sq_declaration *a, const struct sq_declaration *b, const struct sq_setting *s)
{
	if (sq_setting_may_be_none(s))
		return sq_setting_equal_more(a, b, s);
	if (s->type == SQ_SETTING_WORD)
		return *(const unsigned *)value_at_const(a, s) ==
		    *(const unsigned *)value_at_const(b, s);
	if (!value_is_number(s->type))
		return *(const bool *)value_at_const(a, s) == *(const bool *)value_at_const(b, s);
	return value_get(a, s) == value_get(b, s);
}

void
sq_setting_reset(struct sq_declaration *d, const struct sq_setting *s)
{
	int err = sq_setting_set(d, s, sq_bytes_of(s->def), NULL);

	assert(err == SQ_OK);
}

bool
sq_queue_name_good(struct sq_bytes name)
{
	return sq_topic_queue_name(name);
}
