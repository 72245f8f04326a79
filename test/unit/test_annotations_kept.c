/* The last good set of annotations in state.dir: whose it is, and what is none. */
#include "sidecar/declared/annotations_kept.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/temp_dir.h"

static char *dir, path[300];

static void
setup(void)
{
	dir = temp_dir_new();
	snprintf(path, sizeof path, "%s/annotations", dir);
}

static void
teardown(void)
{
	temp_dir_free(&dir);
}

TestSuite(annotations_kept, .init = setup, .fini = teardown);

static void
put(const char *text)
{
	FILE *f = fopen(path, "wb");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void
keep(const char *pod, uint64_t since_ms, const char *value)
{
	struct sq_annotation a = {SQ_ANNOTATION_SUBSCRIBE, value, strlen(value)};
	struct sq_annotation_pairs pairs = {&a, value[0] != '\0'};
	struct sq_buf why = {0};

	cr_assert_eq(sq_annotations_kept_write(dir, pod, &pairs, since_ms, &why), 0, "%.*s",
	    (int)sq_buf_len(&why), (char *)sq_buf_data(&why));
}

/* The value that 'pod' finds; NULL: nothing.  'complains': with a reason. */
static const char *
found(const char *pod, uint64_t *since_ms, bool complains)
{
	static char value[200];
	struct sq_annotation_pairs pairs;
	struct sq_buf why = {0};
	bool is = sq_annotations_kept_read(dir, pod, &pairs, since_ms, &why);

	cr_assert_eq(sq_buf_len(&why) != 0, complains, "'%.*s'", (int)sq_buf_len(&why),
	    (char *)sq_buf_data(&why));
	cr_assert(is || pairs.n == 0);
	value[0] = '\0';
	if (pairs.n > 0)
		snprintf(value, sizeof value, "%s", pairs.v[0].value);
	sq_annotation_pairs_free(&pairs);
	sq_buf_fini(&why);
	return is ? value : NULL;
}

Test(annotations_kept, the_same_pod_finds_what_it_kept)
{
	uint64_t since_ms;

	cr_assert_null(found("shop-1", &since_ms, false), "nothing yet");
	keep("shop-1", 1700000000123, "- a \"b\\c\"\n- d\n");
	cr_assert_str_eq(found("shop-1", &since_ms, false), "- a \"b\\c\"\n- d\n");
	cr_assert_eq(since_ms, 1700000000123u);
	keep("shop-1", 5, "");
	cr_assert_str_eq(found("shop-1", &since_ms, false), "", "a good set that is empty is one");
	cr_assert_eq(since_ms, 5u);
	cr_assert_null(found("shop-2", &since_ms, false), "another pod's does not count");
	cr_assert_null(found("shop", &since_ms, false));
}

Test(annotations_kept, a_missing_directory_is_made)
{
	char sub[300];
	struct sq_annotation_pairs none = {0};
	struct sq_buf why = {0};
	struct stat st;

	snprintf(sub, sizeof sub, "%s/sub", dir);
	cr_assert_eq(sq_annotations_kept_write(sub, "p", &none, 1, &why), 0);
	snprintf(sub, sizeof sub, "%s/sub/annotations", dir);
	cr_assert_eq(stat(sub, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	snprintf(sub, sizeof sub, "%s/no/sub", dir);
	cr_assert_eq(sq_annotations_kept_write(sub, "p", &none, 1, &why), SQ_EIO);
	cr_assert_gt(sq_buf_len(&why), 0u);
	sq_buf_fini(&why);
}

Test(annotations_kept, what_no_sidecar_writes_is_said_and_does_not_count)
{
	static const char *const texts[] = {"", "x", "sqmqos annotations 1 since 5 pod p",
	    "sqmqos annotations 2 since 5 pod p\n", "sqmqos annotations 1 since 0 pod p\n",
	    "sqmqos annotations 1 since -5 pod p\n", "sqmqos annotations 1 since 5\n",
	    "sqmqos annotations 1 since 99999999999999999999999 pod p\n",
	    "sqmqos annotations 1 since 5 pod p\nno line\n",
	    "sqmqos annotations 1 since 5 pod p\nsqmqos.io/subscribe=\"a\n"};
	uint64_t since_ms;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		put(texts[i]);
		cr_assert_null(found("p", &since_ms, true), "%s", texts[i]);
	}
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_assert_null(found("p", &since_ms, true));
}
