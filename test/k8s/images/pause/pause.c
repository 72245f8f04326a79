/* The first process of every pod of the test cluster: it holds the pod's namespaces
 * and reaps what others leave, until it is told to end. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void
pause_end(int number)
{
	(void)number;
	_exit(0);
}

static void
pause_reap(int number)
{
	(void)number;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int
main(void)
{
	signal(SIGTERM, pause_end);
	signal(SIGINT, pause_end);
	signal(SIGCHLD, pause_reap);
	for (;;)
		pause();
}
