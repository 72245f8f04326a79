/* A program that a scenario asks by pipes: texts in, answers out, each a 32-bit length (big-endian)
 * and its bytes. */
#ifndef SQ_TEST_ASKED_H
#define SQ_TEST_ASKED_H

#include "core/buf.h"
#include "core/msg.h"

/* Answers each text of the standard input until it ends: 'answer' appends to an empty buffer.
 * Returns the program's exit code. */
int asked_by_pipes(void (*answer)(struct sq_bytes text, struct sq_buf *out));

#endif
