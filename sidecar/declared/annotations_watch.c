#include "sidecar/declared/annotations_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

enum { SETTLE_MS = 300 }; /* a file written this lately may not be whole */

struct sq_annotations_watch {
	struct ev_loop *loop;
	ev_io io;
	int fd; /* inotify; -1: none */
	struct sq_annotations_place place;
	sq_annotations_watch_fn *changed;
	void *owner;
	struct sq_annotations_stamp seen;
	struct sq_annotations_content content; /* what was last handed out */
	bool known;
};

static void
watch_reload(struct sq_annotations_watch *w)
{
	struct sq_annotations_content now;

	sq_annotations_stamp(&w->place, &w->seen); /* before: a change meanwhile is seen later */
	sq_annotations_read(&w->place, &now);
	if (w->known && sq_annotations_content_equal(&now, &w->content)) {
		sq_annotations_content_free(&now);
		return;
	}
	sq_annotations_content_free(&w->content);
	w->content = now;
	w->known = true;
	w->changed(w->owner, &w->content);
}

static void
watch_on_event(struct ev_loop *loop, ev_io *io, int events)
{
	struct sq_annotations_watch *w = io->data;
	_Alignas(struct inotify_event) char buf[4096];
	bool any = false;

	(void)loop;
	(void)events;
	while (read(w->fd, buf, sizeof buf) > 0)
		any = true;
	if (any)
		watch_reload(w);
}

/* The folder, for the files themselves may be replaced. */
static char *
watch_folder(const struct sq_annotations_place *place)
{
	char *dir = sq_xstrdup(place->path), *slash;

	if (place->dir)
		return dir;
	slash = strrchr(dir, '/');
	if (slash == NULL) {
		free(dir);
		return sq_xstrdup(".");
	}
	slash[slash == dir] = '\0';
	return dir;
}

static void
watch_start(struct sq_annotations_watch *w)
{
	char *dir = watch_folder(&w->place);

	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	/* No IN_CREATE: what was just created is empty, and its close follows. */
	if (w->fd >= 0 &&
	    inotify_add_watch(w->fd, dir, IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR) <
		0) {
		SQ_INFO("declared", "%s can't be watched (%s), looking once a second", dir,
		    strerror(errno));
		close(w->fd);
		w->fd = -1;
	}
	free(dir);
	if (w->fd < 0)
		return;
	ev_io_init(&w->io, watch_on_event, w->fd, EV_READ);
	w->io.data = w;
	ev_io_start(w->loop, &w->io);
}

struct sq_annotations_watch *
sq_annotations_watch_open(struct ev_loop *loop, const struct sq_annotations_place *place,
    sq_annotations_watch_fn *changed, void *owner)
{
	struct sq_annotations_watch *w = sq_xcalloc(1, sizeof *w);

	w->loop = loop;
	w->place = *place;
	w->changed = changed;
	w->owner = owner;
	watch_start(w);
	watch_reload(w);
	return w;
}

/* Whether one of them was written this very moment. */
static bool
stamp_settles(const struct sq_annotations_stamp *s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; i < SQ_ARRAY_LEN(s->v); i++) {
		int64_t age_ms = (now.tv_sec - s->v[i].mtime.tv_sec) * 1000 +
		    (now.tv_nsec - s->v[i].mtime.tv_nsec) / 1000000;

		if (age_ms >= 0 && age_ms < SETTLE_MS)
			return true;
	}
	return false;
}

void
sq_annotations_watch_check(struct sq_annotations_watch *w)
{
	struct sq_annotations_stamp now;

	sq_annotations_stamp(&w->place, &now);
	/* Unreadable files may be readable now, with the same stamp. */
	if ((sq_buf_len(&w->content.problem) > 0 || !sq_annotations_stamp_equal(&now, &w->seen)) &&
	    !stamp_settles(&now))
		watch_reload(w);
}

void
sq_annotations_watch_close(struct sq_annotations_watch **wp)
{
	struct sq_annotations_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	if (w->fd >= 0) {
		ev_io_stop(w->loop, &w->io);
		close(w->fd);
	}
	sq_annotations_content_free(&w->content);
	free(w);
}
