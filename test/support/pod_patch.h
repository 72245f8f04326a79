/* Pods in YAML, and what the patch makes of them, for the tests of k8s/patch. */
#ifndef SQ_TEST_POD_PATCH_H
#define SQ_TEST_POD_PATCH_H

#include <jansson.h>

#include "k8s/patch/patch.h"

/* A value from YAML, which must be good; a new reference. */
json_t *pod_yaml(const char *text);
/* The settings that 'yaml' gives. */
struct sq_settings pod_settings(const char *yaml);

/* Patches a pod in YAML; 'settings' is YAML, too, or NULL.  The patch must be made; applied by
 * RFC 6902 it must give the pod that the core says; and patched once more nothing changes.  Returns
 * the pod, a new reference. */
json_t *pod_patched(const char *pod, const char *settings);
/* The same of a pod as JSON, which stays the caller's. */
json_t *pod_patched_json(const json_t *pod, const struct sq_settings *);

/* The value at a pointer is that of 'yaml'; "-": there is none. */
void pod_has(json_t *pod, const char *pointer, const char *yaml);
/* The value of an environment variable of a container at a pointer; "-": it has none. */
void pod_env(json_t *pod, const char *container, const char *name, const char *value);

/* Patches a pod, which must be denied: its message contains each of the texts (NULL ends). */
void pod_denied(const char *pod, ...) __attribute__((sentinel));
/* Patches a pod, whose warnings contain each of the texts, and are as many. */
void pod_warned(const char *pod, ...) __attribute__((sentinel));
/* Message of notes; static. */
const char *pod_notes(const struct sq_notes *);

#endif
