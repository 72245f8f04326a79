/* The place of the pod's annotations, and how they are read: one file with all of them, in the form
 * of the downward API, or a folder with a file for each live one.  Knows no loop, and nothing of
 * the annotations' meaning.
 *
 * A folder is read as one set.  The kubelet writes a new set into a folder of its own and swaps the
 * symlink "..data" to it, so the files of one "..data" belong together.  A swap during a read is
 * noticed, and the new set read. */
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

/* The configured place; points into the configuration, which must stay. */
struct sq_annotations_place sq_annotations_place(const struct sq_sidecar_cfg *);

/* The result of a read. */
struct sq_annotations_content {
	struct sq_annotation_pairs pairs; /* those of sqmqos.io; without empty files of a folder */
	struct sq_buf problem; /* lines on the reason of a failed read; empty: it succeeded */
	uint64_t written_ms;   /* when the set was put there, wall clock, at least 1 */
};

/* Reads the annotations; the caller frees 'out', also after a problem. */
void sq_annotations_read(const struct sq_annotations_place *, struct sq_annotations_content *out);
void sq_annotations_content_free(struct sq_annotations_content *);
/* Whether both have the same annotations, or the same problem. */
bool sq_annotations_content_equal(
    const struct sq_annotations_content *, const struct sq_annotations_content *);

/* Stamps of the files, which tell a changed content without reading it. */
enum { SQ_ANNOTATIONS_STAMPS = 4 };
struct sq_annotations_stamp {
	struct sq_file_stamp v[SQ_ANNOTATIONS_STAMPS];
};
void sq_annotations_stamp(const struct sq_annotations_place *, struct sq_annotations_stamp *out);
bool sq_annotations_stamp_equal(
    const struct sq_annotations_stamp *, const struct sq_annotations_stamp *);

#endif
