/* The answer to a request over a link: its status, and the reasons in its header (docs/link.md,
 * "Requests").
 *
 * Pure. */
#ifndef SQ_NET_H2_ANSWER_H
#define SQ_NET_H2_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/link/answer.h"

enum { SQ_WHERE_ADDRESS = 256 }; /* bytes of an address, with a NUL */

/* What a broker says of those that share its store (docs/link.md, "Several brokers"). */
struct sq_where {
	bool has_epoch, has_store, shared; /* shared: it has said both */
	uint64_t epoch, store;
	char owner[SQ_WHERE_ADDRESS], standby[SQ_WHERE_ADDRESS]; /* HOST:PORT; "": not said */
};

struct sq_answer {
	unsigned status;           /* HTTP; 0: the link or the stream was lost before an answer */
	enum sq_conflict conflict; /* with 409 */
	uint64_t last;             /* with SQ_CONFLICT_GAP */
	unsigned retry_after_ms;   /* with 429 and 503; 0 unknown */
	enum sq_denied denied;     /* with 403; NONE: the broker gave no reason */
	enum sq_full full;         /* with 429; of a link, with 503 */
	unsigned version;          /* of the link: the layout of the body */
	struct sq_where *told;     /* of the deliveries; NULL: nobody wants it */
	const unsigned char *body; /* valid during the callback */
	size_t len;
};

/* Reads one field of the header, in the order of arrival; ignores unknown fields. */
void sq_answer_header(
    struct sq_answer *, const uint8_t *name, size_t name_len, const uint8_t *value, size_t len);

#endif
