/* The options of the command line: one table, from which they are read, explained and completed. */
#ifndef SQ_CLI_OPTIONS_H
#define SQ_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SQ_OPTION_FILES_MAX = 1000 };

/* X(symbol, long name, letter or 0, argument or NULL, help) */
#define SQ_OPTIONS(X) \
	X(FILE, "filename", 'f', "FILE", \
	    "a file in YAML or JSON, a folder of such, or - for standard input; may be given " \
	    "several times") \
	X(VALUES, "values", 0, "FILE", \
	    "the installation's settings.yaml (in the ConfigMap of the injector)") \
	X(BUNDLE, "trust-bundle", 0, "FILE", \
	    "certificates in PEM that the sidecars trust (inject)") \
	X(NAMESPACE, "namespace", 'n', "NAME", \
	    "where the manifests go to, if they don't say it (explain, inject, scale)") \
	X(ADMIN, "admin", 0, "URL", \
	    "the broker's admin.listen; without it SQMQOS_ADMIN, or http://127.0.0.1:9090") \
	X(TOKEN, "token-file", 0, "FILE", \
	    "a token whose identity may operate by the broker's acl") \
	X(SPACE, "space", 0, "NAME", "only of that space; on Kubernetes a namespace") \
	X(NAME, "name", 0, "TEXT", \
	    "only rows with that name, or, with TEXT*, whose name begins with it") \
	X(LIMIT, "limit", 0, "N", "so many rows at most") \
	X(JSON, "json", 0, NULL, "the rows as the broker sends them, an array in JSON") \
	X(WIDE, "wide", 0, NULL, "all columns, none cut") \
	X(TOPIC, "topic", 0, "TOPIC", "the topic of the message (why)") \
	X(CLIENT, "client", 0, "ID", "the client id, or session, that it should come to (why)") \
	X(TAG, "tag", 0, "TAG", "a tag of the message, as its property tag has it (why)") \
	X(HELP, "help", 'h', NULL, "say what there is, or, behind a command, what it takes") \
	X(VERSION, "version", 0, NULL, "print the version")

#define SQ_OPTION_ENUM(symbol, name, letter, argument, help) SQ_OPTION_##symbol,
enum sq_option_id { SQ_OPTIONS(SQ_OPTION_ENUM) SQ_OPTION_COUNT };
#undef SQ_OPTION_ENUM

/* A set of options has a bit for each. */
#define SQ_OPTION_BIT(id) (UINT64_C(1) << (id))
_Static_assert(SQ_OPTION_COUNT <= 64, "a set of options has 64 bits");

struct sq_option {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* NULL: takes none */
	const char *help;
};

extern const struct sq_option sq_option_table[SQ_OPTION_COUNT];

/* What was given. */
struct sq_options {
	const char *value[SQ_OPTION_COUNT]; /* NULL: not given; "": given, without an argument */
	const char *files[SQ_OPTION_FILES_MAX];
	size_t n_files;
	char **words; /* the rest of the arguments, in their order */
	size_t n_words;
};

/* Reads the arguments, whose order it may change.  False: what is wrong has been said on stderr. */
bool sq_options_read(struct sq_options *, int argc, char **argv);
static inline bool
sq_option_given(const struct sq_options *o, enum sq_option_id id)
{
	return o->value[id] != NULL;
}

#endif
