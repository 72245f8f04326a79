/* The inner interface of secrets.c: what a secret's file says.  Pure. */
#ifndef SQ_BROKER_PUSH_SECRET_TEXT_H
#define SQ_BROKER_PUSH_SECRET_TEXT_H

#include "broker/push/secrets.h"
#include "core/msg.h"

/* Reads the text of a file of that kind: appends the value, with a NUL, to 'out', which is wiped by the
 * caller; the keys of KEYS go to 'keys', and nothing is appended for them and for CERT.  SQ_EINVAL: 'why'
 * has the reason, without anything of the text. */
int sq_secret_text_read(enum sq_secret_kind, struct sq_bytes text, struct sq_buf *out,
    struct sq_webhook_keys *keys, struct sq_buf *why) SQ_MUST_CHECK;

#endif
