/* A watched file; see annotations_file.h. */
#include "sidecar/annotations_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/annotations/annotations.h"

enum { SETTLE_MS = 300 }; /* a file written this lately may not be whole */

struct sq_annotations_file {
	struct ev_loop *loop;
	ev_io io;
	int fd; /* inotify; -1: none */
	char *path;
	sq_annotations_file_fn *changed;
	void *owner;
	struct stat seen;
	struct sq_buf text; /* what was last handed out */
	int problem;        /* errno of the last reading; 0: it went well */
	bool known;
};

/* Reads the whole file into 'out', at most a byte more than is allowed.
 * Returns 0 or an errno. */
static int
file_read(const char *path, struct sq_buf *out, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	ssize_t n = 1;

	if (fd < 0)
		return errno;
	if (fstat(fd, st) != 0)
		rc = errno;
	else if (!S_ISREG(st->st_mode))
		rc = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
	while (rc == 0 && n > 0 && sq_buf_len(out) <= SQ_ANNOTATIONS_SIZE_MAX) {
		n = read(fd, sq_buf_reserve(out, 16384), 16384);
		if (n > 0)
			sq_buf_commit(out, (size_t)n);
		else if (n < 0 && errno != EINTR)
			rc = errno;
	}
	close(fd);
	return rc;
}

int
sq_annotations_file_read(const char *path, struct sq_buf *out)
{
	struct stat st;

	return file_read(path, out, &st);
}

static bool
text_same(const struct sq_buf *a, const struct sq_buf *b)
{
	return sq_buf_len(a) == sq_buf_len(b) &&
	    (sq_buf_len(a) == 0 || memcmp(sq_buf_data(a), sq_buf_data(b), sq_buf_len(a)) == 0);
}

static uint64_t
file_written_ms(const struct stat *st)
{
	int64_t ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;

	return ms > 0 ? (uint64_t)ms : 1;
}

static void
file_reload(struct sq_annotations_file *f)
{
	struct sq_buf text = {0};
	struct stat st = {0};
	int rc = file_read(f->path, &text, &st);
	const char *p;

	f->seen = st;
	if (f->known && rc == f->problem && (rc != 0 || text_same(&text, &f->text))) {
		sq_buf_fini(&text);
		return;
	}
	f->known = true;
	f->problem = rc;
	if (rc != 0) {
		sq_buf_fini(&text);
		f->changed(f->owner, NULL, 0, 0, strerror(rc));
		return;
	}
	sq_buf_fini(&f->text);
	f->text = text;
	p = (const char *)sq_buf_data(&f->text);
	f->changed(f->owner, p != NULL ? p : "", sq_buf_len(&f->text), file_written_ms(&st), NULL);
}

static void
file_on_event(struct ev_loop *loop, ev_io *w, int events)
{
	struct sq_annotations_file *f = w->data;
	_Alignas(struct inotify_event) char buf[4096];
	bool any = false;

	(void)loop;
	(void)events;
	while (read(f->fd, buf, sizeof buf) > 0)
		any = true;
	if (any)
		file_reload(f);
}

/* Watches the file's folder: the file itself may be replaced. */
static void
file_watch(struct sq_annotations_file *f)
{
	char *dir = sq_xstrdup(f->path);
	char *slash = strrchr(dir, '/');

	if (slash == dir)
		slash[1] = '\0';
	else if (slash != NULL)
		*slash = '\0';
	f->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	/* No IN_CREATE: what was just created is empty, and its close follows. */
	if (f->fd >= 0 &&
	    inotify_add_watch(f->fd, slash != NULL ? dir : ".",
		IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR) < 0) {
		SQ_INFO("declared", "%s can't be watched (%s), looking once a second", dir,
		    strerror(errno));
		close(f->fd);
		f->fd = -1;
	}
	free(dir);
	if (f->fd < 0)
		return;
	ev_io_init(&f->io, file_on_event, f->fd, EV_READ);
	f->io.data = f;
	ev_io_start(f->loop, &f->io);
}

struct sq_annotations_file *
sq_annotations_file_open(
    struct ev_loop *loop, const char *path, sq_annotations_file_fn *changed, void *owner)
{
	struct sq_annotations_file *f = sq_xcalloc(1, sizeof *f);

	f->loop = loop;
	f->path = sq_xstrdup(path);
	f->changed = changed;
	f->owner = owner;
	file_watch(f);
	file_reload(f);
	return f;
}

void
sq_annotations_file_check(struct sq_annotations_file *f)
{
	struct timespec now;
	struct stat st = {0};
	int64_t age_ms;

	if (stat(f->path, &st) != 0) {
		if (f->problem != errno)
			file_reload(f);
		return;
	}
	if (f->problem == 0 && st.st_ino == f->seen.st_ino && st.st_size == f->seen.st_size &&
	    st.st_dev == f->seen.st_dev && st.st_mtim.tv_sec == f->seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == f->seen.st_mtim.tv_nsec)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (now.tv_sec - st.st_mtim.tv_sec) * 1000 +
	    (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
	if (age_ms < 0 || age_ms >= SETTLE_MS)
		file_reload(f);
}

void
sq_annotations_file_close(struct sq_annotations_file **fp)
{
	struct sq_annotations_file *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	if (f->fd >= 0) {
		ev_io_stop(f->loop, &f->io);
		close(f->fd);
	}
	sq_buf_fini(&f->text);
	free(f->path);
	free(f);
}
