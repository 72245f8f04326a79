#include "broker/bridge/amqp/field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/map_in.h"
#include "core/base64.h"
#include "core/rfc3339.h"
#include "core/utf8.h"
#include "proto/json/write.h"

#define SECONDS_MAX UINT64_C(253402300799) /* the year 9999's last */

const amqp_field_value_t *
sq_amqp_find(const amqp_table_t *t, struct sq_bytes name)
{
	for (int i = 0; i < t->num_entries; i++) {
		const amqp_table_entry_t *e = &t->entries[i];

		if (e->key.len == name.len && memcmp(e->key.bytes, name.p, name.len) == 0)
			return &e->value;
	}
	return NULL;
}

bool
sq_amqp_is_scalar(const amqp_field_value_t *v)
{
	return v->kind != AMQP_FIELD_KIND_TABLE && v->kind != AMQP_FIELD_KIND_ARRAY;
}

static void
field_integer(const amqp_field_value_t *v, struct sq_buf *out)
{
	long long n;

	switch (v->kind) {
	case AMQP_FIELD_KIND_I8:
		n = (int)v->value.i8;
		break;
	case AMQP_FIELD_KIND_U8:
		n = v->value.u8;
		break;
	case AMQP_FIELD_KIND_I16:
		n = v->value.i16;
		break;
	case AMQP_FIELD_KIND_U16:
		n = v->value.u16;
		break;
	case AMQP_FIELD_KIND_I32:
		n = v->value.i32;
		break;
	case AMQP_FIELD_KIND_U32:
		n = v->value.u32;
		break;
	case AMQP_FIELD_KIND_U64:
		sq_buf_printf(out, "%llu", (unsigned long long)v->value.u64);
		return;
	default:
		n = v->value.i64;
		break;
	}
	sq_buf_printf(out, "%lld", n);
}

/* The shortest text that is read back as the same number. */
static void
field_real(double d, int digits, int digits_max, struct sq_buf *out)
{
	char text[400]; /* the bound that a compiler sees */

	if (!isfinite(d)) {
		sq_buf_printf(out, "null");
		return;
	}
	for (; digits < digits_max; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (digits_max > 9 ? strtod(text, NULL) == d : strtof(text, NULL) == (float)d)
			break;
	}
	sq_buf_printf(out, "%.*g", digits, d);
}

/* Its value is signed, as RabbitMQ has it. */
static void
field_decimal(const amqp_decimal_t *d, struct sq_buf *out)
{
	if (d->decimals == 0)
		sq_buf_printf(out, "%d", (int32_t)d->value);
	else
		sq_buf_printf(out, "%de-%u", (int32_t)d->value, d->decimals);
}

static void
field_instant(uint64_t seconds, struct sq_buf *out)
{
	char text[SQ_RFC3339_MAX];

	if (seconds > SECONDS_MAX) {
		sq_buf_printf(out, "%llu", (unsigned long long)seconds);
		return;
	}
	sq_rfc3339_write((int64_t)seconds * 1000, text);
	sq_buf_printf(out, "%s", text);
}

static void
field_bytes(const amqp_field_value_t *v, struct sq_buf *out)
{
	struct sq_bytes b = sq_amqp_bytes(v->value.bytes);

	if (v->kind == AMQP_FIELD_KIND_BYTES && !sq_utf8_valid(b.p, b.len))
		sq_base64_put(out, b.p, b.len);
	else
		sq_utf8_mend(out, b.p, b.len);
}

/* SQ_EINVAL: of no kind that is known, or no scalar. */
static int
field_scalar(const amqp_field_value_t *v, struct sq_buf *out)
{
	switch (v->kind) {
	case AMQP_FIELD_KIND_BOOLEAN:
		sq_buf_printf(out, "%s", v->value.boolean ? "true" : "false");
		return SQ_OK;
	case AMQP_FIELD_KIND_F32:
		field_real((double)v->value.f32, 6, 9, out);
		return SQ_OK;
	case AMQP_FIELD_KIND_F64:
		field_real(v->value.f64, 15, 17, out);
		return SQ_OK;
	case AMQP_FIELD_KIND_DECIMAL:
		field_decimal(&v->value.decimal, out);
		return SQ_OK;
	case AMQP_FIELD_KIND_TIMESTAMP:
		field_instant(v->value.u64, out);
		return SQ_OK;
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		field_bytes(v, out);
		return SQ_OK;
	case AMQP_FIELD_KIND_VOID:
		return SQ_OK;
	case AMQP_FIELD_KIND_I8:
	case AMQP_FIELD_KIND_U8:
	case AMQP_FIELD_KIND_I16:
	case AMQP_FIELD_KIND_U16:
	case AMQP_FIELD_KIND_I32:
	case AMQP_FIELD_KIND_U32:
	case AMQP_FIELD_KIND_I64:
	case AMQP_FIELD_KIND_U64:
		field_integer(v, out);
		return SQ_OK;
	default:
		return SQ_EINVAL;
	}
}

static int field_json(const amqp_field_value_t *, unsigned depth, struct sq_buf *out);

static int
field_json_table(const amqp_table_t *t, unsigned depth, struct sq_buf *out)
{
	int rc = SQ_OK;

	sq_json_put_raw(out, "{");
	for (int i = 0; i < t->num_entries && rc == SQ_OK; i++) {
		if (i > 0)
			sq_json_put_raw(out, ",");
		sq_json_put_string(out, sq_amqp_bytes(t->entries[i].key));
		sq_json_put_raw(out, ":");
		rc = field_json(&t->entries[i].value, depth, out);
	}
	sq_json_put_raw(out, "}");
	return rc;
}

static int
field_json_array(const amqp_array_t *a, unsigned depth, struct sq_buf *out)
{
	int rc = SQ_OK;

	sq_json_put_raw(out, "[");
	for (int i = 0; i < a->num_entries && rc == SQ_OK; i++) {
		if (i > 0)
			sq_json_put_raw(out, ",");
		rc = field_json(&a->entries[i], depth, out);
	}
	sq_json_put_raw(out, "]");
	return rc;
}

static int
field_json(const amqp_field_value_t *v, unsigned depth, struct sq_buf *out)
{
	struct sq_buf text = {0};
	int rc;

	if (depth == SQ_AMQP_DEPTH_MAX)
		return SQ_EINVAL;
	switch (v->kind) {
	case AMQP_FIELD_KIND_TABLE:
		return field_json_table(&v->value.table, depth + 1, out);
	case AMQP_FIELD_KIND_ARRAY:
		return field_json_array(&v->value.array, depth + 1, out);
	case AMQP_FIELD_KIND_VOID:
		sq_json_put_raw(out, "null");
		return SQ_OK;
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
	case AMQP_FIELD_KIND_TIMESTAMP:
		rc = field_scalar(v, &text);
		sq_json_put_string(out, sq_buf_bytes(&text));
		sq_buf_fini(&text);
		return rc;
	default:
		return field_scalar(v, out);
	}
}

int
sq_amqp_field_text(const amqp_field_value_t *v, struct sq_buf *out)
{
	return sq_amqp_is_scalar(v) ? field_scalar(v, out) : field_json(v, 0, out);
}
