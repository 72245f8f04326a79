/* Fuzzes the reading of a journal: whatever stands in its segments, opening and
 * checking end with an answer, the check finds fault where the opening does, and
 * what was opened can be opened again. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/log.h"
#include "store/journal/journal.h"
#include "store/journal/record.h"
#include "store/journal/recover.h"
#include "store/journal/segment.h"

enum { SEGMENTS = 3, STORE = 7, SIZE = 16 << 10 };

static char dir[64];
static int dirfd;

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int
replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	uint64_t *last = owner;

	if (lsn <= *last || data.len == 0)
		abort();
	*last = lsn;
	return 0;
}

static void
line(void *arg, const char *text)
{
	if (text[0] == '\0')
		abort();
	++*(unsigned *)arg;
}

/* Input is a list of edits of a segment: a raw byte, a header or a record with a
 * right checksum.  Without the checksums nothing would get past the first look. */
static void
build(unsigned char *file, uint64_t no, struct sq_reader *r)
{
	struct sq_segment_head head = {.version = 1, .id = STORE, .no = no};
	struct sq_record rec;
	size_t at = SQ_SEGMENT_HEADER;

	memset(file, 0, SIZE);
	while (!r->bad && sq_reader_left(r) > 0) {
		unsigned op = sq_read8(r) % 5;

		if (op == 0) {
			file[sq_read16(r) % SIZE] = sq_read8(r);
		} else if (op == 1) {
			head.first = sq_read8(r);
			head.prev = sq_read8(r);
			head.synced = sq_read8(r);
			sq_segment_head_put(file, &head);
		} else if (op == 2) {
			at = (at + sq_read16(r)) % SIZE & ~(size_t)7;
		} else if (op == 3) {
			rec = (struct sq_record){.lsn = sq_read8(r), .synced = sq_read8(r)};
			rec.len = SQ_RECORD_HEADER + sq_read16(r);
			if (rec.len > SIZE - at)
				continue;
			sq_record_end(file + at,
			    sq_crc32c(sq_record_begin(file + at, sq_record_tag(STORE, no), &rec),
				file + at + SQ_RECORD_HEADER, rec.len - SQ_RECORD_HEADER));
			at = at + sq_record_space(rec.len) < SIZE ? at + sq_record_space(rec.len)
								  : 0;
		} else {
			break;
		}
	}
}

static void
store(uint64_t no, const unsigned char *file, size_t size)
{
	int fd = openat(dirfd, sq_segment_name(no).text, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, file, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void
clean_up(void)
{
	for (uint64_t no = 1; no <= SEGMENTS; no++)
		unlinkat(dirfd, sq_segment_name(no).text, 0);
	rmdir(dir);
}

static int
recover(uint64_t from, uint64_t *last)
{
	struct sq_recovered out;
	unsigned lines = 0;
	uint64_t seen = from;
	struct sq_recover_cfg cfg = {.dir = dir,
	    .dirfd = dirfd,
	    .id = STORE,
	    .from = from,
	    .replay = replay,
	    .owner = &seen,
	    .line = line,
	    .arg = &lines};
	int rc = sq_recover(&cfg, &out);

	if ((rc == 0) != (out.faults == 0) || out.faults != lines)
		abort();
	if (rc == 0 && (seen > out.last && seen != from))
		abort();
	*last = out.last;
	sq_recovered_fini(&out);
	return rc;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static unsigned char file[SIZE];
	struct sq_reader r = sq_reader(data, size);
	uint64_t from, last, again;
	unsigned lines = 0;
	int rc;

	if (dir[0] == '\0') {
		snprintf(dir, sizeof dir, "/dev/shm/fuzz_journal.XXXXXX");
		if (mkdtemp(dir) == NULL)
			abort();
		dirfd = open(dir, O_RDONLY | O_DIRECTORY);
		atexit(clean_up);
		sq_log_set_level(SQ_LOG_ERROR);
	}
	from = sq_read8(&r) % 4;
	for (uint64_t no = 1; no <= SEGMENTS; no++) {
		unsigned cut = sq_read16(&r);

		build(file, no, &r);
		store(no, file, cut % 8 == 0 ? cut % SIZE : SIZE);
	}
	rc = recover(from, &last);
	if (recover(from, &again) != rc || again != last)
		abort();
	/* Without a header that verifies the check does not know whose journal it is. */
	if (rc != 0 && sq_journal_check(dir, 0, from, line, &lines) == 0)
		abort();
	return 0;
}
