/* Templates: texts with {names} that a message fills in, as the topic of a reply, the path of a URL,
 * a header.
 *
 *   {topic}        the message's topic           {topic.2}     its second level
 *   {topic.*:.}    its levels, '.' between them   {space}       the space of the queue
 *   {prop:NAME}    a user property, the first     {queue}       the queue's name
 *   {tag}          its first tag
 *   {x|default}    the text where {x} is empty or not there
 *
 * and of what a peer has brought (broker/bridge), where {topic} is the topic that it names, and {queue}
 * the peer's queue; {prop:NAME} is none there:
 *
 *   {key}          the peer's routing key        {header:NAME}  a header of the peer
 *   {key:/}        the same, with '/' in place of each '.'
 *
 * "{{" and "}}" stand for braces.  A level, a property or a name that is empty is not there.  Pure. */
#ifndef SQ_PROTO_MAPPING_MAPPING_H
#define SQ_PROTO_MAPPING_MAPPING_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

enum {
	SQ_MAPPING_NAMES_MAX = 16, /* names of a template */
	SQ_MAPPING_TEXT_MAX =
	    8192, /* bytes of a filled path, header or text; of a topic: as MQTT has it */
};

/* Whose message fills it in. */
enum sq_mapping_of { SQ_MAPPING_OF_QUEUE, SQ_MAPPING_OF_PEER };

enum sq_mapping_place {
	SQ_MAPPING_TOPIC, /* what a level can't have ('+', '#', NUL) becomes '_', and so does '/', but of
			    * {topic} and the separators of {topic.*:/} and {key:/} */
	SQ_MAPPING_PATH,   /* of a URL: percent-encoded; '/' of {topic} alone stays */
	SQ_MAPPING_HEADER, /* what is not printable ASCII becomes '?' */
	SQ_MAPPING_TEXT,   /* UTF-8, where a control character of ASCII becomes '?' */
};

/* What fills templates in. */
struct sq_mapping_from {
	struct sq_bytes topic;
	struct sq_bytes props; /* the property block of an image */
	const char *space, *queue;
	/* Of a peer: its routing key, and its header of that name; .len 0: none.  header NULL: none
	 * at all. */
	struct sq_bytes key;
	struct sq_bytes (*header)(const void *arg, struct sq_bytes name);
	const void *arg;
};

/* Whether the template is one: SQ_EINVAL with a line in 'err' that names the place and, of an unknown
 * name, the nearest. */
int sq_mapping_check(
    const char *tmpl, enum sq_mapping_place, enum sq_mapping_of, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether the text of the template, which was checked, or is a URL whose path was, depends on the message:
 * all names but {space} and {queue}. */
bool sq_mapping_is_of_message(const char *tmpl);
/* Appends the text of the template, which was checked, or is a URL whose path was.  SQ_ENOTFOUND: a name
 * without a default has nothing; SQ_EINVAL: a topic that is none, or that only servers publish to, a
 * path with a segment "." or "..", what is no UTF-8, or a text above its bound.  Nothing is appended
 * then, and 'why' has a line, without anything of the message. */
int sq_mapping_fill(const char *tmpl, enum sq_mapping_place, const struct sq_mapping_from *,
    struct sq_buf *out, struct sq_buf *why) SQ_MUST_CHECK;
/* Whether any message could give the template, which was checked, a topic that the filter matches.  May
 * say yes where none can; never no where one can. */
bool
sq_mapping_may_match(const char *tmpl, const char *space, const char *queue, const char *filter);
/* Appends a filter that matches every topic that the template, which was checked, gives, and perhaps
 * others; of topics that begin with '$' it says nothing. */
void sq_mapping_filter(const char *tmpl, struct sq_buf *out);

#endif
