/* Objects of the Kubernetes API that the injector reads and writes, as JSON: Secrets,
 * ConfigMaps, webhook configurations.  Pure. */
#ifndef SQ_K8S_INJECTOR_OBJECT_H
#define SQ_K8S_INJECTOR_OBJECT_H

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

/* Content types of the patches below. */
#define SQ_OBJECT_MERGE "application/merge-patch+json"
#define SQ_OBJECT_STRATEGIC "application/strategic-merge-patch+json"

/* One entry of a Secret's data.  Empty: there is none, or there shall be none. */
struct sq_object_entry {
	const char *name;
	struct sq_buf *value;
};

/* Appends each entry's value, of a Secret (base64) or, with 'plain', of a ConfigMap.  A missing or
 * broken entry leaves its value empty. */
void
sq_object_read(const json_t *object, bool plain, const struct sq_object_entry *entries, size_t n);
/* Appends the merge patch that gives the Secret these entries and leaves others.  It is for the
 * version of 'object'; of another version the API server answers 409. */
void sq_object_write(
    const json_t *object, const struct sq_object_entry *entries, size_t n, struct sq_buf *out);

/* The findings of sq_object_bundle(). */
enum sq_object_bundle {
	SQ_BUNDLE_RIGHT,
	SQ_BUNDLE_WRONG, /* there is a patch */
	SQ_BUNDLE_NONE,  /* no entry calls that Service */
};

/* Checks the entries of a webhook configuration that call the Service.  If the caBundle of one is not
 * 'bundle', appends the strategic patch that sets it in all of them, for that version of the
 * object. */
enum sq_object_bundle sq_object_bundle(const json_t *object, const char *name_space,
    const char *service, const struct sq_buf *bundle, struct sq_buf *out);

#endif
