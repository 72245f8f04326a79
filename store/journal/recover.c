/* Recovery; see store/journal/recover.h.
 *
 * A record that does not verify is either the end (a write that the machine did not finish) or
 * damage.  Records and headers tell the last lsn that was durable when they were written, which
 * decides: if any valid one tells that the record was durable, it is damage. */
#include "store/journal/recover.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "store/journal/io.h"
#include "store/journal/segment.h"

enum { FILES_MAX = 65536 };

enum file_state {
	FILE_USED,   /* its header names it */
	FILE_UNUSED, /* prepared: no header, or that of its life before */
	FILE_BAD,    /* its header does not verify */
};

struct file {
	struct sq_segment *segment;
	struct sq_segment_head head;
	enum file_state state;
	bool chained;
};

struct recovery {
	const struct sq_recover_cfg *cfg;
	struct sq_recovered *out;
	struct file *files; /* by number */
	size_t n;
	struct file **chain; /* oldest first */
	size_t chain_len;
	uint64_t expect; /* the next lsn */
	int rc;
};

static void __attribute__((format(printf, 3, 4)))
recovery_fault(struct recovery *rv, int rc, const char *fmt, ...)
{
	struct sq_buf text = {0};
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	sq_buf_printf(&text, "%s%s%s", rv->cfg->dir, line[0] != ':' ? "/" : "", line);
	sq_buf_append(&text, "", 1);
	rv->cfg->line(rv->cfg->arg, (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	rv->out->faults++;
	if (rv->rc == 0)
		rv->rc = rc;
}

/* Whether to leave off. */
static bool
recovery_over(const struct recovery *rv)
{
	return rv->rc != 0 && !(rv->cfg->go_on && rv->rc == SQ_EINVAL);
}

static const char *
file_name(const struct file *f, struct sq_segment_name *name)
{
	*name = sq_segment_name(f->segment->no);
	return name->text;
}

/* Listing */

static int
file_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct file *)a)->segment->no,
		 y = ((const struct file *)b)->segment->no;

	return x < y ? -1 : x > y;
}

/* Reads the header and classifies the file. */
static void
file_classify(struct recovery *rv, struct file *f)
{
	unsigned char block[SQ_SEGMENT_HEADER] = {0};
	struct sq_segment_name name;
	ssize_t n = sq_io_read(f->segment->fd, block, sizeof block, 0);

	if (n < 0) {
		recovery_fault(rv, SQ_EIO, "%s: %s", file_name(f, &name), strerror(errno));
		f->state = FILE_BAD;
		return;
	}
	switch (sq_segment_head_get(block, &f->head)) {
	case SQ_HEAD_EMPTY:
		f->state = FILE_UNUSED;
		return;
	case SQ_HEAD_BAD:
		f->state = FILE_BAD;
		return;
	case SQ_HEAD_VALID:
		break;
	}
	f->state = f->head.no == f->segment->no ? FILE_USED : FILE_UNUSED;
	if (f->head.version != SQ_SEGMENT_VERSION) {
		recovery_fault(rv, SQ_EINVAL,
		    "%s: format version %" PRIu32 ", this program knows %d", file_name(f, &name),
		    f->head.version, SQ_SEGMENT_VERSION);
		f->state = FILE_BAD;
	} else if (f->head.first == 0 || f->head.synced >= f->head.first ||
	    f->head.prev >= f->head.no) {
		f->state = FILE_BAD;
	}
	f->segment->first = f->head.first;
	f->segment->last = f->head.first - 1;
}

/* Finds the journal's id, which is the same in all segments. */
static void
recovery_identify(struct recovery *rv)
{
	struct sq_segment_name name;

	for (size_t i = rv->n; rv->cfg->any_id && i > 0; i--) {
		if (rv->files[i - 1].state == FILE_USED) {
			rv->out->id = rv->files[i - 1].head.id;
			break;
		}
	}
	for (size_t i = 0; i < rv->n; i++) {
		struct file *f = &rv->files[i];

		f->segment->tag = sq_record_tag(rv->out->id, f->segment->no);
		if (f->state != FILE_USED || f->head.id == rv->out->id)
			continue;
		recovery_fault(rv, SQ_EINVAL, "%s: of another store, %016" PRIx64,
		    file_name(f, &name), f->head.id);
		f->state = FILE_BAD;
	}
}

static void
recovery_add(struct recovery *rv, const char *text, uint64_t no)
{
	int fd = sq_io.open(rv->cfg->dirfd, text,
	    (rv->cfg->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW, 0);
	struct sq_segment *s;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		recovery_fault(rv, SQ_EIO, "%s: %s", text, fd < 0 ? strerror(errno) : "no file");
		if (fd >= 0)
			close(fd);
		return;
	}
	s = sq_xcalloc(1, sizeof *s);
	sq_list_init(&s->node);
	s->no = no;
	s->size = (uint64_t)st.st_size;
	s->end = s->bytes = SQ_SEGMENT_HEADER;
	s->fd = fd;
	rv->files = sq_xrealloc(rv->files, (rv->n + 1) * sizeof *rv->files);
	rv->files[rv->n++] = (struct file){.segment = s};
}

static void
recovery_list(struct recovery *rv)
{
	int fd = openat(rv->cfg->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	uint64_t no;

	if (dir == NULL) {
		recovery_fault(rv, SQ_EIO, ": %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL && !recovery_over(rv)) {
		if (!sq_segment_name_parse(entry->d_name, &no))
			continue;
		if (rv->n < FILES_MAX)
			recovery_add(rv, entry->d_name, no);
		else
			recovery_fault(rv, SQ_EIO, ": more than %d segments", FILES_MAX);
	}
	closedir(dir);
	if (rv->n > 0)
		qsort(rv->files, rv->n, sizeof *rv->files, file_compare);
}

/* The chain */

static struct file *
recovery_file(struct recovery *rv, uint64_t no)
{
	for (size_t i = 0; i < rv->n; i++) {
		if (rv->files[i].segment->no == no)
			return &rv->files[i];
	}
	return NULL;
}

/* The newest segment says which one is before it, and so on.  A segment that was
 * given up is left out that way. */
static void
recovery_chain(struct recovery *rv)
{
	struct sq_segment_name name;
	struct file *f = NULL, *before;
	uint64_t missing = 0;

	for (size_t i = rv->n; i > 0 && f == NULL; i--) {
		if (rv->files[i - 1].state == FILE_USED)
			f = &rv->files[i - 1];
	}
	for (; f != NULL && !recovery_over(rv); f = before) {
		f->chained = true;
		rv->chain[rv->n - ++rv->chain_len] = f;
		if (f->head.prev == 0)
			break;
		before = recovery_file(rv, f->head.prev);
		if (before == NULL) {
			missing = f->head.prev;
		} else if (before->state != FILE_USED) {
			recovery_fault(rv, SQ_EINVAL, "%s offset 0: the header does not verify",
			    file_name(before, &name));
			break;
		} else if (before->head.first > f->head.first) {
			recovery_fault(rv, SQ_EINVAL,
			    "%s offset 0: begins at record %" PRIu64
			    ", behind the next segment's %" PRIu64,
			    file_name(before, &name), before->head.first, f->head.first);
			break;
		}
	}
	rv->chain += rv->n - rv->chain_len;
	/* Segments go in the order in which they came, so none goes before an older one. */
	for (size_t i = 0; i < rv->n && rv->files[i].segment->no < missing; i++) {
		if (rv->files[i].state == FILE_USED) {
			recovery_fault(
			    rv, SQ_EINVAL, "%s: is missing", sq_segment_name(missing).text);
			break;
		}
	}
}

/* Judges the segments before the first record that can be replayed. */
static void
recovery_begin(struct recovery *rv)
{
	uint64_t from = rv->cfg->from, first;

	rv->expect = from + 1;
	if (rv->chain_len == 0)
		return;
	first = rv->chain[0]->head.first;
	rv->out->proven = first - 1;
	if (from > 0 && first > from + 1)
		recovery_fault(rv, SQ_EINVAL,
		    "%s: begins at record %" PRIu64 ", those from %" PRIu64 " on are missing",
		    sq_segment_name(rv->chain[0]->segment->no).text, first, from + 1);
	rv->expect = first;
}

/* Records */

static void
recovery_prove(struct recovery *rv, uint64_t synced)
{
	if (synced > rv->out->proven)
		rv->out->proven = synced;
}

static void
recovery_take(
    struct recovery *rv, struct file *f, const struct sq_record *r, const unsigned char *p)
{
	struct sq_bytes data = {p + SQ_RECORD_HEADER, r->len - SQ_RECORD_HEADER};

	recovery_prove(rv, r->synced);
	f->segment->last = r->lsn;
	rv->out->last = r->lsn;
	rv->out->sealed = data.len == 0;
	rv->expect = r->lsn + 1;
	if (r->lsn <= rv->cfg->from || data.len == 0)
		return;
	rv->out->last_data = r->lsn;
	if (rv->cfg->replay != NULL) {
		int rc = rv->cfg->replay(rv->cfg->owner, r->lsn, data);

		if (rc != 0 && rv->rc == 0)
			rv->rc = rc;
	}
}

/* Looks through 'w' for records behind the expected one; returns the first, if
 * any, and proves what they prove. */
static bool
recovery_look_ahead(struct recovery *rv, struct sq_segment_view *w, uint64_t tag,
    struct sq_record *found, uint64_t *offset)
{
	struct sq_record r;
	bool any = false;

	while (sq_segment_scan(w, tag, rv->expect - 1, &r) == SQ_NEXT_RECORD) {
		recovery_prove(rv, r.synced);
		if (!any) {
			*found = r;
			*offset = w->at;
			any = true;
		}
		/* One proof is enough. */
		if (rv->out->proven >= rv->expect)
			break;
		sq_segment_view_skip(w, 8);
	}
	return any;
}

/* The expected record is not at the window's place in segment 'i'.  True: the
 * reading goes on at a later record of the segment (after a fault). */
static bool
recovery_gap(struct recovery *rv, size_t i, struct sq_segment_view *w)
{
	struct sq_segment *s = rv->chain[i]->segment;
	struct sq_segment_name name = sq_segment_name(s->no);
	uint64_t at = w->at, resume = 0;
	struct sq_record next, ignored;
	bool more = recovery_look_ahead(rv, w, s->tag, &next, &resume);
	struct sq_segment_view other;

	for (size_t k = i + 1; k < rv->chain_len; k++)
		recovery_prove(rv, rv->chain[k]->head.synced);
	for (size_t k = i + 1; k < rv->chain_len && rv->out->proven < rv->expect; k++) {
		struct sq_segment *later = rv->chain[k]->segment;
		uint64_t offset;

		other = (struct sq_segment_view){
		    .fd = later->fd, .size = later->size, .at = SQ_SEGMENT_HEADER};
		recovery_look_ahead(rv, &other, later->tag, &ignored, &offset);
		sq_segment_view_fini(&other);
	}
	if (w->error != 0) {
		recovery_fault(
		    rv, SQ_EIO, "%s offset %" PRIu64 ": %s", name.text, w->at, strerror(w->error));
		return false;
	}
	s->end = at;
	if (rv->out->proven < rv->expect) {
		/* Not damage: the end.  Nothing is written behind it while records stand
		 * there that a later recovery could take for the next ones. */
		if (!more && i + 1 == rv->chain_len)
			rv->out->tail = s;
		rv->chain_len = i + 1;
		return false;
	}
	recovery_fault(rv, SQ_EINVAL, "%s offset %" PRIu64 ": record %" PRIu64 " does not verify",
	    name.text, at, rv->expect);
	if (!more || recovery_over(rv))
		return false;
	sq_segment_view_seek(w, resume);
	rv->expect = next.lsn;
	return true;
}

/* All records of segment 'i' of the chain. */
static void
recovery_segment(struct recovery *rv, size_t i)
{
	struct sq_segment *s = rv->chain[i]->segment;
	uint64_t end = i + 1 < rv->chain_len ? rv->chain[i + 1]->head.first : UINT64_MAX;
	struct sq_segment_view w = {.fd = s->fd, .size = s->size, .at = SQ_SEGMENT_HEADER};
	const unsigned char *p;
	struct sq_record r;

	recovery_prove(rv, rv->chain[i]->head.synced);
	while (rv->expect < end && !recovery_over(rv)) {
		enum sq_next next = sq_segment_next(&w, s->tag, &r, &p);

		if (next == SQ_NEXT_RECORD && r.lsn == rv->expect) {
			recovery_take(rv, rv->chain[i], &r, p);
			sq_segment_view_skip(&w, sq_record_space(r.len));
			s->end = w.at;
		} else if (!recovery_gap(rv, i, &w)) {
			break;
		}
	}
	if (rv->cfg->go_on && i + 1 < rv->chain_len)
		rv->expect = end;
	sq_segment_view_fini(&w);
}

/* Judges a segment with a bad header, newer than all segments with a good one: its first write was
 * not finished, or it is damaged. */
static void
recovery_headless(struct recovery *rv, struct file *f)
{
	struct sq_segment *s = f->segment;
	struct sq_segment_view w = {.fd = s->fd, .size = s->size, .at = SQ_SEGMENT_HEADER};
	struct sq_record r;
	uint64_t offset;

	if (rv->cfg->any_id && rv->chain_len == 0)
		recovery_fault(rv, SQ_EINVAL, "%s offset 0: the header does not verify",
		    sq_segment_name(s->no).text);
	else if (recovery_look_ahead(rv, &w, s->tag, &r, &offset) && rv->out->proven >= rv->expect)
		recovery_fault(rv, SQ_EINVAL,
		    "%s offset 0: the header does not verify, and record %" PRIu64
		    " is at %" PRIu64,
		    sq_segment_name(s->no).text, r.lsn, offset);
	else if (w.error != 0)
		recovery_fault(rv, SQ_EIO, "%s offset %" PRIu64 ": %s", sq_segment_name(s->no).text,
		    w.at, strerror(w.error));
	sq_segment_view_fini(&w);
}

static void
recovery_summary(struct recovery *rv)
{
	for (size_t i = 0; i < rv->chain_len; i++) {
		struct sq_segment *s = rv->chain[i]->segment;
		struct sq_buf text = {0};

		sq_buf_printf(&text,
		    "%s: records %" PRIu64 " to %" PRIu64 ", %" PRIu64 " of %" PRIu64 " bytes",
		    sq_segment_name(s->no).text, s->first, s->last, s->end, s->size);
		sq_buf_append(&text, "", 1);
		rv->cfg->line(rv->cfg->arg, (const char *)sq_buf_data(&text));
		sq_buf_fini(&text);
	}
}

/* Records were written, and no segment has them. */
static void
recovery_missing(struct recovery *rv)
{
	struct sq_segment_name name;

	for (size_t i = rv->n; i > 0; i--) {
		if (rv->files[i - 1].state != FILE_BAD)
			continue;
		recovery_fault(rv, SQ_EINVAL,
		    "%s offset 0: its header does not verify, and no other segment has the records "
		    "from %" PRIu64 " on",
		    file_name(&rv->files[i - 1], &name), rv->cfg->from);
		return;
	}
	recovery_fault(rv, SQ_EINVAL,
	    ": the journal is missing, records were written up to %" PRIu64 " at least",
	    rv->cfg->from);
}

static void
recovery_read(struct recovery *rv)
{
	struct sq_recovered *out = rv->out;
	uint64_t newest;

	recovery_chain(rv);
	recovery_begin(rv);
	newest = rv->chain_len > 0 ? rv->chain[rv->chain_len - 1]->segment->no : 0;
	for (size_t i = 0; i < rv->chain_len && !recovery_over(rv); i++)
		recovery_segment(rv, i);
	for (size_t i = 0; i < rv->n && !recovery_over(rv); i++) {
		if (rv->files[i].state == FILE_BAD && rv->files[i].segment->no > newest)
			recovery_headless(rv, &rv->files[i]);
	}
	out->last = rv->expect - 1;
	if (rv->rc == 0 && rv->chain_len == 0 && rv->cfg->from > 0)
		recovery_missing(rv);
}

/* Hands the segments over. */
static void
recovery_end(struct recovery *rv)
{
	struct sq_recovered *out = rv->out;

	out->next_no = rv->n > 0 ? rv->files[rv->n - 1].segment->no + 1 : 1;
	for (size_t i = 0; i < rv->chain_len; i++) {
		struct sq_segment *s = rv->chain[i]->segment;

		/* One without a record says nothing, unless it is written on. */
		if (s->last >= s->first || s == out->tail)
			sq_list_push_back(&out->chain, &s->node);
		s->bytes = s->end;
	}
	for (size_t i = 0; i < rv->n; i++) {
		if (sq_list_empty(&rv->files[i].segment->node))
			sq_list_push_back(&out->rest, &rv->files[i].segment->node);
	}
}

int
sq_recover(const struct sq_recover_cfg *cfg, struct sq_recovered *out)
{
	struct recovery rv = {.cfg = cfg, .out = out};
	struct file **chain;

	*out = (struct sq_recovered){.id = cfg->id, .last_data = cfg->from};
	sq_list_init(&out->chain);
	sq_list_init(&out->rest);
	recovery_list(&rv);
	for (size_t i = 0; i < rv.n; i++)
		file_classify(&rv, &rv.files[i]);
	recovery_identify(&rv);
	rv.chain = chain = sq_xcalloc(rv.n + 1, sizeof *chain);
	if (!recovery_over(&rv))
		recovery_read(&rv);
	if (cfg->go_on)
		recovery_summary(&rv);
	recovery_end(&rv);
	free(chain);
	free(rv.files);
	return rv.rc;
}

void
sq_recovered_fini(struct sq_recovered *out)
{
	struct sq_list *const lists[] = {&out->chain, &out->rest};

	for (size_t i = 0; i < SQ_ARRAY_LEN(lists); i++) {
		SQ_LIST_FOR_EACH_SAFE(s, lists[i], struct sq_segment, node)
			sq_segment_free(&s);
	}
}
