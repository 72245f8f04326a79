/* Notes about a pod, for people: reasons of a denial, or warnings.  Each has its place, so that the
 * webhook prints a message and the command line a position. */
#ifndef SQ_K8S_PATCH_NOTES_H
#define SQ_K8S_PATCH_NOTES_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

enum { SQ_NOTES_MAX = 64, SQ_NOTE_TEXT_MAX = 600 };

struct sq_note {
	char *path;            /* JSON pointer (RFC 6901) of its subject within the object */
	char *key;             /* of the annotation that is its subject; NULL: none */
	unsigned line, column; /* within that annotation's value, from 1; 0: all of it */
	char *text;            /* one line */
};

/* A zeroed struct is an empty list. */
struct sq_notes {
	struct sq_note *v;
	size_t n;
	size_t more; /* notes beyond SQ_NOTES_MAX */
};

/* Adds a note about the place 'path'; returns it, or NULL where the list is full. */
struct sq_note *
sq_notes_add(struct sq_notes *, const char *path, const char *fmt, ...) SQ_PRINTF(3, 4);
void sq_notes_free(struct sq_notes *);
/* Puts 'prefix' in front of each note's path. */
void sq_notes_prefix(struct sq_notes *, const char *prefix);
/* Moves all notes of 'from' to the end of 'to'. */
void sq_notes_move(struct sq_notes *to, struct sq_notes *from);
/* Appends one note: "sqmqos.io/subscribe: line 2, column 8: reason". */
void sq_note_print(const struct sq_note *, struct sq_buf *out);
/* Appends all as one readable message: the note itself, or "3 problems:" and a line for
 * each. */
void sq_notes_print(const struct sq_notes *, struct sq_buf *out);

#endif
