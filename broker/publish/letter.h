/* The messages of dead letters and receipts (docs/user-guide.md); pure, but for the date. */
#ifndef SQ_BROKER_PUBLISH_LETTER_H
#define SQ_BROKER_PUBLISH_LETTER_H

#include "broker/publish/options.h"

/* Each of these: one reference, the caller's. */

/* The letter of 'm', which was left in 'queue'. */
struct sq_msg sq_letter_new(const struct sq_msg *m, const char *queue, const char *reason);
/* The receipt that a message asks for, of its copy for 'target'. */
struct sq_msg
sq_letter_receipt(const struct sq_publish_options *, const char *target, const char *outcome);

#endif
