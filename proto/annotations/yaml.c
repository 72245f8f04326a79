/* What the YAML forms of annotations have in common: libyaml's events, and
 * scalars that are numbers, times and switches. */
#include <string.h>

#include "proto/annotations/annotations_priv.h"

int
sq_yaml_open(struct sq_yaml *y, const char *value, size_t len, struct sq_buf *err)
{
	memset(y, 0, sizeof *y);
	y->err = err;
	if (!yaml_parser_initialize(&y->parser)) {
		sq_buf_printf(err, "line 1: out of memory");
		return SQ_ENOMEM;
	}
	yaml_parser_set_input_string(&y->parser, (const unsigned char *)value, len);
	return 0;
}

void
sq_yaml_close(struct sq_yaml *y)
{
	if (y->has_event)
		yaml_event_delete(&y->event);
	yaml_parser_delete(&y->parser);
}

unsigned
sq_yaml_line(const struct sq_yaml *y)
{
	return (unsigned)y->event.start_mark.line + 1;
}

int
sq_yaml_next(struct sq_yaml *y)
{
	if (y->has_event)
		yaml_event_delete(&y->event);
	y->has_event = false;
	if (!yaml_parser_parse(&y->parser, &y->event)) {
		sq_buf_printf(y->err, "line %zu: %s", y->parser.problem_mark.line + 1,
		    y->parser.problem != NULL ? y->parser.problem : "not YAML");
		return SQ_EINVAL;
	}
	y->has_event = true;
	if (y->event.type == YAML_ALIAS_EVENT) {
		sq_buf_printf(y->err, "line %u: YAML aliases are not taken", sq_yaml_line(y));
		return SQ_EINVAL;
	}
	return 0;
}

int
sq_yaml_begin(struct sq_yaml *y, bool *empty)
{
	int rc;

	*empty = false;
	/* The stream, then the document. */
	if ((rc = sq_yaml_next(y)) != 0 || (rc = sq_yaml_next(y)) != 0)
		return rc;
	*empty = y->event.type == YAML_STREAM_END_EVENT;
	return *empty ? 0 : sq_yaml_next(y);
}

int
sq_yaml_end(struct sq_yaml *y)
{
	int rc;

	if ((rc = sq_yaml_next(y)) != 0 || (rc = sq_yaml_next(y)) != 0)
		return rc;
	if (y->event.type == YAML_STREAM_END_EVENT)
		return 0;
	sq_buf_printf(y->err, "line %u: one YAML document is enough", sq_yaml_line(y));
	return SQ_EINVAL;
}

const char *
sq_yaml_text(const struct sq_yaml *y)
{
	const char *text;

	if (y->event.type != YAML_SCALAR_EVENT)
		return NULL;
	text = (const char *)y->event.data.scalar.value;
	return strlen(text) == y->event.data.scalar.length ? text : NULL;
}

static int
yaml_unknown(const struct sq_yaml *y, const char *name, const char *const *names)
{
	const char *near = sq_did_you_mean(name, names);

	sq_buf_printf(y->err, "line %u: unknown field '%.64s'", sq_yaml_line(y), name);
	if (near != NULL)
		sq_buf_printf(y->err, ", did you mean %s?", near);
	return SQ_EINVAL;
}

int
sq_yaml_key(struct sq_yaml *y, const char *const *names, unsigned *seen, size_t *i)
{
	const char *name = sq_yaml_text(y);

	if (name == NULL) {
		sq_buf_printf(
		    y->err, "line %u: a field's name must be plain text", sq_yaml_line(y));
		return SQ_EINVAL;
	}
	for (*i = 0; names[*i] != NULL && strcmp(name, names[*i]) != 0;)
		++*i;
	if (names[*i] == NULL)
		return yaml_unknown(y, name, names);
	if ((*seen & 1u << *i) != 0) {
		sq_buf_printf(y->err, "line %u: %s twice", sq_yaml_line(y), name);
		return SQ_EINVAL;
	}
	*seen |= 1u << *i;
	return sq_yaml_next(y);
}

int
sq_value_count(const char *s, uint32_t least, uint32_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return SQ_EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return SQ_EINVAL;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return SQ_EINVAL;
	}
	*out = (uint32_t)v;
	return v >= least ? 0 : SQ_EINVAL;
}

int
sq_value_duration(const char *s, uint32_t *out)
{
	static const char units[] = "smhd";
	static const uint32_t seconds[] = {1, 60, 3600, 86400};
	char digits[16];
	size_t n = strspn(s, "0123456789");
	const char *unit;
	uint32_t v;

	if (n == 0 || n >= sizeof digits || s[n] == '\0' || s[n + 1] != '\0' ||
	    (unit = strchr(units, s[n])) == NULL)
		return SQ_EINVAL;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (sq_value_count(digits, 1, &v) != 0 || v > UINT32_MAX / seconds[unit - units])
		return SQ_EINVAL;
	*out = v * seconds[unit - units];
	return 0;
}

int
sq_value_bool(const char *s, bool *out)
{
	*out = strcmp(s, "true") == 0;
	return *out || strcmp(s, "false") == 0 ? 0 : SQ_EINVAL;
}
