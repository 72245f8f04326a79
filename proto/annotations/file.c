#include "proto/annotations/file.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { KEY_MAX = 317 }; /* bytes of a key: a prefix of 253, a name of 63 */

void
sq_annotation_pairs_add(
    struct sq_annotation_pairs *pairs, const char *key, const char *value, size_t len)
{
	pairs->v = sq_xrealloc(pairs->v, (pairs->n + 1) * sizeof *pairs->v);
	pairs->v[pairs->n++] = (struct sq_annotation){
	    sq_xstrdup(key), sq_xmemdup0(len > 0 ? value : "", len), len};
}

void
sq_annotation_pairs_free(struct sq_annotation_pairs *pairs)
{
	for (size_t i = 0; i < pairs->n; i++) {
		free((char *)pairs->v[i].key);
		free((char *)pairs->v[i].value);
	}
	free(pairs->v);
	*pairs = (struct sq_annotation_pairs){0};
}

/* Whether it is a key of ours, as Kubernetes has names. */
static bool
file_key(const char *p, size_t len)
{
	size_t prefix = sizeof SQ_ANNOTATION_PREFIX - 1;

	if (len <= prefix || len > KEY_MAX || memcmp(p, SQ_ANNOTATION_PREFIX, prefix) != 0)
		return false;
	for (size_t i = prefix; i < len; i++) {
		if (!isalnum((unsigned char)p[i]) && (p[i] == '\0' || strchr("-_.", p[i]) == NULL))
			return false;
	}
	return true;
}

/* One line, without its end.  NULL, or a static reason. */
static const char *
file_line(const char *p, size_t len, struct sq_annotation_pairs *out, size_t *at)
{
	const char *eq = memchr(p, '=', len), *why = NULL;
	struct sq_buf value = {0};
	char key[KEY_MAX + 1];
	size_t key_len = eq != NULL ? (size_t)(eq - p) : 0;
	long n;

	*at = 0;
	if (key_len == 0)
		return "not of the form key=\"value\"";
	*at = key_len + 1;
	n = sq_go_unquote(eq + 1, len - *at, &value, &why);
	if (n >= 0) {
		why = NULL;
		*at += (size_t)n;
		if (*at != len)
			why = "something follows the value";
	}
	if (why == NULL && file_key(p, key_len)) {
		memcpy(key, p, key_len);
		key[key_len] = '\0';
		sq_annotation_pairs_add(
		    out, key, (const char *)sq_buf_data(&value), sq_buf_len(&value));
	}
	sq_buf_fini(&value);
	return why;
}

int
sq_annotations_file(const char *text, size_t len, struct sq_annotation_pairs *out,
    struct sq_annotation_problems *problems)
{
	size_t errors = problems->errors, wrong;
	struct sq_position at = {1, 1};

	*out = (struct sq_annotation_pairs){0};
	if (len > SQ_ANNOTATIONS_SIZE_MAX) {
		sq_annotation_problems_add(problems, NULL, SIZE_MAX, at, false,
		    "the file is larger than %d bytes", SQ_ANNOTATIONS_SIZE_MAX);
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < len; at.line++) {
		const char *nl = memchr(text + i, '\n', len - i), *why;
		size_t size = nl != NULL ? (size_t)(nl - text) - i : len - i;

		if (size > 0 && text[i + size - 1] == '\r')
			size--;
		why = size > 0 ? file_line(text + i, size, out, &wrong) : NULL;
		if (why != NULL) {
			at.column = sq_position_of(text + i, wrong).column;
			sq_annotation_problems_add(problems, NULL, SIZE_MAX, at, false, "%s", why);
		}
		i = nl != NULL ? (size_t)(nl - text) + 1 : len;
	}
	if (problems->errors == errors)
		return 0;
	sq_annotation_pairs_free(out);
	return SQ_EINVAL;
}

void
sq_annotations_file_line(struct sq_buf *out, const struct sq_annotation *a)
{
	sq_buf_printf(out, "%s=\"", a->key);
	for (size_t i = 0; i < a->len; i++) {
		unsigned char c = (unsigned char)a->value[i];

		if (c == '"' || c == '\\')
			sq_buf_printf(out, "\\%c", c);
		else if (c == '\n')
			sq_buf_printf(out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			sq_buf_printf(out, "\\x%02x", c);
		else
			sq_buf_u8(out, c);
	}
	sq_buf_printf(out, "\"\n");
}
