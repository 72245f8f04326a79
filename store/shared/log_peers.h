/* The brokers that announce themselves at a log, as one of them sees it: a broker lives while its beats
 * change, by this broker's clock.  Pure. */
#ifndef SQ_STORE_SHARED_LOG_PEERS_H
#define SQ_STORE_SHARED_LOG_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/shared/driver.h"

enum {
	SQ_LOG_PEERS_MAX = 64, /* rows of who is long gone make place first */
	SQ_LOG_PEERS_LIVE_MS = 10000,
	SQ_LOG_PEERS_FORMAT_MS = 60000,
	SQ_LOG_PEERS_RECENT_MS = 3600000,
	SQ_LOG_PEERS_NEAR = 10000, /* records behind the first */
};

struct sq_log_peers;

struct sq_log_peers *sq_log_peers_new(void);
void sq_log_peers_free(struct sq_log_peers **);
/* A row of an announcement. */
void sq_log_peers_see(struct sq_log_peers *, const struct sq_shared_peer *, uint64_t now_ms);

/* Of those that live: their number, */
unsigned sq_log_peers_live(const struct sq_log_peers *, uint64_t now_ms);
/* the least 'kept', UINT64_MAX: none lives, */
uint64_t sq_log_peers_kept(const struct sq_log_peers *, uint64_t now_ms);
/* and the one that has applied most, of several the first by its name, 'but' excepted; NULL: none. */
const struct sq_shared_peer *
sq_log_peers_first(const struct sq_log_peers *, uint64_t now_ms, const char *but);
/* Of those that live, the owner excepted, and have nearly as much as the first: the one by name that writes
 * snapshots; NULL: none.  All brokers say the same, nearly always. */
const struct sq_shared_peer *
sq_log_peers_writer(const struct sq_log_peers *, uint64_t now_ms, const char *owner);
/* The newest format that all can read that may have lived in the last minute; 'format' at most. */
unsigned sq_log_peers_format(const struct sq_log_peers *, uint64_t now_ms, unsigned format);
/* The least 'kept' of those that may have lived in the last hour; UINT64_MAX: none. */
uint64_t sq_log_peers_kept_recent(const struct sq_log_peers *, uint64_t now_ms);

#endif
