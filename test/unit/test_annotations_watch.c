/* The watched annotations, in a file and in a folder: the kubelet's way of replacing them, an
 * editor's, and what can't be read. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/temp_dir.h"
#include "core/mem.h"
#include "sidecar/declared/annotations_watch.h"

struct world {
	struct ev_loop *loop;
	ev_timer limit;
	char *dir;
	struct sq_annotations_place place;
	char path[300]; /* of the file */
	int calls;
	char last[512]; /* "key=value;" of each, or '!' and the problem */
	uint64_t written_ms;
	struct sq_annotations_watch *watch;
	int sets; /* that the kubelet published */
};

static void
content_print(const struct sq_annotations_content *c, char *to, size_t cap)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < c->pairs.n && n < cap; i++)
		n += (size_t)snprintf(to + n, cap - n, "%s=%.*s;",
		    c->pairs.v[i].key + sizeof SQ_ANNOTATION_PREFIX - 1, (int)c->pairs.v[i].len,
		    c->pairs.v[i].value);
	if (sq_buf_len(&c->problem) > 0)
		snprintf(to, cap, "!%.*s", (int)sq_buf_len(&c->problem),
		    (const char *)sq_buf_data(&c->problem));
}

static void
on_changed(void *owner, const struct sq_annotations_content *c)
{
	struct world *w = owner;

	w->calls++;
	w->written_ms = c->written_ms;
	content_print(c, w->last, sizeof w->last);
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
world_init(struct world *w, bool dir)
{
	memset(w, 0, sizeof *w);
	w->dir = temp_dir_new();
	snprintf(w->path, sizeof w->path, "%s/annotations", w->dir);
	w->place = (struct sq_annotations_place){
	    .key = "k", .path = dir ? w->dir : w->path, .dir = dir};
	w->loop = ev_loop_new(EVFLAG_AUTO);
}

static void
world_open(struct world *w)
{
	sq_annotations_watch_close(&w->watch);
	w->watch = sq_annotations_watch_open(w->loop, &w->place, on_changed, w);
}

static void
world_fini(struct world *w)
{
	sq_annotations_watch_close(&w->watch);
	ev_loop_destroy(w->loop);
	temp_dir_free(&w->dir);
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

/* A line of the file with that value. */
static void
write_line(const char *path, const char *value)
{
	char text[200];

	snprintf(text, sizeof text, "other=\"x\"\nsqmqos.io/subscribe=\"%s\"\n", value);
	write_file(path, text);
}

/* Gives a file that time in ms. */
static void
set_written(const char *path, int64_t ms)
{
	struct timespec t[2] = {
	    {.tv_nsec = UTIME_OMIT}, {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000}};

	cr_assert_eq(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* As the kubelet's AtomicWriter: a new folder with "name", "value", ..., NULL in it, ..data
 * swapped to point to it, and the folder before removed.  A name that begins with '=' is
 * a file of annotations.  'written_ms', if any, is when. */
static void
publish(struct world *w, int64_t written_ms, const char *const *files)
{
	char name[32], dir[300], file[400], tmp[300], data[300], old[400];

	snprintf(name, sizeof name, "..2026_%d", w->sets);
	snprintf(dir, sizeof dir, "%s/%s", w->dir, name);
	snprintf(tmp, sizeof tmp, "%s/..data_tmp", w->dir);
	snprintf(data, sizeof data, "%s/..data", w->dir);
	cr_assert_eq(mkdir(dir, 0755), 0);
	for (; files[0] != NULL; files += 2) {
		const char *base = files[0][0] == '=' ? "annotations" : files[0];

		snprintf(file, sizeof file, "%s/%s", dir, base);
		if (files[0][0] == '=')
			write_line(file, files[1]);
		else
			write_file(file, files[1]);
		if (written_ms != 0)
			set_written(file, written_ms);
		snprintf(file, sizeof file, "%s/%s", w->dir, base);
		snprintf(old, sizeof old, "..data/%s", base);
		(void)symlink(old, file);
	}
	if (written_ms != 0)
		set_written(dir, written_ms);
	cr_assert_eq(symlink(name, tmp), 0);
	cr_assert_eq(rename(tmp, data), 0);
	if (w->sets++ > 0) {
		snprintf(old, sizeof old, "rm -rf '%s/..2026_%d'", w->dir, w->sets - 2);
		cr_assert_eq(system(old), 0);
	}
}
#define PUBLISH(w, written_ms, ...) publish(w, written_ms, (const char *const[]){__VA_ARGS__, NULL})

Test(annotations_watch, the_kubelet_s_swap_is_seen)
{
	struct world w;

	world_init(&w, false);
	PUBLISH(&w, 0, "=", "first");
	world_open(&w);
	cr_assert_eq(w.calls, 1);
	cr_assert_str_eq(w.last, "subscribe=first;");
	PUBLISH(&w, 0, "=", "second");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "subscribe=second;");
	world_fini(&w);
}

Test(annotations_watch, it_is_as_old_as_what_the_path_resolves_to)
{
	struct world w;

	world_init(&w, false);
	PUBLISH(&w, 1700000000123, "=", "first");
	world_open(&w);
	cr_assert_eq(w.written_ms, 1700000000123u);
	world_open(&w);
	cr_assert_eq(w.written_ms, 1700000000123u, "not when it was read");
	PUBLISH(&w, 1, "=", "second");
	set_written(w.path, 0);
	world_open(&w);
	cr_assert_eq(w.written_ms, 1u, "0 is for what nobody knows");
	world_fini(&w);
}

Test(annotations_watch, a_file_written_in_place_is_read_when_it_is_closed)
{
	struct world w;

	world_init(&w, false);
	write_line(w.path, "first");
	world_open(&w);
	write_line(w.path, "second");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "subscribe=second;");
	world_fini(&w);
}

Test(annotations_watch, the_same_content_is_told_once)
{
	struct world w;

	world_init(&w, false);
	write_line(w.path, "same");
	world_open(&w);
	write_line(w.path, "same");
	write_line(w.path, "same");
	for (int i = 0; i < 20; i++)
		ev_run(w.loop, EVRUN_NOWAIT);
	cr_assert_eq(w.calls, 1);
	world_fini(&w);
}

Test(annotations_watch, what_cant_be_read_is_said_and_may_come_later)
{
	struct world w;

	world_init(&w, false);
	world_open(&w);
	cr_assert_eq(w.calls, 1);
	cr_assert_str_eq(w.last, "!No such file or directory");
	sq_annotations_watch_check(w.watch);
	cr_assert_eq(w.calls, 1);
	write_line(w.path, "there");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "subscribe=there;");
	write_file(w.path, "no line\nsqmqos.io/subscribe=\"x\"\n");
	await_call(&w, 3);
	cr_assert_str_eq(w.last, "!line 1, column 1: not of the form key=\"value\"");
	cr_assert_eq(unlink(w.path), 0);
	await_call(&w, 4);
	cr_assert_str_eq(w.last, "!No such file or directory");
	cr_assert_eq(mkdir(w.path, 0755), 0);
	set_written(w.path, 1700000000000);
	sq_annotations_watch_check(w.watch);
	cr_assert_str_eq(w.last, "!not a regular file");
	world_fini(&w);
}

Test(annotations_watch, a_folder_that_comes_later_is_found_by_looking)
{
	char dir[300], path[400];
	struct world w;

	world_init(&w, false);
	snprintf(dir, sizeof dir, "%s/later", w.dir);
	snprintf(path, sizeof path, "%s/annotations", dir);
	w.place.path = path;
	world_open(&w);
	cr_assert_eq(w.last[0], '!');
	cr_assert_eq(mkdir(dir, 0755), 0);
	write_line(path, "found");
	while (w.calls < 2) { /* once it is old enough to be whole */
		sq_annotations_watch_check(w.watch);
		usleep(10000);
	}
	cr_assert_str_eq(w.last, "subscribe=found;");
	world_fini(&w);
}

/* --- a folder --- */

Test(annotations_watch, a_folder_has_a_file_for_each_live_one)
{
	struct world w;

	world_init(&w, true);
	PUBLISH(&w, 1700000000123, "subscribe", "- a\n- b\n", "publish", "", "client-id", "app",
	    "token", "secret", "outbox", "disk");
	world_open(&w);
	cr_assert_eq(w.calls, 1);
	cr_assert_str_eq(w.last, "subscribe=- a\n- b\n;client-id=app;",
	    "an empty one is not set, others are not looked at");
	cr_assert_eq(w.written_ms, 1700000000123u);
	PUBLISH(&w, 1700000001000, "subscribe", "", "publish", "- c", "client-id", "app");
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "publish=- c;client-id=app;");
	cr_assert_eq(w.written_ms, 1700000001000u);
	world_fini(&w);
}

/* The token beside them is written anew every hour. */
Test(annotations_watch, a_swap_that_changes_none_of_them_is_nothing)
{
	struct world w;

	world_init(&w, true);
	PUBLISH(&w, 0, "subscribe", "a", "token", "one");
	world_open(&w);
	PUBLISH(&w, 0, "subscribe", "a", "token", "two");
	for (int i = 0; i < 20; i++)
		ev_run(w.loop, EVRUN_NOWAIT);
	sq_annotations_watch_check(w.watch);
	cr_assert_eq(w.calls, 1);
	world_fini(&w);
}

/* Where inotify is blind. */
Test(annotations_watch, a_swap_is_found_by_looking)
{
	struct world w;

	world_init(&w, true);
	PUBLISH(&w, 1700000000000, "subscribe", "a");
	world_open(&w);
	PUBLISH(&w, 1700000001000, "subscribe", "b");
	sq_annotations_watch_check(w.watch);
	cr_assert_eq(w.calls, 2);
	cr_assert_str_eq(w.last, "subscribe=b;");
	world_fini(&w);
}

Test(annotations_watch, a_folder_without_any_is_fine_and_none_is_not)
{
	char path[300];
	struct world w;

	world_init(&w, true);
	world_open(&w);
	cr_assert_str_eq(w.last, "", "nothing is set");
	snprintf(path, sizeof path, "%s/subscribe", w.dir);
	write_file(path, "a"); /* by hand */
	await_call(&w, 2);
	cr_assert_str_eq(w.last, "subscribe=a;");
	cr_assert_eq(unlink(path), 0);
	await_call(&w, 3);
	cr_assert_str_eq(w.last, "");
	cr_assert_eq(mkdir(path, 0755), 0);
	set_written(path, 1700000000000);
	sq_annotations_watch_check(w.watch);
	cr_assert_str_eq(w.last, "!subscribe: not a regular file");
	snprintf(path, sizeof path, "%s/missing", w.dir);
	w.place.path = path;
	world_open(&w);
	cr_assert_str_eq(w.last, "!No such file or directory");
	world_fini(&w);
}

/* --- one set --- */

struct swapper {
	struct world *w;
	atomic_bool stop;
};

static void *
swap_on(void *owner)
{
	struct swapper *s = owner;
	char value[16];

	for (int i = 1; !atomic_load(&s->stop); i++) {
		snprintf(value, sizeof value, "v%d", i);
		PUBLISH(s->w, 0, "client-id", value, "publish", value, "subscribe", value);
	}
	return NULL;
}

/* However often the kubelet swaps, what is read is one of its sets. */
Test(annotations_watch, a_set_is_never_half_of_another)
{
	struct sq_annotations_content c;
	struct swapper s = {0};
	int read = 0;
	pthread_t thread;
	struct world w;

	world_init(&w, true);
	s.w = &w;
	PUBLISH(&w, 0, "client-id", "v0", "publish", "v0", "subscribe", "v0");
	cr_assert_eq(pthread_create(&thread, NULL, swap_on, &s), 0);
	while (read < 2000) {
		sq_annotations_read(&w.place, &c);
		if (sq_buf_len(&c.problem) == 0) {
			cr_assert_eq(c.pairs.n, 3);
			for (size_t i = 1; i < c.pairs.n; i++)
				cr_assert_str_eq(c.pairs.v[i].value, c.pairs.v[0].value);
			read++;
		}
		sq_annotations_content_free(&c);
	}
	atomic_store(&s.stop, true);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	world_fini(&w);
}
