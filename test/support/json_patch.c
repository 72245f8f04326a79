#include "json_patch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Takes the first part off a pointer, without its escapes. */
static char *
part_take(const char **pointer)
{
	size_t len = strcspn(*pointer + 1, "/"), n = 0;
	const char *p = *pointer + 1;
	char *part = malloc(len + 1);

	for (size_t i = 0; i < len; i++) {
		part[n] = p[i];
		if (p[i] == '~')
			part[n] = p[++i] == '0' ? '~' : '/';
		n++;
	}
	part[n] = '\0';
	*pointer += 1 + len;
	return part;
}

/* An index into a list; -1: it is none.  The size itself where 'end' may be named. */
static long
list_index(const json_t *list, const char *part, bool end)
{
	size_t size = json_array_size(list);
	char *rest;
	unsigned long i;

	if (end && strcmp(part, "-") == 0)
		return (long)size;
	if (part[0] < '0' || part[0] > '9' || (part[0] == '0' && part[1] != '\0'))
		return -1;
	i = strtoul(part, &rest, 10);
	return *rest == '\0' && (i < size || (end && i == size)) ? (long)i : -1;
}

static json_t *
child_get(json_t *v, const char *part)
{
	long i;

	if (json_is_object(v))
		return json_object_get(v, part);
	if (!json_is_array(v) || (i = list_index(v, part, false)) < 0)
		return NULL;
	return json_array_get(v, (size_t)i);
}

json_t *
json_pointer_get(json_t *v, const char *pointer)
{
	while (v != NULL && *pointer == '/') {
		char *part = part_take(&pointer);

		v = child_get(v, part);
		free(part);
	}
	return *pointer == '\0' ? v : NULL;
}

static bool
put(json_t *parent, const char *part, json_t *value, bool replace)
{
	long i;

	if (json_is_object(parent))
		return (!replace || json_object_get(parent, part) != NULL) &&
		    json_object_set(parent, part, value) == 0;
	if (!json_is_array(parent) || (i = list_index(parent, part, !replace)) < 0)
		return false;
	return (replace ? json_array_set(parent, (size_t)i, value)
			: json_array_insert(parent, (size_t)i, value)) == 0;
}

static bool
take(json_t *parent, const char *part)
{
	long i;

	if (json_is_object(parent))
		return json_object_del(parent, part) == 0;
	return json_is_array(parent) && (i = list_index(parent, part, false)) >= 0 &&
	    json_array_remove(parent, (size_t)i) == 0;
}

static bool
apply_one(json_t *document, const json_t *op)
{
	const char *kind = json_string_value(json_object_get(op, "op"));
	const char *path = json_string_value(json_object_get(op, "path"));
	json_t *value = json_deep_copy(json_object_get(op, "value")), *parent = document;
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;
	char *above, *part;
	bool ok = false;

	if (kind == NULL || slash == NULL)
		return false;
	above = strndup(path, (size_t)(slash - path));
	parent = json_pointer_get(document, above);
	part = part_take(&slash);
	if (strcmp(kind, "remove") == 0)
		ok = take(parent, part);
	else if (value != NULL && (strcmp(kind, "add") == 0 || strcmp(kind, "replace") == 0))
		ok = put(parent, part, value, kind[0] == 'r');
	json_decref(value);
	free(above);
	free(part);
	return ok;
}

json_t *
json_patch_apply(const json_t *document, const json_t *ops)
{
	json_t *result = json_deep_copy(document);
	const json_t *op;
	size_t i;

	json_array_foreach(ops, i, op)
	{
		if (!apply_one(result, op)) {
			json_decref(result);
			return NULL;
		}
	}
	return result;
}
