/* What the properties of a message say, and that as headers of HTTP: those of a publish where there are
 * such (docs/http.md, "Headers of a publish").  Pure. */
#ifndef SQ_PROTO_HEADERS_SAID_H
#define SQ_PROTO_HEADERS_SAID_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/msg.h"

/* Views; empty: not said. */
struct sq_said {
	struct sq_bytes props, type, response_topic, correlation, key, order_key, receipt;
	bool letter; /* a dead one's are own, too: */
	struct sq_bytes reason, died, from, detail;
};

/* Reads the property block of an image; 'letter': of a dead letter. */
struct sq_said sq_said_read(struct sq_bytes props, bool letter);
/* Takes the next user property that is no member of struct sq_said off '*rest', which is its 'props' at
 * first; 'tags': tags in place of the others.  False: the end. */
bool sq_said_next(const struct sq_said *, struct sq_bytes *rest, bool tags, struct sq_bytes *name,
    struct sq_bytes *value);
/* The media type as that of a body: the message's, if a header can have it; else empty. */
struct sq_bytes sq_said_type(const struct sq_said *);
/* Appends tags and the sender's own properties as lines (headers.h). */
void sq_said_lists(const struct sq_said *, struct sq_buf *out);
/* The rest but for the media type and the key. */
void sq_said_headers(const struct sq_said *, struct sq_buf *out);

#endif
