/* The bundle of authorities that sidecars trust, served by the broker: the text of tls.bundle-file,
 * read again when it changes (docs/link.md, "Trust").
 *
 * One object per worker; no locks. */
#ifndef SQ_BROKER_FRONT_LINK_BUNDLE_H
#define SQ_BROKER_FRONT_LINK_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

struct sq_bundle;

/* Makes a bundle from 'file' (NULL or empty: none is served).  A file that is unreadable, or has no
 * certificate, is used once it is good. */
struct sq_bundle *sq_bundle_new(const char *file);
void sq_bundle_free(struct sq_bundle **);
/* Checks the file; true: the text has changed.  A bad file is logged once, and the last good text
 * stays. */
bool sq_bundle_refresh(struct sq_bundle *);
/* The text, valid until the next refresh; empty: none. */
struct sq_bytes sq_bundle_text(const struct sq_bundle *);
/* The digest of the text (sq_trust_digest()); 0: none. */
uint64_t sq_bundle_digest(const struct sq_bundle *);

#endif
