/* The inner interface of core/config: search of the table, and its values. */
#ifndef SQ_CORE_CONFIG_PRIV_H
#define SQ_CORE_CONFIG_PRIV_H

#include <stdbool.h>

#include "core/config.h"

/* One table on its way into one struct. */
struct sq_config_load {
	void *cfg;
	const struct sq_config_key *keys;
	size_t n;
	struct sq_buf *err;
};

/* Whether the row belongs to a record, so that it is no key of its own. */
bool sq_config_is_inner(const struct sq_config_key *);
/* Whether the row belongs to the records of 'k'. */
bool sq_config_is_inner_of(const struct sq_config_key *row, const struct sq_config_key *k);
/* Whether a change of the row's value counts while the program runs. */
bool sq_config_is_live(const struct sq_config_key *row, const struct sq_config_key *keys, size_t n);
/* The key of that name, or NULL. */
const struct sq_config_key *sq_config_find(const struct sq_config_load *, const char *name);
/* Whether keys stand below 'path': "tls" for "tls.ca-file". */
bool sq_config_is_group(const struct sq_config_load *, const char *path);
/* Appends ", did you mean X?" if some key, or a group as deep as 'name', is
 * close to it; 'spell' writes X in the source's own way. */
void sq_config_suggest(const struct sq_config_load *, const char *name,
    void (*spell)(struct sq_buf *, const char *name, size_t len));
/* Appends text from outside: at most 64 bytes of it, control characters as '?'. */
void sq_config_quote(struct sq_buf *, const char *text);

/* Sets a value from one text, or a list from items.  On error appends the
 * reason without a source to 'why' and leaves the old value. */
int sq_config_set(
    void *cfg, const struct sq_config_key *, const char *text, struct sq_buf *why) SQ_MUST_CHECK;
/* Replaces a list by 'items', which is empty afterwards. */
void sq_config_set_list(void *cfg, const struct sq_config_key *, struct sq_strings *items);
/* Appends an empty record with its defaults to a list or map, at 'where'. */
struct sq_config_record *sq_config_add_record(const struct sq_config_load *,
    const struct sq_config_key *, const char *name, const char *where);
void sq_config_free_records(const struct sq_config_load *, const struct sq_config_key *);
/* Reads one value of records from YAML text; errors begin with a line of it. */
int sq_config_yaml_records(
    const struct sq_config_load *, const struct sq_config_key *, const char *text) SQ_MUST_CHECK;
void sq_strings_add(struct sq_strings *, const char *text, size_t len);
void sq_strings_fini(struct sq_strings *);

#endif
