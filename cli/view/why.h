/* Why a message of a topic comes, or does not: sentences, from the broker's view alone. */
#ifndef SQ_CLI_VIEW_WHY_H
#define SQ_CLI_VIEW_WHY_H

#include "cli/view/reader.h"

/* What is asked; NULL: not said. */
struct sq_why_ask {
	const char *topic; /* never NULL */
	const char *client, *space, *tag;
};

/* Whether it can be asked; false: '*why' has a static sentence. */
bool sq_why_good(const struct sq_why_ask *, const char **why);
/* Appends the sentences.  SQ_FOUND_NONE: nothing takes the topic. */
enum sq_found
sq_why(struct sq_tables *, const struct sq_why_ask *, struct sq_buf *out, struct sq_buf *err);

#endif
