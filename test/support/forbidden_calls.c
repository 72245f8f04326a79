/* Preloaded into a sidecar by test_seccomp.py: a thread that waits for the file "go" in
 * FORBIDDEN_FOLDER, makes system calls that no sidecar makes, harmless where they are allowed, and
 * writes the error number of each (0: it was done) to "out". */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static char out[4096];

static void
note(const char *name, long rc)
{
	int error = rc == -1 ? errno : 0;
	size_t len = strlen(out);

	if (rc > 2 && (strstr(name, "socket") != NULL || strstr(name, "memfd") != NULL))
		close((int)rc);
	snprintf(out + len, sizeof out - len, "%s %d\n", name, error);
}

static void *
nothing(void *arg)
{
	return arg;
}

static void
try_thread(void)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, nothing, NULL);

	errno = rc;
	note("thread", rc == 0 ? 0 : -1);
	if (rc == 0)
		pthread_join(thread, NULL);
}

static void
try_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	note("clone", pid);
}

static void
try_all(void)
{
	char *const argv[] = {NULL};
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	note("clone3", syscall(SYS_clone3, NULL, 0));
	try_thread();
	note("packet-socket", syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0));
	note("ptrace", syscall(SYS_ptrace, PTRACE_PEEKUSER, 1, 0, 0));
	note("execve", syscall(SYS_execve, "/nonexistent/program", argv, argv));
	note("mprotect", syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC));
	note("mmap",
	    syscall(
		SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	try_fork();
	note("kill", syscall(SYS_kill, 0x7fffffff, 0));
	note("bpf", syscall(SYS_bpf, -1, NULL, 0));
	note("io_uring_setup", syscall(SYS_io_uring_setup, 0, NULL));
	note("process_vm_readv", syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
	note("unshare", syscall(SYS_unshare, 0));
	note("memfd_create", syscall(SYS_memfd_create, "x", 0));
	note("number-500", syscall(500));
}

static void *
run(void *folder)
{
	char path[512], done[512];
	int fd;

	snprintf(path, sizeof path, "%s/go", (char *)folder);
	while (access(path, F_OK) != 0)
		usleep(20000);
	try_all();
	snprintf(done, sizeof done, "%s/out", (char *)folder);
	fd = open(done, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	strcat(out, "end\n");
	if (fd < 0 || write(fd, out, strlen(out)) < 0)
		abort();
	close(fd);
	return NULL;
}

__attribute__((constructor)) static void
start(void)
{
	char *folder = getenv("FORBIDDEN_FOLDER");
	sigset_t all, old;
	pthread_t thread;

	if (folder == NULL)
		return;
	sigfillset(&all); /* as the program's own threads do it */
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, NULL, run, folder) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}
