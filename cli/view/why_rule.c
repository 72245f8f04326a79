#include "cli/view/why_rule.h"

#include <string.h>

#include "cli/view/cell.h"
#include "core/mem.h"
#include "core/msg.h"

enum { LATELY_MS = 10 * 60 * 1000 };

/* Whether the value is a number above 0, or has members. */
static bool
rule_some(const json_t *value)
{
	return json_integer_value(value) > 0 || json_object_size(value) > 0 ||
	    json_array_size(value) > 0;
}

static bool
rule_when(const struct sq_why_told *w, const struct sq_why_when *when, const json_t *row)
{
	const json_t *value = when->column != NULL ? json_object_get(row, when->column) : NULL;
	bool known = value != NULL && !json_is_null(value);
	const char *text = json_string_value(value);

	switch (when->test) {
	case SQ_WHY_ALWAYS:
		return true;
	case SQ_WHY_TRUE:
		return json_is_true(value);
	case SQ_WHY_FALSE:
		return json_is_false(value);
	case SQ_WHY_KNOWN:
		return known;
	case SQ_WHY_UNKNOWN:
		return !known;
	case SQ_WHY_SOME:
		return rule_some(value);
	case SQ_WHY_ZERO:
		return json_is_integer(value) && json_integer_value(value) == 0;
	case SQ_WHY_IS:
		return text != NULL && strcmp(text, when->value) == 0;
	case SQ_WHY_IS_NOT:
		return text != NULL && strcmp(text, when->value) != 0;
	case SQ_WHY_PAST:
		return json_is_integer(value) && (uint64_t)json_integer_value(value) < w->now_ms;
	case SQ_WHY_LATELY:
		return json_is_integer(value) &&
		    (uint64_t)json_integer_value(value) + LATELY_MS > w->now_ms;
	case SQ_WHY_ASKED:
		return json_object_get(w->beside, when->column) != NULL;
	}
	return false;
}

static bool
rule_holds(const struct sq_why_told *w, const struct sq_why_rule *rule, const json_t *row)
{
	for (size_t i = 0; i < SQ_WHY_WHENS; i++) {
		if (!rule_when(w, &rule->when[i], row))
			return false;
	}
	return true;
}

/* How a value is put into words, by what stands behind '|'. */
static void
rule_value(
    const struct sq_why_told *w, const json_t *value, struct sq_bytes how, struct sq_buf *out)
{
	static const struct {
		const char *how, *type, *unit;
	} words[] = {
	    {"", "number", ""},
	    {"bytes", "number", "bytes"},
	    {"span", "span", "ms"},
	    {"time", "time", "ms"},
	    {"counts", "counts", ""},
	    {"texts", "texts", ""},
	};
	size_t i = 0;

	while (i + 1 < SQ_ARRAY_LEN(words) && !sq_bytes_are(how, words[i].how))
		i++;
	if (sq_bytes_are(how, "code"))
		sq_buf_printf(out, "0x%02x", (unsigned)json_integer_value(value));
	else if (sq_bytes_are(how, "times") && json_integer_value(value) == 1)
		sq_buf_printf(out, "once");
	else if (sq_bytes_are(how, "times"))
		sq_buf_printf(out, "%lld times", (long long)json_integer_value(value));
	else if (json_is_string(value)) /* made safe with the line */
		sq_buf_append(out, json_string_value(value), json_string_length(value));
	else
		sq_cell(out, value, words[i].type, words[i].unit, w->now_ms);
}

/* Appends the text with its values; it is one of ours, so each brace has an end. */
static void
rule_fill(const struct sq_why_told *w, const char *text, const json_t *row, struct sq_buf *out)
{
	for (;;) {
		size_t plain = strcspn(text, "{"), name, whole;
		const json_t *from = row;

		sq_buf_append(out, text, plain);
		text += plain;
		if (*text++ == '\0')
			return;
		if (*text == '*') {
			from = w->beside;
			text++;
		}
		name = strcspn(text, "|}");
		whole = strcspn(text, "}");
		rule_value(w, json_object_getn(from, text, name),
		    (struct sq_bytes){(const unsigned char *)text + name + (whole > name),
			whole - name - (whole > name)},
		    out);
		text += whole + 1;
	}
}

/* Says a text of a rule; NULL: nothing. */
static void
rule_say(struct sq_why_told *w, const char *text, const json_t *row,
    void (*say)(struct sq_why_told *, const char *fmt, ...))
{
	struct sq_buf line = {0};

	if (text == NULL)
		return;
	rule_fill(w, text, row, &line);
	say(w, "%.*s", (int)sq_buf_len(&line), (const char *)sq_buf_data(&line));
	sq_buf_fini(&line);
}

void
sq_why_judge(
    struct sq_why_told *w, const struct sq_why_rule *rules, size_t n_rules, const json_t *row)
{
	unsigned said = 0;

	for (size_t i = 0; i < n_rules; i++) {
		const struct sq_why_rule *rule = &rules[i];

		if ((rule->one_of != 0 && rule->one_of == said) || !rule_holds(w, rule, row))
			continue;
		said = rule->one_of;
		rule_say(
		    w, rule->says, row, rule->is == SQ_WHY_TROUBLE ? sq_why_trouble : sq_why_fact);
		rule_say(w, rule->mend, row, sq_why_mend);
	}
}
