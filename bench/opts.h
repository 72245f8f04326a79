/* Command lines of the benchmark's programs. */
#ifndef SQ_BENCH_OPTS_H
#define SQ_BENCH_OPTS_H

#include <stdint.h>

/* Says on standard error what is wrong with an argument, and ends the program with 2. */
_Noreturn void sq_opts_die(const char *what, const char *arg);
/* The number that option 'name' has in 'arg', between 'min' and 'max'; ends the program by
 * sq_opts_die() where it has none. */
uint64_t sq_opts_uint(const char *name, const char *arg, uint64_t min, uint64_t max);

#endif
