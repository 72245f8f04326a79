#include "proto/annotations/yaml.h"

#include <string.h>

#include "core/yaml_event.h"

static struct sq_position
position(const yaml_mark_t *m)
{
	return (struct sq_position){(unsigned)m->line + 1, (unsigned)m->column + 1};
}

int
sq_yaml_open(struct sq_yaml *y, struct sq_annotation_value *value)
{
	memset(y, 0, sizeof *y);
	y->value = value;
	if (!yaml_parser_initialize(&y->parser)) {
		sq_value_wrong(value, (struct sq_position){1, 1}, "out of memory");
		return SQ_ECLOSED;
	}
	yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y->parser, (const unsigned char *)value->text, value->len);
	return 0;
}

void
sq_yaml_close(struct sq_yaml *y)
{
	if (y->has_event)
		yaml_event_delete(&y->event);
	yaml_parser_delete(&y->parser);
}

struct sq_position
sq_yaml_at(const struct sq_yaml *y)
{
	return position(&y->event.start_mark);
}

/* Why the parser stopped, and where: a character that YAML does not allow has an offset
 * only. */
static void
yaml_problem(const struct sq_yaml *y)
{
	const yaml_parser_t *p = &y->parser;
	struct sq_position at = position(&p->problem_mark);

	if (p->error == YAML_READER_ERROR && p->problem_offset <= y->value->len)
		at = sq_position_of(y->value->text, p->problem_offset);
	sq_value_wrong(y->value, at, "%s", p->problem != NULL ? p->problem : "not YAML");
}

/* Whether the event nests deeper than anything that is taken. */
static bool
yaml_too_deep(struct sq_yaml *y)
{
	switch (y->event.type) {
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return ++y->depth > SQ_YAML_NESTED_MAX;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		y->depth--;
		return false;
	default:
		return false;
	}
}

int
sq_yaml_next(struct sq_yaml *y)
{
	if (y->has_event)
		yaml_event_delete(&y->event);
	y->has_event = false;
	if (!yaml_parser_parse(&y->parser, &y->event)) {
		yaml_problem(y);
		return SQ_ECLOSED;
	}
	y->has_event = true;
	if (y->event.type == YAML_ALIAS_EVENT) {
		sq_value_wrong(y->value, sq_yaml_at(y), "YAML aliases are not taken");
		return SQ_ECLOSED;
	}
	if (sq_yaml_tag(&y->event) != NULL) {
		sq_value_wrong(y->value, sq_yaml_at(y), "YAML tags are not taken");
		return SQ_ECLOSED;
	}
	if (yaml_too_deep(y)) {
		sq_value_wrong(y->value, sq_yaml_at(y), "nested deeper than %d lists and maps",
		    SQ_YAML_NESTED_MAX);
		return SQ_ECLOSED;
	}
	return 0;
}

int
sq_yaml_skip(struct sq_yaml *y)
{
	unsigned depth = 0;
	int rc = 0;

	for (;; rc = sq_yaml_next(y)) {
		if (rc != 0)
			return rc;
		if (y->event.type == YAML_SEQUENCE_START_EVENT ||
		    y->event.type == YAML_MAPPING_START_EVENT)
			depth++;
		else if (y->event.type == YAML_SEQUENCE_END_EVENT ||
		    y->event.type == YAML_MAPPING_END_EVENT)
			depth--;
		if (depth == 0)
			return 0;
	}
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
	sq_value_wrong(y->value, sq_yaml_at(y), "one YAML document is enough");
	return SQ_ECLOSED;
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

/* The key is not 'names'[*i], or not for the first time.  True: it was reported. */
static bool
key_wrong(struct sq_yaml *y, const char *name, const char *const *names, unsigned seen, size_t i)
{
	const char *near;

	if (name == NULL) {
		sq_value_wrong(y->value, sq_yaml_at(y), "a field's name must be plain text");
		return true;
	}
	if (names[i] != NULL && (seen & 1u << i) != 0) {
		sq_value_wrong(y->value, sq_yaml_at(y), "%s twice", name);
		return true;
	}
	if (names[i] != NULL)
		return false;
	near = sq_value_nearest(name, names);
	if (near != NULL)
		sq_value_wrong(
		    y->value, sq_yaml_at(y), "unknown field '%.64s', did you mean %s?", name, near);
	else
		sq_value_wrong(y->value, sq_yaml_at(y), "unknown field '%.64s'", name);
	return true;
}

int
sq_yaml_key(struct sq_yaml *y, const char *const *names, unsigned *seen, size_t *i)
{
	const char *name = sq_yaml_text(y);
	int rc;

	for (*i = 0; name != NULL && names[*i] != NULL && strcmp(name, names[*i]) != 0;)
		++*i;
	if (!key_wrong(y, name, names, *seen, *i)) {
		*seen |= 1u << *i;
		return sq_yaml_next(y);
	}
	*i = SQ_YAML_NONE;
	if ((rc = sq_yaml_skip(y)) != 0 || (rc = sq_yaml_next(y)) != 0)
		return rc;
	return sq_yaml_skip(y);
}
