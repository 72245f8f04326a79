/* What the service manager is told, as it reads it from its socket. */
#include "core/notify.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../support/temp_dir.h"

enum { MESSAGE_MAX = 512, MANY = 2000 };

static int manager = -1;
static char message[MESSAGE_MAX];

static void
listen_at(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t len = strlen(name) + (name[0] == '@' ? 0 : 1);

	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert_geq(manager, 0);
	cr_assert_eq(bind(manager, (const struct sockaddr *)&at,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
}

/* A manager on a socket without a path, of this process alone. */
static struct sq_notify *
start(const char *watchdog_usec)
{
	char name[64];

	snprintf(name, sizeof name, "@sqmqos-notify-%d", (int)getpid());
	listen_at(name);
	if (watchdog_usec != NULL)
		setenv("WATCHDOG_USEC", watchdog_usec, 1);
	return sq_notify_open("test");
}

/* The next message; "" when there is none. */
static const char *
heard(void)
{
	ssize_t n = recv(manager, message, sizeof message - 1, 0);

	message[n > 0 ? n : 0] = '\0';
	return message;
}

Test(notify, states_are_told_once_each)
{
	struct sq_notify *n = start(NULL);

	cr_assert(sq_notify_wanted(n));
	cr_assert_str_eq(heard(), "", "nothing before it serves");
	sq_notify_set(n, SQ_NOTIFY_READY);
	sq_notify_set(n, SQ_NOTIFY_READY);
	cr_assert_str_eq(heard(), "READY=1\n");
	sq_notify_set(n, SQ_NOTIFY_RELOADING);
	cr_assert_eq(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0, "%s", message);
	sq_notify_set(n, SQ_NOTIFY_READY);
	cr_assert_str_eq(heard(), "READY=1\n");
	sq_notify_set(n, SQ_NOTIFY_STOPPING);
	cr_assert_str_eq(heard(), "STOPPING=1\n");
	sq_notify_tick(n, 1, true);
	cr_assert_str_eq(heard(), "", "nobody watches");
	sq_notify_close(&n);
	cr_assert_null(n);
}

Test(notify, a_status_is_one_line_and_told_when_it_changes)
{
	struct sq_notify *n = start(NULL);
	char text[300];

	sq_notify_status(n, "");
	cr_assert_str_eq(heard(), "");
	sq_notify_status(n, "links: 0 of 2\nREADY=1\n");
	cr_assert_str_eq(heard(), "STATUS=links: 0 of 2\n");
	sq_notify_status(n, "links: 0 of 2\nanother second line");
	cr_assert_str_eq(heard(), "");
	sq_notify_status(n, "links: 0 of");
	cr_assert_str_eq(heard(), "STATUS=links: 0 of\n");
	memset(text, 'a', sizeof text);
	text[299] = '\0';
	memcpy(text + 199, "\xe2\x82\xac", 3); /* a character across the cut */
	sq_notify_status(n, text);
	cr_assert_eq(strlen(heard()), strlen("STATUS=\n") + 199, "%s", message);
	cr_assert_str_eq(message + strlen(message) - 2, "a\n");
	sq_notify_status(n, text);
	cr_assert_str_eq(heard(), "", "it is as it was");
	sq_notify_close(&n);
}

Test(notify, signs_of_life_come_three_times_in_the_watchdogs_time)
{
	struct sq_notify *n = start("3000000");
	unsigned beats = 0;

	for (uint64_t now_ms = 5000; now_ms < 11000; now_ms += 250) {
		sq_notify_tick(n, now_ms, true);
		beats += strcmp(heard(), "WATCHDOG=1\n") == 0;
	}
	cr_assert_eq(beats, 6);
	for (uint64_t now_ms = 11000; now_ms < 14000; now_ms += 250) {
		sq_notify_tick(n, now_ms, false);
		cr_assert_str_eq(heard(), "", "it does not live");
	}
	sq_notify_tick(n, 14000, true);
	cr_assert_str_eq(heard(), "WATCHDOG=1\n");
	sq_notify_close(&n);
}

Test(notify, another_process_is_watched)
{
	struct sq_notify *n;

	setenv("WATCHDOG_PID", "1", 1);
	n = start("3000000");
	sq_notify_tick(n, 1000, true);
	cr_assert_str_eq(heard(), "");
	sq_notify_close(&n);
}

Test(notify, what_finds_no_room_is_told_later)
{
	struct sq_notify *n = start(NULL);
	unsigned waiting = 0;
	char text[16];

	while (++waiting < MANY) { /* more than a socket queues */
		snprintf(text, sizeof text, "%u", waiting);
		sq_notify_status(n, text);
	}
	sq_notify_set(n, SQ_NOTIFY_READY);
	while (heard()[0] != '\0')
		cr_assert_str_neq(message, "READY=1\n", "there was room");
	sq_notify_tick(n, 2, true);
	cr_assert_str_eq(heard(), "READY=1\n");
	cr_assert_eq(strncmp(heard(), "STATUS=", 7), 0, "%s", message);
	cr_assert_eq(strtoul(message + 7, NULL, 10), waiting - 1, "the newest");
	sq_notify_close(&n);
}

Test(notify, a_socket_with_a_path)
{
	char *dir = temp_dir_new(), path[100];
	struct sq_notify *n;

	snprintf(path, sizeof path, "%s/notify", dir);
	listen_at(path);
	n = sq_notify_open("test");
	sq_notify_set(n, SQ_NOTIFY_READY);
	cr_assert_str_eq(heard(), "READY=1\n");
	sq_notify_close(&n);
	temp_dir_free(&dir);
}

Test(notify, nobody_listens)
{
	const char *names[] = {"", "relative", "vsock:2:1", "@", "/nowhere/at/all"};
	char long_name[200];
	struct sq_notify *n;

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[0] = '/';
	long_name[sizeof long_name - 1] = '\0';
	for (size_t i = 0; i <= sizeof names / sizeof names[0] + 1; i++) {
		if (i > 0)
			setenv("NOTIFY_SOCKET", i <= 5 ? names[i - 1] : long_name, 1);
		n = sq_notify_open("test");
		cr_assert_not(sq_notify_wanted(n), "%zu", i);
		sq_notify_set(n, SQ_NOTIFY_READY);
		sq_notify_status(n, "x");
		sq_notify_tick(n, 1, true);
		sq_notify_close(&n);
	}
}

Test(notify, the_manager_goes)
{
	struct sq_notify *n = start("3000000");

	close(manager);
	sq_notify_set(n, SQ_NOTIFY_READY);
	sq_notify_tick(n, 1, true);
	sq_notify_set(n, SQ_NOTIFY_STOPPING);
	sq_notify_close(&n);
}
