/* The YAML layer of core/config: libyaml's events, one map per dot of a key.
 * Only what a table needs: one document of maps, scalars, flat lists, and lists
 * and maps of such maps (records); no anchors, aliases or tags. */
#include "core/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/config_priv.h"
#include "core/mem.h"
#include "core/yaml_event.h"

#define DOC_DEPTH_MAX 8u
#define DOC_PATH_MAX 256u
#define DOC_LIST_MAX 1024u

struct doc {
	struct sq_config_load load;
	yaml_parser_t parser;
	yaml_event_t event; /* the one just read */
	const char *source;
	/* Of the key being read: for people, "auth.issuers[0].issuer", and as the table has
	 * it, "auth.issuers[].issuer". */
	struct doc_path {
		char path[DOC_PATH_MAX], key[DOC_PATH_MAX];
		size_t path_len, key_len;
	} at;
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
	if (d->at.path_len != 0)
		sq_buf_printf(d->load.err, "%s: ", d->at.path);
	return SQ_EINVAL;
}

static int
doc_fail(struct doc *d, const char *what)
{
	doc_error(d, d->event.start_mark.line + 1);
	sq_buf_printf(d->load.err, "%s", what);
	return SQ_EINVAL;
}

/* Reports YAML that is refused at each key, with its column. */
static int
doc_fail_form(struct doc *d, const char *what)
{
	const yaml_mark_t *at = &d->event.start_mark;

	sq_buf_printf(d->load.err, "%s:%zu:%zu: ", d->source, at->line + 1, at->column + 1);
	if (d->at.path_len != 0)
		sq_buf_printf(d->load.err, "%s: ", d->at.path);
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
		return doc_fail_form(d, "aliases are not supported");
	if (sq_yaml_tag(&d->event) != NULL || sq_yaml_anchor(&d->event) != NULL)
		return doc_fail_form(d, "anchors and tags are not supported");
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

static void
doc_add(char *to, size_t *len, const char *text)
{
	size_t n = strlen(text);

	memcpy(to + *len, text, n + 1);
	*len += n;
}

/* Appends 'path' for people and 'key' for the table, behind 'mark' where something
 * stands before it. */
static int
doc_append(struct doc *d, const char *mark, const char *path, const char *key)
{
	if (d->at.path_len + strlen(path) + 2 > sizeof d->at.path ||
	    d->at.key_len + strlen(key) + 2 > sizeof d->at.key)
		return doc_fail(d, "key too long");
	if (d->at.path_len != 0) {
		doc_add(d->at.path, &d->at.path_len, mark);
		doc_add(d->at.key, &d->at.key_len, mark);
	}
	doc_add(d->at.path, &d->at.path_len, path);
	doc_add(d->at.key, &d->at.key_len, key);
	return 0;
}

static void
doc_leave(struct doc *d, size_t path_len, size_t key_len)
{
	d->at.path_len = path_len;
	d->at.path[path_len] = '\0';
	d->at.key_len = key_len;
	d->at.key[key_len] = '\0';
}

/* The key just read; NULL with an error: it is none. */
static const char *
doc_key(struct doc *d)
{
	const char *key = doc_text(d);

	if (key == NULL || *key == '\0') {
		doc_fail(d, "a key must be a plain word");
		return NULL;
	}
	for (const char *p = key; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			doc_fail(d, "control character in a key");
			return NULL;
		}
	}
	return key;
}

/* Appends the key just read to the path. */
static int
doc_enter(struct doc *d)
{
	const char *key = doc_key(d);

	if (key == NULL)
		return SQ_EINVAL;
	if (strchr(key, '.') != NULL) {
		doc_fail(d, "");
		sq_config_quote(d->load.err, key);
		sq_buf_printf(d->load.err, " has a dot; write \"%.*s:\" and the rest below it",
		    (int)strcspn(key, "."), key);
		return SQ_EINVAL;
	}
	return doc_append(d, ".", key, key);
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

/* Whether the record that ends has what each must have. */
static int
doc_needs(struct doc *d, const struct sq_config_key *k, size_t line)
{
	uint64_t needed = k->max;

	for (size_t i = 0; i < d->load.n && needed > 0; i++) {
		const struct sq_config_key *row = &d->load.keys[i];

		if (!sq_config_is_inner_of(row, k))
			continue;
		if (d->lines[i] == 0) {
			doc_error(d, line);
			sq_buf_printf(d->load.err, "needs %s", row->name + strlen(k->name) + 3);
			return SQ_EINVAL;
		}
		needed--;
	}
	return 0;
}

/* Reads a record, the start of its map just read. */
static int
doc_record(struct doc *d, const struct sq_config_key *k, const char *name, unsigned depth)
{
	size_t line = d->event.start_mark.line + 1;
	struct sq_config_load outer = d->load;
	struct sq_buf where = {0};
	int err;

	if (d->event.type != YAML_MAPPING_START_EVENT)
		return doc_fail(d, "must be a map");
	sq_buf_printf(&where, "%s:%zu%c", d->source, line, 0);
	d->load.cfg = sq_config_add_record(&outer, k, name, (char *)sq_buf_data(&where));
	sq_buf_fini(&where);
	for (size_t i = 0; i < outer.n; i++)
		if (sq_config_is_inner_of(&outer.keys[i], k))
			d->lines[i] = 0; /* they were the record's before */
	err = doc_map(d, depth + 1);
	if (err == 0)
		err = doc_needs(d, k, line);
	d->load = outer;
	return err;
}

/* Reads "- key: value" items up to the end of their list. */
static int
doc_records(struct doc *d, const struct sq_config_key *k, unsigned depth)
{
	size_t path_len = d->at.path_len, key_len = d->at.key_len;
	char index[32];
	int err;

	if (d->event.type != YAML_SEQUENCE_START_EVENT)
		return doc_fail(d, "takes a list of maps");
	for (unsigned i = 0; (err = doc_next(d)) == 0; i++) {
		if (d->event.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		if (i == DOC_LIST_MAX)
			return doc_fail(d, "has too many items");
		snprintf(index, sizeof index, "[%u]", i);
		err = doc_append(d, "", index, "[]");
		if (err == 0)
			err = doc_record(d, k, NULL, depth);
		if (err != 0)
			return err;
		doc_leave(d, path_len, key_len);
	}
	return err;
}

static bool
doc_is_named(const struct doc *d, const struct sq_config_key *k, const char *name)
{
	const struct sq_config_records *all = (void *)((char *)d->load.cfg + k->offset);

	for (size_t i = 0; i < all->n; i++) {
		const struct sq_config_record *r = (void *)((char *)all->v + i * k->min);

		if (strcmp(r->name, name) == 0)
			return true;
	}
	return false;
}

/* Reads "NAME: map" pairs up to the end of their map. */
static int
doc_named(struct doc *d, const struct sq_config_key *k, unsigned depth)
{
	size_t path_len = d->at.path_len, key_len = d->at.key_len;
	int err;

	if (d->event.type != YAML_MAPPING_START_EVENT)
		return doc_fail(d, "takes names with a map below each");
	for (unsigned i = 0; (err = doc_next(d)) == 0; i++) {
		const char *key;
		char *name;

		if (d->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (i == DOC_LIST_MAX)
			return doc_fail(d, "has too many names");
		key = doc_key(d);
		if (key == NULL)
			return SQ_EINVAL;
		err = doc_append(d, ".", key, "*");
		if (err != 0)
			return err;
		if (doc_is_named(d, k, key))
			return doc_fail(d, "given twice");
		name = sq_xstrdup(key);
		err = doc_next(d);
		if (err == 0)
			err = doc_record(d, k, name, depth);
		free(name);
		if (err != 0)
			return err;
		doc_leave(d, path_len, key_len);
	}
	return err;
}

/* Replaces the records of 'k' by those whose start was just read. */
static int
doc_all_records(struct doc *d, const struct sq_config_key *k, unsigned depth)
{
	sq_config_free_records(&d->load, k);
	return k->type == SQ_CFG_RECORDS ? doc_records(d, k, depth) : doc_named(d, k, depth);
}

static int
doc_value(struct doc *d, const struct sq_config_key *k, unsigned depth)
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
	if (k->type == SQ_CFG_RECORDS || k->type == SQ_CFG_NAMED)
		return doc_all_records(d, k, depth);
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
		if (strcmp(d->groups.v[i], d->at.path) == 0) {
			doc_error(d, key_line);
			sq_buf_printf(d->load.err, "given twice");
			return SQ_EINVAL;
		}
	}
	sq_strings_add(&d->groups, d->at.path, d->at.path_len);
	if (doc_is_null(d))
		return 0; /* all below it is commented out */
	if (d->event.type != YAML_MAPPING_START_EVENT)
		return doc_fail(d, "takes keys below it, not a value");
	return doc_map(d, depth + 1);
}

/* A key that looks like what the table has for every record. */
static bool
doc_is_odd(const struct doc *d)
{
	return strpbrk(doc_text(d), "[]*") != NULL;
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
	k = sq_config_find(&d->load, d->at.key);
	if (doc_is_odd(d) || (k == NULL && !sq_config_is_group(&d->load, d->at.key))) {
		doc_error(d, key_line);
		sq_buf_printf(d->load.err, "unknown key");
		sq_config_suggest(&d->load, d->at.key, doc_spell);
		return SQ_EINVAL;
	}
	err = doc_next(d);
	if (err != 0)
		return err;
	return k != NULL ? doc_value(d, k, depth) : doc_group(d, key_line, depth);
}

/* Reads a map whose start was just read, up to its end. */
static int
doc_map(struct doc *d, unsigned depth)
{
	size_t path_len = d->at.path_len, key_len = d->at.key_len;
	int err;

	if (depth > DOC_DEPTH_MAX)
		return doc_fail(d, "nested too deeply");
	while ((err = doc_next(d)) == 0 && d->event.type != YAML_MAPPING_END_EVENT) {
		err = doc_pair(d, depth);
		if (err != 0)
			break;
		doc_leave(d, path_len, key_len);
	}
	return err;
}

/* Reads a document whose value is the configuration's map, or the records of 'k'. */
static int
doc_read(struct doc *d, const struct sq_config_key *k)
{
	int err = doc_next(d); /* stream start */

	if (err == 0)
		err = doc_next(d);
	if (err != 0 || d->event.type == YAML_STREAM_END_EVENT)
		return err;
	err = doc_next(d); /* after the document's start */
	if (err != 0)
		return err;
	if (k != NULL)
		err = doc_all_records(d, k, 1);
	else if (d->event.type == YAML_MAPPING_START_EVENT)
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

static int
doc_run(struct doc *d, const struct sq_config_key *k, const void *text, size_t len)
{
	int rc;

	if (yaml_parser_initialize(&d->parser) == 0) {
		sq_buf_printf(d->load.err, "%s: out of memory", d->source);
		return SQ_ENOMEM;
	}
	yaml_parser_set_input_string(&d->parser, len != 0 ? text : (const void *)"", len);
	d->lines = sq_xcalloc(d->load.n, sizeof *d->lines);
	rc = doc_read(d, k);
	free(d->lines);
	sq_strings_fini(&d->groups);
	yaml_event_delete(&d->event);
	yaml_parser_delete(&d->parser);
	return rc;
}

int
sq_config_yaml(void *cfg, const struct sq_config_key *keys, size_t n, const char *source,
    const void *text, size_t len, struct sq_buf *err)
{
	struct doc d = {.load = {cfg, keys, n, err}, .source = source};

	return doc_run(&d, NULL, text, len);
}

int
sq_config_yaml_records(
    const struct sq_config_load *l, const struct sq_config_key *k, const char *text)
{
	struct doc d = {.load = *l, .source = k->name};

	if (doc_append(&d, "", k->name, k->name) != 0)
		return SQ_EINVAL;
	return doc_run(&d, k, text, strlen(text));
}
