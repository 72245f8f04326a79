/* sqmqos.io/outbox in its forms. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/annotation_case.h"

static void
accept(const char *value, enum sq_outbox_mode mode, uint64_t size)
{
	const char *const pairs[] = {SQ_ANNOTATION_OUTBOX, value,
	    mode == SQ_OUTBOX_DISK ? SQ_ANNOTATION_OUTBOX_CLAIM : NULL, "claim", NULL};
	struct sq_annotations a = annotations_accept(pairs, "");

	cr_assert(a.outbox.set, "%s", value);
	cr_assert_eq(a.outbox.mode, mode, "%s", value);
	cr_assert_eq(a.outbox.size, size, "%s: %llu", value, (unsigned long long)a.outbox.size);
	sq_annotations_free(&a);
}

/* With a claim, so that only the value is wrong. */
static void
refuse(const char *value, const char *want)
{
	const char *const pairs[] = {
	    SQ_ANNOTATION_OUTBOX, value, SQ_ANNOTATION_OUTBOX_CLAIM, "claim", NULL};
	char text[400];

	snprintf(text, sizeof text, SQ_ANNOTATION_OUTBOX ": %s", want);
	annotations_refuse(pairs, text);
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
	struct sq_annotations a = annotation_accept(SQ_ANNOTATION_OUTBOX, " \n");

	cr_assert_not(a.outbox.set);
	sq_annotations_free(&a);
}

Test(annotations_outbox, what_is_malformed_is_refused)
{
	static const char mode[] =
	    "an outbox is memory or disk, or one of them with a size, as in disk: 1Gi";
	static const char size[] =
	    "the size of an outbox is one like 64Ki, 8Mi or 1Gi, at least 64Ki";
	static const struct {
		const char *value;
		unsigned mode_at, size_at; /* columns; 0: it is good */
	} rows[] = {{"tape", 1, 0}, {"disc: 1Gi", 1, 0}, {"disk:", 0, 6}, {"disk: 1", 0, 7},
	    {"disk: 1GB", 0, 7}, {"disk: 1Gix", 0, 7}, {"disk: -1Gi", 0, 7},
	    {"disk: 16385Gi", 0, 7}, {"disk: 99999999999999999999", 0, 7}, {"memory: Mi", 0, 9},
	    {"- disk", 1, 0}, {"{disk: 1Gi", 1, 0}, {"disk: 1Gi\nmemory: 1Mi", 0, 7},
	    {"Disk", 1, 0}, {" disk: 1 Gi", 0, 8}, {"tape: \"1 Gi\"", 1, 8}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char want[400] = "";
		int n = 0;

		if (rows[i].mode_at != 0)
			n = snprintf(
			    want, sizeof want, "line 1, column %u: %s", rows[i].mode_at, mode);
		if (rows[i].size_at != 0)
			snprintf(want + n, sizeof want - (size_t)n, "%sline 1, column %u: %s",
			    n > 0 ? "\n" SQ_ANNOTATION_OUTBOX ": " : "", rows[i].size_at, size);
		refuse(rows[i].value, want);
	}
}
