/* Fuzzes proto/cloudevents: an event that is read, from JSON ('S' first) or from lines of headers and
 * a body, comes out of a message as itself, and out of JSON with the same attributes and data. */
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "proto/cloudevents/cloudevents.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static struct sq_bytes
bytes_of(const struct sq_buf *b)
{
	return sq_buf_bytes(b);
}

static bool
same(struct sq_bytes a, struct sq_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static int
read_headers(struct sq_ce *ce, struct sq_bytes text, struct sq_ce_error *err)
{
	int bad = 0;

	while (bad == 0 && text.len > 0 && *text.p != '\n') {
		const unsigned char *end = memchr(text.p, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.p) : text.len;
		const unsigned char *colon = memchr(text.p, ':', len);
		size_t name = colon != NULL ? (size_t)(colon - text.p) : len;

		bad = sq_ce_header(ce, (struct sq_bytes){text.p, name},
		    (struct sq_bytes){text.p + name + (name < len), len - name - (name < len)},
		    err);
		text = (struct sq_bytes){
		    text.p + len + (end != NULL), text.len - len - (end != NULL)};
	}
	return bad != 0 ? bad : sq_ce_binary(ce, sq_bytes_of("text/plain"), text, err);
}

/* Whether two have the same attributes in the same order, but for those that ask of us. */
static void
check_same(const struct sq_ce *a, const struct sq_ce *b)
{
	struct sq_buf of_a = {0}, of_b = {0};

	sq_ce_props(a, &of_a);
	sq_ce_props(b, &of_b);
	must(sq_buf_equal(&of_a, &of_b));
	must(same(a->content_type, b->content_type) && same(a->payload, b->payload));
	sq_buf_fini(&of_a);
	sq_buf_fini(&of_b);
}

static void
check_event(const struct sq_ce *ce)
{
	struct sq_buf json = {0}, props = {0}, topic = {0};
	struct sq_ce again = {0};
	struct sq_ce_error err;
	struct sq_bytes rest = sq_ce_attributes(ce), name, value;

	must(ce->id.len > 0 && ce->source.len > 0 && ce->type.len > 0);
	while (sq_ce_next(&rest, &name, &value))
		must(sq_utf8_valid(value.p, value.len) && sq_utf8_plain(value.p, value.len));
	sq_ce_json(ce, &json);
	must(sq_ce_structured(&again, bytes_of(&json), &err) == 0);
	check_same(ce, &again);
	if (ce->content_type.len <= 65535 &&
	    sq_utf8_valid(ce->content_type.p, ce->content_type.len)) {
		sq_buf_u8(&props, 3);
		sq_buf_u16(&props, (uint16_t)ce->content_type.len);
		sq_buf_append(&props, ce->content_type.p, ce->content_type.len);
	}
	sq_ce_props(ce, &props);
	if (sq_ce_form(ce->content_type) != SQ_CE_STRUCTURED) {
		must(sq_ce_message(&again, bytes_of(&props), ce->payload) == 0);
		check_same(ce, &again);
	}
	if (sq_ce_topic(ce, "events/{ce.type}/{ce.source}/{ce.subject}", &topic) == 0)
		must(sq_topic_name_check(bytes_of(&topic), NULL) == 0);
	sq_buf_fini(&json);
	sq_buf_fini(&props);
	sq_buf_fini(&topic);
	sq_ce_fini(&again);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_ce_error err = {0};
	struct sq_ce ce = {0};
	int bad;

	if (size == 0)
		return 0;
	bad = *data == 'S' ? sq_ce_structured(&ce, (struct sq_bytes){data + 1, size - 1}, &err)
			   : read_headers(&ce, (struct sq_bytes){data, size}, &err);
	if (bad == 0)
		check_event(&ce);
	else
		must(err.why != NULL && *err.why != '\0' && ce.id.len == 0 &&
		    sq_utf8_cut(err.attribute, strlen(err.attribute), SQ_CE_SHOWN_MAX) <=
			SQ_CE_SHOWN_MAX);
	sq_ce_fini(&ce);
	return 0;
}
