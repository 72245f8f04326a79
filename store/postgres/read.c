#include "store/postgres/pg_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define HEAD_SQL \
	"SELECT h.store, h.epoch, h.nonce, h.beats, h.segment, h.segment_first, h.sure, h.moved," \
	" h.holder, h.link, h.admin, h.boot, l.lsn, l.sure," \
	" (SELECT first FROM @.segment WHERE p = 0 ORDER BY n LIMIT 1) FROM @.head h" \
	" LEFT JOIN (SELECT lsn, sure FROM @.log_0_%1$u ORDER BY lsn DESC LIMIT 1) l ON true" \
	" WHERE h.p = 0"

enum {
	STORE,
	EPOCH,
	NONCE,
	BEATS,
	SEGMENT,
	SEGMENT_FIRST,
	SURE,
	MOVED,
	HOLDER,
	LINK,
	ADMIN,
	BOOT,
	LAST,
	LAST_SURE,
	FIRST
};

/* A page: at least one record, of lengths that need not be read to be known.  $1 from, $2 bytes, $3 what
 * is not sure, too. */
#define READ_SQL \
	"SELECT lsn, epoch, sure, data FROM (SELECT lsn, epoch, sure, data," \
	" octet_length(data) AS size, sum(octet_length(data)) OVER (ORDER BY lsn) AS total" \
	" FROM @.log_0_%1$u WHERE lsn > $1 AND ($3::bool OR lsn <= (SELECT greatest(h.sure," \
	" (SELECT sure FROM @.log_0_%1$u ORDER BY lsn DESC LIMIT 1)) FROM @.head h WHERE h.p = " \
	"0))" \
	" ORDER BY lsn LIMIT %2$d) page WHERE total <= $2::bigint OR total = size ORDER BY lsn"

enum sq_shared_result
sq_pg_segments(struct sq_shared *c)
{
	size_t list = sq_pg_queue(c, NULL, "SELECT n, first FROM @.segment WHERE p = 0 ORDER BY n");
	enum sq_shared_result result = sq_pg_run(c);
	int rows;

	if (result != SQ_SHARED_DONE)
		return SQ_SHARED_UNKNOWN;
	rows = sq_pg_rows(c, list);
	if (rows == 0) {
		sq_pg_say(c, "schema %s has no segment", c->schema);
		return SQ_SHARED_UNKNOWN;
	}
	c->segments = sq_xrealloc(c->segments, (size_t)rows * sizeof *c->segments);
	c->segments_n = (size_t)rows;
	for (int i = 0; i < rows; i++)
		c->segments[i] = (struct sq_pg_segment){
		    .n = (unsigned)sq_pg_int(c, list, i, 0),
		    .first = sq_pg_int(c, list, i, 1),
		};
	return SQ_SHARED_DONE;
}

const struct sq_pg_segment *
sq_pg_last_segment(const struct sq_shared *c)
{
	return &c->segments[c->segments_n - 1];
}

static void
head_write(unsigned segment, char sql[SQ_PG_SQL])
{
	(void)snprintf(sql, SQ_PG_SQL, HEAD_SQL, segment);
}

enum sq_shared_result
sq_pg_prepare_head(struct sq_shared *c)
{
	return sq_pg_prepare(c, SQ_PG_HEAD, sq_pg_last_segment(c)->n, head_write);
}

size_t
sq_pg_queue_head(struct sq_shared *c)
{
	return sq_pg_queue_kind(c, SQ_PG_HEAD, NULL);
}

unsigned
sq_pg_head(const struct sq_shared *c, size_t r, struct sq_shared_head *head)
{
	uint64_t begin, sure;

	memset(head, 0, sizeof *head);
	if (sq_pg_rows(c, r) != 1)
		return 0;
	begin = sq_pg_int(c, r, 0, SEGMENT_FIRST);
	sure = sq_pg_int(c, r, 0, LAST_SURE);
	head->store = sq_pg_int(c, r, 0, STORE);
	head->epoch = sq_pg_int(c, r, 0, EPOCH);
	head->boot = sq_pg_int(c, r, 0, BOOT);
	head->nonce = sq_pg_int(c, r, 0, NONCE);
	head->beats = sq_pg_int(c, r, 0, BEATS);
	head->sure = sq_pg_int(c, r, 0, SURE);
	head->moved = sq_pg_int(c, r, 0, MOVED) != 0;
	head->last = sq_pg_null(c, r, 0, LAST) ? begin - 1 : sq_pg_int(c, r, 0, LAST);
	head->first = sq_pg_int(c, r, 0, FIRST);
	head->copies = c->copies;
	head->segments = (unsigned)c->segments_n;
	if (head->sure < sure) /* an owner has said so, if not in the head */
		head->sure = sure;
	sq_pg_copy(c, r, 0, HOLDER, head->holder, sizeof head->holder);
	sq_pg_copy(c, r, 0, LINK, head->link, sizeof head->link);
	sq_pg_copy(c, r, 0, ADMIN, head->admin, sizeof head->admin);
	return (unsigned)sq_pg_int(c, r, 0, SEGMENT);
}

/* The segment that has the record behind 'from'. */
static unsigned
read_segment(const struct sq_shared *c, uint64_t from)
{
	size_t i = c->segments_n - 1;

	while (i > 0 && c->segments[i].first > from + 1)
		i--;
	return c->segments[i].n;
}

static void
read_write(unsigned segment, char sql[SQ_PG_SQL])
{
	(void)snprintf(sql, SQ_PG_SQL, READ_SQL, segment, (int)SQ_PG_PAGE);
}

/* One attempt with the segments as they are known.  'stale': they are others. */
static enum sq_shared_result
read_try(struct sq_shared *c, uint64_t from, size_t max_bytes, struct sq_shared_head *head,
    size_t *page, bool *stale)
{
	unsigned n = read_segment(c, from), last = sq_pg_last_segment(c)->n;
	struct sq_pg_args a = {.n = 0};
	enum sq_shared_result result;
	size_t at = 0;

	result = sq_pg_prepare_head(c);
	if (result == SQ_SHARED_DONE)
		result = sq_pg_prepare(c, SQ_PG_READ, n, read_write);
	if (result == SQ_SHARED_DONE) {
		sq_pg_u64(&a, from);
		sq_pg_u64(&a, max_bytes > 0 ? max_bytes : 1);
		sq_pg_bool(&a, c->claimed || sq_pg_broken("no_sure") || sq_pg_broken("no_barrier"));
		at = sq_pg_queue_head(c);
		*page = sq_pg_queue_kind(c, SQ_PG_READ, &a);
		result = sq_pg_run(c);
	}
	*stale = result == SQ_SHARED_NOT_DONE && strcmp(c->state, "42P01") == 0; /* no such table */
	if (result == SQ_SHARED_DONE)
		*stale = sq_pg_head(c, at, head) != last;
	return result == SQ_SHARED_DONE ? result : SQ_SHARED_UNKNOWN;
}

enum sq_shared_result
sq_pg_read(struct sq_shared *c, uint64_t from, size_t max_bytes, struct sq_shared_head *head,
    sq_shared_record_fn *record, void *arg)
{
	enum sq_shared_result result;
	uint64_t lsn, last = from;
	bool stale = false;
	size_t page = 0;

	sq_pg_begin(c);
	sq_pg_receives(c);
	for (int i = 0; i < 3; i++) {
		if (stale && sq_pg_segments(c) != SQ_SHARED_DONE)
			return SQ_SHARED_UNKNOWN;
		result = read_try(c, from, max_bytes, head, &page, &stale);
		if (!stale)
			break;
		result = SQ_SHARED_UNKNOWN;
	}
	if (result != SQ_SHARED_DONE)
		return result;
	for (int i = 0; record != NULL && i < sq_pg_rows(c, page); i++) {
		lsn = sq_pg_int(c, page, i, 0);
		if (lsn > head->last) /* it came behind the head */
			break;
		if (lsn != last + 1 && lsn != head->first) {
			sq_pg_say(c, "record %" PRIu64 " follows %" PRIu64, lsn, last);
			return SQ_SHARED_UNKNOWN;
		}
		last = lsn;
		if (!record(arg, lsn, sq_pg_int(c, page, i, 1), sq_pg_int(c, page, i, 2),
			sq_pg_get(c, page, i, 3)))
			break;
	}
	sq_pg_clear(c);
	return SQ_SHARED_DONE;
}
