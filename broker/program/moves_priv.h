/* The log as moves.c and moves_out.c speak to it. */
#ifndef SQ_BROKER_PROGRAM_MOVES_PRIV_H
#define SQ_BROKER_PROGRAM_MOVES_PRIV_H

#include <stdint.h>

#include "broker/config/config.h"
#include "broker/engine/engine.h"
#include "broker/program/moves.h"
#include "store/shared/driver.h"
#include "store/shared/log_shared.h"

struct sq_main_way {
	const struct sq_broker_config *config;
	const struct sq_log_shared_cfg *log;
	struct sq_shared *conn;
};

/* Connects, after hanging up if it was connected.  SQ_EAGAIN with a line in 'err'. */
int sq_way_dial(struct sq_main_way *, struct sq_buf *err) SQ_MUST_CHECK;
void sq_way_hang_up(struct sq_main_way *);
/* Connects where it is not, and reads the head. */
int sq_way_head(struct sq_main_way *, struct sq_shared_head *, struct sq_buf *err) SQ_MUST_CHECK;
/* What a call's result says, but UNKNOWN, with a line in 'err' if it was not DONE. */
int
sq_way_result(const struct sq_main_way *, enum sq_shared_result, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether a broker beats: asked for some seconds.  SQ_EEXIST with a line in 'err': one does, and 'head'
 * says which; SQ_OK: 'head' has stayed the same. */
int sq_way_vacant(struct sq_main_way *, struct sq_shared_head *, struct sq_buf *err) SQ_MUST_CHECK;
/* The engine in store.dir, on a log of files or, with 'with->role', on this one. */
struct sq_engine *
sq_way_engine(const struct sq_main_way *, const struct sq_engine_cfg *with, struct sq_buf *err);
typedef enum sq_shared_result sq_way_call(struct sq_main_way *, const void *arg);
/* A call that may be repeated while it has no answer, each time on a new connection. */
int
sq_way_try(struct sq_main_way *, sq_way_call *, const void *arg, struct sq_buf *err) SQ_MUST_CHECK;

#endif
