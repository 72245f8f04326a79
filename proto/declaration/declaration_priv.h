/* The inner interface of proto/declaration: the table, and values as text. */
#ifndef SQ_PROTO_DECLARATION_PRIV_H
#define SQ_PROTO_DECLARATION_PRIV_H

#include "proto/declaration/declaration.h"

enum sq_setting_type {
	SQ_SETTING_MS,      /* uint64_t milliseconds, a duration */
	SQ_SETTING_SECONDS, /* uint32_t seconds, a duration of whole ones */
	SQ_SETTING_SIZE,    /* uint64_t bytes */
	SQ_SETTING_NUMBER,  /* uint32_t */
	SQ_SETTING_BOOL,    /* bool */
	SQ_SETTING_FLAG,    /* bool: the first or the second of two words */
	SQ_SETTING_WORD,    /* an enum: index of a word and 'min' */
	/* What may be none: its default. */
	SQ_SETTING_TEXT,     /* char *, of 'max' bytes */
	SQ_SETTING_SECRET,   /* char *: the name of a file in push.secrets-dir */
	SQ_SETTING_FILE,     /* char *: a path; files of subscribers.dir alone name one */
	SQ_SETTING_RATE,     /* struct sq_push_rate */
	SQ_SETTING_STATUSES, /* struct sq_push_statuses */
	SQ_SETTING_HEADERS,  /* those of the push, and their number */
};

struct sq_setting {
	const char *name; /* kebab-case; "retry.first" is a member of a group */
	enum sq_setting_type type;
	size_t offset;   /* in struct sq_declaration */
	const char *def; /* as text */
	/* Bounds, in ms, seconds, bytes. */
	uint64_t min, max;
	/* Of words, all of them, NULL-terminated.  Else the one that stands for 0, or NULL. */
	const char *const *words;
	const char *help; /* Markdown; NULL: see sq_setting_is_alias() */
};

extern const struct sq_setting sq_settings[];
extern const size_t sq_n_settings;

/* Appends a name as the JSON of the API has it: "max-attempts" is "maxAttempts". */
void sq_setting_camel(const char *name, size_t len, struct sq_buf *out);
/* Whether it is another way to say what another setting is: read, not written. */
static inline bool
sq_setting_is_alias(const struct sq_setting *s)
{
	return s->help == NULL;
}
/* Sets a value from text.  SQ_EINVAL: 'why' has the reason, without the setting's name. */
int sq_setting_set(struct sq_declaration *, const struct sq_setting *, struct sq_bytes text,
    struct sq_buf *why) SQ_MUST_CHECK;
/* Adds a header to those of the push, which have none of that name.  SQ_EINVAL as above. */
int sq_setting_set_header(struct sq_declaration *, struct sq_bytes name, struct sq_bytes value,
    struct sq_buf *why) SQ_MUST_CHECK;
/* Set, print and compare, of what may be none. */
int sq_setting_set_more(struct sq_declaration *, const struct sq_setting *, struct sq_bytes text,
    struct sq_buf *why) SQ_MUST_CHECK;
void
sq_setting_print_more(const struct sq_declaration *, const struct sq_setting *, struct sq_buf *out);
bool sq_setting_equal_more(
    const struct sq_declaration *, const struct sq_declaration *, const struct sq_setting *);
/* Has it be its default. */
void sq_setting_reset(struct sq_declaration *, const struct sq_setting *);
/* Whether a value may be none: it is of the types from SQ_SETTING_TEXT on. */
static inline bool
sq_setting_may_be_none(const struct sq_setting *s)
{
	return s->type >= SQ_SETTING_TEXT;
}
/* Whether it is. */
bool sq_setting_none(const struct sq_declaration *, const struct sq_setting *);
bool sq_setting_equal(
    const struct sq_declaration *, const struct sq_declaration *, const struct sq_setting *);
/* Has 'd', whose bytes are another's, have a value of its own. */
void sq_setting_own(struct sq_declaration *d, const struct sq_setting *);
/* Whether a setting is of the push. */
bool sq_setting_of_push(const struct sq_setting *);
/* Whether JSON has the value as it is printed, and not in quotes. */
bool sq_setting_bare(const struct sq_declaration *, const struct sq_setting *);
/* Appends the value as text, which sq_setting_set() reads. */
void sq_setting_print(const struct sq_declaration *, const struct sq_setting *, struct sq_buf *out);
/* Appends ", 1s to 12h", or nothing where there are no bounds. */
void sq_setting_bounds(const struct sq_setting *, struct sq_buf *out);
/* Appends text from outside: at most 64 bytes of it, control characters as '?'. */
void sq_setting_quote(struct sq_buf *, struct sq_bytes text);

/* The push's part of sq_declaration_check(), where there is one. */
int sq_push_check(const struct sq_declaration *, struct sq_buf *err) SQ_MUST_CHECK;

/* Frees all bindings. */
void sq_declaration_unbind_all(struct sq_declaration *);
/* Adds a binding as sq_declaration_bind(); 'owned' strings are the declaration's from now on, also
 * after an error. */
int sq_declaration_bind_owned(
    struct sq_declaration *, struct sq_declared_binding *owned, struct sq_buf *err) SQ_MUST_CHECK;

#endif
