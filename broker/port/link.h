/* A link as the rest of the broker sees it: a place where frames for its
 * sidecar go.  Reference-counted; frames may be put from any worker. */
#ifndef SQ_BROKER_PORT_LINK_H
#define SQ_BROKER_PORT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/auth/identity.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/link/frame.h"

struct sq_account;
struct sq_link;

struct sq_link *sq_link_ref(struct sq_link *);
void sq_link_unref(struct sq_link **);
uint64_t sq_link_id(const struct sq_link *);
/* Whose token opened it: there as long as the link is, also when its stream is gone and calls
 * that came by it are still carried out.  Thread: any. */
const struct sq_identity *sq_link_identity(const struct sq_link *);
/* Counts its connection in the account, once: the first one has it until the link is closed.
 * False: that has its share of connections.  Thread: any. */
bool sq_link_count(struct sq_link *, struct sq_account *) SQ_MUST_CHECK;
/* The same for a link that just opens, where it is not known yet whose it is: until
 * sq_link_count() is called, or the link is closed. */
bool sq_link_count_first(struct sq_link *, struct sq_account *) SQ_MUST_CHECK;
/* False once its connection or its deliveries response is gone. */
bool sq_link_open(const struct sq_link *);
/* False while more than the link's bound waits to be written; the front calls
 * sq_broker_link_writable() on every worker when that has passed. */
bool sq_link_writable(const struct sq_link *);
/* Of the protocol: what its two ends both speak (docs/link.md, "Versions"). */
unsigned sq_link_version(const struct sq_link *);

/* Puts a delivery: 'm' to one target.  When the last thing put was the same
 * message (same image, origin and expiry), the target joins its frame.  Copies
 * the image.  Dropped when the link is not open. */
void sq_link_deliver(struct sq_link *, const struct sq_msg *m, const struct sq_origin *origin,
    uint32_t expiry_s, const struct sq_target *, const uint32_t *subs);
/* The answer to the Subscriptions of 'mark', which is not 0, with 'n' reason codes; from version
 * 2 on.  What is put behind it is read behind it. */
void sq_link_subscribed(struct sq_link *, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes);
/* What the session had subscribed to before this attachment's client came: 'n' entries of
 * sq_kept_put(), 'last' when no more follow; from version 2 on. */
void sq_link_kept(struct sq_link *, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries);
/* The attachment has ended; 'text' says why, for people, or is NULL. */
void sq_link_detached(struct sq_link *, uint64_t epoch, uint8_t reason, const char *text);

#endif
