/* What a client answers its deliveries with; see inbox.h.  Which packet fits which state is
 * MQTT 5.0 §4.3's, and in docs/link.md; any other is an error that its owner disconnects
 * the client for, unless the client may rightly not know better. */
#include "proto/link/inbox.h"

#include <stdlib.h>

#include "core/mem.h"
#include "proto/link/inbox_priv.h"
#include "proto/mqtt/reason.h"

/* --- what is over here, and not yet at the client --- */

enum { STRAY_WORDS = (UINT16_MAX + 1) / 64 };

static bool
inbox_strays(const struct sq_inbox *in, uint16_t id)
{
	return in->strays.bits != NULL && (in->strays.bits[id / 64] >> id % 64 & 1) != 0;
}

/* The client may still go on with an exchange of 'id' that is over here. */
static void
inbox_stray(struct sq_inbox *in, uint16_t id)
{
	if (inbox_strays(in, id))
		return;
	if (in->strays.bits == NULL)
		in->strays.bits = sq_xcalloc(STRAY_WORDS, sizeof *in->strays.bits);
	in->strays.bits[id / 64] |= UINT64_C(1) << id % 64;
	in->strays.n++;
}

/* The last packet of an exchange that is over here has come. */
static void
inbox_stray_ends(struct sq_inbox *in, uint16_t id)
{
	if (!inbox_strays(in, id))
		return;
	in->strays.bits[id / 64] &= ~(UINT64_C(1) << id % 64);
	in->strays.n--;
}

void
sq_inbox_abandon(struct sq_inbox *in, struct sq_inbox_entry *e)
{
	if (e->state == E_SENT1 || e->state == E_SENT2 || e->state == E_RECEIVING ||
	    e->state == E_RELEASED)
		inbox_stray(in, e->packet_id);
	sq_inbox_erase(in, e);
}

/* --- the client's answers --- */

/* An acknowledgement came that 'e', which may be NULL, does not wait for. */
static int
entry_misplaced(const struct sq_inbox *in, const struct sq_inbox_entry *e, uint16_t id)
{
	if (e == NULL || (e->flags & F_ORPHAN) != 0 || inbox_strays(in, id))
		return 0;
	switch ((enum sq_inbox_state)e->state) {
	case E_SENT1:
	case E_SENT2:
	case E_RECEIVING:
	case E_RELEASED:
		return SQ_EINVAL;
	case E_SETTLING:
	case E_EXPECTED:
	case E_GHOST:
		break;
	}
	return 0;
}

int
sq_inbox_puback(struct sq_inbox *in, uint16_t packet_id, uint8_t reason)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, packet_id);
	int rc = 0;

	if (e != NULL && e->state == E_SENT1) {
		sq_inbox_entry_finish(in, e, SQ_SETTLE_ACK, reason);
	} else {
		rc = entry_misplaced(in, e, packet_id);
		inbox_stray_ends(in, packet_id);
	}
	return rc;
}

/* PUBREC of an id under which nothing is open: answered, so that the client is done with
 * it.  Its PUBCOMP may come when the id is in use again. */
static void
inbox_pubrec_unknown(struct sq_inbox *in, uint16_t packet_id, uint8_t reason)
{
	if (sq_mqtt_reason_failed(reason)) {
		inbox_stray_ends(in, packet_id);
		return;
	}
	inbox_stray(in, packet_id);
	sq_inbox_push_pubrel(in, packet_id, SQ_MQTT_RC_PACKET_ID_NOT_FOUND);
}

int
sq_inbox_pubrec(struct sq_inbox *in, uint16_t packet_id, uint8_t reason)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, packet_id);

	if (e == NULL || e->state == E_GHOST) {
		inbox_pubrec_unknown(in, packet_id, reason);
	} else if (e->state == E_SENT2 && sq_mqtt_reason_failed(reason)) {
		sq_inbox_entry_finish(in, e, SQ_SETTLE_ACK, reason);
	} else if (e->state == E_SENT2 && (e->flags & F_ORPHAN) != 0) {
		sq_inbox_entry_release(in, e);
	} else if (e->state == E_SENT2) {
		e->state = E_RECEIVING;
		e->flags &= (uint8_t)~F_POSTED;
		sq_inbox_entry_post(in, e);
	} else if (e->state == E_RELEASED && !sq_mqtt_reason_failed(reason)) {
		sq_inbox_push_pubrel(in, packet_id, 0);
	} else if (e->state == E_SENT1) {
		return entry_misplaced(in, e, packet_id);
	}
	return 0;
}

int
sq_inbox_pubcomp(struct sq_inbox *in, uint16_t packet_id)
{
	struct sq_inbox_entry *e = sq_inbox_find(in, packet_id);
	int rc = 0;

	if (e != NULL && e->state == E_RELEASED) {
		sq_inbox_entry_finish(in, e, SQ_SETTLE_COMPLETE, 0);
	} else {
		rc = entry_misplaced(in, e, packet_id);
		inbox_stray_ends(in, packet_id);
	}
	return rc;
}
