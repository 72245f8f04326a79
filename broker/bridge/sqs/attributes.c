#include "broker/bridge/sqs/attributes.h"

#include <string.h>

#include "core/base64.h"

/* Appends the value of an attribute that is an object; SQ_EINVAL: it has none. */
static int
attribute_value(const struct sq_json_tokens *t, uint32_t at, bool *binary, struct sq_buf *out)
{
	static const char *const names[] = {"StringValue", "BinaryValue"};
	struct sq_json_error err;
	struct sq_buf text = {0};
	uint32_t f[2];
	int rc = SQ_OK;

	if (t->at[at].type != SQ_JSON_OBJECT || sq_json_members(t, at, names, 2, f, &err) != SQ_OK)
		return SQ_EINVAL;
	*binary = f[0] == 0 || t->at[f[0]].type != SQ_JSON_STRING;
	if (!*binary) {
		sq_json_unescape(t, f[0], out);
		return SQ_OK;
	}
	if (f[1] == 0 || t->at[f[1]].type != SQ_JSON_STRING)
		return SQ_EINVAL;
	sq_json_unescape(t, f[1], &text);
	rc = sq_base64_take(out, (const char *)sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return rc;
}

static int
attribute_add(
    const struct sq_json_tokens *t, uint32_t name, bool system, struct sq_sqs_attributes *out)
{
	struct sq_sqs_attribute *a = &out->v[out->n];
	uint32_t value = name + 1;

	if (out->n == SQ_SQS_ATTRIBUTES_MAX)
		return SQ_EINVAL;
	*a = (struct sq_sqs_attribute){.name = sq_buf_len(&out->text), .system = system};
	sq_json_unescape(t, name, &out->text);
	a->value = sq_buf_len(&out->text);
	a->name_len = a->value - a->name;
	if (system && t->at[value].type == SQ_JSON_STRING)
		sq_json_unescape(t, value, &out->text);
	else if (system || attribute_value(t, value, &a->binary, &out->text) != SQ_OK)
		return SQ_EINVAL;
	a->value_len = sq_buf_len(&out->text) - a->value;
	out->n++;
	return SQ_OK;
}

static int
attributes_take(
    const struct sq_json_tokens *t, uint32_t object, bool system, struct sq_sqs_attributes *out)
{
	if (object == 0)
		return SQ_OK;
	for (uint32_t i = sq_json_first(t, object); i != 0; i = sq_json_next(t, object, i + 1))
		if (attribute_add(t, i, system, out) != SQ_OK)
			return SQ_EINVAL;
	return SQ_OK;
}

int
sq_sqs_attributes_read(
    const struct sq_sqs_messages *m, const struct sq_sqs_received *r, struct sq_sqs_attributes *out)
{
	int rc = attributes_take(&m->tokens, r->attributes, false, out);

	return rc == SQ_OK ? attributes_take(&m->tokens, r->system, true, out) : rc;
}

struct sq_bytes
sq_sqs_attribute_name(const struct sq_sqs_attributes *all, const struct sq_sqs_attribute *a)
{
	return (struct sq_bytes){sq_buf_data(&all->text) + a->name, a->name_len};
}

struct sq_bytes
sq_sqs_attribute_value(const struct sq_sqs_attributes *all, const struct sq_sqs_attribute *a)
{
	return (struct sq_bytes){sq_buf_data(&all->text) + a->value, a->value_len};
}

struct sq_bytes
sq_sqs_attribute_find(const struct sq_sqs_attributes *all, struct sq_bytes name)
{
	for (size_t i = 0; i < all->n; i++) {
		struct sq_bytes n = sq_sqs_attribute_name(all, &all->v[i]);

		if (n.len == name.len && n.len > 0 && memcmp(n.p, name.p, n.len) == 0)
			return sq_sqs_attribute_value(all, &all->v[i]);
	}
	return (struct sq_bytes){0};
}

void
sq_sqs_attributes_fini(struct sq_sqs_attributes *a)
{
	sq_buf_fini(&a->text);
}
