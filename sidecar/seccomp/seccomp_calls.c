/* The table of system calls; see seccomp_calls.h.  It has the calls that the wrappers of glibc and
 * musl, malloc, threads, libev, c-ares, OpenSSL and the store need on x86-64 and arm64.  Another
 * version of a library may use another call of the same family, so families are complete. */
#include "sidecar/seccomp/seccomp_calls.h"

#include <linux/audit.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#if defined(__x86_64__) || defined(__aarch64__)

#define ROW(n, rule_, ...) \
	{ \
		.name = #n, .nr = __NR_##n, .rule = SQ_CALL_##rule_, __VA_ARGS__ \
	}
#define ANY(n) ROW(n, ANY, .arg = 0)
#define ONE_OF(n, at, ...) \
	ROW(n, ONE_OF, .arg = at, .values = {__VA_ARGS__}, \
	    .n_values = sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
#define WITH(n, at, bits) ROW(n, WITH, .arg = at, .mask = bits)
#define WITHOUT(n, at, bits) ROW(n, WITHOUT, .arg = at, .mask = bits)
#define MISSING(n) ROW(n, MISSING, .arg = 0)
#define NEVER(n) ROW(n, NEVER, .arg = 0)

const struct sq_syscall sq_syscalls[] = {
    /* each message */
    ANY(read),
    ANY(write),
    ANY(readv),
    ANY(writev),
    ANY(recvfrom),
    ANY(sendto),
    ANY(recvmsg),
    ANY(sendmsg),
    ANY(epoll_pwait),
    ANY(epoll_pwait2),
    ANY(epoll_ctl),
    ANY(futex),
    ANY(clock_gettime),
    ANY(gettimeofday),
    ANY(pwrite64),
    ANY(pwritev),
    ANY(pwritev2),
    ANY(pread64),
    ANY(preadv),
    ANY(preadv2),
    ANY(fdatasync),
    ANY(fsync),
    ANY(sync_file_range),
    /* memory: nothing that could be run is made */
    ANY(madvise),
    ANY(munmap),
    ANY(mremap),
    ANY(brk),
    ANY(msync),
    ANY(mincore),
    WITHOUT(mmap, 2, PROT_EXEC),
    WITHOUT(mprotect, 2, PROT_EXEC),
    /* sockets */
    /* NETLINK for the C library, which asks for the machine's addresses */
    ONE_OF(socket, 0, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK),
    ONE_OF(socketpair, 0, AF_UNIX),
    ANY(connect),
    ANY(accept),
    ANY(accept4),
    ANY(bind),
    ANY(listen),
    ANY(shutdown),
    ANY(getsockname),
    ANY(getpeername),
    ANY(setsockopt),
    ANY(getsockopt),
    ANY(sendmmsg),
    ANY(recvmmsg),
    /* descriptors and files */
    ANY(close),
    ANY(close_range),
    ANY(openat),
    ANY(fstat),
    ANY(newfstatat),
    ANY(statx),
    ANY(faccessat),
    ANY(faccessat2),
    ANY(readlinkat),
    ANY(getdents64),
    ANY(lseek),
    ANY(fcntl),
    ANY(dup),
    ANY(dup3),
    ANY(pipe2),
    ANY(eventfd2),
    ANY(epoll_create1),
    ANY(timerfd_create),
    ANY(timerfd_settime),
    ANY(timerfd_gettime),
    ANY(inotify_init1),
    ANY(inotify_add_watch),
    ANY(inotify_rm_watch),
    ONE_OF(ioctl, 1, FIONBIO, FIONREAD, FIOCLEX, TCGETS),
    ANY(statfs),
    ANY(fstatfs),
    ANY(fallocate),
    ANY(ftruncate),
    ANY(fadvise64),
    ANY(flock),
    ANY(mkdirat),
    ANY(unlinkat),
    ANY(renameat),
    ANY(renameat2),
    ANY(fchmod),
    ANY(fchmodat),
    ANY(umask),
    ANY(getcwd),
    /* threads, signals and time */
    WITH(clone, 0, CLONE_THREAD),
    MISSING(clone3),
    ANY(set_robust_list),
    ANY(rseq),
    ANY(set_tid_address),
    ANY(exit),
    ANY(exit_group),
    ANY(rt_sigaction),
    ANY(rt_sigprocmask),
    ANY(rt_sigreturn),
    ANY(rt_sigtimedwait),
    ANY(rt_sigpending),
    ANY(sigaltstack),
    ANY(tgkill),
    ANY(tkill),
    ANY(restart_syscall),
    ANY(sched_yield),
    ANY(sched_getaffinity),
    ANY(membarrier),
    ANY(nanosleep),
    ANY(clock_nanosleep),
    ANY(clock_getres),
    ANY(ppoll),
    ANY(pselect6),
    ONE_OF(prctl, 0, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE),
    /* what it is and what the machine has */
    ANY(getpid),
    ANY(gettid),
    ANY(getppid),
    ANY(getuid),
    ANY(geteuid),
    ANY(getgid),
    ANY(getegid),
    ANY(getrandom),
    ANY(uname),
    ANY(sysinfo),
    ANY(prlimit64),
    ANY(getrlimit),
    ANY(setrlimit),
    ANY(getrusage),
    ANY(times),
    ANY(getcpu),
#ifdef __x86_64__
    /* older forms, which other machines do not have */
    ANY(epoll_wait),
    ANY(poll),
    ANY(select),
    ANY(open),
    ANY(stat),
    ANY(lstat),
    ANY(access),
    ANY(readlink),
    ANY(mkdir),
    ANY(rmdir),
    ANY(unlink),
    ANY(rename),
    ANY(chmod),
    ANY(pipe),
    ANY(dup2),
    ANY(eventfd),
    ANY(epoll_create),
    ANY(inotify_init),
    ANY(getdents),
    ANY(time),
    NEVER(fork),
    NEVER(vfork),
#endif
    NEVER(execve),
    NEVER(execveat),
    NEVER(ptrace),
    NEVER(process_vm_readv),
    NEVER(process_vm_writev),
    NEVER(kill),

    NEVER(bpf),
    NEVER(perf_event_open),
    NEVER(userfaultfd),
    NEVER(io_uring_setup),
    NEVER(io_uring_enter),
    NEVER(unshare),
    NEVER(setns),
    NEVER(mount),
    NEVER(chroot),
    NEVER(setuid),
    NEVER(setgid),
    NEVER(keyctl),
    NEVER(add_key),
    NEVER(memfd_create),
    NEVER(symlinkat),
    NEVER(linkat),
    NEVER(fchownat),
    NEVER(seccomp),
    NEVER(pidfd_open),
    NEVER(pidfd_getfd),
    NEVER(splice),
    NEVER(shmget),
};
const size_t sq_calls_n = sizeof sq_syscalls / sizeof *sq_syscalls;
#ifdef __x86_64__
const uint32_t sq_calls_arch = AUDIT_ARCH_X86_64;
#else
const uint32_t sq_calls_arch = AUDIT_ARCH_AARCH64;
#endif

#else

const struct sq_syscall sq_syscalls[1] = {{0}};
const size_t sq_calls_n = 0;
const uint32_t sq_calls_arch = 0;

#endif

const char *
sq_call_name(int nr)
{
	for (size_t i = 0; i < sq_calls_n; i++)
		if (sq_syscalls[i].nr == nr)
			return sq_syscalls[i].name;
	return NULL;
}
