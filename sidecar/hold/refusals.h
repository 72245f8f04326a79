/* What local clients were refused: counted by reason, and logged at a rate that each
 * client has for itself, so that a noisy one hides no other. */
#ifndef SQ_SIDECAR_HOLD_REFUSALS_H
#define SQ_SIDECAR_HOLD_REFUSALS_H

#include <stdint.h>

#include "core/msg.h"
#include "proto/link/refusal.h"

struct sq_holds;

/* One client's; starts zeroed. */
struct sq_refusals {
	uint64_t quiet_until_ms;
	uint64_t unsaid; /* refusals without a line of their own */
};

struct sq_refusal_seen {
	const char *client; /* its client id, or where it comes from */
	const char *what;   /* "publish" */
	const char *then;   /* what follows from it, in few words; NULL: nothing */
	uint8_t code;       /* MQTT 5 reason code, 0x80 or above */
	uint8_t refusal;    /* enum sq_refusal; 0: by the code alone */
	struct sq_bytes text;
};

/* Counts it, and logs it unless a line of this client came within the last 10 s. */
void sq_refusals_note(struct sq_holds *, struct sq_refusals *of, const struct sq_refusal_seen *);
/* Logs, at the same rate for all clients together, that a connection was closed because its
 * publish was refused for session.refused-max; 'text' is the broker's of the refusal. */
void sq_refusals_closed(struct sq_holds *, const char *client, struct sq_bytes text);
/* Counts it alone: whoever calls has logged it. */
void sq_refusals_count(struct sq_holds *, enum sq_refusal);

#endif
