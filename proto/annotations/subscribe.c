/* sqmqos.io/subscribe as a YAML list (libyaml's events).  Its fields are one
 * table. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/mem.h"
#include "proto/annotations/annotations_priv.h"

enum field_type { T_TEXT, T_QOS, T_DELIVERY, T_BOOL, T_DURATION, T_COUNT, T_OVERFLOW };

static const struct {
	const char *name;
	enum field_type type;
	size_t offset;
	const char *wants;
} fields[] = {
#define FIELD(name, type, field, wants) \
	{ \
		name, type, offsetof(struct sq_declaration, field), wants \
	}
    FIELD("filter", T_TEXT, filter, "a topic filter"),
    FIELD("tag", T_TEXT, tag, "a tag"),
    FIELD("qos", T_QOS, qos, "0, 1 or 2"),
    FIELD("delivery", T_DELIVERY, pod, "group or pod"),
    FIELD("group", T_TEXT, group, "a name"),
    FIELD("durable", T_BOOL, durable, "true or false"),
    FIELD("expiry", T_DURATION, expiry_s, "a time such as 90s, 10m, 24h or 7d"),
    FIELD("max-length", T_COUNT, max_length, "a number from 1 to 4294967295"),
    FIELD("overflow", T_OVERFLOW, overflow, "reject-publish, drop-oldest or drop-new"),
    FIELD("max-attempts", T_COUNT, max_attempts, "a number from 1 to 4294967295"),
    FIELD("concurrency", T_COUNT, concurrency, "a number from 1 to 4294967295"),
};
enum { FIELDS_N = SQ_ARRAY_LEN(fields) };

static const char *const field_names[] = {"filter", "tag", "qos", "delivery", "group", "durable",
    "expiry", "max-length", "overflow", "max-attempts", "concurrency", NULL};
/* In the order of enum sq_overflow, from 1. */
static const char *const overflow_names[] = {"reject-publish", "drop-oldest", "drop-new", NULL};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	struct sq_buf *err;
};

static unsigned
reader_line(const struct reader *r)
{
	return (unsigned)r->event.start_mark.line + 1;
}

static int
reader_next(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		sq_buf_printf(r->err, "line %zu: %s", r->parser.problem_mark.line + 1,
		    r->parser.problem != NULL ? r->parser.problem : "not YAML");
		return SQ_EINVAL;
	}
	r->has_event = true;
	if (r->event.type == YAML_ALIAS_EVENT) {
		sq_buf_printf(r->err, "line %u: YAML aliases are not taken", reader_line(r));
		return SQ_EINVAL;
	}
	return 0;
}

static int
value_count(const char *s, uint32_t least, uint32_t *out)
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

static int
value_duration(const char *s, uint32_t *out)
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
	if (value_count(digits, 1, &v) != 0 || v > UINT32_MAX / seconds[unit - units])
		return SQ_EINVAL;
	*out = v * seconds[unit - units];
	return 0;
}

static int
field_set(struct sq_declaration *d, size_t i, const char *s)
{
	void *to = (char *)d + fields[i].offset;
	uint32_t n;

	switch (fields[i].type) {
	case T_TEXT:
		free(*(char **)to);
		*(char **)to = sq_xstrdup(s);
		return s[0] != '\0' ? 0 : SQ_EINVAL;
	case T_QOS:
		if (value_count(s, 0, &n) != 0 || n > 2)
			return SQ_EINVAL;
		*(uint8_t *)to = (uint8_t)n;
		return 0;
	case T_DELIVERY:
		*(bool *)to = strcmp(s, "pod") == 0;
		return *(bool *)to || strcmp(s, "group") == 0 ? 0 : SQ_EINVAL;
	case T_BOOL:
		*(bool *)to = strcmp(s, "true") == 0;
		return *(bool *)to || strcmp(s, "false") == 0 ? 0 : SQ_EINVAL;
	case T_DURATION:
		return value_duration(s, to);
	case T_COUNT:
		return value_count(s, 1, to);
	case T_OVERFLOW:
		for (uint8_t k = 0; overflow_names[k] != NULL; k++) {
			if (strcmp(s, overflow_names[k]) == 0) {
				*(uint8_t *)to = (uint8_t)(k + 1);
				return 0;
			}
		}
		return SQ_EINVAL;
	}
	return SQ_EINVAL;
}

/* Whether the event is a scalar without a NUL in it. */
static bool
reader_scalar(const struct reader *r)
{
	return r->event.type == YAML_SCALAR_EVENT &&
	    strlen((const char *)r->event.data.scalar.value) == r->event.data.scalar.length;
}

static int
field_unknown(const struct reader *r, const char *name)
{
	const char *near = sq_did_you_mean(name, field_names);

	sq_buf_printf(r->err, "line %u: unknown field '%.64s'", reader_line(r), name);
	if (near != NULL)
		sq_buf_printf(r->err, ", did you mean %s?", near);
	return SQ_EINVAL;
}

/* A field of the map: the event is its name. */
static int
reader_field(struct reader *r, struct sq_declaration *d, unsigned *seen)
{
	size_t i;
	int rc;

	if (!reader_scalar(r)) {
		sq_buf_printf(r->err, "line %u: a field's name must be plain text", reader_line(r));
		return SQ_EINVAL;
	}
	for (i = 0; i < FIELDS_N; i++) {
		if (strcmp((const char *)r->event.data.scalar.value, fields[i].name) == 0)
			break;
	}
	if (i == FIELDS_N)
		return field_unknown(r, (const char *)r->event.data.scalar.value);
	if ((*seen & 1u << i) != 0) {
		sq_buf_printf(r->err, "line %u: %s twice", reader_line(r), fields[i].name);
		return SQ_EINVAL;
	}
	*seen |= 1u << i;
	if ((rc = reader_next(r)) != 0)
		return rc;
	if (!reader_scalar(r) || field_set(d, i, (const char *)r->event.data.scalar.value) != 0) {
		sq_buf_printf(r->err, "line %u: %s must be %s", reader_line(r), fields[i].name,
		    fields[i].wants);
		return SQ_EINVAL;
	}
	return 0;
}

static bool
field_seen(unsigned seen, const char *name)
{
	for (size_t i = 0; i < FIELDS_N; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return (seen & 1u << i) != 0;
	}
	return false;
}

/* An item of the list: the event is its start. */
static int
reader_item(struct reader *r, struct sq_declarations *out)
{
	unsigned line = reader_line(r), seen = 0;
	struct sq_declaration *d = sq_declarations_add(out, line, r->err);
	int rc;

	if (d == NULL)
		return SQ_EINVAL;
	if (reader_scalar(r)) {
		d->filter = sq_xstrdup((const char *)r->event.data.scalar.value);
		return sq_declaration_check(d, line, r->err);
	}
	if (r->event.type != YAML_MAPPING_START_EVENT) {
		sq_buf_printf(r->err, "line %u: an item must be a filter or a map", line);
		return SQ_EINVAL;
	}
	while ((rc = reader_next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = reader_field(r, d, &seen)) != 0)
			return rc;
	}
	if (rc != 0)
		return rc;
	if (d->pod && !field_seen(seen, "durable"))
		d->durable = false;
	if (d->pod && d->durable) {
		sq_buf_printf(r->err, "line %u: delivery: pod can't be durable", line);
		return SQ_EINVAL;
	}
	return sq_declaration_check(d, line, r->err);
}

static int
reader_list(struct reader *r, struct sq_declarations *out)
{
	int rc;

	/* The stream, then the document. */
	if ((rc = reader_next(r)) != 0 || (rc = reader_next(r)) != 0)
		return rc;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return 0;
	if ((rc = reader_next(r)) != 0)
		return rc;
	if (r->event.type != YAML_SEQUENCE_START_EVENT) {
		sq_buf_printf(r->err, "line %u: a list is wanted: start each item with \"- \"",
		    reader_line(r));
		return SQ_EINVAL;
	}
	while ((rc = reader_next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = reader_item(r, out)) != 0)
			return rc;
	}
	if (rc != 0 || (rc = reader_next(r)) != 0 || (rc = reader_next(r)) != 0)
		return rc;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return 0;
	sq_buf_printf(r->err, "line %u: one YAML document is enough", reader_line(r));
	return SQ_EINVAL;
}

int
sq_declarations_yaml(const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err)
{
	struct reader r = {.err = err};
	int rc;

	if (!yaml_parser_initialize(&r.parser)) {
		sq_buf_printf(err, "line 1: out of memory");
		return SQ_ENOMEM;
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)value, len);
	rc = reader_list(&r, out);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return rc;
}
