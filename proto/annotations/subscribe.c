/* sqmqos.io/subscribe: a filter, a comma list, a YAML list, or a map of strict, allow and the
 * list.  The fields of an item are one table. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/entry.h"
#include "proto/annotations/rights_read.h"
#include "proto/annotations/yaml.h"

enum field_type { T_TEXT, T_QOS, T_DELIVERY, T_BOOL, T_DURATION, T_COUNT, T_OVERFLOW };
/* In the order of the table, as far as they are named elsewhere. */
enum field { F_FILTER, F_TAG, F_QOS, F_DELIVERY, F_GROUP, F_DURABLE, F_CONCURRENCY = 10, F_QUEUE };

static const struct {
	enum field_type type;
	size_t offset;
	uint8_t named; /* its bit in sq_declaration.named; 0: it is not the queue's */
	const char *wants;
} fields[] = {
#define FIELD(type, field, named, wants) \
	{ \
		type, offsetof(struct sq_declaration, field), named, wants \
	}
    FIELD(T_TEXT, filter, 0, "a topic filter"),
    FIELD(T_TEXT, tag, 0, "a tag"),
    FIELD(T_QOS, qos, 0, "0, 1 or 2"),
    FIELD(T_DELIVERY, pod, 0, "group or pod"),
    FIELD(T_TEXT, group, 0, "a name"),
    FIELD(T_BOOL, durable, SQ_NAMED_DURABLE, "true or false"),
    FIELD(T_DURATION, expiry_s, SQ_NAMED_EXPIRY, "a time such as 90s, 10m, 24h or 7d"),
    FIELD(T_COUNT, max_length, SQ_NAMED_MAX_LENGTH, "a number from 1 to 4294967295"),
    FIELD(T_OVERFLOW, overflow, SQ_NAMED_OVERFLOW, "reject-publish, drop-oldest or drop-new"),
    FIELD(T_COUNT, max_attempts, SQ_NAMED_MAX_ATTEMPTS, "a number from 1 to 4294967295"),
    FIELD(T_COUNT, concurrency, 0, "a number from 1 to 4294967295"),
    FIELD(T_TEXT, queue, 0, "the name of a queue"),
};

static const char *const field_names[] = {"filter", "tag", "qos", "delivery", "group", "durable",
    "expiry", "max-length", "overflow", "max-attempts", "concurrency", "queue", NULL};
static const char want_list[] = "a list is wanted: start each item with \"- \"";
/* In the order of enum sq_overflow, from 1. */
static const char *const overflow_names[] = {"reject-publish", "drop-oldest", "drop-new", NULL};

const char *
sq_overflow_name(uint8_t overflow)
{
	return overflow >= 1 && overflow < SQ_ARRAY_LEN(overflow_names)
	    ? overflow_names[overflow - 1]
	    : "?";
}

static int
field_overflow(uint8_t *to, const char *s)
{
	for (uint8_t k = 0; overflow_names[k] != NULL; k++) {
		if (strcmp(s, overflow_names[k]) == 0) {
			*to = (uint8_t)(k + 1);
			return 0;
		}
	}
	return SQ_EINVAL;
}

static int
field_set(struct sq_declaration *d, size_t i, const char *s)
{
	void *to = (char *)d + fields[i].offset;
	uint32_t n;

	switch (fields[i].type) {
	case T_TEXT:
		if (s[0] == '\0')
			return SQ_EINVAL;
		*(char **)to = sq_xstrdup(s);
		return 0;
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
		return field_overflow(to, s);
	}
	return SQ_EINVAL;
}

/* An item as a map, which is being read. */
struct item {
	struct sq_declaration *d;
	unsigned seen;                               /* a bit for each field */
	struct sq_position at[SQ_ARRAY_LEN(fields)]; /* of their values */
};

/* A field of the map: the event is its name. */
static int
reader_field(struct sq_yaml *y, struct item *it)
{
	const char *text;
	size_t i;
	int rc = sq_yaml_key(y, field_names, &it->seen, &i);

	if (rc != 0 || i == SQ_YAML_NONE)
		return rc;
	it->at[i] = sq_yaml_at(y);
	text = sq_yaml_text(y);
	if (text != NULL && field_set(it->d, i, text) == 0)
		it->d->named |= fields[i].named;
	else
		sq_value_wrong(
		    y->value, it->at[i], "%s must be %s", field_names[i], fields[i].wants);
	return sq_yaml_skip(y);
}

/* What comes into a named queue, and how it is kept, is said where it is declared. */
static void
item_joins(struct sq_yaml *y, const struct item *it)
{
	unsigned from = (it->seen & 1u << F_QUEUE) != 0 ? F_QUEUE : F_FILTER;

	for (unsigned i = 0; i < SQ_ARRAY_LEN(fields); i++) {
		if ((it->seen & 1u << i) != 0 && i != from && i != F_CONCURRENCY)
			sq_value_wrong(y->value, it->at[i],
			    "%s has no meaning with a queue, whose declaration says it",
			    field_names[i]);
	}
}

/* The map is read. */
static void
item_done(struct sq_yaml *y, struct item *it)
{
	struct sq_declaration *d = it->d;

	if (d->pod && (it->seen & 1u << F_DURABLE) == 0)
		d->durable = false;
	if (sq_entry_joins(d))
		item_joins(y, it);
	else if ((it->seen & (1u << F_FILTER | 1u << F_TAG | 1u << F_QUEUE)) == 0)
		sq_value_wrong(y->value, d->at, "a filter, a tag or a queue is needed");
	sq_entry_check(d,
	    &(struct sq_entry_places){.filter = it->at[F_FILTER],
		.tag = it->at[F_TAG],
		.group = it->at[F_GROUP],
		.durable = it->at[F_DURABLE],
		.queue = it->at[(it->seen & 1u << F_QUEUE) != 0 ? F_QUEUE : F_FILTER]},
	    y->value);
}

/* An item of the list: the event is its start. */
static int
reader_item(struct sq_yaml *y, struct sq_declarations *out)
{
	struct sq_position at = sq_yaml_at(y);
	struct item it = {.d = sq_entry_add(out, at, y->value)};
	int rc;

	if (it.d == NULL)
		return SQ_ECLOSED;
	if (sq_yaml_text(y) != NULL) {
		it.d->filter = sq_xstrdup(sq_yaml_text(y));
		sq_entry_check(it.d, &(struct sq_entry_places){at, at, at, at, at}, y->value);
		return 0;
	}
	if (y->event.type != YAML_MAPPING_START_EVENT) {
		sq_value_wrong(y->value, at, "an item must be a filter or a map");
		return sq_yaml_skip(y);
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(it.at); i++)
		it.at[i] = at;
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = reader_field(y, &it)) != 0)
			return rc;
	}
	if (rc == 0)
		item_done(y, &it);
	return rc;
}

/* The event is the start of the list. */
static int
reader_list(struct sq_yaml *y, struct sq_declarations *out)
{
	int rc;

	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = reader_item(y, out)) != 0)
			return rc;
	}
	return rc;
}

/* {strict: true, allow: [...], subscriptions: [...]} */

enum { M_STRICT, M_ALLOW, M_SUBSCRIPTIONS };
static const char *const map_names[] = {"strict", "allow", "subscriptions", NULL};

static bool
name_is_field(const char *name)
{
	for (size_t i = 0; field_names[i] != NULL; i++) {
		if (strcmp(name, field_names[i]) == 0)
			return true;
	}
	return false;
}

static int
map_value(struct sq_yaml *y, size_t i, struct sq_annotations *out)
{
	if (i == M_STRICT)
		return sq_rights_read_strict(y, &out->rights);
	if (i == M_ALLOW)
		return sq_rights_read_allow(y, &out->rights);
	if (y->event.type == YAML_SEQUENCE_START_EVENT)
		return reader_list(y, &out->subscribe);
	sq_value_wrong(y->value, sq_yaml_at(y), "subscriptions must be a list");
	return sq_yaml_skip(y);
}

static int
reader_map(struct sq_yaml *y, struct sq_annotations *out)
{
	struct sq_position start = sq_yaml_at(y), allow = start;
	unsigned seen = 0;
	size_t i;
	int rc;

	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		const char *name = sq_yaml_text(y);

		if (name == NULL || name_is_field(name)) { /* an item that stands alone */
			sq_value_wrong(y->value, start, "%s", want_list);
			return SQ_ECLOSED;
		}
		if ((rc = sq_yaml_key(y, map_names, &seen, &i)) != 0)
			return rc;
		if (i == M_ALLOW)
			allow = sq_yaml_at(y);
		if (i != SQ_YAML_NONE && (rc = map_value(y, i, out)) != 0)
			return rc;
	}
	if (rc == 0 && (seen & 1u << M_ALLOW) != 0 && !out->rights.strict)
		sq_annotation_problems_add(y->value->problems, y->value->key, y->value->pair, allow,
		    true, "allow does nothing without strict: true");
	return rc;
}

static int
reader_value(struct sq_yaml *y, struct sq_annotations *out)
{
	bool empty;
	int rc = sq_yaml_begin(y, &empty);

	if (rc != 0 || empty)
		return rc;
	if (y->event.type == YAML_SEQUENCE_START_EVENT) {
		rc = reader_list(y, &out->subscribe);
	} else if (y->event.type == YAML_MAPPING_START_EVENT) {
		rc = reader_map(y, out);
	} else {
		sq_value_wrong(y->value, sq_yaml_at(y), "%s", want_list);
		return SQ_ECLOSED;
	}
	return rc != 0 ? rc : sq_yaml_end(y);
}

static void
subscribe_yaml(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_yaml y;

	if (sq_yaml_open(&y, value) == 0)
		(void)reader_value(&y, out); /* what is wrong is reported */
	sq_yaml_close(&y);
}

/* Whether the value begins with a key of the map, or with something near: as a filter it
 * would select what nobody publishes. */
static bool
subscribe_is_map(const struct sq_annotation_value *value)
{
	const char *text = value->text + strspn(value->text, " \t\r\n");
	size_t len = strcspn(text, ":/+#, \t\r\n");
	const char *colon = text + len + strspn(text + len, " \t");
	char word[32];

	if (*colon != ':' || len >= sizeof word || (colon[1] != '\0' && !sq_value_space(colon[1])))
		return false;
	for (size_t i = 0; i < len; i++)
		word[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	word[len] = '\0';
	return !name_is_field(word) && sq_value_nearest(word, map_names) != NULL;
}

/* Whether an item of a comma list is meant as YAML: lines without dashes, or a field with its
 * value.  As a filter either would select what nobody publishes. */
static bool
item_is_yaml(struct sq_bytes item)
{
	if (memchr(item.p, '\n', item.len) != NULL)
		return true;
	for (size_t i = 0; i < SQ_ARRAY_LEN(fields); i++) {
		size_t len = strlen(field_names[i]);

		if (item.len > len + 1 && memcmp(item.p, field_names[i], len) == 0 &&
		    item.p[len] == ':' && sq_value_space((char)item.p[len + 1]))
			return true;
	}
	return false;
}

static void
subscribe_list(struct sq_annotation_value *value, struct sq_declarations *out)
{
	struct sq_value_list list = sq_value_list(value);
	struct sq_declaration *d;
	struct sq_position at;
	struct sq_bytes filter;

	while (sq_value_item(&list, &filter, &at)) {
		if (filter.len == 0) {
			sq_value_wrong(value, at, "an empty filter");
			continue;
		}
		if (item_is_yaml(filter)) {
			sq_value_wrong(value, at, "%s", want_list);
			continue;
		}
		if ((d = sq_entry_add(out, at, value)) == NULL)
			return;
		d->filter = sq_xmemdup0(filter.p, filter.len);
		sq_entry_check(d, &(struct sq_entry_places){at, at, at, at, at}, value);
	}
}

void
sq_take_subscribe(struct sq_annotation_value *value, struct sq_annotations *out)
{
	if (sq_value_is_yaml(value->text, value->len) || subscribe_is_map(value))
		subscribe_yaml(value, out);
	else
		subscribe_list(value, &out->subscribe);
}
