/* The whole screen of a terminal, drawn again and again, by the control sequences that every terminal
 * has (ECMA-48, and xterm's second screen).  Thread: main. */
#ifndef SQ_CLI_TERM_SCREEN_H
#define SQ_CLI_TERM_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct sq_screen_size {
	size_t columns, rows;
};

/* Whether standard output is a terminal that can be drawn on. */
bool sq_screen_is_one(void);
/* Takes the screen, and watches signals (cli/term/interrupt.h); what is typed is not echoed, and can
 * be read byte by byte.  Ends with sq_screen_leave(), or by a second SIGINT. */
void sq_screen_enter(void);
/* Gives back the screen as it was. */
void sq_screen_leave(void);
struct sq_screen_size sq_screen_size(void);
/* Draws the text, whose lines are safe (cli/view/safe.h), none longer than the screen is wide and no
 * more than it has.  False: it can't be written. */
bool sq_screen_draw(const struct sq_buf *);
/* Waits until a key, a signal, or the end of the time, and returns the key's byte; 0: another. */
int sq_screen_wait(unsigned long timeout_ms);

#endif
