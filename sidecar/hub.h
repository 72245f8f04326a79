/* What the sidecar's parts share: the loop, the tables, the lists of what is to
 * be done this turn.
 *
 *   listener -> client <-> session -> pool ==HTTP/2==> broker
 *                  |          ^
 *                  +-> receiver -> declared (annotations)
 *
 * One loop thread.  Reads of a turn only collect work; hub_prepare() carries it
 * out before the loop sleeps: sessions post, clients write, once each.  The
 * pool's own preparation comes after that, so all of it leaves in one write per
 * link. */
#ifndef SQ_SIDECAR_HUB_H
#define SQ_SIDECAR_HUB_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/htab.h"
#include "core/list.h"
#include "proto/link/frame.h"
#include "sidecar/config/config.h"
#include "sidecar/loop/loop.h"
#include "sidecar/metrics/metrics.h"
#include "sidecar/mqtt/output.h"
#include "net/pool.h"
#include "sidecar/hold/refusals.h"

struct sq_declared;
struct sq_listener;
struct sq_outbox;
struct sq_password_check;
struct sq_receiver;
struct sq_rights;
struct sq_rules;
struct sq_self;

/* The sessions that are attached over one link. */
struct sq_hub_link {
	struct sq_list node;
	struct sq_uplink *link;
	struct sq_list sessions;
};

struct sq_hub {
	struct sq_loop *loop;
	const struct sq_sidecar_cfg *cfg;
	const struct sq_metrics *metrics;
	struct sq_pool *pool;
	struct sq_listener *listener;
	struct sq_declared *declared;
	struct sq_receiver *receiver; /* of declared: who gets what it declares */
	struct sq_outbox *outbox;
	struct sq_password_check *passwords; /* of clients; NULL: they are not looked at */
	struct sq_rights *rights; /* of declared: what they may subscribe to; NULL: all */
	struct sq_rules *rules;   /* of declared: for what clients publish; NULL: none */
	struct sq_self *self;     /* what is said of the sidecar below $SYS/sidecar */
	uint64_t bytes_received, bytes_sent; /* of clients */
	uint64_t instance;
	uint64_t ordinals;          /* MQTT connections of this process so far */
	struct sq_limits limits;    /* ours and the broker's, the stricter of each */
	bool limits_told;           /* a broker has said its own */
	uint32_t broker_max_packet; /* 0: not told */
	uint64_t full_ms; /* when a broker last had no room for a session; 0: it has again */
	enum sq_full full;
	/* room.c's: windows of sessions, the level as of the last turn, since when nothing is
	 * taken, and when the next client may go and the next line be logged. */
	uint64_t windows;
	unsigned memory_level;
	uint64_t short_ms, evict_ms, short_quiet_ms;
	struct sq_refusals closed; /* connections that sq_refusals_closed() tells of */
	bool stopping;
	bool link_was_up;
	struct sq_htab by_epoch;  /* attached sessions */
	struct sq_htab by_client; /* the newest session of each client id */
	struct sq_list sessions;  /* all that have not ended */
	struct sq_list posts;     /* requests of sessions that are not answered */
	struct sq_list waiting;   /* sessions without a link */
	struct sq_list links;     /* struct sq_hub_link */
	struct sq_list clients;   /* all */
	size_t n_clients, n_sessions;
	uint64_t rounds_seen; /* of the loop, at the last sweep */
	bool rests;           /* gave back what the last load left */
	struct sq_output_cache outputs;
	ev_prepare prepare; /* after all turns, before the pool's */
	ev_timer sweep;
};

/* Makes the hub and its pool.  NULL with a line in 'err'. */
struct sq_hub *sq_hub_new(struct ev_loop *, const struct sq_sidecar_cfg *, struct sq_buf *err);
/* Ends all clients and sessions where they are, and frees '*hp'. */
void sq_hub_free(struct sq_hub **hp);
/* No new client; the others are told and leave; what was published still goes
 * out.  sq_hub_idle() tells when that is done; while no broker is linked, also when
 * there is nothing for one but that sessions end. */
void sq_hub_stop(struct sq_hub *);
bool sq_hub_idle(const struct sq_hub *);

/* The turn's now: CLOCK_MONOTONIC in milliseconds, as the wall clock may jump. */
static inline uint64_t
sq_hub_now(const struct sq_hub *h)
{
	return sq_loop_now(h->loop);
}

/* The record of an open link; NULL if it is not known (any more). */
struct sq_hub_link *sq_hub_link_find(struct sq_hub *, const struct sq_uplink *);
/* A broker has answered an attach: its limits count from now on. */
void sq_hub_told(struct sq_hub *, const struct sq_attached *);

static inline void
sq_hub_count(const struct sq_hub *h, enum sq_sidecar_metric m, int64_t by)
{
	sq_metric_add(h->metrics, m, by);
}

#endif
