/* Packet ids of QoS 2 between PUBREC and PUBREL, by client: a message that a disk outbox has
 * acknowledged is not accepted twice.  At most 4096 clients; above, the least recently used one is
 * forgotten.
 *
 * Pure. */
#ifndef SQ_SIDECAR_OUTBOX_HELD_H
#define SQ_SIDECAR_OUTBOX_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/err.h"
#include "core/htab.h"
#include "core/list.h"

struct sq_outbox_held {
	struct sq_htab clients; /* those with a held id */
	struct sq_list used;    /* the same clients, least recently used first */
};

void sq_outbox_held_init(struct sq_outbox_held *);
/* Forgets all ids; the struct remains usable. */
void sq_outbox_held_fini(struct sq_outbox_held *);
/* Client ids are 'len' bytes, not NUL-terminated. */
void sq_outbox_held_add(struct sq_outbox_held *, const char *client, size_t len, uint16_t id);
void sq_outbox_held_remove(struct sq_outbox_held *, const char *client, size_t len, uint16_t id);
void sq_outbox_held_forget(struct sq_outbox_held *, const char *client, size_t len);
bool sq_outbox_held_has(const struct sq_outbox_held *, const char *client_id, uint16_t id);
/* Appends its part of a state: u32 n clients, each bytes16 id, u32 n, n x u16 held id. */
void sq_outbox_held_put(const struct sq_outbox_held *, struct sq_buf *);
/* Reads its part of a state, in place of the present content.  SQ_EINVAL: malformed. */
int sq_outbox_held_get(struct sq_outbox_held *, struct sq_reader *) SQ_MUST_CHECK;

#endif
