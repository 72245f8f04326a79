/* Files of bridges: what they may say, what a kind has, and what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/cfg.h"
#include "broker/bridge/cfg_priv.h"
#include "core/file.h"
#include "core/mem.h"

#define AMQP "bridges:\n  b:\n    space: shop\n    kind: amqp\n"
#define SQS "bridges:\n  b:\n    space: shop\n    kind: sqs\n"

static const char *
text_of(struct sq_buf *b)
{
	*sq_buf_reserve(b, 1) = '\0';
	return (const char *)sq_buf_data(b);
}

static void
good(const char *text, struct sq_bridge_cfgs *out)
{
	struct sq_buf err = {0};

	cr_assert(sq_bridge_cfgs_read("f.yaml", sq_bytes_of(text), NULL, out, &err) == SQ_OK, "%s",
	    text_of(&err));
	cr_assert(sq_buf_len(&err) == 0);
	sq_buf_fini(&err);
}

static void
fine(const char *text)
{
	struct sq_bridge_cfgs c;

	good(text, &c);
	sq_bridge_cfgs_fini(&c);
}

static void
bad(const char *text, const char *says)
{
	struct sq_bridge_cfgs c;
	struct sq_buf err = {0};

	cr_expect(sq_bridge_cfgs_read("f.yaml", sq_bytes_of(text), NULL, &c, &err) == SQ_EINVAL,
	    "%s", text);
	cr_expect_str_eq(text_of(&err), says);
	sq_bridge_cfgs_fini(&c);
	sq_buf_fini(&err);
}

static const struct sq_bridge_cfg *
bridge(const struct sq_bridge_cfgs *c, size_t i)
{
	cr_assert(i < c->bridges.n);
	return &((const struct sq_bridge_cfg *)c->bridges.v)[i];
}

Test(bridge_cfg, a_file_is_read)
{
	struct sq_bridge_cfgs c;
	const struct sq_bridge_cfg *b;

	good("bridges:\n"
	     "  to-rabbit:\n"
	     "    space: shop\n"
	     "    kind: amqp\n"
	     "    url: [amqps://a:5671/v, amqps://b:5671/v]\n"
	     "    credentials: {user-file: /u, password-file: /p}\n"
	     "    out:\n"
	     "      - {filter: \"orders/#\", qos: 2, to: {exchange: orders}}\n"
	     "      - {tag: red, to: {exchange: \"e-{space}\", key: \"{topic.1}\"}}\n"
	     "    in: [{queue: replies, to: \"replies/{key:/}\", prefetch: 7}]\n"
	     "    limits: {max-messages: 1000000, max-bytes: 1Gi, overflow: drop-oldest}\n"
	     "    dedup: {by: message-id, for: 1h, max: 5}\n"
	     "  jobs:\n"
	     "    space: other\n"
	     "    kind: sqs\n"
	     "    visibility: 10m\n"
	     "    in: [{queue: jobs, account: \"123456789012\", to: jobs}]\n",
	    &c);
	cr_assert_eq(c.bridges.n, 2);
	b = bridge(&c, 0);
	cr_expect_str_eq(b->record.name, "to-rabbit");
	cr_expect_str_eq(b->record.where, "f.yaml:3");
	cr_expect_str_eq(b->space, "shop");
	cr_expect_eq(b->kind, SQ_BRIDGE_KIND_AMQP);
	cr_expect_eq(b->urls.n, 2);
	cr_expect_str_eq(b->user_file, "/u");
	cr_assert_eq(b->out.n, 2);
	cr_expect_str_eq(sq_bridge_cfg_out(b, 0)->filter, "orders/#");
	cr_expect_eq(sq_bridge_cfg_out(b, 0)->qos, 2);
	cr_expect_str_eq(sq_bridge_cfg_out(b, 0)->key, "{topic.*:.}");
	cr_expect_eq(sq_bridge_cfg_out(b, 1)->qos, 1);
	cr_expect_null(sq_bridge_cfg_out(b, 1)->filter);
	cr_expect_str_eq(sq_bridge_cfg_out(b, 1)->record.where, "f.yaml:9");
	cr_expect_eq(sq_bridge_cfg_in(b, 0)->prefetch, 7);
	cr_expect_eq(b->max_messages, 1000000);
	cr_expect_eq(b->max_bytes, 1 << 30);
	cr_expect_eq(b->max_attempts, 0);
	cr_expect_eq(b->overflow, SQ_BRIDGE_DROP_OLDEST);
	cr_expect_eq(b->dedup, SQ_BRIDGE_DEDUP_MESSAGE_ID);
	cr_expect_eq(b->dedup_for_ms, 3600000);
	b = bridge(&c, 1);
	cr_expect_eq(b->kind, SQ_BRIDGE_KIND_SQS);
	cr_expect_eq(b->dedup_for_ms, 100 * 60000, "ten visibility time-outs");
	cr_expect_eq(sq_bridge_cfg_in(b, 0)->prefetch, 500);
	cr_expect_eq(sq_bridge_cfg_in(b, 0)->parallel, 4);
	sq_bridge_cfgs_fini(&c);
}

Test(bridge_cfg, nothing_is_no_bridge)
{
	struct sq_bridge_cfgs c;

	good("", &c);
	cr_expect_eq(c.bridges.n, 0);
	good("bridges: {}", &c);
	cr_expect_eq(c.bridges.n, 0);
}

Test(bridge_cfg, defaults)
{
	struct sq_bridge_cfgs c;
	const struct sq_bridge_cfg *b;

	good(AMQP
	    "    out: [{filter: a, to: {key: q}}]\n    in: [{queue: r, to: b, exchange: e}]\n",
	    &c);
	b = bridge(&c, 0);
	cr_expect_eq(b->max_messages, 0);
	cr_expect_eq(b->max_bytes, 0);
	cr_expect_eq(b->dedup_for_ms, 900000);
	cr_expect_eq(b->window, 1000);
	cr_expect_eq(b->max_hops, 8);
	cr_expect_null(sq_bridge_cfg_out(b, 0)->exchange);
	cr_expect_str_eq(sq_bridge_cfg_in(b, 0)->bind, "#");
	sq_bridge_cfgs_fini(&c);
	good(SQS "    in: [{queue: r, to: b}]\n", &c);
	cr_expect_eq(bridge(&c, 0)->dedup_for_ms, 900000);
	sq_bridge_cfgs_fini(&c);
}

Test(bridge_cfg, unknown_keys_have_the_nearest)
{
	bad(AMQP "    otu: []\n",
	    "f.yaml:5: bridges.b.otu: unknown key, did you mean bridges.*.out?");
	bad(AMQP "    out: [{fitler: a}]\n",
	    "f.yaml:5: bridges.b.out[0].fitler: unknown key, did you mean bridges.*.out[].filter?");
	bad("bridge: {}\n", "f.yaml:1: bridge: unknown key, did you mean bridges?");
	bad("bridges:\n  b: {kind: amqp}\n", "f.yaml:2: bridges.b: needs space");
	bad("bridges:\n  b: {space: s, kind: kafka}\n",
	    "f.yaml:2: bridges.b.kind: \"kafka\" is not one of amqp, sqs");
	bad(AMQP "    in: [{queue: q}]\n", "f.yaml:5: bridges.b.in[0]: needs to");
	bad(AMQP "    window: 0\n",
	    "f.yaml:5: bridges.b.window: \"0\" is out of range: 1 to 65535");
}

Test(bridge_cfg, names)
{
	bad("bridges:\n  a.b: {space: s, kind: amqp, in: [{queue: q, to: t}]}\n",
	    "f.yaml:2: bridges.a.b.name: is not 1 to 64 of A-Z a-z 0-9 _ -");
	bad("bridges:\n  a: {space: \"\", kind: amqp, in: [{queue: q, to: t}]}\n",
	    "f.yaml:2: bridges.a.space: is no name of a space");
	bad("bridges:\n  a: {space: \"x\\ny\", kind: amqp, in: [{queue: q, to: t}]}\n",
	    "f.yaml:2: bridges.a.space: has a control character");
	bad(AMQP, "f.yaml:3: bridges.b.out: there is neither \"out\" nor \"in\"");
}

Test(bridge_cfg, each_bad_bridge_has_its_line)
{
	bad("bridges:\n"
	    "  a: {space: s, kind: amqp}\n"
	    "  b: {space: s, kind: amqp, in: [{queue: q, to: t}]}\n"
	    "  c: {space: s, kind: sqs, heartbeat: 5s, in: [{queue: q, to: t}]}\n",
	    "f.yaml:2: bridges.a.out: there is neither \"out\" nor \"in\"\n"
	    "f.yaml:4: bridges.c.heartbeat: sqs has no such thing");
}

Test(bridge_cfg, rules_that_go_out)
{
	bad(AMQP
	    "    out:\n      - {filter: a, to: {key: q}}\n      - {filter: \"a#\", to: {key: q}}\n",
	    "f.yaml:7: bridges.b.out[1].filter: # must fill a whole level");
	bad(AMQP "    out: [{to: {key: q}}]\n",
	    "f.yaml:5: bridges.b.out[0].filter: there is neither a filter nor a tag");
	bad(AMQP "    out: [{tag: \"a/b\", to: {key: q}}]\n",
	    "f.yaml:5: bridges.b.out[0].tag: a tag must not contain / + # or U+0000");
	bad(AMQP "    out: [{filter: \"$tag/red\", to: {key: q}}]\n",
	    "f.yaml:5: bridges.b.out[0].filter: nobody publishes to topics below $SYS, $share, "
	    "$tag and $queue");
	bad(AMQP "    out: [{filter: a, qos: 3, to: {key: q}}]\n",
	    "f.yaml:5: bridges.b.out[0].qos: \"3\" is out of range: 1 to 2");
	bad(AMQP "    out: [{filter: a, to: {exchange: \"{tpoic}\"}}]\n",
	    "f.yaml:5: bridges.b.out[0].to.exchange: at byte 0: {tpoic}: unknown name, did you "
	    "mean "
	    "topic?");
	bad(AMQP "    out: [{filter: a, to: {exchange: e, key: \"x.{key}\"}}]\n",
	    "f.yaml:5: bridges.b.out[0].to.key: at byte 2: only what comes from a peer has a {key} "
	    "or a "
	    "{header:NAME}");
	bad(SQS "    out: [{filter: a, to: {queue: q, group: \"{\"}}]\n",
	    "f.yaml:5: bridges.b.out[0].to.group: at byte 0: a { without its pair; {{ is one "
	    "alone");
}

#define NEVER "    out:\n      - {filter: \"a/#\", to: {key: q}}\n      - "

Test(bridge_cfg, a_rule_that_is_never_reached)
{
	static const char says[] =
	    "f.yaml:7: bridges.b.out[1]: is never reached: out[0] (f.yaml:6) takes all of it";

	bad(AMQP NEVER "{filter: \"a/b\", to: {key: r}}\n", says);
	bad(AMQP NEVER "{filter: \"a/#\", qos: 2, to: {key: r}}\n", says);
	bad(AMQP NEVER "{filter: \"a/+/c\", tag: red, to: {key: r}}\n", says);
	bad(AMQP "    out: [{tag: red, to: {key: q}}, {tag: red, filter: a, to: {key: r}}]\n",
	    "f.yaml:5: bridges.b.out[1]: is never reached: out[0] (f.yaml:5) takes all of it");
	fine(AMQP NEVER "{filter: \"+/b\", to: {key: r}}\n");
	fine(AMQP NEVER "{tag: red, to: {key: r}}\n");
	fine(AMQP "    out: [{tag: red, to: {key: q}}, {filter: a, to: {key: r}}]\n");
	fine(AMQP "    out: [{filter: a, tag: red, to: {key: q}}, {filter: a, tag: blue, to: {key: "
		  "r}}]\n");
}

Test(bridge_cfg, rules_that_come_in)
{
	bad(AMQP "    in: [{queue: q, to: \"a/{prop:x}\"}]\n",
	    "f.yaml:5: bridges.b.in[0].to: at byte 2: what comes from a peer has {header:NAME} in "
	    "place "
	    "of {prop:NAME}");
	bad(AMQP "    in: [{queue: q, to: \"a/#\"}]\n",
	    "f.yaml:5: bridges.b.in[0].to: at byte 0: no topic has a + or #");
	bad(AMQP "    in: [{queue: q, to: \"$SYS/x\"}]\n",
	    "f.yaml:5: bridges.b.in[0].to: nobody publishes to topics below $SYS, $share, $tag and "
	    "$queue");
	bad(AMQP "    in: [{queue: \"\", to: t}]\n", "f.yaml:5: bridges.b.in[0].queue: is empty");
	bad(AMQP "    in: [{queue: q, to: t, tag: \"a+\"}]\n",
	    "f.yaml:5: bridges.b.in[0].tag: a tag must not contain / + # or U+0000");
	bad(AMQP "    in: [{queue: q, to: t}, {queue: q, to: u}]\n",
	    "f.yaml:5: bridges.b.in[1].queue: is that of in[0] (f.yaml:5)");
	fine(SQS "    in: [{queue: q, to: t}, {queue: q, account: \"1\", to: u}]\n");
}

Test(bridge_cfg, pairs_of_files)
{
	bad(AMQP "    in: [{queue: q, to: t}]\n    credentials: {user-file: /u}\n",
	    "f.yaml:3: bridges.b.credentials.user-file: is nothing without "
	    "credentials.password-file");
	bad(AMQP "    in: [{queue: q, to: t}]\n    tls: {key-file: /u}\n",
	    "f.yaml:3: bridges.b.tls.key-file: is nothing without tls.cert-file");
	bad(SQS "    in: [{queue: q, to: t}]\n    credentials: {session-token-file: /u}\n",
	    "f.yaml:3: bridges.b.credentials.session-token-file: is nothing without "
	    "credentials.access-key-file");
	bad(AMQP "    in: [{queue: q, to: t}]\n    url: [amqp://a, amqp://a]\n",
	    "f.yaml:3: bridges.b.url: has one twice");
}

#define LOOPS(from, by) \
	"f.yaml:5: bridges.b.in[" from "].to: all that comes in would go back to where it came " \
	"from, by out[" by "] (f.yaml:6)"

Test(bridge_cfg, what_goes_in_circles_for_certain)
{
	bad(SQS "    in: [{queue: q, to: \"jobs/{topic}\"}]\n    out: [{filter: \"jobs/#\", to: "
		"{queue: q}}]\n",
	    LOOPS("0", "0"));
	bad(AMQP
	    "    in: [{queue: q, to: \"in/{key}\"}]\n    out: [{filter: \"in/+\", to: {key: q}}]\n",
	    LOOPS("0", "0"));
	bad(AMQP "    in: [{queue: q, to: \"x\", tag: t}]\n    out: [{tag: t, to: {key: q}}]\n",
	    LOOPS("0", "0"));
	bad(AMQP "    in: [{queue: q, to: \"x/{key:/}\", exchange: e}]\n"
		 "    out: [{filter: y, to: {key: q}}, {filter: \"#\", to: {exchange: e}}]\n",
	    LOOPS("0", "1"));
	bad(AMQP "    in: [{queue: q, to: x, exchange: e, bind: k}]\n"
		 "    out: [{filter: x, to: {exchange: e, key: k, type: direct}}]\n",
	    LOOPS("0", "0"));
}

Test(bridge_cfg, what_may_go_in_circles_is_for_hops_to_stop)
{
	fine(SQS "    in: [{queue: q, to: \"jobs/{topic}\"}]\n    out: [{filter: \"jobs/a\", to: "
		 "{queue: q}}]\n");
	fine(SQS "    in: [{queue: q, to: \"jobs\"}]\n    out: [{filter: \"jobs\", to: {queue: "
		 "other}}]\n");
	fine(SQS "    in: [{queue: q, account: \"1\", to: \"jobs\"}]\n    out: [{filter: \"jobs\", "
		 "to: {queue: q}}]\n");
	fine(AMQP "    in: [{queue: q, to: \"x\"}]\n    out: [{tag: t, to: {key: q}}]\n");
	fine(AMQP "    in: [{queue: q, to: \"x\", tag: u}]\n    out: [{tag: t, to: {key: q}}]\n");
	fine(AMQP "    in: [{queue: q, to: \"x\", exchange: e, bind: k}]\n"
		  "    out: [{filter: x, to: {exchange: e, key: l, type: direct}}]\n");
	/* another rule takes it first, or may */
	fine(AMQP "    in: [{queue: q, to: \"x/y\"}]\n"
		  "    out: [{filter: \"x/y\", to: {key: r}}, {filter: \"x/+\", to: {key: q}}]\n");
	fine(AMQP "    in: [{queue: q, to: \"x/{key}\"}]\n"
		  "    out: [{filter: \"x/y\", to: {key: r}}, {filter: \"x/+\", to: {key: q}}]\n");
}

/* A value for each key that a kind alone has. */
static void
give(struct sq_buf *to, const struct sq_config_key *k)
{
	static const char *const texts[] = {[SQ_CFG_STRING] = "x",
	    [SQ_CFG_LIST] = "[x]",
	    [SQ_CFG_BOOL] = "true",
	    [SQ_CFG_UINT] = "7",
	    [SQ_CFG_SIZE] = "2Ki",
	    [SQ_CFG_DURATION] = "7s"};

	sq_buf_printf(to, "%s", k->type == SQ_CFG_ENUM ? k->choices[1] : texts[k->type]);
}

/* A file of that kind where the key, of a bridge or a rule, is given. */
static void
file_with(struct sq_buf *to, const char *kind, const struct sq_config_key *k)
{
	const char *name = strrchr(k->name, ']'), *dot;
	bool out = strncmp(k->name, "bridges.*.out[].", 16) == 0;

	name = name != NULL ? name + 2 : k->name + strlen("bridges.*.");
	dot = strchr(name, '.');
	sq_buf_printf(to, "bridges: {b: {space: s, kind: %s, ", kind);
	if (strchr(k->name, ']') != NULL)
		sq_buf_printf(to, out ? "out: [{filter: f, " : "in: [{queue: q, to: t, ");
	else
		sq_buf_printf(to, "in: [{queue: q, to: t}], ");
	if (dot != NULL)
		sq_buf_printf(to, "%.*s: {%s: ", (int)(dot - name), name, dot + 1);
	else
		sq_buf_printf(to, "%s: ", name);
	give(to, k);
	sq_buf_printf(
	    to, "%s%s}}\n", dot != NULL ? "}" : "", strchr(k->name, ']') != NULL ? "}]" : "");
}

Test(bridge_cfg, a_key_of_another_kind_is_refused)
{
	unsigned tried = 0;

	for (size_t i = 0; i < sq_bridge_keys_n; i++) {
		const struct sq_config_key *k = &sq_bridge_keys[i];
		const char *other = strncmp(k->help, "amqp: ", 6) == 0 ? "sqs"
		    : strncmp(k->help, "sqs: ", 5) == 0                ? "amqp"
								       : NULL;
		struct sq_bridge_cfgs c;
		struct sq_buf text = {0}, err = {0}, says = {0};

		if (other == NULL)
			continue;
		tried++;
		file_with(&text, other, k);
		cr_expect(
		    sq_bridge_cfgs_read("f.yaml", sq_buf_bytes(&text), NULL, &c, &err) == SQ_EINVAL,
		    "%s", text_of(&text));
		sq_buf_printf(&says, ": %s has no such thing", other);
		cr_expect(strstr(text_of(&err), text_of(&says)) != NULL, "%s: %s", k->name,
		    text_of(&err));
		sq_bridge_cfgs_fini(&c);
		sq_buf_fini(&text);
		sq_buf_fini(&err);
		sq_buf_fini(&says);
	}
	cr_expect_eq(tried, 33, "%u", tried);
}

static int
check_says(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	if (strcmp(c->space, "shop") == 0)
		return SQ_OK;
	sq_buf_printf(err, "in[0].queue: is not mine");
	return SQ_EINVAL;
}

Test(bridge_cfg, a_kind_is_asked)
{
	struct sq_bridge_cfgs c;
	struct sq_buf err = {0};

	cr_expect(
	    sq_bridge_cfgs_read("f.yaml",
		sq_bytes_of(
		    "bridges:\n  a: {space: shop, kind: sqs, in: [{queue: q, to: t}]}\n"
		    "  b:\n    space: s\n    kind: sqs\n    in:\n      - {queue: q, to: t}\n"),
		check_says, &c, &err) == SQ_EINVAL);
	cr_expect_str_eq(text_of(&err), "f.yaml:7: bridges.b.in[0].queue: is not mine");
	sq_bridge_cfgs_fini(&c);
	sq_buf_fini(&err);
}

Test(bridge_cfg, equal_is_what_says_the_same)
{
	struct sq_bridge_cfgs a, b;

	good(AMQP "    in: [{queue: q, to: t}]\n", &a);
	good("# moved\n\n" AMQP "    window: 1000\n    in:\n      - queue: q\n        to: t\n", &b);
	cr_expect(sq_bridge_cfg_equal(bridge(&a, 0), bridge(&b, 0)));
	sq_bridge_cfgs_fini(&b);
	good(AMQP "    in: [{queue: q, to: u}]\n", &b);
	cr_expect_not(sq_bridge_cfg_equal(bridge(&a, 0), bridge(&b, 0)));
	sq_bridge_cfgs_fini(&b);
	good(AMQP "    window: 999\n    in: [{queue: q, to: t}]\n", &b);
	cr_expect_not(sq_bridge_cfg_equal(bridge(&a, 0), bridge(&b, 0)));
	sq_bridge_cfgs_fini(&b);
	sq_bridge_cfgs_fini(&a);
}

Test(bridge_cfg, the_page_has_the_table)
{
	struct sq_buf table = {0}, page = {0};

	cr_assert(sq_file_read(SQ_BRIDGES_PAGE, 1 << 20, &page) == SQ_OK);
	sq_bridge_cfg_markdown(&table);
	cr_expect(strstr(text_of(&page), text_of(&table)) != NULL, "%s has another table than:\n%s",
	    SQ_BRIDGES_PAGE, text_of(&table));
	sq_buf_fini(&table);
	sq_buf_fini(&page);
}
