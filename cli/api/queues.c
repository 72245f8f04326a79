#include "cli/api/queues.h"

#include <stdlib.h>
#include <string.h>

#include "cli/api/shown.h"
#include "cli/view/safe.h"
#include "core/mem.h"
#include "core/percent.h"

enum {
	QUEUES_PAGES_MAX = 100000,
	NAME_MAX_BYTES = 64, /* of a setting */
	REDRIVE_PAGE = 1000, /* letters that one request publishes, unless it says fewer */
};

/* ---- declarations ---- */

/* Writes a name in camelCase; false: it is too long. */
static bool
camel_name(const char *name, size_t len, char out[NAME_MAX_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool dash = name[i] == '-' && n > 0 && i + 1 < len && name[i + 1] >= 'a' &&
		    name[i + 1] <= 'z';

		if (n + 1 == NAME_MAX_BYTES)
			return false;
		out[n++] = dash ? (char)(name[++i] - 'a' + 'A') : name[i];
	}
	out[n] = '\0';
	return true;
}

/* The same of a name that stays as it is. */
static bool
own_name(const char *name, size_t len, char out[NAME_MAX_BYTES])
{
	if (len >= NAME_MAX_BYTES)
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	return true;
}

/* Whether the members of that member have names of their own, as headers have. */
static bool
is_map(const char *name)
{
	return strcmp(name, "headers") == 0;
}

void
sq_api_queue_camel(json_t *value)
{
	char name[NAME_MAX_BYTES];
	const char *key;
	json_t *member, *renamed;
	size_t i;

	json_array_foreach(value, i, member) sq_api_queue_camel(member);
	if (!json_is_object(value))
		return;
	renamed = json_object();
	json_object_foreach(value, key, member)
	{
		bool fits = camel_name(key, strlen(key), name);

		if (!is_map(key))
			sq_api_queue_camel(member);
		json_object_set(renamed, fits ? name : key, member);
	}
	json_object_clear(value);
	json_object_update(value, renamed);
	json_decref(renamed);
}

static json_t *
set_value(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	if (json_is_number(value) || json_is_boolean(value) || json_is_null(value))
		return value;
	json_decref(value);
	return json_string(text);
}

int
sq_api_queue_set(json_t *declaration, const char *setting, struct sq_buf *err)
{
	const char *equals = strchr(setting, '='), *name = setting;
	json_t *at = declaration, *value = equals != NULL ? set_value(equals + 1) : NULL;
	char member[NAME_MAX_BYTES] = "";

	while (value != NULL && name < equals) {
		bool own = is_map(member); /* whose values are texts, numbers too */
		size_t len = strcspn(name, own ? "=" : ".=");
		json_t *below;

		if (len == 0 ||
		    !(own ? own_name(name, len, member) : camel_name(name, len, member)))
			break;
		if (name[len] == '=') {
			if (own && !json_is_null(value)) {
				json_decref(value);
				value = json_string(equals + 1);
			}
			json_object_set_new(at, member, value);
			return SQ_OK;
		}
		below = json_object_get(at, member);
		if (!json_is_object(below)) {
			below = json_object();
			json_object_set_new(at, member, below);
		}
		at = below;
		name += len + 1;
	}
	json_decref(value);
	sq_buf_printf(err, "--set is SETTING=VALUE, as order=key or retry.first=1s, not ");
	sq_safe(err, setting, strlen(setting));
	return SQ_EINVAL;
}

void
sq_api_binding_id(struct sq_buf *out, const char *filter, const char *tag)
{
	if (tag != NULL)
		sq_buf_printf(out, "$tag/%s%s", tag, filter != NULL ? "/" : "");
	if (filter != NULL)
		sq_buf_append(out, filter, strlen(filter));
}

/* ---- requests ---- */

int
sq_api_queue(struct sq_api *api, const char *method, const char *queue, const char *rest,
    const json_t *body, long *status, struct sq_buf *answer, struct sq_buf *err)
{
	struct sq_buf path = {0};
	struct sq_api_request r = {.method = method};
	struct sq_api_answer got;
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc = SQ_EINVAL;

	sq_buf_printf(&path, "/v1/queues/");
	sq_percent_put(&path, queue);
	sq_buf_printf(&path, "%s%c", rest, 0);
	r.path = (char *)sq_buf_data(&path);
	if (text != NULL) {
		r.body = sq_bytes_of(text);
		r.content_type = "application/json";
	}
	if (body != NULL && text == NULL)
		sq_buf_printf(err, "what is to be sent is not UTF-8");
	else
		rc = sq_api_ask(api, &r, &got, err);
	if (rc == SQ_OK) {
		*status = got.status;
		if (answer != NULL)
			sq_buf_append(answer, got.body.p, got.body.len);
	}
	free(text);
	sq_buf_fini(&path);
	return rc;
}

static int
queues_strange(struct sq_buf *err)
{
	sq_buf_printf(err, "the answer has no queues; is it a broker's HTTP API?");
	return SQ_EINVAL;
}

/* Adds the queues of one page; '*next' is a text of the answer, or NULL after the last one. */
static int
queues_page(struct sq_api *api, const char *after, json_t *all, char **next, struct sq_buf *err)
{
	struct sq_buf path = {0};
	struct sq_api_request r = {.method = "GET"};
	struct sq_api_answer got;
	json_t *page = NULL;
	const char *name;
	int rc;

	sq_buf_printf(&path, "/v1/queues?after=");
	sq_percent_put(&path, after);
	sq_buf_u8(&path, '\0');
	r.path = (char *)sq_buf_data(&path);
	*next = NULL;
	rc = sq_api_ask(api, &r, &got, err);
	sq_buf_fini(&path);
	if (rc != SQ_OK)
		return rc;
	page = sq_shown_parse(got.body);
	if (!json_is_array(json_object_get(page, "queues")))
		rc = queues_strange(err);
	else
		json_array_extend(all, json_object_get(page, "queues"));
	name = json_string_value(json_object_get(page, "next"));
	if (rc == SQ_OK && name != NULL)
		*next = sq_xstrdup(name);
	json_decref(page);
	return rc;
}

static int
queues_all(struct sq_api *api, json_t *all, struct sq_buf *err)
{
	char *after = sq_xstrdup(""), *next = NULL;
	int rc = SQ_OK;

	for (int i = 0; i < QUEUES_PAGES_MAX && after != NULL && rc == SQ_OK; i++) {
		rc = queues_page(api, after, all, &next, err);
		free(after);
		after = next;
	}
	free(after);
	return rc;
}

/* ---- for people ---- */

static void
list_print(const json_t *all, struct sq_buf *out)
{
	static const struct sq_shown_column columns[] = {{"NAME", "name", false},
	    {"ORDER", "settings.order", false}, {"READY", "counts.ready", true},
	    {"LEASED", "counts.leased", true}, {"PARKED", "counts.parked", true},
	    {"DEAD", "counts.dead", true}, {"OLDEST", "counts.oldestAge", true},
	    {"MEMBERS", "consumers.members", true}, {"POLLERS", "consumers.pollers", true},
	    {"PAUSED", "paused", false}, {"STATE", "push.state", false},
	    {"PUSH", "settings.push.url", false}};

	sq_shown_list(all, columns, sizeof columns / sizeof columns[0], out);
}

int
sq_api_queues_list(struct sq_api *api, bool json, struct sq_buf *out, struct sq_buf *err)
{
	json_t *all = json_array();
	int rc = queues_all(api, all, err);
	char *text;

	if (rc == SQ_OK && json) {
		text = json_dumps(all, JSON_INDENT(1));
		sq_buf_printf(out, "%s\n", text);
		free(text);
	} else if (rc == SQ_OK) {
		list_print(all, out);
	}
	json_decref(all);
	return rc;
}

int
sq_api_queues_show(
    struct sq_api *api, const char *queue, bool json, struct sq_buf *out, struct sq_buf *err)
{
	struct sq_buf answer = {0};
	json_t *shown = NULL;
	long status;
	int rc = sq_api_queue(api, "GET", queue, "", NULL, &status, &answer, err);

	if (rc == SQ_OK && json) {
		sq_buf_append(out, sq_buf_data(&answer), sq_buf_len(&answer));
	} else if (rc == SQ_OK) {
		shown = sq_shown_parse(sq_buf_bytes(&answer));
		sq_shown_object(shown, out);
		rc = json_is_object(shown) ? SQ_OK : queues_strange(err);
	}
	json_decref(shown);
	sq_buf_fini(&answer);
	return rc;
}

/* ---- dead letters ---- */

static void
redrive_member(json_t *body, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(body, name, json_string(value));
}

/* One page; '*after' is where the next one begins, NULL after the last. */
static int
redrive_page(struct sq_api *api, const char *path, const json_t *body, struct sq_api_redrive *r,
    json_t **after, struct sq_buf *err)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct sq_api_request request = {
	    .method = "POST", .path = path, .content_type = "application/json"};
	struct sq_api_answer got;
	json_t *said = NULL;
	int rc = SQ_EINVAL;

	request.body = sq_bytes_of(text);
	if (text == NULL)
		sq_buf_printf(err, "what is to be sent is not UTF-8");
	else
		rc = sq_api_ask(api, &request, &got, err);
	if (rc == SQ_OK && (said = sq_shown_parse(got.body)) == NULL) {
		sq_buf_printf(err, "the answer is no JSON; is it a broker's HTTP API?");
		rc = SQ_EINVAL;
	}
	r->done += (uint64_t)json_integer_value(json_object_get(said, "done"));
	r->stayed += (uint64_t)json_integer_value(json_object_get(said, "stayed"));
	if (json_is_true(json_object_get(said, "more")))
		*after = json_incref(json_object_get(said, "next"));
	json_decref(said);
	free(text);
	return rc;
}

int
sq_api_redrive(struct sq_api *api, struct sq_api_redrive *r, struct sq_buf *err)
{
	struct sq_buf path = {0};
	json_t *body = json_object(), *after = NULL;
	int rc;

	sq_buf_printf(&path, "/v1/dead-letters/");
	sq_percent_put(&path, r->space);
	sq_buf_printf(&path, "/redrive%c", 0);
	redrive_member(body, "filter", r->filter);
	redrive_member(body, "reason", r->reason);
	redrive_member(body, "to", r->to);
	do {
		uint64_t left = r->max - r->done;

		if (after != NULL)
			json_object_set_new(body, "after", after);
		after = NULL;
		if (r->max > 0 && left < REDRIVE_PAGE)
			json_object_set_new(body, "max", json_integer((json_int_t)left));
		rc = redrive_page(api, (char *)sq_buf_data(&path), body, r, &after, err);
	} while (rc == SQ_OK && after != NULL && (r->max == 0 || r->done < r->max));
	json_decref(after);
	json_decref(body);
	sq_buf_fini(&path);
	return rc;
}
