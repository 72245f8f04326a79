/* Paths of the HTTP API, and the topics in them. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/front/http/route.h"

struct found {
	struct sq_http_route route;
	struct sq_http_fault fault;
	int rc;
};

static struct found
find(const char *method, const char *target)
{
	struct found f = {0};

	f.rc = sq_http_route_find(sq_bytes_of(method), sq_bytes_of(target), &f.route, &f.fault);
	sq_buf_u8(&f.fault.detail, '\0');
	return f;
}

static void
end(struct found *f)
{
	sq_http_route_fini(&f->route);
	sq_http_fault_fini(&f->fault);
}

static void
topic(const char *target, const char *want)
{
	struct found f = find("POST", target);

	cr_assert_eq(f.rc, SQ_OK, "%s", target);
	cr_assert_eq(f.route.resource, SQ_HTTP_RESOURCE_PUBLISH);
	if (want != NULL)
		cr_assert_str_eq(f.route.topic, want);
	else
		cr_assert_null(f.route.topic);
	end(&f);
}

static void
refuse(const char *method, const char *target, enum sq_http_problem problem, const char *detail)
{
	struct found f = find(method, target);

	cr_assert_eq(f.rc, SQ_EINVAL, "%s", target);
	cr_assert_eq(f.fault.problem, problem, "%s: %d", target, f.fault.problem);
	cr_assert_not_null(strstr((const char *)sq_buf_data(&f.fault.detail), detail), "%s: %s",
	    target, sq_buf_data(&f.fault.detail));
	end(&f);
}

Test(http_route, a_topic_is_the_rest_of_the_path)
{
	topic("/v1/publish/orders/17", "orders/17");
	topic("/v1/publish//a//", "/a//");
	topic("/v1/publish/", "");
	topic("/v1/publish/a%20b/%C3%A4%2f..", "a b/\xc3\xa4/..");
	topic("/v1/publish/a/../b", "a/../b");
	topic("/v1/publish/a%3Fb?", "a?b");
	topic("/v1/publish", NULL);
	topic("/v1/publish?topic=a/b%26c", "a/b&c");
	topic("/v1/publish?&topic=&", "");
}

Test(http_route, every_resource_is_found_with_its_methods)
{
	static const char *const names[] = {"GET", "POST", "PUT", "HEAD", "OPTIONS"};

	for (unsigned i = 0; i < SQ_HTTP_RESOURCE_COUNT; i++) {
		const struct sq_http_resource_row *row = sq_http_resource_row(i);

		for (unsigned m = 0; m < 5; m++) {
			struct found f = find(names[m], row->path);
			bool takes = m > 2 || (row->methods & 1u << m) != 0;

			cr_assert_eq(f.route.resource, i);
			cr_assert_eq(f.rc, takes ? SQ_OK : SQ_EINVAL, "%s %s", names[m], row->path);
			if (!takes)
				cr_assert_eq(f.fault.problem, SQ_HTTP_METHOD);
			end(&f);
		}
	}
}

Test(http_route, what_is_no_request_is_refused)
{
	refuse("GET", "/", SQ_HTTP_NOT_FOUND, "GET /v1 lists");
	refuse("GET", "/v1/", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1x", SQ_HTTP_NOT_FOUND, "");
	refuse("POST", "/v1/publishes", SQ_HTTP_NOT_FOUND, "");
	refuse("POST", "/v1/events/x", SQ_HTTP_NOT_FOUND, "");
	refuse("", "", SQ_HTTP_NOT_FOUND, "");
	refuse(
	    "GET", "/v1/publish/a", SQ_HTTP_METHOD, "/v1/publish takes HEAD, OPTIONS, POST, PUT");
	refuse("BREW", "/v1", SQ_HTTP_METHOD, "/v1 takes GET, HEAD, OPTIONS");
	refuse("POST", "/v1/publish/%zz", SQ_HTTP_MALFORMED, "percent");
	refuse("POST", "/v1/publish/%2", SQ_HTTP_MALFORMED, "percent");
	refuse("POST", "/v1/publish/a%00b", SQ_HTTP_MALFORMED, "NUL");
	refuse("POST", "/v1/publish/%ff", SQ_HTTP_MALFORMED, "UTF-8");
	refuse("POST", "/v1/publish/a?topic=b", SQ_HTTP_MALFORMED, "twice");
	refuse("POST", "/v1/publish?topic=a&topic=b", SQ_HTTP_MALFORMED, "twice");
	refuse("POST", "/v1/publish?tpoic=a", SQ_HTTP_MALFORMED, "did you mean topic?");
	refuse("POST", "/v1/publish/a?access_token=secret", SQ_HTTP_MALFORMED, "\"access_token\"");
	refuse("GET", "/v1?topic=a", SQ_HTTP_MALFORMED, "unknown query key \"topic\"");
}

Test(http_route, a_refusal_has_no_value_of_the_query)
{
	struct found f = find("POST", "/v1/publish/a?access_token=secret");

	cr_assert_null(strstr((const char *)sq_buf_data(&f.fault.detail), "secret"));
	end(&f);
}
