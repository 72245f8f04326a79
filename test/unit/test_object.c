/* k8s/injector/object: Secrets and webhook configurations as the API server has them, and
 * the patches that change them. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/mem.h"
#include "k8s/injector/object.h"

static struct sq_buf a, b, out;

static void
tidy(void)
{
	sq_buf_fini(&a);
	sq_buf_fini(&b);
	sq_buf_fini(&out);
}

TestSuite(object, .fini = tidy);

static const struct sq_object_entry entries[] = {{"tls.crt", &a}, {"tls.key", &b}};

static json_t *
json(const char *text)
{
	json_t *v = json_loads(text, 0, NULL);

	cr_assert_not_null(v);
	return v;
}

static bool
is(const struct sq_buf *buf, const char *text)
{
	return sq_buf_len(buf) == strlen(text) &&
	    (*text == '\0' || memcmp(sq_buf_data(buf), text, strlen(text)) == 0);
}

/* Whether 'out' is that JSON; empties it. */
static bool
printed(const char *text)
{
	json_t *found = json_loadb((const char *)sq_buf_data(&out), sq_buf_len(&out), 0, NULL);
	json_t *wanted = json(text);
	bool same = json_equal(found, wanted) == 1;

	json_decref(found);
	json_decref(wanted);
	sq_buf_fini(&out);
	return same;
}

Test(object, secret_and_config_map_are_read)
{
	json_t *secret = json("{\"data\":{\"tls.crt\":\"YQ==\",\"tls.key\":\"!\",\"x\":\"YQ==\"}}");
	json_t *map = json("{\"data\":{\"tls.crt\":\"a text\",\"tls.key\":7}}");
	json_t *none = json("{\"kind\":\"Secret\"}");

	sq_object_read(secret, false, entries, 2);
	cr_assert(is(&a, "a") && is(&b, ""), "what is broken is not there");
	tidy();
	sq_object_read(map, true, entries, 2);
	cr_assert(is(&a, "a text") && is(&b, ""));
	tidy();
	sq_object_read(none, false, entries, 2);
	cr_assert(is(&a, "") && is(&b, ""));
	json_decref(secret);
	json_decref(map);
	json_decref(none);
}

Test(object, write_sets_takes_away_and_leaves_alone)
{
	json_t *was = json("{\"metadata\":{\"resourceVersion\":\"7\",\"name\":\"s\"},"
			   "\"data\":{\"tls.key\":\"YQ==\",\"other\":\"YQ==\"}}");
	json_t *empty = json("{\"metadata\":{\"resourceVersion\":\"8\"}}");

	sq_buf_append(&a, "abc", 3);
	sq_object_write(was, entries, 2, &out);
	cr_assert(printed("{\"metadata\":{\"resourceVersion\":\"7\"},"
			  "\"data\":{\"tls.crt\":\"YWJj\",\"tls.key\":null}}"));
	sq_object_write(empty, entries, 2, &out);
	cr_assert(printed("{\"metadata\":{\"resourceVersion\":\"8\"},"
			  "\"data\":{\"tls.crt\":\"YWJj\"}}"));
	json_decref(was);
	json_decref(empty);
}

#define ENTRY(name, service, bundle) \
	"{\"name\":\"" name "\",\"clientConfig\":{" bundle \
	"\"service\":{\"namespace\":\"sys\",\"name\":\"" service "\"}}}"
#define CONFIG(hooks) "{\"metadata\":{\"resourceVersion\":\"9\"},\"webhooks\":[" hooks "]}"

static enum sq_object_bundle
look(const char *config)
{
	json_t *object = json(config);
	enum sq_object_bundle found;

	sq_buf_fini(&a);
	sq_buf_append(&a, "abc", 3);
	found = sq_object_bundle(object, "sys", "inj", &a, &out);
	json_decref(object);
	return found;
}

Test(object, bundle_is_written_into_our_entries_and_no_others)
{
	cr_assert_eq(look(CONFIG(ENTRY("x", "inj", "") "," ENTRY("y", "other", "") "," ENTRY(
			 "z", "inj", "\"caBundle\":\"YWJj\","))),
	    SQ_BUNDLE_WRONG);
	cr_assert(printed("{\"metadata\":{\"resourceVersion\":\"9\"},\"webhooks\":["
			  "{\"name\":\"x\",\"clientConfig\":{\"caBundle\":\"YWJj\"}},"
			  "{\"name\":\"z\",\"clientConfig\":{\"caBundle\":\"YWJj\"}}]}"));
}

Test(object, right_bundles_are_left_and_strangers_are_none)
{
	cr_assert_eq(look(CONFIG(ENTRY("x", "inj", "\"caBundle\":\"YWJj\","))), SQ_BUNDLE_RIGHT);
	cr_assert_eq(
	    look(CONFIG(ENTRY("x", "inj", "\"caBundle\":\"YWJkZA==\","))), SQ_BUNDLE_WRONG);
	cr_assert(sq_buf_len(&out) > 0);
	sq_buf_fini(&out);
	cr_assert_eq(look(CONFIG(ENTRY("x", "inj", "\"caBundle\":7,"))), SQ_BUNDLE_WRONG);
	sq_buf_fini(&out);
	cr_assert_eq(look(CONFIG(ENTRY("x", "other", ""))), SQ_BUNDLE_NONE);
	cr_assert_eq(look(CONFIG("{\"name\":\"x\",\"clientConfig\":{\"url\":\"https://x\"}}")),
	    SQ_BUNDLE_NONE);
	cr_assert_eq(look("{}"), SQ_BUNDLE_NONE);
	cr_assert_eq(sq_buf_len(&out), 0);
}
