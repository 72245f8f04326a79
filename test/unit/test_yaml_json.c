/* YAML as kubectl reads it, and where its values stand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../k8s/patch/yaml_json.h"

static struct sq_yaml_documents
read_all(const char *text)
{
	struct sq_yaml_documents ds;
	struct sq_yaml_error err;

	cr_assert_eq(sq_yaml_json_read(text, strlen(text), &ds, &err), 0, "%u:%u: %s in\n%s",
	    err.line, err.column, err.text, text);
	return ds;
}

static void
gives(const char *yaml, const char *json)
{
	struct sq_yaml_documents ds = read_all(yaml);
	json_t *wanted = json_loads(json, JSON_DECODE_ANY, NULL);

	cr_assert_not_null(wanted, "%s", json);
	cr_assert_eq(ds.n, 1u, "%s", yaml);
	cr_assert(json_equal(ds.v[0].value, wanted), "%s is %s", yaml,
	    json_dumps(ds.v[0].value, JSON_ENCODE_ANY));
	json_decref(wanted);
	sq_yaml_documents_free(&ds);
}

static void
fails(const char *yaml, unsigned line, unsigned column, const char *why)
{
	struct sq_yaml_documents ds;
	struct sq_yaml_error err;

	cr_assert_neq(sq_yaml_json_read(yaml, strlen(yaml), &ds, &err), 0, "%s", yaml);
	cr_assert_eq(ds.n, 0u);
	cr_assert_eq(err.line, line, "%s: line %u: %s", yaml, err.line, err.text);
	cr_assert_eq(err.column, column, "%s: column %u: %s", yaml, err.column, err.text);
	cr_assert_not_null(strstr(err.text, why), "%s: %s", yaml, err.text);
}

Test(yaml_json, scalars)
{
	static const char *const cases[][2] = {
	    {"a", "\"a\""},
	    {"", ""},
	    {"~", "null"},
	    {"null", "null"},
	    {"true", "true"},
	    {"Yes", "true"},
	    {"off", "false"},
	    {"n", "false"},
	    {"'true'", "\"true\""},
	    {"\"1\"", "\"1\""},
	    {"12", "12"},
	    {"-7", "-7"},
	    {"+7", "7"},
	    {"0644", "420"},
	    {"0o644", "420"},
	    {"0x1F", "31"},
	    {"0b101", "5"},
	    {"1_000", "1000"},
	    {"1.5", "1.5"},
	    {".5", "0.5"},
	    {"1e3", "1000.0"},
	    {"08", "8.0"},
	    {"1.2.3", "\"1.2.3\""},
	    {"5m", "\"5m\""},
	    {"1e", "\"1e\""},
	    {"-", "[null]"},
	    {"0x", "\"0x\""},
	    {"2001-12-14", "\"2001-12-14\""},
	    {"12:30:45", "\"12:30:45\""},
	    {"99999999999999999999", "1e20"},
	    {"!!str 12", "\"12\""},
	    {"!!int '12'", "12"},
	    {"! 12", "\"12\""},
	    {"|\n a\n b\n", "\"a\\nb\\n\""},
	    {">-\n a\n b\n", "\"a b\""},
	    {"\"\\u00e4\\n\"", "\"\xc3\xa4\\n\""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (cases[i][1][0] != '\0')
			gives(cases[i][0], cases[i][1]);
	}
}

Test(yaml_json, maps_and_lists)
{
	gives("a: 1\nb:\n- x\n- {c: d}\n", "{\"a\": 1, \"b\": [\"x\", {\"c\": \"d\"}]}");
	gives("a:\nb: {}\nc: []\n", "{\"a\": null, \"b\": {}, \"c\": []}");
	gives("1: one\ntrue: two\n", "{\"1\": \"one\", \"true\": \"two\"}");
	gives("{\"a\": \"b\", \"c\": [1, 2]}", "{\"a\": \"b\", \"c\": [1, 2]}");
}

Test(yaml_json, anchors_and_merge_keys)
{
	gives("a: &x {k: [1]}\nb: *x\n", "{\"a\": {\"k\": [1]}, \"b\": {\"k\": [1]}}");
	gives("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n",
	    "{\"a\": {\"k\": 1, \"l\": 2}, \"b\": {\"k\": 3, \"l\": 2}}");
	gives("- &x {k: 1}\n- &y {k: 2, m: 3}\n- {n: 4, <<: [*x, *y]}\n",
	    "[{\"k\": 1}, {\"k\": 2, \"m\": 3}, {\"n\": 4, \"k\": 1, \"m\": 3}]");
	gives("- &x 1\n- &x 2\n- *x\n", "[1, 2, 2]");
}

Test(yaml_json, what_is_refused_has_a_place)
{
	fails("a: b\nc: [d\n", 3, 1, "");
	fails("a: 1\nb: 2\na: 3\n", 3, 1, "a twice");
	fails("a: *x\n", 1, 4, "*x is no anchor above");
	fails("a: &x [*x]\n", 1, 8, "no anchor above");
	fails("a: !!binary aGk=\n", 1, 4, "JSON");
	fails("a: !mine b\n", 1, 4, "the tag !mine is not taken");
	fails("a:\n  b: !!python/object {c: d}\n", 2, 6,
	    "the tag tag:yaml.org,2002:python/object is not taken");
	fails("a: !!set {c: d}\n", 1, 4, "the tag tag:yaml.org,2002:set is not taken");
	fails("a: !!map [c]\n", 1, 4, "the tag tag:yaml.org,2002:map is not taken");
	gives("a: !!map {b: !!seq [c]}\n", "{\"a\": {\"b\": [\"c\"]}}");
	fails("a: .inf\n", 1, 4, "JSON");
	fails("? [a]\n: b\n", 1, 3, "a key must be plain text");
	fails("a: {<<: 1}\n", 1, 10, "<< needs a map");
	fails("a: \"x\\0y\"\n", 1, 4, "NUL");
	fails("--- a\n--- *x\n", 2, 5, "no anchor");
	fails("a: \xff\n", 1, 4, "");
}

Test(yaml_json, what_grows_without_end_is_refused)
{
	char *deep = malloc(2 * 200 + 1);
	char laughs[4096];
	size_t n = (size_t)snprintf(laughs, sizeof laughs, "a0: &a0 [x]\n");

	memset(deep, '[', 200);
	memset(deep + 200, ']', 200);
	deep[400] = '\0';
	fails(deep, 1, 101, "within each other");
	free(deep);
	for (int i = 1; i < 30; i++)
		n += (size_t)snprintf(laughs + n, sizeof laughs - n,
		    "a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1);
	fails(laughs, 10, 10, "values");
}

Test(yaml_json, documents)
{
	struct sq_yaml_documents ds = read_all("# first\na: 1\n---\n---\nb: 2\n...\n# end\n");

	cr_assert_eq(ds.n, 3u);
	cr_assert_not(ds.v[0].separated);
	cr_assert_eq(ds.v[0].line, 2u, "%u", ds.v[0].line);
	cr_assert(json_is_null(ds.v[1].value));
	cr_assert_eq(ds.v[1].line, 3u);
	cr_assert(ds.v[2].separated);
	cr_assert_eq(ds.v[2].line, 4u);
	sq_yaml_documents_free(&ds);
	ds = read_all("");
	cr_assert_eq(ds.n, 0u);
	sq_yaml_documents_free(&ds);
}

static void
mark_is(const struct sq_yaml_documents *ds, const char *pointer, unsigned line, unsigned column)
{
	const struct sq_yaml_mark *m = sq_yaml_mark_find(ds->v[0].mark, pointer);

	cr_assert_eq(m->line, line, "%s: line %u", pointer, m->line);
	cr_assert_eq(m->column, column, "%s: column %u", pointer, m->column);
}

Test(yaml_json, each_value_has_its_place)
{
	struct sq_yaml_documents ds = read_all("a:\n"
					       "  b/c: x\n"
					       "  d:\n"
					       "  - 1\n"
					       "  - &e {f: g}\n"
					       "h: *e\n"
					       "i: {<<: *e}\n");

	mark_is(&ds, "", 1, 1);
	mark_is(&ds, "/a/b~1c", 2, 8);
	mark_is(&ds, "/a/d/0", 4, 5);
	mark_is(&ds, "/a/d/1/f", 5, 12);
	mark_is(&ds, "/h/f", 5, 12);
	mark_is(&ds, "/i/f", 5, 12);
	/* what is not there: what is around it */
	mark_is(&ds, "/a/d/7", 4, 3);
	mark_is(&ds, "/a/d/x/y", 4, 3);
	mark_is(&ds, "/h/none", 5, 5);
	cr_assert_eq(sq_yaml_mark_find(ds.v[0].mark, "/a/b~1c")->key_line, 2u);
	cr_assert_eq(sq_yaml_mark_find(ds.v[0].mark, "/a/b~1c")->key_column, 3u);
	cr_assert_eq(sq_yaml_mark_find(ds.v[0].mark, "/h")->key_line, 6u);
	sq_yaml_documents_free(&ds);
}
