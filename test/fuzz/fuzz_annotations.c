/* The pod's annotations: the file, and sqmqos.io/subscribe by itself.  What is
 * refused must be refused with a reason; what is accepted must keep its rules. */
#include "proto/annotations/annotations.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/topic/topic.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static void
check(int rc, const struct sq_declarations *ds, struct sq_buf *err)
{
	struct sq_topic_filter f;

	assert((rc == 0) == (sq_buf_len(err) == 0));
	for (size_t i = 0; rc == 0 && i < ds->n; i++) {
		const struct sq_declaration *d = &ds->v[i];

		assert(sq_topic_filter_parse(text(d->filter), &f, NULL) == 0);
		assert(f.share.len == 0 && f.tag.len == 0);
		assert(d->tag == NULL || sq_topic_tag_check(text(d->tag), NULL) == 0);
		assert(d->qos <= 2 && !(d->pod && (d->durable || d->group != NULL)));
	}
	assert(ds->n <= SQ_DECLARATIONS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_declarations ds = {0};
	struct sq_buf err = {0}, out = {0};
	const char *why;

	check(sq_annotations_parse((const char *)data, size, &ds, &err), &ds, &err);
	sq_declarations_free(&ds);
	sq_buf_fini(&err);
	check(sq_annotations_subscribe((const char *)data, size, &ds, &err), &ds, &err);
	sq_declarations_free(&ds);
	sq_buf_fini(&err);
	if (sq_go_unquote((const char *)data, size, &out, &why) < 0)
		assert(why != NULL);
	sq_buf_fini(&out);
	return 0;
}
