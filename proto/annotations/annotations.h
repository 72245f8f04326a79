/* Pod annotations: from (key, value) to what they mean.  Pure; the sidecar, the injector
 * and the command line share it.
 *
 *   table.h        which annotations there are; their table
 *   problems.h     what is wrong in them: key, line, column, reason
 *   declaration.h  sqmqos.io/subscribe    publish.h  sqmqos.io/publish
 *   rights.h       its strict and allow
 *   outbox.h       sqmqos.io/outbox       quantity.h amounts of CPU and memory
 *   scale.h        sqmqos.io/scale
 *   merge.h        entries of one group share one queue
 *   file.h         the downward API's file of all annotations
 *
 * A caller with a pod calls sq_annotations_check() with its metadata.annotations. */
#ifndef SQ_PROTO_ANNOTATIONS_H
#define SQ_PROTO_ANNOTATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "proto/annotations/declaration.h"
#include "proto/annotations/outbox.h"
#include "proto/annotations/problems.h"
#include "proto/annotations/publish.h"
#include "proto/annotations/rights.h"
#include "proto/annotations/scale.h"
#include "proto/annotations/table.h"

enum {
	SQ_ANNOTATIONS_SIZE_MAX = 1 << 20, /* bytes of all; Kubernetes allows a quarter */
	SQ_CLIENT_IDS_MAX = 64,
	SQ_CLIENT_ID_MAX = 256, /* bytes of one */
	SQ_WORKLOAD_MAX = 253,  /* bytes of a workload's name */
};

/* An annotation as it is written; the value need not end in NUL. */
struct sq_annotation {
	const char *key;
	const char *value;
	size_t len;
};

/* sqmqos.io/client-id: globs (core/glob.h), in their order; none: nobody is named. */
struct sq_client_ids {
	char **v;
	size_t n;
};

/* The sidecar's container: texts as Kubernetes takes them; NULL: not said. */
struct sq_sidecar_annotations {
	char *cpu_request, *cpu_limit, *memory_request, *memory_limit;
	char *image, *log_level;
};

/* What is not said is zero or NULL. */
struct sq_annotations {
	struct sq_declarations subscribe;
	struct sq_subscribe_rights rights; /* of it */
	struct sq_publish_rules publish;
	struct sq_client_ids client_ids;
	struct sq_outbox_annotation outbox;
	char *outbox_claim; /* name of a PersistentVolumeClaim */
	char *workload;     /* name that replaces the owner's */
	uint16_t port;
	struct sq_scale scale;
	struct sq_sidecar_annotations sidecar;
};

/* Who asks. */
enum sq_annotations_scope {
	SQ_ANNOTATIONS_OF_POD, /* for admission: all of them, and what they need of each other */
	SQ_ANNOTATIONS_OF_SIDECAR, /* in the running pod: those that the sidecar reads */
};

/* Checks 'n' annotations and takes them apart; those of other prefixes are skipped, blank
 * ones are not set, unknown ones of ours are warned of.  'workload' is the name of the default
 * group, or NULL where it is not known; sqmqos.io/workload goes before it.  The entries of a
 * group are merged (merge.h).  All problems are added to 'problems', which need not be
 * empty; of each error the position is known.  Returns 0, also with warnings; SQ_EINVAL
 * with errors, and '*out' is empty.  Free both. */
int sq_annotations_check(const struct sq_annotation *pairs, size_t n,
    enum sq_annotations_scope scope, const char *workload, struct sq_annotations *out,
    struct sq_annotation_problems *problems) SQ_MUST_CHECK;
void sq_annotations_free(struct sq_annotations *);

/* The value of the label sqmqos.io/inject, NULL where there is none: "true" or "false",
 * into '*on'.  SQ_ENOTFOUND: there is none; SQ_EINVAL: it is neither. */
int sq_inject_label(const char *value, bool *on) SQ_MUST_CHECK;

void sq_client_ids_free(struct sq_client_ids *);

#endif
