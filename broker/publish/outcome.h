/* The outcomes of a call's messages, while they are written into its store: the list of struct
 * sq_published, the notes behind it, and the names of full queues behind these.  On the worker of
 * the call. */
#ifndef SQ_BROKER_PUBLISH_OUTCOME_H
#define SQ_BROKER_PUBLISH_OUTCOME_H

#include "broker/publish/message.h"

struct sq_call;

struct sq_outcome_list {
	struct sq_notes notes;
	struct sq_buf queues; /* of each name: u16 index, the text, a NUL */
	uint16_t n_queues;
	bool waits; /* something has to be durable before the answer */
};

/* Makes room for the outcomes of 'n' messages. */
void sq_outcome_begin(struct sq_call *, uint16_t n);
/* Sets the outcome of message 'i' of the call, which was published with this code: counts, logs and
 * notes a refusal.  Called before the lock of its space is given back. */
void sq_outcome_set(
    struct sq_outcome_list *, struct sq_call *, struct sq_publish *, uint8_t code, uint16_t i);
/* The 'n' messages of a list that was refused for the 'culprit', whose outcome is set: 'too_large'
 * says why, and the others are not published. */
void sq_outcome_refused(
    struct sq_outcome_list *, struct sq_call *, uint16_t n, uint16_t culprit, bool too_large);
/* Completes the list, which is returned; its views stay valid as long as the store is not appended
 * to. */
const struct sq_published *sq_outcome_end(struct sq_outcome_list *, struct sq_call *);
void sq_outcome_fini(struct sq_outcome_list *);

#endif
