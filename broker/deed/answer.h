/* Answers to deeds: docs/view.md, "Deeds".  Pure. */
#ifndef SQ_BROKER_DEED_ANSWER_H
#define SQ_BROKER_DEED_ANSWER_H

#include "broker/deed/deed.h"
#include "core/buf.h"

/* The status of the answer to a deed that has ended; not of 200: '*why' is its detail, static. */
unsigned sq_deed_answer_status(const struct sq_deed *, const char **why);
/* Appends the body of a good one. */
void sq_deed_answer(const struct sq_deed *, struct sq_buf *out);
/* Reads what such a body has called "next".  False: it is none. */
bool sq_deed_place_read(const char *text, struct sq_deed_place *);

#endif
