/* The id of a message, by which a publisher and who receives it by HTTP name the same one: made of the
 * message's idempotency key and its tenant where it has a key, and otherwise of its origin.  Nothing
 * is stored for it. Pure. */
#ifndef SQ_BROKER_PUBLISH_ID_H
#define SQ_BROKER_PUBLISH_ID_H

#include "broker/publish/idempotency.h"

enum { SQ_MESSAGE_ID = 16 }; /* bytes */

/* The id of a message that was published in the tenant's space; 'origin' is that of its item. */
void sq_message_id(const char *tenant, const unsigned char *image, const struct sq_origin *origin,
    unsigned char out[SQ_MESSAGE_ID]);
/* The same with the hash of its key, which was made already; NULL: it has none. */
void sq_message_id_of(const struct sq_key_hash *key, const struct sq_origin *origin,
    unsigned char out[SQ_MESSAGE_ID]);

#endif
