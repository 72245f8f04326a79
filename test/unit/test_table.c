/* broker/engine/embedded/table: what was committed is there, in order, and proven;
 * what is damaged is found and never served. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/engine/embedded/table.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/mem.h"

#define MIB (UINT64_C(1) << 20)

static char dir[] = "/tmp/sq-table-XXXXXX";
static char data_file[64];
static struct sq_table *table;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(data_file, sizeof data_file, "%s/tables/data.mdb", dir);
}

static void
teardown(void)
{
	sq_table_close(&table);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(table, .init = setup, .fini = teardown);

static void
open_table(uint64_t max_bytes, bool read_only)
{
	struct sq_buf err = {0};
	int rc = sq_table_open(&table, dir, max_bytes, read_only, &err);

	cr_assert_eq(rc, SQ_OK, "%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	cr_assert_eq(sq_buf_len(&err), 0);
}

/* Opening fails so, with both texts in its line. */
static void
refused(int want, bool read_only, const char *a, const char *b)
{
	struct sq_buf err = {0};
	int rc = sq_table_open(&table, dir, 64 * MIB, read_only, &err);

	cr_assert_eq(rc, want, "%d", rc);
	cr_assert_null(table);
	sq_buf_u8(&err, 0);
	cr_assert(strstr((char *)sq_buf_data(&err), a) != NULL, "%s", (char *)sq_buf_data(&err));
	cr_assert(strstr((char *)sq_buf_data(&err), b) != NULL, "%s", (char *)sq_buf_data(&err));
	cr_assert_null(strchr((char *)sq_buf_data(&err), '\n'));
	sq_buf_fini(&err);
}

static void
ok(int rc)
{
	cr_assert_eq(rc, SQ_OK, "%s", sq_table_error(table));
}

static int
try_put(uint64_t queue, uint64_t seq, const void *image, size_t len)
{
	const struct sq_table_item i = {.queue = queue,
	    .seq = seq,
	    .origin = {queue, 2, seq, 0},
	    .qos = 1,
	    .image = {image, len}};

	return sq_table_put_item(table, &i);
}

/* An image that says whose it is. */
static void
put(uint64_t queue, uint64_t seq)
{
	char image[64];

	snprintf(image, sizeof image, "image of %llu in %llu", (unsigned long long)seq,
	    (unsigned long long)queue);
	ok(try_put(queue, seq, image, strlen(image)));
}

static void
begin(void)
{
	ok(sq_table_begin(table));
}

static void
commit(uint64_t lsn)
{
	ok(sq_table_commit(table, lsn));
}

struct seen {
	uint64_t seq[5000];
	unsigned n, stop_at;
	uint64_t bytes;
	uint32_t crc;
};

static bool
see(void *arg, const struct sq_table_item *i)
{
	struct seen *s = arg;
	const uint64_t numbers[] = {i->queue, i->seq, i->expires_ms, i->attempts, i->qos,
	    i->origin.incarnation, i->origin.run, i->origin.number, i->origin.copy, i->retain,
	    i->assured};

	cr_assert_lt(s->n, SQ_ARRAY_LEN(s->seq));
	s->seq[s->n++] = i->seq;
	s->bytes += i->image.len;
	s->crc = sq_crc32c(s->crc, numbers, sizeof numbers);
	s->crc = sq_crc32c(s->crc, i->image.p, i->image.len);
	if (i->subs.len > 0)
		s->crc = sq_crc32c(s->crc, i->subs.p, i->subs.len);
	return s->n != s->stop_at;
}

static struct seen
read_items(uint64_t queue, uint64_t from, unsigned max_items, uint64_t max_bytes)
{
	struct seen s = {0};
	uint64_t bad = 0;

	ok(sq_table_items(table, queue, from, max_items, max_bytes, see, &s, &bad));
	return s;
}

/* --- items --- */

Test(table, items_of_a_queue_come_in_their_order)
{
	struct seen s;

	open_table(64 * MIB, false);
	begin();
	/* Not in order, and numbers whose bytes sort otherwise when little-endian. */
	for (uint64_t seq = 700; seq > 0; seq--)
		for (uint64_t queue = 1; queue <= 3; queue++)
			put(queue * 255, seq);
	commit(9);
	for (uint64_t queue = 1; queue <= 3; queue++) {
		s = read_items(queue * 255, 0, UINT32_MAX, UINT64_MAX);
		cr_assert_eq(s.n, 700);
		for (unsigned i = 0; i < s.n; i++)
			cr_assert_eq(s.seq[i], i + 1);
	}
	s = read_items(510, 300, 5, UINT64_MAX);
	cr_assert_eq(s.n, 5);
	cr_assert_eq(s.seq[0], 300);
	/* The first always, however long it is. */
	s = read_items(510, 300, 100, 1);
	cr_assert_eq(s.n, 1);
	s = read_items(510, 700, 100, UINT64_MAX);
	cr_assert_eq(s.n, 1);
	s = read_items(511, 0, 100, UINT64_MAX);
	cr_assert_eq(s.n, 0);
}

static bool
see_all_of_it(void *arg, const struct sq_table_item *i)
{
	const uint32_t subs[] = {1, 268435455};
	bool *seen = arg;

	cr_assert_eq(i->queue, 7);
	cr_assert_eq(i->seq, UINT64_C(1) << 40);
	cr_assert_eq(i->origin.incarnation, 11);
	cr_assert_eq(i->origin.run, 12);
	cr_assert_eq(i->origin.number, 13);
	cr_assert_eq(i->origin.copy, 1);
	cr_assert_eq(i->expires_ms, UINT64_C(1767225600123));
	cr_assert_eq(i->qos, 2);
	cr_assert(i->retain && i->assured);
	cr_assert_eq(i->attempts, 65535);
	cr_assert_eq(i->subs.len, sizeof subs);
	cr_assert_eq(memcmp(i->subs.p, subs, sizeof subs), 0);
	cr_assert_eq(i->image.len, 3);
	cr_assert_eq(memcmp(i->image.p, "abc", 3), 0);
	*seen = true;
	return true;
}

Test(table, an_item_comes_back_with_all_that_it_had)
{
	const uint32_t subs[] = {1, 268435455};
	const struct sq_table_item item = {.queue = 7,
	    .seq = UINT64_C(1) << 40,
	    .origin = {11, 12, 13, 1},
	    .expires_ms = UINT64_C(1767225600123),
	    .qos = 2,
	    .retain = true,
	    .assured = true,
	    .attempts = 65535,
	    .subs = {(const unsigned char *)subs, sizeof subs},
	    .image = {(const unsigned char *)"abc", 3}};
	bool seen = false;
	uint64_t bad;

	open_table(64 * MIB, false);
	begin();
	ok(sq_table_put_item(table, &item));
	commit(1);
	sq_table_close(&table);
	open_table(64 * MIB, true);
	ok(sq_table_items(table, 7, 0, 10, 100, see_all_of_it, &seen, &bad));
	cr_assert(seen);
}

Test(table, images_of_every_size_come_back)
{
	static unsigned char image[2 * 1024 * 1024];
	static const size_t sizes[] = {
	    0, 1, 700, 780, 1024, 1950, 2000, 2014, 2015, 2100, 4096, 100000, sizeof image};

	for (size_t i = 0; i < sizeof image; i++)
		image[i] = (unsigned char)(i * 31 >> 3);
	open_table(64 * MIB, false);
	begin();
	for (unsigned i = 0; i < SQ_ARRAY_LEN(sizes); i++)
		for (uint64_t queue = 1; queue <= 2; queue++)
			ok(try_put(queue, i + 1, image + i, sizes[i] > i ? sizes[i] - i : 0));
	commit(1);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(sizes); i++) {
		const uint64_t len = sizes[i] > i ? sizes[i] - i : 0;
		struct seen s = read_items(2, i + 1, 1, 0), want = {0};
		const struct sq_table_item same = {.queue = 2,
		    .seq = i + 1,
		    .origin = {2, 2, i + 1, 0},
		    .qos = 1,
		    .image = {image + i, len}};

		see(&want, &same);
		cr_assert_eq(s.n, 1);
		cr_assert_eq(s.crc, want.crc, "size %zu", sizes[i]);
		cr_assert_eq(sq_table_item_bytes(table, 2, i + 1), len);
	}
	cr_assert_eq(sq_table_item_bytes(table, 2, 99), 0);
}

/* Three of 1 KiB fit a page: the tables fill it, batch after batch. */
Test(table, pages_are_filled_when_queues_grow_in_turn)
{
	static unsigned char image[1024];

	open_table(256 * MIB, false);
	for (uint64_t round = 0; round < 10; round++) {
		begin();
		for (uint64_t queue = 1; queue <= 50; queue++)
			for (uint64_t i = 1; i <= 20; i++)
				ok(try_put(queue, round * 20 + i, image, sizeof image));
		commit(round + 1);
	}
	for (uint64_t queue = 1; queue <= 50; queue++)
		cr_assert_eq(read_items(queue, 0, 5000, UINT64_MAX).n, 200);
	/* 3,333 full leaves and the branches above them. */
	cr_assert_lt(sq_table_used(table), UINT64_C(4000) * 4096);
}

static void
see_one(void *arg, const struct sq_table_item *i)
{
	see(arg, i);
}

Test(table, one_item_is_found_or_is_not_there)
{
	struct seen s = {0};

	open_table(64 * MIB, false);
	begin();
	put(1, 5);
	commit(1);
	ok(sq_table_item(table, 1, 5, see_one, &s));
	cr_assert_eq(s.seq[0], 5);
	cr_assert_eq(sq_table_item(table, 1, 4, see_one, &s), SQ_ENOTFOUND);
	cr_assert_eq(sq_table_item(table, 2, 5, see_one, &s), SQ_ENOTFOUND);
	cr_assert_eq(s.n, 1);
}

Test(table, a_walk_ends_where_its_reader_wants)
{
	struct seen s = {.stop_at = 3};
	uint64_t bad;

	open_table(64 * MIB, false);
	begin();
	for (uint64_t seq = 1; seq <= 10; seq++)
		put(1, seq);
	commit(1);
	ok(sq_table_items(table, 1, 0, 10, UINT64_MAX, see, &s, &bad));
	cr_assert_eq(s.n, 3);
}

Test(table, a_delete_says_how_much_was_there)
{
	uint64_t bytes = 77;
	struct seen s;

	open_table(64 * MIB, false);
	begin();
	ok(try_put(1, 1, "12345", 5));
	ok(try_put(1, 2, "", 0));
	ok(try_put(1, 3, "1", 1));
	commit(1);
	begin();
	ok(sq_table_delete_item(table, 1, 1, &bytes));
	cr_assert_eq(bytes, 5);
	ok(sq_table_delete_item(table, 1, 1, &bytes));
	cr_assert_eq(bytes, 0);
	ok(sq_table_delete_item(table, 9, 1, &bytes));
	cr_assert_eq(bytes, 0);
	commit(2);
	s = read_items(1, 0, 10, UINT64_MAX);
	cr_assert_eq(s.n, 2);
	cr_assert_eq(s.seq[0], 2);
}

static void
see_attempts(void *arg, const struct sq_table_item *i)
{
	*(unsigned *)arg = i->attempts;
}

Test(table, attempts_change_and_nothing_else_does)
{
	static unsigned char big[100000];
	unsigned attempts = 0;

	open_table(64 * MIB, false);
	begin();
	put(1, 1);
	put(1, 2);
	ok(try_put(1, 3, big, sizeof big));
	commit(1);
	begin();
	ok(sq_table_set_attempts(table, 1, 1, 3));
	ok(sq_table_set_attempts(table, 1, 3, 259));
	ok(sq_table_set_attempts(table, 1, 8, 3)); /* is not there */
	commit(2);
	ok(sq_table_item(table, 1, 1, see_attempts, &attempts));
	cr_assert_eq(attempts, 3);
	ok(sq_table_item(table, 1, 2, see_attempts, &attempts));
	cr_assert_eq(attempts, 0);
	ok(sq_table_item(table, 1, 3, see_attempts, &attempts));
	cr_assert_eq(attempts, 259);
	cr_assert_eq(sq_table_item_bytes(table, 1, 3), sizeof big);
	cr_assert_eq(read_items(1, 0, 10, UINT64_MAX).n, 3);
}

Test(table, what_is_aborted_was_never_there)
{
	open_table(64 * MIB, false);
	begin();
	put(1, 1);
	commit(5);
	begin();
	put(1, 2);
	sq_table_abort(table);
	begin();
	put(1, 3);
	sq_table_close(&table); /* in the middle of it */
	open_table(64 * MIB, false);
	cr_assert_eq(read_items(1, 0, 10, UINT64_MAX).n, 1);
	cr_assert_eq(sq_table_meta(table).lsn, 5);
}

/* --- queues, records --- */

struct list {
	char text[4096];
	size_t n;
};

static void
see_queue(void *arg, const struct sq_table_queue *q)
{
	struct list *l = arg;

	l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%llu %s %llu %llu;",
	    (unsigned long long)q->id, q->name, (unsigned long long)q->n,
	    (unsigned long long)q->bytes);
}

static void
put_queue(uint64_t id, const char *name, uint64_t n, uint64_t bytes)
{
	ok(sq_table_put_queue(
	    table, &(struct sq_table_queue){.id = id, .n = n, .bytes = bytes, .name = name}));
}

Test(table, queues_keep_their_names_and_counters)
{
	struct list l = {0};

	open_table(64 * MIB, false);
	begin();
	put_queue(300, "session/b", 0, 0);
	put_queue(2, "session/a", 10, 1000);
	put_queue(300, "session/b", 3, UINT64_C(1) << 33);
	put_queue(5, "gone", 1, 1);
	ok(sq_table_delete_queue(table, 5));
	commit(1);
	ok(sq_table_queues(table, see_queue, &l));
	cr_assert_str_eq(l.text, "2 session/a 10 1000;300 session/b 3 8589934592;");
}

Test(table, garbage_is_swept_in_slices)
{
	struct seen s;

	open_table(64 * MIB, false);
	begin();
	for (uint64_t queue = 1; queue <= 4; queue++) {
		put_queue(queue, "q", 10, 0);
		for (uint64_t seq = 1; seq <= 10; seq++)
			put(queue, seq);
	}
	ok(sq_table_delete_queue(table, 2));
	ok(sq_table_delete_queue(table, 3));
	commit(1);
	begin();
	cr_assert_eq(sq_table_sweep(table, 7), 7);
	commit(2);
	sq_table_close(&table);
	open_table(64 * MIB, false);
	s = read_items(2, 0, 10, UINT64_MAX);
	cr_assert_eq(s.n, 3);
	begin();
	cr_assert_eq(sq_table_sweep(table, 5), 5);
	cr_assert_eq(sq_table_sweep(table, 100), 8);
	cr_assert_eq(sq_table_sweep(table, 100), 0);
	commit(3);
	cr_assert_eq(read_items(1, 0, 100, UINT64_MAX).n, 10);
	cr_assert_eq(read_items(2, 0, 100, UINT64_MAX).n, 0);
	cr_assert_eq(read_items(3, 0, 100, UINT64_MAX).n, 0);
	cr_assert_eq(read_items(4, 0, 100, UINT64_MAX).n, 10);
}

static void
see_record(void *arg, const struct sq_record_key *k, struct sq_bytes v)
{
	struct list *l = arg;

	l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%u.%llu.%llu=%.*s;",
	    k->kind, (unsigned long long)k->id, (unsigned long long)k->sub, (int)v.len, v.p);
}

static void
put_record(uint8_t kind, uint64_t id, uint64_t sub, const char *value)
{
	const struct sq_record_key k = {kind, id, sub};
	struct sq_bytes v = {(const unsigned char *)value, value != NULL ? strlen(value) : 0};

	ok(sq_table_put_record(table, &k, v));
}

Test(table, records_come_by_kind_id_and_sub)
{
	struct list l = {0};

	open_table(64 * MIB, false);
	begin();
	put_record(2, 1, 1, "d");
	put_record(1, 256, 0, "c");
	put_record(1, 2, 258, "b");
	put_record(1, 2, 3, "a");
	put_record(200, UINT64_MAX, UINT64_MAX, "e");
	put_record(3, 1, 1, "gone");
	put_record(2, 1, 1, "D");
	put_record(4, 1, 1, "");
	commit(1);
	begin();
	put_record(3, 1, 1, NULL);
	put_record(3, 9, 9, NULL);
	commit(2);
	ok(sq_table_records(table, see_record, &l));
	cr_assert_str_eq(l.text,
	    "1.2.3=a;1.2.258=b;1.256.0=c;2.1.1=D;4.1.1=;"
	    "200.18446744073709551615.18446744073709551615=e;");
	l = (struct list){0};
	for (unsigned kind = 0; kind <= UINT8_MAX; kind += kind < 4 ? 1 : 49)
		ok(sq_table_records_of(table, (uint8_t)kind, see_record, &l));
	cr_assert_str_eq(l.text,
	    "1.2.3=a;1.2.258=b;1.256.0=c;2.1.1=D;4.1.1=;"
	    "200.18446744073709551615.18446744073709551615=e;");
}

/* --- opening --- */

Test(table, each_opening_counts_but_one_to_read)
{
	struct sq_table_meta m;
	uint64_t store;

	open_table(64 * MIB, false);
	m = sq_table_meta(table);
	store = m.store;
	cr_assert_neq(store, 0);
	cr_assert_eq(m.boots, 1);
	cr_assert_eq(m.lsn, 0);
	begin();
	commit(UINT64_C(1) << 50);
	sq_table_close(&table);
	open_table(64 * MIB, false);
	sq_table_close(&table);
	open_table(0, true);
	sq_table_close(&table);
	open_table(0, true);
	m = sq_table_meta(table);
	cr_assert_eq(m.store, store);
	cr_assert_eq(m.boots, 2);
	cr_assert_eq(m.lsn, UINT64_C(1) << 50);
	cr_assert_gt(sq_table_used(table), 0);
}

Test(table, opening_to_read_makes_nothing)
{
	char path[64];

	refused(SQ_ENOTFOUND, true, dir, "no tables");
	snprintf(path, sizeof path, "%s/tables", dir);
	cr_assert_neq(access(path, F_OK), 0);
}

Test(table, what_a_broken_start_left_is_made_anew)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "%s/tables.new", dir);
	cr_assert_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/tables.new/data.mdb", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(ftruncate(fd, 5000), 0);
	close(fd);
	open_table(64 * MIB, false);
	cr_assert_eq(sq_table_meta(table).boots, 1);
}

static void
write_file(const char *text, size_t len)
{
	int fd = open(data_file, O_WRONLY | O_TRUNC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

Test(table, a_foreign_file_is_refused_by_its_name)
{
	static char text[20000];

	open_table(64 * MIB, false);
	sq_table_close(&table);
	write_file("", 0);
	refused(SQ_EINVAL, false, data_file, "is empty");
	write_file("hello", 5);
	refused(SQ_EINVAL, false, data_file, "not a file of LMDB");
	memset(text, 'x', sizeof text);
	write_file(text, sizeof text);
	refused(SQ_EINVAL, true, data_file, "not a file of LMDB");
	cr_assert_eq(unlink(data_file), 0);
	refused(SQ_EINVAL, false, data_file, strerror(ENOENT));
	cr_assert_neq(access(data_file, F_OK), 0, "nothing was made in its place");
}

Test(table, a_file_that_was_cut_off_is_refused)
{
	static unsigned char image[50000];

	open_table(64 * MIB, false);
	begin();
	for (uint64_t seq = 1; seq <= 20; seq++)
		ok(try_put(1, seq, image, sizeof image));
	commit(1);
	sq_table_close(&table);
	cr_assert_eq(truncate(data_file, 500000), 0);
	refused(SQ_EINVAL, false, data_file, "cut off");
}

/* LMDB itself on the closed tables. */
static MDB_env *
raw_open(const char *name, MDB_txn **txn, MDB_dbi *dbi)
{
	char path[64];
	MDB_env *env;

	snprintf(path, sizeof path, "%s/tables", dir);
	cr_assert_eq(mdb_env_create(&env), 0);
	cr_assert_eq(mdb_env_set_maxdbs(env, 8), 0);
	cr_assert_eq(mdb_env_open(env, path, 0, 0600), 0);
	cr_assert_eq(mdb_txn_begin(env, NULL, 0, txn), 0);
	cr_assert_eq(mdb_dbi_open(*txn, name, MDB_CREATE, dbi), 0);
	return env;
}

static void
raw_close(MDB_env *env, MDB_txn *txn)
{
	cr_assert_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* A value that verifies: head and body as docs/store.md has them. */
static void
raw_put(const char *name, unsigned char db, MDB_val key, const void *body, size_t len)
{
	unsigned char value[200];
	MDB_val v = {len + 8, value};
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	uint32_t crc = sq_crc32c(0, &db, 1);

	sq_put32(value + 4, (uint32_t)len);
	if (len > 0)
		memcpy(value + 8, body, len);
	crc = sq_crc32c(crc, key.mv_data, key.mv_size);
	sq_put32(value, sq_crc32c(crc, value + 4, len + 4));
	env = raw_open(name, &txn, &dbi);
	cr_assert_eq(mdb_put(txn, dbi, &key, &v, 0), 0);
	raw_close(env, txn);
}

static void
raw_put_format(uint32_t format)
{
	unsigned char body[4];

	sq_put32(body, format);
	raw_put("meta", 0, (MDB_val){6, "format"}, body, sizeof body);
}

Test(table, another_format_is_refused)
{
	open_table(64 * MIB, false);
	sq_table_close(&table);
	raw_put_format(SQ_TABLE_FORMAT + 1);
	refused(SQ_EINVAL, false, data_file, "newer version");
	refused(SQ_EINVAL, true, data_file, "newer version");
	raw_put_format(0);
	refused(SQ_EINVAL, false, data_file, "older than any");
	refused(SQ_EINVAL, true, data_file, "older than any");
	raw_put_format(SQ_TABLE_FORMAT);
	open_table(64 * MIB, false);
	cr_assert_eq(sq_table_meta(table).boots, 2, "a refusal is no boot");
}

/* The entries of 'meta'. */
static size_t
raw_meta_entries(void)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_stat s;

	env = raw_open("meta", &txn, &dbi);
	cr_assert_eq(mdb_stat(txn, dbi, &s), 0);
	raw_close(env, txn);
	return s.ms_entries;
}

Test(table, only_those_of_a_shared_log_have_a_mark)
{
	open_table(64 * MIB, false);
	begin();
	commit(3);
	cr_assert(!sq_table_meta(table).shared);
	cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_FIRST);
	sq_table_close(&table);
	cr_assert_eq(raw_meta_entries(), (size_t)2, "format and state, as older brokers know it");
}

Test(table, a_mark_is_kept_with_the_commit)
{
	const struct sq_log_mark first = {5, UINT64_MAX}, second = {7, 12};
	struct sq_buf err = {0};

	cr_assert_eq(sq_table_make(dir, 64 * MIB, 4711, &err), SQ_OK);
	open_table(64 * MIB, false);
	cr_assert(sq_table_meta(table).shared);
	cr_assert_eq(sq_table_meta(table).store, 4711);
	cr_assert_eq(sq_table_meta(table).lsn, 0);
	cr_assert_eq(sq_table_meta(table).mark.lsn, 0);
	cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_SHARED, "older brokers refuse it");
	begin();
	ok(sq_table_put_mark(table, &first));
	commit(4);
	begin();
	ok(sq_table_put_mark(table, &second));
	sq_table_abort(table);
	cr_assert_eq(sq_table_meta(table).mark.lsn, 5);
	sq_table_close(&table);
	open_table(64 * MIB, true);
	cr_assert_eq(sq_table_meta(table).mark.lsn, 5);
	cr_assert_eq(sq_table_meta(table).mark.chain, UINT64_MAX);
	sq_table_close(&table);
	cr_assert_eq(raw_meta_entries(), (size_t)3);
	cr_assert_eq(sq_table_remove(dir, &err), SQ_OK);
	cr_assert(!sq_table_there(dir));
	cr_assert_eq(sq_table_remove(dir, &err), SQ_OK, "there is none");
}

Test(table, whose_tables_they_are_changes_at_once)
{
	const struct sq_log_mark mark = {9, 12};

	open_table(64 * MIB, false);
	begin();
	commit(7);
	ok(sq_table_share(table));
	cr_assert(sq_table_meta(table).shared);
	sq_table_close(&table);
	open_table(64 * MIB, false);
	cr_assert(sq_table_meta(table).shared);
	cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_SHARED);
	cr_assert_eq(sq_table_meta(table).lsn, 7);
	cr_assert_eq(sq_table_meta(table).mark.lsn, 7);
	cr_assert_eq(sq_table_meta(table).mark.chain, 0, "it is not known");
	begin();
	ok(sq_table_put_mark(table, &mark));
	commit(9);
	ok(sq_table_unshare(table, 40));
	sq_table_close(&table);
	open_table(64 * MIB, false);
	cr_assert(!sq_table_meta(table).shared);
	cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_NAMED);
	cr_assert_eq(sq_table_meta(table).lsn, 9);
	cr_assert_eq(sq_table_meta(table).boots, 41);
	sq_table_close(&table);
	cr_assert_eq(raw_meta_entries(), (size_t)2);
}

Test(table, a_format_is_raised_for_good)
{
	open_table(64 * MIB, false);
	cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_FIRST, "as older brokers know it");
	cr_assert_eq(sq_table_begin(table), SQ_OK);
	cr_assert_eq(sq_table_raise_format(table, SQ_TABLE_FORMAT_NAMED), SQ_OK);
	sq_table_abort(table);
	cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_FIRST, "it was not committed");
	for (unsigned i = 0; i < 2; i++) {
		enum sq_table_format format = i == 0 ? SQ_TABLE_FORMAT_NAMED
						     : SQ_TABLE_FORMAT_FIRST;

		cr_assert_eq(sq_table_begin(table), SQ_OK);
		cr_assert_eq(sq_table_raise_format(table, format), SQ_OK);
		cr_assert_eq(sq_table_commit(table, 1 + i), SQ_OK);
		cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_NAMED);
		sq_table_close(&table);
		open_table(64 * MIB, i == 1);
		cr_assert_eq(sq_table_format(table), SQ_TABLE_FORMAT_NAMED);
		sq_table_close(&table);
		open_table(64 * MIB, false);
	}
}

Test(table, a_file_of_lmdb_that_is_not_ours_is_refused)
{
	char path[64];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(path, sizeof path, "%s/tables", dir);
	cr_assert_eq(mkdir(path, 0700), 0);
	env = raw_open("addresses", &txn, &dbi);
	raw_close(env, txn);
	refused(SQ_EINVAL, false, data_file, "not the tables of a broker");
}

/* --- bounds --- */

Test(table, full_tables_take_more_once_there_is_room)
{
	static unsigned char image[1500];
	uint64_t n = 0, bytes, at = 1;
	struct seen s;
	int rc = SQ_OK;

	open_table(2 * MIB, false);
	while (rc == SQ_OK) {
		begin();
		for (unsigned i = 0; i < 50 && rc == SQ_OK; i++)
			rc = try_put(1, n + i + 1, image, sizeof image);
		if (rc == SQ_OK) {
			n += 50;
			commit(n);
		}
	}
	cr_assert_eq(rc, SQ_ENOMEM);
	cr_assert_not_null(strstr(sq_table_error(table), data_file));
	sq_table_abort(table);
	cr_assert_gt(n, 300);
	cr_assert_leq(sq_table_used(table), 2 * MIB);
	/* Nothing of it was lost, and nothing of the last attempt is there. */
	s = read_items(1, 0, 5000, UINT64_MAX);
	cr_assert_eq(s.n, n);
	for (unsigned round = 0; round < 5; round++) {
		begin();
		for (unsigned i = 0; i < 60; i++)
			ok(sq_table_delete_item(table, 1, at++, &bytes));
		commit(n);
	}
	for (unsigned round = 0; round < 4; round++) {
		begin();
		for (unsigned i = 0; i < 50; i++)
			ok(try_put(1, ++n, image, sizeof image));
		commit(n);
	}
	s = read_items(1, 0, 5000, UINT64_MAX);
	cr_assert_eq(s.n, n - 300);
}

/* One item after the other until nothing more fits; their number. */
static uint64_t
fill_up(const void *image, size_t len)
{
	int rc = SQ_OK;
	uint64_t n = 0;

	while (rc == SQ_OK) {
		begin();
		rc = try_put(1, n + 1, image, len);
		if (rc == SQ_OK)
			rc = sq_table_commit(table, n);
		if (rc == SQ_OK)
			n++;
	}
	cr_assert_eq(rc, SQ_ENOMEM);
	sq_table_abort(table);
	return n;
}

Test(table, full_tables_have_pages_left_for_deletes)
{
	static unsigned char image[1500];
	uint64_t n, bytes;

	open_table(MIB, false);
	n = fill_up(image, sizeof image);
	/* In every page something stays: nothing gets free but by what is copied. */
	for (uint64_t seq = 1; seq + 20 < n;) {
		begin();
		for (unsigned i = 0; i < 5; i++, seq += 2)
			ok(sq_table_delete_item(table, 1, seq, &bytes));
		commit(n);
	}
	cr_assert_leq(read_items(1, 0, 5000, UINT64_MAX).n, n / 2 + 21);
}

Test(table, what_a_checkpoint_has_freed_is_room_for_a_second_attempt)
{
	static unsigned char image[1500];
	uint64_t n, bytes, tries = 0;
	int rc;

	open_table(MIB, false);
	n = fill_up(image, sizeof image);
	begin();
	for (uint64_t seq = 1; seq <= 300; seq++)
		ok(sq_table_delete_item(table, 1, seq, &bytes));
	commit(n);
	do {
		rc = SQ_OK;
		begin();
		for (uint64_t i = 1; i <= 280 && rc == SQ_OK; i++)
			rc = try_put(1, n + i, image, sizeof image);
		if (rc == SQ_OK)
			rc = sq_table_commit(table, n);
		sq_table_abort(table);
	} while (rc == SQ_ENOMEM && ++tries < 3);
	cr_assert_eq(rc, SQ_OK);
	cr_assert_eq(read_items(1, 0, 5000, UINT64_MAX).n, n - 20);
}

/* The system refuses bytes behind the limit, as a full disk does. */
static void
limit_file(rlim_t bytes)
{
	const struct rlimit r = {bytes, RLIM_INFINITY};

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
}

Test(table, a_full_disk_undoes_the_checkpoint_only)
{
	static unsigned char image[1000000];
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	open_table(64 * MIB, false);
	begin();
	put(1, 1);
	commit(1);
	limit_file(500000);
	for (unsigned i = 0; i < 3; i++) {
		begin();
		ok(try_put(1, 2, image, sizeof image));
		rc = sq_table_commit(table, 2);
		/* LMDB takes a write that came to the limit for an I/O error. */
		cr_assert(rc == SQ_ENOMEM || rc == SQ_EIO, "%d", rc);
		sq_table_abort(table);
		cr_assert_eq(sq_table_meta(table).lsn, 1);
		cr_assert_eq(read_items(1, 0, 10, UINT64_MAX).n, 1);
	}
	limit_file(RLIM_INFINITY);
	begin();
	ok(try_put(1, 2, image, sizeof image));
	commit(2);
	cr_assert_eq(read_items(1, 0, 10, UINT64_MAX).n, 2);
	sq_table_close(&table);
	open_table(64 * MIB, false);
	cr_assert_eq(sq_table_meta(table).lsn, 2);
	cr_assert_eq(read_items(1, 0, 10, UINT64_MAX).n, 2);
}

/* --- beside each other --- */

enum { BATCH = 20, ROUNDS = 60 };

struct reading {
	_Atomic bool stop;
	_Atomic unsigned reads;
};

/* Every read sees whole checkpoints: each adds a batch and takes the one before it. */
static void *
reading_run(void *arg)
{
	struct reading *r = arg;

	while (!r->stop) {
		struct seen s = read_items(1, 0, 5000, UINT64_MAX);

		cr_assert(s.n == 0 || s.n == BATCH, "%u", s.n);
		for (unsigned i = 1; i < s.n; i++)
			cr_assert_eq(s.seq[i], s.seq[0] + i);
		if (s.n > 0)
			cr_assert_eq(s.seq[0] % BATCH, 0);
		r->reads++;
	}
	return NULL;
}

Test(table, readers_see_whole_checkpoints)
{
	struct reading r = {false, 0};
	pthread_t threads[3];
	uint64_t bytes;

	open_table(64 * MIB, false);
	for (unsigned i = 0; i < SQ_ARRAY_LEN(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, reading_run, &r), 0);
	for (uint64_t round = 1; round <= ROUNDS || r.reads < 300; round++) {
		begin();
		for (uint64_t i = 0; i < BATCH; i++) {
			ok(sq_table_delete_item(table, 1, (round - 1) * BATCH + i, &bytes));
			put(1, round * BATCH + i);
		}
		commit(round);
	}
	r.stop = true;
	for (unsigned i = 0; i < SQ_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

/* --- the end of a process --- */

struct lines {
	char text[20000];
	size_t n;
};

static void
keep_line(void *arg, const char *text)
{
	struct lines *l = arg;

	cr_assert_null(strchr(text, '\n'));
	l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s\n", text);
	cr_assert_lt(l->n, sizeof l->text);
}

/* Checkpoint N holds the items N and N + 1 of each queue, until the kill. */
static void
write_until_killed(void)
{
	static unsigned char image[3000];
	uint64_t bytes;

	open_table(64 * MIB, false);
	for (uint64_t n = sq_table_meta(table).lsn + 1;; n++) {
		begin();
		for (uint64_t queue = 1; queue <= 20; queue++) {
			ok(sq_table_delete_item(table, queue, n - 1, &bytes));
			ok(try_put(queue, n, image, 100 * queue));
			ok(try_put(queue, n + 1, image, 150 * queue));
		}
		commit(n);
	}
}

Test(table, a_kill_leaves_the_last_whole_checkpoint)
{
	uint64_t before = 0;

	for (unsigned round = 0; round < 25; round++) {
		struct lines l = {0};
		pid_t child = fork();
		uint64_t n;
		struct seen s;

		if (child == 0) {
			write_until_killed();
			_exit(1);
		}
		usleep(5000 + 3000 * round);
		kill(child, SIGKILL);
		cr_assert_eq(waitpid(child, NULL, 0), child);
		open_table(64 * MIB, false);
		n = sq_table_meta(table).lsn;
		cr_assert_geq(n, before);
		before = n;
		for (uint64_t queue = 1; queue <= 20 && n > 0; queue++) {
			s = read_items(queue, 0, 10, UINT64_MAX);
			cr_assert_eq(s.n, 2);
			cr_assert_eq(s.seq[0], n);
		}
		/* Each queue is unknown, which is all that may be said. */
		cr_assert_eq(sq_table_check(table, keep_line, &l), n > 0 ? 20 : 0, "%s", l.text);
		sq_table_close(&table);
	}
	cr_assert_gt(before, 10);
}

/* --- damage --- */

/* Flips a bit of the only place in the file that holds 'text'. */
static void
flip_text(const char *text)
{
	int fd = open(data_file, O_RDWR);
	static unsigned char bytes[1 << 20];
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);
	unsigned char *at = memmem(bytes, (size_t)n, text, strlen(text));
	unsigned char flipped;

	cr_assert_not_null(at);
	cr_assert_null(memmem(at + 1, (size_t)(bytes + n - at - 1), text, strlen(text)));
	flipped = *at ^ 0x10;
	cr_assert_eq(pwrite(fd, &flipped, 1, at - bytes), 1);
	close(fd);
}

/* Checks the tables of the directory; each of 'texts' must be in a line. */
static void
check_says(unsigned faults, const char *const *texts)
{
	struct lines l = {0};

	sq_table_close(&table);
	open_table(0, true);
	cr_assert_eq(sq_table_check(table, keep_line, &l), faults, "%s", l.text);
	for (; *texts != NULL; texts++)
		cr_assert(strstr(l.text, *texts) != NULL, "no '%s' in: %s", *texts, l.text);
	sq_table_close(&table);
}

#define CHECK_SAYS(faults, ...) check_says(faults, (const char *const[]){__VA_ARGS__, NULL})

/* Two queues with two items each and all else; sound. */
static void
make_sound(void)
{
	open_table(64 * MIB, false);
	begin();
	put_queue(1, "first", 2, 30);
	put_queue(2, "second", 2, 30);
	put_queue(3, "third", 0, 0);
	for (uint64_t queue = 1; queue <= 2; queue++)
		for (uint64_t seq = 1; seq <= 2; seq++)
			put(queue, seq);
	put_record(1, 1, 1, "some record");
	put(9, 1);
	ok(sq_table_delete_queue(table, 9));
	commit(3);
	sq_table_close(&table);
}

Test(table, a_check_of_sound_tables_finds_nothing)
{
	make_sound();
	CHECK_SAYS(0, "meta: 2 values, 0 faults", "queues: 3 values, 0 faults",
	    "items: 5 values, 0 faults", "records: 1 values, 0 faults",
	    "garbage: 1 values, 0 faults");
}

Test(table, a_damaged_item_is_never_served)
{
	struct seen s = {0};
	uint64_t bad = 0, bytes;

	open_table(64 * MIB, false);
	begin();
	put_queue(1, "q", 5, 75);
	for (uint64_t seq = 1; seq <= 5; seq++)
		put(1, seq);
	commit(1);
	sq_table_close(&table);
	flip_text("image of 3 in 1");
	CHECK_SAYS(1, "items: 1 3 does not verify", "items: 5 values, 1 faults");
	open_table(64 * MIB, false);
	cr_assert_eq(sq_table_items(table, 1, 0, 100, UINT64_MAX, see, &s, &bad), SQ_EINVAL);
	cr_assert_eq(s.n, 2);
	cr_assert_eq(bad, 3);
	cr_assert_not_null(strstr(sq_table_error(table), "item 3 of queue 1 does not verify"));
	cr_assert_eq(sq_table_item(table, 1, 3, see_one, &s), SQ_EINVAL);
	cr_assert_eq(s.n, 2);
	cr_assert_eq(read_items(1, 4, 100, UINT64_MAX).n, 2);
	/* It does not become whole by what is written, and can be deleted. */
	begin();
	ok(sq_table_set_attempts(table, 1, 3, 7));
	commit(2);
	cr_assert_eq(sq_table_item(table, 1, 3, see_one, &s), SQ_EINVAL);
	begin();
	ok(sq_table_delete_item(table, 1, 3, &bytes));
	cr_assert_eq(bytes, 15);
	commit(3);
	cr_assert_eq(read_items(1, 0, 100, UINT64_MAX).n, 4);
}

Test(table, a_value_of_another_key_does_not_verify)
{
	struct seen s = {0};
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k, v;
	unsigned char key[16], copy[256];

	open_table(64 * MIB, false);
	begin();
	put(1, 1);
	put(1, 2);
	commit(1);
	sq_table_close(&table);
	env = raw_open("items", &txn, &dbi);
	sq_put64(key, 1);
	sq_put64(key + 8, 1);
	k = (MDB_val){sizeof key, key};
	cr_assert_eq(mdb_get(txn, dbi, &k, &v), 0);
	cr_assert_leq(v.mv_size, sizeof copy);
	memcpy(copy, v.mv_data, v.mv_size);
	v.mv_data = copy;
	sq_put64(key + 8, 2);
	cr_assert_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	raw_close(env, txn);
	open_table(64 * MIB, false);
	ok(sq_table_item(table, 1, 1, see_one, &s));
	cr_assert_eq(sq_table_item(table, 1, 2, see_one, &s), SQ_EINVAL);
}

Test(table, damage_of_records_and_queues_is_found)
{
	struct list l = {0};

	make_sound();
	flip_text("some record");
	flip_text("second");
	CHECK_SAYS(2, "records: kind 1 1 1 does not verify", "queues: 2 does not verify");
	open_table(64 * MIB, false);
	cr_assert_eq(sq_table_records(table, see_record, &l), SQ_EINVAL);
	cr_assert_eq(sq_table_queues(table, see_queue, &l), SQ_EINVAL);
	cr_assert_not_null(strstr(sq_table_error(table), "'queues' does not verify"));
	cr_assert_str_eq(l.text, "1 first 2 30;");
}

Test(table, damaged_meta_data_is_refused)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {5, "state"}, v = {32, "no state at all; the size is right"};

	make_sound();
	env = raw_open("meta", &txn, &dbi);
	cr_assert_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	raw_close(env, txn);
	refused(SQ_EINVAL, false, data_file, "'state' in its meta data does not verify");
}

Test(table, a_check_compares_queues_and_their_items)
{
	unsigned char key[16];

	make_sound();
	open_table(64 * MIB, false);
	begin();
	put_queue(1, "first", 3, 30);
	put_queue(3, "third", 1, 10);
	put(77, 1);
	commit(4);
	CHECK_SAYS(3, "items: queue 1 has 2 items of 30 bytes, and should have 3 of 30",
	    "queues: queue 3 has no items, and should have 1",
	    "items: 1 of queue 77, which is not known");
	sq_put64(key, 2);
	raw_put("garbage", 4, (MDB_val){8, key}, NULL, 0);
	CHECK_SAYS(4, "queues: queue 2 is listed as garbage, too");
	raw_put("garbage", 4, (MDB_val){5, "12345"}, NULL, 0);
	CHECK_SAYS(5, "garbage: a key of 5 bytes, which should have 8");
}

/* --- flips anywhere --- */

static uint32_t
digest(void)
{
	static struct list l;
	struct seen s;
	uint32_t crc = 0;

	memset(&l, 0, sizeof l);
	ok(sq_table_records(table, see_record, &l));
	ok(sq_table_queues(table, see_queue, &l));
	for (uint64_t queue = 1; queue <= 6; queue++) {
		s = read_items(queue, 0, 5000, UINT64_MAX);
		crc = sq_crc32c(crc, &s.n, sizeof s.n);
		crc = sq_crc32c(crc, &s.crc, sizeof s.crc);
		for (uint64_t seq = 0; seq < 50; seq++) {
			const uint64_t bytes = sq_table_item_bytes(table, queue, seq);

			crc = sq_crc32c(crc, &bytes, sizeof bytes);
		}
	}
	return sq_crc32c(crc, l.text, l.n);
}

/* What a broker leaves behind after a while: branches, long values, free pages. */
static uint32_t
make_used(void)
{
	static unsigned char image[9000];
	uint64_t bytes;
	uint32_t crc;

	open_table(8 * MIB, false);
	for (uint64_t round = 0; round < 6; round++) {
		begin();
		for (uint64_t queue = 1; queue <= 6; queue++) {
			for (uint64_t i = 1; i <= 8; i++)
				ok(try_put(queue, round * 8 + i, image,
				    queue == 6 && i == 1 ? sizeof image : 100 * queue));
			for (uint64_t i = 1; i <= 4 && round > 0; i++)
				ok(sq_table_delete_item(table, queue, (round - 1) * 8 + i, &bytes));
		}
		put_record(1, round, 0, "a record of some length");
		commit(round + 1);
	}
	begin();
	for (uint64_t queue = 1; queue <= 6; queue++) {
		struct seen s = read_items(queue, 0, 5000, UINT64_MAX);

		put_queue(queue, "some queue", s.n, s.bytes);
	}
	commit(9);
	crc = digest();
	sq_table_close(&table);
	return crc;
}

static void
flip_bit(int fd, off_t at, unsigned bit)
{
	unsigned char byte;

	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= (unsigned char)(1u << bit);
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

/* Where the nodes of a branch page begin; 4096: it is none. */
static unsigned
branch_nodes(int fd, off_t page)
{
	uint16_t head[3]; /* flags, lower, upper */

	cr_assert_eq(pread(fd, head, sizeof head, page + 10), (ssize_t)sizeof head);
	return head[0] == 1 && page >= 2 * 4096 ? head[2] : 4096;
}

/* Each flip is refused, or found by the check, or has changed nothing. */
static void
flip_and_look(int fd, off_t at, unsigned bit, uint32_t want)
{
	struct sq_buf err = {0};
	struct lines l = {0};

	flip_bit(fd, at, bit);
	if (sq_table_open(&table, dir, 0, true, &err) != SQ_OK) {
		cr_assert_gt(sq_buf_len(&err), 0);
	} else if (sq_table_check(table, keep_line, &l) == 0) {
		/* Of the newest head's number one bit may lead back to the one before. */
		if (sq_table_meta(table).lsn == 9)
			cr_assert_eq(digest(), want, "byte %ld bit %u: %s", (long)at, bit, l.text);
		else
			cr_assert_lt(at, 2 * 4096);
	}
	sq_buf_fini(&err);
	sq_table_close(&table);
	flip_bit(fd, at, bit);
}

Test(table, a_flipped_bit_anywhere_is_found_or_harmless, .timeout = 120)
{
	uint32_t want = make_used();
	int fd = open(data_file, O_RDWR);
	unsigned branches = 0;
	MDB_envinfo info;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	off_t end;

	env = raw_open("meta", &txn, &dbi);
	mdb_txn_abort(txn);
	cr_assert_eq(mdb_env_info(env, &info), 0);
	mdb_env_close(env);
	end = (off_t)(info.me_last_pgno + 1) * 4096;
	srand(11);
	/* The heads of all pages, bit by bit where LMDB's own numbers are. */
	for (off_t page = 0; page < end; page += 4096)
		for (unsigned i = 0; i < 24; i++)
			flip_and_look(fd, page + rand() % 40, (unsigned)rand() % 8, want);
	for (off_t page = 0; page < end; page += 4096)
		for (unsigned at = branch_nodes(fd, page); at < 4096; at++, branches++)
			flip_and_look(fd, page + at, (unsigned)rand() % 8, want);
	cr_assert_gt(branches, 200);
	for (unsigned i = 0; i < 8 * 200; i += 3)
		flip_and_look(fd, i / 8 + (i % 2) * 4096, i % 8, want);
	for (unsigned i = 0; i < 800; i++)
		flip_and_look(fd, rand() % end, (unsigned)rand() % 8, want);
	close(fd);
}
