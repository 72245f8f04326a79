/* "allow" of sqmqos.io/subscribe: a filter, or a list of them. */
#include "proto/annotations/rights.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/rights_read.h"
#include "proto/topic/topic.h"

void
sq_subscribe_rights_free(struct sq_subscribe_rights *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->allow[i]);
	free(r->allow);
	*r = (struct sq_subscribe_rights){0};
}

/* The event is a filter, or should be. */
static int
allow_one(struct sq_yaml *y, struct sq_subscribe_rights *out)
{
	const char *text = sq_yaml_text(y), *why;
	struct sq_position at = sq_yaml_at(y);
	struct sq_topic_filter f;
	struct sq_bytes bytes;

	if (text == NULL || text[0] == '\0') {
		sq_value_wrong(y->value, at, "allow must be a filter or a list of filters");
		return sq_yaml_skip(y);
	}
	bytes = sq_bytes_of(text);
	if (sq_topic_filter_parse(bytes, &f, &why) != 0) {
		sq_value_wrong(y->value, at, "bad filter '%.64s': %s", text, why);
	} else if (f.share.len != 0 || f.tag.len != 0) {
		sq_value_wrong(
		    y->value, at, "'%.64s': allow names topics, without $share and $tag", text);
	} else if (out->n == SQ_ALLOW_MAX) {
		sq_value_wrong(y->value, at, "more than %d filters in allow", SQ_ALLOW_MAX);
		return SQ_ECLOSED;
	} else {
		out->allow = sq_xrealloc(out->allow, (out->n + 1) * sizeof *out->allow);
		out->allow[out->n++] = sq_xstrdup(text);
	}
	return 0;
}

int
sq_rights_read_allow(struct sq_yaml *y, struct sq_subscribe_rights *out)
{
	int rc;

	if (y->event.type != YAML_SEQUENCE_START_EVENT && sq_yaml_text(y) != NULL &&
	    strchr(sq_yaml_text(y), ',') != NULL) {
		sq_value_wrong(y->value, sq_yaml_at(y),
		    "several filters in allow are a list: [state/#, alerts/+], each quoted if it "
		    "has a comma");
		return 0;
	}
	if (y->event.type != YAML_SEQUENCE_START_EVENT)
		return allow_one(y, out);
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = allow_one(y, out)) != 0)
			return rc;
	}
	return rc;
}

int
sq_rights_read_strict(struct sq_yaml *y, struct sq_subscribe_rights *out)
{
	if (sq_yaml_text(y) != NULL && sq_value_bool(sq_yaml_text(y), &out->strict) == 0)
		return 0;
	sq_value_wrong(y->value, sq_yaml_at(y), "strict must be true or false");
	return sq_yaml_skip(y);
}
