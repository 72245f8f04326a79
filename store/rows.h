/* A durable state as rows of bytes.  A log of several brokers keeps the rows that its owner's state
 * gives ("snapshot"), so that a broker with an empty directory need not read the log from its beginning.
 *
 * broker/engine/embedded/snapshot.h makes rows of tables, and tables of rows. */
#ifndef SQ_STORE_ROWS_H
#define SQ_STORE_ROWS_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_rows; /* a state that is being read; its first member says how */

/* What all rows together are, once the last one was read. */
struct sq_rows_sum {
	uint64_t lsn;   /* the state has the log up to this record */
	uint64_t bytes; /* of all rows */
	unsigned format;
	unsigned char sha256[32]; /* of all rows, one behind the other */
};

struct sq_rows_source {
	/* Begins with the state of this moment, which changes no more for who reads it; 'lsn' is
	 * there.  Errors with a line in 'err'.  Thread: any; of the others: one at a time. */
	int (*open)(void *owner, struct sq_rows **, uint64_t *lsn, struct sq_buf *err);
	/* Appends a row, SQ_ROWS_ROW bytes of it but for the last; nothing: that was all.  SQ_EAGAIN:
	 * it takes too long for who goes on with the state; other errors as of a read of the state;
	 * each with a line in 'err'. */
	int (*next)(struct sq_rows *, struct sq_buf *row, struct sq_buf *err);
	/* After the last row. */
	void (*sum)(const struct sq_rows *, struct sq_rows_sum *);
	void (*close)(struct sq_rows **); /* at any time; NULL is allowed */
};

enum { SQ_ROWS_ROW = 512 << 10 };

#endif
