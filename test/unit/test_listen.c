/* core/listen: what addresses are taken for, and what a check finds of them. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/listen.h"
#include "core/mem.h"

static struct sq_buf err;

static const char *
error(void)
{
	sq_buf_u8(&err, 0);
	return (const char *)sq_buf_data(&err);
}

static void
tidy(void)
{
	sq_buf_fini(&err);
}

TestSuite(listen, .fini = tidy);

static struct sq_listen_found
found_at(const char *address)
{
	struct sq_listen_found f;

	cr_assert_eq(
	    sq_listen_check("some.key", address, &f, &err), SQ_OK, "%s: %s", address, error());
	return f;
}

Test(listen, loopback_is_told_from_addresses_that_others_reach)
{
	static const char *const near[] = {"127.0.0.1:0", "127.9.9.9:0", "localhost:0"};
	static const char *const far[] = {":0", "*:0", "0.0.0.0:0"};
	struct sq_listen_found f;

	for (size_t i = 0; i < SQ_ARRAY_LEN(near); i++)
		cr_assert(!found_at(near[i]).beyond, "%s", near[i]);
	for (size_t i = 0; i < SQ_ARRAY_LEN(far); i++)
		cr_assert(found_at(far[i]).beyond, "%s", far[i]);
	if (sq_listen_check("some.key", "[::1]:0", &f, &err) == SQ_OK) {
		cr_assert(!f.beyond);
		cr_assert(found_at("[::]:0").beyond);
	}
}

/* Whether a connection to the loopback address of 'family' is taken at 'port'. */
static bool
reaches(int family, unsigned port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
	    .sin6_port = htons((uint16_t)port),
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM, 0);
	bool ok = connect(fd, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		      family == AF_INET ? sizeof v4 : sizeof v6) == 0;

	close(fd);
	return ok;
}

Test(listen, every_address_is_that_of_both_families_at_one_port)
{
	static const char *const every[] = {"*:0", ":0"};
	struct sq_listen v6, l;
	bool has_v6 = sq_listen_open(&v6, "some.key", "[::1]:0", 1, &err) == SQ_OK;

	if (has_v6)
		sq_listen_close(&v6);
	for (size_t i = 0; i < SQ_ARRAY_LEN(every); i++) {
		cr_assert_eq(sq_listen_open(&l, "some.key", every[i], 1, &err), SQ_OK);
		cr_assert_eq(l.n, has_v6 ? 2 : 1, "%s", every[i]);
		cr_assert(reaches(AF_INET, l.port), "%s", every[i]);
		cr_assert(!has_v6 || reaches(AF_INET6, l.port), "%s", every[i]);
		sq_listen_close(&l);
	}
}

Test(listen, a_port_in_use_is_a_remark_to_a_check_and_an_error_to_a_start)
{
	struct sq_listen first, second;
	char address[32];

	cr_assert_eq(sq_listen_open(&first, "some.key", "127.0.0.1:0", 1, &err), SQ_OK);
	snprintf(address, sizeof address, "127.0.0.1:%u", first.port);
	cr_assert(found_at(address).in_use);
	cr_assert_eq(sq_listen_open(&second, "some.key", address, 1, &err), SQ_EIO);
	cr_assert_str_eq(strstr(error(), ": Address"), ": Address already in use", "%s", error());
	sq_listen_close(&first);
	cr_assert(!found_at(address).in_use, "a check leaves nothing open");
	cr_assert(!found_at(address).in_use);
}

Test(listen, errors_name_the_key_the_address_and_the_reason)
{
	static const struct {
		const char *address, *reason;
		int code;
	} wrong[] = {
	    {"7443", "not of the form host:port, [v6]:port, *:port or :port", SQ_EINVAL},
	    {"127.0.0.1:", "not of the form host:port, [v6]:port, *:port or :port", SQ_EINVAL},
	    {"127.0.0.1:65536", "not of the form host:port, [v6]:port, *:port or :port", SQ_EINVAL},
	    {"::1:7443", "not of the form host:port, [v6]:port, *:port or :port", SQ_EINVAL},
	    {"192.0.2.1:7443", "Cannot assign requested address", SQ_EIO},
	};
	struct sq_listen_found f;
	struct sq_listen l;
	char line[200];

	for (size_t i = 0; i < SQ_ARRAY_LEN(wrong); i++) {
		snprintf(line, sizeof line, "some.key: %s: %s", wrong[i].address, wrong[i].reason);
		cr_assert_eq(sq_listen_open(&l, "some.key", wrong[i].address, 1, &err),
		    wrong[i].code, "%s", wrong[i].address);
		cr_assert_str_eq(error(), line);
		sq_buf_fini(&err);
		cr_assert_eq(sq_listen_check("some.key", wrong[i].address, &f, &err), wrong[i].code,
		    "a check says what a start says");
		cr_assert_str_eq(error(), line);
		sq_buf_fini(&err);
	}
}
