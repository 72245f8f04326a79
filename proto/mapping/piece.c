/* Templates, taken apart. */
#include <stdint.h>
#include <string.h>

#include "core/mem.h"
#include "core/suggest.h"
#include "proto/mapping/mapping_priv.h"
#include "proto/topic/topic.h"

enum { SEPARATOR_MAX = 8, QUOTE_MAX = 64 };

static const char prop_prefix[] = "prop:", levels_prefix[] = "topic.*", level_prefix[] = "topic.",
		  key_prefix[] = "key:", header_prefix[] = "header:";

static bool
begins(struct sq_bytes b, const char *with)
{
	return b.len >= strlen(with) && memcmp(b.p, with, strlen(with)) == 0;
}

static struct sq_bytes
behind(struct sq_bytes b, const char *front)
{
	return (struct sq_bytes){b.p + strlen(front), b.len - strlen(front)};
}

static int
piece_fault(struct sq_buf *err, struct sq_bytes name, const char *fault)
{
	if (err == NULL)
		return SQ_EINVAL;
	sq_buf_u8(err, '{');
	for (size_t i = 0; i < name.len && i < QUOTE_MAX; i++)
		sq_buf_u8(err, name.p[i] >= ' ' && name.p[i] < 0x7f ? name.p[i] : '?');
	sq_buf_printf(err, "}: %s", fault);
	return SQ_EINVAL;
}

static int
piece_unknown(struct sq_buf *err, struct sq_bytes name)
{
	static const char *const known[] = {
	    "topic", "space", "queue", "tag", "key", "prop", "header"};
	enum { WITH_NAME = 5 }; /* the first that takes one */
	struct sq_suggest s;
	size_t len = 0;

	while (len < name.len && name.p[len] != '.' && name.p[len] != ':')
		len++;
	s = sq_suggest_start((const char *)name.p, len);
	for (size_t i = 0; i < SQ_ARRAY_LEN(known); i++)
		sq_suggest_offer(&s, known[i], strlen(known[i]), known[i], strlen(known[i]));
	(void)piece_fault(err, name, "unknown name");
	if (err == NULL || s.best == NULL)
		return SQ_EINVAL;
	len = 0;
	while (known[len] != s.best)
		len++;
	sq_buf_printf(err, ", did you mean %s%s?", s.best, len >= WITH_NAME ? ":NAME" : "");
	return SQ_EINVAL;
}

/* "topic.2", "topic.*:." */
static int
piece_levels(struct sq_mapping_piece *out, struct sq_buf *err)
{
	struct sq_bytes rest;

	if (begins(out->name, levels_prefix)) {
		rest = behind(out->name, levels_prefix);
		if (rest.len < 2 || rest.len > 1 + SEPARATOR_MAX || rest.p[0] != ':')
			return piece_fault(err, out->name,
			    "has to say what stands between levels, as {topic.*:.}");
		out->kind = SQ_MAPPING_LEVELS;
		out->text = behind(rest, ":");
		return SQ_OK;
	}
	rest = behind(out->name, level_prefix);
	out->kind = SQ_MAPPING_LEVEL;
	out->level = 0;
	for (size_t i = 0; i < rest.len; i++) {
		if (rest.p[i] < '0' || rest.p[i] > '9' || out->level > SQ_TOPIC_LEVELS_MAX)
			out->level = SQ_TOPIC_LEVELS_MAX + 1;
		else
			out->level = 10 * out->level + (rest.p[i] - '0');
	}
	if (out->level == 0 || out->level > SQ_TOPIC_LEVELS_MAX)
		return piece_fault(err, out->name, "has to name a level: 1 to 1024");
	return SQ_OK;
}

/* "prop:NAME", "header:NAME", "key:/"; SQ_ENOTFOUND: none of them. */
static int
piece_prefixed(struct sq_mapping_piece *out, struct sq_buf *err)
{
	static const struct {
		const char *prefix;
		enum sq_mapping_kind kind;
		size_t most;
		const char *fault;
	} all[] = {
	    {prop_prefix, SQ_MAPPING_PROP, SIZE_MAX, "has to name a user property"},
	    {header_prefix, SQ_MAPPING_PEERS, SIZE_MAX, "has to name a header"},
	    {key_prefix, SQ_MAPPING_KEY_PARTS, SEPARATOR_MAX,
		"has to say what stands between parts, as {key:/}"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++) {
		if (!begins(out->name, all[i].prefix))
			continue;
		out->kind = all[i].kind;
		out->text = behind(out->name, all[i].prefix);
		return out->text.len > 0 && out->text.len <= all[i].most
		    ? SQ_OK
		    : piece_fault(err, out->name, all[i].fault);
	}
	return SQ_ENOTFOUND;
}

/* What the name is of. */
static int
piece_name(struct sq_mapping_piece *out, struct sq_buf *err)
{
	static const struct {
		const char *name;
		enum sq_mapping_kind kind;
	} plain[] = {
	    {"topic", SQ_MAPPING_WHOLE},
	    {"space", SQ_MAPPING_SPACE},
	    {"queue", SQ_MAPPING_QUEUE},
	    {"tag", SQ_MAPPING_TAG},
	    {"key", SQ_MAPPING_KEY},
	};
	int rc;

	if (begins(out->name, level_prefix))
		return piece_levels(out, err);
	rc = piece_prefixed(out, err);
	if (rc != SQ_ENOTFOUND)
		return rc;
	for (size_t i = 0; i < SQ_ARRAY_LEN(plain); i++) {
		if (sq_bytes_are(out->name, plain[i].name)) {
			out->kind = plain[i].kind;
			return SQ_OK;
		}
	}
	return piece_unknown(err, out->name);
}

int
sq_mapping_next(const char **at, struct sq_mapping_piece *out, struct sq_buf *err)
{
	const char *p = *at, *end, *bar;
	size_t n = strcspn(p, "{}");

	*out = (struct sq_mapping_piece){.kind = SQ_MAPPING_LITERAL};
	if (*p == '\0')
		return SQ_ENOTFOUND;
	if (n == 0 && p[1] == p[0]) { /* "{{" */
		out->text = (struct sq_bytes){(const unsigned char *)p, 1};
		*at = p + 2;
		return SQ_OK;
	}
	if (n > 0) {
		out->text = (struct sq_bytes){(const unsigned char *)p, n};
		*at = p + n;
		return SQ_OK;
	}
	end = p + 1 + strcspn(p + 1, "{}");
	if (*p == '}' || *end != '}') {
		if (err != NULL)
			sq_buf_printf(err, "a %c without its pair; %c%c is one alone", *p, *p, *p);
		return SQ_EINVAL;
	}
	bar = memchr(p, '|', (size_t)(end - p));
	out->has_default = bar != NULL;
	if (bar == NULL)
		bar = end;
	else
		out->def = (struct sq_bytes){
		    (const unsigned char *)bar + 1, (size_t)(end - bar - 1)};
	out->name = (struct sq_bytes){(const unsigned char *)p + 1, (size_t)(bar - p - 1)};
	*at = end + 1;
	return piece_name(out, err);
}
