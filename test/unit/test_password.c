/* sidecar/mqtt/password: who is in the file, by the real crypt(3). */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/temp_file.h"
#include "core/mem.h"
#include "sidecar/mqtt/password.h"

#define SHA512 \
	"$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/" \
	"Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"
#define SHA256 "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"
#define YESCRYPT "$y$j75$saltsaltsaltsalt$DsMjm5uqUiFBUYLB9CLnX8E/M0k0mOVJBUWdpCrUik9"
#define BCRYPT "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define MD5 "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"
#define SCRYPT "$7$CU..../....saltsaltsalt$DRp9S/OXVeZy1D0mi6uFNr0b65vIk8qcPMxsudE40T3"
#define BSDI "_J9..saltLXKE4peqNCg"
#define DES "abNANd1rDfiNc"
#define OF_EMPTY "$5$saltsalt$09agN5RZ2meWdEdnEusqsq5G7RwwghB8jCKoWWADxW/"
/* What mosquitto_passwd writes, of its versions. */
#define MOSQUITTO7 \
	"$7$101$oFmHsa3UDBwKJ4ui$CuWYObmZYnE+2tGclm1+" \
	"B5OMa3Ighe38OVgbpvrwiq2QvlKYw+Tph8lyH3ucWibQirUgVpV9Cksi/vE8d5CJFg=="
#define MOSQUITTO6 \
	"$6$W6mhbXFaAndgG+cR$4kyCgUC4TZ/jHBu0PirpKrJJq1KkFIj+e+" \
	"MkhSYPu2+DTYBWhsvWcwV0p9v6aXr3UNsFuIVRIEPZpnhj1HMq/A=="

static char path[] = "/tmp/sq_test_password_XXXXXX";
static struct sq_buf err;

static void
put_bytes(const char *text, size_t len)
{
	temp_file_put(path, text, len);
}

static void
put(const char *text)
{
	put_bytes(text, strlen(text));
}

static void
setup(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
}

static void
tidy(void)
{
	unlink(path);
	sq_buf_fini(&err);
}

TestSuite(password, .init = setup, .fini = tidy);

static struct sq_bytes
bytes(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static bool
match(struct sq_passwords *p, const char *user, const char *password)
{
	return sq_passwords_match(p, bytes(user), bytes(password));
}

/* What is in 'err', which is empty then. */
static const char *
said(void)
{
	static char line[4096];

	(void)snprintf(line, sizeof line, "%.*s", (int)sq_buf_len(&err),
	    sq_buf_len(&err) > 0 ? (const char *)sq_buf_data(&err) : "");
	sq_buf_fini(&err);
	return line;
}

static struct sq_passwords *
opened(const char *text)
{
	struct sq_passwords *p;

	put(text);
	p = sq_passwords_open(path, &err);
	cr_assert_not_null(p, "%s", said());
	return p;
}

/* The file is refused, and 'err' has each of the words. */
static void
refused(const char *text, const char *word)
{
	struct sq_passwords *p;
	const char *line;

	put(text);
	p = sq_passwords_open(path, &err);
	line = said();
	cr_assert_null(p, "taken: %s", text);
	cr_assert_not_null(strstr(line, path), "%s", line);
	cr_assert_eq(strncmp(line, "auth.password-file: ", 20), 0, "%s", line);
	cr_assert_not_null(strstr(line, word), "%s is not in: %s", word, line);
}

Test(password, every_method_of_crypt_is_known)
{
	const char *hashes[] = {SHA512, SHA256, YESCRYPT, BCRYPT, MD5, SCRYPT, BSDI, DES};

	for (size_t i = 0; i < SQ_ARRAY_LEN(hashes); i++) {
		struct sq_passwords *p;
		char text[256];

		(void)snprintf(text, sizeof text, "bob:%s\n", hashes[i]);
		p = opened(text);
		cr_assert(match(p, "bob", "secret"), "%s", hashes[i]);
		cr_assert_not(match(p, "bob", "Secret"), "%s", hashes[i]);
		cr_assert_not(match(p, "bob", ""), "%s", hashes[i]);
		cr_assert_not(match(p, "bo", "secret"), "%s", hashes[i]);
		cr_assert_not(match(p, "bob:", "secret"), "%s", hashes[i]);
		sq_passwords_free(&p);
	}
}

Test(password, a_file_has_comments_empty_lines_and_a_last_line_without_its_end)
{
	struct sq_passwords *p = opened("# users\n\na:" SHA256 "\r\n\n#a:" DES "\n\xc3\xa9 x:" DES);

	cr_assert_eq(sq_passwords_users(p), 2);
	cr_assert(match(p, "a", "secret"));
	cr_assert(match(p, "\xc3\xa9 x", "secret"));
	cr_assert_not(match(p, "#a", "secret"));
	sq_passwords_free(&p);
	p = opened("");
	cr_assert_eq(sq_passwords_users(p), 0);
	cr_assert_not(match(p, "a", "secret"));
	cr_assert_not(match(p, "", ""));
	sq_passwords_free(&p);
}

/* A password is compared whole: not as far as a NUL, not as far as crypt(3) reads. */
Test(password, what_no_password_can_be_is_none)
{
	struct sq_passwords *p = opened("a:" SHA256 "\nempty:" OF_EMPTY "\n");
	char big[SQ_PASSWORD_MAX + 2];

	memset(big, 'x', sizeof big);
	cr_assert(sq_passwords_match(p, bytes("a"), (struct sq_bytes){(void *)"secret\0x", 6}));
	cr_assert_not(sq_passwords_match(p, bytes("a"), (struct sq_bytes){(void *)"secret\0x", 8}));
	cr_assert_not(sq_passwords_match(p, bytes("a"), (struct sq_bytes){(void *)"secret\0x", 7}));
	cr_assert_not(
	    sq_passwords_match(p, bytes("a"), (struct sq_bytes){(void *)big, sizeof big}));
	cr_assert(match(p, "empty", ""));
	cr_assert(sq_passwords_match(p, bytes("empty"), (struct sq_bytes){0}));
	cr_assert_not(
	    sq_passwords_match(p, bytes("empty"), (struct sq_bytes){(void *)big, sizeof big}));
	cr_assert_not(sq_passwords_match(p, bytes("empty"), (struct sq_bytes){(void *)"\0", 1}));
	sq_passwords_free(&p);
}

Test(password, bad_lines_are_named)
{
	char many[2000] = "";

	refused("a:" SHA256 "\nbob\n", "line 2: no colon between user and hash");
	refused(":" SHA256, "line 1: no user before the colon");
	refused("# x\n\na:", "line 3: no hash behind the colon");
	refused("a:" SHA256 "\nb:" DES "\na:" DES, "line 3: the user has a line already");
	refused("a:secret", "line 1: not a hash of crypt(3)");
	refused("a:thirteenchar!", "not a hash of crypt(3)");
	refused("a:*", "not a hash of crypt(3)");
	refused("a:!" SHA256, "not a hash of crypt(3)");
	refused("a:" SHA256 " ", "not a hash of crypt(3)");
	refused("a:" SHA256 ":19000:0:99999", "not a hash of crypt(3)");
	refused("a:$6$saltsalt", "not a hash of crypt(3)");
	refused("a:$6$saltsalt$short", "not a hash of crypt(3)");
	refused(
	    "a:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5s", "not a hash of crypt(3)");
	refused("a:$9$salt$0IyaXrmV7", "of a method that crypt(3) does not know here");
	refused("a:" MOSQUITTO7, "own format of mosquitto_passwd");
	refused("a:" MOSQUITTO6, "own format of mosquitto_passwd");
	refused("a\xff:" SHA256, "line 1: not text in UTF-8");
	refused("x\ny\nb:" DES "\nz",
	    "line 1: no colon between user and hash; line 2: no colon between "
	    "user and hash; line 4: no colon between user and hash");
	for (int i = 0; i < 25; i++)
		strcat(many, "x\n");
	refused(many, "line 10: no colon between user and hash; and 15 lines more");
	put_bytes("a\0:" DES, 3 + strlen(DES));
	cr_assert_null(sq_passwords_open(path, &err));
	cr_assert_not_null(strstr(said(), "line 1: not text in UTF-8"));
}

/* Neither a hash nor a password that stands there by mistake gets into a log. */
Test(password, what_is_wrong_does_not_tell_secrets)
{
	put("bob:my secret\nalice:" MOSQUITTO7 "\n");
	cr_assert_null(sq_passwords_open(path, &err));
	cr_assert_null(strstr(said(), "my secret"));
	cr_assert_null(sq_passwords_open(path, &err));
	cr_assert_null(strstr(said(), "oFmHsa3UDBwKJ4ui"));
}

Test(password, a_file_that_is_not_there_is_named)
{
	cr_assert_null(sq_passwords_open("/no/such/file", &err));
	cr_assert_str_eq(said(), "auth.password-file: /no/such/file: No such file or directory");
	cr_assert_null(sq_passwords_open("/tmp", &err));
	cr_assert_not_null(strstr(said(), "auth.password-file: /tmp: "));
}

Test(password, a_changed_file_counts_and_a_bad_one_does_not)
{
	struct sq_passwords *p = opened("a:" SHA256 "\n");

	cr_assert_not(sq_passwords_refresh(p, &err), "it has not changed");
	put("b:" DES "\n");
	cr_assert(match(p, "a", "secret"));
	cr_assert(sq_passwords_refresh(p, &err));
	cr_assert_not(match(p, "a", "secret"));
	cr_assert(match(p, "b", "secret"));
	put("c:" DES "\nbad\n");
	cr_assert_not(sq_passwords_refresh(p, &err));
	cr_assert_not_null(strstr(said(), "line 2: no colon"));
	cr_assert_not(sq_passwords_refresh(p, &err));
	cr_assert_str_empty(said(), "it is said once");
	cr_assert(match(p, "b", "secret"), "who was there stays");
	unlink(path);
	cr_assert_not(sq_passwords_refresh(p, &err));
	cr_assert_not_null(strstr(said(), "No such file"));
	cr_assert_not(sq_passwords_refresh(p, &err));
	cr_assert_str_empty(said());
	cr_assert(match(p, "b", "secret"));
	put("c:" DES "\n");
	cr_assert(sq_passwords_refresh(p, &err));
	cr_assert(match(p, "c", "secret"));
	cr_assert_not(match(p, "b", "secret"));
	sq_passwords_free(&p);
}
