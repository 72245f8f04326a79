/* The watched annotations file: the kubelet's way of replacing it, an editor's,
 * and what can't be read. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sidecar/annotations_file.h"

struct world {
	struct ev_loop *loop;
	ev_timer limit;
	char dir[64], path[128];
	int calls;
	char last[256]; /* content, or '!' and the problem */
	uint64_t written_ms;
};

static void
on_changed(void *owner, const char *text, size_t len, uint64_t written_ms, const char *problem)
{
	struct world *w = owner;

	w->calls++;
	w->written_ms = written_ms;
	if (problem != NULL)
		snprintf(w->last, sizeof w->last, "!%s", problem);
	else
		snprintf(w->last, sizeof w->last, "%.*s", (int)len, text);
	ev_break(w->loop, EVBREAK_ALL);
}

static void
on_limit(struct ev_loop *loop, ev_timer *t, int events)
{
	(void)t;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	strcpy(w->dir, "/tmp/sq-annotations-XXXXXX");
	cr_assert_not_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof w->path, "%s/annotations", w->dir);
	w->loop = ev_loop_new(EVFLAG_AUTO);
}

static void
world_fini(struct world *w)
{
	char command[128];

	ev_loop_destroy(w->loop);
	snprintf(command, sizeof command, "rm -rf %s", w->dir);
	cr_assert_eq(system(command), 0);
}

/* Turns the loop until a call came, at most ten seconds. */
static void
await_call(struct world *w, int calls)
{
	ev_timer_init(&w->limit, on_limit, 10.0, 0.0);
	ev_timer_start(w->loop, &w->limit);
	while (w->calls < calls && ev_is_active(&w->limit))
		ev_run(w->loop, EVRUN_ONCE);
	ev_timer_stop(w->loop, &w->limit);
	cr_assert_eq(w->calls, calls);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

/* The kubelet's: a new folder, and ..data swapped to point to it. */
static void
publish(struct world *w, const char *name, const char *text)
{
	char dir[128], file[192], tmp[128], data[128];

	snprintf(dir, sizeof dir, "%s/%s", w->dir, name);
	snprintf(file, sizeof file, "%s/annotations", dir);
	snprintf(tmp, sizeof tmp, "%s/..data_tmp", w->dir);
	snprintf(data, sizeof data, "%s/..data", w->dir);
	cr_assert_eq(mkdir(dir, 0755), 0);
	write_file(file, text);
	cr_assert_eq(symlink(name, tmp), 0);
	cr_assert_eq(rename(tmp, data), 0);
}

Test(annotations_file, the_kubelet_s_swap_is_seen)
{
	struct sq_annotations_file *f;
	struct world w;

	world_init(&w);
	publish(&w, "..one", "first");
	cr_assert_eq(symlink("..data/annotations", w.path), 0);
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	cr_assert_eq(w.calls, 1);
	cr_assert_str_eq(w.last, "first");
	publish(&w, "..two", "second");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "second");
	sq_annotations_file_close(&f);
	world_fini(&w);
}

/* Gives a file that time in ms. */
static void
set_written(const char *path, int64_t ms)
{
	struct timespec t[2] = {
	    {.tv_nsec = UTIME_OMIT}, {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000}};

	cr_assert_eq(utimensat(AT_FDCWD, path, t, 0), 0);
}

Test(annotations_file, it_is_as_old_as_what_the_path_resolves_to)
{
	struct sq_annotations_file *f;
	struct world w;
	char path[192];

	world_init(&w);
	publish(&w, "..one", "first");
	snprintf(path, sizeof path, "%s/..one/annotations", w.dir);
	set_written(path, 1700000000123);
	cr_assert_eq(symlink("..data/annotations", w.path), 0);
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	cr_assert_eq(w.written_ms, 1700000000123u);
	sq_annotations_file_close(&f);
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	cr_assert_eq(w.written_ms, 1700000000123u, "not when it was read");
	set_written(path, 0);
	sq_annotations_file_close(&f);
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	cr_assert_eq(w.written_ms, 1u, "0 is for what nobody knows");
	sq_annotations_file_close(&f);
	world_fini(&w);
}

Test(annotations_file, a_file_written_in_place_is_read_when_it_is_closed)
{
	struct sq_annotations_file *f;
	struct world w;

	world_init(&w);
	write_file(w.path, "first");
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	write_file(w.path, "second");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "second");
	sq_annotations_file_close(&f);
	world_fini(&w);
}

Test(annotations_file, the_same_content_is_told_once)
{
	struct sq_annotations_file *f;
	struct world w;

	world_init(&w);
	write_file(w.path, "same");
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	write_file(w.path, "same");
	write_file(w.path, "same");
	for (int i = 0; i < 20; i++)
		ev_run(w.loop, EVRUN_NOWAIT);
	cr_assert_eq(w.calls, 1);
	sq_annotations_file_close(&f);
	world_fini(&w);
}

Test(annotations_file, what_cant_be_read_is_said_and_may_come_later)
{
	struct sq_annotations_file *f;
	struct world w;

	world_init(&w);
	f = sq_annotations_file_open(w.loop, w.path, on_changed, &w);
	cr_assert_eq(w.calls, 1);
	cr_assert_eq(w.last[0], '!');
	sq_annotations_file_check(f);
	cr_assert_eq(w.calls, 1);
	write_file(w.path, "there");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "there");
	cr_assert_eq(unlink(w.path), 0);
	await_call(&w, 3);
	cr_assert_eq(w.last[0], '!');
	cr_assert_eq(mkdir(w.path, 0755), 0);
	sq_annotations_file_check(f);
	cr_assert_eq(w.last[0], '!');
	sq_annotations_file_close(&f);
	world_fini(&w);
}

Test(annotations_file, a_folder_that_comes_later_is_found_by_looking)
{
	struct sq_annotations_file *f;
	struct world w;
	char path[160];

	world_init(&w);
	snprintf(path, sizeof path, "%s/later/annotations", w.dir);
	f = sq_annotations_file_open(w.loop, path, on_changed, &w);
	cr_assert_eq(w.last[0], '!');
	snprintf(w.path, sizeof w.path, "%s/later", w.dir);
	cr_assert_eq(mkdir(w.path, 0755), 0);
	write_file(path, "found");
	while (w.calls < 2) { /* once it is old enough to be whole */
		sq_annotations_file_check(f);
		usleep(10000);
	}
	cr_assert_str_eq(w.last, "found");
	sq_annotations_file_close(&f);
	world_fini(&w);
}
