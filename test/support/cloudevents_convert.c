/* Takes an event in one form of HTTP and gives it in the other, by way of the message that a broker
 * keeps; test_cloudevents.py compares it with the standard's SDK.
 *
 * "S" and JSON in: the headers, a line each, an empty line and the body out.  "H" and those in: JSON
 * out.  "!ATTRIBUTE: WHY": it is no event. */
#include <string.h>

#include "asked.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/mqtt/props.h"

static struct sq_bytes
bytes_of(const struct sq_buf *b)
{
	return sq_buf_bytes(b);
}

/* Takes a line without its end off 'rest'. */
static struct sq_bytes
line(struct sq_bytes *rest)
{
	const unsigned char *end = memchr(rest->p, '\n', rest->len);
	struct sq_bytes out = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->len};
	size_t used = out.len + (end != NULL);

	*rest = (struct sq_bytes){rest->p + used, rest->len - used};
	return out;
}

static int
read_headers(struct sq_ce *ce, struct sq_bytes text, struct sq_ce_error *err)
{
	struct sq_bytes type = {0};
	int bad = 0;

	while (bad == 0 && text.len > 0) {
		struct sq_bytes name = line(&text), value;
		const unsigned char *colon = name.len > 0 ? memchr(name.p, ':', name.len) : NULL;

		if (colon == NULL)
			break;
		value = (struct sq_bytes){colon + 1, (size_t)(name.p + name.len - colon - 1)};
		name.len = (size_t)(colon - name.p);
		if (sq_bytes_are(name, "content-type"))
			type = value;
		else
			bad = sq_ce_header(ce, name, value, err);
	}
	return bad != 0 ? bad : sq_ce_binary(ce, type, text, err);
}

static void
write_headers(const struct sq_ce *ce, struct sq_buf *out)
{
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;

	while (sq_ce_next(&rest, &name, &value)) {
		sq_buf_printf(out, SQ_CE_HEADER_PREFIX "%.*s:", (int)name.len, name.p);
		sq_ce_header_value(out, value);
		sq_buf_u8(out, '\n');
	}
	if (ce->content_type.len > 0)
		sq_buf_printf(
		    out, "content-type:%.*s\n", (int)ce->content_type.len, ce->content_type.p);
	sq_buf_u8(out, '\n');
	sq_buf_append(out, ce->payload.p, ce->payload.len);
}

/* The event as a message's property block and payload have it. */
static int
by_message(const struct sq_ce *ce, struct sq_ce *out)
{
	struct sq_buf props = {0};
	int err;

	if (ce->content_type.len > 0) {
		sq_buf_u8(&props, SQ_MQTT_PROP_CONTENT_TYPE);
		sq_buf_u16(&props, (uint16_t)ce->content_type.len);
		sq_buf_append(&props, ce->content_type.p, ce->content_type.len);
	}
	sq_ce_props(ce, &props);
	err = sq_ce_message(out, bytes_of(&props), ce->payload);
	sq_buf_fini(&props);
	return err;
}

static void
convert(struct sq_bytes text, struct sq_buf *out)
{
	bool structured = text.len > 0 && *text.p == 'S';
	struct sq_ce ce = {0}, kept = {0};
	struct sq_ce_error err;
	int bad;

	text = (struct sq_bytes){text.p + 1, text.len - 1};
	bad = structured ? sq_ce_structured(&ce, text, &err) : read_headers(&ce, text, &err);
	if (bad != 0)
		sq_buf_printf(out, "!%s: %s", err.attribute, err.why);
	else if (by_message(&ce, &kept) != 0)
		sq_buf_printf(out, "!the message is no event");
	else if (structured)
		write_headers(&kept, out);
	else
		sq_ce_json(&kept, out);
	sq_ce_fini(&ce);
	sq_ce_fini(&kept);
}

int
main(void)
{
	return asked_by_pipes(convert);
}
