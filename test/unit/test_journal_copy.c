/* store/held and store/journal/copy: what a copier and an owner tell each other, and that a copy of a
 * journal whose writer goes on is the journal of one moment. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"
#include "store/held.h"
#include "store/journal/copy.h"
#include "store/journal/journal.h"
#include "store/journal/record.h"
#include "store/journal/segment.h"
#include "../support/temp_dir.h"

enum { SEGMENT = 16 << 10, STORE = 0x1234, BYTES = 1000, ENTRIES_MAX = 3000 };

struct entry {
	struct sq_log_entry entry;
	unsigned char bytes[BYTES];
};

static char *dir, *copy;
static struct sq_journal *journal;
static struct sq_journal_cfg cfg;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint32_t appended, committed; /* entries; each has its number, from 1 */
static atomic_bool release_all, over;
static uint32_t replayed;
static struct sq_buf err;

static void
on_committed(void *owner, uint64_t lsn, struct sq_list *entries)
{
	(void)owner;
	pthread_mutex_lock(&lock);
	SQ_LIST_FOR_EACH_SAFE(e, entries, struct entry, entry.node) {
		sq_list_remove(&e->entry.node);
		free(e);
		committed++;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (release_all)
		sq_journal_release(journal, lsn);
}

static void
on_stalled(void *owner, const char *why)
{
	(void)owner;
	cr_assert_null(why, "%s", why);
}

static void
commit(void)
{
	struct entry *e = sq_xcalloc(1, sizeof *e);
	uint32_t n = ++appended;

	sq_put32(e->bytes, n);
	e->entry.data = (struct sq_bytes){e->bytes, BYTES};
	sq_list_init(&e->entry.node);
	sq_journal_append(journal, &e->entry);
	pthread_mutex_lock(&lock);
	while (committed < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static int
on_replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	(void)owner;
	(void)lsn;
	for (size_t at = 0; at < data.len; at += BYTES) {
		uint32_t n = sq_get32((const unsigned char *)data.p + at);

		cr_assert(replayed == 0 || n == replayed + 1, "%u behind %u", n, replayed);
		replayed = n;
	}
	return 0;
}

static void
setup(void)
{
	sq_log_set_level(SQ_LOG_ERROR + 1);
	dir = temp_dir_new();
	copy = temp_dir_new();
	cfg = (struct sq_journal_cfg){.dir = dir,
	    .id = STORE,
	    .segment_bytes = SEGMENT,
	    .max_segments = 512,
	    .durability = SQ_DURABILITY_ALWAYS,
	    .committed = on_committed,
	    .stalled = on_stalled};
	cr_assert_eq(sq_journal_open(&journal, &cfg, 0, on_replay, &err), 0);
}

static void
teardown(void)
{
	sq_journal_close(&journal);
	temp_dir_free(&dir);
	temp_dir_free(&copy);
	sq_buf_fini(&err);
}

TestSuite(copy, .init = setup, .fini = teardown, .timeout = 120);

static void
no_line(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

/* Opens the copy as a journal, from its first record on; returns its last entry. */
static uint32_t
last_of_copy(void)
{
	struct sq_journal_cfg other = cfg;
	struct sq_journal *j;

	other.dir = copy;
	replayed = 0;
	cr_assert_eq(sq_journal_check(copy, STORE, 0, no_line, NULL), 0, "faults in the copy");
	cr_assert_eq(sq_journal_open(&j, &other, 0, on_replay, &err), 0, "%.*s",
	    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	sq_journal_close(&j);
	return replayed;
}

static void
run(struct sq_journal_copy *c)
{
	int fd = open(copy, O_RDONLY | O_DIRECTORY);

	cr_assert_eq(sq_journal_copy_run(c, fd, &err), SQ_OK, "%.*s", (int)sq_buf_len(&err),
	    (const char *)sq_buf_data(&err));
	close(fd);
}

Test(copy, what_is_held_is_not_written_again)
{
	struct sq_journal_copy *c;
	struct sq_held held;
	uint32_t before;

	for (unsigned i = 0; i < 100; i++)
		commit();
	before = committed;
	cr_assert_eq(sq_held_ask(&held, dir, &err), SQ_OK);
	c = sq_journal_copy_open(dir, &err);
	cr_assert_not_null(c);
	cr_assert_geq(sq_journal_copy_bytes(c), 6 * SEGMENT);
	release_all = true; /* all that was copied may go now, and be written again */
	for (unsigned i = 0; i < 400; i++)
		commit();
	run(c);
	cr_assert_geq(last_of_copy(), before);
	sq_journal_copy_free(&c);
	sq_held_end(&held);
}

/* A record that is read while it is written, and one behind it that is whole and says that it was
 * durable. */
Test(copy, it_ends_before_a_record_that_is_half_there)
{
	struct sq_journal_copy *c;
	uint64_t tag = sq_record_tag(STORE, 1), at;
	char path[200];
	int fd;

	for (unsigned i = 0; i < 5; i++)
		commit();
	sq_journal_close(&journal);
	snprintf(path, sizeof path, "%s/%s", dir, sq_segment_name(1).text);
	fd = open(path, O_RDWR);
	at = sq_segment_find(fd, SEGMENT, tag, 1, 4);
	cr_assert_neq(at, 0);
	cr_assert_eq(pwrite(fd, "torn", 4, (off_t)at + 100), 4);
	close(fd);
	c = sq_journal_copy_open(dir, &err);
	cr_assert_not_null(c);
	run(c);
	cr_expect_eq(last_of_copy(), 3);
	sq_journal_copy_free(&c);
}

static void *
write_on(void *arg)
{
	(void)arg;
	while (!over && appended < ENTRIES_MAX) /* nothing is released */
		commit();
	return NULL;
}

Test(copy, it_is_of_one_moment)
{
	pthread_t writer;

	pthread_create(&writer, NULL, write_on, NULL);
	for (unsigned i = 0; i < 20; i++) {
		struct sq_journal_copy *c;
		uint32_t before;

		pthread_mutex_lock(&lock);
		before = committed;
		pthread_mutex_unlock(&lock);
		c = sq_journal_copy_open(dir, &err);
		cr_assert_not_null(c);
		run(c);
		sq_journal_copy_free(&c);
		cr_assert_geq(last_of_copy(), before, "record %u was committed before", before);
		temp_dir_free(&copy);
		copy = temp_dir_new();
	}
	over = true;
	pthread_join(writer, NULL);
}

Test(copy, owner_and_copier_hear_of_each_other)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct sq_held held, other;
	struct sq_buf why = {0};

	cr_expect_eq(sq_held_for(fd, SQ_HELD_TABLES), 0, "nobody is there");
	cr_assert_eq(sq_held_ask(&held, dir, &err), SQ_OK);
	cr_expect_eq(sq_held_for(fd, SQ_HELD_TABLES), held.number);
	cr_expect_eq(sq_held_for(fd, SQ_HELD_JOURNAL), held.number);
	cr_expect_eq(sq_held_ask(&other, dir, &err), SQ_EEXIST, "one at a time");
	cr_expect_eq(sq_held_for(fd, SQ_HELD_TABLES), held.number, "which changes nothing");
	cr_expect_eq(sq_held_by(&held, &why), 0, "no answer");
	sq_held_answer(fd, held.number + 2, 7, NULL);
	cr_expect_eq(sq_held_by(&held, &why), 0, "another's");
	sq_held_answer(fd, held.number, 7, NULL);
	cr_expect_eq(sq_held_by(&held, &why), 7);
	cr_expect_eq(sq_buf_len(&why), 0);
	sq_held_release(&held, SQ_HELD_JOURNAL);
	cr_expect_eq(sq_held_for(fd, SQ_HELD_JOURNAL), 0);
	cr_expect_eq(sq_held_for(fd, SQ_HELD_TABLES), held.number);
	sq_held_answer(fd, held.number, 7, "no room");
	cr_expect_eq(sq_held_by(&held, &why), 0);
	sq_buf_u8(&why, '\0');
	cr_expect_str_eq((const char *)sq_buf_data(&why), "ended: no room");
	sq_held_forget(dir);
	sq_held_end(&held);
	cr_expect_eq(sq_held_for(fd, SQ_HELD_TABLES), 0, "as when its process has ended");
	sq_buf_fini(&why);
	close(fd);
}

/* Whoever has the store may have given another's file that name. */
Test(copy, a_file_with_a_second_name_is_not_written)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), file;
	struct sq_held held;
	struct stat st;

	file = openat(fd, "others", O_WRONLY | O_CREAT | O_EXCL, 0600);
	cr_assert_geq(file, 0);
	cr_assert_eq(linkat(fd, "others", fd, "backup", 0), 0);
	cr_expect_eq(sq_held_ask(&held, dir, &err), SQ_EIO);
	cr_expect_eq(held.fd, -1);
	cr_assert_eq(fstat(file, &st), 0);
	cr_expect_eq(st.st_size, 0);
	close(file);
	close(fd);
}
