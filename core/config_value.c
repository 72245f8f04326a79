/* Values of configuration keys: from text into the program's struct and back
 * to readable text.  Knows the types, not where a text comes from. */
#include "core/config_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define LIST_MAX 1024u

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, as they are tried when a number is written. */
static const struct unit size_units[] = {
    {"Gi", UINT64_C(1) << 30},
    {"Mi", 1u << 20},
    {"Ki", 1u << 10},
    {"", 1},
    {NULL, 0},
};
static const struct unit duration_units[] = {
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
    {NULL, 0},
};
static const struct unit plain_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *
value_units(enum sq_config_type type)
{
	return type == SQ_CFG_SIZE    ? size_units
	    : type == SQ_CFG_DURATION ? duration_units
				      : plain_units;
}

static void *
value_at(void *cfg, const struct sq_config_key *k)
{
	return (char *)cfg + k->offset;
}

/* ---- lists of strings ---- */

void
sq_strings_add(struct sq_strings *s, const char *text, size_t len)
{
	s->v = sq_xrealloc(s->v, (s->n + 1) * sizeof *s->v);
	s->v[s->n++] = sq_xmemdup0(text, len);
}

void
sq_strings_fini(struct sq_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct sq_strings){0};
}

void
sq_config_set_list(void *cfg, const struct sq_config_key *k, struct sq_strings *items)
{
	struct sq_strings *out = value_at(cfg, k);

	assert(k->type == SQ_CFG_LIST);
	sq_strings_fini(out);
	*out = *items;
	*items = (struct sq_strings){0};
}

static int
value_set_list(void *cfg, const struct sq_config_key *k, const char *text, struct sq_buf *why)
{
	struct sq_strings items = {0};
	const char *at = text;

	while (*text != '\0') {
		size_t len, whole = strcspn(at, ",");

		while (whole != 0 && (*at == ' ' || *at == '\t'))
			at++, whole--;
		for (len = whole; len != 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'); len--)
			;
		if (len == 0 || items.n == LIST_MAX) {
			sq_buf_printf(
			    why, "%s", len == 0 ? "has an empty item" : "has too many items");
			sq_strings_fini(&items);
			return SQ_EINVAL;
		}
		sq_strings_add(&items, at, len);
		if (at[whole] == '\0')
			break;
		at += whole + 1;
	}
	sq_config_set_list(cfg, k, &items);
	return 0;
}

/* ---- numbers ---- */

/* Reads "64Ki" by 'units' ("0" needs none); false if it isn't one or is too big. */
static bool
value_parse(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t v = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return false;
	*out = 0;
	if (v == 0 && *text == '\0')
		return true;
	for (; units->name != NULL; units++)
		if (strcmp(text, units->name) == 0)
			return !__builtin_mul_overflow(v, units->factor, out);
	return false;
}

/* Writes 'v' in the largest unit that divides it. */
static void
value_print(struct sq_buf *out, enum sq_config_type type, uint64_t v)
{
	const struct unit *u = value_units(type);

	while (u[1].name != NULL && (v == 0 || v % u->factor != 0))
		u++;
	sq_buf_printf(out, "%llu%s", (unsigned long long)(v / u->factor), u->name);
}

static int
value_set_number(void *cfg, const struct sq_config_key *k, const char *text, struct sq_buf *why)
{
	static const char *const forms[] = {
	    [SQ_CFG_UINT] = "a number",
	    [SQ_CFG_SIZE] = "a size like 4096, 64Ki, 8Mi or 1Gi",
	    [SQ_CFG_DURATION] = "a duration like 250ms, 30s, 5m or 24h",
	};
	const uint64_t word = k->min == 0 ? UINT64_MAX : 0;
	uint64_t v, max = k->max != 0 ? k->max : UINT64_MAX;

	if (k->choices != NULL && strcmp(text, k->choices[0]) == 0) {
		memcpy(value_at(cfg, k), &word, sizeof word);
		return 0;
	}
	if (!value_parse(text, value_units(k->type), &v)) {
		sq_config_quote(why, text);
		sq_buf_printf(why, " is not %s", forms[k->type]);
		if (k->choices != NULL)
			sq_buf_printf(why, " or %s", k->choices[0]);
		return SQ_EINVAL;
	}
	if (v < k->min || v > max) {
		sq_config_quote(why, text);
		sq_buf_printf(why, " is out of range: ");
		value_print(why, k->type, k->min);
		if (max != UINT64_MAX) {
			sq_buf_printf(why, " to ");
			value_print(why, k->type, max);
		} else {
			sq_buf_printf(why, " or more");
		}
		return SQ_EINVAL;
	}
	memcpy(value_at(cfg, k), &v, sizeof v);
	return 0;
}

/* ---- words ---- */

static int
value_set_bool(void *cfg, const struct sq_config_key *k, const char *text, struct sq_buf *why)
{
	bool *out = value_at(cfg, k);

	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
		sq_config_quote(why, text);
		sq_buf_printf(why, " is not true or false");
		return SQ_EINVAL;
	}
	*out = text[0] == 't';
	return 0;
}

static int
value_set_enum(void *cfg, const struct sq_config_key *k, const char *text, struct sq_buf *why)
{
	unsigned *out = value_at(cfg, k);

	for (unsigned i = 0; k->choices[i] != NULL; i++) {
		if (strcmp(text, k->choices[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	sq_config_quote(why, text);
	sq_buf_printf(why, " is not one of ");
	for (unsigned i = 0; k->choices[i] != NULL; i++)
		sq_buf_printf(why, "%s%s", i != 0 ? ", " : "", k->choices[i]);
	return SQ_EINVAL;
}

static int
value_set_string(void *cfg, const struct sq_config_key *k, const char *text)
{
	char **out = value_at(cfg, k);

	free(*out);
	*out = *text != '\0' ? sq_xstrdup(text) : NULL;
	return 0;
}

int
sq_config_set(void *cfg, const struct sq_config_key *k, const char *text, struct sq_buf *why)
{
	switch (k->type) {
	case SQ_CFG_STRING:
		return value_set_string(cfg, k, text);
	case SQ_CFG_LIST:
		return value_set_list(cfg, k, text, why);
	case SQ_CFG_BOOL:
		return value_set_bool(cfg, k, text, why);
	case SQ_CFG_UINT:
	case SQ_CFG_SIZE:
	case SQ_CFG_DURATION:
		return value_set_number(cfg, k, text, why);
	case SQ_CFG_ENUM:
		return value_set_enum(cfg, k, text, why);
	case SQ_CFG_RECORDS:
	case SQ_CFG_NAMED:
		break; /* not one text */
	}
	abort();
}

static void
value_free(void *cfg, const struct sq_config_key *k)
{
	if (k->type == SQ_CFG_STRING)
		value_set_string(cfg, k, "");
	else if (k->type == SQ_CFG_LIST)
		sq_strings_fini(value_at(cfg, k));
}

/* ---- records ---- */

/* Whether a name goes on into records. */
static bool
config_is_below_records(const char *name)
{
	return strstr(name, "[].") != NULL || strstr(name, ".*.") != NULL;
}

static bool
config_has_records(const struct sq_config_key *k)
{
	return k->type == SQ_CFG_RECORDS || k->type == SQ_CFG_NAMED;
}

bool
sq_config_is_inner_of(const struct sq_config_key *row, const struct sq_config_key *k)
{
	const char *mark = k->type == SQ_CFG_RECORDS ? "[]." : ".*.";
	size_t len = strlen(k->name);

	return strncmp(row->name, k->name, len) == 0 && strncmp(row->name + len, mark, 3) == 0 &&
	    !config_is_below_records(row->name + len + 3);
}

bool
sq_config_is_live(const struct sq_config_key *row, const struct sq_config_key *keys, size_t n)
{
	if (row->live)
		return true;
	for (size_t i = 0; i < n; i++) {
		if (keys[i].live && config_has_records(&keys[i]) &&
		    sq_config_is_inner_of(row, &keys[i]))
			return true;
	}
	return false;
}

struct sq_config_record *
sq_config_add_record(const struct sq_config_load *l, const struct sq_config_key *k,
    const char *name, const char *where)
{
	struct sq_config_records *all = value_at(l->cfg, k);
	struct sq_config_record *r;

	assert(k->min >= sizeof *r);
	all->v = sq_xrealloc(all->v, (all->n + 1) * k->min);
	r = (void *)((char *)all->v + all->n++ * k->min);
	memset(r, 0, k->min);
	r->name = name != NULL ? sq_xstrdup(name) : NULL;
	r->where = sq_xstrdup(where);
	for (size_t i = 0; i < l->n; i++) {
		const struct sq_config_key *row = &l->keys[i];

		if (row->def != NULL && sq_config_is_inner_of(row, k) &&
		    sq_config_set(r, row, row->def, l->err) != 0)
			abort(); /* the table contradicts itself */
	}
	return r;
}

static void
config_free_row(
    const struct sq_config_load *l, struct sq_config_record *r, const struct sq_config_key *row)
{
	const struct sq_config_load inner = {.cfg = r, .keys = l->keys, .n = l->n};

	if (config_has_records(row))
		sq_config_free_records(&inner, row);
	else
		value_free(r, row);
}

void
sq_config_free_records(const struct sq_config_load *l, const struct sq_config_key *k)
{
	struct sq_config_records *all = value_at(l->cfg, k);

	for (size_t at = 0; at < all->n; at++) {
		struct sq_config_record *r = (void *)((char *)all->v + at * k->min);

		for (size_t i = 0; i < l->n; i++)
			if (sq_config_is_inner_of(&l->keys[i], k))
				config_free_row(l, r, &l->keys[i]);
		free(r->name);
		free(r->where);
	}
	free(all->v);
	*all = (struct sq_config_records){0};
}

void
sq_config_free(void *cfg, const struct sq_config_key *keys, size_t n)
{
	const struct sq_config_load l = {.cfg = cfg, .keys = keys, .n = n};

	for (size_t i = 0; i < n; i++) {
		if (sq_config_is_inner(&keys[i]))
			continue;
		if (config_has_records(&keys[i]))
			sq_config_free_records(&l, &keys[i]);
		else
			value_free(cfg, &keys[i]);
	}
}

/* ---- reference ---- */

/* The values a key takes, for people. */
static void
value_describe(struct sq_buf *out, const struct sq_config_key *k, const char *sep)
{
	static const char *const words[] = {
	    [SQ_CFG_STRING] = "text",
	    [SQ_CFG_LIST] = "list",
	    [SQ_CFG_UINT] = "number",
	    [SQ_CFG_SIZE] = "size",
	    [SQ_CFG_DURATION] = "duration",
	    [SQ_CFG_RECORDS] = "list of maps",
	    [SQ_CFG_NAMED] = "map of maps",
	};

	if (k->type == SQ_CFG_BOOL) {
		sq_buf_printf(out, "true%sfalse", sep);
	} else if (k->type == SQ_CFG_ENUM) {
		for (unsigned i = 0; k->choices[i] != NULL; i++)
			sq_buf_printf(out, "%s%s", i != 0 ? sep : "", k->choices[i]);
	} else {
		sq_buf_printf(out, "%s", words[k->type]);
		if (k->choices != NULL)
			sq_buf_printf(out, " or %s", k->choices[0]);
	}
}

void
sq_config_help(const struct sq_config_key *keys, size_t n, struct sq_buf *out)
{
	sq_buf_printf(out, "  --config FILE\n      YAML file to read; also SQMQOS_CONFIG.\n");
	for (size_t i = 0; i < n; i++) {
		const struct sq_config_key *k = &keys[i];

		if (sq_config_is_inner(k))
			sq_buf_printf(out, "      %s: ", k->name);
		else
			sq_buf_printf(out, "  --%s ", k->name);
		value_describe(out, k, "|");
		sq_buf_printf(out, "\n      %s", k->help);
		if (k->def != NULL)
			sq_buf_printf(out, " [%s]", k->def);
		sq_buf_printf(out, "\n");
	}
}

void
sq_config_markdown(const struct sq_config_key *keys, size_t n, struct sq_buf *out)
{
	sq_buf_printf(out, "| key | value | default | live | meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++) {
		const struct sq_config_key *k = &keys[i];

		sq_buf_printf(out, "| `%s` | ", k->name);
		value_describe(out, k, ", ");
		if (k->type != SQ_CFG_RECORDS && k->type != SQ_CFG_NAMED &&
		    (k->min != 0 || k->max != 0)) {
			sq_buf_printf(out, ", ");
			value_print(out, k->type, k->min);
			if (k->max != 0) {
				sq_buf_printf(out, " to ");
				value_print(out, k->type, k->max);
			} else {
				sq_buf_printf(out, " or more");
			}
		}
		if (k->def != NULL)
			sq_buf_printf(out, " | `%s`", k->def);
		else
			sq_buf_printf(out, " | none");
		sq_buf_printf(
		    out, " | %s | %s |\n", sq_config_is_live(k, keys, n) ? "yes" : "", k->help);
	}
}
