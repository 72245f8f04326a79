/* Shared by annotations.c, client_id.c, subscribe.c, publish.c and yaml.c. */
#ifndef SQ_PROTO_ANNOTATIONS_PRIV_H
#define SQ_PROTO_ANNOTATIONS_PRIV_H

#include <yaml.h>

#include "core/msg.h"
#include "proto/annotations/annotations.h"

/* Checks 'd' as a whole and takes its filter apart ($tag/...).  'line' is that
 * within the value.  On error a line is in 'err'. */
int sq_declaration_check(struct sq_declaration *d, unsigned line, struct sq_buf *err) SQ_MUST_CHECK;
/* In the order of enum sq_overflow, from 1; NULL-terminated. */
extern const char *const sq_overflow_names[];
/* The YAML form. */
int sq_declarations_yaml(
    const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Adds an item with its defaults; NULL (and a line in 'err') when there are too many. */
struct sq_declaration *
sq_declarations_add(struct sq_declarations *, unsigned line, struct sq_buf *err);
/* The nearest of 'words' (NULL-terminated) to what was written; NULL: none is near. */
const char *sq_did_you_mean(const char *written, const char *const *words);

/* --- yaml.c: an annotation's YAML, event by event (libyaml) --- */

struct sq_yaml {
	yaml_parser_t parser;
	yaml_event_t event; /* the present one */
	bool has_event;
	struct sq_buf *err; /* gets a line with every error */
};

/* Starts on the value, before its first event; close it also after an error. */
int sq_yaml_open(struct sq_yaml *, const char *value, size_t len, struct sq_buf *err) SQ_MUST_CHECK;
void sq_yaml_close(struct sq_yaml *);
/* The next event.  SQ_EINVAL: not YAML, or an alias. */
int sq_yaml_next(struct sq_yaml *) SQ_MUST_CHECK;
/* To the first event of the document's content; without any, '*empty'. */
int sq_yaml_begin(struct sq_yaml *, bool *empty) SQ_MUST_CHECK;
/* Behind the content: nothing may follow. */
int sq_yaml_end(struct sq_yaml *) SQ_MUST_CHECK;
/* The event's line within the value, from 1. */
unsigned sq_yaml_line(const struct sq_yaml *);
/* The event's text; NULL where it is no scalar or has a NUL in it. */
const char *sq_yaml_text(const struct sq_yaml *);
/* Finds a map's key, which is the event, in 'names' (NULL-terminated), writes its
 * index to '*i' and goes on to its value.  SQ_EINVAL: no text, unknown, or there
 * before ('*seen' has a bit for each). */
int
sq_yaml_key(struct sq_yaml *, const char *const *names, unsigned *seen, size_t *i) SQ_MUST_CHECK;

bool sq_value_space(char c);
bool sq_value_blank(const char *v, size_t len);
/* Whether the value is meant as YAML: a list in block or flow form, or a map,
 * which the YAML reader refuses with a reason. */
bool sq_value_is_yaml(const char *v, size_t len);
/* Takes the next item of a comma list, without the space around it; false when the last
 * one was taken.  A list that is empty has one item, which is empty. */
bool sq_value_item(struct sq_bytes *list, struct sq_bytes *item);
/* "12": at least 'least'. */
int sq_value_count(const char *s, uint32_t least, uint32_t *out) SQ_MUST_CHECK;
/* "90s", "10m", "24h" or "7d", in seconds, at least 1. */
int sq_value_duration(const char *s, uint32_t *out) SQ_MUST_CHECK;
int sq_value_bool(const char *s, bool *out) SQ_MUST_CHECK;

#endif
