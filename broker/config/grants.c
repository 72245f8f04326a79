/* Grants between topic spaces: from spaces.NAME.reads to one row for each grant. */
#include <stdlib.h>
#include <string.h>

#include "broker/config/config.h"
#include "core/mem.h"
#include "proto/link/key.h"
#include "proto/topic/topic.h"

/* A tenant that is in the space of that name: of a shared one the first; else its own.  NULL:
 * there is no such space, the tenant of that name is in '*other'. */
static const char *
grants_tenant(const struct sq_broker_config *c, const char *space, const char **other)
{
	for (size_t i = 0; i < c->n_shares; i++) {
		const struct sq_tenant_share *row = &c->shares[i];

		if (row->space == NULL)
			continue;
		if (strcmp(row->space, space) == 0)
			return row->tenant;
		if (strcmp(row->tenant, space) == 0)
			*other = row->space;
	}
	return *other == NULL ? space : NULL;
}

/* The fault in the texts of an item, in '*text'; NULL: none. */
static const char *
grants_wrong(const struct sq_broker_read *read, const char **text)
{
	struct sq_topic_filter f;
	const char *why = NULL;

	*text = read->space;
	if (read->space[0] == '\0' || strlen(read->space) > SQ_KEY_PART_MAX)
		return "a space's name has 1 to 256 bytes";
	*text = read->filter;
	if (sq_topic_filter_parse(sq_bytes_of(read->filter), &f, &why) != SQ_OK)
		return why;
	if (f.share.len > 0 || f.tag.len > 0)
		return "a grant's filter is of topics alone, without $share and $tag";
	return NULL;
}

/* Begins the error line. */
static int
grants_error(const char *reader, const struct sq_broker_read *read, struct sq_buf *err)
{
	sq_buf_printf(err, "%s: spaces.%s.reads: ", read->record.where, reader);
	return SQ_EINVAL;
}

static int
grants_add(struct sq_broker_config *c, const char *reader, const struct sq_broker_read *read,
    struct sq_buf *err)
{
	const char *other = NULL, *text, *why = grants_wrong(read, &text);
	struct sq_tenant_grant row = {.filter = read->filter};

	if (why != NULL) {
		grants_error(reader, read, err);
		sq_buf_printf(err, "\"%.64s\": %s", text, why);
		return SQ_EINVAL;
	}
	row.reader = grants_tenant(c, reader, &other);
	if (row.reader != NULL)
		row.from = grants_tenant(c, read->space, &other);
	if (other != NULL) {
		grants_error(reader, read, err);
		sq_buf_printf(err, "%s is a tenant of spaces.%s; a grant is from space to space",
		    row.reader == NULL ? reader : read->space, other);
		return SQ_EINVAL;
	}
	if (strcmp(reader, read->space) == 0) {
		grants_error(reader, read, err);
		sq_buf_printf(err, "a space reads all of its own");
		return SQ_EINVAL;
	}
	c->grants = sq_xrealloc(c->grants, (c->n_grants + 1) * sizeof *c->grants);
	c->grants[c->n_grants++] = row;
	return SQ_OK;
}

int
sq_broker_config_grants(struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_space *spaces = c->spaces.v;

	for (size_t i = 0; i < c->spaces.n; i++) {
		const struct sq_broker_read *reads = spaces[i].reads.v;

		for (size_t k = 0; k < spaces[i].reads.n; k++) {
			if (grants_add(c, spaces[i].record.name, &reads[k], err) != SQ_OK)
				return SQ_EINVAL;
		}
	}
	return SQ_OK;
}
