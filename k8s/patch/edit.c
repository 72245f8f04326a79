/* Changes and their operations; see edit.h. */
#include "k8s/patch/edit.h"

#include <assert.h>
#include <string.h>

void
sq_pointer_add(struct sq_buf *path, const char *part)
{
	sq_buf_append(path, "/", 1);
	for (; *part != '\0'; part++) {
		if (*part == '~')
			sq_buf_append(path, "~0", 2);
		else if (*part == '/')
			sq_buf_append(path, "~1", 2);
		else
			sq_buf_append(path, part, 1);
	}
}

const char *
sq_pointer_text(struct sq_buf *path)
{
	*sq_buf_reserve(path, 1) = '\0';
	return (const char *)sq_buf_data(path);
}

static struct sq_place
place_below(const struct sq_place *p, const char *part, json_t *value)
{
	struct sq_place below = {.value = value};

	if (sq_buf_len(&p->path) > 0)
		sq_buf_append(&below.path, sq_buf_data(&p->path), sq_buf_len(&p->path));
	sq_pointer_add(&below.path, part);
	return below;
}

struct sq_place
sq_place_root(json_t *object)
{
	return (struct sq_place){.value = object};
}

struct sq_place
sq_place_key(const struct sq_place *map, const char *key)
{
	json_t *v = json_object_get(map->value, key);

	return place_below(map, key, json_is_null(v) ? NULL : v);
}

struct sq_place
sq_place_item(const struct sq_place *list, size_t index)
{
	char part[24];

	snprintf(part, sizeof part, "%zu", index);
	return place_below(list, part, json_array_get(list->value, index));
}

void
sq_place_fini(struct sq_place *p)
{
	sq_buf_fini(&p->path);
}

/* The operation keeps a copy: what it added may change later, by operations of its own. */
static void
edit_op(struct sq_edit *e, const char *op, struct sq_place *at, const json_t *value)
{
	json_array_append_new(e->ops,
	    json_pack("{s:s, s:s, s:o}", "op", op, "path", sq_pointer_text(&at->path), "value",
		json_deep_copy(value)));
}

static struct sq_place
edit_made(struct sq_edit *e, const struct sq_place *map, const char *key, json_t *empty)
{
	struct sq_place p = sq_place_key(map, key);

	if (p.value == NULL) {
		sq_edit_set(e, map, key, empty);
		p.value = json_object_get(map->value, key);
	} else {
		json_decref(empty);
	}
	assert(p.value != NULL);
	return p;
}

struct sq_place
sq_edit_map(struct sq_edit *e, const struct sq_place *map, const char *key)
{
	return edit_made(e, map, key, json_object());
}

struct sq_place
sq_edit_list(struct sq_edit *e, const struct sq_place *map, const char *key)
{
	return edit_made(e, map, key, json_array());
}

void
sq_edit_set(struct sq_edit *e, const struct sq_place *map, const char *key, json_t *value)
{
	struct sq_place at = sq_place_key(map, key);

	assert(json_is_object(map->value));
	/* "add" replaces what is there, null too (RFC 6902, 4.1). */
	if (!json_equal(at.value, value))
		edit_op(e, "add", &at, value);
	json_object_set_new(map->value, key, value);
	sq_place_fini(&at);
}

void
sq_edit_insert(struct sq_edit *e, const struct sq_place *list, size_t index, json_t *value)
{
	struct sq_place at = sq_place_item(list, index);

	assert(json_is_array(list->value) && index <= json_array_size(list->value));
	edit_op(e, "add", &at, value);
	json_array_insert_new(list->value, index, value);
	sq_place_fini(&at);
}
