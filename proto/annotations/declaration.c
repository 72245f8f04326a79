/* An entry of sqmqos.io/subscribe: its check as a whole. */
#include "proto/annotations/declaration.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/entry.h"
#include "proto/topic/queue.h"
#include "proto/topic/topic.h"

void
sq_declarations_free(struct sq_declarations *ds)
{
	for (size_t i = 0; i < ds->n; i++) {
		free(ds->v[i].filter);
		free(ds->v[i].tag);
		free(ds->v[i].group);
		free(ds->v[i].queue);
	}
	free(ds->v);
	*ds = (struct sq_declarations){0};
}

struct sq_declaration *
sq_entry_add(struct sq_declarations *ds, struct sq_position at, struct sq_annotation_value *value)
{
	if (ds->n == SQ_DECLARATIONS_MAX) {
		sq_value_wrong(value, at, "more than %d subscriptions", SQ_DECLARATIONS_MAX);
		return NULL;
	}
	ds->v = sq_xrealloc(ds->v, (ds->n + 1) * sizeof *ds->v);
	ds->v[ds->n] = (struct sq_declaration){.qos = 1, .durable = true, .at = at};
	return &ds->v[ds->n++];
}

/* The filter that stands behind $tag/: it travels without its tag, and must not be read as
 * more than a filter.  NULL: it was reported. */
static char *
entry_untag(struct sq_bytes filter, struct sq_position at, struct sq_annotation_value *value)
{
	char *plain = sq_xmemdup0(filter.p, filter.len);
	struct sq_topic_filter f;
	const char *why;

	if (sq_topic_filter_parse(sq_bytes_of(plain), &f, &why) == 0 && f.tag.len == 0 &&
	    f.share.len == 0)
		return plain;
	sq_value_wrong(value, at, "bad filter '%.64s' behind the tag", plain);
	free(plain);
	return NULL;
}

/* Takes the filter apart.  As the broker has it, dead letters are taken whole. */
static void
entry_filter(
    struct sq_declaration *d, const struct sq_entry_places *at, struct sq_annotation_value *value)
{
	struct sq_topic_filter f;
	const char *why = NULL;
	char *plain;

	if (sq_topic_filter_parse(sq_bytes_of(d->filter), &f, &why) != 0) {
		sq_value_wrong(value, at->filter, "bad filter '%.64s': %s", d->filter, why);
		return;
	}
	if (f.share.len != 0) {
		sq_value_wrong(
		    value, at->filter, "'%.64s': use group instead of $share", d->filter);
		return;
	}
	if (f.tag.len != 0 && d->tag != NULL) {
		sq_value_wrong(value, at->tag, "two tags, in the filter and as tag");
		return;
	}
	if (f.tag.len != 0) {
		if ((plain = entry_untag(f.filter, at->filter, value)) == NULL)
			return;
		d->tag = sq_xmemdup0(f.tag.p, f.tag.len);
		free(d->filter);
		d->filter = plain;
	}
	if ((strcmp(d->filter, "$dead") == 0 || strncmp(d->filter, "$dead/", 6) == 0) &&
	    (strcmp(d->filter, "$dead/#") != 0 || d->tag != NULL))
		sq_value_wrong(value, at->filter,
		    "bad filter '%.64s': dead letters are taken whole, by $dead/#", d->filter);
}

/* An entry that joins a named queue, which has settings and bindings of its own: on the link it is
 * one of the filter "$queue/NAME", and of a group of the queue's name. */
static void
entry_queue(struct sq_declaration *d, struct sq_position at, struct sq_annotation_value *value)
{
	struct sq_buf filter = {0};

	if (!sq_topic_queue_name(sq_bytes_of(d->queue))) {
		sq_value_wrong(value, at, "bad queue '%.64s': a name must be %s", d->queue,
		    SQ_TOPIC_QUEUE_NAME_RULE);
		return;
	}
	free(d->filter);
	free(d->group);
	sq_buf_printf(&filter, SQ_TOPIC_QUEUE_PREFIX "%s", d->queue);
	d->filter = sq_xmemdup0(sq_buf_data(&filter), sq_buf_len(&filter));
	d->group = sq_xstrdup(d->queue);
	d->qos = 2; /* as the queue has its messages */
	d->durable = true;
	sq_buf_fini(&filter);
}

bool
sq_entry_joins(struct sq_declaration *d)
{
	struct sq_bytes name;

	if (d->queue == NULL && d->filter != NULL &&
	    sq_topic_queue_filter(sq_bytes_of(d->filter), &name))
		d->queue = sq_xmemdup0(name.p, name.len);
	return d->queue != NULL;
}

void
sq_entry_check(
    struct sq_declaration *d, const struct sq_entry_places *at, struct sq_annotation_value *value)
{
	const char *why = NULL;

	if (sq_entry_joins(d)) {
		entry_queue(d, at->queue, value);
		return;
	}
	if (d->tag != NULL && sq_topic_tag_check(sq_bytes_of(d->tag), &why) != 0)
		sq_value_wrong(value, at->tag, "bad tag: %s", why);
	if (d->filter != NULL)
		entry_filter(d, at, value);
	else if (d->tag != NULL)
		d->filter = sq_xstrdup("#");
	if (d->pod && d->durable)
		sq_value_wrong(value, at->durable, "delivery: pod can't be durable");
	if (d->group == NULL)
		return;
	if (d->pod)
		sq_value_wrong(value, at->group, "group has no meaning with delivery: pod");
	if ((why = sq_value_not_a_group(sq_bytes_of(d->group), SQ_GROUP_MAX)) != NULL)
		sq_value_wrong(value, at->group, "group %s", why);
}
