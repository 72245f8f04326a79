/* Declarations as the JSON of the API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/suggest.h"
#include "proto/declaration/declaration_priv.h"
#include "proto/json/json.h"

/* A text with the most bindings has fewer. */
enum { TOKENS_MAX = 4096, NAME_MAX = 64 };

static const char bindings_name[] = "bindings";
static const char *const binding_names[] = {"id", "filter", "tag", "qos"};

/* A setting's name in JSON, with its group, as a string. */
static const char *
json_name(const struct sq_setting *s, char out[NAME_MAX])
{
	struct sq_buf b = {0};
	size_t n;

	sq_setting_camel(s->name, strlen(s->name), &b);
	n = sq_buf_len(&b) < NAME_MAX - 1 ? sq_buf_len(&b) : NAME_MAX - 1;
	memcpy(out, sq_buf_data(&b), n);
	out[n] = '\0';
	sq_buf_fini(&b);
	return out;
}

/* Reading. */

struct json_in {
	struct sq_json_tokens t;
	struct sq_declaration *out;
	struct sq_buf *err;
	bool paths; /* of files are good */
};

/* A string's text; freed by the caller.  NULL: it is no string, or has U+0000. */
static char *
json_text(const struct json_in *in, uint32_t i)
{
	struct sq_buf b = {0};
	char *text = NULL;

	if (in->t.at[i].type != SQ_JSON_STRING)
		return NULL;
	sq_json_unescape(&in->t, i, &b);
	if (sq_buf_len(&b) == 0 || memchr(sq_buf_data(&b), '\0', sq_buf_len(&b)) == NULL)
		text = sq_xmemdup0(sq_buf_data(&b), sq_buf_len(&b));
	sq_buf_fini(&b);
	return text;
}

static int
json_unknown(
    struct json_in *in, const char *group, uint32_t name, const char *const *known, size_t n)
{
	struct sq_bytes raw = sq_json_raw(&in->t, name);
	struct sq_suggest s = sq_suggest_start((const char *)raw.p, raw.len);

	for (size_t i = 0; i < n; i++)
		sq_suggest_offer(&s, known[i], strlen(known[i]), known[i], strlen(known[i]));
	sq_buf_printf(in->err, "%s", group);
	sq_setting_quote(in->err, raw);
	sq_buf_printf(in->err, ": unknown member");
	if (s.best != NULL)
		sq_buf_printf(in->err, ", did you mean %.*s?", (int)s.best_len, s.best);
	return SQ_EINVAL;
}

/* A value of JSON that no setting of that type has; NULL: it is good. */
static const char *
json_type_fault(const struct sq_setting *s, uint8_t type)
{
	if (s->type == SQ_SETTING_BOOL)
		return type == SQ_JSON_TRUE || type == SQ_JSON_FALSE ? NULL
								     : "is not true or false";
	if (s->type == SQ_SETTING_STATUSES) /* or one of them, or as text, with commas */
		return type == SQ_JSON_ARRAY || type == SQ_JSON_STRING || type == SQ_JSON_NUMBER
		    ? NULL
		    : "is not an array";
	if (s->type == SQ_SETTING_HEADERS)
		return type == SQ_JSON_OBJECT ? NULL : "is not an object";
	if (sq_setting_may_be_none(s))
		return type == SQ_JSON_STRING ? NULL : "is not a string";
	if (type == SQ_JSON_FALSE && s->type == SQ_SETTING_WORD && strcmp(s->words[0], "off") == 0)
		return NULL;
	return type == SQ_JSON_STRING || type == SQ_JSON_NUMBER ? NULL
								: "is not a string or a number";
}

/* A list of statuses as one text. */
static int
json_statuses(struct json_in *in, const struct sq_setting *s, uint32_t array, struct sq_buf *why)
{
	struct sq_buf list = {0};
	int rc = SQ_OK;

	for (uint32_t i = sq_json_first(&in->t, array); rc == SQ_OK && i != 0;) {
		uint8_t type = in->t.at[i].type;
		struct sq_bytes raw = sq_json_raw(&in->t, i);

		if ((type != SQ_JSON_STRING && type != SQ_JSON_NUMBER) || raw.len == 0 ||
		    memchr(raw.p, ',', raw.len) != NULL) {
			sq_buf_printf(why, "has something that is no status");
			rc = SQ_EINVAL;
		}
		if (sq_buf_len(&list) > 0)
			sq_buf_u8(&list, ',');
		sq_buf_append(&list, raw.p, raw.len);
		i = sq_json_next(&in->t, array, i);
	}
	if (rc == SQ_OK)
		rc = sq_setting_set(in->out, s, sq_buf_bytes(&list), why);
	sq_buf_fini(&list);
	return rc;
}

/* A map of headers in place of that of before. */
static int
json_headers(struct json_in *in, const struct sq_setting *s, uint32_t object, struct sq_buf *why)
{
	int rc = SQ_OK;

	sq_setting_reset(in->out, s);
	for (uint32_t i = sq_json_first(&in->t, object); rc == SQ_OK && i != 0;) {
		uint32_t value = in->t.at[i].next;
		char *name = json_text(in, i), *text = json_text(in, value);

		if (name != NULL && text != NULL)
			rc = sq_setting_set_header(
			    in->out, sq_bytes_of(name), sq_bytes_of(text), why);
		else
			rc = SQ_EINVAL;
		if (rc != SQ_OK && sq_buf_len(why) == 0)
			sq_buf_printf(why, "is not a string without U+0000");
		if (rc != SQ_OK) {
			struct sq_buf where = {0};

			sq_setting_quote(&where, sq_json_raw(&in->t, i));
			sq_buf_printf(
			    &where, ": %.*s", (int)sq_buf_len(why), (const char *)sq_buf_data(why));
			sq_buf_drain(why, sq_buf_len(why));
			sq_buf_append(why, sq_buf_data(&where), sq_buf_len(&where));
			sq_buf_fini(&where);
		}
		free(name);
		free(text);
		i = sq_json_next(&in->t, object, value);
	}
	return rc;
}

/* A path of a file where there may be none. */
static int
json_path(const struct sq_setting *s, const char *name, struct sq_buf *why)
{
	size_t len = strlen(name);

	sq_buf_printf(why, "names a file, as files of subscribers.dir alone may");
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (sq_settings[i].type == SQ_SETTING_SECRET &&
		    strlen(sq_settings[i].name) + strlen("-file") == strlen(s->name) &&
		    strncmp(sq_settings[i].name, s->name, strlen(sq_settings[i].name)) == 0)
			sq_buf_printf(why, "; %.*s takes a name in push.secrets-dir",
			    (int)(len - strlen("File")), name);
	}
	return SQ_EINVAL;
}

/* The value of a setting, of the JSON type that it has; null is its default. */
static int
json_value(struct json_in *in, const struct sq_setting *s, uint32_t i, struct sq_buf *why)
{
	uint8_t type = in->t.at[i].type;
	const char *fault = json_type_fault(s, type);
	char *text = json_text(in, i);
	int rc = SQ_EINVAL;

	if (type == SQ_JSON_NULL) {
		sq_setting_reset(in->out, s);
		rc = SQ_OK;
	} else if (fault != NULL) {
		sq_buf_printf(why, "%s", fault);
	} else if (s->type == SQ_SETTING_STATUSES && type == SQ_JSON_ARRAY) {
		rc = json_statuses(in, s, i, why);
	} else if (s->type == SQ_SETTING_HEADERS) {
		rc = json_headers(in, s, i, why);
	} else {
		rc = sq_setting_set(
		    in->out, s, text != NULL ? sq_bytes_of(text) : sq_json_raw(&in->t, i), why);
	}
	free(text);
	return rc;
}

static int
json_setting(struct json_in *in, const struct sq_setting *s, const char *name, uint32_t i)
{
	struct sq_buf why = {0};
	int rc;

	if (s->type == SQ_SETTING_FILE && in->t.at[i].type != SQ_JSON_NULL && !in->paths)
		rc = json_path(s, name, &why);
	else
		rc = json_value(in, s, i, &why);
	if (rc != SQ_OK)
		sq_buf_printf(in->err, "%s%s%.*s", name,
		    s->type == SQ_SETTING_HEADERS && in->t.at[i].type == SQ_JSON_OBJECT ? "."
											: ": ",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

/* Whether an object names a member once at most. */
static int
json_once(struct json_in *in, uint32_t object, const char *const *names, size_t n)
{
	uint32_t *found = sq_xcalloc(n, sizeof *found);
	struct sq_json_error e;
	int rc = sq_json_members(&in->t, object, names, n, found, &e);

	if (rc != SQ_OK)
		sq_buf_printf(in->err, "at byte %zu: %s", e.offset, e.why);
	free(found);
	return rc;
}

static int
json_binding_member(
    struct json_in *in, struct sq_declared_binding *b, uint32_t name, uint32_t value)
{
	const char *const *names = binding_names;
	char **const texts[] = {&b->id, &b->filter, &b->tag};
	size_t k = 0;

	while (
	    k < SQ_ARRAY_LEN(binding_names) && !sq_json_equals(&in->t, name, sq_bytes_of(names[k])))
		k++;
	if (k == SQ_ARRAY_LEN(binding_names))
		return json_unknown(in, "", name, names, k);
	if (k < SQ_ARRAY_LEN(texts)) {
		*texts[k] = json_text(in, value);
		if (*texts[k] != NULL)
			return SQ_OK;
		sq_buf_printf(in->err, "%s: is not a string without U+0000", names[k]);
		return SQ_EINVAL;
	}
	if (sq_bytes_are(sq_json_raw(&in->t, value), "1"))
		b->qos = 1;
	else if (sq_bytes_are(sq_json_raw(&in->t, value), "2"))
		b->qos = 2;
	else
		b->qos = 0; /* refused as such */
	return SQ_OK;
}

/* Reads an object into a binding, whose faults begin with a member's name. */
static int
json_binding(struct json_in *in, uint32_t object)
{
	struct sq_declared_binding b = {.qos = 1};
	int rc = SQ_OK;

	for (uint32_t i = sq_json_first(&in->t, object); rc == SQ_OK && i != 0;) {
		uint32_t value = in->t.at[i].next;

		rc = json_binding_member(in, &b, i, value);
		i = sq_json_next(&in->t, object, value);
	}
	if (rc == SQ_OK)
		return sq_declaration_bind_owned(in->out, &b, in->err);
	sq_declared_binding_fini(&b);
	return rc;
}

/* The k-th binding. */
static int
json_binding_at(struct json_in *in, uint32_t i, unsigned k)
{
	struct sq_buf why = {0}, *err = in->err;
	int rc;

	if (in->t.at[i].type != SQ_JSON_OBJECT) {
		sq_buf_printf(err, "%s[%u]: is not an object", bindings_name, k);
		return SQ_EINVAL;
	}
	rc = json_once(in, i, binding_names, SQ_ARRAY_LEN(binding_names));
	if (rc != SQ_OK)
		return rc;
	in->err = &why;
	rc = json_binding(in, i);
	in->err = err;
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s[%u].%.*s", bindings_name, k, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

static int
json_bindings(struct json_in *in, uint32_t array)
{
	unsigned k = 0;
	int rc = SQ_OK;

	if (in->t.at[array].type != SQ_JSON_ARRAY) {
		sq_buf_printf(in->err, "%s: is not an array", bindings_name);
		return SQ_EINVAL;
	}
	sq_declaration_unbind_all(in->out); /* those of before */
	for (uint32_t i = sq_json_first(&in->t, array); rc == SQ_OK && i != 0; k++) {
		rc = json_binding_at(in, i, k);
		i = sq_json_next(&in->t, array, i);
	}
	return rc;
}

/* The names within 'prefix' ("" or "retry."): of settings, and of groups with their settings. */
static size_t
json_known(const char *prefix, char names[][NAME_MAX], const char *known[])
{
	size_t n = 0, len = strlen(prefix);

	for (size_t i = 0; i < sq_n_settings; i++) {
		char *dot;

		json_name(&sq_settings[i], names[n]);
		if (strncmp(names[n], prefix, len) != 0)
			continue;
		memmove(names[n], names[n] + len, strlen(names[n] + len) + 1);
		dot = strchr(names[n], '.');
		if (dot != NULL)
			*dot = '\0';
		if (n > 0 && strcmp(names[n], names[n - 1]) == 0)
			continue;
		known[n] = names[n];
		n++;
	}
	if (len == 0)
		known[n++] = bindings_name;
	return n;
}

static int json_object(struct json_in *in, const char *prefix, uint32_t object);

/* Has the settings of a group ("push.") be their defaults. */
static void
json_reset(struct json_in *in, const char *group)
{
	char spelled[NAME_MAX];

	for (size_t i = 0; i < sq_n_settings; i++) {
		if (!sq_setting_is_alias(&sq_settings[i]) &&
		    strncmp(json_name(&sq_settings[i], spelled), group, strlen(group)) == 0)
			sq_setting_reset(in->out, &sq_settings[i]);
	}
}

/* A member whose name within 'prefix' is known: a setting, or a group. */
static int
json_member(struct json_in *in, const char *prefix, const char *name, uint32_t value)
{
	char full[2 * NAME_MAX], spelled[NAME_MAX], group[2 * NAME_MAX + 1];

	(void)snprintf(full, sizeof full, "%s%s", prefix, name);
	if (strcmp(full, bindings_name) == 0)
		return json_bindings(in, value);
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (strcmp(json_name(&sq_settings[i], spelled), full) == 0 &&
		    (!sq_setting_is_alias(&sq_settings[i]) ||
			in->t.at[value].type == SQ_JSON_STRING))
			return json_setting(in, &sq_settings[i], full, value);
	}
	(void)snprintf(group, sizeof group, "%s.", full);
	if (in->t.at[value].type == SQ_JSON_NULL) {
		json_reset(in, group);
		return SQ_OK;
	}
	if (in->t.at[value].type != SQ_JSON_OBJECT) {
		sq_buf_printf(in->err, "%s: is not an object", full);
		return SQ_EINVAL;
	}
	return json_object(in, group, value);
}

static int
json_object(struct json_in *in, const char *prefix, uint32_t object)
{
	char(*names)[NAME_MAX] = sq_xcalloc(sq_n_settings + 1, sizeof *names);
	const char **known = sq_xcalloc(sq_n_settings + 1, sizeof *known);
	size_t n = json_known(prefix, names, known);
	int rc = json_once(in, object, known, n);

	for (uint32_t i = sq_json_first(&in->t, object); rc == SQ_OK && i != 0;) {
		uint32_t value = in->t.at[i].next;
		size_t k = 0;

		while (k < n && !sq_json_equals(&in->t, i, sq_bytes_of(known[k])))
			k++;
		rc = k < n ? json_member(in, prefix, known[k], value)
			   : json_unknown(in, prefix, i, known, n);
		i = sq_json_next(&in->t, object, value);
	}
	free(names);
	free(known);
	return rc;
}

static int
json_read(struct json_in *in, struct sq_bytes text)
{
	struct sq_json_error e = {0};
	int rc;

	in->t.at = sq_xcalloc(TOKENS_MAX, sizeof *in->t.at);
	in->t.room = TOKENS_MAX;
	in->t.depth = SQ_JSON_DEPTH_MAX;
	rc = sq_json_read(&in->t, text, &e);
	if (rc != SQ_OK) {
		sq_buf_printf(in->err, "at byte %zu: %s", e.offset, e.why);
		rc = SQ_EINVAL;
	} else if (in->t.at[0].type != SQ_JSON_OBJECT) {
		sq_buf_printf(in->err, "is not a JSON object");
		rc = SQ_EINVAL;
	} else {
		rc = json_object(in, "", 0);
	}
	free(in->t.at);
	return rc;
}

int
sq_declaration_read_json(struct sq_declaration *out, struct sq_bytes text, struct sq_buf *err)
{
	struct json_in in = {.out = out, .err = err};
	int rc = json_read(&in, text);

	return rc == SQ_OK ? sq_declaration_check(out, err) : rc;
}

int
sq_declaration_read_push(struct sq_declaration *out, struct sq_bytes text, struct sq_buf *err)
{
	struct json_in in = {.out = out, .err = err, .paths = true};

	return json_read(&in, text);
}
