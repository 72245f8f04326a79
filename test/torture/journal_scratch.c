/* A program that does nothing but append to a journal (store/journal/journal.h), for
 * test_journal_power.py: numbered entries with bytes that follow from their
 * number.  It says on stdout, one line each by one write():
 *
 *   r N       entry N is replayed
 *   open      all are
 *   c N       entry N is committed
 *   f LSN     records up to LSN will be released; the next life replays from there
 *   bad TEXT  an entry is not what was written */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "store/journal/journal.h"

enum { IN_FLIGHT = 50, HEAD = 12, SIZE_MAX_BYTES = 3000, KEPT_RECORDS = 10 };

struct scratch_entry {
	struct sq_log_entry e;
	uint64_t n;
	unsigned char bytes[];
};

static struct sq_journal *scratch_journal;
static _Atomic uint64_t scratch_committed;
static uint64_t scratch_last;

static void
scratch_say(const char *what, uint64_t n)
{
	char line[64];
	int size = snprintf(line, sizeof line, "%s %llu\n", what, (unsigned long long)n);

	if (write(1, line, (size_t)size) != size)
		_exit(0);
}

static uint32_t
scratch_size(uint64_t n)
{
	return (uint32_t)(n * 2654435761u >> 7) % SIZE_MAX_BYTES;
}

static unsigned char
scratch_byte(uint64_t n, uint32_t i)
{
	return (unsigned char)((n * 31 + i) * 0x9e3779b97f4a7c15u >> 56);
}

static int
scratch_replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	(void)owner;
	(void)lsn;
	while (data.len >= HEAD) {
		uint64_t n;
		uint32_t size;

		memcpy(&n, data.p, sizeof n);
		memcpy(&size, data.p + sizeof n, sizeof size);
		if (size != scratch_size(n) || size > data.len - HEAD) {
			scratch_say("bad size of", n);
			return SQ_EINVAL;
		}
		for (uint32_t i = 0; i < size; i++) {
			if (data.p[HEAD + i] != scratch_byte(n, i)) {
				scratch_say("bad byte of", n);
				return SQ_EINVAL;
			}
		}
		scratch_say("r", n);
		scratch_last = n;
		data.p += HEAD + size;
		data.len -= HEAD + size;
	}
	return data.len == 0 ? SQ_OK : SQ_EINVAL;
}

static void
scratch_on_commit(void *owner, uint64_t lsn, struct sq_list *entries)
{
	(void)owner;
	SQ_LIST_FOR_EACH_SAFE(e, entries, struct scratch_entry, e.node) {
		scratch_say("c", e->n);
		scratch_committed = e->n;
		free(e);
	}
	if (lsn % 3 == 0 && lsn > KEPT_RECORDS) {
		scratch_say("f", lsn - KEPT_RECORDS);
		sq_journal_release(scratch_journal, lsn - KEPT_RECORDS);
	}
}

static void
scratch_on_stall(void *owner, const char *why)
{
	(void)owner;
	(void)why;
}

static void
scratch_append(uint64_t n)
{
	uint32_t size = scratch_size(n);
	struct scratch_entry *e = calloc(1, sizeof *e + HEAD + size);

	if (e == NULL)
		abort();
	e->n = n;
	memcpy(e->bytes, &n, sizeof n);
	memcpy(e->bytes + sizeof n, &size, sizeof size);
	for (uint32_t i = 0; i < size; i++)
		e->bytes[HEAD + i] = scratch_byte(n, i);
	e->e.data = (struct sq_bytes){e->bytes, HEAD + size};
	sq_journal_append(scratch_journal, &e->e);
}

int
main(int argc, char **argv)
{
	struct sq_buf err = {0};
	struct sq_journal_cfg cfg = {
	    .id = 77,
	    .segment_bytes = 256 << 10,
	    .max_segments = 8,
	    .durability = SQ_DURABILITY_ALWAYS,
	    .committed = scratch_on_commit,
	    .stalled = scratch_on_stall,
	};

	if (argc < 3)
		return 2;
	if (argc > 3) /* "unsynced": it lies */
		cfg.durability = SQ_DURABILITY_NONE;
	cfg.dir = argv[1];
	if (sq_journal_open(&scratch_journal, &cfg, strtoull(argv[2], NULL, 10), scratch_replay,
		&err) != SQ_OK) {
		printf("bad open: %.*s\n", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		fflush(stdout);
		_exit(1);
	}
	scratch_say("open", scratch_last);
	scratch_committed = scratch_last;
	for (uint64_t n = scratch_last + 1;; n++) {
		while (n > scratch_committed + IN_FLIGHT)
			usleep(50);
		scratch_append(n);
	}
}
