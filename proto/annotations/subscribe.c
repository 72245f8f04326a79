/* sqmqos.io/subscribe as a YAML list (libyaml's events).  Its fields are one
 * table. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/annotations_priv.h"

enum field_type { T_TEXT, T_QOS, T_DELIVERY, T_BOOL, T_DURATION, T_COUNT, T_OVERFLOW };

static const struct {
	const char *name;
	enum field_type type;
	size_t offset;
	uint8_t named; /* its bit in sq_declaration.named; 0: it is not the queue's */
	const char *wants;
} fields[] = {
#define FIELD(name, type, field, named, wants) \
	{ \
		name, type, offsetof(struct sq_declaration, field), named, wants \
	}
    FIELD("filter", T_TEXT, filter, 0, "a topic filter"),
    FIELD("tag", T_TEXT, tag, 0, "a tag"),
    FIELD("qos", T_QOS, qos, 0, "0, 1 or 2"),
    FIELD("delivery", T_DELIVERY, pod, 0, "group or pod"),
    FIELD("group", T_TEXT, group, 0, "a name"),
    FIELD("durable", T_BOOL, durable, SQ_NAMED_DURABLE, "true or false"),
    FIELD("expiry", T_DURATION, expiry_s, SQ_NAMED_EXPIRY, "a time such as 90s, 10m, 24h or 7d"),
    FIELD("max-length", T_COUNT, max_length, SQ_NAMED_MAX_LENGTH, "a number from 1 to 4294967295"),
    FIELD("overflow", T_OVERFLOW, overflow, SQ_NAMED_OVERFLOW,
	"reject-publish, drop-oldest or drop-new"),
    FIELD("max-attempts", T_COUNT, max_attempts, SQ_NAMED_MAX_ATTEMPTS,
	"a number from 1 to 4294967295"),
    FIELD("concurrency", T_COUNT, concurrency, 0, "a number from 1 to 4294967295"),
};

static const char *const field_names[] = {"filter", "tag", "qos", "delivery", "group", "durable",
    "expiry", "max-length", "overflow", "max-attempts", "concurrency", NULL};
/* In the order of enum sq_overflow, from 1. */
const char *const sq_overflow_names[] = {"reject-publish", "drop-oldest", "drop-new", NULL};

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
		if (sq_value_count(s, 0, &n) != 0 || n > 2)
			return SQ_EINVAL;
		*(uint8_t *)to = (uint8_t)n;
		return 0;
	case T_DELIVERY:
		*(bool *)to = strcmp(s, "pod") == 0;
		return *(bool *)to || strcmp(s, "group") == 0 ? 0 : SQ_EINVAL;
	case T_BOOL:
		return sq_value_bool(s, to);
	case T_DURATION:
		return sq_value_duration(s, to);
	case T_COUNT:
		return sq_value_count(s, 1, to);
	case T_OVERFLOW:
		for (uint8_t k = 0; sq_overflow_names[k] != NULL; k++) {
			if (strcmp(s, sq_overflow_names[k]) == 0) {
				*(uint8_t *)to = (uint8_t)(k + 1);
				return 0;
			}
		}
		return SQ_EINVAL;
	}
	return SQ_EINVAL;
}

/* A field of the map: the event is its name. */
static int
reader_field(struct sq_yaml *y, struct sq_declaration *d, unsigned *seen)
{
	const char *text;
	size_t i;
	int rc = sq_yaml_key(y, field_names, seen, &i);

	if (rc != 0)
		return rc;
	text = sq_yaml_text(y);
	if (text == NULL || field_set(d, i, text) != 0) {
		sq_buf_printf(y->err, "line %u: %s must be %s", sq_yaml_line(y), fields[i].name,
		    fields[i].wants);
		return SQ_EINVAL;
	}
	d->named |= fields[i].named;
	return 0;
}

/* An item of the list: the event is its start. */
static int
reader_item(struct sq_yaml *y, struct sq_declarations *out)
{
	unsigned line = sq_yaml_line(y), seen = 0;
	struct sq_declaration *d = sq_declarations_add(out, line, y->err);
	int rc;

	if (d == NULL)
		return SQ_EINVAL;
	if (sq_yaml_text(y) != NULL) {
		d->filter = sq_xstrdup(sq_yaml_text(y));
		return sq_declaration_check(d, line, y->err);
	}
	if (y->event.type != YAML_MAPPING_START_EVENT) {
		sq_buf_printf(y->err, "line %u: an item must be a filter or a map", line);
		return SQ_EINVAL;
	}
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = reader_field(y, d, &seen)) != 0)
			return rc;
	}
	if (rc != 0)
		return rc;
	if (d->pod && (d->named & SQ_NAMED_DURABLE) == 0)
		d->durable = false;
	if (d->pod && d->durable) {
		sq_buf_printf(y->err, "line %u: delivery: pod can't be durable", line);
		return SQ_EINVAL;
	}
	return sq_declaration_check(d, line, y->err);
}

static int
reader_list(struct sq_yaml *y, struct sq_declarations *out)
{
	bool empty;
	int rc = sq_yaml_begin(y, &empty);

	if (rc != 0 || empty)
		return rc;
	if (y->event.type != YAML_SEQUENCE_START_EVENT) {
		sq_buf_printf(y->err, "line %u: a list is wanted: start each item with \"- \"",
		    sq_yaml_line(y));
		return SQ_EINVAL;
	}
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = reader_item(y, out)) != 0)
			return rc;
	}
	return rc != 0 ? rc : sq_yaml_end(y);
}

int
sq_declarations_yaml(const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err)
{
	struct sq_yaml y;
	int rc = sq_yaml_open(&y, value, len, err);

	if (rc == 0)
		rc = reader_list(&y, out);
	sq_yaml_close(&y);
	return rc;
}
