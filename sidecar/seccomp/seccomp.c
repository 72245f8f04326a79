/* The filter of system calls; see seccomp.h.
 *
 * SECCOMP_RET_ERRNO would report to nobody, so a refused call raises SIGSYS in the thread that made
 * it (SECCOMP_RET_TRAP).  The handler counts the call and has it return -EPERM. */
#include "sidecar/seccomp/seccomp.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/log.h"
#include "sidecar/metrics/metrics.h"
#include "sidecar/seccomp/seccomp_calls.h"

enum {
	PROGRAM_MAX = 512,
	CALLS_MAX = 512, /* numbers that are told apart; others are the last one */
	SAY_MS = 10000,  /* between two lines of the log */
	FROM_FILTER =
	    1, /* SYS_SECCOMP of the kernel's header, which is not for use beside libc's */
};

/* ---- what was refused; written by the handler ---- */

static _Atomic uint64_t refused;
static _Atomic uint64_t refused_calls[CALLS_MAX / 64]; /* a bit for each number, until it is said */

static void
seccomp_set_result(ucontext_t *at, int result)
{
#if defined(__x86_64__)
	at->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	at->uc_mcontext.regs[0] = (unsigned long long)result;
#else
	(void)at;
	(void)result;
#endif
}

/* On the thread of the call; nothing that is not async-signal-safe. */
static void
seccomp_on_sigsys(int sig, siginfo_t *info, void *context)
{
	unsigned nr = (unsigned)info->si_syscall;

	(void)sig;
	if (info->si_code != FROM_FILTER)
		return; /* somebody's kill -SYS */
	if (nr >= CALLS_MAX)
		nr = CALLS_MAX - 1;
	atomic_fetch_or(&refused_calls[nr / 64], UINT64_C(1) << nr % 64);
	atomic_fetch_add(&refused, 1);
	seccomp_set_result(context, -EPERM);
}

/* ---- the filter ---- */

struct program {
	struct sock_filter v[PROGRAM_MAX];
	unsigned short n;
};

static void
program_add(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	assert(p->n < PROGRAM_MAX);
	p->v[p->n++] = (struct sock_filter)BPF_JUMP(code, k, jt, jf);
}

static void
program_return(struct program *p, uint32_t action)
{
	program_add(p, BPF_RET | BPF_K, action, 0, 0);
}

static void
program_load(struct program *p, size_t offset)
{
	program_add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* The result of a call whose number is that of 'c'. */
static void
program_rule(struct program *p, const struct sq_syscall *c)
{
	/* Both machines are little-endian: the lower half of an argument comes first. */
	size_t arg = offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t);

	switch (c->rule) {
	case SQ_CALL_ANY:
		program_return(p, SECCOMP_RET_ALLOW);
		return;
	case SQ_CALL_MISSING:
		program_return(p, SECCOMP_RET_ERRNO | ENOSYS);
		return;
	case SQ_CALL_NEVER:
		break;
	case SQ_CALL_ONE_OF:
		program_load(p, arg);
		for (size_t i = 0; i < c->n_values; i++) {
			program_add(p, BPF_JMP | BPF_JEQ | BPF_K, c->values[i], 0, 1);
			program_return(p, SECCOMP_RET_ALLOW);
		}
		break;
	case SQ_CALL_WITH:
	case SQ_CALL_WITHOUT:
		program_load(p, arg);
		program_add(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
		program_add(
		    p, BPF_JMP | BPF_JEQ | BPF_K, c->rule == SQ_CALL_WITH ? c->mask : 0, 0, 1);
		program_return(p, SECCOMP_RET_ALLOW);
		break;
	}
	program_return(p, SECCOMP_RET_TRAP);
}

static void
program_make(struct program *p)
{
	unsigned short at;

	/* Numbers mean other calls on another machine's interface, as int 0x80 is one; x32's
	 * numbers are above all of the table. */
	program_load(p, offsetof(struct seccomp_data, arch));
	program_add(p, BPF_JMP | BPF_JEQ | BPF_K, sq_calls_arch, 1, 0);
	program_return(p, SECCOMP_RET_TRAP);
	program_load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sq_calls_n; i++) {
		if (sq_syscalls[i].rule == SQ_CALL_NEVER)
			continue;
		at = p->n;
		program_add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)sq_syscalls[i].nr, 0, 0);
		program_rule(p, &sq_syscalls[i]);
		p->v[at].jf = (uint8_t)(p->n - at - 1);
	}
	program_return(p, SECCOMP_RET_TRAP);
}

#ifdef SQ_WATCHED
enum { SECCOMP_WATCHED = true };
#else
enum { SECCOMP_WATCHED = false };
#endif

static int
seccomp_lay(struct sq_buf *why)
{
	struct sigaction action = {
	    .sa_sigaction = seccomp_on_sigsys, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct program p = {.n = 0};
	struct sock_fprog filter = {.filter = p.v};

	program_make(&p);
	filter.len = p.n;
	sigfillset(&action.sa_mask);
	if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) !=
		0) {
		sq_buf_printf(why, "%s", strerror(errno));
		return SQ_ENOTFOUND;
	}
	return SQ_OK;
}

int
sq_seccomp_start(struct sq_buf *why)
{
	if (SECCOMP_WATCHED)
		return SQ_OK;
	if (sq_calls_n == 0) {
		sq_buf_printf(why, "there is none for this machine");
		return SQ_ENOTFOUND;
	}
	return seccomp_lay(why);
}

/* ---- the report ---- */

static void
seccomp_name(struct sq_buf *out, int nr)
{
	const char *name = sq_call_name(nr);

	if (sq_buf_len(out) > 0)
		sq_buf_printf(out, ", ");
	if (name != NULL)
		sq_buf_printf(out, "%s", name);
	else
		sq_buf_printf(out, "number %d", nr);
}

void
sq_seccomp_report(const struct sq_metrics *metrics, uint64_t now_ms)
{
	static uint64_t said, due_ms; /* of the one filter that a process has */
	uint64_t n = atomic_load(&refused), calls;
	struct sq_buf names = {0};

	sq_metric_set(metrics, SQ_M_SYSTEM_CALLS, (int64_t)n);
	if (n == said || now_ms < due_ms)
		return;
	said = n;
	due_ms = now_ms + SAY_MS;
	for (int i = 0; i < CALLS_MAX / 64; i++) {
		calls = atomic_exchange(&refused_calls[i], 0);
		for (int bit = 0; bit < 64; bit++)
			if ((calls >> bit & 1) != 0)
				seccomp_name(&names, i * 64 + bit);
	}
	SQ_WARN("sidecar",
	    "security.seccomp: refused system calls that no sidecar makes: %.*s; "
	    "%llu since the start",
	    (int)sq_buf_len(&names), (const char *)sq_buf_data(&names), (unsigned long long)n);
	sq_buf_fini(&names);
}
