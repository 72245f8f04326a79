/* Any text as a template, with any topic and property: it is refused with a reason, or what it gives is
 * good where it goes, and every filter that matches that topic was said to be one that may.
 *
 * The input: place and whose message it is (1), then template, filter, topic, key, a header, and the
 * property block, with NULs between. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/mapping/mapping.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the bytes up to the next NUL off. */
static struct sq_bytes
take(struct sq_bytes *rest)
{
	const uint8_t *nul = rest->len > 0 ? memchr(rest->p, '\0', rest->len) : NULL;
	struct sq_bytes one = {rest->p, nul != NULL ? (size_t)(nul - rest->p) : rest->len};

	rest->p += one.len + (nul != NULL);
	rest->len -= one.len + (nul != NULL);
	return one;
}

static void
filled(const char *tmpl, enum sq_mapping_place place, struct sq_bytes filter, struct sq_bytes out)
{
	char *text = sq_xmemdup0(filter.p, filter.len);
	struct sq_buf all = {0};
	struct sq_topic_filter f;

	assert(out.len > 0 || place == SQ_MAPPING_HEADER || place == SQ_MAPPING_TEXT);
	assert(sq_utf8_valid(out.p, out.len));
	for (size_t i = 0; place != SQ_MAPPING_TOPIC && i < out.len; i++)
		assert(out.p[i] >= ' ' && (out.p[i] < 0x7f || place == SQ_MAPPING_TEXT));
	if (place == SQ_MAPPING_TOPIC) {
		assert(sq_topic_name_check(out, NULL) == SQ_OK && sq_topic_closed(out) == NULL);
		sq_mapping_filter(tmpl, &all);
		assert(out.p[0] == '$' || sq_topic_match(sq_buf_bytes(&all), out));
		if (sq_topic_filter_parse(filter, &f, NULL) == SQ_OK && f.tag.len == 0 &&
		    f.share.len == 0 && sq_topic_match(filter, out))
			assert(sq_mapping_may_match(tmpl, "shop", "billing", text));
	}
	sq_buf_fini(&all);
	free(text);
}

static struct sq_bytes
header_of(const void *arg, struct sq_bytes name)
{
	assert(name.len > 0);
	return *(const struct sq_bytes *)arg;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_bytes rest = {data + (size > 0), size - (size > 0)}, header;
	enum sq_mapping_place place = size > 0 ? data[0] % 4 : 0;
	enum sq_mapping_of of = size > 0 ? data[0] / 4 % 2 : 0;
	struct sq_bytes head = take(&rest), filter = take(&rest);
	struct sq_mapping_from from = {.topic = take(&rest),
	    .key = take(&rest),
	    .header = header_of,
	    .arg = &header,
	    .space = "shop",
	    .queue = "billing"};
	char *tmpl = sq_xmemdup0(head.p, head.len);
	struct sq_buf out = {0}, why = {0};

	header = take(&rest);
	from.props = rest;
	if (sq_mapping_check(tmpl, place, of, &why) != SQ_OK) {
		assert(sq_buf_len(&why) > 0);
	} else if (sq_utf8_valid(from.topic.p, from.topic.len) && from.topic.len > 0) {
		assert(sq_buf_len(&why) == 0);
		if (sq_mapping_fill(tmpl, place, &from, &out, &why) == SQ_OK)
			filled(tmpl, place, filter, sq_buf_bytes(&out));
		else
			assert(sq_buf_len(&out) == 0 && sq_buf_len(&why) > 0);
	}
	free(tmpl);
	sq_buf_fini(&out);
	sq_buf_fini(&why);
	return 0;
}
