/* Media types, as content-type has them (RFC 9110, 8.3.1): "text/plain; charset=utf-8".  Names count in
 * any case.  Pure. */
#ifndef SQ_PROTO_MEDIA_MEDIA_H
#define SQ_PROTO_MEDIA_MEDIA_H

#include <stdbool.h>

#include "core/msg.h"

struct sq_media {
	struct sq_bytes type, subtype; /* never empty */
	struct sq_bytes params;        /* from the first semicolon on, not looked at; or empty */
};

/* Takes a text apart.  False: it is no media type. */
bool sq_media_read(struct sq_bytes text, struct sq_media *out);
bool sq_media_good(struct sq_bytes text);
/* Whether it is that type, "application/json", with or without parameters. */
bool sq_media_is(struct sq_bytes text, const char *name);
/* Whether it is JSON: any/json, any/any+json. */
bool sq_media_is_json(struct sq_bytes text);
/* Whether it is XML, or text of another type. */
bool sq_media_is_text(struct sq_bytes text);
/* Whether its charset is UTF-8 or a part of it, or none is said. */
bool sq_media_is_utf8(struct sq_bytes text);
/* Whether a body of it is characters of UTF-8, if anything: text, XML or JSON, in no other charset. */
bool sq_media_is_characters(struct sq_bytes text);

#endif
