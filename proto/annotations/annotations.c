/* The check of a pod's annotations: one by one by their table, then against each other. */
#include "proto/annotations/annotations.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/annotations/merge.h"
#include "proto/annotations/quantity.h"
#include "proto/annotations/values.h"

static const struct sq_position begin = {1, 1};

void
sq_annotations_free(struct sq_annotations *a)
{
	sq_declarations_free(&a->subscribe);
	sq_subscribe_rights_free(&a->rights);
	sq_publish_rules_free(&a->publish);
	sq_client_ids_free(&a->client_ids);
	free(a->outbox_claim);
	free(a->workload);
	free(a->sidecar.cpu_request);
	free(a->sidecar.cpu_limit);
	free(a->sidecar.memory_request);
	free(a->sidecar.memory_limit);
	free(a->sidecar.image);
	free(a->sidecar.log_level);
	*a = (struct sq_annotations){0};
}

int
sq_inject_label(const char *value, bool *on)
{
	*on = false;
	return value == NULL ? SQ_ENOTFOUND : sq_value_bool(value, on);
}

/* One check. */
struct check {
	const struct sq_annotation *pairs;
	size_t n, size; /* bytes of their values so far */
	struct sq_annotations *out;
	struct sq_annotation_problems *problems;
};

static void
check_unknown(struct check *c, size_t i)
{
	const char *key = c->pairs[i].key;
	/* Of what is only counted nobody sees the name, and there may be very many. */
	const struct sq_annotation_def *near = c->problems->n < SQ_ANNOTATION_PROBLEMS_MAX
	    ? sq_annotation_nearest(key)
	    : NULL;

	if (strcmp(key, SQ_LABEL_INJECT) == 0)
		sq_annotation_problems_add(c->problems, key, i, begin, true,
		    "is a label, and does nothing as an annotation");
	else if (near != NULL)
		sq_annotation_problems_add(c->problems, key, i, begin, true,
		    "is unknown and does nothing, did you mean %s?", near->key);
	else
		sq_annotation_problems_add(
		    c->problems, key, i, begin, true, "is unknown and does nothing");
}

/* Where what is no UTF-8, or a NUL, stands. */
static struct sq_position
check_bad_byte(const struct sq_annotation *a)
{
	size_t i = 0, n;

	while ((n = sq_utf8_first(&a->value[i], a->len - i)) > 0)
		i += n;
	return sq_position_of(a->value, i);
}

/* Whether an earlier pair has the key, too. */
static bool
check_twice(const struct check *c, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (strcmp(c->pairs[k].key, c->pairs[i].key) == 0)
			return true;
	}
	return false;
}

static void
check_value(struct check *c, size_t i, const struct sq_annotation_def *def)
{
	const struct sq_annotation *a = &c->pairs[i];
	struct sq_annotation_value value = {
	    .key = def->key, .pair = i, .len = a->len, .problems = c->problems};
	char *text;

	c->size += a->len;
	if (check_twice(c, i)) {
		sq_value_wrong(&value, begin, "is there twice");
	} else if (c->size > SQ_ANNOTATIONS_SIZE_MAX) {
		sq_value_wrong(
		    &value, begin, "more than %d bytes of annotations", SQ_ANNOTATIONS_SIZE_MAX);
	} else if (!sq_utf8_valid(a->value, a->len)) {
		sq_value_wrong(&value, check_bad_byte(a), "is not UTF-8, or has a NUL");
	} else if (!sq_value_blank(a->value, a->len)) {
		text = sq_xmemdup0(a->value, a->len);
		value.text = text;
		def->take(&value, c->out);
		free(text);
	}
}

/* The pair of a key; SIZE_MAX: it is not there. */
static size_t
check_pair(const struct check *c, const char *key)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->pairs[i].key, key) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* A request above its limit. */
static void
check_resource(struct check *c, const char *key, const char *request, const char *limit)
{
	uint64_t at_least, at_most;
	const char *why;

	if (request == NULL || limit == NULL ||
	    sq_quantity_parse(request, strlen(request), &at_least, &why) != 0 ||
	    sq_quantity_parse(limit, strlen(limit), &at_most, &why) != 0 || at_least <= at_most ||
	    at_most == 0)
		return;
	sq_annotation_problems_add(c->problems, key, check_pair(c, key), begin, false,
	    "%s is above the limit, %s", request, limit);
}

/* Workloads are scaled by queues that their pods share; at no pod only those are there that are
 * kept. */
static void
check_scale(struct check *c)
{
	const struct sq_declarations *ds = &c->out->subscribe;
	size_t at = check_pair(c, SQ_ANNOTATION_SCALE);
	bool shared = false;

	for (size_t i = 0; i < ds->n; i++) {
		const struct sq_declaration *d = &ds->v[i];

		if (d->pod)
			continue;
		shared = true;
		if (c->out->scale.min == 0 && !d->durable)
			sq_annotation_problems_add(c->problems, SQ_ANNOTATION_SCALE, at, begin,
			    false,
			    "min: 0 needs durable queues: that of line %u "
			    "of " SQ_ANNOTATION_SUBSCRIBE " ends with its last pod",
			    d->at.line);
	}
	if (!shared && c->problems->errors == 0)
		sq_annotation_problems_add(c->problems, SQ_ANNOTATION_SCALE, at, begin, false,
		    "needs a queue that the pods share: an entry of " SQ_ANNOTATION_SUBSCRIBE
		    " with delivery: group, or a named queue");
}

/* What a pod's annotations need of each other. */
static void
check_pod(struct check *c)
{
	struct sq_annotations *a = c->out;
	size_t claim = check_pair(c, SQ_ANNOTATION_OUTBOX_CLAIM);
	bool disk = a->outbox.set && a->outbox.mode == SQ_OUTBOX_DISK;

	if (disk &&
	    (claim == SIZE_MAX || sq_value_blank(c->pairs[claim].value, c->pairs[claim].len)))
		sq_annotation_problems_add(c->problems, SQ_ANNOTATION_OUTBOX,
		    check_pair(c, SQ_ANNOTATION_OUTBOX), begin, false,
		    "disk needs " SQ_ANNOTATION_OUTBOX_CLAIM
		    ", the name of a PersistentVolumeClaim");
	if (!disk && a->outbox_claim != NULL)
		sq_annotation_problems_add(c->problems, SQ_ANNOTATION_OUTBOX_CLAIM, claim, begin,
		    true, "does nothing without " SQ_ANNOTATION_OUTBOX ": disk");
	if (a->scale.set)
		check_scale(c);
	check_resource(c, SQ_ANNOTATION_PREFIX "sidecar-cpu-request", a->sidecar.cpu_request,
	    a->sidecar.cpu_limit);
	check_resource(c, SQ_ANNOTATION_PREFIX "sidecar-memory-request", a->sidecar.memory_request,
	    a->sidecar.memory_limit);
}

int
sq_annotations_check(const struct sq_annotation *pairs, size_t n, enum sq_annotations_scope scope,
    const char *workload, struct sq_annotations *out, struct sq_annotation_problems *problems)
{
	struct check c = {.pairs = pairs, .n = n, .out = out, .problems = problems};
	size_t errors = problems->errors, first = problems->n, before;
	struct sq_merge merge = {workload, problems, SIZE_MAX};
	bool mergeable = true;

	*out = (struct sq_annotations){0};
	for (size_t i = 0; i < n; i++) {
		const struct sq_annotation_def *def;

		if (strncmp(pairs[i].key, SQ_ANNOTATION_PREFIX, sizeof SQ_ANNOTATION_PREFIX - 1) !=
		    0)
			continue;
		before = problems->errors;
		if ((def = sq_annotation_find(pairs[i].key)) == NULL)
			check_unknown(&c, i);
		else if (def->sidecar || scope == SQ_ANNOTATIONS_OF_POD)
			check_value(&c, i, def);
		if (def != NULL && def->take == sq_take_subscribe) {
			merge.pair = i;
			mergeable = mergeable && problems->errors == before;
		}
	}
	if (out->workload != NULL)
		merge.workload = out->workload;
	if (mergeable)
		sq_annotations_merge(&out->subscribe, &merge);
	if (scope == SQ_ANNOTATIONS_OF_POD)
		check_pod(&c);
	sq_annotation_problems_sort(problems, first);
	if (problems->errors == errors)
		return 0;
	sq_annotations_free(out);
	return SQ_EINVAL;
}
