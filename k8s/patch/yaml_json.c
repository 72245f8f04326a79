/* YAML to JSON; see yaml_json.h.  A value is composed by recursion on libyaml's events, with a
 * bound on depth and on the number of values, so that aliases of aliases end. */
#include "k8s/patch/yaml_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/mem.h"
#include "core/yaml_event.h"

enum { ANCHORS_MAX = 1000 };

struct anchor {
	char *name;
	json_t *value; /* a reference */
	struct sq_yaml_mark *mark;
	size_t nodes; /* within the value, with itself */
};

struct reader {
	const char *text;
	size_t len;
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	struct sq_yaml_error *err;
	struct sq_yaml_documents *out;
	struct anchor anchors[ANCHORS_MAX]; /* of the present document */
	size_t n_anchors;
	size_t nodes; /* composed until now */
	unsigned depth;
};

static int
    SQ_PRINTF(3, 4) reader_fail(struct reader *r, const yaml_mark_t *at, const char *fmt, ...)
{
	va_list ap;

	r->err->line = (unsigned)at->line + 1;
	r->err->column = (unsigned)at->column + 1;
	va_start(ap, fmt);
	vsnprintf(r->err->text, sizeof r->err->text, fmt, ap);
	va_end(ap);
	return SQ_EINVAL;
}

/* libyaml reads ahead: of a byte that is no text it knows the offset alone. */
static yaml_mark_t
mark_of_offset(const struct reader *r, size_t offset)
{
	yaml_mark_t at = {.index = offset};

	for (size_t i = 0; i < offset && i < r->len; i++) {
		at.column = r->text[i] == '\n' ? 0 : at.column + ((r->text[i] & 0xc0) != 0x80);
		at.line += r->text[i] == '\n';
	}
	return at;
}

static int
reader_next(struct reader *r)
{
	const char *problem;
	yaml_mark_t at;

	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
	if (!yaml_parser_parse(&r->parser, &r->event)) {
		problem = r->parser.problem != NULL ? r->parser.problem : "not YAML";
		at = r->parser.error == YAML_READER_ERROR
		    ? mark_of_offset(r, r->parser.problem_offset)
		    : r->parser.problem_mark;
		return reader_fail(r, &at, "%s%s%s",
		    r->parser.context != NULL ? r->parser.context : "",
		    r->parser.context != NULL ? ": " : "", problem);
	}
	r->has_event = true;
	return 0;
}

/* --- marks --- */

static struct sq_yaml_mark *
mark_new(struct reader *r, const yaml_mark_t *at)
{
	struct sq_yaml_mark *m = sq_xcalloc(1, sizeof *m);

	m->line = (unsigned)at->line + 1;
	m->column = (unsigned)at->column + 1;
	m->next = r->out->marks;
	r->out->marks = m;
	return m;
}

/* A mark of its own for an alias: another key, the same place and children. */
static struct sq_yaml_mark *
mark_shared(struct reader *r, const struct sq_yaml_mark *of)
{
	struct sq_yaml_mark *m = sq_xcalloc(1, sizeof *m);

	*m = *of;
	m->shares = true;
	m->key = NULL;
	m->key_line = m->key_column = 0;
	m->next = r->out->marks;
	r->out->marks = m;
	return m;
}

static void
mark_add(struct sq_yaml_mark *m, struct sq_yaml_mark *child)
{
	if ((m->n & (m->n - 1)) == 0)
		m->children = sq_xrealloc(
		    m->children, (m->n != 0 ? m->n * 2 : 1) * sizeof *m->children);
	m->children[m->n++] = child;
}

/* --- values --- */

/* A value and what belongs to it; the value is the holder's reference. */
struct composed {
	json_t *value;
	struct sq_yaml_mark *mark;
};

static int compose(struct reader *r, struct composed *out);

static int
reader_count(struct reader *r, size_t nodes)
{
	r->nodes += nodes;
	if (r->nodes > SQ_YAML_NODES_MAX)
		return reader_fail(
		    r, &r->event.start_mark, "more than %d values", SQ_YAML_NODES_MAX);
	return 0;
}

static int
compose_alias(struct reader *r, struct composed *out)
{
	const char *name = (const char *)r->event.data.alias.anchor;

	for (size_t i = r->n_anchors; i-- > 0;) {
		const struct anchor *a = &r->anchors[i];

		if (strcmp(a->name, name) != 0)
			continue;
		if (reader_count(r, a->nodes) != 0)
			return SQ_EINVAL;
		out->value = json_deep_copy(a->value);
		out->mark = mark_shared(r, a->mark);
		return 0;
	}
	return reader_fail(r, &r->event.start_mark, "*%.64s is no anchor above", name);
}

/* The value of a scalar with the tag "tag:yaml.org,2002:" + 'type'. */
static json_t *
scalar_tagged(const char *type, const char *text, size_t len)
{
	json_t *v = sq_yaml_plain(text, len);
	bool ok = (strcmp(type, "int") == 0 && json_is_integer(v)) ||
	    (strcmp(type, "float") == 0 && json_is_number(v)) ||
	    (strcmp(type, "bool") == 0 && json_is_boolean(v)) ||
	    (strcmp(type, "null") == 0 && json_is_null(v));

	if (strcmp(type, "str") == 0 || strcmp(type, "timestamp") == 0) {
		json_decref(v);
		return json_stringn(text, len);
	}
	if (ok)
		return v;
	json_decref(v);
	return NULL;
}

static int
compose_scalar(struct reader *r, struct composed *out)
{
	static const char core[] = "tag:yaml.org,2002:";
	const char *text = (const char *)r->event.data.scalar.value;
	const char *tag = (const char *)r->event.data.scalar.tag;
	size_t len = r->event.data.scalar.length;

	if (memchr(text, '\0', len) != NULL)
		return reader_fail(r, &r->event.start_mark, "a NUL in a text");
	if (tag != NULL && strncmp(tag, core, sizeof core - 1) == 0)
		out->value = scalar_tagged(tag + sizeof core - 1, text, len);
	else if (tag != NULL && strcmp(tag, "!") != 0)
		return reader_fail(r, &r->event.start_mark, "the tag %.64s is not taken", tag);
	else if (tag == NULL && r->event.data.scalar.plain_implicit)
		out->value = sq_yaml_plain(text, len);
	else
		out->value = json_stringn(text, len);
	if (out->value == NULL)
		return reader_fail(r, &r->event.start_mark, "a value that JSON does not have");
	out->mark = mark_new(r, &r->event.start_mark);
	return 0;
}

static int
compose_list(struct reader *r, struct composed *out)
{
	struct composed item;
	int rc;

	out->value = json_array();
	out->mark = mark_new(r, &r->event.start_mark);
	while ((rc = reader_next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
		if ((rc = compose(r, &item)) != 0)
			return rc;
		json_array_append_new(out->value, item.value);
		mark_add(out->mark, item.mark);
	}
	return rc;
}

/* Adds a key and its value, whose reference it takes. */
static void
map_put(struct composed *map, const char *key, struct composed *value)
{
	json_object_set_new(map->value, key, value->value);
	value->mark->key = sq_xstrdup(key);
	mark_add(map->mark, value->mark);
}

/* "<<": what the map does not say itself. */
static int
map_merge(struct reader *r, struct composed *map, const struct composed *from)
{
	const char *key;
	json_t *value;
	size_t i = 0;

	if (json_is_array(from->value)) {
		for (i = 0; i < json_array_size(from->value); i++) {
			struct composed one = {
			    json_array_get(from->value, i), from->mark->children[i]};

			if (!json_is_object(one.value) || map_merge(r, map, &one) != 0)
				break;
		}
		if (i == json_array_size(from->value))
			return 0;
	}
	if (!json_is_object(from->value))
		return reader_fail(r, &r->event.start_mark, "<< needs a map, or a list of maps");
	json_object_foreach(from->value, key, value)
	{
		const struct sq_yaml_mark *mark = from->mark->children[i++];
		struct composed copy;

		if (json_object_get(map->value, key) != NULL)
			continue;
		copy = (struct composed){json_incref(value), mark_shared(r, mark)};
		copy.mark->key_line = mark->key_line;
		copy.mark->key_column = mark->key_column;
		map_put(map, key, &copy);
	}
	return 0;
}

/* The event is a key.  An entry of the map, or what is to be merged into it ('*merge', a list of
 * maps). */
static int
map_entry(struct reader *r, struct composed *map, struct composed *merge)
{
	yaml_mark_t at = r->event.start_mark;
	struct composed value;
	char *key;
	bool merges;
	int rc;

	if (r->event.type != YAML_SCALAR_EVENT)
		return reader_fail(r, &at, "a key must be plain text");
	key = sq_xmemdup0(r->event.data.scalar.value, r->event.data.scalar.length);
	merges = strcmp(key, "<<") == 0 && r->event.data.scalar.plain_implicit;
	if (strlen(key) != r->event.data.scalar.length)
		rc = reader_fail(r, &at, "a NUL in a key");
	else if (!merges && json_object_get(map->value, key) != NULL)
		rc = reader_fail(r, &at, "%.128s twice", key);
	else if ((rc = reader_next(r)) == 0)
		rc = compose(r, &value);
	if (rc == 0 && merges) {
		json_array_append_new(merge->value, value.value);
		mark_add(merge->mark, value.mark);
	} else if (rc == 0) {
		value.mark->key_line = (unsigned)at.line + 1;
		value.mark->key_column = (unsigned)at.column + 1;
		map_put(map, key, &value);
	}
	free(key);
	return rc;
}

static int
compose_map(struct reader *r, struct composed *out)
{
	struct composed merge = {json_array(), mark_new(r, &r->event.start_mark)};
	int rc;

	out->value = json_object();
	out->mark = mark_new(r, &r->event.start_mark);
	while ((rc = reader_next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		if ((rc = map_entry(r, out, &merge)) != 0)
			break;
	}
	for (size_t i = 0; rc == 0 && i < json_array_size(merge.value); i++) {
		struct composed one = {json_array_get(merge.value, i), merge.mark->children[i]};

		rc = map_merge(r, out, &one);
	}
	json_decref(merge.value);
	return rc;
}

static int
anchor_add(struct reader *r, char *name, const struct composed *c, size_t nodes)
{
	if (r->n_anchors == ANCHORS_MAX) {
		free(name);
		return reader_fail(r, &r->event.start_mark, "more than %d anchors", ANCHORS_MAX);
	}
	r->anchors[r->n_anchors++] = (struct anchor){name, json_incref(c->value), c->mark, nodes};
	return 0;
}

/* A tag on a list or map says what it is anyway, or asks for what JSON does not have. */
static int
check_tag(struct reader *r)
{
	const char *tag = sq_yaml_tag(&r->event);
	const char *own = r->event.type == YAML_MAPPING_START_EVENT ? YAML_MAP_TAG : YAML_SEQ_TAG;

	if (tag == NULL || r->event.type == YAML_SCALAR_EVENT || strcmp(tag, own) == 0 ||
	    strcmp(tag, "!") == 0)
		return 0;
	return reader_fail(r, &r->event.start_mark, "the tag %.64s is not taken", tag);
}

/* The event starts a value; it is its last one afterwards.  On error nothing is held. */
static int
compose(struct reader *r, struct composed *out)
{
	const char *anchor = sq_yaml_anchor(&r->event);
	char *name = anchor != NULL ? sq_xstrdup(anchor) : NULL;
	size_t before = r->nodes;
	int rc = reader_count(r, 1);

	*out = (struct composed){0};
	if (rc == 0)
		rc = check_tag(r);
	if (rc == 0 && ++r->depth > SQ_YAML_DEPTH_MAX)
		rc = reader_fail(r, &r->event.start_mark, "more than %d values within each other",
		    SQ_YAML_DEPTH_MAX);
	else if (rc == 0 && r->event.type == YAML_ALIAS_EVENT)
		rc = compose_alias(r, out);
	else if (rc == 0 && r->event.type == YAML_SCALAR_EVENT)
		rc = compose_scalar(r, out);
	else if (rc == 0 && r->event.type == YAML_SEQUENCE_START_EVENT)
		rc = compose_list(r, out);
	else if (rc == 0)
		rc = compose_map(r, out);
	r->depth--;
	if (rc == 0 && name != NULL) {
		rc = anchor_add(r, name, out, r->nodes - before);
		name = NULL;
	}
	free(name);
	if (rc != 0)
		json_decref(out->value);
	return rc;
}

/* --- documents --- */

static void
anchors_clear(struct reader *r)
{
	for (size_t i = 0; i < r->n_anchors; i++) {
		free(r->anchors[i].name);
		json_decref(r->anchors[i].value);
	}
	r->n_anchors = 0;
}

/* The event is a document's start. */
static int
reader_document(struct reader *r)
{
	struct sq_yaml_documents *out = r->out;
	struct sq_yaml_document d = {.line = (unsigned)r->event.start_mark.line + 1,
	    .separated = !r->event.data.document_start.implicit};
	struct composed c;
	int rc;

	if (out->n == SQ_YAML_DOCUMENTS_MAX)
		return reader_fail(
		    r, &r->event.start_mark, "more than %d documents", SQ_YAML_DOCUMENTS_MAX);
	if ((rc = reader_next(r)) != 0 || (rc = compose(r, &c)) != 0)
		return rc;
	d.value = c.value;
	d.mark = c.mark;
	out->v = sq_xrealloc(out->v, (out->n + 1) * sizeof *out->v);
	out->v[out->n++] = d;
	anchors_clear(r);
	return reader_next(r); /* the document's end */
}

int
sq_yaml_json_read(
    const char *text, size_t len, struct sq_yaml_documents *out, struct sq_yaml_error *err)
{
	struct reader *r;
	int rc;

	*out = (struct sq_yaml_documents){0};
	*err = (struct sq_yaml_error){.line = 1, .column = 1};
	if (len > SQ_YAML_SIZE_MAX) {
		snprintf(err->text, sizeof err->text, "more than %d bytes", SQ_YAML_SIZE_MAX);
		return SQ_ETOOBIG;
	}
	r = sq_xcalloc(1, sizeof *r);
	r->text = text;
	r->len = len;
	r->err = err;
	r->out = out;
	if (!yaml_parser_initialize(&r->parser)) {
		snprintf(err->text, sizeof err->text, "out of memory");
		free(r);
		return SQ_ENOMEM;
	}
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	rc = reader_next(r); /* the stream's start */
	while (rc == 0 && (rc = reader_next(r)) == 0 && r->event.type != YAML_STREAM_END_EVENT)
		rc = reader_document(r);
	if (r->has_event)
		yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
	anchors_clear(r);
	free(r);
	if (rc != 0)
		sq_yaml_documents_free(out);
	return rc;
}

void
sq_yaml_documents_free(struct sq_yaml_documents *ds)
{
	struct sq_yaml_mark *next;

	for (size_t i = 0; i < ds->n; i++)
		json_decref(ds->v[i].value);
	free(ds->v);
	for (struct sq_yaml_mark *m = ds->marks; m != NULL; m = next) {
		next = m->next;
		free(m->key);
		if (!m->shares)
			free(m->children);
		free(m);
	}
	*ds = (struct sq_yaml_documents){0};
}

/* --- pointers --- */

/* Whether the first part of a pointer, 'len' bytes with its escapes, is 'key'. */
static bool
part_is(const char *part, size_t len, const char *key)
{
	for (size_t i = 0; i < len; i++, key++) {
		char c = part[i];

		if (c == '~' && i + 1 < len && (part[i + 1] == '0' || part[i + 1] == '1'))
			c = part[++i] == '0' ? '~' : '/';
		if (*key != c)
			return false;
	}
	return *key == '\0';
}

static const struct sq_yaml_mark *
mark_child(const struct sq_yaml_mark *m, const char *part, size_t len)
{
	size_t index = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->children[i]->key != NULL && part_is(part, len, m->children[i]->key))
			return m->children[i];
	}
	if (m->n == 0 || m->children[0]->key != NULL || len == 0 || len > 9)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (part[i] < '0' || part[i] > '9')
			return NULL;
		index = index * 10 + (size_t)(part[i] - '0');
	}
	return index < m->n ? m->children[index] : NULL;
}

const struct sq_yaml_mark *
sq_yaml_mark_find(const struct sq_yaml_mark *m, const char *pointer)
{
	const struct sq_yaml_mark *child;
	size_t len;

	while (m != NULL && *pointer == '/') {
		len = strcspn(pointer + 1, "/");
		if ((child = mark_child(m, pointer + 1, len)) == NULL)
			break;
		m = child;
		pointer += 1 + len;
	}
	return m;
}
