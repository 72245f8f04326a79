/* k8s/injector/review: the API server's questions, and what we answer. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/mem.h"
#include "k8s/injector/review.h"

static struct sq_buf why;
static struct sq_review r;

static void
tidy(void)
{
	sq_buf_fini(&why);
	sq_review_fini(&r);
}

TestSuite(review, .fini = tidy);

static const char pod_review[] =
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
    "\"uid\":\"705ab4f5-6393-11e8-b7cc-42010a800002\","
    "\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},"
    "\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},"
    "\"namespace\":\"shop\",\"operation\":\"CREATE\",\"userInfo\":{\"username\":\"x\"},"
    "\"object\":{\"metadata\":{\"generateName\":\"app-\"},\"spec\":{}},"
    "\"oldObject\":null,\"dryRun\":true}}";

static int
take(const char *text)
{
	return sq_review_read(&r, text, strlen(text), &why);
}

static const char *
reason(void)
{
	sq_buf_u8(&why, '\0');
	return (const char *)sq_buf_data(&why);
}

Test(review, request_of_a_pod_is_read)
{
	cr_assert_eq(take(pod_review), 0, "%s", reason());
	cr_assert_str_eq(r.uid, "705ab4f5-6393-11e8-b7cc-42010a800002");
	cr_assert_str_eq(r.group, "");
	cr_assert_str_eq(r.kind, "Pod");
	cr_assert_str_eq(r.name_space, "shop");
	cr_assert_str_eq(r.name, "");
	cr_assert_eq(r.operation, SQ_REVIEW_CREATE);
	cr_assert(r.dry_run);
	cr_assert_not_null(json_object_get(r.object, "spec"));
	cr_assert_null(r.old_object);
}

/* The review with one text in place of another. */
static int
take_with(const char *from, const char *to)
{
	const char *at = strstr(pod_review, from);
	struct sq_buf text = {0};
	int rc;

	cr_assert_not_null(at);
	sq_buf_printf(&text, "%.*s%s%s", (int)(at - pod_review), pod_review, to, at + strlen(from));
	sq_review_fini(&r);
	sq_buf_fini(&why);
	rc = sq_review_read(&r, sq_buf_data(&text), sq_buf_len(&text), &why);
	sq_buf_fini(&text);
	return rc;
}

Test(review, update_has_both_objects_and_delete_none)
{
	cr_assert_eq(take_with("CREATE", "UPDATE"), 0);
	cr_assert_eq(r.operation, SQ_REVIEW_UPDATE);
	cr_assert_eq(take_with("\"oldObject\":null", "\"oldObject\":{\"a\":1}"), 0);
	cr_assert_not_null(r.old_object);
	cr_assert_eq(take_with("CREATE\"", "DELETE\",\"x\":1"), 0);
	cr_assert_eq(r.operation, SQ_REVIEW_OTHER);
}

/* Kubernetes takes one in an annotation, or a variable of a container. */
Test(review, a_nul_in_a_value_makes_no_bad_request)
{
	const json_t *meta;

	cr_assert_eq(take_with("\"app-\"", "\"app-\",\"annotations\":{\"a\":\"x\\u0000y\"}"), 0,
	    "%s", reason());
	meta = json_object_get(r.object, "metadata");
	cr_assert_eq(
	    json_string_length(json_object_get(json_object_get(meta, "annotations"), "a")), 3);
}

Test(review, what_is_no_review_is_refused_with_the_reason)
{
	static const char *const bad[][3] = {
	    {"admission.k8s.io/v1\"", "admission.k8s.io/v1beta1\"", "not an AdmissionReview"},
	    {"AdmissionReview", "Review", "not an AdmissionReview"},
	    {"\"request\":{", "\"response\":{", "request: not an object"},
	    {"705ab4f5-6393-11e8-b7cc-42010a800002", "", "request.uid"},
	    {"\"705ab4f5-6393-11e8-b7cc-42010a800002\"", "7", "request.uid"},
	    {"\"kind\":\"Pod\"", "\"kind\":7", "request.kind"},
	    {"\"namespace\":\"shop\"", "\"namespace\":[]", "request.namespace"},
	    {"\"operation\":\"CREATE\",", "", "request.operation"},
	    {"\"object\":{", "\"other\":{", "request.object"},
	    {"\"dryRun\":true}}", "\"dryRun\":true}", "not JSON at line 1"},
	    {"\"dryRun\":true", "\"uid\":\"twice\"", "not JSON at line 1"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		cr_assert_eq(take_with(bad[i][0], bad[i][1]), SQ_EINVAL, "%s", bad[i][1]);
		cr_assert_not_null(strstr(reason(), bad[i][2]), "%s: %s", bad[i][1], reason());
		cr_assert_null(r.root);
	}
	cr_assert_eq(take(""), SQ_EINVAL);
}

Test(review, cut_off_anywhere_it_is_refused)
{
	for (size_t n = 0; n < strlen(pod_review); n++) {
		char *copy = malloc(n + 1); /* of this size, so that a read past it shows */

		memcpy(copy, pod_review, n);
		cr_assert_eq(sq_review_read(&r, copy, n, &why), SQ_EINVAL, "%zu bytes", n);
		free(copy);
	}
}

/* 'n' times 'open', then as often 'shut', as a member of the pod. */
static int
take_nested(const char *open, const char *shut, unsigned n)
{
	struct sq_buf text = {0};
	char *member;
	int rc;

	for (unsigned i = 0; i < n; i++)
		sq_buf_printf(&text, "%s", open);
	for (unsigned i = 0; i < n; i++)
		sq_buf_printf(&text, "%s", shut);
	sq_buf_u8(&text, '\0');
	cr_assert_geq(asprintf(&member, "\"spec\":%s", (char *)sq_buf_data(&text)), 0);
	rc = take_with("\"spec\":{}", member);
	free(member);
	sq_buf_fini(&text);
	return rc;
}

Test(review, depth_and_values_are_bounded)
{
	struct sq_buf many = {0};

	cr_assert_eq(take_nested("[", "]", SQ_REVIEW_DEPTH_MAX - 3), 0, "%s", reason());
	cr_assert_eq(take_nested("[", "]", SQ_REVIEW_DEPTH_MAX), SQ_ETOOBIG);
	cr_assert_eq(take_nested("[", "]", 100000), SQ_ETOOBIG);
	sq_buf_fini(&why);
	/* Brackets within texts are no depth. */
	cr_assert_eq(take_with("\"generateName\":\"app-\"",
			 "\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
			 "\\\"[[[[[[[[\\\\\""),
	    0, "%s", reason());
	sq_review_fini(&r);
	for (unsigned i = 0; i < SQ_REVIEW_VALUES_MAX; i++)
		sq_buf_append(&many, "0,", 2);
	cr_assert_eq(sq_review_read(&r, sq_buf_data(&many), sq_buf_len(&many), &why), SQ_EINVAL);
	sq_buf_append(&many, "0,", 2);
	cr_assert_eq(sq_review_read(&r, sq_buf_data(&many), sq_buf_len(&many), &why), SQ_ETOOBIG);
	sq_buf_fini(&many);
}

/* ---- answers ---- */

static json_t *
answer(const struct sq_review_verdict *v)
{
	struct sq_buf out = {0};
	json_t *root, *response;
	json_error_t at;

	sq_review_answer(&r, v, &out);
	root = json_loadb((const char *)sq_buf_data(&out), sq_buf_len(&out), 0, &at);
	cr_assert_not_null(root);
	sq_buf_fini(&out);
	cr_assert_str_eq(
	    json_string_value(json_object_get(root, "apiVersion")), "admission.k8s.io/v1");
	cr_assert_str_eq(json_string_value(json_object_get(root, "kind")), "AdmissionReview");
	response = json_incref(json_object_get(root, "response"));
	json_decref(root);
	cr_assert_str_eq(json_string_value(json_object_get(response, "uid")), r.uid);
	return response;
}

Test(review, patch_is_base64_of_its_json)
{
	json_t *patch = json_pack(
	    "[{s:s,s:s,s:o}]", "op", "add", "path", "/metadata/labels", "value", json_object());
	struct sq_buf text = {0};
	json_t *a, *back;
	const json_t *encoded;

	cr_assert_eq(take(pod_review), 0);
	a = answer(&(struct sq_review_verdict){.allowed = true, .patch = patch});
	cr_assert(json_is_true(json_object_get(a, "allowed")));
	cr_assert_str_eq(json_string_value(json_object_get(a, "patchType")), "JSONPatch");
	encoded = json_object_get(a, "patch");
	cr_assert_eq(
	    sq_base64_take(&text, json_string_value(encoded), json_string_length(encoded)), 0);
	back = json_loadb((const char *)sq_buf_data(&text), sq_buf_len(&text), 0, NULL);
	cr_assert(json_equal(back, patch));
	json_decref(back);
	json_decref(a);
	json_decref(patch);
	sq_buf_fini(&text);
}

Test(review, nothing_to_patch_has_no_patch_at_all)
{
	json_t *empty = json_array(), *a;

	cr_assert_eq(take(pod_review), 0);
	a = answer(&(struct sq_review_verdict){.allowed = true, .patch = empty});
	cr_assert_null(json_object_get(a, "patch"));
	cr_assert_null(json_object_get(a, "patchType"));
	cr_assert_null(json_object_get(a, "warnings"));
	cr_assert_null(json_object_get(a, "status"));
	json_decref(a);
	json_decref(empty);
}

Test(review, denial_has_code_reason_and_message)
{
	json_t *a, *status;

	cr_assert_eq(take(pod_review), 0);
	a = answer(&(struct sq_review_verdict){.code = 403, .message = "2 problems:\n- \xc3\xa4"});
	status = json_object_get(a, "status");
	cr_assert(json_is_false(json_object_get(a, "allowed")));
	cr_assert_eq(json_integer_value(json_object_get(status, "code")), 403);
	cr_assert_str_eq(json_string_value(json_object_get(status, "reason")), "Forbidden");
	cr_assert_str_eq(
	    json_string_value(json_object_get(status, "message")), "2 problems:\n- \xc3\xa4");
	json_decref(a);
}

Test(review, long_messages_are_cut_between_characters)
{
	struct sq_buf text = {0};
	const char *message;
	json_t *a;

	cr_assert_eq(take(pod_review), 0);
	for (unsigned i = 0; i < SQ_REVIEW_MESSAGE_MAX; i++)
		sq_buf_append(&text, "\xe2\x82\xac", 3);
	sq_buf_u8(&text, '\0');
	a = answer(
	    &(struct sq_review_verdict){.code = 403, .message = (const char *)sq_buf_data(&text)});
	message = json_string_value(json_object_get(json_object_get(a, "status"), "message"));
	cr_assert_not_null(message);
	cr_assert_leq(strlen(message), SQ_REVIEW_MESSAGE_MAX);
	cr_assert_geq(strlen(message), SQ_REVIEW_MESSAGE_MAX - 4);
	cr_assert_str_eq(message + strlen(message) - 3, "...");
	json_decref(a);
	sq_buf_fini(&text);
}

Test(review, warnings_stay_within_what_the_api_server_shows)
{
	json_t *warnings = json_array(), *a, *shown;
	char long_one[400];
	size_t total = 0, i;
	json_t *w;

	memset(long_one, 'x', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	for (i = 0; i < 50; i++)
		json_array_append_new(warnings, json_string(long_one));
	cr_assert_eq(take(pod_review), 0);
	a = answer(&(struct sq_review_verdict){.allowed = true, .warnings = warnings});
	shown = json_object_get(a, "warnings");
	json_array_foreach(shown, i, w)
	{
		cr_assert_leq(json_string_length(w), SQ_REVIEW_WARNING_MAX);
		total += json_string_length(w);
	}
	cr_assert_leq(total, SQ_REVIEW_WARNINGS_MAX);
	cr_assert_eq(json_array_size(shown), 16);
	cr_assert_str_eq(json_string_value(json_array_get(shown, 15)),
	    "35 more warnings of SQMQOS are not shown");
	json_decref(a);
	json_decref(warnings);
}

/* ---- base64 ---- */

Test(review, base64_goes_both_ways_at_every_length)
{
	unsigned char bytes[64];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 37);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		struct sq_buf text = {0}, back = {0};

		sq_base64_put(&text, bytes, n);
		cr_assert_eq(sq_buf_len(&text), (n + 2) / 3 * 4);
		cr_assert_eq(
		    sq_base64_take(&back, (const char *)sq_buf_data(&text), sq_buf_len(&text)), 0);
		cr_assert_eq(sq_buf_len(&back), n);
		cr_assert(n == 0 || memcmp(sq_buf_data(&back), bytes, n) == 0);
		sq_buf_fini(&text);
		sq_buf_fini(&back);
	}
}

Test(review, what_is_no_base64_is_refused)
{
	static const char *const bad[] = {
	    "a", "ab", "abc", "ab=c", "====", "abc=abc=", " abc", "ab\nc", "ab-_", "a===", "ab!d"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		struct sq_buf out = {0};

		cr_assert_eq(sq_base64_take(&out, bad[i], strlen(bad[i])), SQ_EINVAL, "%s", bad[i]);
		cr_assert_eq(sq_buf_len(&out), 0);
		sq_buf_fini(&out);
	}
}
