/* The authorities that sidecars are to trust, as the broker serves them: the text of
 * tls.bundle-file, read again when it changes (docs/link.md, "Trust").
 *
 * One object per worker, so nothing here locks. */
#ifndef SQ_BROKER_FRONT_LINK_BUNDLE_H
#define SQ_BROKER_FRONT_LINK_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

struct sq_bundle;

/* 'file' NULL or empty: there is none to serve.  A file that can't be read yet, or has no
 * certificate, is taken once it can. */
struct sq_bundle *sq_bundle_new(const char *file);
void sq_bundle_free(struct sq_bundle **);
/* Looks at the file; true when the text is another one now.  What can't be taken is logged
 * once and leaves the last one. */
bool sq_bundle_refresh(struct sq_bundle *);
/* The text, valid until the next refresh; empty: none. */
struct sq_bytes sq_bundle_text(const struct sq_bundle *);
/* What tells it from others (sq_trust_digest()); 0: none. */
uint64_t sq_bundle_digest(const struct sq_bundle *);

#endif
