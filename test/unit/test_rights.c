/* sidecar/declared/rights: which filters a strict sqmqos.io/subscribe allows. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/annotation_case.h"
#include "sidecar/declared/rights.h"

static struct sq_rights *
rights(const char *value)
{
	struct sq_annotations a = annotation_accept(SQ_ANNOTATION_SUBSCRIBE, value);
	struct sq_rights *r = sq_rights_new(&a.rights, &a.subscribe);

	sq_annotations_free(&a);
	return r;
}

static bool
allows(const struct sq_rights *r, const char *filter)
{
	struct sq_bytes text = {(const unsigned char *)filter, strlen(filter)};
	struct sq_topic_filter f;

	cr_assert_eq(sq_topic_filter_parse(text, &f, NULL), 0, "%s", filter);
	return sq_rights_allow(r, &f);
}

Test(rights, without_strict_everything_is_allowed)
{
	cr_assert_null(rights("a/#"));
	cr_assert_null(rights("{subscriptions: [a]}"));
	cr_assert(allows(NULL, "#"));
	cr_assert(allows(NULL, "$share/g/$tag/red/x"));
}

Test(rights, strict_alone_allows_nothing)
{
	struct sq_rights *r = rights("strict: true");

	cr_assert_not_null(r);
	cr_assert_not(allows(r, "a"));
	cr_assert_not(allows(r, "#"));
	cr_assert_not(allows(r, "$SYS/#"));
	sq_rights_free(&r);
	cr_assert_null(r);
}

Test(rights, what_is_declared_is_allowed_as_it_is)
{
	struct sq_rights *r = rights(
	    "strict: true\nsubscriptions: [orders/#, {tag: red, filter: b/+}, {tag: blue}]");
	const char *yes[] = {"orders/#", "$share/g/orders/#", "$tag/red/b/+",
	    "$share/g/$tag/red/b/+", "$tag/blue", "$tag/blue/#", "$tag/red/orders/#"};
	const char *no[] = {"orders/1", "orders", "b/+", "$tag/blue/b/+", "$tag/red", "#"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		cr_expect(allows(r, yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		cr_expect_not(allows(r, no[i]), "%s", no[i]);
	sq_rights_free(&r);
}

Test(rights, what_allow_covers_is_allowed)
{
	struct sq_rights *r = rights("strict: true\nallow: [state/#, +/x, $SYS/sidecar/+]");
	const char *yes[] = {"state", "state/#", "state/+/y", "$share/g/state/1", "a/x", "+/x",
	    "$tag/red/state/#", "$share/g/$tag/red/a/x", "$SYS/sidecar/uptime", "$SYS/sidecar/+"};
	const char *no[] = {"#", "+", "+/#", "states", "+/y", "a/x/y", "$SYS/#", "$SYS/x",
	    "$SYS/sidecar/links/connected", "$tag/red", "$share/g/#", "$dead/#"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		cr_expect(allows(r, yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		cr_expect_not(allows(r, no[i]), "%s", no[i]);
	sq_rights_free(&r);
}
