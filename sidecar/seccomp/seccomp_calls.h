/* The system calls that a sidecar makes, once it listens. */
#ifndef SQ_SIDECAR_SECCOMP_SECCOMP_CALLS_H
#define SQ_SIDECAR_SECCOMP_SECCOMP_CALLS_H

#include <stddef.h>
#include <stdint.h>

enum sq_call_rule {
	SQ_CALL_ANY,     /* with any arguments */
	SQ_CALL_ONE_OF,  /* the argument is one of 'values' */
	SQ_CALL_WITH,    /* the argument has all bits of 'mask' */
	SQ_CALL_WITHOUT, /* the argument has no bit of 'mask' */
	SQ_CALL_MISSING, /* fails with ENOSYS like on an older kernel: the caller has a fallback */
	SQ_CALL_NEVER,   /* refused, like each call without a row; listed for its name */
};

enum { SQ_CALL_NAME_MAX = 23, SQ_CALL_VALUES_MAX = 4 };

/* Without pointers, so that the table needs no relocation and takes no private memory. */
struct sq_syscall {
	char name[SQ_CALL_NAME_MAX + 1];
	int nr;
	uint8_t rule; /* enum sq_call_rule */
	uint8_t arg;  /* its index; the lower 32 bits count */
	uint8_t n_values;
	uint32_t mask;
	uint32_t values[SQ_CALL_VALUES_MAX];
};

/* The table, most frequent calls first; empty on a machine that it does not support. */
extern const struct sq_syscall sq_syscalls[];
extern const size_t sq_calls_n;
/* AUDIT_ARCH_… of the machine. */
extern const uint32_t sq_calls_arch;

/* The name of a call for people; NULL: unknown. */
const char *sq_call_name(int nr);

#endif
