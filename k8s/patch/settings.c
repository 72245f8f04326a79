/* The settings' table and its reader; see settings.h. */
#include "k8s/patch/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/suggest.h"
#include "k8s/patch/yaml_json.h"
#include "proto/annotations/quantity.h"

const char *const sq_resource_names[SQ_RESOURCES] = {"cpu", "memory", "ephemeral-storage"};

enum type {
	T_TEXT,     /* char * */
	T_NAME,     /* char *, not empty */
	T_CHOICE,   /* char *, one of 'wants' */
	T_QUANTITY, /* char *, NULL where there is none */
	T_PORT,     /* uint16_t */
	T_SECONDS,  /* uint32_t */
	T_BOOL,     /* bool */
	T_USER,     /* int64_t */
	T_SECRETS,  /* the list */
};

struct key {
	const char *path; /* with slashes */
	enum type type;
	size_t offset;
	const char *def;
	const char *wants;
};

#define KEY(path, type, field, def, wants) \
	{ \
		path, type, offsetof(struct sq_settings, field), def, wants \
	}
static const struct key keys[] = {
    KEY("/version", T_NAME, version, SQ_VERSION, "a version, as a text"),
    KEY("/namespace", T_NAME, space, "sqmqos-system", "a namespace"),
    KEY("/fullname", T_NAME, fullname, "sqmqos", "a name"),
    KEY("/clusterDomain", T_NAME, cluster_domain, "cluster.local", "a domain"),
    KEY("/imagePullSecrets", T_SECRETS, secrets, NULL, "a list of at most 16 names"),
    KEY("/sidecar/image/registry", T_TEXT, registry, "", "a text"),
    KEY("/sidecar/image/repository", T_NAME, repository, "sqmqos/sidecar", "a name"),
    KEY("/sidecar/image/tag", T_TEXT, tag, "", "a text"),
    KEY("/sidecar/image/digest", T_TEXT, digest, "", "a text"),
    KEY("/sidecar/image/pullPolicy", T_CHOICE, pull_policy, "IfNotPresent",
	"Always IfNotPresent Never"),
    KEY("/sidecar/resources/requests/cpu", T_QUANTITY, requests[SQ_RESOURCE_CPU], "5m",
	"a quantity such as 5m"),
    KEY("/sidecar/resources/requests/memory", T_QUANTITY, requests[SQ_RESOURCE_MEMORY], "8Mi",
	"a quantity such as 8Mi"),
    KEY("/sidecar/resources/requests/ephemeral-storage", T_QUANTITY, requests[SQ_RESOURCE_STORAGE],
	NULL, "a quantity such as 8Mi"),
    KEY("/sidecar/resources/limits/cpu", T_QUANTITY, limits[SQ_RESOURCE_CPU], NULL,
	"a quantity such as 100m"),
    KEY("/sidecar/resources/limits/memory", T_QUANTITY, limits[SQ_RESOURCE_MEMORY], "64Mi",
	"a quantity such as 64Mi"),
    KEY("/sidecar/resources/limits/ephemeral-storage", T_QUANTITY, limits[SQ_RESOURCE_STORAGE],
	NULL, "a quantity such as 8Mi"),
    KEY("/sidecar/adminPort", T_PORT, admin_port, "7481", "a number from 1 to 65535"),
    KEY("/sidecar/logLevel", T_CHOICE, log_level, "info", "debug info warn error"),
    KEY("/sidecar/logFormat", T_CHOICE, log_format, "text", "text json"),
    KEY("/sidecar/security/seccomp", T_BOOL, seccomp, "true", "true or false"),
    KEY("/sidecar/security/coreDumps", T_BOOL, core_dumps, "false", "true or false"),
    KEY("/sidecar/runAsUser", T_USER, run_as_user, "65532",
	"a number from 1 to 2147483647, or null"),
    KEY("/broker/port", T_PORT, broker_port, "7443", "a number from 1 to 65535"),
    KEY("/broker/adminPort", T_PORT, broker_admin_port, "9090", "a number from 1 to 65535"),
    KEY("/tracing/endpoint", T_TEXT, tracing.endpoint, "", "a text"),
    KEY("/tracing/sample", T_NAME, tracing.sample, "0.01", "a text with a number from 0 to 1"),
    KEY("/tracing/traceparent", T_CHOICE, tracing.traceparent, "sampled", "sampled all"),
    KEY("/auth/audience", T_NAME, audience, "sqmqos", "a text"),
    KEY("/auth/tokenExpirySeconds", T_SECONDS, token_expiry_s, "3600",
	"a number from 600 to 4294967295"),
};

static void *
key_place(struct sq_settings *s, const struct key *k)
{
	return (char *)s + k->offset;
}

static bool
key_is_text(const struct key *k)
{
	return k->type <= T_QUANTITY;
}

/* A default, as it would be written. */
static void
key_default(struct sq_settings *s, const struct key *k)
{
	void *to = key_place(s, k);

	if (key_is_text(k))
		*(char **)to = k->def != NULL ? sq_xstrdup(k->def) : NULL;
	else if (k->type == T_PORT)
		*(uint16_t *)to = (uint16_t)strtoul(k->def, NULL, 10);
	else if (k->type == T_SECONDS)
		*(uint32_t *)to = (uint32_t)strtoul(k->def, NULL, 10);
	else if (k->type == T_BOOL)
		*(bool *)to = strcmp(k->def, "true") == 0;
	else if (k->type == T_USER)
		*(int64_t *)to = (int64_t)strtol(k->def, NULL, 10);
}

void
sq_settings_init(struct sq_settings *s)
{
	*s = (struct sq_settings){0};
	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++)
		key_default(s, &keys[i]);
}

void
sq_settings_free(struct sq_settings *s)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++) {
		if (key_is_text(&keys[i]))
			free(*(char **)key_place(s, &keys[i]));
	}
	for (size_t i = 0; i < s->n_secrets; i++)
		free(s->secrets[i]);
	*s = (struct sq_settings){0};
}

/* Whether 'text' is one of the words, which have spaces between them. */
static bool
choice_has(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (const char *w = words; len > 0 && *w != '\0'; w += strspn(w, " ")) {
		size_t n = strcspn(w, " ");

		if (n == len && memcmp(w, text, n) == 0)
			return true;
		w += n;
	}
	return false;
}

static int
text_put(char **to, const char *text)
{
	free(*to);
	*to = text != NULL ? sq_xstrdup(text) : NULL;
	return 0;
}

/* Quantities may be written as numbers ("cpu: 1"). */
static int
quantity_put(char **to, const json_t *v)
{
	char number[64];
	const char *text = json_string_value(v), *why;
	uint64_t milli;

	if (json_is_number(v)) {
		snprintf(number, sizeof number, "%.15g", json_number_value(v));
		text = number;
	}
	if (text == NULL || sq_quantity_parse(text, strlen(text), &milli, &why) != 0)
		return SQ_EINVAL;
	return text_put(to, text);
}

static int
secrets_put(struct sq_settings *s, const json_t *v)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > SQ_SETTINGS_SECRETS_MAX)
		return SQ_EINVAL;
	json_array_foreach(v, i, item)
	{
		/* By its name, or as Kubernetes writes it. */
		const char *name = json_string_value(
		    json_is_object(item) ? json_object_get(item, "name") : item);

		if (name == NULL || name[0] == '\0')
			return SQ_EINVAL;
		s->secrets[s->n_secrets++] = sq_xstrdup(name);
	}
	return 0;
}

static int
number_get(const json_t *v, json_int_t min, json_int_t max, json_int_t *out)
{
	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= min && *out <= max ? 0 : SQ_EINVAL;
}

/* Takes a value that is there. */
static int
key_take(struct sq_settings *s, const struct key *k, const json_t *v)
{
	void *to = key_place(s, k);
	const char *text = json_string_value(v);
	json_int_t number;
	int rc = SQ_EINVAL;

	switch (k->type) {
	case T_TEXT:
		return text != NULL ? text_put(to, text) : SQ_EINVAL;
	case T_NAME:
		return text != NULL && text[0] != '\0' ? text_put(to, text) : SQ_EINVAL;
	case T_CHOICE:
		return text != NULL && choice_has(k->wants, text) ? text_put(to, text) : SQ_EINVAL;
	case T_QUANTITY:
		return json_is_null(v) ? text_put(to, NULL) : quantity_put(to, v);
	case T_PORT:
		if ((rc = number_get(v, 1, UINT16_MAX, &number)) == 0)
			*(uint16_t *)to = (uint16_t)number;
		return rc;
	case T_SECONDS:
		if ((rc = number_get(v, 600, UINT32_MAX, &number)) == 0)
			*(uint32_t *)to = (uint32_t)number;
		return rc;
	case T_BOOL:
		if (!json_is_boolean(v))
			return SQ_EINVAL;
		*(bool *)to = json_is_true(v);
		return 0;
	case T_USER:
		if (json_is_null(v))
			number = -1;
		else if (number_get(v, 1, INT32_MAX, &number) != 0)
			return SQ_EINVAL;
		*(int64_t *)to = number;
		return 0;
	case T_SECRETS:
		return json_is_null(v) ? 0 : secrets_put(s, v);
	}
	return SQ_EINVAL;
}

/* --- the tree --- */

struct walk {
	const char *source;
	const struct sq_yaml_mark *root;
	struct sq_settings *out;
	struct sq_buf *err;
};

/* "/sidecar/image" as "sidecar.image", at most 'max' bytes. */
static void
path_dotted(const char *path, char *out, size_t max)
{
	size_t n = 0;

	for (; *path != '\0' && n + 1 < max; path++) {
		if (n > 0 || *path != '/')
			out[n++] = *path == '/' ? '.' : *path;
	}
	out[n] = '\0';
}

/* The reason comes in three parts. */
static int
walk_fail(const struct walk *w, const char *path, const char *a, const char *b, const char *c)
{
	char dotted[256];
	const struct sq_yaml_mark *m = sq_yaml_mark_find(w->root, path);

	path_dotted(path, dotted, sizeof dotted);
	sq_buf_printf(w->err, "%s:%u: %s%s%s%s%s", w->source,
	    m->key_line != 0 ? m->key_line : m->line, dotted[0] != '\0' ? dotted : "the settings",
	    " ", a, b, c);
	return SQ_EINVAL;
}

static int
walk_unknown(const struct walk *w, const char *path)
{
	struct sq_suggest s = sq_suggest_start(path, strlen(path));

	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++)
		sq_suggest_offer(
		    &s, keys[i].path, strlen(keys[i].path), keys[i].path, strlen(keys[i].path));
	if (s.best != NULL) {
		char near[256];

		path_dotted(s.best, near, sizeof near);
		return walk_fail(w, path, "is unknown, did you mean ", near, "?");
	}
	return walk_fail(w, path, "is unknown", "", "");
}

static bool
path_is_group(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++) {
		if (strncmp(keys[i].path, path, len) == 0 && keys[i].path[len] == '/')
			return true;
	}
	return false;
}

static const struct key *
key_find(const char *path)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].path, path) == 0)
			return &keys[i];
	}
	return NULL;
}

static int walk_map(const struct walk *w, const char *path, const json_t *map);

static int
walk_value(const struct walk *w, const char *path, const json_t *v)
{
	const struct key *k = key_find(path);

	if (k == NULL)
		return path_is_group(path) ? walk_map(w, path, v) : walk_unknown(w, path);
	if (key_take(w->out, k, v) == 0)
		return 0;
	return walk_fail(w, path, "must be ", k->type == T_CHOICE ? "one of: " : "", k->wants);
}

static int
walk_map(const struct walk *w, const char *path, const json_t *map)
{
	char below[256];
	const char *name;
	json_t *v;
	int rc;

	if (json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return walk_fail(w, path, "must be a map", "", "");
	json_object_foreach((json_t *)map, name, v)
	{
		if (strpbrk(name, "/~") != NULL || strlen(name) > 64)
			return walk_fail(w, path, "has an unknown key: ", name, "");
		snprintf(below, sizeof below, "%s/%s", path, name);
		if ((rc = walk_value(w, below, v)) != 0)
			return rc;
	}
	return 0;
}

int
sq_settings_parse(
    const char *source, const char *text, size_t len, struct sq_settings *out, struct sq_buf *err)
{
	struct sq_yaml_documents ds;
	struct sq_yaml_error bad;
	struct walk w = {source, NULL, out, err};
	int rc;

	*out = (struct sq_settings){0};
	if (len > SQ_SETTINGS_SIZE_MAX) {
		sq_buf_printf(err, "%s:1: more than %d bytes", source, SQ_SETTINGS_SIZE_MAX);
		return SQ_EINVAL;
	}
	if (sq_yaml_json_read(text, len, &ds, &bad) != 0) {
		sq_buf_printf(err, "%s:%u: %s", source, bad.line, bad.text);
		return SQ_EINVAL;
	}
	sq_settings_init(out);
	rc = 0;
	if (ds.n > 1) {
		sq_buf_printf(err, "%s:%u: one document is enough", source, ds.v[1].line);
		rc = SQ_EINVAL;
	} else if (ds.n == 1) {
		w.root = ds.v[0].mark;
		rc = walk_map(&w, "", ds.v[0].value);
	}
	sq_yaml_documents_free(&ds);
	if (rc != 0)
		sq_settings_free(out);
	return rc;
}

void
sq_settings_image(const struct sq_settings *s, struct sq_buf *out)
{
	sq_buf_printf(out, "%s%s%s", s->registry, s->registry[0] != '\0' ? "/" : "", s->repository);
	if (s->digest[0] != '\0')
		sq_buf_printf(out, "@%s", s->digest);
	else
		sq_buf_printf(out, ":%s", s->tag[0] != '\0' ? s->tag : s->version);
}
