/* SIGINT and SIGTERM for commands that run until somebody ends them, and SIGWINCH, at which a screen is
 * drawn anew.  Without sq_interrupt_watch() the signals do what they always do, and nothing here is
 * ever true.  Thread: main. */
#ifndef SQ_CLI_TERM_INTERRUPT_H
#define SQ_CLI_TERM_INTERRUPT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* From now on SIGINT and SIGTERM are only noted; a second one ends the program at once. */
void sq_interrupt_watch(void);
/* The same for a program that has the whole screen: SIGWINCH is noted, too, and a second SIGINT or
 * SIGTERM writes 'last', which stays, to standard output before it ends the program. */
void sq_interrupt_watch_screen(const char *last);
/* Whether SIGINT or SIGTERM has come. */
bool sq_interrupted(void);
/* Whether SIGWINCH has come since the last call. */
bool sq_resized(void);
/* poll() that one of the signals ends, also one that came before it.  -1: a signal, or errno. */
int sq_interrupt_poll(struct pollfd *, nfds_t, uint64_t timeout_ms);

#endif
