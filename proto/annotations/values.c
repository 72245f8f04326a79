/* Words, numbers, times, switches and comma lists of values. */
#include "proto/annotations/values.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/suggest.h"

void
sq_value_wrong(struct sq_annotation_value *v, struct sq_position at, const char *fmt, ...)
{
	char text[2 * SQ_ANNOTATION_PROBLEM_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	sq_annotation_problems_add(v->problems, v->key, v->pair, at, false, "%s", text);
}

bool
sq_value_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool
sq_value_blank(const char *v, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!sq_value_space(v[i]))
			return false;
	}
	return true;
}

bool
sq_value_is_yaml(const char *v, size_t len)
{
	while (len > 0 && sq_value_space(*v)) {
		v++;
		len--;
	}
	if (len == 0)
		return false;
	return v[0] == '[' || v[0] == '{' || v[0] == '#' ||
	    (v[0] == '-' && (len == 1 || sq_value_space(v[1]))) ||
	    (len >= 3 && memcmp(v, "---", 3) == 0);
}

struct sq_value_list
sq_value_list(const struct sq_annotation_value *v)
{
	return (struct sq_value_list){.text = v->text, .len = v->len, .at = {1, 1}};
}

/* Goes on by 'n' bytes. */
static void
list_advance(struct sq_value_list *list, size_t n)
{
	struct sq_position by = sq_position_of(&list->text[list->next], n);

	list->next += n;
	list->at = by.line == 1
	    ? (struct sq_position){list->at.line, list->at.column + by.column - 1}
	    : (struct sq_position){list->at.line + by.line - 1, by.column};
}

bool
sq_value_item(struct sq_value_list *list, struct sq_bytes *item, struct sq_position *at)
{
	const char *begin, *comma, *end, *p;

	if (list->next > list->len)
		return false;
	begin = &list->text[list->next];
	comma = memchr(begin, ',', list->len - list->next);
	end = comma != NULL ? comma : &list->text[list->len];
	for (p = begin; p < end && sq_value_space(*p);)
		p++;
	list_advance(list, (size_t)(p - begin));
	*at = list->at;
	list_advance(list, (size_t)(end - p));
	if (comma != NULL)
		list_advance(list, 1);
	else
		list->next = list->len + 1;
	while (end > p && sq_value_space(end[-1]))
		end--;
	*item = (struct sq_bytes){(const unsigned char *)p, (size_t)(end - p)};
	return true;
}

struct sq_bytes
sq_value_word(const struct sq_annotation_value *v, struct sq_position *at)
{
	size_t begin = 0, end = v->len;

	while (begin < end && sq_value_space(v->text[begin]))
		begin++;
	while (end > begin && sq_value_space(v->text[end - 1]))
		end--;
	*at = sq_position_of(v->text, begin);
	return (struct sq_bytes){(const unsigned char *)&v->text[begin], end - begin};
}

const char *
sq_value_nearest(const char *written, const char *const *words)
{
	struct sq_suggest s = sq_suggest_start(written, strlen(written));

	for (; *words != NULL; words++)
		sq_suggest_offer(&s, *words, strlen(*words), *words, strlen(*words));
	return s.best;
}

int
sq_value_count(const char *s, uint32_t least, uint32_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return SQ_EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return SQ_EINVAL;
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > UINT32_MAX)
			return SQ_EINVAL;
	}
	*out = (uint32_t)v;
	return v >= least ? 0 : SQ_EINVAL;
}

int
sq_value_duration(const char *s, uint32_t *out)
{
	static const char units[] = "smhd";
	static const uint32_t seconds[] = {1, 60, 3600, 86400};
	char digits[16];
	size_t n = strspn(s, "0123456789");
	const char *unit;
	uint32_t v;

	if (n == 0 || n >= sizeof digits || s[n] == '\0' || s[n + 1] != '\0' ||
	    (unit = strchr(units, s[n])) == NULL)
		return SQ_EINVAL;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (sq_value_count(digits, 1, &v) != 0 || v > UINT32_MAX / seconds[unit - units])
		return SQ_EINVAL;
	*out = v * seconds[unit - units];
	return 0;
}

int
sq_value_bool(const char *s, bool *out)
{
	*out = strcmp(s, "true") == 0;
	return *out || strcmp(s, "false") == 0 ? 0 : SQ_EINVAL;
}

const char *
sq_value_not_a_group(struct sq_bytes name, size_t max)
{
	if (name.len == 0)
		return "must not be empty";
	if (name.len > max)
		return max == SQ_GROUP_MAX ? "must have at most 255 bytes"
					   : "must have at most 253 bytes";
	for (size_t i = 0; i < name.len; i++) {
		if (strchr("/+#:", name.p[i]) != NULL) /* no NUL is in a value */
			return "must not contain / + # or :";
	}
	return NULL;
}
