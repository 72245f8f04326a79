/* net/conn/bearer: the file that somebody else renews. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/temp_file.h"
#include "core/mem.h"
#include "net/conn/bearer.h"

static char path[] = "/tmp/sq_test_token_XXXXXX";
static struct sq_buf err;

static void
put(const char *text, size_t len)
{
	temp_file_put(path, text, len);
}

static void
setup(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
}

static void
tidy(void)
{
	unlink(path);
	sq_buf_fini(&err);
}

TestSuite(token, .init = setup, .fini = tidy);

static void
expect(const struct sq_bearer *t, const char *header)
{
	struct sq_block *b = sq_bearer_header(t);

	cr_assert_not_null(b);
	cr_assert_eq(b->size, strlen(header));
	cr_assert_arr_eq(b->bytes, header, b->size);
	sq_block_unref(&b);
}

Test(token, no_file_is_no_token)
{
	static const char *const none[] = {NULL, ""};

	for (size_t i = 0; i < 2; i++) {
		struct sq_bearer *t = sq_bearer_open(none[i], &err);

		cr_assert_not_null(t);
		cr_assert_null(sq_bearer_header(t));
		cr_assert_eq(sq_bearer_refresh(t, &err), 0);
		sq_bearer_free(&t);
	}
}

Test(token, is_read_again_when_it_changes_and_kept_when_it_cannot)
{
	struct sq_bearer *t;
	struct sq_block *old;

	put("  one.two-3_~+/=\r\n", 18);
	t = sq_bearer_open(path, &err);
	cr_assert_not_null(t);
	expect(t, "Bearer one.two-3_~+/=");
	cr_assert_eq(sq_bearer_refresh(t, &err), 0);
	old = sq_bearer_header(t);
	put("two", 3);
	cr_assert_eq(sq_bearer_refresh(t, &err), 0);
	expect(t, "Bearer two");
	cr_assert_arr_eq(old->bytes, "Bearer one", 10, "who holds it, keeps it");
	sq_block_unref(&old);
	put("", 0);
	cr_assert_eq(sq_bearer_refresh(t, &err), SQ_EINVAL);
	expect(t, "Bearer two");
	unlink(path);
	cr_assert_eq(sq_bearer_refresh(t, &err), SQ_EIO);
	expect(t, "Bearer two");
	put("three", 5);
	cr_assert_eq(sq_bearer_refresh(t, &err), 0);
	expect(t, "Bearer three");
	sq_bearer_free(&t);
}

Test(token, wrong_files_are_refused_without_their_contents)
{
	static char big[SQ_BEARER_MAX + 1];
	static const struct {
		const char *text;
		size_t len;
	} wrong[] = {
	    {"", 0},
	    {" \n", 2},
	    {"sec ret", 7},
	    {"sec\nret", 7},
	    {"sec\0ret", 7},
	    {"sec\xc3\xa4", 5},
	    {"sec\x1b", 4},
	    {big, sizeof big},
	};
	struct sq_bearer *t;

	memset(big, 'x', sizeof big);
	for (size_t i = 0; i < SQ_ARRAY_LEN(wrong); i++) {
		put(wrong[i].text, wrong[i].len);
		t = sq_bearer_open(path, &err);
		cr_assert_null(t, "%zu", i);
	}
	sq_buf_u8(&err, 0);
	cr_assert_null(strstr((char *)sq_buf_data(&err), "sec"));
	put(big, SQ_BEARER_MAX);
	t = sq_bearer_open(path, &err);
	cr_assert_not_null(t, "the longest");
	sq_bearer_free(&t);
}

/* kubelet writes a volume's files into a folder of their own, and swaps the link "..data"
 * over; the file that is named stays a link for ever. */
Test(token, is_read_again_across_kubelets_swap_of_a_link)
{
	static const char *const texts[] = {"first", "second"};
	char dir[] = "/tmp/sq_test_token_dir_XXXXXX", file[3][100], name[100];
	struct sq_bearer *t;

	cr_assert_not_null(mkdtemp(dir));
	for (int i = 0; i < 2; i++) {
		FILE *f;

		(void)snprintf(name, sizeof name, "%s/..%d", dir, i);
		cr_assert_eq(mkdir(name, 0700), 0);
		(void)snprintf(file[i], sizeof file[i], "%s/..%d/token", dir, i);
		f = fopen(file[i], "w");
		cr_assert_not_null(f);
		fputs(texts[i], f);
		fclose(f);
	}
	(void)snprintf(name, sizeof name, "%s/..data", dir);
	cr_assert_eq(symlink("..0", name), 0);
	(void)snprintf(file[2], sizeof file[2], "%s/token", dir);
	cr_assert_eq(symlink("..data/token", file[2]), 0);

	t = sq_bearer_open(file[2], &err);
	cr_assert_not_null(t);
	expect(t, "Bearer first");
	(void)snprintf(name, sizeof name, "%s/..data_tmp", dir);
	cr_assert_eq(symlink("..1", name), 0);
	(void)snprintf(file[2], sizeof file[2], "%s/..data", dir);
	cr_assert_eq(rename(name, file[2]), 0);
	cr_assert_eq(sq_bearer_refresh(t, &err), 0);
	expect(t, "Bearer second");
	sq_bearer_free(&t);

	unlink(file[0]);
	unlink(file[1]);
	unlink(file[2]);
	for (int i = 0; i < 3; i++) {
		static const char *const left[] = {"..0", "..1", "token"};

		(void)snprintf(name, sizeof name, "%s/%s", dir, left[i]);
		cr_assert_eq(remove(name), 0);
	}
	cr_assert_eq(rmdir(dir), 0);
}
