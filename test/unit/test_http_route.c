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
names(const char *method, const char *target, enum sq_http_resource resource, const char *first,
    const char *second)
{
	struct found f = find(method, target);

	cr_assert_eq(f.rc, SQ_OK, "%s: %s", target, sq_buf_data(&f.fault.detail));
	cr_assert_eq(f.route.resource, resource, "%s: %u", target, f.route.resource);
	cr_assert_null(f.route.topic);
	cr_assert_str_eq(f.route.names[0], first);
	if (second != NULL)
		cr_assert_str_eq(f.route.names[1], second);
	else
		cr_assert_null(f.route.names[1]);
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
	topic("/v1/publish?topic=a/b%26c", "a/b&c");
	topic("/v1/publish?&topic=&", "");
}

Test(http_route, every_resource_is_found_with_its_methods)
{
	static const struct {
		const char *name;
		unsigned method;
	} methods[] = {{"GET", SQ_HTTP_GET}, {"POST", SQ_HTTP_POST}, {"PUT", SQ_HTTP_PUT},
	    {"DELETE", SQ_HTTP_DELETE}, {"PATCH", SQ_HTTP_PATCH}, {"HEAD", SQ_HTTP_HEAD},
	    {"OPTIONS", SQ_HTTP_OPTIONS}};
	const unsigned always = SQ_HTTP_HEAD | SQ_HTTP_OPTIONS;

	for (unsigned i = 0; i < SQ_HTTP_RESOURCE_COUNT; i++) {
		const struct sq_http_resource_row *row = sq_http_resource_row(i);

		for (unsigned m = 0; m < 7; m++) {
			struct found f = find(methods[m].name, row->path);
			bool takes = (methods[m].method & (row->methods | always)) != 0;

			cr_assert_eq(f.route.resource, i, "%s: %u", row->path, f.route.resource);
			cr_assert_eq(f.route.method, methods[m].method);
			cr_assert_eq(
			    f.rc, takes ? SQ_OK : SQ_EINVAL, "%s %s", methods[m].name, row->path);
			if (!takes)
				cr_assert_eq(f.fault.problem, SQ_HTTP_METHOD);
			end(&f);
		}
	}
}

Test(http_route, names_stand_between_slashes)
{
	names("GET", "/v1/queues/billing", SQ_HTTP_RESOURCE_QUEUE, "billing", NULL);
	names("PUT", "/v1/queues/b%2Fc/bindings/a%20b", SQ_HTTP_RESOURCE_BINDING, "b/c", "a b");
	names("POST", "/v1/queues/bindings/receive?max=1&raw&wait=20s", SQ_HTTP_RESOURCE_RECEIVE,
	    "bindings", NULL);
	names("POST", "/v1/leases/a-_b/ack", SQ_HTTP_RESOURCE_ACK, "a-_b", NULL);
	names("GET", "/v1/queues/{queue}/messages", SQ_HTTP_RESOURCE_MESSAGES, "{queue}", NULL);
	names("GET", "/v1/dead-letters/a%20b/messages?peek=5&after=0.7.0", SQ_HTTP_RESOURCE_LETTERS,
	    "a b", NULL);
}

Test(http_route, a_queue_is_a_subscriber)
{
	struct found f = find("GET", "/v1/subscribers?after=a");

	cr_assert_eq(f.rc, SQ_OK);
	cr_assert_eq(f.route.resource, SQ_HTTP_RESOURCE_QUEUES);
	end(&f);
	names("PATCH", "/v1/subscribers/queues", SQ_HTTP_RESOURCE_QUEUE, "queues", NULL);
	names("PUT", "/v1/subscribers/a/bindings/b", SQ_HTTP_RESOURCE_BINDING, "a", "b");
	names("POST", "/v1/subscribers/a/test", SQ_HTTP_RESOURCE_TEST, "a", NULL);
	names("POST", "/v1/queues/subscribers/test", SQ_HTTP_RESOURCE_TEST, "subscribers", NULL);
	refuse("GET", "/v1/subscriber", SQ_HTTP_NOT_FOUND, "");
	refuse("POST", "/v1/subscribers/a/queues", SQ_HTTP_NOT_FOUND, "");
}

Test(http_route, a_query_is_read_by_the_resource)
{
	struct found f = find("POST", "/v1/queues/q/receive?max=5&raw&wait=20s&max-bytes=%31");

	cr_assert_eq(f.rc, SQ_OK);
	cr_assert_str_eq(f.route.keys[SQ_HTTP_QUERY_MAX], "5");
	cr_assert_str_eq(f.route.keys[SQ_HTTP_QUERY_RAW], "");
	cr_assert_str_eq(f.route.keys[SQ_HTTP_QUERY_WAIT], "20s");
	cr_assert_str_eq(f.route.keys[SQ_HTTP_QUERY_MAX_BYTES], "1");
	cr_assert_null(f.route.keys[SQ_HTTP_QUERY_LEASE]);
	end(&f);
	f = find("POST", "/v1/publish?atomic=true");
	cr_assert_eq(f.route.resource, SQ_HTTP_RESOURCE_BATCH);
	cr_assert_str_eq(f.route.keys[SQ_HTTP_QUERY_ATOMIC], "true");
	end(&f);
}

Test(http_route, what_is_no_request_is_refused)
{
	refuse("GET", "/", SQ_HTTP_NOT_FOUND, "GET /v1 lists");
	refuse("GET", "/v1/", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1x", SQ_HTTP_NOT_FOUND, "");
	refuse("POST", "/v1/publishes", SQ_HTTP_NOT_FOUND, "");
	refuse("POST", "/v1/events/x", SQ_HTTP_NOT_FOUND, "");
	refuse("", "", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1/publish/a", SQ_HTTP_METHOD,
	    "/v1/publish/{topic} takes HEAD, OPTIONS, POST, PUT");
	refuse("PUT", "/v1/publish", SQ_HTTP_METHOD, "/v1/publish takes HEAD, OPTIONS, POST");
	refuse("PUT", "/v1/queues", SQ_HTTP_METHOD, "/v1/queues takes GET, HEAD, OPTIONS");
	refuse("GET", "/v1/queues/", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1/queues/q/", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1/queues//messages", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1/queues/q/messages/x", SQ_HTTP_NOT_FOUND, "");
	refuse("GET", "/v1/queues/%ff", SQ_HTTP_MALFORMED, "UTF-8");
	refuse("POST", "/v1/queues/q/receive?wiat=1s", SQ_HTTP_MALFORMED, "did you mean wait?");
	refuse(
	    "POST", "/v1/queues/q/receive?zzzzzz", SQ_HTTP_MALFORMED, "ack, lease, max, max-bytes");
	refuse("POST", "/v1/queues/q/receive?max=1&max=2", SQ_HTTP_MALFORMED,
	    "max stands there twice");
	refuse("POST", "/v1/queues/q/settle?wait=1s", SQ_HTTP_MALFORMED, "knows none");
	refuse("GET", "/v1/dead-letters/s/messages?wait=1s", SQ_HTTP_MALFORMED, "after, peek");
	refuse("GET", "/v1/dead-letters//messages", SQ_HTTP_NOT_FOUND, "");
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
