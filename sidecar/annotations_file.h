/* Watches one file for changes, as the kubelet makes them (a symlink "..data"
 * in its folder is swapped) and as editors do.  Knows nothing of its content. */
#ifndef SQ_SIDECAR_ANNOTATIONS_FILE_H
#define SQ_SIDECAR_ANNOTATIONS_FILE_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_annotations_file;

/* The content, valid during the call, and when what the path resolves to was written
 * (wall-clock ms, at least 1); or, with 'problem', why it can't be read. */
typedef void sq_annotations_file_fn(
    void *owner, const char *text, size_t len, uint64_t written_ms, const char *problem);

/* Appends the file's content; returns 0 or an errno. */
int sq_annotations_file_read(const char *path, struct sq_buf *out);
/* Reads the file and calls 'changed' before it returns, later from the loop
 * whenever its content (or the problem) is another one. */
struct sq_annotations_file *sq_annotations_file_open(
    struct ev_loop *, const char *path, sq_annotations_file_fn *changed, void *owner);
/* Looks whether the file has changed; for where the watch is blind.  Call it
 * about once a second. */
void sq_annotations_file_check(struct sq_annotations_file *);
void sq_annotations_file_close(struct sq_annotations_file **);

#endif
