/* Where the pod's annotations stand, and how they are read: from one file, as the downward
 * API writes all of them, or from a folder with a file for each live one.  Knows nothing of
 * what they say, and no loop.
 *
 * A folder is read as one set.  The kubelet writes a new set into a folder of its own and
 * swaps the symlink "..data" to it, so the files of one "..data" belong together; a swap
 * meanwhile is seen, and the new set read. */
#ifndef SQ_SIDECAR_DECLARED_ANNOTATIONS_READ_H
#define SQ_SIDECAR_DECLARED_ANNOTATIONS_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/file.h"
#include "proto/annotations/file.h"
#include "sidecar/config/config.h"

struct sq_annotations_place {
	const char *key;  /* of the configuration: "annotations.file" or "annotations.dir" */
	const char *path; /* NULL: none is configured */
	bool dir;
};

/* As the configuration says, which must stay. */
struct sq_annotations_place sq_annotations_place(const struct sq_sidecar_cfg *);

/* What was read. */
struct sq_annotations_content {
	struct sq_annotation_pairs pairs; /* ours; those of a folder that are empty are not in it */
	struct sq_buf problem; /* lines that say why there are none; empty: it went well */
	uint64_t written_ms;   /* when this set was put there, on the wall clock; at least 1 */
};

/* Reads all of it; free 'out', also after a problem. */
void sq_annotations_read(const struct sq_annotations_place *, struct sq_annotations_content *out);
void sq_annotations_content_free(struct sq_annotations_content *);
/* Whether they say the same, or have the same problem. */
bool sq_annotations_content_equal(
    const struct sq_annotations_content *, const struct sq_annotations_content *);

/* What tells one content from another without reading it. */
enum { SQ_ANNOTATIONS_STAMPS = 4 };
struct sq_annotations_stamp {
	struct sq_file_stamp v[SQ_ANNOTATIONS_STAMPS];
};
void sq_annotations_stamp(const struct sq_annotations_place *, struct sq_annotations_stamp *out);
bool sq_annotations_stamp_equal(
    const struct sq_annotations_stamp *, const struct sq_annotations_stamp *);

#endif
