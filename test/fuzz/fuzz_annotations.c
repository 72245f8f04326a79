/* The pod's annotations: the file, sqmqos.io/subscribe and sqmqos.io/publish by
 * themselves.  What is
 * refused must be refused with a reason; what is accepted must keep its rules. */
#include "proto/annotations/annotations.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/annotations/merge.h"
#include "proto/topic/topic.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static void
check_publish(int rc, const struct sq_publish_rules *rules, struct sq_buf *err)
{
	struct sq_topic_filter f;

	assert((rc == 0) == (sq_buf_len(err) == 0));
	assert(rules->n <= SQ_RULES_MAX);
	for (size_t i = 0; rc == 0 && i < rules->n; i++) {
		const struct sq_publish_rule *r = &rules->v[i];

		assert(sq_topic_filter_parse(text(r->filter), &f, NULL) == 0);
		assert(f.share.len == 0 && f.tag.len == 0);
		assert(r->qos >= -1 && r->qos <= 3 && r->retain >= -1 && r->retain <= 1);
		assert(r->n_tags <= SQ_RULE_TAGS_MAX);
		for (size_t t = 0; t < r->n_tags; t++)
			assert(sq_topic_tag_check(text(r->tags[t]), NULL) == 0);
		assert(r->receipt == NULL || sq_topic_name_check(text(r->receipt), NULL) == 0);
		assert(r->qos == 3 || (r->receipt == NULL && r->key_property == NULL));
		assert(r->key_property == NULL || !r->key_generated);
	}
}

static void
check_client_ids(int rc, const struct sq_client_ids *ids, struct sq_buf *err)
{
	assert((rc == 0) == (sq_buf_len(err) == 0));
	assert(ids->n <= SQ_CLIENT_IDS_MAX && (rc == 0 || ids->n == 0));
	for (size_t i = 0; i < ids->n; i++)
		assert(ids->v[i][0] != '\0' && strlen(ids->v[i]) <= SQ_CLIENT_ID_MAX);
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
	struct sq_publish_rules rules = {0};
	struct sq_client_ids ids;
	struct sq_buf err = {0}, out = {0};
	const char *why;

	check(sq_annotations_parse((const char *)data, size, &ds, &err), &ds, &err);
	sq_declarations_free(&ds);
	sq_buf_fini(&err);
	check(sq_annotations_subscribe((const char *)data, size, &ds, &err), &ds, &err);
	if (sq_buf_len(&err) == 0) {
		int rc = sq_annotations_merge(&ds, "w", &err);

		check(rc, &ds, &err);
		if (rc == 0) /* once merged, nothing differs */
			assert(sq_annotations_merge(&ds, "w", &err) == 0);
	}
	sq_declarations_free(&ds);
	sq_buf_fini(&err);
	check_publish(sq_annotations_publish((const char *)data, size, &rules, &err), &rules, &err);
	sq_publish_rules_free(&rules);
	sq_buf_fini(&err);
	check_client_ids(
	    sq_annotations_client_id((const char *)data, size, &ids, &err), &ids, &err);
	sq_client_ids_free(&ids);
	sq_buf_fini(&err);
	if (sq_go_unquote((const char *)data, size, &out, &why) < 0)
		assert(why != NULL);
	sq_buf_fini(&out);
	return 0;
}
