/* Who comes to the MQTT port and speaks something else: HTTP, WebSocket or TLS.
 * Pure: looks at the first bytes of a connection, and has the words for each. */
#ifndef SQ_SIDECAR_MQTT_FOREIGN_H
#define SQ_SIDECAR_MQTT_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

enum sq_foreign {
	SQ_FOREIGN_NONE,   /* MQTT, or nothing that is known */
	SQ_FOREIGN_UNSURE, /* more bytes will tell */
	SQ_FOREIGN_HTTP,
	SQ_FOREIGN_WEBSOCKET,
	SQ_FOREIGN_TLS,
};

enum { SQ_FOREIGN_HEAD_MAX = 4096 }; /* bytes of a request that are waited for */

/* What the connection that begins with these bytes speaks.  'last': no more will come,
 * so never unsure. */
enum sq_foreign sq_foreign_find(const unsigned char *p, size_t len, bool last);
/* "a TLS handshake", and what should have come instead; for HTTP, WebSocket and TLS. */
const char *sq_foreign_name(enum sq_foreign);
const char *sq_foreign_hint(enum sq_foreign);
/* Appends what the peer is answered in its own protocol; nothing to TLS. */
void sq_foreign_answer(enum sq_foreign, struct sq_buf *out);

#endif
