/* sqmqos.io/publish: rules for what the app publishes.  The fields of a rule are
 * one table. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/annotations/annotations_priv.h"
#include "proto/topic/topic.h"

static void
rule_fini(struct sq_publish_rule *r)
{
	for (size_t i = 0; i < r->n_tags; i++)
		free(r->tags[i]);
	free(r->tags);
	free(r->filter);
	free(r->key_property);
	free(r->receipt);
}

void
sq_publish_rules_free(struct sq_publish_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		rule_fini(&rules->v[i]);
	free(rules->v);
	*rules = (struct sq_publish_rules){0};
}

static struct sq_bytes
bytes_of(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

/* --- fields: each takes the value whose first event is there.  An error
 * without a line of its own gets what the field wants. --- */

static int
take_filter(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y);

	if (text == NULL || text[0] == '\0')
		return SQ_EINVAL;
	r->filter = sq_xstrdup(text);
	return 0;
}

static int
take_qos(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y);
	uint32_t n;

	if (text == NULL || sq_value_count(text, 0, &n) != 0 || n > 3)
		return SQ_EINVAL;
	r->qos = (int8_t)n;
	return 0;
}

static int
take_retain(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y);
	bool on;

	if (text == NULL || sq_value_bool(text, &on) != 0)
		return SQ_EINVAL;
	r->retain = (int8_t)on;
	return 0;
}

static int
take_tag(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y), *why = "it is not UTF-8";

	if (text == NULL)
		return SQ_EINVAL;
	if (!sq_utf8_valid(text, strlen(text)) || sq_topic_tag_check(bytes_of(text), &why) != 0) {
		sq_buf_printf(y->err, "line %u: bad tag: %s", sq_yaml_line(y), why);
		return SQ_EINVAL;
	}
	if (r->n_tags == SQ_RULE_TAGS_MAX) {
		sq_buf_printf(
		    y->err, "line %u: more than %d tags", sq_yaml_line(y), SQ_RULE_TAGS_MAX);
		return SQ_EINVAL;
	}
	r->tags = sq_xrealloc(r->tags, (r->n_tags + 1) * sizeof *r->tags);
	r->tags[r->n_tags++] = sq_xstrdup(text);
	return 0;
}

static int
take_tags(struct sq_yaml *y, struct sq_publish_rule *r)
{
	int rc;

	if (y->event.type != YAML_SEQUENCE_START_EVENT)
		return take_tag(y, r);
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = take_tag(y, r)) != 0)
			return rc;
	}
	return rc;
}

/* A time with a unit, or seconds. */
static int
take_time(const struct sq_yaml *y, uint32_t *out)
{
	const char *text = sq_yaml_text(y);

	if (text == NULL ||
	    (sq_value_duration(text, out) != 0 && sq_value_count(text, 1, out) != 0))
		return SQ_EINVAL;
	return *out != UINT32_MAX ? 0 : SQ_EINVAL; /* which means "never" in an image */
}

static int
take_ttl(struct sq_yaml *y, struct sq_publish_rule *r)
{
	return take_time(y, &r->ttl_s);
}

static int
take_delay(struct sq_yaml *y, struct sq_publish_rule *r)
{
	int rc = take_time(y, &r->delay_s);

	return rc == 0 && r->delay_s > SQ_RULE_DELAY_MAX_S ? SQ_EINVAL : rc;
}

/* "generated", or {property: NAME}. */
static int
take_key(struct sq_yaml *y, struct sq_publish_rule *r)
{
	static const char *const names[] = {"property", NULL};
	const char *text = sq_yaml_text(y);
	unsigned seen = 0;
	size_t i;
	int rc;

	r->key_generated = text != NULL && strcmp(text, "generated") == 0;
	if (r->key_generated)
		return 0;
	if (y->event.type != YAML_MAPPING_START_EVENT)
		return SQ_EINVAL;
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = sq_yaml_key(y, names, &seen, &i)) != 0)
			return rc;
		text = sq_yaml_text(y);
		if (text == NULL || text[0] == '\0' || strlen(text) > SQ_RULE_PROPERTY_MAX ||
		    !sq_utf8_valid(text, strlen(text))) {
			sq_buf_printf(y->err, "line %u: property must be a name of 1 to %d bytes",
			    sq_yaml_line(y), SQ_RULE_PROPERTY_MAX);
			return SQ_EINVAL;
		}
		r->key_property = sq_xstrdup(text);
	}
	return rc != 0 || r->key_property != NULL ? rc : SQ_EINVAL;
}

static int
take_receipt(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y), *why = "it is not UTF-8";

	if (text == NULL || text[0] == '\0' || strlen(text) > SQ_RULE_RECEIPT_MAX)
		return SQ_EINVAL;
	if (!sq_utf8_valid(text, strlen(text)) || sq_topic_name_check(bytes_of(text), &why) != 0) {
		sq_buf_printf(y->err, "line %u: bad topic '%s': %s", sq_yaml_line(y), text, why);
		return SQ_EINVAL;
	}
	if (strcmp(text, "$dead") == 0 || strncmp(text, "$dead/", 6) == 0) {
		sq_buf_printf(y->err, "line %u: bad topic '%s': $dead is for dead letters",
		    sq_yaml_line(y), text);
		return SQ_EINVAL;
	}
	r->receipt = sq_xstrdup(text);
	return 0;
}

static const struct {
	int (*take)(struct sq_yaml *, struct sq_publish_rule *);
	const char *wants;
} fields[] = {
    {take_filter, "a topic filter"},
    {take_qos, "0, 1, 2 or 3"},
    {take_retain, "true or false"},
    {take_tags, "a tag or a list of tags"},
    {take_ttl, "a time such as 90s, 10m, 24h or 7d, or seconds"},
    {take_key, "generated or {property: NAME}"},
    {take_receipt, "a topic of at most 1024 bytes"},
    {take_delay, "a time such as 90s, 10m, 24h or 7d, or seconds, at most 999999999s"},
};
static const char *const field_names[] = {
    "filter", "qos", "retain", "tags", "ttl", "key", "receipt", "delay", NULL};

/* --- rules --- */

static int
rule_check(const struct sq_publish_rule *r, unsigned line, struct sq_buf *err)
{
	const char *why = "it is not UTF-8";
	struct sq_topic_filter f;

	if (r->filter == NULL)
		sq_buf_printf(err, "line %u: a filter is needed", line);
	else if (!sq_utf8_valid(r->filter, strlen(r->filter)) ||
	    sq_topic_filter_parse(bytes_of(r->filter), &f, &why) != 0)
		sq_buf_printf(err, "line %u: bad filter '%s': %s", line, r->filter, why);
	else if (f.share.len != 0 || f.tag.len != 0)
		sq_buf_printf(err,
		    "line %u: '%s': a rule selects by topic, without $share and $tag", line,
		    r->filter);
	else if ((r->key_generated || r->key_property != NULL) && r->qos != 3)
		sq_buf_printf(err, "line %u: key needs qos: 3", line);
	else if (r->receipt != NULL && r->qos != 3)
		sq_buf_printf(err, "line %u: receipt needs qos: 3", line);
	else
		return 0;
	return SQ_EINVAL;
}

static struct sq_publish_rule *
rules_add(struct sq_publish_rules *rules, unsigned line, struct sq_buf *err)
{
	if (rules->n == SQ_RULES_MAX) {
		sq_buf_printf(err, "line %u: more than %d rules", line, SQ_RULES_MAX);
		return NULL;
	}
	rules->v = sq_xrealloc(rules->v, (rules->n + 1) * sizeof *rules->v);
	rules->v[rules->n] = (struct sq_publish_rule){.qos = -1, .retain = -1};
	return &rules->v[rules->n++];
}

static int
reader_field(struct sq_yaml *y, struct sq_publish_rule *r, unsigned *seen)
{
	unsigned line;
	size_t i;
	int rc = sq_yaml_key(y, field_names, seen, &i);

	if (rc != 0)
		return rc;
	line = sq_yaml_line(y);
	rc = fields[i].take(y, r);
	if (rc != 0 && sq_buf_len(y->err) == 0)
		sq_buf_printf(
		    y->err, "line %u: %s must be %s", line, field_names[i], fields[i].wants);
	return rc;
}

/* An item of the list: the event is its start. */
static int
reader_rule(struct sq_yaml *y, struct sq_publish_rules *out)
{
	unsigned line = sq_yaml_line(y), seen = 0;
	struct sq_publish_rule *r = rules_add(out, line, y->err);
	int rc;

	if (r == NULL)
		return SQ_EINVAL;
	if (sq_yaml_text(y) != NULL) {
		r->filter = sq_xstrdup(sq_yaml_text(y));
		return rule_check(r, line, y->err);
	}
	if (y->event.type != YAML_MAPPING_START_EVENT) {
		sq_buf_printf(y->err, "line %u: a rule must be a filter or a map", line);
		return SQ_EINVAL;
	}
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = reader_field(y, r, &seen)) != 0)
			return rc;
	}
	return rc != 0 ? rc : rule_check(r, line, y->err);
}

static int
reader_rules(struct sq_yaml *y, struct sq_publish_rules *out)
{
	int rc;

	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = reader_rule(y, out)) != 0)
			return rc;
	}
	return rc;
}

/* {strict: true, rules: [...]} */
static int
reader_map(struct sq_yaml *y, struct sq_publish_rules *out)
{
	static const char *const names[] = {"strict", "rules", NULL};
	unsigned seen = 0;
	size_t i;
	int rc;

	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = sq_yaml_key(y, names, &seen, &i)) != 0)
			return rc;
		if (i == 1 && y->event.type == YAML_SEQUENCE_START_EVENT) {
			if ((rc = reader_rules(y, out)) != 0)
				return rc;
		} else if (i == 1 || sq_yaml_text(y) == NULL ||
		    sq_value_bool(sq_yaml_text(y), &out->strict) != 0) {
			sq_buf_printf(y->err, "line %u: %s must be %s", sq_yaml_line(y), names[i],
			    i == 1 ? "a list" : "true or false");
			return SQ_EINVAL;
		}
	}
	return rc;
}

static int
reader_value(struct sq_yaml *y, struct sq_publish_rules *out)
{
	bool empty;
	int rc = sq_yaml_begin(y, &empty);

	if (rc != 0 || empty)
		return rc;
	if (y->event.type == YAML_SEQUENCE_START_EVENT) {
		rc = reader_rules(y, out);
	} else if (y->event.type == YAML_MAPPING_START_EVENT) {
		rc = reader_map(y, out);
	} else {
		sq_buf_printf(y->err,
		    "line %u: a list of rules is wanted, or a map of strict and rules",
		    sq_yaml_line(y));
		return SQ_EINVAL;
	}
	return rc != 0 ? rc : sq_yaml_end(y);
}

int
sq_annotations_publish(
    const char *value, size_t len, struct sq_publish_rules *out, struct sq_buf *err)
{
	struct sq_yaml y;
	int rc = sq_yaml_open(&y, value, len, err);

	if (rc == 0)
		rc = reader_value(&y, out);
	sq_yaml_close(&y);
	return rc;
}
