/* sqmqos.io/outbox in its forms. */
#include <criterion/criterion.h>
#include <string.h>

#include "proto/annotations/annotations.h"

static void
accept(const char *value, enum sq_outbox_mode mode, uint64_t size)
{
	struct sq_outbox_annotation a;
	struct sq_buf err = {0};

	cr_assert_eq(sq_annotations_outbox(value, strlen(value), &a, &err), 0, "%s", value);
	cr_assert(a.set, "%s", value);
	cr_assert_eq(a.mode, mode, "%s", value);
	cr_assert_eq(a.size, size, "%s: %llu", value, (unsigned long long)a.size);
	cr_assert_eq(sq_buf_len(&err), 0u);
}

static void
refuse(const char *value)
{
	struct sq_outbox_annotation a;
	struct sq_buf err = {0};

	cr_assert_eq(sq_annotations_outbox(value, strlen(value), &a, &err), SQ_EINVAL, "%s", value);
	cr_assert_not(a.set);
	cr_assert_gt(sq_buf_len(&err), 0u);
	cr_assert_null(memchr(sq_buf_data(&err), '\n', sq_buf_len(&err)));
	sq_buf_fini(&err);
}

Test(annotations_outbox, a_mode_alone)
{
	accept("memory", SQ_OUTBOX_MEMORY, 0);
	accept(" disk\n", SQ_OUTBOX_DISK, 0);
}

Test(annotations_outbox, a_mode_with_a_size)
{
	accept("memory: 8Mi", SQ_OUTBOX_MEMORY, 8 << 20);
	accept("disk: 1Gi\n", SQ_OUTBOX_DISK, 1 << 30);
	accept("disk:65536", SQ_OUTBOX_DISK, 65536);
	accept("{disk: 100Mi}", SQ_OUTBOX_DISK, 100 << 20);
	accept("\"disk\": \"64Ki\"", SQ_OUTBOX_DISK, 65536);
	accept("disk: 16384Gi", SQ_OUTBOX_DISK, SQ_OUTBOX_SIZE_MAX);
}

Test(annotations_outbox, nothing_is_not_set)
{
	struct sq_outbox_annotation a = {.set = true};
	struct sq_buf err = {0};

	cr_assert_eq(sq_annotations_outbox(" \n", 2, &a, &err), 0);
	cr_assert_not(a.set);
}

Test(annotations_outbox, what_is_malformed_is_refused)
{
	static const char *const values[] = {"tape", "disc: 1Gi", "disk:", "disk: 1", "disk: 1GB",
	    "disk: 1Gix", "disk: -1Gi", "disk: 16385Gi", "disk: 99999999999999999999", "memory: Mi",
	    "- disk", "{disk: 1Gi", "disk: 1Gi\nmemory: 1Mi", "Disk", "disk: 1 Gi", ":"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		refuse(values[i]);
}

Test(annotations_outbox, it_is_found_in_the_file)
{
	static const char file[] =
	    "a=\"b\"\nsqmqos.io/outbox=\"disk: 1Gi\\n\"\nsqmqos.io/subscribe=\"x\"\n";
	static const char bad[] = "sqmqos.io/outbox=\"tape\"\n";
	struct sq_declarations ds = {0};
	struct sq_buf err = {0};

	cr_assert_eq(sq_annotations_parse(file, sizeof file - 1, &ds, &err), 0);
	cr_assert(ds.outbox.set && ds.outbox.mode == SQ_OUTBOX_DISK && ds.outbox.size == 1 << 30);
	sq_declarations_free(&ds);
	cr_assert_eq(sq_annotations_parse(bad, sizeof bad - 1, &ds, &err), SQ_EINVAL);
	cr_assert_eq(memcmp(sq_buf_data(&err), "line 1: sqmqos.io/outbox: line 1: ", 34), 0);
	sq_buf_fini(&err);
}
