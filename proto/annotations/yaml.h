/* An annotation's YAML, event by event (libyaml).  Within proto/annotations only.
 *
 * What is wrong but YAML is reported to the value, and the reading goes on behind it; what
 * is no YAML ends it.  Functions that return int return SQ_ECLOSED then, with the problem
 * reported, and pass it on. */
#ifndef SQ_PROTO_ANNOTATIONS_YAML_H
#define SQ_PROTO_ANNOTATIONS_YAML_H

#include <yaml.h>

#include "proto/annotations/values.h"

/* What is declared needs two.  The parser looks at each open list again at each token: without
 * a bound a value of nothing but brackets takes it minutes, at what is the same for all pods. */
enum { SQ_YAML_NESTED_MAX = 16 };

struct sq_yaml {
	yaml_parser_t parser;
	yaml_event_t event; /* the present one */
	bool has_event;
	unsigned depth; /* lists and maps that the event is in, itself among them */
	struct sq_annotation_value *value;
};

/* Starts on the value, before its first event; close it also after an error. */
int sq_yaml_open(struct sq_yaml *, struct sq_annotation_value *) SQ_MUST_CHECK;
void sq_yaml_close(struct sq_yaml *);
/* The next event.  An alias or a tag ends the reading, too, as does what is nested too deep. */
int sq_yaml_next(struct sq_yaml *) SQ_MUST_CHECK;
/* From the first event of a node to its last. */
int sq_yaml_skip(struct sq_yaml *) SQ_MUST_CHECK;
/* To the first event of the document's content; without any, '*empty'. */
int sq_yaml_begin(struct sq_yaml *, bool *empty) SQ_MUST_CHECK;
/* Behind the content: nothing may follow. */
int sq_yaml_end(struct sq_yaml *) SQ_MUST_CHECK;
/* Where the event stands. */
struct sq_position sq_yaml_at(const struct sq_yaml *);
/* The event's text; NULL where it is no scalar. */
const char *sq_yaml_text(const struct sq_yaml *);

/* Finds a map's key, which is the event, in 'names' (NULL-terminated), writes its index
 * to '*i' and goes on to its value.  A key that is no text, unknown, or there before
 * ('*seen' has a bit for each) is reported and skipped with its value: '*i' is then
 * SQ_YAML_NONE. */
#define SQ_YAML_NONE SIZE_MAX
int
sq_yaml_key(struct sq_yaml *, const char *const *names, unsigned *seen, size_t *i) SQ_MUST_CHECK;

#endif
