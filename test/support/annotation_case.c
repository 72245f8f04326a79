#include "annotation_case.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { PAIRS_MAX = 16 };

static int
check(const char *const *texts, struct sq_annotations *out, struct sq_annotation_problems *problems)
{
	struct sq_annotation pairs[PAIRS_MAX];
	char *copies[PAIRS_MAX]; /* without their NUL, so that a read past the end is seen */
	size_t n = 0;
	int rc;

	for (; texts[2 * n] != NULL; n++) {
		size_t len = strlen(texts[2 * n + 1]);

		copies[n] = sq_xmalloc(len + (len == 0));
		memcpy(copies[n], texts[2 * n + 1], len);
		pairs[n] = (struct sq_annotation){texts[2 * n], copies[n], len};
	}
	rc = sq_annotations_check(pairs, n, SQ_ANNOTATIONS_OF_POD, "w", out, problems);
	while (n > 0)
		free(copies[--n]);
	cr_assert_eq(rc, problems->errors > 0 ? SQ_EINVAL : 0);
	return rc;
}

static char *
printed(const struct sq_annotation_problems *problems, bool warnings)
{
	struct sq_buf text = {0};
	char *copy;

	sq_annotation_problems_print(problems, warnings, &text);
	copy = sq_xmemdup0(
	    sq_buf_len(&text) > 0 ? (char *)sq_buf_data(&text) : "", sq_buf_len(&text));
	sq_buf_fini(&text);
	return copy;
}

struct sq_annotations
annotations_accept(const char *const *pairs, const char *warnings)
{
	struct sq_annotation_problems problems = {0};
	struct sq_annotations out;
	int rc = check(pairs, &out, &problems);
	char *errors = printed(&problems, false), *warned = printed(&problems, true);

	cr_assert_eq(rc, 0, "%s", errors);
	cr_assert_str_eq(warned, warnings);
	free(errors);
	free(warned);
	sq_annotation_problems_free(&problems);
	return out;
}

void
annotations_refuse(const char *const *pairs, const char *want)
{
	static const struct sq_annotations nothing;
	struct sq_annotation_problems problems = {0};
	struct sq_annotations out;
	int rc = check(pairs, &out, &problems);
	char *got = printed(&problems, false);

	cr_expect_eq(rc, SQ_EINVAL, "accepted: %s", pairs[1]);
	cr_expect_str_eq(got, want);
	cr_assert_arr_eq(&out, &nothing, sizeof out);
	free(got);
	sq_annotation_problems_free(&problems);
}

struct sq_annotations
annotation_accept(const char *key, const char *value)
{
	return annotations_accept((const char *const[]){key, value, NULL}, "");
}

void
annotation_refuse(const char *key, const char *value, const char *want)
{
	struct sq_buf lines = {0};
	const char *nl;

	for (; (nl = strchr(want, '\n')) != NULL; want = nl + 1)
		sq_buf_printf(&lines, "%s: %.*s\n", key, (int)(nl - want), want);
	sq_buf_printf(&lines, "%s: %s", key, want);
	sq_buf_u8(&lines, 0);
	annotations_refuse(
	    (const char *const[]){key, value, NULL}, (const char *)sq_buf_data(&lines));
	sq_buf_fini(&lines);
}
