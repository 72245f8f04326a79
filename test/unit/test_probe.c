/* web/probe: what a health check is told, by a server of the test's own. */
#include "web/probe.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int server = -1;
static const char *answer;
static char heard[512];

/* Takes one connection, and answers it byte by byte. */
static void *
serve(void *arg)
{
	int fd = accept(server, NULL, NULL);
	ssize_t n = recv(fd, heard, sizeof heard - 1, 0);

	(void)arg;
	heard[n > 0 ? n : 0] = '\0';
	for (const char *at = answer; *at != '\0'; at++)
		cr_assert_eq(send(fd, at, 1, MSG_NOSIGNAL), 1);
	close(fd);
	return NULL;
}

/* The exit code where that is answered. */
static int
probe(const char *says)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;
	char address[32], *argv[] = {"p", "--probe", address, NULL};
	pthread_t thread;
	int code;

	cr_redirect_stdout();
	answer = says;
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(server, (const struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(listen(server, 1), 0);
	cr_assert_eq(getsockname(server, (struct sockaddr *)&at, &len), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
	cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	code = sq_probe_main("p", 3, argv);
	pthread_join(thread, NULL);
	close(server);
	fflush(stdout);
	return code;
}

Test(probe, ready)
{
	cr_assert_eq(probe("HTTP/1.1 200 OK\r\nx: y\r\n\r\nok\nlinks: 1 of 2\n"), 0);
	cr_assert_stdout_eq_str("ok\nlinks: 1 of 2\n");
	cr_assert_eq(strncmp(heard, "GET /readyz HTTP/1.1\r\n", 22), 0, "%s", heard);
}

Test(probe, not_ready)
{
	cr_assert_eq(probe("HTTP/1.1 503 Service Unavailable\r\n\r\nno broker\n"), 1);
	cr_assert_stdout_eq_str("no broker\n");
}

Test(probe, no_http)
{
	cr_assert_eq(probe("SSH-2.0-x\r\n"), 1);
	cr_assert_stdout_eq_str("no answer\n");
}

Test(probe, nothing)
{
	cr_assert_eq(probe(""), 1);
}

Test(probe, two_hundreds_elsewhere_count_for_nothing)
{
	cr_assert_eq(probe("HTTP/1.1 503 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok"), 1);
	cr_assert_eq(probe("HTTP/1.1 2000 x\r\n\r\nok"), 1);
}

Test(probe, nobody_listens)
{
	char *argv[] = {"p", "--probe", "[::1]:1", NULL};

	cr_redirect_stdout();
	cr_assert_eq(sq_probe_main("p", 3, argv), 1);
}

Test(probe, no_address)
{
	char *bad[] = {"", ":", "host", "host:", ":1", "[]:1"};
	char long_host[400], *argv[] = {"p", "--probe", long_host, NULL};

	cr_redirect_stderr();
	memset(long_host, 'a', sizeof long_host);
	memcpy(long_host + sizeof long_host - 3, ":1", 3);
	cr_assert_eq(sq_probe_main("p", 3, argv), 2);
	cr_assert_eq(sq_probe_main("p", 2, argv), 2);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		argv[2] = bad[i];
		cr_assert_eq(sq_probe_main("p", 3, argv), 2, "%s", bad[i]);
	}
}
