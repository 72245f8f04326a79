/* Asks the admin endpoint of a program that runs whether it is ready, for who has nothing else to ask
 * with: the health checks of an image without a shell. */
#ifndef SQ_WEB_PROBE_H
#define SQ_WEB_PROBE_H

/* "--probe HOST:PORT" of the program 'name': prints what /readyz there says, or the reason why there
 * is no answer within 5 s, on stdout.  Returns the exit code: 0 ready; 1 not ready, or no answer; 2
 * that is no address. */
int sq_probe_main(const char *name, int argc, char **argv);

#endif
