/* The part of the configuration that changes while the broker runs: the rules of "acl".
 *
 * When the file has changed, the whole configuration is read again, and must be good; then its rules
 * are in force, and its other keys count from the next start on.  The file is read once it has not
 * changed between two looks, so that a file in the middle of a write is never used. */
#ifndef SQ_BROKER_CONFIG_LIVE_H
#define SQ_BROKER_CONFIG_LIVE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/file.h"

struct sq_acl;
struct sq_broker_config;

/* Thread: the one that looks. */
struct sq_config_live {
	int argc;
	char **argv, **envp;
	const char *file;            /* NULL: there is none, and nothing changes */
	struct sq_file_stamp taken;  /* of the file that was read last */
	struct sq_file_stamp looked; /* of the last look */
	struct sq_buf waits;         /* other keys that have changed, as reported last */
};

/* Is called before sq_broker_config_load() with the same arguments, which outlive it. */
void sq_config_live_init(struct sq_config_live *, int argc, char **argv, char **envp);
void sq_config_live_fini(struct sq_config_live *);
/* Looks at the file; is called a few times a second.  SQ_EAGAIN: nothing is new.  SQ_OK: '*acl' is a
 * reference to the file's rules, and 'restart' names keys (a few of them) that differ from
 * 'running' and count from the next start on; it is empty if these are the same as at the last
 * look.  Any other error has a line in 'err'. */
int sq_config_live_look(struct sq_config_live *, const struct sq_broker_config *running,
    struct sq_acl **acl, struct sq_buf *restart, struct sq_buf *err) SQ_MUST_CHECK;

#endif
