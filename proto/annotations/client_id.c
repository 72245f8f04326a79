/* sqmqos.io/client-id: a glob, a comma list of globs, or a YAML list of them. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/annotations/annotations_priv.h"

void
sq_client_ids_free(struct sq_client_ids *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		free(ids->v[i]);
	free(ids->v);
	*ids = (struct sq_client_ids){0};
}

static int
ids_add(struct sq_client_ids *ids, const char *p, size_t len, unsigned line, struct sq_buf *err)
{
	if (ids->n == SQ_CLIENT_IDS_MAX)
		sq_buf_printf(
		    err, "line %u: more than %d client identifiers", line, SQ_CLIENT_IDS_MAX);
	else if (len == 0)
		sq_buf_printf(err, "line %u: an empty client identifier", line);
	else if (len > SQ_CLIENT_ID_MAX || !sq_utf8_valid(p, len) || memchr(p, '\0', len) != NULL)
		sq_buf_printf(err, "line %u: a client identifier has at most %d bytes of UTF-8",
		    line, SQ_CLIENT_ID_MAX);
	else {
		ids->v = sq_xrealloc(ids->v, (ids->n + 1) * sizeof *ids->v);
		ids->v[ids->n++] = sq_xmemdup0(p, len);
		return 0;
	}
	return SQ_EINVAL;
}

static int
ids_comma_list(const char *value, size_t len, struct sq_client_ids *out, struct sq_buf *err)
{
	struct sq_bytes list = {(const unsigned char *)value, len}, id;
	int rc = 0;

	while (rc == 0 && sq_value_item(&list, &id))
		rc = ids_add(out, (const char *)id.p, id.len, 1, err);
	return rc;
}

/* The document's content: the event is its start. */
static int
ids_items(struct sq_yaml *y, struct sq_client_ids *out)
{
	int rc;

	if (y->event.type != YAML_SEQUENCE_START_EVENT) {
		sq_buf_printf(y->err, "line %u: a client identifier or a list of them is wanted",
		    sq_yaml_line(y));
		return SQ_EINVAL;
	}
	while ((rc = sq_yaml_next(y)) == 0 && y->event.type != YAML_SEQUENCE_END_EVENT) {
		const char *text = sq_yaml_text(y);

		if (text == NULL) {
			sq_buf_printf(y->err, "line %u: an item must be a client identifier",
			    sq_yaml_line(y));
			return SQ_EINVAL;
		}
		if ((rc = ids_add(out, text, strlen(text), sq_yaml_line(y), y->err)) != 0)
			return rc;
	}
	return rc != 0 ? rc : sq_yaml_end(y);
}

static int
ids_yaml(const char *value, size_t len, struct sq_client_ids *out, struct sq_buf *err)
{
	struct sq_yaml y;
	bool empty = false;
	int rc = sq_yaml_open(&y, value, len, err);

	if (rc == 0)
		rc = sq_yaml_begin(&y, &empty);
	if (rc == 0 && !empty)
		rc = ids_items(&y, out);
	sq_yaml_close(&y);
	return rc;
}

int
sq_annotations_client_id(
    const char *value, size_t len, struct sq_client_ids *out, struct sq_buf *err)
{
	int rc;

	*out = (struct sq_client_ids){0};
	if (sq_value_blank(value, len))
		return 0;
	rc = sq_value_is_yaml(value, len) ? ids_yaml(value, len, out, err)
					  : ids_comma_list(value, len, out, err);
	if (rc != 0)
		sq_client_ids_free(out);
	return rc;
}
