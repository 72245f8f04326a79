/* The YAML layer of core/config: libyaml's events, one map per dot of a key.
 * Only what a table needs: one document of maps, scalars and flat lists; no
 * anchors, aliases or tags. */
#include "core/config.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/config_priv.h"
#include "core/mem.h"

#define DOC_DEPTH_MAX 8u
#define DOC_PATH_MAX 256u
#define DOC_LIST_MAX 1024u

struct doc {
	struct sq_config_load load;
	yaml_parser_t parser;
	yaml_event_t event; /* the one just read */
	const char *source;
	char path[DOC_PATH_MAX]; /* of the key being read, "tls.ca-file" */
	size_t path_len;
	struct sq_strings groups; /* paths of the maps seen */
	size_t *lines;            /* of each key's value, 0 while not seen */
};

static int doc_map(struct doc *d, unsigned depth);

/* ---- errors ---- */

/* Begins the error line; the caller appends what is wrong. */
static int
doc_error(struct doc *d, size_t line)
{
	sq_buf_printf(d->load.err, "%s:%zu: ", d->source, line);
	if (d->path_len != 0)
		sq_buf_printf(d->load.err, "%s: ", d->path);
	return SQ_EINVAL;
}

static int
doc_fail(struct doc *d, const char *what)
{
	doc_error(d, d->event.start_mark.line + 1);
	sq_buf_printf(d->load.err, "%s", what);
	return SQ_EINVAL;
}

static void
doc_spell(struct sq_buf *out, const char *name, size_t len)
{
	sq_buf_append(out, name, len);
}

/* ---- events ---- */

static int
doc_next(struct doc *d)
{
	const yaml_parser_t *p = &d->parser;

	yaml_event_delete(&d->event);
	if (yaml_parser_parse(&d->parser, &d->event) == 0) {
		size_t line = p->problem_mark.line;

		sq_buf_printf(d->load.err, "%s:%zu: not YAML: %s", d->source, line + 1,
		    p->problem != NULL ? p->problem : "unreadable");
		return SQ_EINVAL;
	}
	if (d->event.type == YAML_ALIAS_EVENT)
		return doc_fail(d, "aliases are not supported");
	if (d->event.type == YAML_SCALAR_EVENT &&
	    (d->event.data.scalar.anchor != NULL || d->event.data.scalar.tag != NULL))
		return doc_fail(d, "anchors and tags are not supported");
	return 0;
}

/* The text of the scalar just read; NULL if it isn't one or holds a NUL. */
static const char *
doc_text(const struct doc *d)
{
	const char *text = (const char *)d->event.data.scalar.value;

	if (d->event.type != YAML_SCALAR_EVENT || strlen(text) != d->event.data.scalar.length)
		return NULL;
	return text;
}

/* "key:" with nothing behind it, or one of YAML's words for it. */
static bool
doc_is_null(const struct doc *d)
{
	const char *text = doc_text(d);

	return text != NULL && d->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

/* ---- paths ---- */

/* Appends the key just read to the path. */
static int
doc_enter(struct doc *d)
{
	const char *key = doc_text(d);
	size_t len;

	if (key == NULL || *key == '\0')
		return doc_fail(d, "a key must be a plain word");
	len = strlen(key);
	if (d->path_len + len + 2 > sizeof d->path)
		return doc_fail(d, "key too long");
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)key[i] < 0x20 || key[i] == 0x7f)
			return doc_fail(d, "control character in a key");
	}
	if (strchr(key, '.') != NULL) {
		doc_fail(d, "");
		sq_config_quote(d->load.err, key);
		sq_buf_printf(d->load.err, " has a dot; write \"%.*s:\" and the rest below it",
		    (int)strcspn(key, "."), key);
		return SQ_EINVAL;
	}
	if (d->path_len != 0)
		d->path[d->path_len++] = '.';
	memcpy(d->path + d->path_len, key, len + 1);
	d->path_len += len;
	return 0;
}

static void
doc_leave(struct doc *d, size_t path_len)
{
	d->path_len = path_len;
	d->path[path_len] = '\0';
}

/* ---- values ---- */

/* Reads the items of a sequence whose start was just read. */
static int
doc_list(struct doc *d, const struct sq_config_key *k)
{
	struct sq_strings items = {0};
	const char *text;
	int err;

	if (k->type != SQ_CFG_LIST)
		return doc_fail(d, "takes one value, not a list");
	while ((err = doc_next(d)) == 0 && d->event.type != YAML_SEQUENCE_END_EVENT) {
		text = doc_text(d);
		if (text == NULL || *text == '\0')
			err = doc_fail(d, "each item must be a text");
		else if (items.n == DOC_LIST_MAX)
			err = doc_fail(d, "has too many items");
		if (err != 0)
			break;
		sq_strings_add(&items, text, strlen(text));
	}
	if (err == 0)
		sq_config_set_list(d->load.cfg, k, &items);
	sq_strings_fini(&items);
	return err;
}

static int
doc_value(struct doc *d, const struct sq_config_key *k)
{
	size_t *seen = &d->lines[k - d->load.keys], line = d->event.start_mark.line + 1;
	struct sq_buf why = {0};
	int err;

	if (*seen != 0) {
		doc_fail(d, "given twice");
		sq_buf_printf(d->load.err, ", first on line %zu", *seen);
		return SQ_EINVAL;
	}
	*seen = line;
	if (d->event.type == YAML_SEQUENCE_START_EVENT)
		return doc_list(d, k);
	if (d->event.type != YAML_SCALAR_EVENT)
		return doc_fail(d, "takes a value, not keys below it");
	if (doc_text(d) == NULL)
		return doc_fail(d, "has a NUL character");
	if (doc_is_null(d))
		return doc_fail(d, "needs a value");
	err = sq_config_set(d->load.cfg, k, doc_text(d), &why);
	if (err != 0) {
		doc_error(d, line);
		sq_buf_append(d->load.err, sq_buf_data(&why), sq_buf_len(&why));
	}
	sq_buf_fini(&why);
	return err;
}

static int
doc_group(struct doc *d, size_t key_line, unsigned depth)
{
	for (size_t i = 0; i < d->groups.n; i++) {
		if (strcmp(d->groups.v[i], d->path) == 0) {
			doc_error(d, key_line);
			sq_buf_printf(d->load.err, "given twice");
			return SQ_EINVAL;
		}
	}
	sq_strings_add(&d->groups, d->path, d->path_len);
	if (doc_is_null(d))
		return 0; /* all below it is commented out */
	if (d->event.type != YAML_MAPPING_START_EVENT)
		return doc_fail(d, "takes keys below it, not a value");
	return doc_map(d, depth + 1);
}

/* Reads one key, its event just read, and its value. */
static int
doc_pair(struct doc *d, unsigned depth)
{
	size_t key_line = d->event.start_mark.line + 1;
	const struct sq_config_key *k;
	int err = doc_enter(d);

	if (err != 0)
		return err;
	k = sq_config_find(&d->load, d->path);
	if (k == NULL && !sq_config_is_group(&d->load, d->path)) {
		doc_error(d, key_line);
		sq_buf_printf(d->load.err, "unknown key");
		sq_config_suggest(&d->load, d->path, doc_spell);
		return SQ_EINVAL;
	}
	err = doc_next(d);
	if (err != 0)
		return err;
	return k != NULL ? doc_value(d, k) : doc_group(d, key_line, depth);
}

/* Reads a map whose start was just read, up to its end. */
static int
doc_map(struct doc *d, unsigned depth)
{
	size_t path_len = d->path_len;
	int err;

	if (depth > DOC_DEPTH_MAX)
		return doc_fail(d, "nested too deeply");
	while ((err = doc_next(d)) == 0 && d->event.type != YAML_MAPPING_END_EVENT) {
		err = doc_pair(d, depth);
		if (err != 0)
			break;
		doc_leave(d, path_len);
	}
	return err;
}

static int
doc_read(struct doc *d)
{
	int err = doc_next(d); /* stream start */

	if (err == 0)
		err = doc_next(d);
	if (err != 0 || d->event.type == YAML_STREAM_END_EVENT)
		return err;
	err = doc_next(d); /* after the document's start */
	if (err != 0)
		return err;
	if (d->event.type == YAML_MAPPING_START_EVENT)
		err = doc_map(d, 1);
	else if (!doc_is_null(d))
		err = doc_fail(d, "expected \"key: value\" lines");
	if (err == 0)
		err = doc_next(d); /* the document's end */
	if (err == 0)
		err = doc_next(d);
	if (err == 0 && d->event.type != YAML_STREAM_END_EVENT)
		err = doc_fail(d, "more than one document");
	return err;
}

int
sq_config_yaml(void *cfg, const struct sq_config_key *keys, size_t n, const char *source,
    const void *text, size_t len, struct sq_buf *err)
{
	struct doc d = {.load = {cfg, keys, n, err}, .source = source};
	int rc;

	if (yaml_parser_initialize(&d.parser) == 0) {
		sq_buf_printf(err, "%s: out of memory", source);
		return SQ_ENOMEM;
	}
	yaml_parser_set_input_string(&d.parser, len != 0 ? text : (const void *)"", len);
	d.lines = sq_xcalloc(n, sizeof *d.lines);
	rc = doc_read(&d);
	free(d.lines);
	sq_strings_fini(&d.groups);
	yaml_event_delete(&d.event);
	yaml_parser_delete(&d.parser);
	return rc;
}
