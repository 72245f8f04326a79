/* Why a message of a topic comes, or does not, and where one message is: sentences, from the broker's
 * view alone. */
#ifndef SQ_CLI_VIEW_WHY_H
#define SQ_CLI_VIEW_WHY_H

#include "cli/view/reader.h"

/* What is asked; NULL: not said. */
struct sq_why_ask {
	const char *topic;
	const char *client, *space, *tag, *key;
	const char *message; /* the key of one message, or its origin */
};

/* Whether it can be asked; false: '*why' has a static sentence. */
bool sq_why_good(const struct sq_why_ask *, const char **why);
/* Appends the sentences.  SQ_FOUND_NONE: nothing takes the topic, or the message is nowhere. */
enum sq_found
sq_why(struct sq_tables *, const struct sq_why_ask *, struct sq_buf *out, struct sq_buf *err);

#endif
