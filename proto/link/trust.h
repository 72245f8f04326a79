/* The bundle of authorities on the link (docs/link.md, "Trust"): its bound, its path, and its digest,
 * by which a frame announces another bundle. */
#ifndef SQ_PROTO_LINK_TRUST_H
#define SQ_PROTO_LINK_TRUST_H

#include <stddef.h>
#include <stdint.h>

#define SQ_TRUST_PATH "/v1/trust/bundle"
enum { SQ_TRUST_MAX = 65536 }; /* bytes of the text */

/* The first eight bytes of the text's SHA-256, never 0. */
uint64_t sq_trust_digest(const void *text, size_t len);

#endif
