/* Objects of the HTTP API as tables for people. */
#ifndef SQ_CLI_API_SHOWN_H
#define SQ_CLI_API_SHOWN_H

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/msg.h"

/* Reads an answer, within bounds; NULL: it is none. */
json_t *sq_shown_parse(struct sq_bytes text);

struct sq_shown_column {
	const char *title,
	    *member; /* of the object, or of objects within it: "settings.push.url" */
	bool right;
};

/* Appends an array of objects, each a row. */
void sq_shown_list(const json_t *all, const struct sq_shown_column *, size_t n, struct sq_buf *out);
/* Appends the members of an object as rows "NAME VALUE"; those of objects within it with a '.'. */
void sq_shown_object(json_t *, struct sq_buf *out);

#endif
