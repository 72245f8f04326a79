/* The messages of dead letters and receipts (docs/user-guide.md).  Pure, except for the date. */
#ifndef SQ_BROKER_PUBLISH_LETTER_H
#define SQ_BROKER_PUBLISH_LETTER_H

#include "broker/publish/options.h"

enum { SQ_LETTER_DETAIL_MAX = 256 }; /* bytes; a longer one is cut at a character */

/* Each returns a message with one reference, the caller's. */

/* Makes the dead letter of 'm', which was in 'queue'; 'detail' is a short text, or NULL. */
struct sq_msg
sq_letter_new(const struct sq_msg *m, const char *queue, const char *reason, const char *detail);
/* Makes the message of which 'letter' is the dead letter, without its expiry; one without an image:
 * its topic was too long for a letter to have all of it.  'to' is the topic, in place of the one it had;
 * NULL: that. */
struct sq_msg sq_letter_original(const struct sq_msg *letter, const char *to);
/* The topic of the message of which it is the letter, a view; cut where it was too long. */
struct sq_bytes sq_letter_topic(const struct sq_msg *letter);
/* Makes the receipt that 'm' asks for, about its copy for 'target'; it is of the same trace. */
struct sq_msg sq_letter_receipt(const struct sq_msg *m, const struct sq_publish_options *,
    const char *target, const char *outcome);

#endif
