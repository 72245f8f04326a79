/* Snapshots, one after the other; see cli/live/top.h. */
#include "cli/live/top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/live/top_show.h"
#include "cli/term/interrupt.h"
#include "cli/term/screen.h"
#include "cli/view/safe.h"
#include "core/clock.h"
#include "core/err.h"

enum { TOP_QUEUES = 20 };

struct top {
	struct sq_tables *tables;
	const struct sq_top_ask *ask;
	struct sq_snapshot last;
	struct sq_buf trouble; /* why the last one could not be taken; empty: it was */
	bool screen, any;
	struct sq_buf *err;
};

/* Takes a snapshot, or notes why there is none. */
static int
top_take(struct top *t)
{
	struct sq_snapshot next;
	struct sq_buf why = {0};
	int rc = sq_snapshot_take(t->tables, t->ask->space, t->any ? &t->last : NULL, &next, &why);

	sq_buf_fini(&t->trouble);
	t->trouble = why;
	if (rc != 0)
		return rc;
	sq_snapshot_fini(&t->last);
	t->last = next;
	t->any = true;
	return 0;
}

static bool
top_print(const struct sq_buf *text)
{
	size_t len = sq_buf_len(text);

	return fwrite(sq_buf_data(text), 1, len, stdout) == len && fflush(stdout) == 0;
}

/* A line that says why there is no snapshot; a NUL ends 'trouble'. */
static void
top_json_trouble(struct sq_buf *out, const struct sq_buf *trouble)
{
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "time", json_integer((json_int_t)sq_clock_wall_ms()));
	json_object_set_new(o, "error", json_string((const char *)sq_buf_data(trouble)));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text != NULL)
		sq_buf_printf(out, "%s\n", text);
	free(text);
}

static int
top_show(struct top *t)
{
	struct sq_screen_size size = t->screen ? sq_screen_size() : (struct sq_screen_size){0};
	struct sq_top_how how = {
	    .by_change = t->ask->by_change,
	    .queues = t->ask->queues > 0 ? t->ask->queues
		: t->screen              ? size.rows
					 : TOP_QUEUES,
	    .columns = size.columns,
	    .rows = size.rows,
	};
	struct sq_buf out = {0};
	bool good;

	if (sq_buf_len(&t->trouble) > 0)
		sq_buf_u8(&t->trouble, 0);
	if (t->ask->json && sq_buf_len(&t->trouble) > 0)
		top_json_trouble(&out, &t->trouble);
	else if (t->ask->json)
		sq_top_json(&out, &t->last, &how);
	else
		sq_top_text(&out, &t->last, &how,
		    sq_buf_len(&t->trouble) > 0 ? (char *)sq_buf_data(&t->trouble) : NULL);
	good = t->screen ? sq_screen_draw(&out) : top_print(&out);
	sq_buf_fini(&out);
	if (!good)
		sq_buf_printf(t->err, "standard output: %s", strerror(errno));
	return good ? 0 : SQ_EIO;
}

/* Waits for the next one, and draws the last one again when the screen's size changes.  False: it is
 * the end. */
static bool
top_wait(struct top *t)
{
	uint64_t until = sq_clock_ms() + t->ask->interval_ms, now;

	while (!sq_interrupted() && (now = sq_clock_ms()) < until) {
		int key = sq_screen_wait(until - now);

		if (key == 'q' || key == 'Q')
			return false;
		if (sq_resized() && t->screen && top_show(t) != 0)
			return false;
	}
	return !sq_interrupted();
}

static int
top_run(struct top *t)
{
	bool once = !t->screen && !t->ask->json && t->ask->count == 0;
	size_t n = 0;
	int rc;

	do {
		rc = top_take(t);
		if (sq_interrupted())
			return 0;
		if (rc != 0 && !t->any) {
			sq_buf_append(t->err, sq_buf_data(&t->trouble), sq_buf_len(&t->trouble));
			return rc;
		}
		if (t->screen && n == 0)
			sq_screen_enter();
		if ((rc = top_show(t)) != 0)
			return rc;
	} while (!once && ++n != t->ask->count && top_wait(t));
	return 0;
}

int
sq_top(struct sq_tables *tables, const struct sq_top_ask *ask, struct sq_buf *err)
{
	struct top t = {
	    .tables = tables,
	    .ask = ask,
	    .screen = !ask->json && sq_screen_is_one(),
	    .err = err,
	};
	int rc;

	sq_interrupt_watch();
	rc = top_run(&t);
	if (t.screen && t.any)
		sq_screen_leave();
	sq_snapshot_fini(&t.last);
	sq_buf_fini(&t.trouble);
	return rc;
}
