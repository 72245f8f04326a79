/* What why finds in single things of the view: each a table of findings (why_rule.h) in a file named
 * after what it looks at. */
#ifndef SQ_CLI_VIEW_WHY_THINGS_H
#define SQ_CLI_VIEW_WHY_THINGS_H

#include "cli/view/why_say.h"

/* What stands in the queue, who takes from it, and what is wrong with it. */
void sq_why_queue(struct sq_why_told *, const char *space, const char *name);
/* Whether the session takes what comes. */
void sq_why_session(struct sq_why_told *, const char *space, const char *name);
/* The same of a pod whose keeper that session is: which of its clients takes what the pod declares, of
 * queue 'queue'. */
void sq_why_keeper(struct sq_why_told *, const char *space, const char *keeper, const char *queue);
/* What is wrong with the space, and with the broker as a whole. */
void sq_why_space(struct sq_why_told *, const char *space);
void sq_why_broker(struct sq_why_told *);
/* Who was refused a publish to the topic, or a subscription that takes it, or a session of that
 * client. 'topic', 'client' NULL: not asked.  Returns how many. */
unsigned
sq_why_refused(struct sq_why_told *, const char *space, const char *topic, const char *client);
/* Which messages of the topic, or with that key or origin as 'name', left a queue undelivered; NULL:
 * not asked.  Returns how many. */
unsigned sq_why_gone(struct sq_why_told *, const char *space, const char *topic, const char *name);
/* Whether the key is known.  Returns in how many spaces. */
unsigned sq_why_key(struct sq_why_told *, const char *space, const char *key);

#endif
