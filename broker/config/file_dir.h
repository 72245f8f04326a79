/* A folder of YAML files that is read again when anything in it changes, as a mounted ConfigMap does by a
 * swap of its link: subscribers.dir, bridges.dir.
 *
 * Its files are those whose names end with ".yaml" or ".yml" and do not begin with ".", in the order of
 * their names.  A file that is not good never stops the others: what it said before stays. */
#ifndef SQ_BROKER_CONFIG_FILE_DIR_H
#define SQ_BROKER_CONFIG_FILE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/msg.h"

enum { SQ_FILE_DIR_FILES_MAX = 256 };

/* What files of the folder are. */
struct sq_file_dir_kind {
	const char *key; /* "subscribers.dir", for faults */
	size_t max;      /* bytes of a file */
	/* Makes a value of a file's text, which 'source' names in faults; NULL with lines in 'err'. */
	void *(*read)(const char *source, struct sq_bytes text, struct sq_buf *err);
	void (*free)(void *value);
};

struct sq_file_dir;

/* 'path' NULL or "": there is none, and nothing is ever read.  Copied; the kind outlives it. */
struct sq_file_dir *sq_file_dir_new(const char *path, const struct sq_file_dir_kind *);
/* Frees it with its values and nulls the pointer, which may be NULL. */
void sq_file_dir_free(struct sq_file_dir **);
/* Looks at the folder; is called a few times a second.  What has changed is read once it has not
 * changed between two looks; 'asked': at once, and whatever it is.  False: nothing is new.  True: values
 * are those of now; 'err' has a line for each fault. */
bool sq_file_dir_look(struct sq_file_dir *, bool asked, struct sq_buf *err);
/* How many files there are, and the value of each; NULL: it was never good.  Valid until the next look. */
size_t sq_file_dir_files(const struct sq_file_dir *);
void *sq_file_dir_value(const struct sq_file_dir *, size_t i);
/* Whether all that the files say is known: there is a folder, and each file was good once. */
bool sq_file_dir_whole(const struct sq_file_dir *);
/* Appends a line to others. */
void sq_file_dir_line(struct sq_buf *lines, const struct sq_buf *line);
/* Logs each of the lines. */
void sq_file_dir_say(struct sq_buf *lines);

#endif
