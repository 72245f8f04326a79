/* Verdicts: the broker's answers to calls, independent of transports.  Each front translates them:
 * the one table has a column for each. */
#ifndef SQ_BROKER_PORT_VERDICT_H
#define SQ_BROKER_PORT_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

/* V(symbol, status of HTTP, reason code of MQTT, condition of AMQP 1.0, whether the same call may
 * succeed later, text for people).  OK is first.  A call has details beside some verdicts: 'denied'
 * with DENIED, 'last' with GAP (the last accepted number), 'full' with FULL. */
#define SQ_VERDICTS(V) \
	V(OK, 200, SQ_MQTT_RC_SUCCESS, "", false, "done") \
	V(MALFORMED, 400, SQ_MQTT_RC_MALFORMED, "amqp:decode-error", false, \
	    "the request does not read") \
	V(DENIED, 403, SQ_MQTT_RC_NOT_AUTHORIZED, "amqp:unauthorized-access", false, \
	    "the caller may not do that") \
	V(EPOCH, 409, SQ_MQTT_RC_UNSPECIFIED, "amqp:illegal-state", false, \
	    "the attachment is not the session's current one") \
	V(RUN, 409, SQ_MQTT_RC_UNSPECIFIED, "amqp:illegal-state", false, \
	    "the numbers are of another run") \
	V(GAP, 409, SQ_MQTT_RC_UNSPECIFIED, "amqp:illegal-state", false, \
	    "numbers before the first one are missing") \
	V(SUPERSEDED, 409, SQ_MQTT_RC_TAKEN_OVER, "amqp:link:stolen", false, \
	    "another attachment holds the session") \
	V(GONE, 410, SQ_MQTT_RC_UNSPECIFIED, "amqp:link:detach-forced", false, \
	    "the caller's outlet is closed") \
	V(TOO_LARGE, 413, SQ_MQTT_RC_PACKET_TOO_LARGE, "amqp:link:message-size-exceeded", false, \
	    "it is larger than the limit") \
	V(OVER_LIMIT, 422, SQ_MQTT_RC_BAD_CLIENT_ID, "amqp:not-allowed", false, \
	    "what is asked for is above a limit") \
	V(FULL, 429, SQ_MQTT_RC_QUOTA_EXCEEDED, "amqp:resource-limit-exceeded", true, \
	    "there is no room for one more") \
	V(FAILED, 500, SQ_MQTT_RC_UNSPECIFIED, "amqp:internal-error", true, \
	    "the broker could not commit it") \
	V(BUSY, 503, SQ_MQTT_RC_SERVER_BUSY, "amqp:resource-limit-exceeded", true, \
	    "the broker can't take it at present") \
	V(RECOVERING, 503, SQ_MQTT_RC_SERVER_BUSY, "amqp:resource-limit-exceeded", true, \
	    "sessions from before the start are on their way back") \
	V(DRAINING, 503, SQ_MQTT_RC_SHUTTING_DOWN, "amqp:connection:forced", true, \
	    "the broker is about to end") \
	V(NO_STORE, 507, SQ_MQTT_RC_QUOTA_EXCEEDED, "amqp:resource-limit-exceeded", true, \
	    "the store takes no more at present")

#define SQ_VERDICT_ENUM(symbol, http, mqtt, amqp, retryable, text) SQ_VERDICT_##symbol,
enum sq_verdict { SQ_VERDICTS(SQ_VERDICT_ENUM) SQ_VERDICT_COUNT };
#undef SQ_VERDICT_ENUM

struct sq_verdict_row {
	const char *name; /* the symbol */
	uint16_t http;
	uint8_t mqtt;
	bool retryable;
	const char *amqp; /* "": none */
	const char *text;
};

/* The verdict's row.  Thread: any. */
const struct sq_verdict_row *sq_verdict_row(enum sq_verdict);

#endif
