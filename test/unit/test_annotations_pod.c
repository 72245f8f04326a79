/* What only a new pod's annotations say, what they need of each other, and the table. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/annotation_case.h"
#include "core/mem.h"

#define SIDECAR SQ_ANNOTATION_PREFIX "sidecar-"

Test(annotations_pod, all_of_them_are_taken)
{
	static const char *const pairs[] = {"example.com/other", "x", SQ_ANNOTATION_PORT, " 1884\n",
	    SQ_ANNOTATION_WORKLOAD, "orders_v2", SQ_ANNOTATION_OUTBOX, "disk: 1Gi",
	    SQ_ANNOTATION_OUTBOX_CLAIM, "orders.outbox-0", SIDECAR "cpu-request", "5m",
	    SIDECAR "cpu-limit", "0.5", SIDECAR "memory-request", "8Mi", SIDECAR "memory-limit",
	    "64Mi", SIDECAR "image", "registry.example:5000/sqmqos/sidecar:0.1.0",
	    SIDECAR "log-level", "debug", NULL};
	struct sq_annotations a = annotations_accept(pairs, "");

	cr_expect_eq(a.port, 1884);
	cr_expect_str_eq(a.workload, "orders_v2");
	cr_expect_str_eq(a.outbox_claim, "orders.outbox-0");
	cr_expect_str_eq(a.sidecar.cpu_request, "5m");
	cr_expect_str_eq(a.sidecar.cpu_limit, "0.5");
	cr_expect_str_eq(a.sidecar.memory_request, "8Mi");
	cr_expect_str_eq(a.sidecar.memory_limit, "64Mi");
	cr_expect_str_eq(a.sidecar.image, "registry.example:5000/sqmqos/sidecar:0.1.0");
	cr_expect_str_eq(a.sidecar.log_level, "debug");
	sq_annotations_free(&a);
}

/* A blank one is as good as none, whichever it is. */
Test(annotations_pod, a_blank_one_is_not_set)
{
	static const struct sq_annotations nothing;

	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		struct sq_annotations a = annotation_accept(sq_annotation_defs[i].key, " \n");

		cr_assert_arr_eq(&a, &nothing, sizeof a, "%s", sq_annotation_defs[i].key);
	}
}

Test(annotations_pod, a_malformed_one_is_refused_with_what_it_wants)
{
	static const char port[] = "line 1, column 1: a port is a number from 1 to 65535";
	static const char claim[] =
	    "line 1, column 1: the name of a PersistentVolumeClaim has lower-case letters, digits, "
	    "- and .; it begins and ends with a letter or digit and has at most 253 bytes";
	static const char level[] = "line 1, column 1: a log level is debug, info, warn or error";
	static const struct {
		const char *key, *value, *want;
	} rows[] = {
	    {SQ_ANNOTATION_PORT, "0", port},
	    {SQ_ANNOTATION_PORT, "65536", port},
	    {SQ_ANNOTATION_PORT, "-1", port},
	    {SQ_ANNOTATION_PORT, "1883x", port},
	    {SQ_ANNOTATION_PORT, "\n  mqtt",
		"line 2, column 3: a port is a number from 1 to 65535"},
	    {SQ_ANNOTATION_WORKLOAD, "a/b",
		"line 1, column 1: a workload's name must not contain / + # or :"},
	    {SQ_ANNOTATION_OUTBOX_CLAIM, "Orders", claim},
	    {SQ_ANNOTATION_OUTBOX_CLAIM, "-a", claim},
	    {SQ_ANNOTATION_OUTBOX_CLAIM, "a..b", claim},
	    {SQ_ANNOTATION_OUTBOX_CLAIM, "a b", claim},
	    {SIDECAR "log-level", "trace", level},
	    {SIDECAR "cpu-limit", "lots",
		"line 1, column 1: 'lots' is no quantity such as 100m, 0.5, 64Mi or 1Gi"},
	    {SIDECAR "cpu-request", "-1", "line 1, column 1: '-1' must not be negative"},
	    {SIDECAR "memory-limit", "64m",
		"line 1, column 1: '64m' is a fraction of a byte: m stands for thousandths, Mi for "
		"mebibytes"},
	    {SIDECAR "memory-limit", "64",
		"line 1, column 1: '64' is less than 4Mi, in which no sidecar runs"},
	    {SIDECAR "image", "registry.example/Sidecar",
		"line 1, column 1: no reference of an image: a part of a name has lower-case "
		"letters "
		"and digits, and . _ __ or - between them"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++)
		annotation_refuse(rows[i].key, rows[i].value, rows[i].want);
}

/* One message has all of it. */
Test(annotations_pod, all_that_is_wrong_is_said_at_once)
{
	static const char *const pairs[] = {SQ_ANNOTATION_SUBSCRIBE,
	    "- {filter: a, qos: 4}\n- b/#/c", SQ_ANNOTATION_PUBLISH, "- qos: 1", SQ_ANNOTATION_PORT,
	    "x", SQ_ANNOTATION_OUTBOX, "disk", SIDECAR "cpu-request", "2", SIDECAR "cpu-limit",
	    "1500m", NULL};

	annotations_refuse(pairs,
	    "sqmqos.io/subscribe: line 1, column 20: qos must be 0, 1 or 2\n"
	    "sqmqos.io/subscribe: line 2, column 3: bad filter 'b/#/c': # must be the last "
	    "character\n"
	    "sqmqos.io/publish: line 1, column 3: a filter is needed\n"
	    "sqmqos.io/port: line 1, column 1: a port is a number from 1 to 65535\n"
	    "sqmqos.io/outbox: line 1, column 1: disk needs sqmqos.io/outbox-claim, the name of a "
	    "PersistentVolumeClaim\n"
	    "sqmqos.io/sidecar-cpu-request: line 1, column 1: 2 is above the limit, 1500m");
}

Test(annotations_pod, a_claim_without_a_disk_is_warned_of)
{
	static const char *const pairs[] = {SQ_ANNOTATION_OUTBOX_CLAIM, "claim", NULL};
	struct sq_annotations a = annotations_accept(pairs,
	    "sqmqos.io/outbox-claim: line 1, column 1: does nothing without sqmqos.io/outbox: "
	    "disk");

	sq_annotations_free(&a);
}

/* A claim that is malformed is said to be that, and not to be missing. */
Test(annotations_pod, a_malformed_claim_is_there)
{
	static const char *const pairs[] = {
	    SQ_ANNOTATION_OUTBOX, "disk", SQ_ANNOTATION_OUTBOX_CLAIM, "A", NULL};

	annotations_refuse(pairs,
	    "sqmqos.io/outbox-claim: line 1, column 1: the name of a PersistentVolumeClaim has "
	    "lower-case letters, digits, - and .; it begins and ends with a letter or digit and "
	    "has "
	    "at most 253 bytes");
}

Test(annotations_pod, images_are_as_registries_have_them)
{
	static const char hex[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const char *const good[] = {"sidecar", "sqmqos/sidecar", "sqmqos/sidecar:0.1.0",
	    "localhost/x", "localhost:5000/x", "registry.example/a/b__c/d-e.f_g:V_1.2-x",
	    "REGISTRY/x", "10.0.0.1:5000/x:y", "[::1]:5000/x", "[fd00::1]/x", "a---b",
	    "x@sha256:HEX", "registry.example:443/x:1@sha256:HEX"};
	static const char *const bad[] = {"", "/x", "x/", "a//b", "A", "x:", "x:-1", "x:a:b", "x@",
	    "x@sha256:12", "x@sha256", "a..b", "a___b", "a._b", "_a", "a_", "-.example/x",
	    "registry.example:x/y", "registry.example:/y", "x y", "https://registry.example/x",
	    "[::1/x", "[x]/y", "x@sha256:HEX0/"};

	for (int which = 0; which < 2; which++) {
		size_t n = which == 0 ? SQ_ARRAY_LEN(good) : SQ_ARRAY_LEN(bad);

		for (size_t i = 0; i < n; i++) {
			const char *text = which == 0 ? good[i] : bad[i], *at = strstr(text, "HEX");
			struct sq_annotation_problems problems = {0};
			struct sq_annotations a;
			struct sq_annotation pair = {SIDECAR "image", NULL, 0};
			char value[200];

			snprintf(value, sizeof value, "%.*s%s%s",
			    at != NULL ? (int)(at - text) : (int)strlen(text), text,
			    at != NULL ? hex : "", at != NULL ? at + 3 : "");
			pair.value = value;
			pair.len = strlen(value);
			cr_expect_eq(sq_annotations_check(
					 &pair, 1, SQ_ANNOTATIONS_OF_POD, NULL, &a, &problems),
			    which == 0 || pair.len == 0 ? 0 : SQ_EINVAL, "%s", value);
			sq_annotations_free(&a);
			sq_annotation_problems_free(&problems);
		}
	}
}

Test(annotations_pod, the_label_says_yes_or_no)
{
	bool on;

	cr_assert(sq_inject_label("true", &on) == 0 && on);
	cr_assert(sq_inject_label("false", &on) == 0 && !on);
	cr_assert(sq_inject_label(NULL, &on) == SQ_ENOTFOUND && !on);
	cr_assert(sq_inject_label("yes", &on) == SQ_EINVAL && !on);
	cr_assert(sq_inject_label("", &on) == SQ_EINVAL && !on);
	cr_assert(sq_inject_label("True", &on) == SQ_EINVAL && !on);
}

Test(annotations_pod, the_table_is_found_by_name)
{
	for (size_t i = 0; i < sq_annotation_defs_n; i++) {
		const struct sq_annotation_def *d = &sq_annotation_defs[i];

		cr_assert_eq(sq_annotation_find(d->key), d);
		cr_assert_eq(strncmp(d->key, SQ_ANNOTATION_PREFIX, 10), 0);
		cr_assert(!d->live || d->sidecar, "%s", d->key);
	}
	cr_assert_null(sq_annotation_find("sqmqos.io/"));
	cr_assert_null(sq_annotation_nearest("other.io/subscribe"));
	cr_assert_null(sq_annotation_nearest("sqmqos.io/"));
	cr_assert_str_eq(
	    sq_annotation_nearest("sqmqos.io/Client-ID")->key, SQ_ANNOTATION_CLIENT_ID);
}
