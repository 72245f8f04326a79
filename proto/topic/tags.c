#include "proto/topic/tags.h"

#include <string.h>

/* The next property that is a tag. */
static bool
tags_next(struct sq_bytes *props, struct sq_bytes *tag)
{
	struct sq_bytes name;

	while (sq_props_user_next(props, &name, tag)) {
		if (name.len == 3 && memcmp(name.p, "tag", 3) == 0 && tag->len > 0)
			return true;
	}
	return false;
}

static bool
tags_equal(struct sq_bytes a, struct sq_bytes b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static bool
tags_known(const struct sq_tags *t, struct sq_bytes tag)
{
	for (size_t i = 0; i < t->n; i++) {
		if (tags_equal(t->v[i], tag))
			return true;
	}
	return false;
}

bool
sq_tags_read(struct sq_bytes props, struct sq_tags *out)
{
	struct sq_bytes tag;

	out->n = 0;
	while (tags_next(&props, &tag)) {
		if (tags_known(out, tag))
			continue;
		if (out->n == SQ_TAGS_MAX)
			return false;
		out->v[out->n++] = tag;
	}
	return true;
}

bool
sq_tags_have(struct sq_bytes props, struct sq_bytes tag)
{
	struct sq_bytes at;

	while (tags_next(&props, &at)) {
		if (tags_equal(at, tag))
			return true;
	}
	return false;
}
