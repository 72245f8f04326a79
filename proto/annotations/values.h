/* A value that is being read, and what the readers of values have in common.  Within
 * proto/annotations only. */
#ifndef SQ_PROTO_ANNOTATIONS_VALUES_H
#define SQ_PROTO_ANNOTATIONS_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"
#include "proto/annotations/annotations.h"

/* The text is UTF-8 without NUL, and ends in one. */
struct sq_annotation_value {
	const char *key;
	size_t pair;
	const char *text;
	size_t len;
	struct sq_annotation_problems *problems;
};

/* Adds an error of the value. */
void sq_value_wrong(struct sq_annotation_value *, struct sq_position at, const char *fmt, ...)
    SQ_PRINTF(3, 4);

bool sq_value_space(char c);
bool sq_value_blank(const char *v, size_t len);
/* Whether the value is meant as YAML: a list in block or flow form, or a map,
 * which the YAML reader refuses with a reason. */
bool sq_value_is_yaml(const char *v, size_t len);

/* The items of a comma list, one after the other; start with a zeroed struct and the text. */
struct sq_value_list {
	const char *text;
	size_t len, next;      /* where the next item begins; above 'len': there is none */
	struct sq_position at; /* of 'next' */
};

struct sq_value_list sq_value_list(const struct sq_annotation_value *);
/* The next item, without the space around it, and where it stands; false when the last one
 * was taken.  A list that is empty has one item, which is empty. */
bool sq_value_item(struct sq_value_list *, struct sq_bytes *item, struct sq_position *at);
/* A value that is one word: without the space around it. */
struct sq_bytes sq_value_word(const struct sq_annotation_value *, struct sq_position *at);

/* The nearest of 'words' (NULL-terminated) to what was written; NULL: none is near. */
const char *sq_value_nearest(const char *written, const char *const *words);
/* "12": at least 'least'. */
int sq_value_count(const char *s, uint32_t least, uint32_t *out) SQ_MUST_CHECK;
/* "90s", "10m", "24h" or "7d", in seconds, at least 1. */
int sq_value_duration(const char *s, uint32_t *out) SQ_MUST_CHECK;
int sq_value_bool(const char *s, bool *out) SQ_MUST_CHECK;
/* A group's or a workload's name.  NULL: it is one; else why not. */
const char *sq_value_not_a_group(struct sq_bytes name, size_t max);
/* A name as of a PersistentVolumeClaim: RFC 1123 subdomain. */
bool sq_value_subdomain(struct sq_bytes name);
/* registry:port/path/name:tag@digest.  NULL: it is one; else why not. */
const char *sq_value_not_an_image(struct sq_bytes name);

/* Takers of the table, each in the file of its name. */
void sq_take_subscribe(struct sq_annotation_value *, struct sq_annotations *out);
void sq_take_publish(struct sq_annotation_value *, struct sq_annotations *out);
void sq_take_client_id(struct sq_annotation_value *, struct sq_annotations *out);
void sq_take_outbox(struct sq_annotation_value *, struct sq_annotations *out);
void sq_take_scale(struct sq_annotation_value *, struct sq_annotations *out);

#endif
