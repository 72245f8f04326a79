/* The folder of bridges.dir: a bad file keeps its bridges, and a name counts once. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/temp_dir.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/file.h"
#include "broker/config/bridge_dir.h"

#define BRIDGE(name) \
	"  " name \
	": {space: s, kind: sqs, region: eu-west-1, in: [{queue: q, to: \"t/{topic|x}\"}]}\n"

static char *dir;
static struct sq_bridge_dir *bridges;

static const char *
text_of(struct sq_buf *b)
{
	*sq_buf_reserve(b, 1) = '\0';
	return (const char *)sq_buf_data(b);
}

static void
write_file(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	cr_assert_eq(fclose(f), 0);
}

static void
setup(void)
{
	dir = temp_dir_new();
	bridges = sq_bridge_dir_new(dir);
}

static void
teardown(void)
{
	sq_bridge_dir_free(&bridges);
	temp_dir_free(&dir);
}

TestSuite(bridge_dir, .init = setup, .fini = teardown);

/* Reads what is there; the text of the faults, without the folder's name. */
static const char *
look(void)
{
	static struct sq_buf err;

	sq_buf_drain(&err, sq_buf_len(&err));
	cr_assert(sq_bridge_dir_look(bridges, true, &err));
	return strncmp(text_of(&err), dir, strlen(dir)) == 0
	    ? (const char *)sq_buf_data(&err) + strlen(dir) + 1
	    : text_of(&err);
}

static void
expect(size_t n_files, size_t n_bridges, bool is_whole)
{
	struct sq_bridge_file *const *v;
	bool whole;
	size_t n = sq_bridge_dir_files(bridges, &v, &whole), found = 0;

	cr_expect_eq(n, n_files);
	for (size_t i = 0; i < n; i++)
		found += sq_bridge_file_cfgs(v[i])->bridges.n;
	cr_expect_eq(found, n_bridges);
	cr_expect_eq(whole, is_whole);
}

Test(bridge_dir, files_are_read_by_name)
{
	struct sq_bridge_file *const *v;
	bool whole;

	write_file("b.yaml", "bridges:\n" BRIDGE("two") BRIDGE("three"));
	write_file("a.yml", "bridges:\n" BRIDGE("one"));
	write_file("readme.txt", "[");
	cr_expect_str_eq(look(), "");
	expect(2, 3, true);
	cr_assert_eq(sq_bridge_dir_files(bridges, &v, &whole), 2);
	cr_expect_str_eq(
	    ((const struct sq_bridge_cfg *)sq_bridge_file_cfgs(v[0])->bridges.v)->record.name,
	    "one");
}

Test(bridge_dir, a_bad_file_keeps_what_it_had_and_stops_no_other)
{
	write_file("a.yaml", "bridges:\n" BRIDGE("one"));
	write_file("b.yaml", "bridges:\n" BRIDGE("two"));
	cr_expect_str_eq(look(), "");
	write_file(
	    "a.yaml", "bridges:\n  one: {space: s, kind: sqs}\n  other: {space: s, kind: sqs}\n");
	write_file("b.yaml", "bridges:\n" BRIDGE("two") BRIDGE("three"));
	cr_expect(strncmp(look(), "a.yaml:2: bridges.one.out: ", 27) == 0, "%s", look());
	cr_expect(strstr(look(), "/a.yaml:3: bridges.other.out: ") != NULL, "%s", look());
	expect(2, 3, true);
}

Test(bridge_dir, a_file_that_was_never_good_leaves_it_open_what_it_says)
{
	write_file("a.yaml", "bridges: [\n");
	write_file("b.yaml", "bridges:\n" BRIDGE("two"));
	(void)look();
	expect(1, 1, false);
}

Test(bridge_dir, the_first_of_two_files_counts)
{
	struct sq_buf wanted = {0};

	write_file("a.yaml", "bridges:\n" BRIDGE("one"));
	write_file("b.yaml", "bridges:\n" BRIDGE("two") BRIDGE("one"));
	sq_buf_printf(
	    &wanted, "b.yaml:3: bridges.one: is declared at %s/a.yaml:2, too, which counts", dir);
	cr_expect_str_eq(look(), text_of(&wanted));
	expect(2, 3, true);
	sq_buf_fini(&wanted);
}

Test(bridge_dir, no_folder_is_all_that_there_is)
{
	struct sq_bridge_dir *none = sq_bridge_dir_new("");
	struct sq_bridge_file *const *v;
	struct sq_buf err = {0};
	bool whole = false;

	cr_expect_not(sq_bridge_dir_look(none, true, &err));
	cr_expect_eq(sq_bridge_dir_files(none, &v, &whole), 0);
	cr_expect(whole);
	sq_bridge_dir_free(&none);
}

Test(bridge_dir, a_folder_that_is_not_there_is_not_all)
{
	struct sq_bridge_dir *d = sq_bridge_dir_new("/nonexistent/x");
	struct sq_bridge_file *const *v;
	struct sq_buf err = {0};
	bool whole = true;

	cr_expect(sq_bridge_dir_look(d, false, &err));
	cr_expect_str_eq(text_of(&err), "bridges.dir: /nonexistent/x: No such file or directory");
	cr_expect_eq(sq_bridge_dir_files(d, &v, &whole), 0);
	cr_expect_not(whole);
	sq_buf_fini(&err);
	sq_bridge_dir_free(&d);
}
