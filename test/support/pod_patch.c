#include "pod_patch.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#include "k8s/patch/yaml_json.h"
#include "json_patch.h"

static const char *const bundle = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";

json_t *
pod_yaml(const char *text)
{
	struct sq_yaml_documents ds;
	struct sq_yaml_error err;
	json_t *v;

	cr_assert_eq(sq_yaml_json_read(text, strlen(text), &ds, &err), 0, "%u:%u: %s in\n%s",
	    err.line, err.column, err.text, text);
	cr_assert_eq(ds.n, 1u, "%zu documents", ds.n);
	v = json_incref(ds.v[0].value);
	sq_yaml_documents_free(&ds);
	return v;
}

struct sq_settings
pod_settings(const char *yaml)
{
	struct sq_settings s;
	struct sq_buf err = {0};

	if (yaml == NULL)
		yaml = "";
	cr_assert_eq(sq_settings_parse("settings", yaml, strlen(yaml), &s, &err), 0, "%.*s",
	    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	return s;
}

const char *
pod_notes(const struct sq_notes *notes)
{
	static char text[8192];
	struct sq_buf all = {0};

	sq_notes_print(notes, &all);
	snprintf(text, sizeof text, "%.*s", (int)sq_buf_len(&all), (const char *)sq_buf_data(&all));
	sq_buf_fini(&all);
	return text;
}

static struct sq_patch
make(const json_t *pod, const struct sq_settings *s)
{
	struct sq_patch_request rq = {
	    .pod = pod, .settings = s, .trust_bundle = bundle, .asks = SQ_ASKS};
	json_t *before = json_deep_copy(pod);
	struct sq_patch p;

	sq_patch_make(&rq, &p);
	cr_assert(json_equal(before, pod), "what was handed in stays");
	json_decref(before);
	return p;
}

json_t *
pod_patched_json(const json_t *pod, const struct sq_settings *s)
{
	struct sq_patch p = make(pod, s), again;
	json_t *applied;

	cr_assert_eq(p.outcome, SQ_PATCH_MADE, "%s", pod_notes(&p.reasons));
	applied = json_patch_apply(pod, p.ops);
	cr_assert_not_null(applied, "the patch can be applied");
	cr_assert(json_equal(applied, p.pod), "applied it gives what the core says");
	again = make(applied, s);
	cr_assert_eq(again.outcome, SQ_PATCH_MADE);
	cr_assert_eq(json_array_size(again.ops), 0u, "a second time: %s",
	    json_dumps(again.ops, JSON_INDENT(1)));
	sq_patch_free(&again);
	sq_patch_free(&p);
	return applied;
}

json_t *
pod_patched(const char *yaml, const char *settings)
{
	struct sq_settings s = pod_settings(settings);
	json_t *pod = pod_yaml(yaml), *result = pod_patched_json(pod, &s);

	json_decref(pod);
	sq_settings_free(&s);
	return result;
}

void
pod_has(json_t *pod, const char *pointer, const char *yaml)
{
	json_t *v = json_pointer_get(pod, pointer), *wanted;

	if (strcmp(yaml, "-") == 0) {
		cr_assert_null(v, "%s is there", pointer);
		return;
	}
	cr_assert_not_null(v, "%s is missing in %s", pointer, json_dumps(pod, JSON_INDENT(1)));
	wanted = pod_yaml(yaml);
	cr_assert(json_equal(v, wanted), "%s is %s", pointer,
	    json_dumps(v, JSON_ENCODE_ANY | JSON_INDENT(1)));
	json_decref(wanted);
}

void
pod_env(json_t *pod, const char *container, const char *name, const char *value)
{
	json_t *env = json_object_get(json_pointer_get(pod, container), "env"), *item;
	const char *found = "-";
	size_t i, n = 0;

	json_array_foreach(env, i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) {
			found = json_string_value(json_object_get(item, "value"));
			n++;
		}
	}
	cr_assert(n <= 1, "%s is there %zu times", name, n);
	cr_assert_str_eq(found, value, "%s", name);
}

static void
contains(const struct sq_notes *notes, va_list ap)
{
	const char *text = pod_notes(notes), *wanted;
	size_t n = 0;

	for (; (wanted = va_arg(ap, const char *)) != NULL; n++)
		cr_assert_not_null(strstr(text, wanted), "'%s' is not in: %s", wanted, text);
	cr_assert_eq(notes->n, n, "%zu: %s", notes->n, text);
}

void
pod_denied(const char *yaml, ...)
{
	struct sq_settings s = pod_settings(NULL);
	json_t *pod = pod_yaml(yaml);
	struct sq_patch p = make(pod, &s);
	va_list ap;

	cr_assert_eq(p.outcome, SQ_PATCH_DENIED, "%s", yaml);
	cr_assert_null(p.ops);
	va_start(ap, yaml);
	contains(&p.reasons, ap);
	va_end(ap);
	sq_patch_free(&p);
	json_decref(pod);
	sq_settings_free(&s);
}

void
pod_warned(const char *yaml, ...)
{
	struct sq_settings s = pod_settings(NULL);
	json_t *pod = pod_yaml(yaml);
	struct sq_patch p = make(pod, &s);
	va_list ap;

	cr_assert_eq(p.outcome, SQ_PATCH_MADE, "%s", pod_notes(&p.reasons));
	va_start(ap, yaml);
	contains(&p.warnings, ap);
	va_end(ap);
	sq_patch_free(&p);
	json_decref(pod);
	sq_settings_free(&s);
}
