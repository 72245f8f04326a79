/* The bodies of settles. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/front/http/settle.h"

static const struct sq_http_bounds bounds = {
    .limits = {.topic_levels = 8, .max_qos = 2}, .max_packet = 4096};

struct got {
	struct sq_http_settle s;
	struct sq_http_fault fault;
	int rc;
};

static struct got
get_at(const char *body, uint32_t max, int64_t now_ms)
{
	struct got g = {0};

	g.rc = sq_http_settle_read(&bounds, sq_bytes_of(body), max, now_ms, &g.s, &g.fault);
	sq_buf_u8(&g.fault.detail, '\0');
	return g;
}

static struct got
get(const char *body)
{
	return get_at(body, 8, 1000);
}

static void
end(struct got *g)
{
	sq_http_settle_fini(&g->s);
	sq_http_fault_fini(&g->fault);
}

static void
refuse(const char *body, enum sq_http_problem problem, const char *detail, const char *pointer)
{
	struct got g = get(body);

	cr_expect_eq(g.rc, SQ_EINVAL, "%s", body);
	cr_expect_eq(g.fault.problem, problem, "%s", body);
	cr_expect_not_null(strstr((char *)sq_buf_data(&g.fault.detail), detail), "%s: %s", body,
	    sq_buf_data(&g.fault.detail));
	cr_expect_str_eq(g.fault.pointer, pointer, "%s", body);
	end(&g);
}

static uint64_t
print_at(const char *body, int64_t now_ms)
{
	struct got g = get_at(body, 8, now_ms);
	uint64_t print = g.s.in.print;

	cr_assert_eq(g.rc, SQ_OK, "%s", sq_buf_data(&g.fault.detail));
	end(&g);
	return print;
}

static uint64_t
print(const char *body)
{
	return print_at(body, 1000);
}

static void
is_entry(const struct sq_lease_entry *e, const char *lease, enum sq_lease_end end, bool untried,
    bool timed, uint64_t ms)
{
	cr_expect(sq_bytes_are(e->lease, lease), "%s", lease);
	cr_expect_eq(e->end, end, "%s", lease);
	cr_expect_eq(e->untried, untried, "%s", lease);
	cr_expect_eq(e->timed, timed, "%s", lease);
	cr_expect_eq(e->ms, ms, "%s", lease);
}

Test(http_settle, lists_come_in_one_order_whatever_order_the_body_has)
{
	struct got g = get(
	    "{\"extend\":[{\"lease\":\"L6\",\"by\":\"60s\"}],\"reject\":[\"L5\"],"
	    "\"nack\":[\"L3\",{\"lease\":\"L4\",\"delay\":\"30s\",\"untried\":true}],"
	    "\"ack\":[\"L1\",\"L2\"],\"publish\":[{\"topic\":\"a\",\"qos\":3},"
	    "{\"topic\":\"b\",\"requireMatch\":true}]}");
	struct sq_http_fault at = {0};

	cr_assert_eq(g.rc, SQ_OK, "%s", sq_buf_data(&g.fault.detail));
	cr_assert_eq(g.s.in.n, 6);
	is_entry(&g.s.in.entries[0], "L1", SQ_LEASE_ACK, false, false, 0);
	is_entry(&g.s.in.entries[1], "L2", SQ_LEASE_ACK, false, false, 0);
	is_entry(&g.s.in.entries[2], "L3", SQ_LEASE_NACK, false, false, 0);
	is_entry(&g.s.in.entries[3], "L4", SQ_LEASE_NACK, true, true, 30000);
	is_entry(&g.s.in.entries[4], "L5", SQ_LEASE_REJECT, false, false, 0);
	is_entry(&g.s.in.entries[5], "L6", SQ_LEASE_EXTEND, false, false, 60000);
	cr_assert_eq(g.s.in.n_msgs, 2);
	cr_expect(sq_bytes_are(sq_image_topic(g.s.in.msgs[1].image), "b"));
	cr_expect(!g.s.in.wants[0].require_match && g.s.in.wants[1].require_match);
	cr_expect(g.s.qos[0] == 3 && g.s.qos[1] == 1);
	sq_http_settle_at(&g.s, 1, &at);
	cr_expect_str_eq(at.pointer, "/ack/1");
	sq_http_settle_at(&g.s, 3, &at);
	cr_expect_str_eq(at.pointer, "/nack/1");
	sq_http_settle_at(&g.s, 4, &at);
	cr_expect_str_eq(at.pointer, "/reject/0");
	sq_http_settle_at(&g.s, 5, &at);
	cr_expect_str_eq(at.pointer, "/extend/0");
	end(&g);
}

Test(http_settle, equal_requests_have_equal_prints)
{
	uint64_t one = print("{\"ack\":[\"L1\"],\"publish\":[{\"topic\":\"a\",\"json\":{}}]}");

	cr_expect_eq(one,
	    print("{ \"publish\": [{\"json\":{}, \"topic\":\"\\u0061\"}],\n\"ack\":[\"L1\"] }"));
	cr_expect_neq(one, print("{\"ack\":[\"L1\"],\"publish\":[{\"topic\":\"b\",\"json\":{}}]}"));
	cr_expect_neq(one, print("{\"ack\":[\"L1\"],\"publish\":[{\"topic\":\"a\",\"json\":[]}]}"));
	cr_expect_neq(one, print("{\"ack\":[\"L2\"],\"publish\":[{\"topic\":\"a\",\"json\":{}}]}"));
	cr_expect_neq(
	    one, print("{\"reject\":[\"L1\"],\"publish\":[{\"topic\":\"a\",\"json\":{}}]}"));
	cr_expect_neq(one, print("{\"ack\":[\"L1\"]}"));
	cr_expect_neq(print("{\"nack\":[{\"lease\":\"L\"}]}"),
	    print("{\"nack\":[{\"lease\":\"L\",\"delay\":0}]}"));
}

Test(http_settle, an_instant_is_the_same_some_time_later)
{
	const char *body = "{\"ack\":[\"L\"],\"publish\":[{\"topic\":\"a\",\"deliverAt\":"
			   "\"1970-01-01T00:01:00Z\"}]}";

	cr_expect_eq(print_at(body, 1000), print_at(body, 20000));
}

Test(http_settle, what_does_not_read_is_refused_with_its_place)
{
	refuse("", SQ_HTTP_MALFORMED, "JSON, byte 0", "");
	refuse("[]", SQ_HTTP_MALFORMED, "JSON object", "");
	refuse("{}", SQ_HTTP_MALFORMED, "there is no lease", "");
	refuse("{\"publish\":[{\"topic\":\"a\"}]}", SQ_HTTP_MALFORMED, "there is no lease", "");
	refuse("{\"akc\":[]}", SQ_HTTP_MALFORMED, "did you mean ack?", "");
	refuse("{\"ack\":[\"L\"],\"ack\":[\"L\"]}", SQ_HTTP_MALFORMED, "twice", "");
	refuse("{\"ack\":\"L\"}", SQ_HTTP_MALFORMED, "ack must be a list", "");
	refuse("{\"ack\":[1]}", SQ_HTTP_MALFORMED, "lease is missing", "/ack/0");
	refuse(
	    "{\"nack\":[\"L\",{\"delay\":1}]}", SQ_HTTP_MALFORMED, "lease is missing", "/nack/1");
	refuse("{\"nack\":[{\"lease\":\"L\",\"delya\":1}]}", SQ_HTTP_MALFORMED, "mean delay?",
	    "/nack/0");
	refuse("{\"nack\":[{\"lease\":\"L\",\"delay\":\"x\"}]}", SQ_HTTP_MALFORMED, "duration",
	    "/nack/0");
	refuse("{\"nack\":[{\"lease\":\"L\",\"untried\":1}]}", SQ_HTTP_MALFORMED, "true or false",
	    "/nack/0");
	refuse("{\"ack\":[{\"lease\":\"L\",\"delay\":1}]}", SQ_HTTP_MALFORMED, "unknown member",
	    "/ack/0");
	refuse("{\"extend\":[\"L\"]}", SQ_HTTP_MALFORMED, "by is missing", "/extend/0");
	refuse("{\"extend\":[{\"lease\":\"L\",\"by\":0}]}", SQ_HTTP_MALFORMED, "by is missing",
	    "/extend/0");
	refuse("{\"ack\":[\"L\"],\"publish\":[{\"topic\":\"a\"},{\"topic\":\"#\"}]}",
	    SQ_HTTP_INVALID_TOPIC, "", "/publish/1");
	refuse("{\"ack\":[\"L\"],\"publish\":[1]}", SQ_HTTP_MALFORMED, "no object", "/publish/0");
	refuse("{\"ack\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
	    SQ_HTTP_TOO_LARGE, "http.max-batch, 8", "");
}

Test(http_settle, one_lease_has_the_members_of_its_kind)
{
	struct sq_lease_entry e = {.lease = sq_bytes_of("L"), .end = SQ_LEASE_NACK};
	struct sq_http_fault fault = {0};

	cr_expect_eq(sq_http_settle_entry((struct sq_bytes){0}, &e, &fault), SQ_OK);
	is_entry(&e, "L", SQ_LEASE_NACK, false, false, 0);
	cr_expect_eq(sq_http_settle_entry(sq_bytes_of("{\"delay\":3}"), &e, &fault), SQ_OK);
	is_entry(&e, "L", SQ_LEASE_NACK, false, true, 3000);
	cr_expect_eq(sq_http_settle_entry(sq_bytes_of("{\"lease\":\"M\"}"), &e, &fault), SQ_EINVAL);
	e = (struct sq_lease_entry){.lease = sq_bytes_of("L"), .end = SQ_LEASE_EXTEND};
	cr_expect_eq(sq_http_settle_entry((struct sq_bytes){0}, &e, &fault), SQ_EINVAL);
	cr_expect_eq(sq_http_settle_entry(sq_bytes_of("{\"by\":\"1m\"}"), &e, &fault), SQ_OK);
	is_entry(&e, "L", SQ_LEASE_EXTEND, false, false, 60000);
	sq_http_fault_fini(&fault);
}
