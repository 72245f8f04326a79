/* The attributes of an event: one block of user properties, checked by one table. */
#include <assert.h>
#include <string.h>

#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/cloudevents/cloudevents_priv.h"
#include "proto/mqtt/props.h"

enum of { OF_EVENT, OF_TYPE, OF_US }; /* a property of the message, its content type, or none */

/* Attributes that have rules or a place of their own.  No view (-1): only the rule. */
static const struct attribute {
	const char *name;
	size_t len;
	bool required;
	enum of of;
	const char *(*wrong)(struct sq_bytes value); /* beyond a string's */
	ptrdiff_t view;                              /* offset of a struct sq_bytes, or -1 */
} attributes[] = {
#define NAME(name) name, sizeof(name) - 1
#define VIEW(member) (ptrdiff_t) offsetof(struct sq_ce, member)
    {NAME("specversion"), true, OF_EVENT, NULL, -1},
    {NAME("id"), true, OF_EVENT, NULL, VIEW(id)},
    {NAME("source"), true, OF_EVENT, sq_ce_uri_reference_wrong, VIEW(source)},
    {NAME("type"), true, OF_EVENT, NULL, VIEW(type)},
    {NAME(SQ_CE_CONTENT_TYPE), false, OF_TYPE, sq_ce_media_type_wrong, VIEW(content_type)},
    {NAME("dataschema"), false, OF_EVENT, sq_ce_uri_wrong, -1},
    {NAME("subject"), false, OF_EVENT, NULL, VIEW(subject)},
    {NAME("time"), false, OF_EVENT, sq_ce_time_wrong, -1},
    {NAME("expirytime"), false, OF_EVENT, sq_ce_time_wrong, -1},
    {NAME("partitionkey"), false, OF_EVENT, NULL, -1},
    {NAME("sqmqostopic"), false, OF_US, NULL, VIEW(asked.topic)},
    {NAME("sqmqosttl"), false, OF_US, NULL, VIEW(asked.ttl)},
    {NAME("sqmqosdelay"), false, OF_US, NULL, VIEW(asked.delay)},
    {NAME("sqmqostags"), false, OF_US, NULL, VIEW(asked.tags)},
    {NAME("sqmqosorderkey"), false, OF_EVENT, NULL, VIEW(asked.order_key)},
#undef NAME
#undef VIEW
};
enum { KNOWN = sizeof attributes / sizeof attributes[0] };

static const struct attribute *
attribute_find(struct sq_bytes name)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (name.len == attributes[i].len &&
		    memcmp(name.p, attributes[i].name, name.len) == 0)
			return &attributes[i];
	return NULL;
}

void
sq_ce_reset(struct sq_ce *ce)
{
	struct sq_buf kept[] = {ce->attributes, ce->text, ce->data};

	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		sq_buf_drain(&kept[i], sq_buf_len(&kept[i]));
	*ce = (struct sq_ce){
	    .attributes = kept[0], .text = kept[1], .data = kept[2], .expires_ms = INT64_MAX};
}

void
sq_ce_fini(struct sq_ce *ce)
{
	sq_buf_fini(&ce->attributes);
	sq_buf_fini(&ce->text);
	sq_buf_fini(&ce->data);
	*ce = (struct sq_ce){0};
}

int
sq_ce_refuse(struct sq_ce *ce, struct sq_ce_error *err, struct sq_bytes attribute, const char *why)
{
	size_t len = sq_utf8_cut(attribute.p, attribute.len, SQ_CE_SHOWN_MAX);

	*err = (struct sq_ce_error){.why = why};
	if (len > 0)
		memcpy(err->attribute, attribute.p, len);
	sq_ce_reset(ce);
	return SQ_EINVAL;
}

struct sq_bytes
sq_ce_attributes(const struct sq_ce *ce)
{
	return sq_buf_bytes(&ce->attributes);
}

bool
sq_ce_next(struct sq_bytes *rest, struct sq_bytes *name, struct sq_bytes *value)
{
	while (sq_props_user_next(rest, name, value))
		if (!sq_bytes_are(*name, SQ_CE_CONTENT_TYPE))
			return true;
	return false;
}

bool
sq_ce_has(const struct sq_ce *ce, struct sq_bytes wanted)
{
	return sq_props_user_has(sq_ce_attributes(ce), wanted);
}

int
sq_ce_add(struct sq_ce *ce, struct sq_bytes name, struct sq_bytes value, struct sq_ce_error *err)
{
	const char *why = sq_ce_name_wrong(name);

	if (why != NULL)
		return sq_ce_refuse(ce, err, name, why);
	if (sq_ce_has(ce, name))
		return sq_ce_refuse(ce, err, name, "is there twice");
	if (ce->n == SQ_CE_ATTRIBUTES_MAX)
		return sq_ce_refuse(
		    ce, err, name, "is one more than the 64 attributes of an event");
	if (sq_mqtt_user_append(&ce->attributes, name, value) != 0)
		return sq_ce_refuse(ce, err, name, "is longer than 65535 bytes");
	ce->n++;
	return 0;
}

static const char *
attribute_wrong(const struct attribute *a, struct sq_bytes value)
{
	const char *why = sq_ce_string_wrong(value);

	if (why == NULL && a != NULL && value.len == 0)
		why = "is empty";
	if (why == NULL && a != NULL && a->wrong != NULL)
		why = a->wrong(value);
	return why;
}

static void
attribute_take(struct sq_ce *ce, const struct attribute *a, struct sq_bytes value)
{
	struct sq_bytes *view;
	int64_t ms;

	if (a->view >= 0) {
		view = (struct sq_bytes *)(void *)((char *)ce + a->view);
		*view = value;
	} else if (strcmp(a->name, "expirytime") == 0) {
		if (sq_rfc3339_read(value, &ms) == 0)
			ce->expires_ms = ms;
	} else if (strcmp(a->name, "partitionkey") == 0 && ce->asked.order_key.len == 0) {
		ce->asked.order_key = value;
	}
}

int
sq_ce_finish(struct sq_ce *ce, struct sq_ce_error *err)
{
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;
	unsigned seen = 0;

	ce->expires_ms = INT64_MAX;
	while (sq_props_user_next(&rest, &name, &value)) {
		const struct attribute *a = attribute_find(name);
		const char *why = attribute_wrong(a, value);

		if (why == NULL && sq_bytes_are(name, "specversion") && !sq_bytes_are(value, "1.0"))
			why = "is not 1.0";
		if (why != NULL)
			return sq_ce_refuse(ce, err, name, why);
		if (a != NULL) {
			seen |= 1u << (a - attributes);
			attribute_take(ce, a, value);
		}
	}
	for (size_t i = 0; i < KNOWN; i++)
		if (attributes[i].required && (seen & 1u << i) == 0)
			return sq_ce_refuse(ce, err, sq_bytes_of(attributes[i].name), "is missing");
	return 0;
}

void
sq_ce_props(const struct sq_ce *ce, struct sq_buf *out)
{
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;

	for (struct sq_bytes before = rest; sq_props_user_next(&rest, &name, &value);
	     before = rest) {
		const struct attribute *a = attribute_find(name);

		if (a == NULL || a->of == OF_EVENT)
			sq_buf_append(out, before.p, before.len - rest.len);
	}
}

struct sq_bytes
sq_ce_stray(const struct sq_ce *ce)
{
	static const char ours[] = "sqmqos";
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;

	while (sq_props_user_next(&rest, &name, &value))
		if (name.len >= sizeof ours - 1 && memcmp(name.p, ours, sizeof ours - 1) == 0 &&
		    attribute_find(name) == NULL)
			return name;
	return (struct sq_bytes){0};
}

void
sq_ce_key(const struct sq_ce *ce, struct sq_buf *out)
{
	sq_buf_append(out, ce->source.p, ce->source.len);
	sq_buf_u8(out, ' ');
	sq_buf_append(out, ce->id.p, ce->id.len);
}
