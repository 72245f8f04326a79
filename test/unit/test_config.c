/* core/config: each layer, their order, and the error lines people read. */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/mem.h"

struct cfg {
	char *listen, *ca;
	struct sq_strings brokers;
	bool clear;
	uint64_t pool, outbox, grace, memory;
	unsigned level;
};

static const char *const automatic[] = {"auto", NULL};
static const char *const levels[] = {"debug", "info", "warn", NULL};

/* Rows leave out members that are zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct sq_config_key keys[] = {
    {"listen", SQ_CFG_STRING, offsetof(struct cfg, listen), "127.0.0.1:1883", 0, 0, NULL, "L."},
    {"tls.ca-file", SQ_CFG_STRING, offsetof(struct cfg, ca), NULL, 0, 0, NULL, "CA."},
    {"brokers", SQ_CFG_LIST, offsetof(struct cfg, brokers), "a:1, b:2", 0, 0, NULL, "B."},
    {"clear", SQ_CFG_BOOL, offsetof(struct cfg, clear), NULL, 0, 0, NULL, "C."},
    {"pool.size", SQ_CFG_UINT, offsetof(struct cfg, pool), "2", 1, 64, NULL, "P."},
    {"pool.grace", SQ_CFG_DURATION, offsetof(struct cfg, grace), "30s", 100, 3600000, NULL, "G."},
    {"outbox", SQ_CFG_SIZE, offsetof(struct cfg, outbox), "8Mi", 0, 0, automatic, "O."},
    {"memory", SQ_CFG_SIZE, offsetof(struct cfg, memory), "64Ki", 4096, 0, automatic, "M."},
    {"log.level", SQ_CFG_ENUM, offsetof(struct cfg, level), "info", 0, 0, levels, "Level."},
};
#define N SQ_ARRAY_LEN(keys)

static struct cfg cfg;
static struct sq_buf err;

static void
tidy(void)
{
	sq_config_free(&cfg, keys, N);
	sq_buf_fini(&err);
}

TestSuite(config, .fini = tidy);

static const char *
error(void)
{
	sq_buf_u8(&err, 0);
	return (const char *)sq_buf_data(&err);
}

static int
yaml(const char *text)
{
	sq_config_free(&cfg, keys, N);
	memset(&cfg, 0, sizeof cfg);
	sq_buf_fini(&err);
	return sq_config_yaml(&cfg, keys, N, "f.yaml", text, strlen(text), &err);
}

static void
yaml_fails(const char *text, const char *line)
{
	cr_assert_eq(yaml(text), SQ_EINVAL, "%s", text);
	cr_assert_str_eq(error(), line);
}

static int
load(char **argv, char **envp)
{
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	sq_config_free(&cfg, keys, N);
	memset(&cfg, 0, sizeof cfg);
	sq_buf_fini(&err);
	return sq_config_load(&cfg, keys, N, argc, argv, envp, &err);
}

#define ARGS(...) ((char *[]){"prog", __VA_ARGS__ __VA_OPT__(, ) NULL})
#define ENV(...) ((char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

Test(config, defaults_alone)
{
	cr_assert_eq(load(ARGS(), ENV("PATH=/bin")), 0);
	cr_assert_str_eq(cfg.listen, "127.0.0.1:1883");
	cr_assert_null(cfg.ca);
	cr_assert_eq(cfg.brokers.n, 2);
	cr_assert_str_eq(cfg.brokers.v[1], "b:2");
	cr_assert(!cfg.clear);
	cr_assert_eq(cfg.pool, 2);
	cr_assert_eq(cfg.grace, 30000);
	cr_assert_eq(cfg.outbox, 8u << 20);
	cr_assert_eq(cfg.level, 1);
}

Test(config, a_word_may_stand_for_0)
{
	cr_assert_eq(yaml("memory: auto\n"), 0);
	cr_assert_eq(cfg.memory, 0, "whatever the least is");
	cr_assert_eq(yaml("memory: 4Ki\n"), 0);
	cr_assert_eq(cfg.memory, 4096);
	yaml_fails("memory: 0\n", "f.yaml:1: memory: \"0\" is out of range: 4Ki or more");
	yaml_fails("memory: much\n",
	    "f.yaml:1: memory: \"much\" is not a size like 4096, 64Ki, 8Mi or 1Gi or auto");
}

Test(config, a_word_is_no_0_where_that_is_a_value)
{
	cr_assert_eq(yaml("outbox: auto\n"), 0);
	cr_assert_eq(cfg.outbox, UINT64_MAX);
	cr_assert_eq(yaml("outbox: 0\n"), 0);
	cr_assert_eq(cfg.outbox, 0);
}

Test(config, yaml_sets_every_type)
{
	cr_assert_eq(yaml("# comment\n"
			  "listen: '[::1]:1883'\n"
			  "tls:\n  ca-file: /etc/ca.pem\n"
			  "brokers:\n  - x:1\n  - \"y,z:2\"\n"
			  "clear: true\n"
			  "pool: {size: 64, grace: 250ms}\n"
			  "outbox: 64Ki\n"
			  "log:\n  level: warn\n"),
	    0);
	cr_assert_str_eq(cfg.listen, "[::1]:1883");
	cr_assert_str_eq(cfg.ca, "/etc/ca.pem");
	cr_assert_eq(cfg.brokers.n, 2);
	cr_assert_str_eq(cfg.brokers.v[1], "y,z:2", "a comma in a YAML item is a comma");
	cr_assert(cfg.clear);
	cr_assert_eq(cfg.pool, 64);
	cr_assert_eq(cfg.grace, 250);
	cr_assert_eq(cfg.outbox, 65536);
	cr_assert_eq(cfg.level, 2);
}

Test(config, empty_files_and_emptied_maps_are_fine)
{
	cr_assert_eq(yaml(""), 0);
	cr_assert_eq(yaml("# nothing\n"), 0);
	cr_assert_eq(yaml("---\n...\n"), 0);
	cr_assert_eq(yaml("tls:\n  # ca-file: x\nclear: true\n"), 0);
	cr_assert(cfg.clear);
	cr_assert_eq(yaml("brokers: []\nlisten: ''\n"), 0);
	cr_assert_eq(cfg.brokers.n, 0);
	cr_assert_null(cfg.listen);
}

Test(config, yaml_errors_name_line_key_and_reason)
{
	yaml_fails("clear: true\npool:\n  sise: 3\n",
	    "f.yaml:3: pool.sise: unknown key, did you mean pool.size?");
	yaml_fails("polo:\n  size: 3\n", "f.yaml:1: polo: unknown key, did you mean pool?");
	yaml_fails("zzzzzz: 1\n", "f.yaml:1: zzzzzz: unknown key");
	yaml_fails("pool.size: 3\n",
	    "f.yaml:1: \"pool.size\" has a dot; write \"pool:\" and the rest below it");
	yaml_fails("listen: a\n\nlisten: b\n", "f.yaml:3: listen: given twice, first on line 1");
	yaml_fails("pool: {size: 3}\npool: {grace: 1s}\n", "f.yaml:2: pool: given twice");
	yaml_fails("pool: 3\n", "f.yaml:1: pool: takes keys below it, not a value");
	yaml_fails("listen:\n  x: 3\n", "f.yaml:2: listen: takes a value, not keys below it");
	yaml_fails("listen: [a]\n", "f.yaml:1: listen: takes one value, not a list");
	yaml_fails("brokers: [[a]]\n", "f.yaml:1: brokers: each item must be a text");
	yaml_fails("listen:\n", "f.yaml:1: listen: needs a value");
	yaml_fails("- a\n", "f.yaml:1: expected \"key: value\" lines");
	yaml_fails("listen: a\n---\nlisten: b\n", "f.yaml:2: more than one document");
	yaml_fails("? [a]\n: b\n", "f.yaml:1: a key must be a plain word");
	yaml_fails("listen: &x a\n", "f.yaml:1:9: listen: anchors and tags are not supported");
	yaml_fails("listen: *x\n", "f.yaml:1:9: listen: aliases are not supported");
	yaml_fails("listen: !!str a\n", "f.yaml:1:9: listen: anchors and tags are not supported");
	yaml_fails("clear: true\nlog: !!python/object {level: warn}\n",
	    "f.yaml:2:6: log: anchors and tags are not supported");
	yaml_fails(
	    "brokers: !!set [a]\n", "f.yaml:1:10: brokers: anchors and tags are not supported");
	yaml_fails("brokers: &b [a]\n", "f.yaml:1:10: brokers: anchors and tags are not supported");
	yaml_fails("!!map\nclear: true\n", "f.yaml:1:1: anchors and tags are not supported");
	yaml_fails("listen: \"a\\0b\"\n", "f.yaml:1: listen: has a NUL character");
	cr_assert_eq(yaml("listen: a\n\tb: c\n"), SQ_EINVAL);
	cr_assert_eq(strncmp(error(), "f.yaml:2: not YAML: ", 20), 0, "%s", error());
}

Test(config, values_are_checked)
{
	yaml_fails("pool:\n  size: 65\n", "f.yaml:2: pool.size: \"65\" is out of range: 1 to 64");
	yaml_fails("pool:\n  size: 0\n", "f.yaml:2: pool.size: \"0\" is out of range: 1 to 64");
	yaml_fails("pool:\n  size: -1\n", "f.yaml:2: pool.size: \"-1\" is not a number");
	yaml_fails("pool:\n  size: 2x\n", "f.yaml:2: pool.size: \"2x\" is not a number");
	yaml_fails(
	    "pool:\n  grace: 2h\n", "f.yaml:2: pool.grace: \"2h\" is out of range: 100ms to 1h");
	yaml_fails("pool:\n  grace: 5\n",
	    "f.yaml:2: pool.grace: \"5\" is not a duration like 250ms, 30s, 5m or 24h");
	yaml_fails("outbox: 8MB\n",
	    "f.yaml:1: outbox: \"8MB\" is not a size like 4096, 64Ki, 8Mi or 1Gi or auto");
	yaml_fails("outbox: 17179869184Gi\n",
	    "f.yaml:1: outbox: \"17179869184Gi\" is not a size like 4096, 64Ki, 8Mi or 1Gi or "
	    "auto");
	yaml_fails("outbox: 18446744073709551616\n",
	    "f.yaml:1: outbox: \"18446744073709551616\" is not a size like 4096, 64Ki, 8Mi or 1Gi "
	    "or auto");
	yaml_fails("clear: yes\n", "f.yaml:1: clear: \"yes\" is not true or false");
	yaml_fails("log: {level: loud}\n",
	    "f.yaml:1: log.level: \"loud\" is not one of debug, info, warn");
	yaml_fails("brokers: a,,b\n", "f.yaml:1: brokers: has an empty item");
	yaml_fails("brokers: a,\n", "f.yaml:1: brokers: has an empty item");
	yaml_fails("clear: \"a\\nb\"\n", "f.yaml:1: clear: \"a?b\" is not true or false");
	cr_assert_eq(yaml("outbox: 18446744073709551615\n"), 0);
	cr_assert_eq(cfg.outbox, UINT64_MAX);
}

Test(config, cut_yaml_never_crashes)
{
	static const char all[] = "tls:\n  ca-file: \"x\"\nbrokers: [a, 'b']\npool: {size: 3}\n";

	for (size_t len = 0; len < sizeof all; len++) {
		char *cut = sq_xmemdup0(all, len);
		int rc = yaml(cut);

		cr_assert(rc == 0 || (rc == SQ_EINVAL && sq_buf_len(&err) != 0));
		free(cut);
	}
}

Test(config, environment_errors_name_the_variable)
{
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_POOL_SISE=3")), SQ_EINVAL);
	cr_assert_str_eq(error(),
	    "environment: SQMQOS_POOL_SISE: unknown variable, did you mean SQMQOS_POOL_SIZE?");
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_POOL_SIZE=x")), SQ_EINVAL);
	cr_assert_str_eq(error(), "environment: SQMQOS_POOL_SIZE: \"x\" is not a number");
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_=x")), SQ_EINVAL);
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_TLS_CA_FILE=/x", "SQMQOS_BROKERS=q")), 0);
	cr_assert_str_eq(cfg.ca, "/x");
	cr_assert_eq(cfg.brokers.n, 1);
}

Test(config, variables_of_the_command_line_are_no_errors)
{
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_ADMIN=http://x:1", "SQMQOS_URL=mqtt://x")), 0);
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_TOKEN_FILE=/t", "SQMQOS_CA_FILE=/c")), 0);
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_URLS=x")), SQ_EINVAL);
}

Test(config, variables_of_kubernetes_services_are_no_errors)
{
	cr_assert_eq(
	    load(ARGS(),
		ENV("SQMQOS_BROKER_SERVICE_HOST=10.0.0.1", "SQMQOS_BROKER_SERVICE_PORT=443",
		    "SQMQOS_BROKER_SERVICE_PORT_LINK=443", "SQMQOS_BROKER_PORT=tcp://10.0.0.1:443",
		    "SQMQOS_BROKER_PORT_443_TCP=tcp://10.0.0.1:443",
		    "SQMQOS_BROKER_PORT_443_TCP_PROTO=tcp", "SQMQOS_BROKER_PORT_443_TCP_PORT=443",
		    "SQMQOS_BROKER_PORT_443_TCP_ADDR=10.0.0.1")),
	    0);
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_BROKER_PORT=443")), SQ_EINVAL);
	cr_assert_eq(
	    load(ARGS(),
		ENV("SQMQOS_SERVICE_HOST=10.0.0.1", "SQMQOS_SERVICE_PORT=443",
		    "SQMQOS_SERVICE_PORT_LINK=443", "SQMQOS_PORT=tcp://10.0.0.1:443",
		    "SQMQOS_PORT_443_TCP=tcp://10.0.0.1:443", "SQMQOS_PORT_443_TCP_PROTO=tcp",
		    "SQMQOS_PORT_443_TCP_PORT=443", "SQMQOS_PORT_443_TCP_ADDR=10.0.0.1")),
	    0, "of a Service that is named sqmqos");
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_PORT=443")), SQ_EINVAL);
}

Test(config, flag_errors_name_the_flag)
{
	cr_assert_eq(load(ARGS("--pool.sise", "3"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--pool.sise: unknown flag, did you mean --pool.size?");
	cr_assert_eq(load(ARGS("--pool.size"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--pool.size: needs a value");
	cr_assert_eq(load(ARGS("--pool.size=3", "--pool.size", "4"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--pool.size: given twice");
	cr_assert_eq(load(ARGS("--pool.size=many"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--pool.size: \"many\" is not a number");
	cr_assert_eq(load(ARGS("stray"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "arguments: unexpected \"stray\"");
	cr_assert_eq(load(ARGS("--"), ENV()), SQ_EINVAL);
	cr_assert_eq(load(ARGS("--=x"), ENV()), SQ_EINVAL);
	cr_assert_eq(load(ARGS("--config"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--config: needs a value");
}

Test(config, later_layers_win)
{
	char path[] = "/tmp/sq_test_config_XXXXXX", var[100] = "SQMQOS_CONFIG=";
	int fd = mkstemp(path);
	static const char text[] = "listen: file\npool: {size: 10, grace: 10s}\noutbox: 1Ki\n";

	cr_assert_neq(fd, -1);
	cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
	close(fd);
	strcat(var, path);
	cr_assert_eq(load(ARGS("--pool.size=12", "--listen", "--odd"),
			 ENV(var, "SQMQOS_POOL_SIZE=11", "SQMQOS_OUTBOX=2Ki")),
	    0);
	cr_assert_eq(cfg.pool, 12, "the flag");
	cr_assert_eq(cfg.outbox, 2048, "the environment");
	cr_assert_eq(cfg.grace, 10000, "the file");
	cr_assert_eq(cfg.level, 1, "the default");
	cr_assert_str_eq(cfg.listen, "--odd");
	cr_assert_eq(load(ARGS("--config", path), ENV("SQMQOS_CONFIG=/nonexistent")), 0);
	cr_assert_str_eq(cfg.listen, "file");
	unlink(path);
}

Test(config, unreadable_files_are_errors)
{
	cr_assert_eq(load(ARGS("--config=/nonexistent/x"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--config: /nonexistent/x: No such file or directory");
	cr_assert_eq(load(ARGS("--config=/tmp"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--config: /tmp: not a regular file");
	cr_assert_eq(load(ARGS("--config=/dev/zero"), ENV()), SQ_EINVAL);
	cr_assert_str_eq(error(), "--config: /dev/zero: not a regular file");
	cr_assert_eq(load(ARGS(), ENV("SQMQOS_CONFIG=/nonexistent/x")), SQ_EINVAL);
	cr_assert_str_eq(error(), "SQMQOS_CONFIG: /nonexistent/x: No such file or directory");
	cr_assert_eq(load(ARGS("--config="), ENV()), 0, "an empty name is none");
}

Test(config, help_and_reference_name_every_key)
{
	sq_config_help(keys, N, &err);
	sq_config_markdown(keys, N, &err);
	error();
	cr_assert_not_null(strstr((char *)err.base, "  --pool.size number\n      P. [2]\n"));
	cr_assert_not_null(strstr((char *)err.base, "  --log.level debug|info|warn\n"));
	cr_assert_not_null(
	    strstr((char *)err.base, "| `pool.grace` | duration, 100ms to 1h | `30s` |  | G. |\n"));
	cr_assert_not_null(strstr((char *)err.base, "| `tls.ca-file` | text | none |  | CA. |\n"));
}

Test(config, the_reference_says_what_is_live)
{
	static const struct sq_config_key rows[] = {
	    {"a", SQ_CFG_RECORDS, 0, NULL, sizeof(struct sq_config_record), 0, NULL, "A.", true},
	    {"a[].b", SQ_CFG_STRING, 0, NULL, 0, 0, NULL, "B.", false},
	    {"c", SQ_CFG_STRING, 0, NULL, 0, 0, NULL, "C.", false},
	};

	sq_config_markdown(rows, SQ_ARRAY_LEN(rows), &err);
	error();
	cr_expect_not_null(strstr((char *)err.base, "| `a` | list of maps | none | yes | A. |\n"));
	cr_expect_not_null(strstr((char *)err.base, "| `a[].b` | text | none | yes | B. |\n"));
	cr_expect_not_null(strstr((char *)err.base, "| `c` | text | none |  | C. |\n"));
}

/* ---- records ---- */

struct person {
	struct sq_config_record record;
	char *mail;
	uint64_t age;
	struct sq_strings tags;
};

struct people {
	struct sq_config_records list, named;
	char *after;
};

static const struct sq_config_key people_keys[] = {
    {"a.list", SQ_CFG_RECORDS, offsetof(struct people, list), NULL, sizeof(struct person), 1, NULL,
	"L."},
    {"a.list[].mail", SQ_CFG_STRING, offsetof(struct person, mail), NULL, 0, 0, NULL, "M."},
    {"a.list[].age", SQ_CFG_UINT, offsetof(struct person, age), "7", 1, 9, NULL, "A."},
    {"named", SQ_CFG_NAMED, offsetof(struct people, named), NULL, sizeof(struct person), 0, NULL,
	"N."},
    {"named.*.tags", SQ_CFG_LIST, offsetof(struct person, tags), NULL, 0, 0, NULL, "T."},
    {"after", SQ_CFG_STRING, offsetof(struct people, after), NULL, 0, 0, NULL, "After."},
};
#define PEOPLE SQ_ARRAY_LEN(people_keys)

static struct people people;

static int
records(const char *text, char **argv, int argc, char **envp)
{
	int rc = 0;

	sq_config_free(&people, people_keys, PEOPLE);
	memset(&people, 0, sizeof people);
	sq_buf_fini(&err);
	if (text != NULL)
		rc = sq_config_yaml(
		    &people, people_keys, PEOPLE, "f.yaml", text, strlen(text), &err);
	if (rc == 0)
		rc = sq_config_load(&people, people_keys, PEOPLE, argc, argv, envp, &err);
	return rc;
}

static const struct person *
person(const struct sq_config_records *all, size_t i)
{
	return (const struct person *)all->v + i;
}

Test(config, records_are_read_from_the_file)
{
	cr_assert_eq(records("a:\n  list:\n    - mail: x\n    - age: 3\n      mail: y\n"
			     "named:\n  shop.a:\n    tags: [p, q]\n  other: {}\nafter: z\n",
			 NULL, 0, NULL),
	    0, "%s", error());
	cr_assert_eq(people.list.n, 2);
	cr_assert_str_eq(person(&people.list, 0)->mail, "x");
	cr_assert_eq(person(&people.list, 0)->age, 7);
	cr_assert_str_eq(person(&people.list, 0)->record.where, "f.yaml:3");
	cr_assert_str_eq(person(&people.list, 1)->mail, "y");
	cr_assert_eq(person(&people.list, 1)->age, 3);
	cr_assert_str_eq(person(&people.list, 1)->record.where, "f.yaml:4");
	cr_assert_null(person(&people.list, 1)->record.name);
	cr_assert_eq(people.named.n, 2);
	cr_assert_str_eq(person(&people.named, 0)->record.name, "shop.a");
	cr_assert_eq(person(&people.named, 0)->tags.n, 2);
	cr_assert_str_eq(person(&people.named, 1)->record.name, "other");
	cr_assert_str_eq(people.after, "z");
	sq_config_free(&people, people_keys, PEOPLE);
	cr_assert_eq(people.list.n, 0);
}

static size_t differing;

/* What differs between two texts, but for the live key 'except'. */
static const char *
differ(const char *a, const char *b, const char *except)
{
	struct sq_config_key rows[PEOPLE];
	struct people other;

	cr_assert_eq(records(a, NULL, 0, NULL), 0);
	other = people;
	people = (struct people){0};
	cr_assert_eq(records(b, NULL, 0, NULL), 0);
	memcpy(rows, people_keys, sizeof rows);
	for (size_t i = 0; i < PEOPLE; i++)
		rows[i].live = except != NULL && strcmp(rows[i].name, except) == 0;
	differing = sq_config_differ(&other, &people, rows, PEOPLE, 2, &err);
	sq_config_free(&other, people_keys, PEOPLE);
	return error();
}

Test(config, keys_that_differ_are_named)
{
	static const char one[] = "a: {list: [{mail: x}]}\nnamed: {n: {tags: [p, q]}}\nafter: z\n";

	cr_expect_str_eq(differ(one, one, NULL), "");
	cr_expect_str_eq(differ(one,
			     "named: {n: {tags: [p, q]}}\nafter: z\n\n\n"
			     "a: {list: [{mail: x, age: 7}]}\n",
			     NULL),
	    "", "what is written otherwise is the same");
	cr_expect_str_eq(differ(one, "a: {list: [{mail: y}]}\nnamed: {n: {tags: [p, q]}}\n", NULL),
	    "a.list, after");
	cr_expect_str_eq(differ(one,
			     "a: {list: [{mail: x, age: 8}]}\nnamed: {n: {tags: [p, q]}}\n"
			     "after: z\n",
			     NULL),
	    "a.list");
	cr_expect_str_eq(
	    differ(one, "a: {list: [{mail: x}]}\nnamed: {n: {tags: [p]}}\n", "after"), "named");
	cr_expect_str_eq(
	    differ(one, "a: {list: [{mail: x}]}\nnamed: {m: {tags: [p, q]}}\n", "after"), "named");
	cr_expect_str_eq(differ(one, "a: {list: [{mail: x}]}\nnamed: {n: {tags: [p]}}\nafter: z\n",
			     "named.*.tags"),
	    "", "a live key of a record");
	cr_expect_str_eq(differ(one, "a: {list: [{mail: x}]}\nnamed: {m: {tags: [p]}}\nafter: z\n",
			     "named.*.tags"),
	    "named", "another record");
	cr_expect_str_eq(differ(one, "", NULL), "a.list, named and 1 more");
	cr_expect_eq(differing, 3);
	cr_expect_str_eq(differ("", one, "named"), "a.list, after");
	sq_config_free(&people, people_keys, PEOPLE);
}

Test(config, errors_in_records_name_file_line_and_key)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"a:\n  list:\n    - mail: x\n    - mial: y\n",
		"f.yaml:4: a.list[1].mial: unknown key, did you mean a.list[].mail?"},
	    {"a:\n  list:\n    - age: 3\n", "f.yaml:3: a.list[0]: needs mail"},
	    {"a:\n  list:\n    - mail: x\n    - age: 3\n", "f.yaml:4: a.list[1]: needs mail"},
	    {"a:\n  list:\n    - mail: x\n      age: 10\n",
		"f.yaml:4: a.list[0].age: \"10\" is out of range: 1 to 9"},
	    {"a:\n  list:\n    - mail: x\n      mail: y\n",
		"f.yaml:4: a.list[0].mail: given twice, first on line 3"},
	    {"a:\n  list:\n    - x\n", "f.yaml:3: a.list[0]: must be a map"},
	    {"a:\n  list: x\n", "f.yaml:2: a.list: takes a list of maps"},
	    {"a:\n  list:\n", "f.yaml:2: a.list: takes a list of maps"},
	    {"a:\n  list[]:\n    mail: x\n", "f.yaml:2: a.list[]: unknown key"},
	    {"named: [x]\n", "f.yaml:1: named: takes names with a map below each"},
	    {"named:\n  \"*\": {tags: a}\n  x: {tag: a}\n",
		"f.yaml:3: named.x.tag: unknown key, did you mean named.*.tags?"},
	    {"named:\n  x: {tags: a}\n  x: {}\n", "f.yaml:3: named.x: given twice"},
	    {"named:\n  x: y\n", "f.yaml:2: named.x: must be a map"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(cases); i++) {
		cr_expect_neq(records(cases[i].text, NULL, 0, NULL), 0, "%s", cases[i].text);
		cr_expect_eq(strncmp(error(), cases[i].error, strlen(cases[i].error)), 0,
		    "%s\ninstead of\n%s", error(), cases[i].error);
	}
	sq_config_free(&people, people_keys, PEOPLE);
}

Test(config, records_in_variables_and_flags_are_yaml_and_replace_the_files)
{
	char *envp[] = {"SQMQOS_A_LIST=[{mail: e, age: 2}]", NULL};
	char *argv[] = {"p", "--named", "{x: {tags: [t]}}"};
	char *bad[] = {"SQMQOS_A_LIST=[{mail: e, age: two}]", NULL};
	char *inner[] = {"p", "--a.list[].mail", "x"};

	cr_assert_eq(records("a:\n  list:\n    - mail: x\n    - mail: y\n", argv, 3, envp), 0);
	cr_assert_eq(people.list.n, 1);
	cr_assert_str_eq(person(&people.list, 0)->mail, "e");
	cr_assert_eq(people.named.n, 1);
	cr_assert_neq(records(NULL, NULL, 0, bad), 0);
	cr_assert_str_eq(error(),
	    "environment: SQMQOS_A_LIST: a.list:1: a.list[0].age: \"two\" is not a number");
	cr_assert_neq(records(NULL, inner, 3, NULL), 0);
	sq_config_free(&people, people_keys, PEOPLE);
}
