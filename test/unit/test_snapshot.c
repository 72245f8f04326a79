/* broker/engine/embedded/snapshot, reseed: rows make the tables that they are of, and anything else makes none;
 * a directory gets those of the newest snapshot in the log that is whole. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_shared.h"
#include "../support/temp_dir.h"
#include "broker/engine/embedded/reseed.h"
#include "broker/engine/embedded/seed.h"
#include "broker/engine/embedded/snapshot.h"
#include "broker/engine/embedded/table.h"
#include "core/mem.h"

#define MIB (UINT64_C(1) << 20)

enum { STORE = 4711, ROWS_MAX = 32, LSN = 90, BIG = 3 << 20 };

static char *dir, *other;
static struct sq_table *table, *copy;
static struct sq_buf err;
static unsigned char *image;
static struct {
	struct sq_buf v[ROWS_MAX];
	unsigned n;
	struct sq_rows_sum sum;
} rows;

static void
ok(int rc)
{
	cr_assert_eq(rc, SQ_OK, "%s; %.*s", sq_table_error(NULL), (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
}

static void
put(uint64_t queue, uint64_t seq, size_t len)
{
	const struct sq_table_item i = {.queue = queue,
	    .seq = seq,
	    .origin = {queue, 2, seq, 0},
	    .qos = 1,
	    .image = {image, len}};

	memset(image, (int)(seq & 0xff), len);
	ok(sq_table_put_item(table, &i));
}

static void
commit(uint64_t lsn)
{
	ok(sq_table_put_mark(table, &(struct sq_log_mark){lsn + 2, 77 * lsn}));
	ok(sq_table_commit(table, lsn));
}

static void
fill(void)
{
	const struct sq_table_queue q = {.id = 1, .n = 101, .bytes = 1000000 + BIG, .name = "one"};

	ok(sq_table_begin(table));
	ok(sq_table_put_queue(table, &q));
	for (uint64_t seq = 1; seq <= 100; seq++)
		put(1, seq, 10000);
	put(1, 101, BIG); /* of several rows */
	put(9, 1, 5);
	ok(sq_table_delete_queue(table, 9));
	ok(sq_table_put_record(table, &(struct sq_record_key){1, 2, 3},
	    (struct sq_bytes){(const unsigned char *)"abc", 3}));
	commit(LSN);
}

static void
setup(void)
{
	image = sq_xmalloc(BIG);
	dir = temp_dir_new();
	other = temp_dir_new();
	ok(sq_seed_make(dir, 64 * MIB, STORE, &err));
	ok(sq_table_open(&table, dir, 64 * MIB, false, &err));
	fill();
}

static void
teardown(void)
{
	sq_table_close(&table);
	sq_table_close(&copy);
	temp_dir_free(&dir);
	temp_dir_free(&other);
	for (unsigned i = 0; i < ROWS_MAX; i++)
		sq_buf_fini(&rows.v[i]);
	sq_buf_fini(&err);
	free(image);
}

TestSuite(snapshot, .init = setup, .fini = teardown);

static void
read_rows(struct sq_rows *r)
{
	for (rows.n = 0; rows.n < ROWS_MAX; rows.n++) {
		ok(sq_snapshot_source.next(r, &rows.v[rows.n], &err));
		if (sq_buf_len(&rows.v[rows.n]) == 0)
			break;
	}
	cr_assert_lt(rows.n, (unsigned)ROWS_MAX);
	sq_snapshot_source.sum(r, &rows.sum);
	sq_snapshot_source.close(&r);
}

static void
take(void)
{
	struct sq_rows *r;
	uint64_t lsn;

	ok(sq_snapshot_source.open(table, &r, &lsn, &err));
	cr_assert_eq(lsn, (uint64_t)LSN);
	read_rows(r);
	cr_assert_gt(rows.n, 6u);
	for (unsigned i = 0; i + 1 < rows.n; i++)
		cr_assert_eq(sq_buf_len(&rows.v[i]), (size_t)SQ_ROWS_ROW);
	cr_assert_eq(rows.sum.lsn, (uint64_t)LSN);
}

/* Gives the first rows, and ends. */
static int
give(unsigned to, uint64_t store, uint64_t max_bytes)
{
	struct sq_snapshot_in *in;
	int rc = sq_snapshot_in_new(&in, other, max_bytes, store, &err);

	for (unsigned i = 0; rc == SQ_OK && i < to; i++)
		rc = sq_snapshot_in_row(in, sq_buf_bytes(&rows.v[i]), &err);
	if (rc == SQ_OK)
		rc = sq_snapshot_in_end(in, &rows.sum, &err);
	sq_snapshot_in_free(&in);
	return rc;
}

/* With that text in its line, and nothing in the directory. */
static void
refused(int rc, int wanted, const char *text)
{
	struct sq_seed_look look;

	cr_assert_eq(rc, wanted, "%d", rc);
	sq_buf_u8(&err, 0);
	cr_assert_not_null(
	    strstr((const char *)sq_buf_data(&err), text), "%s", (const char *)sq_buf_data(&err));
	err.start = err.end = 0;
	ok(sq_seed_look(other, &look, &err));
	cr_assert_eq(look.kind, SQ_SEED_NONE);
	cr_assert_not(sq_table_there(other));
}

static bool
same_item(void *arg, const struct sq_table_item *i)
{
	unsigned *n = arg;
	size_t len = i->seq == 101 ? BIG : 10000;

	++*n;
	cr_assert_eq(i->seq, (uint64_t)*n);
	cr_assert_eq(i->image.len, len);
	for (size_t at = 0; at < len; at += 977)
		cr_assert_eq(i->image.p[at], (unsigned char)i->seq);
	return true;
}

static void
same_record(void *arg, const struct sq_record_key *k, struct sq_bytes value)
{
	unsigned *n = arg;

	++*n;
	cr_assert(k->kind == 1 && k->id == 2 && k->sub == 3);
	cr_assert(value.len == 3 && memcmp(value.p, "abc", 3) == 0);
}

static void
same_queue(void *arg, const struct sq_table_queue *q)
{
	unsigned *n = arg;

	++*n;
	cr_assert_str_eq(q->name, "one");
	cr_assert_eq(q->n, (uint64_t)101);
}

static void
no_line(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
look_at_copy(uint64_t store, uint64_t lsn, struct sq_log_mark mark)
{
	unsigned n = 0;
	struct sq_table_meta meta;
	uint64_t bad;

	ok(sq_table_open(&copy, other, 64 * MIB, false, &err));
	meta = sq_table_meta(copy);
	cr_assert(meta.shared);
	cr_assert_eq(meta.store, store);
	cr_assert_eq(meta.lsn, lsn);
	cr_assert_eq(meta.mark.lsn, mark.lsn);
	cr_assert_eq(meta.mark.chain, mark.chain);
	cr_assert_eq(sq_table_format(copy), SQ_TABLE_FORMAT_SHARED);
	ok(sq_table_items(copy, 1, 0, 1000, UINT64_MAX, same_item, &n, &bad));
	cr_assert_eq(n, 101u);
	ok(sq_table_records(copy, same_record, &(unsigned){0}));
	n = 0;
	ok(sq_table_queues(copy, same_queue, &n));
	cr_assert_eq(n, 1u);
	cr_assert_eq(sq_table_last_queue(copy), (uint64_t)9, "garbage is there, too");
	cr_assert_eq(sq_table_check(copy, no_line, NULL), 0u);
	ok(sq_table_begin(copy));
	cr_assert_eq(sq_table_sweep(copy, 10), 1, "the item of the queue that ended");
	sq_table_abort(copy);
}

Test(snapshot, rows_make_the_same_tables)
{
	take();
	ok(give(rows.n, STORE, 64 * MIB));
	look_at_copy(STORE, LSN, (struct sq_log_mark){LSN + 2, 77 * LSN});
}

Test(snapshot, it_is_of_the_moment_at_which_it_begins)
{
	struct sq_rows *r;
	uint64_t lsn;

	ok(sq_snapshot_source.open(table, &r, &lsn, &err));
	ok(sq_table_begin(table));
	put(1, 50, 3);
	put(1, 102, 3);
	commit(LSN + 1);
	read_rows(r);
	ok(give(rows.n, STORE, 64 * MIB));
	look_at_copy(STORE, LSN, (struct sq_log_mark){LSN + 2, 77 * LSN});
}

Test(snapshot, tables_of_files_become_those_of_a_log)
{
	const struct sq_log_mark mark = {LSN, 0};
	struct sq_rows *r;
	uint64_t lsn;

	sq_table_close(&table);
	temp_dir_free(&dir);
	dir = temp_dir_new();
	ok(sq_table_open(&table, dir, 64 * MIB, false, &err));
	cr_assert_eq(sq_snapshot_source.open(table, &r, &lsn, &err), SQ_EINVAL);
	err.start = err.end = 0;
	ok(sq_table_begin(table));
	ok(sq_table_commit(table, 0));
	cr_assert_eq(sq_snapshot_open_as(table, 5, &mark, &r, &lsn, &err), SQ_EINVAL);
	err.start = err.end = 0;
	sq_table_close(&table);
	temp_dir_free(&dir);
	dir = temp_dir_new();
	ok(sq_seed_make(dir, 64 * MIB, STORE, &err));
	ok(sq_table_open(&table, dir, 64 * MIB, false, &err));
	fill();
	ok(sq_snapshot_open_as(table, 5, &mark, &r, &lsn, &err));
	read_rows(r);
	ok(give(rows.n, 5, 64 * MIB));
	look_at_copy(5, LSN, mark);
}

Test(snapshot, without_rows_at_the_end_there_are_no_tables)
{
	take();
	for (unsigned n = 0; n < rows.n; n++)
		refused(give(n, STORE, 64 * MIB), SQ_EINVAL, "it has no end");
	ok(give(rows.n, STORE, 64 * MIB));
}

Test(snapshot, a_changed_byte_is_noticed_wherever)
{
	take();
	for (unsigned n = 0; n < rows.n; n++) {
		size_t at = n == 0 ? 50 : sq_buf_len(&rows.v[n]) / 2;
		unsigned char *p = rows.v[n].base + rows.v[n].start + at;

		*p ^= 1;
		refused(give(rows.n, STORE, 64 * MIB), SQ_EINVAL, "verify");
		*p ^= 1;
	}
	rows.sum.sha256[31] ^= 1;
	refused(give(rows.n, STORE, 64 * MIB), SQ_EINVAL, "its digest is another one");
}

Test(snapshot, it_is_refused_by_who_is_not_meant)
{
	take();
	refused(give(rows.n, STORE + 1, 64 * MIB), SQ_EINVAL, "of another log");
	refused(give(rows.n, STORE, 2 * MIB), SQ_ENOMEM, "MDB_MAP_FULL");
	rows.sum.lsn++;
	refused(give(rows.n, STORE, 64 * MIB), SQ_EINVAL, "of another record");
	rows.sum.lsn--;
	rows.v[0].base[rows.v[0].start + 4] = SQ_SNAPSHOT_FORMAT + 1;
	refused(give(rows.n, STORE, 64 * MIB), SQ_EINVAL, "of a newer version");
}

Test(snapshot, it_does_not_touch_tables_that_are_there)
{
	struct sq_snapshot_in *in;

	cr_assert_eq(sq_snapshot_in_new(&in, dir, 64 * MIB, STORE, &err), SQ_EEXIST);
	cr_assert_null(in);
	cr_assert(sq_table_there(dir));
}

Test(snapshot, reading_ends_when_the_file_grows_too_much)
{
	struct sq_buf row = {0};
	struct sq_rows *r;
	uint64_t lsn;
	int rc = SQ_OK;

	ok(sq_snapshot_source.open(table, &r, &lsn, &err));
	ok(sq_snapshot_source.next(r, &row, &err));
	for (unsigned i = 1; i < 20; i++) { /* each frees and takes 1 MiB */
		ok(sq_table_begin(table));
		put(2, 1, 1 << 20);
		commit(LSN + i);
	}
	rc = sq_snapshot_source.next(r, &row, &err);
	cr_assert_eq(rc, SQ_EAGAIN);
	cr_assert_not_null(memmem(sq_buf_data(&err), sq_buf_len(&err), "an eighth", 9));
	sq_snapshot_source.close(&r);
	sq_buf_fini(&row);
}

Test(snapshot, reading_ends_when_the_store_has_no_room)
{
	struct sq_buf row = {0};
	struct sq_rows *r;
	uint64_t lsn;
	int rc = SQ_OK;

	for (unsigned i = 1; i <= 16; i++) {
		ok(sq_table_begin(table));
		put(2, i, BIG);
		commit(LSN + i);
	}
	ok(sq_snapshot_source.open(table, &r, &lsn, &err));
	ok(sq_table_begin(table));
	while (rc == SQ_OK) {
		const struct sq_table_item i = {
		    .queue = 3, .seq = ++lsn, .qos = 1, .image = {image, BIG}};

		rc = sq_table_put_item(table, &i);
	}
	cr_assert_eq(rc, SQ_ENOMEM);
	sq_table_abort(table);
	cr_assert_eq(sq_snapshot_source.next(r, &row, &err), SQ_EAGAIN);
	cr_assert_not_null(memmem(sq_buf_data(&err), sq_buf_len(&err), "no room", 7));
	sq_snapshot_source.close(&r);
	sq_buf_fini(&row);
}

/* Reseed */

static struct fake_shared *fake;
static struct sq_shared *conn;
static unsigned steps_max;
static struct sq_shared_peer seen;

/* Writes the first rows as a snapshot of the log, done or not, with one row changed, if it is there. */
static void
keep(uint64_t lsn, unsigned n, unsigned changed)
{
	struct sq_shared_snapshot s = {.lsn = lsn};

	cr_assert_eq(fake_shared_ops.snap_begin(conn, &s), SQ_SHARED_DONE);
	for (unsigned i = 0; i < n; i++) {
		unsigned char *p = rows.v[i].base + rows.v[i].start + 100;

		*p ^= i == changed;
		cr_assert_eq(fake_shared_ops.snap_put(conn, s.n, i, sq_buf_bytes(&rows.v[i])),
		    SQ_SHARED_DONE);
		*p ^= i == changed;
	}
	s.lsn = rows.sum.lsn;
	s.bytes = rows.sum.bytes;
	s.format = rows.sum.format;
	memcpy(s.sha256, rows.sum.sha256, sizeof s.sha256);
	cr_assert_eq(fake_shared_ops.snap_done(conn, &s), SQ_SHARED_DONE);
}

static bool
progress(void *owner, uint64_t done, uint64_t total)
{
	cr_assert_eq(owner, fake);
	cr_assert_lt(done, total);
	return steps_max-- > 0;
}

static void
see(void *arg, const struct sq_shared_peer *peer)
{
	(void)arg;
	if (strcmp(peer->id, "me") == 0)
		seen = *peer;
}

static int
reseed(struct sq_reseed_took *took, unsigned steps)
{
	const struct sq_shared_peer me = {.id = "me", .link = "me:1"};
	const struct sq_shared_peer watcher = {.id = "watcher"};
	struct sq_reseed_cfg cfg = {.driver = &fake_shared_ops,
	    .conn = conn,
	    .dir = other,
	    .max_bytes = 64 * MIB,
	    .store = STORE,
	    .me = &me,
	    .progress = progress,
	    .owner = fake};
	int rc;

	steps_max = steps;
	rc = sq_reseed(&cfg, took, &err);
	cr_assert_eq(fake_shared_ops.announce(conn, &watcher, see, NULL), SQ_SHARED_DONE);
	return rc;
}

static void
log_begin(void)
{
	setup();
	fake = fake_shared_new(STORE);
	cr_assert_eq(fake_shared_ops.dial(&conn, fake_shared_way(fake), 1000, &err), SQ_OK);
	take();
}

static void
log_end(void)
{
	fake_shared_ops.hang_up(&conn);
	fake_shared_free(&fake);
	teardown();
}

TestSuite(reseed, .init = log_begin, .fini = log_end);

Test(reseed, the_newest_is_taken)
{
	struct sq_reseed_took took;

	refused(reseed(&took, 100), SQ_ENOTFOUND, "no snapshot");
	keep(1, rows.n, 0);
	keep(2, rows.n, ROWS_MAX);
	ok(reseed(&took, 100));
	cr_assert_eq(took.n, 2u);
	cr_assert_eq(took.lsn, (uint64_t)LSN);
	cr_assert_eq(took.bytes, rows.sum.bytes);
	look_at_copy(STORE, LSN, (struct sq_log_mark){LSN + 2, 77 * LSN});
	cr_assert_eq(seen.kept, (uint64_t)LSN, "what is behind it must not be dropped meanwhile");
	cr_assert_str_eq(seen.link, "me:1");
}

Test(reseed, the_older_one_is_taken_where_the_newest_is_not_whole)
{
	struct sq_reseed_took took;

	for (unsigned n = 0; n < rows.n; n++) {
		keep(1, rows.n, ROWS_MAX);
		keep(2, n % 2 != 0 ? rows.n : n, n); /* a row changed, or rows missing */
		ok(reseed(&took, 100));
		cr_assert_eq(took.n, 2 * n + 1);
		ok(sq_seed_clear(other, &err));
	}
}

Test(reseed, without_a_whole_one_there_are_no_tables)
{
	struct sq_reseed_took took;

	keep(1, rows.n - 1, 0);
	keep(2, rows.n, 1);
	refused(reseed(&took, 100), SQ_EINVAL, "is damaged");
}

Test(reseed, a_log_that_goes_away_leaves_no_tables)
{
	struct sq_reseed_took took;

	keep(1, rows.n, ROWS_MAX);
	refused(reseed(&took, 3), SQ_EAGAIN, "the broker ends");
	fake_shared_fault(fake, FAKE_SNAP, FAKE_LOST, 1);
	cr_assert_eq(sq_reseed(&(struct sq_reseed_cfg){.driver = &fake_shared_ops, .conn = conn},
			 &took, &err),
	    SQ_EAGAIN);
	cr_assert_not(sq_table_there(other));
}
