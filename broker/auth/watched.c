/* See broker/auth/watched.h. */
#include "broker/auth/watched.h"

#include <errno.h>
#include <time.h>

enum {
	OPEN_TRIES = 20,
	OPEN_PAUSE_MS = 50,
};

/* Reads it, if it stays what 'seen' says meanwhile. */
static int
watched_read(struct sq_watched *w, size_t max, struct sq_buf *out)
{
	struct sq_file_stamp after;
	bool again = w->failing;
	int rc = w->guarded ? sq_file_read_secret(w->file, max, out)
			    : sq_file_read(w->file, max, out);
	int error = errno;

	sq_file_stamp(w->file, &after);
	errno = error;
	if (!sq_file_stamp_equal(&after, &w->seen)) {
		w->looked = false;
		return SQ_EAGAIN;
	}
	w->failing = rc == SQ_EIO;
	if (w->failing)
		return again ? SQ_EAGAIN : rc;
	w->done = w->seen;
	w->refused = rc != SQ_OK;
	return rc;
}

int
sq_watched_open(struct sq_watched *w, size_t max, struct sq_buf *out)
{
	const struct timespec pause = {0, OPEN_PAUSE_MS * 1000000L};
	int rc = SQ_EAGAIN;

	for (int i = 0; i < OPEN_TRIES && rc == SQ_EAGAIN; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		sq_buf_drain(out, sq_buf_len(out));
		sq_file_stamp(w->file, &w->seen);
		rc = watched_read(w, max, out);
	}
	return rc;
}

int
sq_watched_look(struct sq_watched *w, uint64_t now_ms, size_t max, struct sq_buf *out)
{
	struct sq_file_stamp now;

	sq_file_stamp(w->file, &now);
	if (w->done.inode != 0 && sq_file_stamp_equal(&now, &w->done)) {
		w->looked = w->failing = false;
		return SQ_EAGAIN;
	}
	if (!w->looked || !sq_file_stamp_equal(&now, &w->seen)) {
		w->looked = true;
		w->seen = now;
		w->seen_ms = now_ms;
	}
	return now_ms - w->seen_ms >= SQ_WATCHED_SETTLE_MS ? watched_read(w, max, out) : SQ_EAGAIN;
}

void
sq_watched_refuse(struct sq_watched *w)
{
	w->refused = true;
}
