/* store/journal/: what was committed comes back, once and in order, whatever the
 * disk does; and what the disk spoiled is found. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/log.h"
#include "core/mem.h"
#include "store/dir.h"
#include "store/journal/io.h"
#include "store/journal/journal.h"
#include "store/journal/record.h"
#include "store/journal/recover.h"
#include "store/journal/segment.h"

enum { SEGMENT = 16 << 10, STORE = 0x1234 };

static char dir[64];
static struct sq_journal *journal;
static struct sq_journal_cfg cfg;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned committed_entries, commits, stalls, recoveries;
static uint64_t committed_lsn;
static char why_stalled[256];
static bool release_all;

static struct sq_buf replayed; /* all entries, one behind the other */
static unsigned replayed_records;
static uint64_t replayed_lsn;
static struct sq_buf expected;
static struct sq_buf err;

struct entry {
	struct sq_log_entry entry;
	unsigned char bytes[];
};

static void
on_committed(void *owner, uint64_t lsn, struct sq_list *entries)
{
	unsigned n = 0;

	(void)owner;
	SQ_LIST_FOR_EACH_SAFE(e, entries, struct entry, entry.node) {
		sq_list_remove(&e->entry.node);
		free(e);
		n++;
	}
	cr_assert_gt(lsn, committed_lsn);
	pthread_mutex_lock(&lock);
	committed_entries += n;
	commits++;
	committed_lsn = lsn;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (release_all)
		sq_journal_release(journal, lsn);
}

static void
on_stalled(void *owner, const char *why)
{
	(void)owner;
	pthread_mutex_lock(&lock);
	if (why != NULL)
		snprintf(why_stalled, sizeof why_stalled, "%s", why);
	stalls += why != NULL;
	recoveries += why == NULL;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void
await(const unsigned *value, unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&lock);
	while (*value < n)
		cr_assert_eq(
		    pthread_cond_timedwait(&changed, &lock, &until), 0, "%u of %u", *value, n);
	pthread_mutex_unlock(&lock);
}

static int
on_replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	(void)owner;
	cr_assert_gt(lsn, replayed_lsn);
	sq_buf_append(&replayed, data.p, data.len);
	replayed_records++;
	replayed_lsn = lsn;
	return 0;
}

static int
try_open(uint64_t from)
{
	sq_buf_drain(&replayed, sq_buf_len(&replayed));
	sq_buf_drain(&err, sq_buf_len(&err));
	replayed_records = 0;
	replayed_lsn = 0;
	committed_lsn = 0;
	return sq_journal_open(&journal, &cfg, from, on_replay, &err);
}

static const char *
error_text(void)
{
	sq_buf_append(&err, "", 1);
	return (const char *)sq_buf_data(&err);
}

static void
open_journal(uint64_t from)
{
	int rc = try_open(from);

	cr_assert_eq(rc, 0, "%s", error_text());
}

/* Opens, and what comes back is what was written. */
static void
open_and_compare(void)
{
	open_journal(0);
	cr_assert_eq(sq_buf_len(&replayed), sq_buf_len(&expected), "%zu, not %zu bytes",
	    sq_buf_len(&replayed), sq_buf_len(&expected));
	if (sq_buf_len(&expected) > 0)
		cr_assert_eq(
		    memcmp(sq_buf_data(&replayed), sq_buf_data(&expected), sq_buf_len(&expected)),
		    0);
}

static void
setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_journal.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cfg = (struct sq_journal_cfg){.dir = dir,
	    .id = STORE,
	    .segment_bytes = SEGMENT,
	    .max_segments = 8,
	    .durability = SQ_DURABILITY_ALWAYS,
	    .interval_ms = 20,
	    .committed = on_committed,
	    .stalled = on_stalled};
	sq_log_set_level(SQ_LOG_ERROR + 1);
}

static void
empty_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while ((entry = readdir(d)) != NULL)
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}

static void
teardown(void)
{
	sq_journal_close(&journal);
	empty_dir();
	rmdir(dir);
	sq_buf_fini(&replayed);
	sq_buf_fini(&expected);
	sq_buf_fini(&err);
}

TestSuite(journal, .init = setup, .fini = teardown, .timeout = 120);

static bool patient; /* what append() says of its entries */

/* An entry of 'len' bytes that tells it from all others. */
static struct entry *
append(size_t len)
{
	static uint32_t serial;
	struct entry *e = sq_xcalloc(1, sizeof *e + len);

	serial++;
	for (size_t i = 0; i < len; i++)
		e->bytes[i] = (unsigned char)(serial * 31 + i / 4);
	if (len >= 4)
		sq_put32(e->bytes, serial);
	sq_buf_append(&expected, e->bytes, len);
	e->entry.data = (struct sq_bytes){e->bytes, len};
	e->entry.patient = patient;
	sq_list_init(&e->entry.node);
	sq_journal_append(journal, &e->entry);
	return e;
}

/* One record. */
static void
commit(size_t len)
{
	unsigned n = committed_entries;

	append(len);
	await(&committed_entries, n + 1);
}

static unsigned
count_files(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

static const char *
segment_path(uint64_t no)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, sq_segment_name(no).text);
	return path;
}

/* A segment's file as it was, for spoiling it again and again. */
struct image {
	uint64_t no;
	size_t size;
	unsigned char *bytes;
};

static struct image
image_load(uint64_t no)
{
	int fd = open(segment_path(no), O_RDONLY);
	struct image m = {.no = no};
	struct stat st;

	cr_assert_geq(fd, 0, "%s", segment_path(no));
	cr_assert_eq(fstat(fd, &st), 0);
	m.size = (size_t)st.st_size;
	m.bytes = sq_xmalloc(m.size);
	cr_assert_eq(read(fd, m.bytes, m.size), (ssize_t)m.size);
	close(fd);
	return m;
}

static void
image_store(const struct image *m)
{
	int fd = open(segment_path(m->no), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, m->bytes, m->size), (ssize_t)m->size);
	close(fd);
}

/* Where record 'lsn' begins in a segment whose first record is 'first'. */
static uint64_t
record_offset(uint64_t no, uint64_t first, uint64_t lsn)
{
	int fd = open(segment_path(no), O_RDONLY);
	uint64_t at = sq_segment_find(
	    fd, (uint64_t)lseek(fd, 0, SEEK_END), sq_record_tag(STORE, no), first, lsn);

	cr_assert_neq(at, 0, "record %" PRIu64, lsn);
	close(fd);
	return at;
}

Test(journal, what_was_committed_comes_back)
{
	open_journal(0);
	cr_assert_eq(sq_journal_last(journal), 0);
	for (unsigned i = 1; i <= 20; i++) {
		commit(i * 17);
		cr_assert_eq(committed_lsn, sq_journal_last(journal));
	}
	sq_journal_close(&journal);
	open_and_compare();
	cr_assert_eq(replayed_records, 20);
	cr_assert_eq(sq_journal_last(journal), replayed_lsn);
}

Test(journal, one_can_begin_anywhere)
{
	cr_assert_eq(sq_journal_begin(dir, STORE, 42, &err), SQ_OK);
	open_journal(41);
	cr_assert_eq(replayed_records, 0);
	cr_assert_eq(sq_journal_last(journal), 41);
	commit(100);
	cr_assert_eq(committed_lsn, 42);
	sq_journal_close(&journal);
	open_journal(41);
	cr_assert_eq(replayed_records, 1);
	sq_journal_close(&journal);
}

Test(journal, replay_begins_behind_what_the_caller_has)
{
	open_journal(0);
	for (unsigned i = 0; i < 5; i++)
		commit(100);
	sq_journal_close(&journal);
	open_journal(3);
	cr_assert_eq(replayed_records, 2);
	cr_assert_eq(sq_journal_last(journal), 5);
	sq_journal_close(&journal);
	/* A caller with more than the journal: the numbers go on from there. */
	open_journal(50);
	cr_assert_eq(replayed_records, 0);
	commit(10);
	cr_assert_eq(committed_lsn, 51);
	sq_journal_close(&journal);
	open_journal(50);
	cr_assert_eq(replayed_records, 1);
	cr_assert_eq(replayed_lsn, 51);
}

enum { THREADS = 4, PER_THREAD = 2000 };

static void *
appender(void *arg)
{
	uint32_t id = *(uint32_t *)arg;

	for (uint32_t i = 0; i < PER_THREAD; i++) {
		struct entry *e = sq_xcalloc(1, sizeof *e + 8);

		sq_put32(e->bytes, id);
		sq_put32(e->bytes + 4, i);
		e->entry.data = (struct sq_bytes){e->bytes, 8};
		sq_list_init(&e->entry.node);
		sq_journal_append(journal, &e->entry);
	}
	return NULL;
}

Test(journal, entries_of_each_thread_keep_their_order)
{
	uint32_t ids[THREADS], next[THREADS] = {0};
	pthread_t threads[THREADS];
	const unsigned char *p;

	cfg.segment_bytes = 1 << 20;
	open_journal(0);
	for (uint32_t i = 0; i < THREADS; i++) {
		ids[i] = i;
		pthread_create(&threads[i], NULL, appender, &ids[i]);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	await(&committed_entries, THREADS * PER_THREAD);
	cr_assert_lt(commits, THREADS * PER_THREAD, "commits take several entries");
	sq_journal_close(&journal);
	open_journal(0);
	cr_assert_eq(sq_buf_len(&replayed), THREADS * PER_THREAD * 8);
	p = sq_buf_data(&replayed);
	for (size_t i = 0; i < THREADS * PER_THREAD; i++, p += 8)
		cr_assert_eq(sq_get32(p + 4), next[sq_get32(p)]++);
}

Test(journal, close_commits_what_was_appended)
{
	open_journal(0);
	for (unsigned i = 0; i < 300; i++)
		append(10);
	sq_journal_close(&journal);
	cr_assert_eq(committed_entries, 300);
	open_and_compare();
}

/* Alone, beside others, and at the end: nobody waits for ever, and the order stays. */
Test(journal, patient_entries_are_committed_too)
{
	open_journal(0);
	patient = true;
	for (unsigned i = 0; i < 20; i++)
		commit(12);
	for (unsigned i = 0; i < 2000; i++) {
		patient = i % 7 < 4;
		append(12);
		if (i % 100 == 99)
			await(&committed_entries, 20 + i + 1);
	}
	patient = true;
	append(12);
	sq_journal_close(&journal);
	patient = false;
	cr_assert_eq(committed_entries, 2021);
	open_and_compare();
}

Test(journal, released_segments_are_written_again)
{
	uint64_t max, used, before;

	cfg.max_segments = 3;
	release_all = true;
	open_journal(0);
	for (unsigned i = 0; i < 200; i++) {
		commit(2000);
		cr_assert_leq(count_files(), 5); /* and one each being made and unmade */
	}
	used = sq_journal_used(journal, &max);
	cr_assert_eq(max, 3 * SEGMENT);
	cr_assert_leq(used, SEGMENT);
	cr_assert_eq(stalls, 0);
	sq_journal_close(&journal);
	cr_assert_leq(count_files(), 3);
	/* Stale records stand behind the newest ones. */
	before = committed_lsn;
	open_journal(before - 1);
	cr_assert_eq(replayed_records, 1);
	cr_assert_eq(replayed_lsn, before);
}

Test(journal, used_follows_release)
{
	uint64_t max, before;

	open_journal(0);
	for (unsigned i = 0; i < 20; i++)
		commit(2000);
	before = sq_journal_used(journal, &max);
	cr_assert_gt(before, 20 * 2000);
	sq_journal_release(journal, 10);
	cr_assert_lt(sq_journal_used(journal, &max), before);
	sq_journal_release(journal, committed_lsn);
	cr_assert_eq(sq_journal_used(journal, &max), 0);
}

/* The write of the last record ends at any sector. */
Test(journal, a_torn_last_record_is_cut_off)
{
	struct image m, torn;
	uint64_t last, end;

	open_journal(0);
	for (unsigned i = 0; i < 3; i++)
		commit(700);
	sq_journal_close(&journal);
	open_journal(0);
	commit(3000);
	last = committed_lsn;
	sq_journal_close(&journal);
	m = image_load(1);
	end = record_offset(1, 1, last) + 3000;
	torn = m;
	torn.bytes = sq_xmalloc(m.size);
	for (uint64_t cut = record_offset(1, 1, last); cut < end; cut = (cut / 512 + 1) * 512) {
		/* What came is the front, or the back of it. */
		for (int front = 0; front < 2; front++) {
			memcpy(torn.bytes, m.bytes, m.size);
			memset(torn.bytes + end, 0, m.size - end);
			if (front)
				memset(torn.bytes + cut, 0xee, end - cut);
			else
				memset(torn.bytes + record_offset(1, 1, last), 0xee,
				    (cut / 512 + 1) * 512 - record_offset(1, 1, last));
			empty_dir();
			image_store(&torn);
			open_journal(0);
			cr_assert_eq(replayed_records, 3);
			cr_assert_eq(sq_buf_len(&replayed), 3 * 700);
			commit(5);
			cr_assert_eq(committed_lsn, last);
			sq_journal_close(&journal);
			open_journal(0);
			cr_assert_eq(replayed_records, 4);
			sq_journal_close(&journal);
			image_store(&m);
		}
	}
	free(m.bytes);
	free(torn.bytes);
}

static void
expect_damage(const char *file, uint64_t offset)
{
	char where[64];
	int rc = try_open(0);

	cr_assert_eq(rc, SQ_EINVAL, "opened, offset %" PRIu64, offset);
	snprintf(where, sizeof where, "offset %" PRIu64 ":", offset);
	cr_assert(strstr(error_text(), file) != NULL, "%s", error_text());
	cr_assert(strstr(error_text(), where) != NULL, "%s, not %s", error_text(), where);
}

Test(journal, a_flipped_bit_is_found_where_it_is)
{
	struct image m;
	uint64_t begin[6];

	open_journal(0);
	for (unsigned i = 0; i < 5; i++)
		commit(304);
	sq_journal_close(&journal); /* with a seal: the fifth is proven too */
	for (unsigned i = 0; i < 6; i++)
		begin[i] = record_offset(1, 1, i + 1);
	m = image_load(1);
	for (unsigned i = 0; i < 5; i++) {
		for (uint64_t at = begin[i]; at < begin[i + 1]; at += at < begin[i] + 32 ? 1 : 37) {
			m.bytes[at] ^= (unsigned char)(1 << at % 8);
			image_store(&m);
			expect_damage("journal-0000000000000001", begin[i]);
			m.bytes[at] ^= (unsigned char)(1 << at % 8);
		}
	}
	/* Nothing was changed meanwhile. */
	image_store(&m);
	open_and_compare();
	free(m.bytes);
}

Test(journal, a_damaged_header_is_found)
{
	char name[32];

	open_journal(0);
	for (unsigned i = 0; i < 40; i++)
		commit(1000);
	sq_journal_close(&journal);
	for (uint64_t no = 1; no <= 3; no++) {
		struct image m = image_load(no);

		snprintf(name, sizeof name, "journal-%016" PRIx64, no);
		for (uint64_t at = 0; at < 60; at++) {
			m.bytes[at] ^= 4;
			image_store(&m);
			if (at < 12 || at >= 16)
				expect_damage(name, 0);
			m.bytes[at] ^= 4;
		}
		image_store(&m);
		free(m.bytes);
	}
	open_and_compare();
}

Test(journal, the_end_of_an_older_segment_is_proven_by_the_next)
{
	struct image m;
	uint64_t last = 0;

	open_journal(0);
	for (unsigned i = 0; i < 20; i++)
		commit(1000);
	sq_journal_close(&journal);
	m = image_load(2);
	last = sq_get64(m.bytes + 32) - 1; /* the second segment's first lsn */
	free(m.bytes);
	m = image_load(1);
	m.bytes[record_offset(1, 1, last) + 40] ^= 1;
	image_store(&m);
	expect_damage("journal-0000000000000001", record_offset(1, 1, last));
	free(m.bytes);
}

Test(journal, a_missing_segment_is_found)
{
	open_journal(0);
	for (unsigned i = 0; i < 40; i++)
		commit(1000);
	sq_journal_close(&journal);
	unlink(segment_path(2));
	cr_assert_eq(try_open(0), SQ_EINVAL);
	cr_assert(strstr(error_text(), "journal-0000000000000002: is missing") != NULL, "%s",
	    error_text());
	unlink(segment_path(1));
	cr_assert_eq(try_open(5), SQ_EINVAL);
	cr_assert(strstr(error_text(), "missing") != NULL, "%s", error_text());
	empty_dir();
	cr_assert_eq(try_open(5), SQ_EINVAL);
	cr_assert(strstr(error_text(), "missing") != NULL, "%s", error_text());
}

Test(journal, a_foreign_store_and_a_newer_format_are_refused)
{
	struct image m;

	open_journal(0);
	commit(10);
	sq_journal_close(&journal);
	cfg.id = STORE + 1;
	cr_assert_eq(try_open(0), SQ_EINVAL);
	cr_assert(strstr(error_text(), "of another store") != NULL, "%s", error_text());
	cfg.id = STORE;
	m = image_load(1);
	sq_put32(m.bytes + 8, 2);
	sq_put32(m.bytes + 56, sq_crc32c(0, m.bytes, 56));
	image_store(&m);
	free(m.bytes);
	cr_assert_eq(try_open(0), SQ_EINVAL);
	cr_assert(strstr(error_text(), "format version 2") != NULL, "%s", error_text());
}

/* Failures of the disk */

static atomic_int sync_failures, write_failures;
static atomic_bool disk_full;

static int
failing_fdatasync(int fd)
{
	if (atomic_load(&sync_failures) > 0) {
		atomic_fetch_sub(&sync_failures, 1);
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static ssize_t
failing_pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	if (atomic_load(&write_failures) > 0 && iov->iov_len < 64 << 10) {
		atomic_fetch_sub(&write_failures, 1);
		errno = EIO;
		return -1;
	}
	return pwritev(fd, iov, n, offset);
}

static int
failing_fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (atomic_load(&disk_full)) {
		errno = ENOSPC;
		return -1;
	}
	return fallocate(fd, mode, offset, len);
}

static void
fail_calls(void)
{
	sq_io.fdatasync = failing_fdatasync;
	sq_io.pwritev = failing_pwritev;
	sq_io.fallocate = failing_fallocate;
}

Test(journal, a_failed_sync_is_final_for_its_segment)
{
	struct sq_record r;
	struct image m;
	uint64_t given_up;

	fail_calls();
	cfg.segment_bytes = 64 << 10;
	open_journal(0);
	for (unsigned i = 0; i < 3; i++)
		commit(100);
	given_up = committed_lsn + 1;
	atomic_store(&sync_failures, 1);
	commit(2000);
	cr_assert_eq(committed_lsn, given_up);
	cr_assert_eq(stalls, 0);
	commit(100);
	sq_journal_close(&journal);
	/* The record stands in both segments, and counts once. */
	m = image_load(1);
	for (uint64_t at = SQ_SEGMENT_HEADER;
	     sq_record_get(m.bytes + at, sq_record_tag(STORE, 1), &r);)
		at += sq_record_space(r.len);
	cr_assert_eq(r.lsn, given_up);
	free(m.bytes);
	open_and_compare();
	cr_assert_eq(replayed_records, 5);
}

/* What is on disk of a file whose sync has failed nobody knows, whatever is synced later. */
Test(journal, a_segment_whose_sync_failed_when_it_was_found_is_not_written_again)
{
	char kept[sizeof dir + 8];
	struct image before = {0}, after = {0};

	snprintf(kept, sizeof kept, "%s.kept", dir);
	fail_calls();
	cfg.max_segments = 5; /* no spare one is there when a segment is released */
	open_journal(0);
	for (unsigned i = 0; i < 20; i++)
		commit(2000);
	sq_journal_close(&journal);
	before = image_load(1);
	cr_assert_eq(link(segment_path(1), kept), 0);
	atomic_store(&sync_failures, 1);
	open_journal(0);
	cr_assert_eq(atomic_load(&sync_failures), 0);
	release_all = true;
	for (unsigned i = 0; i < 100; i++)
		commit(2000);
	sq_journal_close(&journal);
	cr_assert_eq(rename(kept, segment_path(1)), 0);
	after = image_load(1);
	cr_assert_eq(after.size, before.size);
	cr_assert(memcmp(after.bytes, before.bytes, after.size) == 0);
	free(before.bytes);
	free(after.bytes);
}

Test(journal, a_failed_write_goes_to_another_segment)
{
	fail_calls();
	open_journal(0);
	for (unsigned i = 0; i < 30; i++) {
		atomic_store(&write_failures, i % 10 == 5);
		commit(100);
	}
	sq_journal_close(&journal);
	open_and_compare();
}

Test(journal, two_failures_stall_and_it_goes_on)
{
	fail_calls();
	open_journal(0);
	commit(100);
	atomic_store(&sync_failures, 3);
	append(200);
	await(&stalls, 1);
	cr_assert(strstr(why_stalled, "sync of") != NULL, "%s", why_stalled);
	append(300);
	await(&committed_entries, 3);
	cr_assert_eq(recoveries, 1);
	cr_assert_eq(stalls, 1);
	commit(10);
	sq_journal_close(&journal);
	open_and_compare();
	cr_assert_leq(count_files(), 4);
}

/* Returns how many entries there are then; the last is not committed. */
static unsigned
append_until_stalled(void)
{
	unsigned n = committed_entries;
	bool stalled;

	do {
		append(4000);
		n++;
		pthread_mutex_lock(&lock);
		while (committed_entries < n && stalls == 0)
			pthread_cond_wait(&changed, &lock);
		stalled = stalls != 0;
		pthread_mutex_unlock(&lock);
	} while (!stalled);
	return n;
}

Test(journal, a_full_disk_stalls_it_until_there_is_room)
{
	unsigned n;

	fail_calls();
	open_journal(0);
	commit(10);
	atomic_store(&disk_full, true);
	n = append_until_stalled();
	cr_assert(strstr(why_stalled, "No space left") != NULL, "%s", why_stalled);
	append(50);
	atomic_store(&disk_full, false);
	await(&committed_entries, n + 1);
	cr_assert_eq(recoveries, 1);
	sq_journal_close(&journal);
	open_and_compare();
}

Test(journal, all_segments_in_use_stall_it_until_one_is_released)
{
	unsigned n;
	uint64_t before;

	cfg.max_segments = 3;
	open_journal(0);
	n = append_until_stalled();
	cr_assert(strstr(why_stalled, "all 3 segments") != NULL, "%s", why_stalled);
	cr_assert_leq(count_files(), 3);
	before = committed_lsn;
	sq_journal_release(journal, 1); /* not yet a whole segment */
	sq_journal_release(journal, before);
	await(&committed_entries, n);
	cr_assert_eq(recoveries, 1);
	sq_journal_close(&journal);
	open_journal(before);
	cr_assert_eq(replayed_records, 1);
}

Test(journal, a_stalled_journal_closes)
{
	struct entry *second, *third;

	fail_calls();
	open_journal(0);
	commit(10);
	atomic_store(&sync_failures, 1 << 30);
	second = append(10);
	await(&stalls, 1);
	third = append(10);
	sq_journal_close(&journal);
	cr_assert_eq(committed_entries, 1);
	free(second);
	free(third);
	/* Nobody was told of the second one: it may be there. */
	atomic_store(&sync_failures, 0);
	open_journal(0);
	cr_assert_leq(replayed_records, 2);
	cr_assert_geq(replayed_records, 1);
}

/* The other durabilities */

Test(journal, interval_writes_again_what_a_failed_sync_put_in_doubt)
{
	fail_calls();
	cfg.durability = SQ_DURABILITY_INTERVAL;
	cfg.interval_ms = 3600 * 1000;
	open_journal(0);
	for (unsigned i = 0; i < 10; i++)
		commit(500);
	/* The sync at the end of the segment fails. */
	atomic_store(&sync_failures, 1);
	for (unsigned i = 0; i < 40; i++)
		commit(500);
	cr_assert_eq(atomic_load(&sync_failures), 0);
	sq_journal_close(&journal);
	open_and_compare();
	cr_assert_eq(replayed_records, 50);
}

static unsigned check_lines;

static void
check_line(void *arg, const char *text)
{
	struct sq_buf *out = arg;

	check_lines++;
	sq_buf_printf(out, "%s\n", text);
}

/* Keeps what is on disk now, as if the machine had stopped. */
static struct image
cut_power(void)
{
	struct image m = image_load(1);

	sq_journal_close(&journal);
	empty_dir();
	return m;
}

Test(journal, unsynced_records_end_at_the_first_that_is_lost)
{
	struct image m;
	uint64_t at, end;
	struct sq_recover_cfg look = {.dir = dir, .id = STORE, .line = check_line, .arg = &err};
	struct sq_recovered seen;
	int found;

	look.dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	cfg.durability = SQ_DURABILITY_NONE;
	cfg.segment_bytes = 128 << 10;
	open_journal(0);
	for (unsigned i = 0; i < 10; i++)
		commit(4096 - SQ_RECORD_HEADER);
	at = record_offset(1, 1, 5);
	end = record_offset(1, 1, 6);
	m = cut_power();
	memset(m.bytes + at, 0, end - at);
	image_store(&m);
	open_journal(0);
	cr_assert_eq(replayed_records, 4);
	/* Exactly where the lost one was: those behind it must not come back. */
	commit(4096 - SQ_RECORD_HEADER);
	cr_assert_eq(committed_lsn, 5);
	found = sq_recover(&look, &seen);
	cr_assert_eq(found, 0);
	cr_assert_eq(seen.last, 5);
	sq_recovered_fini(&seen);
	close(look.dirfd);
	free(m.bytes);
}

Test(journal, a_first_write_without_its_header_is_no_damage)
{
	struct image m;

	cfg.durability = SQ_DURABILITY_NONE;
	open_journal(0);
	commit(200);
	m = cut_power();
	memset(m.bytes, 0xee, 512);
	image_store(&m);
	open_journal(0);
	cr_assert_eq(replayed_records, 0);
	commit(100);
	sq_journal_close(&journal);
	open_journal(0);
	cr_assert_eq(replayed_records, 1);
	cr_assert_eq(sq_buf_len(&replayed), 100);
	free(m.bytes);
}

/* Reading */

Test(journal, a_cursor_reads_what_was_committed)
{
	struct sq_journal_cursor c = {.lsn = 1, .fd = -1};
	struct sq_buf out = {0}, all = {0};
	uint64_t last;

	open_journal(0);
	cr_assert_eq(sq_journal_read(journal, &c, &out), SQ_EAGAIN);
	for (unsigned i = 0; i < 30; i++)
		commit(i % 7 == 3 ? 9000 : 600);
	last = sq_journal_last(journal);
	while (c.lsn <= last) {
		cr_assert_eq(sq_journal_read(journal, &c, &out), 0);
		sq_buf_append(&all, sq_buf_data(&out), sq_buf_len(&out));
	}
	cr_assert_eq(sq_buf_len(&all), sq_buf_len(&expected));
	cr_assert_eq(memcmp(sq_buf_data(&all), sq_buf_data(&expected), sq_buf_len(&all)), 0);
	cr_assert_eq(sq_journal_read(journal, &c, &out), SQ_EAGAIN);
	/* From the middle of a segment. */
	sq_journal_cursor_fini(&c);
	c = (struct sq_journal_cursor){.lsn = 3, .fd = -1};
	cr_assert_eq(sq_journal_read(journal, &c, &out), 0);
	cr_assert_eq(sq_buf_len(&out), 600);
	cr_assert_eq(memcmp(sq_buf_data(&out), sq_buf_data(&expected) + 2 * 600, 600), 0);
	cr_assert_eq(c.lsn, 4);
	sq_journal_release(journal, 10);
	cr_assert_eq(sq_journal_read(journal, &c, &out), SQ_ENOTFOUND);
	sq_journal_cursor_fini(&c);
	sq_buf_fini(&out);
	sq_buf_fini(&all);
}

Test(journal, a_record_longer_than_a_segment)
{
	open_journal(0);
	commit(100);
	commit(200 * 1000);
	commit(100);
	commit(5 * 1000 * 1000);
	commit(100);
	sq_journal_close(&journal);
	open_and_compare();
	release_all = true;
	commit(100);
	for (unsigned i = 0; i < 20; i++)
		commit(2000);
	sq_journal_close(&journal);
	cr_assert_leq(count_files(), 4, "the long ones are not kept");
}

/* Commits one entry after the other, reporting each, until a fault point ends it. */
static void
commit_until_killed(const char *point, unsigned nth, int report)
{
	char fault[64];

	snprintf(fault, sizeof fault, "%s:%u", point, nth);
	setenv("SQMQOS_FAULT", fault, 1);
	alarm(60); /* an assertion that fails here would wait for ever */
	open_journal(0);
	for (unsigned i = 0; i < 40; i++) {
		commit(1500);
		if (write(report, "", 1) != 1)
			break;
	}
	_exit(0);
}

Test(journal, a_killed_process_loses_nothing_that_it_reported)
{
	static const char *const points[] = {
	    "journal-before-write", "journal-after-write", "journal-after-sync"};
	unsigned reported = 0;

	cfg.segment_bytes = 256 << 10;
	for (unsigned i = 0; i < 30; i++) {
		int p[2], status;
		char c;
		pid_t child;

		cr_assert_eq(pipe(p), 0);
		child = fork();
		if (child == 0)
			commit_until_killed(points[i % 3], i + 1, p[1]);
		close(p[1]);
		while (read(p[0], &c, 1) == 1)
			reported++;
		close(p[0]);
		cr_assert_eq(waitpid(child, &status, 0), child);
#ifdef SQ_FAULTS
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%u: %x", i, status);
#endif
		open_journal(0);
		sq_journal_close(&journal);
		/* One that was written may be there though nobody was told. */
		cr_assert_geq(replayed_records, reported);
		cr_assert_leq(replayed_records, reported + 1);
		reported = replayed_records;
	}
}

Test(journal, opening_again_and_again_takes_no_room)
{
	for (unsigned i = 0; i < 100; i++) {
		open_and_compare();
		commit(10);
		sq_journal_close(&journal);
	}
	cr_assert_leq(count_files(), 3);
}

Test(journal, check_finds_every_fault)
{
	struct sq_buf out = {0};
	struct image m;

	open_journal(0);
	for (unsigned i = 0; i < 40; i++)
		commit(1000);
	sq_journal_close(&journal);
	cr_assert_eq(sq_journal_check(dir, 0, 0, check_line, &out), 0);
	cr_assert_eq(check_lines, 4, "one for each segment");
	m = image_load(1);
	m.bytes[record_offset(1, 1, 2) + 50] ^= 1;
	m.bytes[record_offset(1, 1, 5) + 50] ^= 1;
	image_store(&m);
	free(m.bytes);
	m = image_load(2);
	m.bytes[SQ_SEGMENT_HEADER + 10] ^= 1;
	image_store(&m);
	free(m.bytes);
	sq_buf_drain(&out, sq_buf_len(&out));
	cr_assert_eq(sq_journal_check(dir, 0, 0, check_line, &out), 3, "%.*s",
	    (int)sq_buf_len(&out), (const char *)sq_buf_data(&out));
	sq_buf_fini(&out);
}

Test(journal, one_process_has_the_store)
{
	int first = sq_store_lock(dir, &err), second;

	cr_assert_geq(first, 0);
	cr_assert_eq(sq_store_lock(dir, &err), SQ_EEXIST);
	sq_store_unlock(&first);
	second = sq_store_lock(dir, &err);
	cr_assert_geq(second, 0);
	sq_store_unlock(&second);
}

Test(crc32c, the_instruction_and_the_tables_agree)
{
	unsigned char bytes[300];

	cr_assert_eq(sq_crc32c(0, "123456789", 9), 0xe3069283);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 7);
	for (unsigned n = 0; n < sizeof bytes; n++) {
		cr_assert_eq(sq_crc32c(5, bytes, n), sq_crc32c_portable(5, bytes, n));
		cr_assert_eq(sq_crc32c(sq_crc32c(0, bytes, n / 3), bytes + n / 3, n - n / 3),
		    sq_crc32c(0, bytes, n));
	}
}
