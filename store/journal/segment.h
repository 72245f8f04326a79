/* Segment files of a journal, and windows to read them.  No threads and no decisions: journal.c
 * writes, recover.c judges.  Private to store/. */
#ifndef SQ_STORE_JOURNAL_SEGMENT_H
#define SQ_STORE_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/list.h"
#include "store/journal/record.h"

struct sq_segment {
	struct sq_list node;
	uint64_t no;    /* in the file's name */
	uint64_t first; /* lsn */
	uint64_t last;  /* lsn; first - 1: it has no record */
	uint64_t size;  /* of the file */
	uint64_t end;   /* offset behind its last record; 0: it has no header */
	uint64_t bytes; /* the same, for threads other than the writer */
	uint64_t tag;
	int fd;
	bool broken; /* never to be written again */
	bool dirty;  /* written and not synced */
};

#define SQ_SEGMENT_NAME_LEN 24 /* "journal-" and 16 digits */
struct sq_segment_name {
	char text[SQ_SEGMENT_NAME_LEN + 1];
};
struct sq_segment_name sq_segment_name(uint64_t no);
/* Whether 'name' is a segment's; '*no' gets its number. */
bool sq_segment_name_parse(const char *name, uint64_t *no);

/* Makes the file and writes 'size' zeros through to the disk, before the file gets its name.  NULL
 * with errno set: nothing is left behind. */
struct sq_segment *sq_segment_make(int dirfd, uint64_t no, uint64_t size);
/* Appends zeros up to 'size'; SQ_EIO with errno set. */
int sq_segment_grow(struct sq_segment *, uint64_t size) SQ_MUST_CHECK;
/* Gives the file of a used segment a new number; SQ_EIO with errno set. */
int sq_segment_rename(int dirfd, struct sq_segment *, uint64_t no) SQ_MUST_CHECK;
void sq_segment_remove(int dirfd, struct sq_segment *);
/* Closes the file, frees the segment and nulls the pointer. */
void sq_segment_free(struct sq_segment **);

/* A window that moves forward over a file.  Begins zeroed, with 'fd' and 'size' set. */
struct sq_segment_view {
	int fd;
	uint64_t size; /* of the file */
	uint64_t at;   /* offset of the first byte in 'buf' */
	struct sq_buf buf;
	int error; /* errno of a read that failed */
};
/* The next 'n' bytes, without moving on; NULL at the end or on an error. */
const unsigned char *sq_segment_view_peek(struct sq_segment_view *, size_t n);
void sq_segment_view_skip(struct sq_segment_view *, uint64_t n);
void sq_segment_view_seek(struct sq_segment_view *, uint64_t offset);
void sq_segment_view_fini(struct sq_segment_view *);

enum sq_next {
	SQ_NEXT_RECORD,
	SQ_NEXT_NONE, /* no record of the segment is here, or it does not verify */
	SQ_NEXT_ERROR,
};
/* The verified record at the window's place, all of it at '*p'.  The caller moves on with
 * sq_segment_view_skip(sq_record_space(len)). */
enum sq_next sq_segment_next(
    struct sq_segment_view *, uint64_t tag, struct sq_record *, const unsigned char **p);
/* Moves to the next record with an lsn above 'above', if there is one; checks every place at which
 * a record can begin. */
enum sq_next
sq_segment_scan(struct sq_segment_view *, uint64_t tag, uint64_t above, struct sq_record *);
/* The offset of record 'lsn', found by the records' lengths from 'first' at the segment's start; 0:
 * not found. */
uint64_t sq_segment_find(int fd, uint64_t size, uint64_t tag, uint64_t first, uint64_t lsn);

#endif
