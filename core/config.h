/* Configuration from one table: defaults, then a YAML file, then environment
 * variables, then flags; later wins.
 *
 * A key "tls.ca-file" is written in YAML as a map "tls:" with "ca-file:" below
 * it, in the environment as SQMQOS_TLS_CA_FILE, as a flag --tls.ca-file.  Records
 * are YAML in the environment and in flags, too ("[{issuer: a}]").  An unknown key,
 * a duplicate key or a value out of range is an error whose line names the source
 * ("sidecar.yaml:7: pool.sise: unknown key, did you mean pool.size?"). */
#ifndef SQ_CORE_CONFIG_H
#define SQ_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum sq_config_type {
	SQ_CFG_STRING,   /* char * */
	SQ_CFG_LIST,     /* struct sq_strings: a YAML list, or comma-separated */
	SQ_CFG_BOOL,     /* bool: true or false */
	SQ_CFG_UINT,     /* uint64_t, within [min, max] */
	SQ_CFG_SIZE,     /* uint64_t bytes: 4096, 64Ki, 8Mi, 1Gi */
	SQ_CFG_DURATION, /* uint64_t milliseconds: 250ms, 30s, 5m, 24h */
	SQ_CFG_ENUM,     /* unsigned: index into 'choices' */
	SQ_CFG_RECORDS,  /* struct sq_config_records: a YAML list of maps */
	SQ_CFG_NAMED,    /* struct sq_config_records: a YAML map of maps */
};

struct sq_strings {
	char **v;
	size_t n;
};

/* The head of each record.  The other members follow from rows of the table: their names begin
 * with the list's name and "[].", or with the map's name and ".*." ("auth.issuers[].keys-file"),
 * and their offsets count from the record's start.  A row of a record may be a list or a map of
 * records itself. */
struct sq_config_record {
	char *name;  /* of a record of SQ_CFG_NAMED; else NULL */
	char *where; /* "broker.yaml:12", for errors of the record as a whole */
};

struct sq_config_records {
	void *v; /* 'n' records of 'min' bytes, see below */
	size_t n;
};

struct sq_config_key {
	const char *name; /* "tls.ca-file" */
	enum sq_config_type type;
	size_t offset;   /* of the value in the program's struct */
	const char *def; /* the default, as text; NULL: unset, empty or 0 */
	/* Bounds of numbers, sizes, durations; both 0: none.  Of records: the size of one record,
	 * and the number of its first rows that each record must have. */
	uint64_t min, max;
	/* The choices of SQ_CFG_ENUM, NULL-terminated.  Of numbers, sizes, durations: the one word
	 * that stands for 0, even below 'min', or for UINT64_MAX where 'min' is 0; or NULL. */
	const char *const *choices;
	const char *help; /* one sentence, for --help and docs/ */
	/* Whether a change counts while the program runs (core/reload.h); rows of records count as
	 * their list or map does, or by themselves.  Tables leave it out where it is false. */
	bool live;
};

/* Whether a value of SQ_CFG_STRING is there: NULL and "" are none. */
static inline bool
sq_config_is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

/* A value of SQ_CFG_STRING; NULL: it is not there. */
static inline const char *
sq_config_text(const char *value)
{
	return sq_config_is_set(value) ? value : NULL;
}

/* Fills 'cfg' (zeroed by the caller) from defaults, the file that --config or
 * SQMQOS_CONFIG names, environment and argv.  --help and --version are the
 * caller's.  On error returns SQ_EINVAL and appends one readable line to
 * 'err'; 'cfg' is safe to free either way. */
int sq_config_load(void *cfg, const struct sq_config_key *keys, size_t n, int argc, char **argv,
    char **envp, struct sq_buf *err) SQ_MUST_CHECK;
/* The file that sq_config_load() reads; NULL: none. */
const char *sq_config_file(int argc, char **argv, char **envp);
/* The YAML layer alone, from memory; 'source' names it in errors. */
int sq_config_yaml(void *cfg, const struct sq_config_key *keys, size_t n, const char *source,
    const void *text, size_t len, struct sq_buf *err) SQ_MUST_CHECK;
/* Appends the names of the keys whose values differ between 'a' and 'b', at most 'most' names,
 * then the number of the others; returns how many there are.  Live keys do not count. */
size_t sq_config_differ(const void *a, const void *b, const struct sq_config_key *keys, size_t n,
    size_t most, struct sq_buf *out);
/* Whether the value of a key, which is none of records, is its default. */
bool sq_config_is_default(const void *cfg, const struct sq_config_key *);
/* Frees the values, not 'cfg' itself. */
void sq_config_free(void *cfg, const struct sq_config_key *keys, size_t n);
/* The table as --help text, and as the Markdown table of docs/. */
void sq_config_help(const struct sq_config_key *keys, size_t n, struct sq_buf *out);
void sq_config_markdown(const struct sq_config_key *keys, size_t n, struct sq_buf *out);

#endif
