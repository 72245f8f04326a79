/* The table of keys: search, suggestions, and how text from outside is quoted. */
#include <assert.h>
#include <string.h>

#include "core/config_priv.h"
#include "core/suggest.h"

bool
sq_config_is_inner(const struct sq_config_key *k)
{
	return strstr(k->name, "[].") != NULL || strstr(k->name, ".*.") != NULL;
}

const struct sq_config_key *
sq_config_find(const struct sq_config_load *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->keys[i].name, name) == 0)
			return &l->keys[i];
	return NULL;
}

bool
sq_config_is_group(const struct sq_config_load *l, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < l->n; i++)
		if (strncmp(l->keys[i].name, path, len) == 0 && l->keys[i].name[len] == '.')
			return true;
	return false;
}

/* The length of the first 'depth' parts of a dotted name. */
static size_t
config_prefix(const char *name, unsigned depth)
{
	const char *at = name;

	while (*at != '\0' && (*at != '.' || --depth != 0))
		at++;
	return (size_t)(at - name);
}

void
sq_config_suggest(const struct sq_config_load *l, const char *name,
    void (*spell)(struct sq_buf *, const char *name, size_t len))
{
	struct sq_suggest s = sq_suggest_start(name, strlen(name));
	unsigned depth = 1;

	for (const char *at = name; *at != '\0'; at++)
		depth += *at == '.';
	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->keys[i].name;
		size_t len = strlen(key), group = config_prefix(key, depth);

		assert(len <= SQ_SUGGEST_MAX);
		sq_suggest_offer(&s, key, len, key, len);
		sq_suggest_offer(&s, key, group, key, group);
	}
	if (s.best == NULL)
		return;
	sq_buf_printf(l->err, ", did you mean ");
	spell(l->err, s.best, s.best_len);
	sq_buf_printf(l->err, "?");
}

void
sq_config_quote(struct sq_buf *out, const char *text)
{
	size_t n;

	sq_buf_u8(out, '"');
	for (n = 0; text[n] != '\0' && n < 64; n++) {
		unsigned char c = (unsigned char)text[n];

		sq_buf_u8(out, c < 0x20 || c == 0x7f ? '?' : c);
	}
	sq_buf_printf(out, "%s\"", text[n] != '\0' ? "..." : "");
}
