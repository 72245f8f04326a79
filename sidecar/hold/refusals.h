/* Refusals to local clients: counted by reason, and logged at a rate of each client's own, so that
 * the refusals of one client hide those of no other.  On the loop's thread. */
#ifndef SQ_SIDECAR_HOLD_REFUSALS_H
#define SQ_SIDECAR_HOLD_REFUSALS_H

#include <stdint.h>

#include "core/msg.h"
#include "proto/link/refusal.h"

struct sq_holds;

/* State of one client; starts zeroed. */
struct sq_refusals {
	uint64_t quiet_until_ms;
	uint64_t unsaid; /* refusals without a line of their own */
};

struct sq_refusal_seen {
	const char *client; /* the client id, or the address of the client */
	const char *what;   /* "publish" */
	const char *then;   /* the consequence in a few words; NULL: none */
	uint8_t code;       /* MQTT 5 reason code, 0x80 or above */
	uint8_t refusal;    /* enum sq_refusal; 0: by the code alone */
	struct sq_bytes text;
};

/* Counts the refusal, and logs it unless a line of this client was logged within the last 10 s. */
void sq_refusals_note(struct sq_holds *, struct sq_refusals *of, const struct sq_refusal_seen *);
/* Logs, once in 10 s for all clients together, the end of a connection whose publish was refused
 * for session.refused-max; 'text' is the broker's. */
void sq_refusals_closed(struct sq_holds *, const char *client, struct sq_bytes text);
/* Counts a refusal that the caller has logged. */
void sq_refusals_count(struct sq_holds *, enum sq_refusal);

#endif
