/* Topic names and filters: MQTT 5.0 §4.7 and §4.8.2, and $tag selection.
 *
 * Pure functions on views.  None of them looks at UTF-8 well-formedness: the
 * MQTT codec has checked that already; text from elsewhere (annotations, HTTP)
 * goes through sq_utf8_valid() of core/utf8.h first. */
#ifndef SQ_PROTO_TOPIC_H
#define SQ_PROTO_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/msg.h"

#define SQ_TOPIC_MAX 65535u       /* bytes of a name or filter, §4.7.3 */
#define SQ_TOPIC_LEVELS_MAX 1024u /* levels of a name or filter, as far as can be configured */
#define SQ_TOPIC_TAG_MAX 255u     /* bytes of a tag; ours */

/* A filter taken apart.  Views into the parsed text, except that 'filter' is a
 * constant "#" where only a tag was given.
 *
 *   a/+/c                    share -   tag -   filter a/+/c
 *   $share/g/a/#             share g   tag -   filter a/#
 *   $tag/red                 share -   tag red filter #  (so no $-topics)
 *   $tag/red/a/#             share -   tag red filter a/#
 *   $share/g/$tag/red/a/#    share g   tag red filter a/# */
struct sq_topic_filter {
	struct sq_bytes share;  /* share name; empty: not shared */
	struct sq_bytes tag;    /* only messages with this tag; empty: any */
	struct sq_bytes filter; /* what sq_topic_match() and the index take */
	bool wildcard;          /* 'filter' has a + or # level */
	uint16_t levels;        /* of 'filter' */
};

/* Checks the name that a message is published to: 1 to SQ_TOPIC_MAX bytes, at
 * most SQ_TOPIC_LEVELS_MAX levels, no NUL, no wildcard (§3.3.2.1, §4.7.1,
 * §4.7.3).  Names that start with $ pass; whether a client may publish there is
 * the server's decision.  Returns 0, SQ_ETOOBIG or SQ_EINVAL, and on error, if
 * 'why' isn't NULL, a static sentence in '*why' that names the rule. */
int sq_topic_name_check(struct sq_bytes name, const char **why) SQ_MUST_CHECK;
/* The same where a name may have no more than 'levels', which is at most that. */
int
sq_topic_name_check_levels(struct sq_bytes name, unsigned levels, const char **why) SQ_MUST_CHECK;

/* Why no application publishes to 'name', a static sentence, or NULL: its first level is
 * $SYS, where servers speak of themselves, or $share, $tag or $queue, which are filters' own
 * (§4.7.2).  Other first levels that start with $ are applications' to use, and $dead has
 * rules of its own, below. */
const char *sq_topic_reserved(struct sq_bytes name);

/* Whether 'name', or a filter, is $dead or below it: dead letters, which the broker alone
 * publishes. */
bool sq_topic_is_dead(struct sq_bytes name);

/* Whether 'name', or a filter, is $reply or below it: where a request's answer goes, to which anybody
 * publishes and nobody subscribes (docs/http.md, "Request"). */
bool sq_topic_is_reply(struct sq_bytes name);

/* Why no client publishes to 'name', for the one reason or the other; or NULL. */
const char *sq_topic_closed(struct sq_bytes name);

/* Checks a filter and takes it apart.  A wildcard fills a level, # only the
 * last one (§4.7.1); a share name has a character at least, and no / + #, and a
 * filter follows it (§4.8.2); the same holds for a tag, whose filter may be left
 * out.  $share stands before $tag, each at most once.  "$share" without a
 * slash is an ordinary filter.  Errors as above; '*out' is then untouched. */
int sq_topic_filter_parse(
    struct sq_bytes in, struct sq_topic_filter *out, const char **why) SQ_MUST_CHECK;

/* Checks only what MQTT says of a filter's form, so that a packet with another one is
 * malformed: wildcards (§4.7.1), no NUL, not empty (§4.7.3), and with 'shared' that
 * "$share/" begins a shared subscription (§4.8.2), which MQTT 3.1.1 doesn't know.  What
 * passes may still be one that sq_topic_filter_parse() refuses: a limit or $tag.
 * Returns 0 or SQ_EINVAL, '*why' as above. */
int sq_topic_filter_form(struct sq_bytes in, bool shared, const char **why) SQ_MUST_CHECK;

/* Checks a tag alone: 1 to SQ_TOPIC_TAG_MAX bytes, no NUL, no / + #. */
int sq_topic_tag_check(struct sq_bytes tag, const char **why) SQ_MUST_CHECK;

/* Whether 'filter' (the plain part, as in sq_topic_filter.filter) selects
 * 'topic', byte by byte as §4.7 says: a wildcard at the first level does not
 * select a topic that starts with $, "a/#" selects "a" too, empty levels
 * count.  Both must have passed their checks; others give some answer. */
bool sq_topic_match(struct sq_bytes filter, struct sq_bytes topic);

/* Whether 'wide' selects every topic that 'narrow' selects; both are plain filters that
 * have passed their check.  "a/#" covers "a", "a/#", "a/+/b" and "a/b"; "#" and "+/#" cover
 * each other, but nothing that starts with $. */
bool sq_topic_covers(struct sq_bytes wide, struct sq_bytes narrow);

/* Whether some topic is selected by both; both are plain filters that have passed their
 * check.  "a/+" and "+/b" overlap by "a/b"; "#" and "$SYS/#" do not. */
bool sq_topic_overlaps(struct sq_bytes a, struct sq_bytes b);

#endif
