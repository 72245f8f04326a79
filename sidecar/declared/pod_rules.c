/* Publish rules; see pod_rules.h. */
#include "sidecar/declared/pod_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "proto/mqtt/props.h"
#include "proto/props/names.h"
#include "proto/topic/index.h"

enum { WORDS = (SQ_RULES_MAX + 63) / 64 };

struct rule {
	struct sq_index_entry entry;
	size_t place;
	const struct sq_publish_rule *r;
};

struct sq_pod_rules {
	struct sq_publish_rules from;
	struct rule *v; /* one for each of 'from' */
	struct sq_topic_index *index;
};

/* The combined options of all rules of a topic. */
struct said {
	int8_t qos, retain;
	uint32_t ttl_s, delay_s;
	const char *receipt;
	const struct sq_publish_rule *key; /* the rule that sets it */
	const char *order_property;        /* whose value is the order key */
};

struct sq_pod_rules *
sq_pod_rules_new(struct sq_publish_rules *from)
{
	struct sq_pod_rules *rules;

	if (from->n == 0 && !from->strict) {
		sq_publish_rules_free(from);
		return NULL;
	}
	rules = sq_xcalloc(1, sizeof *rules);
	rules->from = *from;
	*from = (struct sq_publish_rules){0};
	rules->v = sq_xcalloc(rules->from.n + 1, sizeof *rules->v);
	rules->index = sq_topic_index_new();
	for (size_t i = 0; i < rules->from.n; i++) {
		rules->v[i].place = i;
		rules->v[i].r = &rules->from.v[i];
		sq_topic_index_insert(rules->index, SQ_NO_TAG, sq_bytes_of(rules->from.v[i].filter),
		    &rules->v[i].entry);
	}
	return rules;
}

void
sq_pod_rules_free(struct sq_pod_rules **rp)
{
	struct sq_pod_rules *rules = *rp;

	*rp = NULL;
	if (rules == NULL)
		return;
	sq_topic_index_free(&rules->index);
	sq_publish_rules_free(&rules->from);
	free(rules->v);
	free(rules);
}

/* --- user properties of the message --- */

static bool
bytes_equal(struct sq_bytes a, struct sq_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* The value of the first user property of this name that isn't empty. */
static bool
props_find(struct sq_bytes props, const char *name, struct sq_bytes *value)
{
	struct sq_bytes key;

	while (sq_props_user_next(&props, &key, value)) {
		if (value->len != 0 && bytes_equal(key, sq_bytes_of(name)))
			return true;
	}
	return false;
}

static bool
props_has(struct sq_bytes props, const char *name, struct sq_bytes wanted)
{
	struct sq_bytes key, value;

	while (sq_props_user_next(&props, &key, &value)) {
		if (bytes_equal(key, sq_bytes_of(name)) && bytes_equal(value, wanted))
			return true;
	}
	return false;
}

static int
props_add(struct sq_lane_publish *m, struct sq_buf *props, const char *name, struct sq_bytes value)
{
	int rc;

	if (sq_buf_len(props) == 0)
		sq_buf_append(props, m->props.p, m->props.len);
	rc = sq_mqtt_user_append(props, sq_bytes_of(name), value);
	m->props = sq_buf_bytes(props);
	return rc;
}

/* Adds it unless the message says something else itself. */
static int
props_default(
    struct sq_lane_publish *m, struct sq_buf *props, const char *name, struct sq_bytes value)
{
	struct sq_bytes own;

	return props_find(m->props, name, &own) ? 0 : props_add(m, props, name, value);
}

/* Adds the value of another property of the message.  It is copied first: the view may be into
 * 'props', which moves as it grows. */
static int
props_copy(struct sq_lane_publish *m, struct sq_buf *props, const char *name, struct sq_bytes value)
{
	char *copy = sq_xmemdup0(value.p, value.len);
	int rc = props_add(
	    m, props, name, (struct sq_bytes){(const unsigned char *)copy, value.len});

	free(copy);
	return rc;
}

/* --- rules --- */

static void
rules_matched(struct sq_index_entry *e, void *arg)
{
	const struct rule *r = SQ_CONTAINER_OF(e, struct rule, entry);
	uint64_t *places = arg;

	places[r->place / 64] |= UINT64_C(1) << r->place % 64;
}

static void
said_add(struct said *s, const struct sq_publish_rule *r)
{
	if (s->qos < 0)
		s->qos = r->qos;
	if (s->retain < 0)
		s->retain = r->retain;
	if (s->ttl_s == 0)
		s->ttl_s = r->ttl_s;
	if (s->delay_s == 0)
		s->delay_s = r->delay_s;
	if (s->receipt == NULL)
		s->receipt = r->receipt;
	if (s->key == NULL && (r->key_generated || r->key_property != NULL))
		s->key = r;
	if (s->order_property == NULL)
		s->order_property = r->order_property;
}

static int
rule_tags(const struct sq_publish_rule *r, struct sq_lane_publish *m, struct sq_buf *props)
{
	int rc = 0;

	for (size_t i = 0; i < r->n_tags && rc == 0; i++) {
		struct sq_bytes tag = sq_bytes_of(r->tags[i]);

		if (!props_has(m->props, SQ_PROP_TAG, tag))
			rc = props_add(m, props, SQ_PROP_TAG, tag);
	}
	return rc;
}

/* Combines the options of the topic's rules in 's', and puts their tags on the message. */
static int
rules_collect(const struct sq_pod_rules *rules, struct said *s, struct sq_lane_publish *m,
    struct sq_buf *props)
{
	uint64_t places[WORDS] = {0};
	size_t n = sq_topic_index_match(rules->index, m->topic, rules_matched, places);
	int rc = 0;

	if (n == 0)
		return rules->from.strict ? SQ_EDENIED : 0;
	for (size_t w = 0; w < WORDS; w++) {
		for (uint64_t left = places[w]; left != 0 && rc == 0; left &= left - 1) {
			const struct rule *r = &rules->v[w * 64 + (size_t)__builtin_ctzll(left)];

			said_add(s, r->r);
			rc = rule_tags(r->r, m, props);
		}
	}
	return rc;
}

/* --- QoS 3 --- */

static int
exactly_key(const struct said *s, struct sq_lane_publish *m, struct sq_buf *props)
{
	char drawn[33];
	struct sq_bytes value;

	if (props_find(m->props, SQ_PROP_KEY, &value))
		return 0;
	if (s->key != NULL && s->key->key_property != NULL &&
	    props_find(m->props, s->key->key_property, &value))
		return props_copy(m, props, SQ_PROP_KEY, value);
	snprintf(drawn, sizeof drawn, "%016llx%016llx", (unsigned long long)sq_random_u64(),
	    (unsigned long long)sq_random_u64());
	return props_add(m, props, SQ_PROP_KEY, sq_bytes_of(drawn));
}

/* A message of QoS 2 that asks for QoS 3, by its name or by a key, or is to by a rule. */
static int
exactly_apply(const struct said *s, struct sq_lane_publish *m, struct sq_buf *props)
{
	bool named = props_has(m->props, SQ_PROP_QOS, sq_bytes_of("3"));
	struct sq_bytes key;
	int rc = 0;

	if (!named && s->qos < 3 && !props_find(m->props, SQ_PROP_KEY, &key))
		return 0;
	if (!named)
		rc = props_add(m, props, SQ_PROP_QOS, sq_bytes_of("3"));
	if (rc == 0)
		rc = exactly_key(s, m, props);
	if (rc == 0 && s->receipt != NULL)
		rc = props_default(m, props, SQ_PROP_RECEIPT, sq_bytes_of(s->receipt));
	return rc;
}

/* A message without an order key of its own gets the one that the rules say. */
static int
order_apply(const struct said *s, struct sq_lane_publish *m, struct sq_buf *props)
{
	struct sq_bytes value;

	if (s->order_property == NULL || props_find(m->props, SQ_PROP_ORDER_KEY, &value) ||
	    !props_find(m->props, s->order_property, &value))
		return 0;
	return props_copy(m, props, SQ_PROP_ORDER_KEY, value);
}

int
sq_pod_rules_apply(
    const struct sq_pod_rules *rules, struct sq_lane_publish *m, struct sq_buf *props)
{
	struct said s = {.qos = -1, .retain = -1};
	char delay[16];
	int rc = rules != NULL ? rules_collect(rules, &s, m, props) : 0;

	if (rc != 0)
		return rc;
	if (s.qos > 0)
		m->qos_least = (uint8_t)(s.qos < 2 ? s.qos : 2);
	if (s.retain >= 0)
		m->retain = s.retain != 0;
	if (s.ttl_s != 0 && s.ttl_s < m->expiry_s)
		m->expiry_s = s.ttl_s;
	if (s.delay_s != 0) {
		snprintf(delay, sizeof delay, "%u", s.delay_s);
		rc = props_default(m, props, SQ_PROP_DELAY, sq_bytes_of(delay));
	}
	if (rc == 0)
		rc = order_apply(&s, m, props);
	if (rc == 0 && sq_lane_publish_qos(m) == 2)
		rc = exactly_apply(&s, m, props);
	return rc;
}
