/* Standard Webhooks (specification 1.0.0): signatures of requests, symmetric (v1).
 *
 * Signed is "id.timestamp.body" by HMAC-SHA256; each of a rotation's keys gives a signature.  Pure.
 * Thread: any. */
#ifndef SQ_PROTO_WEBHOOK_WEBHOOK_H
#define SQ_PROTO_WEBHOOK_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

enum {
	SQ_WEBHOOK_KEYS_MAX = 2,
	SQ_WEBHOOK_KEY_MIN = 24, /* bytes of a key */
	SQ_WEBHOOK_KEY_MAX = 64,
	SQ_WEBHOOK_TOLERANCE_S = 300, /* between the clocks of sender and receiver */
};

struct sq_webhook_keys {
	struct {
		unsigned char bytes[SQ_WEBHOOK_KEY_MAX];
		size_t len;
	} v[SQ_WEBHOOK_KEYS_MAX];
	size_t n;
};

/* Reads a text of one or two lines, each "whsec_" and a key in base64, or that key alone.  SQ_EINVAL,
 * with a line in 'err' that says the line's number and nothing of its text. */
int sq_webhook_keys_read(
    struct sq_bytes text, struct sq_webhook_keys *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Wipes them. */
void sq_webhook_keys_fini(struct sq_webhook_keys *);
/* Appends the header webhook-signature: "v1,…" of each key, with a space between them. */
void sq_webhook_sign(const struct sq_webhook_keys *, struct sq_bytes id, int64_t timestamp_s,
    struct sq_bytes body, struct sq_buf *out);
/* Whether one of the signatures is of one of the keys, and the timestamp's text within the tolerance
 * of 'now_s'; takes as long for wrong ones. */
bool sq_webhook_verify(const struct sq_webhook_keys *, struct sq_bytes id,
    struct sq_bytes timestamp, struct sq_bytes signatures, struct sq_bytes body, int64_t now_s);

#endif
