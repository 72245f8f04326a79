/* sqmqos.io/client-id: a glob, a comma list of globs, or a YAML list of them. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/yaml.h"

void
sq_client_ids_free(struct sq_client_ids *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		free(ids->v[i]);
	free(ids->v);
	*ids = (struct sq_client_ids){0};
}

/* False: there are too many. */
static bool
ids_add(struct sq_client_ids *ids, struct sq_bytes id, struct sq_position at,
    struct sq_annotation_value *value)
{
	if (ids->n == SQ_CLIENT_IDS_MAX) {
		sq_value_wrong(value, at, "more than %d client identifiers", SQ_CLIENT_IDS_MAX);
		return false;
	}
	if (id.len == 0) {
		sq_value_wrong(value, at, "an empty client identifier");
	} else if (id.len > SQ_CLIENT_ID_MAX) {
		sq_value_wrong(
		    value, at, "a client identifier has at most %d bytes", SQ_CLIENT_ID_MAX);
	} else {
		ids->v = sq_xrealloc(ids->v, (ids->n + 1) * sizeof *ids->v);
		ids->v[ids->n++] = sq_xmemdup0(id.p, id.len);
	}
	return true;
}

static void
ids_comma_list(struct sq_annotation_value *value, struct sq_client_ids *out)
{
	struct sq_value_list list = sq_value_list(value);
	struct sq_position at;
	struct sq_bytes id;

	while (sq_value_item(&list, &id, &at)) {
		if (!ids_add(out, id, at, value))
			return;
	}
}

/* The document's content: the event is its start. */
static int
ids_items(struct sq_yaml *y, struct sq_client_ids *out)
{
	const char *text;
	int rc;

	if (y->event.type != YAML_SEQUENCE_START_EVENT) {
		sq_value_wrong(
		    y->value, sq_yaml_at(y), "a client identifier or a list of them is wanted");
		return SQ_ECLOSED;
	}
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		text = sq_yaml_text(y);
		if (text == NULL)
			sq_value_wrong(
			    y->value, sq_yaml_at(y), "an item must be a client identifier");
		else if (!ids_add(out, sq_bytes_of(text), sq_yaml_at(y), y->value))
			return SQ_ECLOSED;
		if ((rc = sq_yaml_skip(y)) != 0)
			return rc;
	}
	return rc != 0 ? rc : sq_yaml_end(y);
}

static void
ids_yaml(struct sq_annotation_value *value, struct sq_client_ids *out)
{
	struct sq_yaml y;
	bool empty = false;
	int rc = sq_yaml_open(&y, value);

	if (rc == 0)
		rc = sq_yaml_begin(&y, &empty);
	if (rc == 0 && !empty)
		(void)ids_items(&y, out); /* what is wrong is reported */
	sq_yaml_close(&y);
}

void
sq_take_client_id(struct sq_annotation_value *value, struct sq_annotations *out)
{
	if (sq_value_is_yaml(value->text, value->len))
		ids_yaml(value, &out->client_ids);
	else
		ids_comma_list(value, &out->client_ids);
}
