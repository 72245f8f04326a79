/* Files of subscribers.dir, and their folder. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/temp_dir.h"
#include "broker/config/queue_dir.h"
#include "core/mem.h"

static const char *
text_of(struct sq_buf *b)
{
	*sq_buf_reserve(b, 1) = '\0';
	return (const char *)sq_buf_data(b);
}

static void
good(const char *text, struct sq_file_queues *out)
{
	struct sq_buf err = {0};

	*out = (struct sq_file_queues){0};
	cr_assert(sq_queue_file_read("f.yaml", sq_bytes_of(text), out, &err) == SQ_OK, "%s",
	    text_of(&err));
	sq_buf_fini(&err);
}

static void
bad(const char *text, const char *says)
{
	struct sq_file_queues out = {0};
	struct sq_buf err = {0};

	cr_expect(sq_queue_file_read("f.yaml", sq_bytes_of(text), &out, &err) == SQ_EINVAL);
	cr_expect_str_eq(text_of(&err), says);
	sq_file_queues_fini(&out);
	sq_buf_fini(&err);
}

Test(queue_file, declares_queues_of_spaces)
{
	struct sq_file_queues q;

	good("shop:\n"
	     "  billing:\n"
	     "    bindings: [{filter: \"orders/#\", qos: 2}, {tag: invoice, id: inv}]\n"
	     "    order: key\n"
	     "    retry: {first: 3s, jitter: false}\n"
	     "    on-give-up: block\n"
	     "  audit:\n"
	     "other:\n"
	     "  billing: {max-messages: 7}\n",
	    &q);
	cr_assert_eq(q.n, 3);
	cr_expect_str_eq(q.v[0].space, "shop");
	cr_expect_str_eq(q.v[0].name, "billing");
	cr_expect_str_eq(q.v[0].where, "f.yaml:2");
	cr_expect(q.v[0].decl.order == SQ_ORDER_KEY && q.v[0].decl.retry.first_ms == 3000);
	cr_expect(!q.v[0].decl.retry.jitter && q.v[0].decl.blocks);
	cr_assert_eq(q.v[0].decl.n_bindings, 2);
	cr_expect_str_eq(q.v[0].decl.bindings[0].filter, "orders/#");
	cr_expect_str_eq(q.v[0].decl.bindings[1].id, "inv");
	cr_expect_str_eq(q.v[1].name, "audit");
	cr_expect_str_eq(q.v[2].space, "other");
	cr_expect_eq(q.v[2].decl.max_messages, 7);
	sq_file_queues_fini(&q);
}

Test(queue_file, an_empty_one_declares_nothing)
{
	static const char *const texts[] = {
	    "", "# nothing\n", "---\n", "{}\n", "shop: {}\n", "shop:\n"};
	struct sq_file_queues q;

	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++) {
		good(texts[i], &q);
		cr_expect_eq(q.n, 0);
		sq_file_queues_fini(&q);
	}
}

Test(queue_file, a_fault_names_its_place)
{
	bad("shop:\n  billing:\n    lease: 13h\n",
	    "f.yaml:3: shop.billing.lease: 13h is out of range: 1s to 12h");
	bad("shop:\n  billing:\n    leese: 1m\n",
	    "f.yaml:3: shop.billing.leese: unknown setting, did you mean lease?");
	bad("shop:\n  billing:\n    retry: {frist: 1m}\n",
	    "f.yaml:3: shop.billing.retry.frist: unknown setting, did you mean retry.first?");
	bad("shop:\n  billing:\n    lease: [1m]\n",
	    "f.yaml:3: shop.billing.lease: is a list or a map");
	bad("shop:\n  billing:\n    leese: [1m]\n",
	    "f.yaml:3: shop.billing.leese: unknown setting, did you mean lease?");
	bad("shop:\n  billing:\n    bindings:\n      - {filter: \"a\"}\n      - {filtr: b}\n",
	    "f.yaml:5: shop.billing.bindings[1].filtr: unknown key, did you mean filter?");
	bad("shop:\n  billing:\n    bindings: [{filter: \"a/#/b\"}]\n",
	    "f.yaml:3: shop.billing.bindings[0].filter: # must be the last character");
	bad("shop:\n  billing:\n    bindings: [{filter: a, qos: 0}]\n",
	    "f.yaml:3: shop.billing.bindings[0].qos: is not 1 or 2");
	bad("shop:\n  billing:\n    bindings: {filter: a}\n",
	    "f.yaml:3: shop.billing.bindings: is not a list");
	bad("shop:\n  bill/ing: {}\n",
	    "f.yaml:2: shop.bill/ing: the name of a queue must be 1 to 128 of A-Z a-z 0-9 . _ -");
	bad("shop:\n  bridge.b:\n",
	    "f.yaml:2: shop.bridge.b: names that begin with bridge. are those of the queues of "
	    "bridges");
	bad("shop:\n  a: {}\n  a: {}\n", "f.yaml:3: shop: a is there twice");
	bad("shop: [a]\n", "f.yaml:1: shop: is not a map");
	bad("billing: {bindings: [{filter: a}]}\n",
	    "f.yaml:1: billing.bindings: is not a map of settings: a file has spaces, these "
	    "queues, and "
	    "these settings");
	bad("billing: {lease: 5s}\n",
	    "f.yaml:1: billing.lease: is not a map of settings: a file has spaces, these queues, "
	    "and "
	    "these settings");
	bad("[a]\n", "f.yaml:1: is not a map");
	bad("shop: &x {}\n", "f.yaml:1: shop: anchors, aliases and tags are not allowed");
	bad("a: {}\n---\nb: {}\n", "f.yaml:2: there is a second document");
	bad("shop:\n  a:\n    on-give-up: block\n",
	    "f.yaml:2: shop.a.on-give-up: block needs an order");
}

/* A push in flow style, of one line, as issue reports and people write them. */
Test(queue_file, a_push_of_one_line)
{
	struct sq_file_queues q;
	const struct sq_declared_push *p;

	good("shop:\n"
	     "  billing: {bindings: [{filter: orders/#, qos: 2}], order: key, push: {url: "
	     "https://billing.example/events, concurrency: 20, retry: {attempts: 8, for: 24h}, "
	     "sign: "
	     "{secret-file: /etc/sqmqos/whsec}}}\n",
	    &q);
	cr_assert_eq(q.n, 1);
	p = &q.v[0].decl.push;
	cr_expect_str_eq(p->url, "https://billing.example/events");
	cr_expect(p->concurrency == 20 && p->attempts == 8 && p->for_ms == 86400000);
	cr_expect_str_eq(p->sign.file, "/etc/sqmqos/whsec");
	cr_expect(p->sign.name == NULL);
	sq_file_queues_fini(&q);
}

/* All of it, in blocks, as the guide has it. */
static const char push_file[] =
    "shop:\n"
    "  billing:\n"
    "    bindings: [{filter: orders/#, qos: 2}, {tag: invoice}]\n"
    "    order: key\n"
    "    push:\n"
    "      url: https://billing.shop.svc.cluster.local/events     # {topic.1} in the path\n"
    "      format: binary            # binary | structured | raw\n"
    "      timeout: 30s              # 1s..10m: cold starts\n"
    "      rate: 100/s\n"
    "      retry: {first: 1s, factor: 2, max: 10m, attempts: 8, for: 24h}\n"
    "      breaker: {failures: 5, probe: 5s, max: 5m}\n"
    "      auth: {bearer-file: /etc/tok} # or basic, client-cert, oidc-file\n"
    "      sign: {secret-file: /etc/sqmqos/whsec}   # two lines: both signatures\n"
    "      validate: required\n"
    "      reply: {topic: \"invoices/{topic.2}\"}     # or from-request\n"
    "      headers: {x-tenant: \"{space}\", X-Kind: '{prop:kind|none}'}\n"
    "      on: {dead-letter: [4xx], retry: [404, 409], pause: [410]}\n"
    "  stock:\n"
    "    bindings: [{filter: stock/#}]\n"
    "    push:\n"
    "      url: http://stock/{queue}\n"
    "      batch: {max: 100, bytes: 128Ki, linger: 5ms}\n"
    "      auth:\n"
    "        oidc-file: /var/run/tok\n"
    "      http2: true\n"
    "  echo: {push: {url: http://echo/, reply: from-request, validate: optional, auth: ~}}\n"
    "  quiet: {push: null, retry: null}\n"
    "  off: {push: {url: http://h, validate: false}}\n";

Test(queue_file, a_push_in_blocks)
{
	struct sq_file_queues q;
	const struct sq_declared_push *p;

	good(push_file, &q);
	cr_assert_eq(q.n, 5);
	p = &q.v[0].decl.push;
	cr_expect(p->format == SQ_PUSH_BINARY && p->timeout_ms == 30000 && p->batch.max == 1);
	cr_expect(p->rate.n == 100 && p->rate.per_ms == 1000);
	cr_expect(p->retry.first_ms == 1000 && p->retry.factor == 2 && p->retry.max_ms == 600000);
	cr_expect(p->breaker.failures == 5 && p->breaker.probe_ms == 5000);
	cr_expect_str_eq(p->auth.bearer.file, "/etc/tok");
	cr_expect(p->validate == SQ_PUSH_VALIDATE_REQUIRED && !p->reply.from_request);
	cr_expect_str_eq(p->reply.topic, "invoices/{topic.2}");
	cr_assert_eq(p->n_headers, 2);
	cr_expect_str_eq(p->headers[0].name, "x-kind");
	cr_expect_str_eq(p->headers[0].value, "{prop:kind|none}");
	cr_expect_str_eq(p->headers[1].value, "{space}");
	cr_expect(p->on.dead_letter.n == 1 && p->on.dead_letter.v[0].all);
	cr_expect(p->on.dead_letter.v[0].status == 400 && p->on.retry.n == 2);
	cr_expect(p->on.retry.v[1].status == 409 && p->on.pause.v[0].status == 410);
	p = &q.v[1].decl.push;
	cr_expect(p->batch.max == 100 && p->batch.bytes == 128 << 10 && p->batch.linger_ms == 5);
	cr_expect_str_eq(p->auth.bearer.file, "/var/run/tok");
	cr_expect(p->http2 && p->rate.n == 0 && p->retry.first_ms == 0 && p->attempts == 0);
	p = &q.v[2].decl.push;
	cr_expect(p->reply.from_request && p->validate == SQ_PUSH_VALIDATE_OPTIONAL);
	cr_expect(q.v[3].decl.push.url == NULL);
	sq_file_queues_fini(&q);
}

#define PUSHES(members) "s:\n  q:\n    push: {url: http://h/, " members "}\n"

Test(queue_file, a_fault_of_a_push_names_its_place)
{
	bad(PUSHES("concurrency: auto"), "f.yaml:3: s.q.push.concurrency: auto is not a number");
	bad(PUSHES("retry: {frist: 1s}"),
	    "f.yaml:3: s.q.push.retry.frist: unknown setting, did you mean push.retry.first?");
	bad(PUSHES("retry: 3"), "f.yaml:3: s.q.push.retry: is not a map");
	bad(PUSHES("reply: [a]"), "f.yaml:3: s.q.push.reply: is a list or a map");
	bad(PUSHES("reply: somewhere"),
	    "f.yaml:3: s.q.push.reply: somewhere is not one of none, from-request");
	bad(PUSHES("reply: {topic: [a]}"), "f.yaml:3: s.q.push.reply.topic: is a list or a map");
	bad(PUSHES("headers: [a]"), "f.yaml:3: s.q.push.headers: is not a map");
	bad(PUSHES("headers: {x-a: [a]}"), "f.yaml:3: s.q.push.headers.x-a: is a list or a map");
	bad(PUSHES("headers: {x-a: a, X-A: b}"), "f.yaml:3: s.q.push.headers.X-A: is there twice");
	bad(PUSHES("headers: {'x a': a}"),
	    "f.yaml:3: s.q.push.headers.x a: is no name of a header");
	bad(PUSHES("on: {retry: 404}"), "f.yaml:3: s.q.push.on.retry: is not a list");
	bad(PUSHES("on: {retry: [[404]]}"), "f.yaml:3: s.q.push.on.retry: a value is not a text");
	bad(PUSHES("on: {retry: ['404,500']}"),
	    "f.yaml:3: s.q.push.on.retry: has something that is no value");
	bad(PUSHES("on: {retry: [200]}"),
	    "f.yaml:3: s.q.push.on.retry: 200 is not a status of 300 to 599, or all of a hundred "
	    "as "
	    "4xx");
	bad("s:\n  q: {push: {timeout: 3s}}\n", "f.yaml:2: s.q.push.url: is missing");
	/* of a queue as a whole: at its push, or where it begins, not at the next one */
	bad("s:\n  q:\n    lease: 3s\n    push:\n      timeout: 3s\n  r: {}\n",
	    "f.yaml:4: s.q.push.url: is missing");
	bad("s:\n  p:\n    push: {url: 'https://h'}\n  q:\n    retry: {first: 1h, max: 1s}\n  r: "
	    "{}\n",
	    "f.yaml:4: s.q.retry.first: is longer than retry.max");
	bad("s:\n  q:\n    bindngs: []\n",
	    "f.yaml:3: s.q.bindngs: unknown setting, did you mean bindings?");
	bad("s:\n  q: {push: http://h/}\n", "f.yaml:2: s.q.push: is not a map");
	bad("s:\n  q: {bindings: [{filter: s/+}], push: {url: http://h/, reply: {topic: "
	    "\"{space}/{topic.2}\"}}}\n",
	    "f.yaml:2: s.q.push.reply.topic: the queue's own binding s/+ may match it: replies "
	    "would come back");
}

Test(queue_file, what_is_no_yaml_says_where)
{
	struct sq_file_queues out = {0};
	struct sq_buf err = {0};

	cr_expect(sq_queue_file_read("f.yaml", sq_bytes_of("a:\n  b: {}\n c: {}\n"), &out, &err) ==
	    SQ_EINVAL);
	cr_expect(strncmp(text_of(&err), "f.yaml:3: is not YAML: ", 23) == 0, "%s", text_of(&err));
	sq_file_queues_fini(&out);
	sq_buf_fini(&err);
}

/* The folder. */

static char *dir;
static struct sq_queue_dir *queues;

static void
write_file(const char *name, const char *text)
{
	char path[512], fresh[520];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(rename(fresh, path), 0);
}

static void
setup(void)
{
	dir = temp_dir_new();
	queues = sq_queue_dir_new(dir);
}

static void
teardown(void)
{
	sq_queue_dir_free(&queues);
	temp_dir_free(&dir);
}

TestSuite(queue_dir, .init = setup, .fini = teardown);

/* Looks until something is new; the text of the faults. */
static const char *
look(void)
{
	static struct sq_buf err;
	int i = 0;

	sq_buf_drain(&err, sq_buf_len(&err));
	while (i < 4 && !sq_queue_dir_look(queues, false, &err))
		i++;
	cr_assert_lt(i, 4);
	cr_assert_gt(i, 0, "a change counts once it is seen twice");
	return text_of(&err);
}

static void
expect(size_t n, bool is_whole)
{
	const struct sq_file_queue *const *v;
	bool whole;

	cr_expect_eq(sq_queue_dir_queues(queues, &v, &whole), n);
	cr_expect_eq(whole, is_whole);
}

Test(queue_dir, changes_count_once_they_are_still)
{
	struct sq_buf err = {0};

	write_file("a.yaml", "s:\n  a: {}\n");
	write_file("not.txt", "[");
	write_file(".hidden.yaml", "[");
	cr_expect_str_eq(look(), "");
	expect(1, true);
	cr_expect(!sq_queue_dir_look(queues, false, &err));
	write_file("b.yaml", "s:\n  b: {}\n  c: {}\n");
	cr_expect_str_eq(look(), "");
	expect(3, true);
	cr_expect(sq_queue_dir_look(queues, true, &err), "asked, it looks at once");
	expect(3, true);
	sq_buf_fini(&err);
}

Test(queue_dir, a_bad_file_keeps_what_it_declared_and_stops_no_other)
{
	write_file("a.yaml", "s:\n  a: {}\n");
	write_file("b.yaml", "s:\n  b: {}\n");
	(void)look();
	write_file("a.yaml", "s:\n  a: {lease: x}\n  other: {}\n");
	write_file("b.yaml", "s:\n  b: {}\n  c: {}\n");
	cr_expect(strstr(look(), "/a.yaml:2: s.a.lease: x is not a duration") != NULL);
	expect(3, true); /* a, of before, and b and c */
}

Test(queue_dir, a_file_that_was_never_good_leaves_it_open_what_it_declares)
{
	write_file("a.yaml", "s: [\n");
	write_file("b.yaml", "s:\n  b: {}\n");
	(void)look();
	expect(1, false);
}

Test(queue_dir, the_first_of_two_files_counts)
{
	write_file("a.yaml", "s:\n  a: {lease: 9s}\n");
	write_file("b.yaml", "s:\n  a: {}\n  b: {}\n");
	cr_expect(strstr(look(), "/b.yaml:2: s.a: is declared at ") != NULL);
	expect(2, true);
}

Test(queue_dir, a_volume_is_swapped_by_its_link)
{
	char a[512], b[512], link[512], file[512];

	(void)snprintf(a, sizeof a, "%s/..one", dir);
	(void)snprintf(b, sizeof b, "%s/..two", dir);
	(void)snprintf(link, sizeof link, "%s/..data", dir);
	(void)snprintf(file, sizeof file, "%s/q.yaml", dir);
	cr_assert(mkdir(a, 0700) == 0 && mkdir(b, 0700) == 0);
	write_file("..one/q.yaml", "s:\n  a: {}\n");
	write_file("..two/q.yaml", "s:\n  a: {}\n  b: {}\n");
	cr_assert(symlink("..one", link) == 0 && symlink("..data/q.yaml", file) == 0);
	(void)look();
	expect(1, true);
	cr_assert(unlink(link) == 0 && symlink("..two", link) == 0);
	(void)look();
	expect(2, true);
	cr_assert(unlink(file) == 0 && unlink(link) == 0);
	(void)look();
	expect(0, true);
}

Test(queue_dir, a_folder_that_is_not_there_is_said_once)
{
	struct sq_queue_dir *d = sq_queue_dir_new("/nonexistent/x");
	struct sq_buf err = {0};

	cr_expect(sq_queue_dir_look(d, false, &err));
	cr_expect_str_eq(
	    text_of(&err), "subscribers.dir: /nonexistent/x: No such file or directory");
	cr_expect(!sq_queue_dir_look(d, false, &err));
	sq_queue_dir_free(&d);
	d = sq_queue_dir_new("");
	cr_expect(!sq_queue_dir_look(d, true, &err), "none is named");
	sq_queue_dir_free(&d);
	sq_buf_fini(&err);
}
