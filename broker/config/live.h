/* The configuration as it is read again while the broker runs: when its file has changed, or when
 * somebody asks.
 *
 * The whole of it is read, and must be good; then its live keys (core/config.h) are in force, and its
 * other keys count from the next start on.  A file that has changed is read once it has not changed
 * between two looks, so that a file in the middle of a write is never used. */
#ifndef SQ_BROKER_CONFIG_LIVE_H
#define SQ_BROKER_CONFIG_LIVE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/file.h"

struct sq_broker_config;

/* Thread: the one that looks. */
struct sq_config_live {
	int argc;
	char **argv, **envp;
	const char *file;            /* NULL: there is none, and nothing changes */
	struct sq_file_stamp taken;  /* of the file that was read last */
	struct sq_file_stamp looked; /* of the last look */
};

/* Is called before sq_broker_config_load() with the same arguments, which outlive it. */
void sq_config_live_init(struct sq_config_live *, int argc, char **argv, char **envp);
/* Looks at the file; is called a few times a second.  SQ_EAGAIN: nothing is new.  SQ_OK: 'now',
 * which was zeroed, is what is configured now; the caller frees it in any case.  Any other error has
 * a line in 'err'.  'asked': reads it as it is, whether anything has changed or not. */
int sq_config_live_look(struct sq_config_live *, bool asked, struct sq_broker_config *now,
    struct sq_buf *err) SQ_MUST_CHECK;

#endif
