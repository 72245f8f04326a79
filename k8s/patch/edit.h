/* A change of an object, made in place, and the operations of a JSON patch (RFC 6902) that make
 * the same change elsewhere. */
#ifndef SQ_K8S_PATCH_EDIT_H
#define SQ_K8S_PATCH_EDIT_H

#include <jansson.h>
#include <stddef.h>

#include "core/buf.h"

struct sq_edit {
	json_t *ops; /* an array */
};

/* A place within the object: its value there and its JSON pointer. */
struct sq_place {
	json_t *value; /* borrowed */
	struct sq_buf path;
};

/* The root is the object itself.  sq_place_fini() each. */
struct sq_place sq_place_root(json_t *object);
/* An entry of a map, NULL where it has none; an item of a list. */
struct sq_place sq_place_key(const struct sq_place *map, const char *key);
struct sq_place sq_place_item(const struct sq_place *list, size_t index);
/* The entry of a map, made where there is none (or null): an empty map, an empty list. */
struct sq_place sq_edit_map(struct sq_edit *, const struct sq_place *map, const char *key);
struct sq_place sq_edit_list(struct sq_edit *, const struct sq_place *map, const char *key);
void sq_place_fini(struct sq_place *);

/* Puts 'value', whose reference it takes, into a map; nothing where it is there already. */
void sq_edit_set(struct sq_edit *, const struct sq_place *map, const char *key, json_t *value);
/* Puts 'value', whose reference it takes, before item 'index' of a list; at its end where that
 * is its size. */
void sq_edit_insert(struct sq_edit *, const struct sq_place *list, size_t index, json_t *value);

/* Appends a part of a JSON pointer: "/" and the text with its escapes (RFC 6901). */
void sq_pointer_add(struct sq_buf *path, const char *part);
/* The text of a buffer; "" for an empty one.  It stays until the buffer changes. */
const char *sq_pointer_text(struct sq_buf *path);

#endif
