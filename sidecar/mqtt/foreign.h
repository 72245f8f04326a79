/* Recognizes other protocols on the MQTT port: HTTP, WebSocket and TLS.  Pure: judges the first
 * bytes of a connection, and has the texts for each. */
#ifndef SQ_SIDECAR_MQTT_FOREIGN_H
#define SQ_SIDECAR_MQTT_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

enum sq_foreign {
	SQ_FOREIGN_NONE,   /* MQTT, or unknown */
	SQ_FOREIGN_UNSURE, /* more bytes will tell */
	SQ_FOREIGN_HTTP,
	SQ_FOREIGN_WEBSOCKET,
	SQ_FOREIGN_TLS,
};

enum { SQ_FOREIGN_HEAD_MAX = 4096 }; /* bytes of a request to wait for */

/* The protocol of a connection that begins with these bytes.  'last': no more will come, so the
 * result is never unsure. */
enum sq_foreign sq_foreign_find(const unsigned char *p, size_t len, bool last);
/* "a TLS handshake", and a hint at the right port or scheme; static; for HTTP, WebSocket and
 * TLS. */
const char *sq_foreign_name(enum sq_foreign);
const char *sq_foreign_hint(enum sq_foreign);
/* Appends the answer to the peer in its own protocol; nothing for TLS. */
void sq_foreign_answer(enum sq_foreign, struct sq_buf *out);

#endif
