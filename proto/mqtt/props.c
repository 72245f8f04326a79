/* MQTT 5 properties (§2.2.2): decoding into the struct, walking the encoded
 * form, copying what is forwarded, and encoding.  All from the one table. */
#include "proto/mqtt/props.h"

#include <string.h>

#include "proto/mqtt/mqtt_priv.h"

/* Properties of which a PUBLISH has several. */
#define MANY (SQ_MQTT_HAS(SQ_MQTT_PROP_USER_PROPERTY) | SQ_MQTT_HAS(SQ_MQTT_PROP_SUBSCRIPTION_ID))

const struct sq_mqtt_props sq_mqtt_props_none = {
    .forwardable = true,
    .request_problem_info = 1,
    .maximum_qos = 2,
    .retain_available = 1,
    .wildcard_available = 1,
    .subscription_id_available = 1,
    .shared_available = 1,
    .receive_maximum = 65535,
    .expiry_s = SQ_MSG_NO_EXPIRY,
    .maximum_packet_size = UINT32_MAX,
};

uint32_t
sq_mqtt_read_varint(struct sq_reader *r)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < SQ_MQTT_VARINT_MAX; i++) {
		uint8_t byte = sq_read8(r);

		if (r->bad)
			return 0;
		v |= (uint32_t)(byte & 0x7f) << 7 * i;
		if (byte < 0x80) {
			r->bad = i > 0 && byte == 0;
			return v;
		}
	}
	r->bad = true;
	return 0;
}

static struct sq_bytes
prop_read_bytes(struct sq_reader *r)
{
	size_t len = sq_read16(r);

	return (struct sq_bytes){sq_read_bytes(r, len), len};
}

/* Reads one property's identifier and value.  Returns its row; NULL if the
 * identifier is unknown or the value doesn't fit in (then r->bad is set). */
static const struct sq_mqtt_prop_def *
prop_read(struct sq_reader *r, struct sq_mqtt_prop *out)
{
	const unsigned char *start = r->p;
	const struct sq_mqtt_prop_def *def = sq_mqtt_prop_def(sq_read8(r));

	if (def == NULL)
		return NULL;
	*out = (struct sq_mqtt_prop){.id = def->id, .forward = def->forward};
	switch (def->type) {
	case MQTT_BYTE:
		out->num = sq_read8(r);
		break;
	case MQTT_U16:
		out->num = sq_read16(r);
		break;
	case MQTT_U32:
		out->num = sq_read32(r);
		break;
	case MQTT_VARINT:
		out->num = sq_mqtt_read_varint(r);
		break;
	case MQTT_PAIR:
		out->key = prop_read_bytes(r);
		out->value = prop_read_bytes(r);
		break;
	case MQTT_STRING:
	case MQTT_BINARY:
		out->value = prop_read_bytes(r);
		break;
	}
	out->whole = (struct sq_bytes){start, (size_t)(r->p - start)};
	return r->bad ? NULL : def;
}

bool
sq_mqtt_prop_next(struct sq_bytes *rest, struct sq_mqtt_prop *out)
{
	struct sq_reader r;

	if (rest->len == 0)
		return false;
	r = sq_reader(rest->p, rest->len);
	if (prop_read(&r, out) == NULL) {
		rest->len = 0;
		return false;
	}
	*rest = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return true;
}

bool
sq_mqtt_user_next(struct sq_bytes *rest, struct sq_bytes *key, struct sq_bytes *value)
{
	struct sq_mqtt_prop prop;

	while (sq_mqtt_prop_next(rest, &prop)) {
		if (prop.id == SQ_MQTT_PROP_USER_PROPERTY) {
			*key = prop.key;
			*value = prop.value;
			return true;
		}
	}
	return false;
}

int
sq_mqtt_user_append(struct sq_buf *b, struct sq_bytes key, struct sq_bytes value)
{
	unsigned char *p;

	if (key.len > SQ_MQTT_STRING_MAX || value.len > SQ_MQTT_STRING_MAX)
		return SQ_ETOOBIG;
	p = sq_buf_reserve(b, 5 + key.len + value.len);
	*p++ = SQ_MQTT_PROP_USER_PROPERTY;
	p = sq_mqtt_string_write(p, key);
	sq_mqtt_string_write(p, value);
	sq_buf_commit(b, 5 + key.len + value.len);
	return 0;
}

int
sq_mqtt_prop_append(struct sq_buf *b, enum sq_mqtt_prop_id id, struct sq_bytes value)
{
	unsigned char *p;

	if (value.len > SQ_MQTT_STRING_MAX)
		return SQ_ETOOBIG;
	if (value.len == 0)
		return 0;
	p = sq_buf_reserve(b, 3 + value.len);
	*p++ = (unsigned char)id;
	sq_mqtt_string_write(p, value);
	sq_buf_commit(b, 3 + value.len);
	return 0;
}

/* Checks a value by its own rules: range, UTF-8, topic name. */
static int
prop_check(
    struct sq_mqtt_decoder *d, const struct sq_mqtt_prop_def *def, const struct sq_mqtt_prop *prop)
{
	if (def->max != 0 && (prop->num < def->min || prop->num > def->max))
		return sq_mqtt_fail(d,
		    def->id == SQ_MQTT_PROP_TOPIC_ALIAS ? SQ_MQTT_RC_TOPIC_ALIAS_INVALID
							: SQ_MQTT_RC_PROTOCOL_ERROR,
		    def->range);
	if (def->type == MQTT_STRING || def->type == MQTT_PAIR) {
		if (!sq_utf8_valid(prop->value.p, prop->value.len) ||
		    !sq_utf8_valid(prop->key.p, prop->key.len))
			return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, def->string);
	}
	if (def->id == SQ_MQTT_PROP_RESPONSE_TOPIC) {
		if (prop->value.len == 0)
			return sq_mqtt_fail(
			    d, SQ_MQTT_RC_PROTOCOL_ERROR, "Response Topic is empty (MQTT 4.7.3)");
		if (d->plain && !sq_utf8_plain(prop->value.p, prop->value.len))
			return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, SQ_MQTT_NOT_PLAIN);
		if (sq_mqtt_has_wildcard(prop->value))
			return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR,
			    "Response Topic with a wildcard (MQTT 3.3.2.3.5)");
	}
	return 0;
}

/* Puts a value into its field. */
static void
prop_store(
    const struct sq_mqtt_prop_def *def, const struct sq_mqtt_prop *prop, struct sq_mqtt_props *out)
{
	unsigned char *field = (unsigned char *)out + def->offset;
	uint16_t num16 = (uint16_t)prop->num;

	switch (def->type) {
	case MQTT_BYTE:
		*field = (unsigned char)prop->num;
		break;
	case MQTT_U16:
		memcpy(field, &num16, sizeof num16);
		break;
	case MQTT_U32:
	case MQTT_VARINT:
		memcpy(field, &prop->num, sizeof prop->num);
		break;
	case MQTT_STRING:
	case MQTT_BINARY:
		memcpy(field, &prop->value, sizeof prop->value);
		break;
	case MQTT_PAIR:
		break; /* reached through 'raw' */
	}
}

/* Whether 'type' from 'sender' may have this property, and how often. */
static int
prop_place(struct sq_mqtt_decoder *d, const struct sq_mqtt_prop_def *def, unsigned type,
    const struct sq_mqtt_props *out)
{
	bool client = sq_mqtt_sender(d) == SQ_MQTT_CLIENT;
	unsigned bit = SQ_MQTT_BIT(type);
	uint64_t has = SQ_MQTT_HAS(def->id);

	if (((def->client | def->server) & bit) == 0)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED, def->misplaced);
	if (((client ? def->client : def->server) & bit) == 0)
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR, def->misplaced);
	if ((out->has & has) != 0 && def->type != MQTT_PAIR &&
	    !(type == SQ_MQTT_PUBLISH && (has & MANY) != 0))
		return sq_mqtt_fail(d, SQ_MQTT_RC_PROTOCOL_ERROR, def->twice);
	return 0;
}

int
sq_mqtt_props_read(
    struct sq_mqtt_decoder *d, struct sq_reader *r, unsigned type, struct sq_mqtt_props *out)
{
	const struct sq_mqtt_prop_def *def;
	struct sq_mqtt_prop prop;
	struct sq_reader in;
	uint32_t len = sq_mqtt_read_varint(r);
	const unsigned char *p = sq_read_bytes(r, len);
	int rc;

	*out = sq_mqtt_props_none;
	if (r->bad)
		return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
		    "property length is wrong or beyond the packet (MQTT 2.2.2.1)");
	if (len == 0)
		return 0;
	out->raw = (struct sq_bytes){p, len};
	in = sq_reader(p, len);
	while (sq_reader_left(&in) > 0) {
		def = prop_read(&in, &prop);
		if (def == NULL)
			return sq_mqtt_fail(d, SQ_MQTT_RC_MALFORMED,
			    in.bad ? "property is cut off or wrongly encoded (MQTT 2.2.2.2)"
				   : "unknown property identifier (MQTT 2.2.2.2)");
		rc = prop_place(d, def, type, out);
		if (rc == 0)
			rc = prop_check(d, def, &prop);
		if (rc != 0)
			return rc;
		if ((out->has & SQ_MQTT_HAS(def->id)) == 0)
			prop_store(def, &prop, out);
		out->has |= SQ_MQTT_HAS(def->id);
		out->forwardable = out->forwardable && def->forward;
	}
	return 0;
}

size_t
sq_mqtt_props_forward(struct sq_bytes raw, unsigned char *out)
{
	struct sq_mqtt_prop prop;
	unsigned char *p = out;

	while (sq_mqtt_prop_next(&raw, &prop)) {
		if (prop.forward) {
			memcpy(p, prop.whole.p, prop.whole.len);
			p += prop.whole.len;
		}
	}
	return (size_t)(p - out);
}

int
sq_mqtt_props_check(struct sq_bytes block)
{
	struct sq_mqtt_decoder d = {.role = SQ_MQTT_SERVER, .version = SQ_MQTT_V5};
	const struct sq_mqtt_prop_def *def;
	struct sq_mqtt_prop prop;
	uint64_t has = 0;

	while (block.len > 0) {
		if (!sq_mqtt_prop_next(&block, &prop) || !prop.forward)
			return SQ_EINVAL;
		def = sq_mqtt_prop_def(prop.id);
		if (def->type != MQTT_PAIR && (has & SQ_MQTT_HAS(prop.id)) != 0)
			return SQ_EINVAL;
		has |= SQ_MQTT_HAS(prop.id);
		if (prop_check(&d, def, &prop) != 0)
			return SQ_EINVAL;
	}
	return 0;
}

/* Whether 'prop' of 'raw' is one that the encoder takes from there: 'first'
 * tells and remembers whether a subscription identifier went by. */
static bool
prop_repeats(const struct sq_mqtt_prop *prop, uint64_t has, bool *first)
{
	if ((has & SQ_MQTT_HAS(prop->id) & MANY) == 0)
		return false;
	if (prop->id == SQ_MQTT_PROP_SUBSCRIPTION_ID && *first) {
		*first = false; /* that is the field's */
		return false;
	}
	return true;
}

/* Encoded size of one field, SIZE_MAX if it is too long. */
static size_t
prop_size(const struct sq_mqtt_prop_def *def, const struct sq_mqtt_props *props)
{
	const unsigned char *field = (const unsigned char *)props + def->offset;
	struct sq_bytes bytes;
	uint32_t num;

	switch (def->type) {
	case MQTT_BYTE:
		return 2;
	case MQTT_U16:
		return 3;
	case MQTT_U32:
		return 5;
	case MQTT_VARINT:
		memcpy(&num, field, sizeof num);
		return num <= SQ_MQTT_MAX_REMAINING ? 1 + sq_mqtt_varint_size(num) : SIZE_MAX;
	case MQTT_STRING:
	case MQTT_BINARY:
		memcpy(&bytes, field, sizeof bytes);
		return bytes.len <= SQ_MQTT_STRING_MAX ? 3 + bytes.len : SIZE_MAX;
	case MQTT_PAIR:
		break;
	}
	return 0;
}

static unsigned char *
prop_write(unsigned char *p, const struct sq_mqtt_prop_def *def, const struct sq_mqtt_props *props)
{
	const unsigned char *field = (const unsigned char *)props + def->offset;
	struct sq_bytes bytes;
	uint32_t num;
	uint16_t num16;

	if (def->type == MQTT_PAIR)
		return p;
	*p++ = def->id;
	switch (def->type) {
	case MQTT_BYTE:
		*p = *field;
		return p + 1;
	case MQTT_U16:
		memcpy(&num16, field, sizeof num16);
		sq_put16(p, num16);
		return p + 2;
	case MQTT_U32:
		memcpy(&num, field, sizeof num);
		sq_put32(p, num);
		return p + 4;
	case MQTT_VARINT:
		memcpy(&num, field, sizeof num);
		return sq_mqtt_varint_write(p, num);
	default:
		memcpy(&bytes, field, sizeof bytes);
		return sq_mqtt_string_write(p, bytes);
	}
}

size_t
sq_mqtt_props_size(const struct sq_mqtt_props *props)
{
	struct sq_bytes rest = props->raw;
	struct sq_mqtt_prop prop;
	bool first = true;
	size_t size = 0, n;

	for (uint64_t has = props->has; has != 0; has &= has - 1) {
		const struct sq_mqtt_prop_def *def = sq_mqtt_prop_def(
		    (uint8_t)__builtin_ctzll(has));

		n = def != NULL ? prop_size(def, props) : 0;
		if (n == SIZE_MAX)
			return SIZE_MAX;
		size += n;
	}
	while ((props->has & MANY) != 0 && sq_mqtt_prop_next(&rest, &prop)) {
		if (prop_repeats(&prop, props->has, &first))
			size += prop.whole.len;
	}
	return size;
}

unsigned char *
sq_mqtt_props_write(unsigned char *p, const struct sq_mqtt_props *props)
{
	struct sq_bytes rest = props->raw;
	struct sq_mqtt_prop prop;
	bool first = true;

	for (uint64_t has = props->has; has != 0; has &= has - 1) {
		const struct sq_mqtt_prop_def *def = sq_mqtt_prop_def(
		    (uint8_t)__builtin_ctzll(has));

		if (def != NULL)
			p = prop_write(p, def, props);
	}
	while ((props->has & MANY) != 0 && sq_mqtt_prop_next(&rest, &prop)) {
		if (prop_repeats(&prop, props->has, &first)) {
			memcpy(p, prop.whole.p, prop.whole.len);
			p += prop.whole.len;
		}
	}
	return p;
}
