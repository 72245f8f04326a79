/* What of the configuration's file is taken up while the broker runs: the rules of "acl".
 *
 * The whole configuration is read again when the file has changed, and must be good; then
 * its rules are the ones in force, and the rest of it counts from the next start on.  A
 * file that is written in place is read once it has not changed between two looks, so that
 * half of a list is not taken for one. */
#ifndef SQ_BROKER_CONFIG_LIVE_H
#define SQ_BROKER_CONFIG_LIVE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/file.h"

struct sq_acl;
struct sq_broker_config;

/* Of the program's one thread that looks. */
struct sq_config_live {
	int argc;
	char **argv, **envp;
	const char *file;            /* NULL: there is none, and nothing changes */
	struct sq_file_stamp taken;  /* of what was read last */
	struct sq_file_stamp looked; /* of the last look */
	struct sq_buf waits;         /* the other keys that have changed, as it was said last */
};

/* Before sq_broker_config_load() with the same, which outlive it. */
void sq_config_live_init(struct sq_config_live *, int argc, char **argv, char **envp);
void sq_config_live_fini(struct sq_config_live *);
/* A look, a few times in a second.  SQ_EAGAIN: nothing new.  SQ_OK: '*acl' is a reference to
 * the rules of the file, and 'restart' has the keys, a few by name, whose values are others than
 * in 'running', and that count from the next start on; empty where these are the same as at the
 * last look.  Else a line in 'err'. */
int sq_config_live_look(struct sq_config_live *, const struct sq_broker_config *running,
    struct sq_acl **acl, struct sq_buf *restart, struct sq_buf *err) SQ_MUST_CHECK;

#endif
