/* The pod's annotations: the file, and each annotation of the table by itself.  What is
 * refused must be refused with a reason and a place in the value; what is accepted must keep
 * its rules. */
#include "proto/annotations/annotations.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "proto/annotations/file.h"
#include "proto/annotations/merge.h"
#include "proto/annotations/quantity.h"
#include "proto/topic/topic.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static void
check_publish(const struct sq_publish_rules *rules)
{
	struct sq_topic_filter f;

	assert(rules->n <= SQ_RULES_MAX);
	for (size_t i = 0; i < rules->n; i++) {
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
check_client_ids(const struct sq_client_ids *ids)
{
	assert(ids->n <= SQ_CLIENT_IDS_MAX);
	for (size_t i = 0; i < ids->n; i++)
		assert(ids->v[i][0] != '\0' && strlen(ids->v[i]) <= SQ_CLIENT_ID_MAX);
}

static void
check_subscribe(struct sq_declarations *ds)
{
	struct sq_annotation_problems differ = {0};
	struct sq_topic_filter f;

	for (size_t i = 0; i < ds->n; i++) {
		const struct sq_declaration *d = &ds->v[i];

		assert(sq_topic_filter_parse(text(d->filter), &f, NULL) == 0);
		assert(f.share.len == 0 && f.tag.len == 0);
		assert(d->tag == NULL || sq_topic_tag_check(text(d->tag), NULL) == 0);
		assert(d->qos <= 2 && !(d->pod && (d->durable || d->group != NULL)));
	}
	assert(ds->n <= SQ_DECLARATIONS_MAX);
	/* Once merged, nothing differs. */
	sq_annotations_merge(ds, &(struct sq_merge){"w", &differ, 0});
	assert(differ.n == 0);
}

static void
check_rights(const struct sq_subscribe_rights *rights)
{
	struct sq_topic_filter f;

	assert(rights->n <= SQ_ALLOW_MAX);
	for (size_t i = 0; i < rights->n; i++) {
		assert(sq_topic_filter_parse(text(rights->allow[i]), &f, NULL) == 0);
		assert(f.share.len == 0 && f.tag.len == 0);
	}
}

static void
check_quantity(const char *s)
{
	const char *why;
	uint64_t milli;

	assert(s == NULL || sq_quantity_parse(s, strlen(s), &milli, &why) == 0);
}

static void
check_problems(int rc, const struct sq_annotation_problems *ps)
{
	assert((rc == 0) == (ps->errors == 0));
	assert(ps->n <= SQ_ANNOTATION_PROBLEMS_MAX && ps->n <= ps->errors + ps->warnings);
	for (size_t i = 0; i < ps->n; i++) {
		const char *s = ps->v[i].text;

		assert(ps->v[i].at.line >= 1 && ps->v[i].at.column >= 1);
		assert(s[0] != '\0' && strlen(s) <= SQ_ANNOTATION_PROBLEM_TEXT_MAX);
		assert(sq_utf8_valid(s, strlen(s)) && strpbrk(s, "\n\r\t\033") == NULL);
	}
}

/* Frees both. */
static void
check(int rc, struct sq_annotations *a, struct sq_annotation_problems *ps)
{
	static const struct sq_annotations nothing;

	check_problems(rc, ps);
	sq_annotation_problems_free(ps);
	if (rc != 0)
		assert(memcmp(a, &nothing, sizeof nothing) == 0);
	check_subscribe(&a->subscribe);
	check_rights(&a->rights);
	check_publish(&a->publish);
	check_client_ids(&a->client_ids);
	check_quantity(a->sidecar.cpu_request);
	check_quantity(a->sidecar.cpu_limit);
	check_quantity(a->sidecar.memory_request);
	check_quantity(a->sidecar.memory_limit);
	sq_annotations_free(a);
}

/* The downward API's file; what it has of ours is the same when it is written and read again. */
static void
fuzz_file(const char *data, size_t size)
{
	struct sq_annotation_problems problems = {0};
	struct sq_annotation_pairs pairs, again;
	struct sq_annotations a = {0};
	struct sq_buf text = {0};
	int rc = sq_annotations_file(data, size, &pairs, &problems);

	if (rc != 0) {
		assert(pairs.n == 0);
		check(rc, &a, &problems);
		return;
	}
	for (size_t i = 0; i < pairs.n; i++)
		sq_annotations_file_line(&text, &pairs.v[i]);
	assert(sq_annotations_file(
		   (char *)sq_buf_data(&text), sq_buf_len(&text), &again, &problems) == 0);
	assert(again.n == pairs.n);
	for (size_t i = 0; i < pairs.n; i++) {
		assert(strcmp(again.v[i].key, pairs.v[i].key) == 0);
		assert(again.v[i].len == pairs.v[i].len);
		assert(memcmp(again.v[i].value, pairs.v[i].value, pairs.v[i].len) == 0);
	}
	sq_buf_fini(&text);
	sq_annotation_pairs_free(&again);
	rc = sq_annotations_check(pairs.v, pairs.n, SQ_ANNOTATIONS_OF_SIDECAR, "w", &a, &problems);
	check(rc, &a, &problems);
	sq_annotation_pairs_free(&pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_annotation_problems problems = {0};
	struct sq_annotations a;
	struct sq_buf out = {0};
	const char *why;
	int rc;

	fuzz_file((const char *)data, size);
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		struct sq_annotation pair = {sq_annotation_defs[i].key, (const char *)data, size};

		rc = sq_annotations_check(&pair, 1, SQ_ANNOTATIONS_OF_POD, "w", &a, &problems);
		check(rc, &a, &problems);
	}
	if (sq_go_unquote((const char *)data, size, &out, &why) < 0)
		assert(why != NULL);
	sq_buf_fini(&out);
	return 0;
}
