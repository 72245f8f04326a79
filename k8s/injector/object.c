/* JSON of the Kubernetes API; see k8s/injector/object.h. */
#include "k8s/injector/object.h"

#include <stdlib.h>
#include <string.h>

#include "core/base64.h"

static const char *
object_version(const json_t *object)
{
	return json_string_value(
	    json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
}

void
sq_object_read(const json_t *object, bool plain, const struct sq_object_entry *entries, size_t n)
{
	const json_t *data = json_object_get(object, "data");

	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_object_get(data, entries[i].name);

		if (!json_is_string(v))
			continue;
		if (plain)
			sq_buf_append(
			    entries[i].value, json_string_value(v), json_string_length(v));
		else if (sq_base64_take(entries[i].value, json_string_value(v),
			     json_string_length(v)) != SQ_OK)
			sq_buf_fini(entries[i].value);
	}
}

/* A string with bytes in base64, which leaves no copy of them behind. */
static json_t *
object_encoded(const struct sq_buf *value)
{
	struct sq_buf text = {0};
	json_t *v;

	sq_base64_put(&text, sq_buf_data(value), sq_buf_len(value));
	v = json_stringn((const char *)sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_wipe(&text);
	return v;
}

static json_t *
object_patch(const json_t *object)
{
	const char *version = object_version(object);

	return json_pack(
	    "{s:{s:s}}", "metadata", "resourceVersion", version != NULL ? version : "");
}

static void
object_print(json_t *patch, struct sq_buf *out)
{
	char *text = json_dumps(patch, JSON_COMPACT);
	size_t len = strlen(text);

	sq_buf_append(out, text, len);
	explicit_bzero(text, len);
	free(text);
	json_decref(patch);
}

void
sq_object_write(
    const json_t *object, const struct sq_object_entry *entries, size_t n, struct sq_buf *out)
{
	json_t *patch = object_patch(object), *data = json_object();
	const json_t *had = json_object_get(object, "data");

	for (size_t i = 0; i < n; i++) {
		if (sq_buf_len(entries[i].value) > 0)
			json_object_set_new(
			    data, entries[i].name, object_encoded(entries[i].value));
		else if (json_object_get(had, entries[i].name) != NULL)
			json_object_set_new(data, entries[i].name, json_null());
	}
	json_object_set_new(patch, "data", data);
	object_print(patch, out);
}

/* ---- webhook configurations ---- */

static bool
object_is_text(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

/* Whether an entry's bundle is that text. */
static bool
object_has_bundle(const json_t *config, const struct sq_buf *bundle)
{
	struct sq_buf is = {0};
	const struct sq_object_entry entry = {"caBundle", &is};
	json_t *as_data = json_pack("{s:O}", "data", config);
	bool same;

	sq_object_read(as_data, false, &entry, 1);
	same = sq_buf_equal(&is, bundle);
	json_decref(as_data);
	sq_buf_fini(&is);
	return same;
}

enum sq_object_bundle
sq_object_bundle(const json_t *object, const char *name_space, const char *service,
    const struct sq_buf *bundle, struct sq_buf *out)
{
	json_t *entries = json_object_get(object, "webhooks"), *list = json_array(), *entry, *patch;
	enum sq_object_bundle found = SQ_BUNDLE_NONE;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		json_t *config = json_object_get(entry, "clientConfig");
		const json_t *of = json_object_get(config, "service");
		const json_t *name = json_object_get(entry, "name");

		if (!object_is_text(json_object_get(of, "name"), service) ||
		    !object_is_text(json_object_get(of, "namespace"), name_space) ||
		    !json_is_string(name))
			continue;
		if (!object_has_bundle(config, bundle))
			found = SQ_BUNDLE_WRONG;
		else if (found == SQ_BUNDLE_NONE)
			found = SQ_BUNDLE_RIGHT;
		json_array_append_new(list,
		    json_pack("{s:O,s:{s:o}}", "name", name, "clientConfig", "caBundle",
			object_encoded(bundle)));
	}
	if (found == SQ_BUNDLE_WRONG) {
		patch = object_patch(object);
		json_object_set(patch, "webhooks", list);
		object_print(patch, out);
	}
	json_decref(list);
	return found;
}
