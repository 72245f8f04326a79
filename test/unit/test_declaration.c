/* What a queue is declared to be: the table, JSON both ways, bindings. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/declaration/declaration.h"
#include "proto/declaration/kept.h"

static const char *
text_of(struct sq_buf *b)
{
	sq_buf_u8(b, '\0');
	return (const char *)sq_buf_data(b);
}

static void
read_good(struct sq_declaration *d, const char *json)
{
	struct sq_buf err = {0};
	int rc;

	sq_declaration_init(d);
	rc = sq_declaration_read_json(d, sq_bytes_of(json), &err);
	cr_assert(rc == SQ_OK, "%s: %s", json, text_of(&err));
	sq_buf_fini(&err);
}

/* What is wrong is named so. */
static void
read_bad(const char *json, const char *says)
{
	struct sq_declaration d;
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	cr_expect(sq_declaration_read_json(&d, sq_bytes_of(json), &err) == SQ_EINVAL, "%s", json);
	cr_expect_str_eq(text_of(&err), says);
	sq_declaration_fini(&d);
	sq_buf_fini(&err);
}

static const char whole[] =
    "{\"bindings\":[{\"filter\":\"orders/#\",\"qos\":2},{\"tag\":\"audit\"}],\"order\":\"topic\","
    "\"lease\":\"45s\",\"exactlyOnce\":true,\"maxAttempts\":8,"
    "\"retry\":{\"first\":\"250ms\",\"factor\":3,\"max\":\"1h\",\"jitter\":false},"
    "\"onGiveUp\":\"block\",\"maxMessages\":100000,\"maxBytes\":\"64Mi\","
    "\"overflow\":\"drop-oldest\",\"ttl\":\"7d\",\"expiry\":\"never\"}";

Test(declaration, every_member_is_read)
{
	struct sq_declaration d;

	read_good(&d, whole);
	cr_assert(d.n_bindings == 2);
	cr_expect_str_eq(d.bindings[0].id, "orders/#");
	cr_expect_str_eq(d.bindings[0].filter, "orders/#");
	cr_expect(d.bindings[0].tag == NULL && d.bindings[0].qos == 2);
	cr_expect_str_eq(d.bindings[1].id, "$tag/audit");
	cr_expect(d.bindings[1].filter == NULL && d.bindings[1].qos == 1);
	cr_expect(d.order == SQ_ORDER_TOPIC && d.lease_ms == 45000 && d.exactly_once);
	cr_expect(d.max_attempts == 8 && d.retry.first_ms == 250 && d.retry.factor == 3);
	cr_expect(d.retry.max_ms == 3600000 && !d.retry.jitter && d.blocks);
	cr_expect(d.max_messages == 100000 && d.max_bytes == UINT64_C(64) << 20);
	cr_expect(d.overflow == SQ_OVERFLOW_DROP_OLDEST && d.ttl_s == 7 * 86400);
	cr_expect(d.expiry_s == 0);
	sq_declaration_fini(&d);
}

Test(declaration, what_is_not_named_has_its_default)
{
	struct sq_declaration d;

	read_good(&d, " { } ");
	cr_expect(d.order == SQ_ORDER_NONE && d.lease_ms == 30000 && !d.exactly_once);
	cr_expect(d.max_attempts == 20 && d.retry.first_ms == 1000 && d.retry.factor == 2);
	cr_expect(d.retry.max_ms == 600000 && d.retry.jitter && !d.blocks);
	cr_expect(d.max_messages == 0 && d.max_bytes == 0 && d.ttl_s == 0 && d.expiry_s == 0);
	cr_expect(d.overflow == SQ_OVERFLOW_REJECT_PUBLISH && d.n_bindings == 0);
	sq_declaration_fini(&d);
}

Test(declaration, what_is_written_reads_as_the_same)
{
	static const char *const texts[] = {"{}", whole,
	    "{\"bindings\":[{\"id\":\"a-1\",\"filter\":\"a/+\",\"tag\":\"\\u00e9\"}],"
	    "\"maxAttempts\":\"unlimited\",\"lease\":90,\"ttl\":\"90s\"}"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++) {
		struct sq_declaration d, again;
		struct sq_buf out = {0};

		read_good(&d, texts[i]);
		sq_buf_u8(&out, '{');
		sq_declaration_write_json(&d, &out);
		sq_buf_u8(&out, '}');
		read_good(&again, text_of(&out));
		cr_expect(sq_declaration_equal(&d, &again), "%s", text_of(&out));
		sq_declaration_fini(&d);
		sq_declaration_fini(&again);
		sq_buf_fini(&out);
	}
}

Test(declaration, the_json_is_as_documented)
{
	struct sq_declaration d;
	struct sq_buf out = {0};

	read_good(&d, "{\"bindings\":[{\"filter\":\"a\"}]}");
	sq_declaration_write_json(&d, &out);
	cr_expect_str_eq(text_of(&out),
	    "\"bindings\":[{\"id\":\"a\",\"filter\":\"a\",\"qos\":1}],\"order\":\"none\","
	    "\"lease\":\"30s\",\"exactlyOnce\":false,\"maxAttempts\":20,"
	    "\"retry\":{\"first\":\"1s\",\"factor\":2,\"max\":\"10m\",\"jitter\":true},"
	    "\"onGiveUp\":\"dead-letter\",\"maxMessages\":\"default\",\"maxBytes\":\"default\","
	    "\"overflow\":\"reject-publish\",\"ttl\":\"never\",\"expiry\":\"never\"");
	sq_declaration_fini(&d);
	sq_buf_fini(&out);
}

Test(declaration, a_fault_names_the_member)
{
	read_bad("[]", "is not a JSON object");
	read_bad("{\"lease\":}", "at byte 9: a value was expected");
	read_bad("{\"maxAttemps\":1}", "maxAttemps: unknown member, did you mean maxAttempts?");
	read_bad("{\"max-attempts\":1}", "max-attempts: unknown member, did you mean maxAttempts?");
	read_bad("{\"retry\":{\"frist\":1}}", "retry.frist: unknown member, did you mean first?");
	read_bad("{\"retry\":3}", "retry: is not an object");
	read_bad("{\"retry.first\":3}", "retry.first: unknown member");
	read_bad("{\"lease\":\"999ms\"}", "lease: 999ms is out of range: 1s to 12h");
	read_bad("{\"lease\":\"13h\"}", "lease: 13h is out of range: 1s to 12h");
	read_bad(
	    "{\"lease\":\"soon\"}", "lease: soon is not a duration like 250ms, 30s, 5m or 24h");
	read_bad("{\"lease\":true}", "lease: is not a string or a number");
	read_bad("{\"ttl\":\"1500ms\"}",
	    "ttl: 1500ms is not a duration like 30s, 5m, 24h or 7d or never");
	read_bad("{\"exactlyOnce\":\"true\"}", "exactlyOnce: is not true or false");
	read_bad("{\"maxAttempts\":0}", "maxAttempts: 0 is out of range: 1 to 65535");
	read_bad("{\"maxAttempts\":-1}", "maxAttempts: -1 is not a number or unlimited");
	read_bad("{\"order\":\"fifo\"}", "order: fifo is not one of none, topic, key, strict");
	read_bad("{\"lease\":1,\"lease\":2}", "at byte 12: a member is there twice");
	read_bad("{\"retry\":{\"first\":\"11m\"}}", "retry.first: is longer than retry.max");
	read_bad("{\"onGiveUp\":\"block\"}", "on-give-up: block needs an order");
}

Test(declaration, a_fault_of_a_binding_names_its_place)
{
	read_bad("{\"bindings\":{}}", "bindings: is not an array");
	read_bad("{\"bindings\":[3]}", "bindings[0]: is not an object");
	read_bad("{\"bindings\":[{\"filter\":\"a\"},{}]}",
	    "bindings[1].filter: there is neither a filter nor a tag");
	read_bad("{\"bindings\":[{\"filter\":\"a\",\"qos\":0}]}", "bindings[0].qos: is not 1 or 2");
	read_bad("{\"bindings\":[{\"filter\":3}]}",
	    "bindings[0].filter: is not a string without U+0000");
	read_bad("{\"bindings\":[{\"filter\":\"a\\u0000\"}]}",
	    "bindings[0].filter: is not a string without U+0000");
	read_bad("{\"bindings\":[{\"fliter\":\"a\"}]}",
	    "bindings[0].fliter: unknown member, did you mean filter?");
	read_bad("{\"bindings\":[{\"filter\":\"a\",\"id\":\"a/b\"}]}",
	    "bindings[0].id: is not 1 to 128 of A-Z a-z 0-9 . _ -");
	read_bad("{\"bindings\":[{\"filter\":\"a\",\"id\":\"x\"},{\"filter\":\"b\",\"id\":\"x\"}]}",
	    "bindings[1].id: is that of a binding with another filter or tag");
}

Test(declaration, filters_of_servers_are_refused)
{
	static const char *const filters[] = {
	    "$share/g/a", "$queue/a", "$tag/x", "$dead/#", "$SYS/#", "a/#/b", "a+", ""};

	for (size_t i = 0; i < SQ_ARRAY_LEN(filters); i++) {
		struct sq_declared_binding b = {.filter = strdup(filters[i]), .qos = 1};
		struct sq_declaration d;
		struct sq_buf err = {0};

		sq_declaration_init(&d);
		cr_expect(sq_declaration_bind(&d, &b, &err) == SQ_EINVAL, "%s", filters[i]);
		cr_expect(strncmp(text_of(&err), "filter: ", 8) == 0);
		free(b.filter);
		sq_declaration_fini(&d);
		sq_buf_fini(&err);
	}
}

Test(declaration, the_same_binding_again_sets_its_qos)
{
	struct sq_declaration d;
	struct sq_declared_binding b = {.filter = (char[]){"a/#"}, .qos = 1};

	sq_declaration_init(&d);
	cr_assert(sq_declaration_bind(&d, &b, NULL) == SQ_OK);
	b.qos = 2;
	cr_assert(sq_declaration_bind(&d, &b, NULL) == SQ_OK);
	cr_expect(d.n_bindings == 1 && d.bindings[0].qos == 2);
	cr_expect(!sq_declaration_unbind(&d, "a"));
	cr_expect(sq_declaration_unbind(&d, "a/#"));
	cr_expect(d.n_bindings == 0);
	sq_declaration_fini(&d);
}

Test(declaration, bindings_are_bounded)
{
	struct sq_declaration d;
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	for (unsigned i = 0; i <= SQ_QUEUE_BINDINGS_MAX; i++) {
		char filter[16];
		struct sq_declared_binding b = {.filter = filter, .qos = 1};

		(void)snprintf(filter, sizeof filter, "a/%u", i);
		cr_expect(
		    (sq_declaration_bind(&d, &b, &err) == SQ_OK) == (i < SQ_QUEUE_BINDINGS_MAX));
	}
	cr_expect_str_eq(text_of(&err), "bindings: a queue has at most 256");
	sq_declaration_fini(&d);
	sq_buf_fini(&err);
}

Test(declaration, settings_of_a_file)
{
	struct sq_declaration d;
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	cr_expect(
	    sq_declaration_set(&d, sq_bytes_of("retry.first"), sq_bytes_of("3s"), &err) == SQ_OK);
	cr_expect(d.retry.first_ms == 3000);
	cr_expect(
	    sq_declaration_set(&d, sq_bytes_of("on-give-up"), sq_bytes_of("block"), &err) == SQ_OK);
	cr_expect(d.blocks);
	cr_expect(sq_declaration_set(&d, sq_bytes_of("retri.first"), sq_bytes_of("3s"), &err) ==
	    SQ_EINVAL);
	cr_expect_str_eq(text_of(&err), "retri.first: unknown setting, did you mean retry.first?");
	sq_buf_fini(&err);
	cr_expect(
	    sq_declaration_set(&d, sq_bytes_of("lease"), sq_bytes_of("never"), &err) == SQ_EINVAL);
	cr_expect_str_eq(
	    text_of(&err), "lease: never is not a duration like 250ms, 30s, 5m or 24h");
	sq_buf_fini(&err);
	sq_declaration_fini(&d);
}

Test(declaration, equal_in_any_order_of_bindings)
{
	struct sq_declaration a, b;

	read_good(&a, "{\"bindings\":[{\"filter\":\"a\"},{\"filter\":\"b\",\"qos\":2}]}");
	read_good(&b, "{\"bindings\":[{\"filter\":\"b\",\"qos\":2},{\"filter\":\"a\"}]}");
	cr_expect(sq_declaration_equal(&a, &b));
	a.bindings[0].qos = 2;
	cr_expect(!sq_declaration_equal(&a, &b));
	a.bindings[0].qos = 1;
	a.ttl_s = 1;
	cr_expect(!sq_declaration_equal(&a, &b));
	sq_declaration_fini(&a);
	sq_declaration_fini(&b);
}

Test(declaration, what_is_kept_lives_as_long_as_anybody_has_it)
{
	struct sq_declaration d;
	const struct sq_declaration *one, *other;
	struct sq_buf err = {0};

	sq_declaration_init(&d);
	cr_assert(sq_declaration_set(
		      &d, sq_bytes_of("push.url"), sq_bytes_of("https://h/"), &err) == SQ_OK);
	one = sq_declaration_keep(&d);
	cr_expect_null(d.push.url, "it has gone there");
	other = sq_declaration_ref(one);
	cr_expect_eq(other, one);
	sq_declaration_unref(&one);
	cr_expect_null(one);
	cr_expect_str_eq(other->push.url, "https://h/");
	sq_declaration_unref(&other);
	sq_declaration_unref(&other);
}

Test(declaration, a_copy_is_equal_and_its_own)
{
	struct sq_declaration d, copy;

	read_good(&d, whole);
	sq_declaration_copy(&copy, &d);
	cr_expect(sq_declaration_equal(&d, &copy));
	sq_declaration_fini(&d);
	cr_expect_str_eq(copy.bindings[0].filter, "orders/#");
	sq_declaration_fini(&copy);
}

Test(declaration, smaller_limits_may_lose_messages)
{
	struct sq_declaration old, now;

	sq_declaration_init(&old);
	sq_declaration_init(&now);
	cr_expect(sq_declaration_loses(&old, &now) == NULL);
	now.max_messages = 10; /* in place of the broker's */
	cr_expect_str_eq(sq_declaration_loses(&old, &now), "max-messages is smaller");
	old.max_messages = 9;
	cr_expect(sq_declaration_loses(&old, &now) == NULL);
	old.max_messages = 11;
	cr_expect(sq_declaration_loses(&old, &now) != NULL);
	now.max_messages = 0;
	cr_expect(sq_declaration_loses(&old, &now) == NULL);
	old.max_bytes = 0;
	now.max_bytes = 1;
	cr_expect_str_eq(sq_declaration_loses(&old, &now), "max-bytes is smaller");
}

Test(declaration, names_of_queues)
{
	char name[SQ_QUEUE_NAME_MAX + 2];

	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	cr_expect(!sq_queue_name_good(sq_bytes_of(name)));
	name[SQ_QUEUE_NAME_MAX] = '\0';
	cr_expect(sq_queue_name_good(sq_bytes_of(name)));
	cr_expect(sq_queue_name_good(sq_bytes_of("A-z_0.9")));
	cr_expect(!sq_queue_name_good(sq_bytes_of("")));
	cr_expect(!sq_queue_name_good(sq_bytes_of("a/b")));
	cr_expect(!sq_queue_name_good(sq_bytes_of("a~b")));
}

/* The page has the table that is printed. */
static void
page_has(const char *path, void (*print)(struct sq_buf *))
{
	struct sq_buf table = {0}, page = {0};
	FILE *f = fopen(path, "r");
	unsigned char *p;
	size_t n;

	cr_assert_not_null(f);
	do {
		p = sq_buf_reserve(&page, 4096);
		n = fread(p, 1, 4096, f);
		sq_buf_commit(&page, n);
	} while (n > 0);
	(void)fclose(f);
	print(&table);
	cr_expect(strstr(text_of(&page), text_of(&table)) != NULL, "%s has another table than:\n%s",
	    path, (const char *)sq_buf_data(&table));
	sq_buf_fini(&table);
	sq_buf_fini(&page);
}

Test(declaration, the_page_has_the_table)
{
	page_has(SQ_QUEUES_PAGE, sq_declaration_markdown);
	page_has(SQ_PUSH_PAGE, sq_declaration_push_markdown);
}
