#include "proto/annotations/merge.h"

#include <string.h>

#include "core/mem.h"
#include "core/buf.h"

/* An option of the queue, as one number. */

static const struct {
	const char *name;
	uint8_t bit; /* of sq_declaration.named */
} options[] = {
    {"durable", SQ_NAMED_DURABLE},
    {"expiry", SQ_NAMED_EXPIRY},
    {"max-length", SQ_NAMED_MAX_LENGTH},
    {"overflow", SQ_NAMED_OVERFLOW},
    {"max-attempts", SQ_NAMED_MAX_ATTEMPTS},
};

static uint32_t
option_get(const struct sq_declaration *d, uint8_t bit)
{
	switch (bit) {
	case SQ_NAMED_DURABLE:
		return d->durable;
	case SQ_NAMED_EXPIRY:
		return d->expiry_s;
	case SQ_NAMED_MAX_LENGTH:
		return d->max_length;
	case SQ_NAMED_OVERFLOW:
		return d->overflow;
	default:
		return d->max_attempts;
	}
}

static void
option_set(struct sq_declaration *d, uint8_t bit, uint32_t value)
{
	switch (bit) {
	case SQ_NAMED_DURABLE:
		d->durable = value != 0;
		break;
	case SQ_NAMED_EXPIRY:
		d->expiry_s = value;
		break;
	case SQ_NAMED_MAX_LENGTH:
		d->max_length = value;
		break;
	case SQ_NAMED_OVERFLOW:
		d->overflow = (uint8_t)value;
		break;
	default:
		d->max_attempts = value;
		break;
	}
}

static void
option_print(struct sq_buf *out, uint8_t bit, uint32_t value)
{
	if (bit == SQ_NAMED_DURABLE)
		sq_buf_printf(out, "%s", value != 0 ? "true" : "false");
	else if (bit == SQ_NAMED_OVERFLOW)
		sq_buf_printf(out, "%s", sq_overflow_name((uint8_t)value));
	else
		sq_buf_printf(out, "%u%s", value, bit == SQ_NAMED_EXPIRY ? "s" : "");
}

/* Groups. */

static bool
group_same(const struct sq_declaration *a, const struct sq_declaration *b, const char *workload)
{
	const char *ga = a->group != NULL ? a->group : workload;
	const char *gb = b->group != NULL ? b->group : workload;

	if (a->pod || b->pod) /* the queue of this pod */
		return a->pod && b->pod;
	if (a->queue != NULL || b->queue != NULL) /* has its options elsewhere */
		return a == b;
	return ga == NULL || gb == NULL ? ga == gb : strcmp(ga, gb) == 0;
}

static void
group_print(struct sq_buf *out, const struct sq_declaration *d, const char *workload)
{
	const char *group = d->group != NULL ? d->group : workload;

	if (d->pod)
		sq_buf_printf(out, "this pod's own queue");
	else if (group == NULL)
		sq_buf_printf(out, "the group of the workload");
	else
		sq_buf_printf(out, "group '%s'", group);
}

static void
merge_differ(size_t o, const struct sq_declaration *a, const struct sq_declaration *b,
    const struct sq_merge *how)
{
	struct sq_buf text = {0};

	sq_buf_printf(&text, "%s ", options[o].name);
	option_print(&text, options[o].bit, option_get(b, options[o].bit));
	sq_buf_printf(&text, " for ");
	group_print(&text, b, how->workload);
	sq_buf_printf(&text, ", which has ");
	option_print(&text, options[o].bit, option_get(a, options[o].bit));
	sq_buf_printf(
	    &text, " by line %u: entries of a group share its queue and its options", a->at.line);
	sq_annotation_problems_add(how->problems, SQ_ANNOTATION_SUBSCRIBE, how->pair, b->at, false,
	    "%.*s", (int)sq_buf_len(&text), (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

/* The first that names the option in the group of 'of'; NULL: nobody does. */
static const struct sq_declaration *
merge_named(const struct sq_declarations *ds, const struct sq_declaration *of, uint8_t bit,
    const char *workload)
{
	for (size_t i = 0; i < ds->n; i++) {
		const struct sq_declaration *d = &ds->v[i];

		if ((d->named & bit) != 0 && group_same(d, of, workload))
			return d;
	}
	return NULL;
}

void
sq_annotations_merge(struct sq_declarations *ds, const struct sq_merge *how)
{
	for (size_t i = 0; i < ds->n; i++) {
		struct sq_declaration *d = &ds->v[i];

		for (size_t o = 0; o < SQ_ARRAY_LEN(options); o++) {
			uint8_t bit = options[o].bit;
			const struct sq_declaration *from = merge_named(ds, d, bit, how->workload);

			if (from == NULL || from == d)
				continue;
			if ((d->named & bit) == 0)
				option_set(d, bit, option_get(from, bit));
			else if (option_get(d, bit) != option_get(from, bit))
				merge_differ(o, from, d, how);
		}
	}
}
