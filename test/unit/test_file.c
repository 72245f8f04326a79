/* core/file: small files that are replaced while somebody reads them. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

static char dir[64], path[128], fresh[128];

static void
make_dir(void)
{
	strcpy(dir, "/tmp/sq_test_file_XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/name", dir);
	snprintf(fresh, sizeof fresh, "%s/name.new", dir);
}

static void
remove_dir(void)
{
	char cmd[100];

	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	cr_assert_eq(system(cmd), 0);
}

TestSuite(file, .init = make_dir, .fini = remove_dir);

static void
holds(const char *text)
{
	struct sq_buf got = {0};

	cr_assert_eq(sq_file_read(path, 100, &got), SQ_OK);
	cr_assert_eq(sq_buf_len(&got), strlen(text));
	cr_assert_arr_eq(sq_buf_data(&got), text, strlen(text));
	sq_buf_fini(&got);
	cr_assert_eq(access(fresh, F_OK), -1, "nothing is left of the writing");
}

Test(file, a_replacement_is_seen_and_is_whole)
{
	struct sq_file_stamp before, after;

	sq_file_stamp(path, &before);
	cr_assert_eq(before.inode, 0, "there is none");
	cr_assert_eq(sq_file_replace(dir, "name", "one", 3, false), SQ_OK);
	holds("one");
	sq_file_stamp(path, &before);
	cr_assert_eq(sq_file_replace(dir, "name", "two", 3, true), SQ_OK);
	holds("two");
	sq_file_stamp(path, &after);
	cr_assert_not(sq_file_stamp_equal(&before, &after));
	sq_file_stamp(path, &before);
	cr_assert(sq_file_stamp_equal(&before, &after));
}

Test(file, its_folder_is_made)
{
	char inner[100];

	snprintf(inner, sizeof inner, "%s/inner", dir);
	snprintf(path, sizeof path, "%s/name", inner);
	cr_assert_eq(sq_file_replace(inner, "name", "x", 1, false), SQ_OK);
	holds("x");
}

Test(file, what_can_t_be_written_leaves_the_old_one)
{
	cr_assert_eq(sq_file_replace(dir, "name", "old", 3, false), SQ_OK);
	cr_assert_eq(symlink("/tmp", fresh), 0); /* leads astray */
	cr_assert_eq(sq_file_replace(dir, "name", "new", 3, false), SQ_EIO);
	cr_assert_eq(errno, ELOOP);
	(void)unlink(fresh);
	holds("old");
	cr_assert_eq(sq_file_replace("/dev/null", "name", "new", 3, false), SQ_EIO);
}

Test(file, what_is_no_file_or_too_large_is_refused)
{
	struct sq_buf got = {0};

	cr_assert_eq(sq_file_read(path, 100, &got), SQ_EIO);
	cr_assert_eq(errno, ENOENT);
	cr_assert_eq(sq_file_read(dir, 100, &got), SQ_EINVAL);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(sq_file_read(path, 100, &got), SQ_EINVAL, "a pipe holds nobody up");
	unlink(path);
	cr_assert_eq(sq_file_replace(dir, "name", "12345", 5, false), SQ_OK);
	cr_assert_eq(sq_file_read(path, 4, &got), SQ_ETOOBIG);
	sq_buf_drain(&got, sq_buf_len(&got));
	cr_assert_eq(sq_file_read(path, 5, &got), SQ_OK);
	sq_buf_fini(&got);
}
