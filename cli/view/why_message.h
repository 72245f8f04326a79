/* Where one message is: a part of why.h. */
#ifndef SQ_CLI_VIEW_WHY_MESSAGE_H
#define SQ_CLI_VIEW_WHY_MESSAGE_H

#include "cli/view/why.h"
#include "cli/view/why_say.h"

/* Follows the message that is asked for, by its idempotency key or its origin, from its publisher to
 * where it is.  SQ_FOUND_NONE: the view knows nothing of it. */
enum sq_found sq_why_message(struct sq_why_told *, const struct sq_why_ask *, struct sq_buf *err);

#endif
