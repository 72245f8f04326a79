/* The mark that a sidecar was ready: for whom it counts, and what is no mark. */
#include "sidecar/mark.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/temp_dir.h"

#define POD "shop-1"
#define BOOT "6f1c0b1e-0000-4000-8000-000000000001"

static char *dir, path[300];

static void
setup(void)
{
	dir = temp_dir_new();
	snprintf(path, sizeof path, "%s/ready", dir);
}

static void
teardown(void)
{
	temp_dir_free(&dir);
}

TestSuite(mark, .init = setup, .fini = teardown);

static void
put(const char *text, size_t len)
{
	FILE *f = fopen(path, "wb");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void
write_mark(const char *pod, const char *boot)
{
	struct sq_buf why = {0};

	cr_assert_eq(sq_mark_write(dir, pod, boot, &why), 0, "%.*s", (int)sq_buf_len(&why),
	    (char *)sq_buf_data(&why));
	cr_assert_eq(sq_buf_len(&why), 0);
}

/* 'complains': with a reason, of one line. */
static bool
counts(const char *pod, const char *boot, bool complains)
{
	struct sq_buf why = {0};
	bool is = sq_mark_read(dir, pod, boot, &why);

	cr_assert_eq(sq_buf_len(&why) != 0, complains, "'%.*s'", (int)sq_buf_len(&why),
	    (char *)sq_buf_data(&why));
	cr_assert(complains == false || memchr(sq_buf_data(&why), '\n', sq_buf_len(&why)) == NULL);
	sq_buf_fini(&why);
	return is;
}

Test(mark, counts_for_this_pod_in_this_boot)
{
	cr_assert_not(counts(POD, BOOT, false), "there is none yet");
	write_mark(POD, BOOT);
	cr_assert(counts(POD, BOOT, false));
	cr_assert_not(counts("shop-2", BOOT, false));
	cr_assert_not(counts("shop-", BOOT, false));
	cr_assert_not(counts(POD, "6f1c0b1e-0000-4000-8000-000000000002", false));
	cr_assert_not(counts(POD, "", false));
	write_mark("shop-2", BOOT);
	cr_assert_not(counts(POD, BOOT, false), "another one's takes its place");
	cr_assert(counts("shop-2", BOOT, false));
	cr_assert_neq(access(path, F_OK), -1);
	snprintf(path, sizeof path, "%s/ready.new", dir);
	cr_assert_eq(access(path, F_OK), -1, "nothing is left of the writing");
}

Test(mark, without_a_boot_counts_for_nobody)
{
	static const char text[] = "sqmqos ready 1\nboot \npod " POD "\n";

	put(text, sizeof text - 1);
	cr_assert_not(counts(POD, "", false));
}

Test(mark, makes_its_directory)
{
	char inner[300];
	struct sq_buf why = {0};

	snprintf(inner, sizeof inner, "%s/state", dir);
	cr_assert_not(sq_mark_read(inner, POD, BOOT, &why));
	cr_assert_eq(sq_buf_len(&why), 0, "it is not there yet");
	cr_assert_eq(sq_mark_write(inner, POD, BOOT, &why), 0);
	cr_assert(sq_mark_read(inner, POD, BOOT, &why));
}

/* As the kubelet leaves an emptyDir with fsGroup to a container: root's, of a group that the
 * process has besides its own.  Exit code 0: a mark was written and counts. */
static int
as_pod_user(const char *state)
{
	const gid_t group = 1234;
	struct sq_buf why = {0};

	if (setgroups(1, &group) != 0 || setresgid(65532, 65532, 65532) != 0 ||
	    setresuid(65532, 65532, 65532) != 0)
		return 2;
	if (sq_mark_boot()[0] == '\0')
		return 3;
	if (sq_mark_write(state, POD, sq_mark_boot(), &why) != 0)
		return 4;
	return sq_mark_read(state, POD, sq_mark_boot(), &why) ? 0 : 5;
}

Test(mark, in_a_folder_that_is_anothers)
{
	char state[300];
	int status = 0;
	pid_t child;

	if (geteuid() != 0)
		cr_skip("needs root");
	snprintf(state, sizeof state, "%s/state", dir);
	cr_assert_eq(mkdir(state, 0700), 0);
	cr_assert_eq(chown(state, 0, 1234), 0);
	cr_assert_eq(chmod(state, 02770), 0);
	cr_assert_eq(chmod(dir, 0755), 0);
	child = fork();
	if (child == 0)
		_exit(as_pod_user(state));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(mark, of_a_pod_with_any_name)
{
	static const char name[] = "a\npod b\n\nc";

	write_mark(name, BOOT);
	cr_assert(counts(name, BOOT, false));
	cr_assert_not(counts("a", BOOT, false));
}

Test(mark, cut_anywhere_is_none)
{
	static const char text[] = "sqmqos ready 1\nboot " BOOT "\npod " POD "\n";

	for (size_t len = 0; len < sizeof text - 1; len++) {
		put(text, len);
		cr_assert_not(counts(POD, BOOT, true), "of %zu bytes", len);
	}
	put(text, sizeof text - 1);
	cr_assert(counts(POD, BOOT, false));
	put(text, sizeof text); /* a NUL behind it */
	cr_assert_not(counts(POD, BOOT, true));
}

Test(mark, garbage_and_other_formats_are_none)
{
	static const char newer[] = "sqmqos ready 2\nboot " BOOT "\npod " POD "\n";
	static char large[5000];

	put(newer, sizeof newer - 1);
	cr_assert_not(counts(POD, BOOT, true));
	memset(large, 'x', sizeof large);
	put(large, sizeof large);
	cr_assert_not(counts(POD, BOOT, true));
	put("\xff\x00\xfe", 3);
	cr_assert_not(counts(POD, BOOT, true));
	write_mark(POD, BOOT);
	cr_assert(counts(POD, BOOT, false), "it is written over");
}

Test(mark, only_a_file_is_read)
{
	char other[300];

	snprintf(other, sizeof other, "%s/other", dir);
	cr_assert_eq(mkfifo(path, 0600), 0); /* this would wait for ever */
	cr_assert_not(counts(POD, BOOT, true));
	unlink(path);
	write_mark(POD, BOOT);
	cr_assert_eq(rename(path, other), 0);
	cr_assert_eq(symlink(other, path), 0);
	cr_assert_not(counts(POD, BOOT, true));
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_not(counts(POD, BOOT, true));
}

Test(mark, what_cannot_be_written_is_said)
{
	struct sq_buf why = {0};

	cr_assert_eq(mkdir(path, 0700), 0); /* a directory where the file should be */
	cr_assert_eq(sq_mark_write(dir, POD, BOOT, &why), SQ_EIO);
	cr_assert_gt(sq_buf_len(&why), 0u);
	sq_buf_fini(&why);
	rmdir(path);
	put("", 0);
	cr_assert_eq(sq_mark_write(path, POD, BOOT, &why), SQ_EIO, "'dir' is a file");
	cr_assert_gt(sq_buf_len(&why), 0u);
	sq_buf_fini(&why);
	cr_assert_eq(sq_mark_write("/proc/none/here", POD, BOOT, &why), SQ_EIO);
	cr_assert_gt(sq_buf_len(&why), 0u);
	sq_buf_fini(&why);
	cr_assert_eq(sq_mark_write(dir, POD, "", &why), SQ_EIO, "which boot is not known");
	cr_assert_gt(sq_buf_len(&why), 0u);
	sq_buf_fini(&why);
}

Test(mark, the_boot_has_an_id)
{
	cr_assert_eq(strlen(sq_mark_boot()), 36);
}
