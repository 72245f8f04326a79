/* broker/engine/embedded/check: what `sqmqos-broker --check-store` says of a store. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/engine/embedded/check.h"
#include "broker/engine/embedded/table.h"
#include "store/dir.h"
#include "store/journal/journal.h"

#define MIB (UINT64_C(1) << 20)

static char dir[] = "/tmp/sq-check-XXXXXX";
static char said[20000];

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
}

static void
teardown(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(check, .init = setup, .fini = teardown);

static void
committed(void *owner, uint64_t lsn, struct sq_list *entries)
{
	(void)owner;
	(void)lsn;
	sq_list_init(entries);
}

static int
replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	(void)owner;
	(void)lsn;
	(void)data;
	return 0;
}

static void
make_tables(uint64_t *store)
{
	const struct sq_table_item item = {
	    .queue = 1, .seq = 1, .image = {(const unsigned char *)"the only image", 14}};
	const struct sq_table_queue queue = {.id = 1, .n = 1, .bytes = 14, .name = "q"};
	struct sq_buf err = {0};
	struct sq_table *t;

	cr_assert_eq(sq_table_open(&t, dir, 64 * MIB, false, &err), SQ_OK);
	cr_assert_eq(sq_table_begin(t), SQ_OK);
	cr_assert_eq(sq_table_put_item(t, &item), SQ_OK);
	cr_assert_eq(sq_table_put_queue(t, &queue), SQ_OK);
	cr_assert_eq(sq_table_commit(t, 0), SQ_OK);
	*store = sq_table_meta(t).store;
	sq_table_close(&t);
}

static void
make_journal(uint64_t store)
{
	const struct sq_journal_cfg cfg = {.dir = dir,
	    .id = store,
	    .segment_bytes = MIB,
	    .max_segments = 2,
	    .committed = committed};
	struct sq_log_entry e = {.data = {(const unsigned char *)"an entry of the journal", 23}};
	struct sq_buf err = {0};
	struct sq_journal *j;
	int rc = sq_journal_open(&j, &cfg, 0, replay, &err);

	cr_assert_eq(rc, SQ_OK, "%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	sq_journal_append(j, &e);
	sq_journal_close(&j);
}

static void
make_store(void)
{
	uint64_t store;

	make_tables(&store);
	make_journal(store);
}

static int
check(void)
{
	FILE *out = tmpfile();
	size_t n;
	int rc;

	cr_assert_not_null(out);
	rc = sq_store_check(dir, out);
	fflush(out);
	rewind(out);
	n = fread(said, 1, sizeof said - 1, out);
	said[n] = '\0';
	fclose(out);
	return rc;
}

/* Flips a bit where a file has 'text'. */
static bool
flip(const char *path, const char *text)
{
	static unsigned char bytes[2 << 20];
	int fd = open(path, O_RDWR);
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);
	unsigned char *at = n > 0 ? memmem(bytes, (size_t)n, text, strlen(text)) : NULL;
	bool done = false;

	if (at != NULL) {
		unsigned char flipped = *at ^ 1;

		done = pwrite(fd, &flipped, 1, at - bytes) == 1;
	}
	close(fd);
	return done;
}

static const char *flip_what;
static unsigned flipped_files;

static int
flip_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_F && flip(path, flip_what))
		flipped_files++;
	return 0;
}

static void
flip_in_store(const char *text)
{
	flip_what = text;
	flipped_files = 0;
	nftw(dir, flip_one, 16, FTW_PHYS);
	cr_assert_eq(flipped_files, 1);
}

Test(check, a_sound_store_is_said_to_be_sound)
{
	make_store();
	cr_assert_eq(check(), 0, "%s", said);
	cr_assert_not_null(strstr(said, "items: 1 values, 0 faults\n"));
	cr_assert_not_null(strstr(said, ": sound\n"));
}

Test(check, a_fault_of_the_tables_is_told)
{
	make_store();
	flip_in_store("the only image");
	cr_assert_eq(check(), 1);
	cr_assert_not_null(strstr(said, "items: 1 1 does not verify\n"), "%s", said);
	cr_assert_not_null(strstr(said, ": 1 faults\n"), "%s", said);
}

Test(check, a_fault_of_the_journal_is_told)
{
	make_store();
	flip_in_store("an entry of the journal");
	cr_assert_eq(check(), 1, "%s", said);
	cr_assert_not_null(strstr(said, "items: 1 values, 0 faults\n"));
	cr_assert_null(strstr(said, ": sound\n"));
}

Test(check, tables_that_can_not_be_opened_are_told)
{
	char path[64];

	make_store();
	snprintf(path, sizeof path, "%s/tables/data.mdb", dir);
	cr_assert_eq(truncate(path, 100), 0);
	cr_assert_eq(check(), 1);
	cr_assert_not_null(strstr(said, path), "%s", said);
}

Test(check, a_store_in_use_is_left_alone)
{
	struct sq_buf err = {0};
	int lock;

	make_store();
	lock = sq_store_lock(dir, &err);
	cr_assert_geq(lock, 0);
	cr_assert_eq(check(), 1);
	cr_assert_not_null(strstr(said, "another process has this store"), "%s", said);
	cr_assert_null(strstr(said, "items"));
	sq_store_unlock(&lock);
	cr_assert_eq(check(), 0, "%s", said);
}

Test(check, no_store_is_no_sound_store)
{
	cr_assert_eq(check(), 1);
	cr_assert_not_null(strstr(said, "there are no tables"), "%s", said);
	cr_assert_eq(rmdir(dir), -1, "the lock is there");
	teardown();
	cr_assert_eq(check(), 1);
	cr_assert_neq(access(dir, F_OK), 0, "a check makes no directory");
}
