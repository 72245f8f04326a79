/* See broker/front/door/elsewhere.h. */
#include "broker/front/door/elsewhere.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_MAX = 24 };

struct sq_place
sq_elsewhere_place(const struct sq_place_source *source)
{
	struct sq_place place = {.here = true};

	if (source != NULL)
		source->get(source, &place);
	return place;
}

/* Adds a header; 'value' is copied.  None for an empty one. */
static void
elsewhere_add(h2o_req_t *req, const char *name, const char *value, size_t max)
{
	size_t len = strnlen(value, max);
	h2o_iovec_t text;

	if (len == 0)
		return;
	text = h2o_strdup(&req->pool, value, len);
	h2o_add_header_by_str(
	    &req->pool, &req->res.headers, name, strlen(name), 1, NULL, text.base, text.len);
}

void
sq_elsewhere_headers(h2o_req_t *req, const struct sq_place *place)
{
	char text[NUMBER_MAX];

	if (!place->shared)
		return;
	elsewhere_add(req, "sqmqos-owner", place->owner, sizeof place->owner);
	elsewhere_add(req, "sqmqos-standby", place->standby, sizeof place->standby);
	(void)snprintf(text, sizeof text, "%" PRIu64, place->epoch);
	elsewhere_add(req, "sqmqos-epoch", text, sizeof text);
	(void)snprintf(text, sizeof text, "%016" PRIx64, place->store);
	elsewhere_add(req, "sqmqos-store", text, sizeof text);
}
