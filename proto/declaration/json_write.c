/* Declarations as JSON: written. */
#include <string.h>

#include "proto/declaration/declaration_priv.h"
#include "proto/json/write.h"

static void
json_put_binding(const struct sq_declared_binding *b, struct sq_buf *out)
{
	const char *const names[] = {"id", "filter", "tag"};
	const char *const texts[] = {b->id, b->filter, b->tag};

	sq_buf_u8(out, '{');
	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++) {
		if (texts[i] == NULL)
			continue;
		sq_buf_printf(out, "\"%s\":", names[i]);
		sq_json_put_string(out, sq_bytes_of(texts[i]));
		sq_buf_u8(out, ',');
	}
	sq_buf_printf(out, "\"qos\":%u}", b->qos);
}

static void
json_put_headers(const struct sq_declared_push *p, struct sq_buf *out)
{
	sq_buf_u8(out, '{');
	for (size_t i = 0; i < p->n_headers; i++) {
		if (i > 0)
			sq_buf_u8(out, ',');
		sq_json_put_string(out, sq_bytes_of(p->headers[i].name));
		sq_buf_u8(out, ':');
		sq_json_put_string(out, sq_bytes_of(p->headers[i].value));
	}
	sq_buf_u8(out, '}');
}

/* A list of statuses, whose text has commas between them: 404,"4xx". */
static void
json_put_statuses(struct sq_bytes text, struct sq_buf *out)
{
	sq_buf_u8(out, '[');
	for (size_t i = 0; i < text.len; i++) {
		bool all = text.p[i] != ',' && i + 1 < text.len && text.p[i + 1] == 'x';

		sq_buf_printf(out, all ? "\"%cxx\"" : "%c", text.p[i]);
		i += all ? 2 : 0;
	}
	sq_buf_u8(out, ']');
}

static void
json_put_value(const struct sq_declaration *d, const struct sq_setting *s, struct sq_buf *out)
{
	struct sq_buf text = {0};
	struct sq_bytes b;

	sq_setting_print(d, s, &text);
	b = sq_buf_bytes(&text);
	if (s->type == SQ_SETTING_HEADERS)
		json_put_headers(&d->push, out);
	else if (s->type == SQ_SETTING_STATUSES)
		json_put_statuses(b, out);
	else if (sq_setting_bare(d, s))
		sq_buf_append(out, b.p, b.len);
	else
		sq_json_put_string(out, b);
	sq_buf_fini(&text);
}

/* How many bytes of the names of their groups, with '.', two settings have in common. */
static size_t
json_common(const struct sq_setting *a, const struct sq_setting *b)
{
	size_t common = 0;

	for (size_t i = 0; a->name[i] != '\0' && a->name[i] == b->name[i]; i++) {
		if (a->name[i] == '.')
			common = i + 1;
	}
	return common;
}

static unsigned
json_dots(const char *name)
{
	unsigned n = 0;

	for (; *name != '\0'; name++)
		n += *name == '.';
	return n;
}

/* A setting, whose name is 'from' from the group on that is open; those below it begin. */
static void
json_put_setting(const struct sq_declaration *d, const struct sq_setting *s, const char *from,
    struct sq_buf *out)
{
	const char *dot;

	for (; (dot = strchr(from, '.')) != NULL; from = dot + 1) {
		sq_buf_u8(out, '"');
		sq_setting_camel(from, (size_t)(dot - from), out);
		sq_buf_printf(out, "\":{");
	}
	sq_buf_u8(out, '"');
	sq_setting_camel(from, strlen(from), out);
	sq_buf_printf(out, "\":");
	json_put_value(d, s, out);
}

/* Settings that are in 'group', as members, each behind what is there already. */
static void
json_put_settings(const struct sq_declaration *d, const char *group, bool first, struct sq_buf *out)
{
	const struct sq_setting *before = NULL;
	size_t root = strlen(group), common;

	for (size_t i = 0; i < sq_n_settings; i++) {
		const struct sq_setting *s = &sq_settings[i];

		if (sq_setting_is_alias(s) || sq_setting_none(d, s) ||
		    strncmp(s->name, group, root) != 0 ||
		    (sq_setting_of_push(s) && d->push.url == NULL))
			continue;
		common = before != NULL ? json_common(before, s) : root;
		for (unsigned n = before != NULL ? json_dots(before->name + common) : 0; n > 0; n--)
			sq_buf_u8(out, '}');
		if (!first)
			sq_buf_u8(out, ',');
		first = false;
		json_put_setting(d, s, s->name + common, out);
		before = s;
	}
	for (unsigned n = before != NULL ? json_dots(before->name + root) : 0; n > 0; n--)
		sq_buf_u8(out, '}');
}

void
sq_declaration_write_json(const struct sq_declaration *d, struct sq_buf *out)
{
	sq_buf_printf(out, "\"bindings\":[");
	for (size_t i = 0; i < d->n_bindings; i++) {
		if (i > 0)
			sq_buf_u8(out, ',');
		json_put_binding(&d->bindings[i], out);
	}
	sq_buf_u8(out, ']');
	json_put_settings(d, "", false, out);
}

void
sq_declaration_write_push(const struct sq_declaration *d, struct sq_buf *out)
{
	if (d->push.url == NULL)
		return;
	sq_buf_printf(out, "{\"push\":{");
	json_put_settings(d, "push.", true, out);
	sq_buf_printf(out, "}}");
}
