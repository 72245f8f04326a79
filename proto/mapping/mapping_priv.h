/* The inner interface of proto/mapping: a template piece by piece. */
#ifndef SQ_PROTO_MAPPING_PRIV_H
#define SQ_PROTO_MAPPING_PRIV_H

#include "proto/mapping/mapping.h"

enum sq_mapping_kind {
	SQ_MAPPING_LITERAL,
	SQ_MAPPING_WHOLE,  /* {topic} */
	SQ_MAPPING_LEVEL,  /* {topic.2} */
	SQ_MAPPING_LEVELS, /* {topic.*:.} */
	SQ_MAPPING_SPACE,
	SQ_MAPPING_QUEUE,
	SQ_MAPPING_PROP, /* {prop:NAME} */
	SQ_MAPPING_TAG,
	SQ_MAPPING_KEY,       /* {key} */
	SQ_MAPPING_KEY_PARTS, /* {key:/} */
	SQ_MAPPING_PEERS,     /* {header:NAME} */
};

/* Views of the template. */
struct sq_mapping_piece {
	enum sq_mapping_kind kind;
	struct sq_bytes name; /* what stands between the braces, without the default */
	struct sq_bytes
	    text; /* the literal, what stands between levels or parts, a property's or header's name */
	unsigned level; /* from 1 */
	bool has_default;
	struct sq_bytes def;
};

/* Takes the next piece at '*at', which moves behind it.  SQ_ENOTFOUND: there is none; SQ_EINVAL with a
 * line in 'err' (NULL: the template is known to be good) that does not name the place. */
int
sq_mapping_next(const char **at, struct sq_mapping_piece *out, struct sq_buf *err) SQ_MUST_CHECK;

#endif
