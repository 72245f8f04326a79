/* sqmqos.io/publish: rules for what the app publishes.  The fields of a rule are
 * one table. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/yaml.h"
#include "proto/topic/topic.h"

static void
rule_fini(struct sq_publish_rule *r)
{
	for (size_t i = 0; i < r->n_tags; i++)
		free(r->tags[i]);
	free(r->tags);
	free(r->filter);
	free(r->key_property);
	free(r->order_property);
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

/* --- fields: each takes the value whose first event is there, and ends at its last.
 * SQ_EINVAL, still at its first event: it is not what the field wants.  What else is wrong is
 * reported. --- */

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
	const char *text = sq_yaml_text(y), *why;

	if (text == NULL)
		return SQ_EINVAL;
	if (sq_topic_tag_check(sq_bytes_of(text), &why) != 0) {
		sq_value_wrong(y->value, sq_yaml_at(y), "bad tag: %s", why);
	} else if (r->n_tags == SQ_RULE_TAGS_MAX) {
		sq_value_wrong(y->value, sq_yaml_at(y), "more than %d tags", SQ_RULE_TAGS_MAX);
		return SQ_ECLOSED;
	} else {
		r->tags = sq_xrealloc(r->tags, (r->n_tags + 1) * sizeof *r->tags);
		r->tags[r->n_tags++] = sq_xstrdup(text);
	}
	return 0;
}

static int
take_tags(struct sq_yaml *y, struct sq_publish_rule *r)
{
	int rc;

	if (y->event.type != YAML_SEQUENCE_START_EVENT)
		return take_tag(y, r);
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = take_tag(y, r)) == SQ_EINVAL) {
			sq_value_wrong(y->value, sq_yaml_at(y), "a tag must be plain text");
			rc = sq_yaml_skip(y);
		}
		if (rc != 0)
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

static int
take_property(struct sq_yaml *y, char **property)
{
	const char *text = sq_yaml_text(y);

	if (text != NULL && text[0] != '\0' && strlen(text) <= SQ_RULE_PROPERTY_MAX) {
		*property = sq_xstrdup(text);
		return 0;
	}
	sq_value_wrong(y->value, sq_yaml_at(y), "property must be a name of 1 to %d bytes",
	    SQ_RULE_PROPERTY_MAX);
	return sq_yaml_skip(y);
}

/* {property: NAME}; 'wants' is said where nothing is in it. */
static int
take_of_property(struct sq_yaml *y, char **property, const char *wants)
{
	static const char *const names[] = {"property", NULL};
	struct sq_position at = sq_yaml_at(y);
	unsigned seen = 0;
	bool any = false;
	size_t i;
	int rc;

	if (y->event.type != YAML_MAPPING_START_EVENT)
		return SQ_EINVAL;
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
		any = true;
		if ((rc = sq_yaml_key(y, names, &seen, &i)) == 0 && i != SQ_YAML_NONE)
			rc = take_property(y, property);
		if (rc != 0)
			return rc;
	}
	if (rc == 0 && !any)
		sq_value_wrong(y->value, at, "%s", wants);
	return rc;
}

/* "generated", or {property: NAME}. */
static int
take_key(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y);

	r->key_generated = text != NULL && strcmp(text, "generated") == 0;
	if (r->key_generated)
		return 0;
	return take_of_property(y, &r->key_property, "key must be generated or {property: NAME}");
}

static int
take_order_key(struct sq_yaml *y, struct sq_publish_rule *r)
{
	return take_of_property(y, &r->order_property, "order-key must be {property: NAME}");
}

static int
take_receipt(struct sq_yaml *y, struct sq_publish_rule *r)
{
	const char *text = sq_yaml_text(y), *why;

	if (text == NULL || text[0] == '\0' || strlen(text) > SQ_RULE_RECEIPT_MAX)
		return SQ_EINVAL;
	r->receipt = sq_xstrdup(text);
	if (sq_topic_name_check(sq_bytes_of(text), &why) != 0)
		sq_value_wrong(y->value, sq_yaml_at(y), "bad topic '%.64s': %s", text, why);
	else if (sq_topic_is_dead(sq_bytes_of(text)))
		sq_value_wrong(
		    y->value, sq_yaml_at(y), "bad topic '%.64s': $dead is for dead letters", text);
	else if ((why = sq_topic_reserved(sq_bytes_of(text))) != NULL)
		sq_value_wrong(y->value, sq_yaml_at(y), "bad topic '%.64s': %s", text, why);
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
    {take_order_key, "{property: NAME}"},
};
static const char *const field_names[] = {
    "filter", "qos", "retain", "tags", "ttl", "key", "receipt", "delay", "order-key", NULL};
/* In their order, as far as they are named elsewhere. */
enum field { F_FILTER, F_QOS, F_RETAIN, F_TAGS, F_TTL, F_KEY, F_RECEIPT, F_DELAY };

/* --- rules --- */

/* A rule that is being read. */
struct rule {
	struct sq_publish_rule *r;
	unsigned seen;                               /* a bit for each field */
	struct sq_position at[SQ_ARRAY_LEN(fields)]; /* of their values; else of the rule */
};

static void
rule_check(const struct rule *rule, struct sq_annotation_value *value)
{
	const struct sq_publish_rule *r = rule->r;
	struct sq_topic_filter f;
	const char *why;

	if (r->filter == NULL) {
		if ((rule->seen & 1u << F_FILTER) == 0)
			sq_value_wrong(value, rule->at[F_FILTER], "a filter is needed");
	} else if (sq_topic_filter_parse(sq_bytes_of(r->filter), &f, &why) != 0) {
		sq_value_wrong(value, rule->at[F_FILTER], "bad filter '%.64s': %s", r->filter, why);
	} else if (f.share.len != 0 || f.tag.len != 0) {
		sq_value_wrong(value, rule->at[F_FILTER],
		    "'%.64s': a rule selects by topic, without $share and $tag", r->filter);
	}
	if ((rule->seen & 1u << F_KEY) != 0 && r->qos != 3)
		sq_value_wrong(value, rule->at[F_KEY], "key needs qos: 3");
	if ((rule->seen & 1u << F_RECEIPT) != 0 && r->qos != 3)
		sq_value_wrong(value, rule->at[F_RECEIPT], "receipt needs qos: 3");
}

static struct sq_publish_rule *
rules_add(struct sq_publish_rules *rules, struct sq_position at, struct sq_annotation_value *value)
{
	if (rules->n == SQ_RULES_MAX) {
		sq_value_wrong(value, at, "more than %d rules", SQ_RULES_MAX);
		return NULL;
	}
	rules->v = sq_xrealloc(rules->v, (rules->n + 1) * sizeof *rules->v);
	rules->v[rules->n] = (struct sq_publish_rule){.qos = -1, .retain = -1};
	return &rules->v[rules->n++];
}

static int
reader_field(struct sq_yaml *y, struct rule *rule)
{
	size_t i;
	int rc = sq_yaml_key(y, field_names, &rule->seen, &i);

	if (rc != 0 || i == SQ_YAML_NONE)
		return rc;
	rule->at[i] = sq_yaml_at(y);
	rc = fields[i].take(y, rule->r);
	if (rc != SQ_EINVAL)
		return rc;
	sq_value_wrong(y->value, rule->at[i], "%s must be %s", field_names[i], fields[i].wants);
	return sq_yaml_skip(y);
}

/* An item of the list: the event is its start. */
static int
reader_rule(struct sq_yaml *y, struct sq_publish_rules *out)
{
	struct rule rule = {.r = rules_add(out, sq_yaml_at(y), y->value)};
	int rc = 0;

	if (rule.r == NULL)
		return SQ_ECLOSED;
	for (size_t i = 0; i < SQ_ARRAY_LEN(rule.at); i++)
		rule.at[i] = sq_yaml_at(y);
	if (sq_yaml_text(y) != NULL) {
		rule.r->filter = sq_xstrdup(sq_yaml_text(y));
	} else if (y->event.type != YAML_MAPPING_START_EVENT) {
		sq_value_wrong(y->value, sq_yaml_at(y), "a rule must be a filter or a map");
		return sq_yaml_skip(y);
	} else {
		while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_MAPPING_END_EVENT) {
			if ((rc = reader_field(y, &rule)) != 0)
				return rc;
		}
	}
	if (rc == 0)
		rule_check(&rule, y->value);
	return rc;
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
		if (i == SQ_YAML_NONE)
			continue;
		if (i == 1 && y->event.type == YAML_SEQUENCE_START_EVENT) {
			rc = reader_rules(y, out);
		} else if (i == 1 || sq_yaml_text(y) == NULL ||
		    sq_value_bool(sq_yaml_text(y), &out->strict) != 0) {
			sq_value_wrong(y->value, sq_yaml_at(y), "%s must be %s", names[i],
			    i == 1 ? "a list" : "true or false");
			rc = sq_yaml_skip(y);
		}
		if (rc != 0)
			return rc;
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
		sq_value_wrong(y->value, sq_yaml_at(y),
		    "a list of rules is wanted, or a map of strict and rules");
		return SQ_ECLOSED;
	}
	return rc != 0 ? rc : sq_yaml_end(y);
}

void
sq_take_publish(struct sq_annotation_value *value, struct sq_annotations *out)
{
	struct sq_yaml y;

	if (sq_yaml_open(&y, value) == 0)
		(void)reader_value(&y, &out->publish); /* what is wrong is reported */
	sq_yaml_close(&y);
}
