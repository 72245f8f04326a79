/* What tells this installation from all others, for origins and hops: 8 random bytes, drawn once for a
 * store, so that two with the same names differ. */
#ifndef SQ_BROKER_BRIDGE_INSTALL_H
#define SQ_BROKER_BRIDGE_INSTALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_engine;
struct sq_shard;

enum { SQ_INSTALL_HEX = 16 };

struct sq_install {
	char hex[SQ_INSTALL_HEX + 1];
	uint64_t number;
	bool asked;       /* its record is on its way */
	atomic_bool kept; /* its record is durable */
};

/* Reads the store's, or draws one, which is not in the store yet.  SQ_EINVAL: the record does not read;
 * other errors are the engine's.  Before workers turn. */
int sq_install_load(struct sq_install *, struct sq_engine *) SQ_MUST_CHECK;
/* Whether it is durable: nothing is to carry it before.  If not, writes it, once.  It must stay until the
 * broker's objects have ended (sq_broker_await()).  On the shard's worker, one alone. */
bool sq_install_keep(struct sq_install *, struct sq_shard *);
/* Appends how hops name it: 'name' as A-Z a-z 0-9 . _ -, cut at 64, and "-" and the digits. */
void sq_install_print(const struct sq_install *, const char *name, struct sq_buf *out);

#endif
