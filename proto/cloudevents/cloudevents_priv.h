/* Shared by the files of proto/cloudevents/. */
#ifndef SQ_PROTO_CLOUDEVENTS_PRIV_H
#define SQ_PROTO_CLOUDEVENTS_PRIV_H

#include "proto/cloudevents/cloudevents.h"

#define SQ_CE_CONTENT_TYPE "datacontenttype"

/* check.c.  Each returns a static sentence, or NULL: the value is good. */
const char *sq_ce_name_wrong(struct sq_bytes name);
const char *sq_ce_string_wrong(struct sq_bytes value);
const char *sq_ce_uri_reference_wrong(struct sq_bytes value);
const char *sq_ce_uri_wrong(struct sq_bytes value);
const char *sq_ce_time_wrong(struct sq_bytes value);
const char *sq_ce_media_type_wrong(struct sq_bytes value);

/* Empties the event, fills '*err' and returns SQ_EINVAL. */
int
sq_ce_refuse(struct sq_ce *, struct sq_ce_error *err, struct sq_bytes attribute, const char *why);

/* Adds an attribute; its value is checked in sq_ce_finish(), but for its length. */
int sq_ce_add(struct sq_ce *, struct sq_bytes name, struct sq_bytes value,
    struct sq_ce_error *err) SQ_MUST_CHECK;
bool sq_ce_has(const struct sq_ce *, struct sq_bytes name);
/* Checks all attributes and sets the views. */
int sq_ce_finish(struct sq_ce *, struct sq_ce_error *err) SQ_MUST_CHECK;

#endif
