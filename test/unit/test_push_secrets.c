/* Secrets of pushes: which file, who may read it, what it says, and when it is read again. */
#include "broker/push/secrets.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "../support/temp_dir.h"

#define KEY "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER_KEY "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

enum { SETTLE_MS = 500, PAUSE_MS = 1000 };

static char *dir;
static struct sq_secrets *all;
static uint64_t now_ms = 1;
static unsigned woken;

static void
wake(void *arg)
{
	++*(unsigned *)arg;
}

static void
begin(void)
{
	char shop[256];

	dir = temp_dir_new();
	snprintf(shop, sizeof shop, "%s/shop", dir);
	cr_assert_eq(mkdir(shop, 0700), 0);
	all = sq_secrets_new(dir, wake, &woken);
}

static void
end(void)
{
	sq_secrets_free(&all);
	temp_dir_free(&dir);
}

TestSuite(push_secrets, .init = begin, .fini = end);

/* "DIR/shop/NAME". */
static const char *
path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/shop/%s", dir, name);
	return path;
}

/* Writes the file in place, as of long ago. */
static void
put(const char *name, const char *text, size_t len, mode_t mode)
{
	const struct timespec then = {1000 + (time_t)now_ms, 0}, times[2] = {then, then};
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(futimens(fd, times), 0);
	close(fd);
}

static void
put_text(const char *name, const char *text)
{
	put(name, text, strlen(text), 0640);
}

static struct sq_secret *
named(const char *name, enum sq_secret_kind kind)
{
	char *copy = sq_xstrdup(name);
	struct sq_secret *s = sq_secret_open(
	    all, "shop", &(struct sq_push_secret){.name = copy}, kind);

	free(copy);
	return s;
}

/* Looks until what has changed was read. */
static void
look(void)
{
	for (int i = 0; i < 4; i++) {
		sq_secrets_look(all, now_ms);
		now_ms += PAUSE_MS;
	}
}

/* The secret's value is that text; NULL: it is none, and 'why' is in the reason. */
static void
holds(struct sq_secret *s, const char *text, const char *why)
{
	const struct sq_secret_value *v;
	struct sq_buf said = {0};
	int rc = sq_secret_get(s, &v, &said);

	sq_buf_u8(&said, '\0');
	cr_assert_eq(rc, text != NULL ? SQ_OK : SQ_ENOTFOUND, "%d: %s", rc,
	    (const char *)sq_buf_data(&said));
	if (text != NULL)
		cr_assert_str_eq(v->text, text);
	else
		cr_assert(v == NULL && strstr((const char *)sq_buf_data(&said), why) != NULL, "%s",
		    (const char *)sq_buf_data(&said));
	cr_assert_null(strstr((const char *)sq_buf_data(&said), "hunter"));
	sq_secret_value_put(&v);
	sq_buf_fini(&said);
}

static const struct {
	enum sq_secret_kind kind;
	const char *text, *value, *why;
} texts[] = {
    {SQ_SECRET_BEARER, "hunter-2", "Bearer hunter-2", NULL},
    {SQ_SECRET_BEARER, "hunter.2~+/=\r\n\n", "Bearer hunter.2~+/=", NULL},
    {SQ_SECRET_BEARER, "", NULL, "is empty"},
    {SQ_SECRET_BEARER, "\r\n\n", NULL, "is empty"},
    {SQ_SECRET_BEARER, "Bearer hunter", NULL, "is no token"},
    {SQ_SECRET_BEARER, "hunter\nhunter", NULL, "is no token"},
    {SQ_SECRET_BEARER, " ", NULL, "is no token"},
    {SQ_SECRET_BEARER, "hunt\xc3\xa4r", NULL, "is no token"},
    {SQ_SECRET_BASIC, "user:hunter\n", "Basic dXNlcjpodW50ZXI=", NULL},
    {SQ_SECRET_BASIC, "user:", "Basic dXNlcjo=", NULL},
    {SQ_SECRET_BASIC, "us\xc3\xa4r:h :x", "Basic dXPDpHI6aCA6eA==", NULL},
    {SQ_SECRET_BASIC, "hunter", NULL, "is not user:password"},
    {SQ_SECRET_BASIC, "user:hun\r\nter", NULL, "has a control character"},
    {SQ_SECRET_BASIC, "\n", NULL, "is empty"},
    {SQ_SECRET_VALUE, "hunter 2\n", "hunter 2", NULL},
    {SQ_SECRET_VALUE, "hunter\r\nx-evil: 1", NULL, "is no value of a header"},
    {SQ_SECRET_VALUE, " hunter", NULL, "is no value of a header"},
    {SQ_SECRET_VALUE, "hunter\t", NULL, "is no value of a header"},
    {SQ_SECRET_VALUE, "", NULL, "is empty"},
    {SQ_SECRET_KEYS, "hunter", NULL, "1"},
    {SQ_SECRET_KEYS, "", NULL, "is empty"},
    {SQ_SECRET_CERT, "hunter", NULL, "no certificate in PEM"},
    {SQ_SECRET_CERT, "-----BEGIN CERTIFICATE-----\nhunter\n", NULL, "no private key in PEM"},
    {SQ_SECRET_CERT, "", NULL, "is empty"},
};

Test(push_secrets, each_kind_has_its_form)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++) {
		struct sq_secret *s;

		put_text("x", texts[i].text);
		s = named("x", texts[i].kind);
		sq_secrets_look(all, now_ms++);
		holds(s, texts[i].value, texts[i].why);
		sq_secret_close(&s);
		cr_assert_null(s);
	}
}

Test(push_secrets, a_byte_of_zero_is_no_end)
{
	static const char text[] = "user:a\0hunter";
	struct sq_secret *s;

	for (unsigned kind = SQ_SECRET_BEARER; kind <= SQ_SECRET_KEYS; kind++) {
		put("x", text, sizeof text - 1, 0600);
		s = named("x", (enum sq_secret_kind)kind);
		sq_secrets_look(all, now_ms++);
		holds(s, NULL, "x");
		sq_secret_close(&s);
	}
}

Test(push_secrets, keys_of_a_rotation)
{
	const struct sq_secret_value *v;
	struct sq_secret *s;
	struct sq_buf why = {0};

	put_text("keys", KEY "\n" OTHER_KEY "\n");
	s = named("keys", SQ_SECRET_KEYS);
	sq_secrets_look(all, now_ms++);
	cr_assert_eq(sq_secret_get(s, &v, &why), SQ_OK);
	cr_assert_eq(v->keys.n, 2);
	cr_assert_null(v->text);
	sq_secret_value_put(&v);
	sq_secret_close(&s);
}

Test(push_secrets, a_clients_certificate_is_its_path)
{
	struct sq_secret *s;
	char path[512];

	put_text("tls", "-----BEGIN CERTIFICATE-----\nx\n-----BEGIN PRIVATE KEY-----\ny\n");
	s = named("tls", SQ_SECRET_CERT);
	sq_secrets_look(all, now_ms++);
	snprintf(path, sizeof path, "%s", path_of("tls"));
	holds(s, path, NULL);
	sq_secret_close(&s);
}

Test(push_secrets, nothing_is_read_before_a_look_and_somebody_is_woken_for_it)
{
	const struct sq_secret_value *v;
	struct sq_secret *s;
	struct sq_buf why = {0};

	put_text("x", "token");
	s = named("x", SQ_SECRET_BEARER);
	cr_assert_eq(woken, 1);
	cr_assert_eq(sq_secret_get(s, &v, &why), SQ_EAGAIN);
	cr_assert_null(v);
	sq_secrets_look(all, now_ms);
	holds(s, "Bearer token", NULL);
	sq_secret_close(&s);
}

Test(push_secrets, others_may_not_read_it)
{
	static const struct {
		mode_t mode;
		bool good;
	} modes[] = {{0600, true}, {0400, true}, {0640, true}, {0440, true}, {0660, true},
	    {0644, false}, {0444, false}, {0604, false}, {0602, false}, {0641, false}};
	struct sq_secret *s;

	for (size_t i = 0; i < SQ_ARRAY_LEN(modes); i++) {
		put("x", "hunter", 6, modes[i].mode);
		s = named("x", SQ_SECRET_BEARER);
		sq_secrets_look(all, now_ms++);
		holds(s, modes[i].good ? "Bearer hunter" : NULL, "others may read or write it");
		sq_secret_close(&s);
	}
	/* It is one once that is corrected, though its content is the same. */
	s = named("x", SQ_SECRET_BEARER);
	look();
	holds(s, NULL, "others may");
	cr_assert_eq(chmod(path_of("x"), 0600), 0);
	look();
	holds(s, "Bearer hunter", NULL);
	sq_secret_close(&s);
}

Test(push_secrets, a_name_is_one_part_of_a_path)
{
	static const char *const bad[] = {
	    "", ".", "..", "../shop/x", "/etc/passwd", "a/b", ".hidden", "x\n", "..data"};
	static const char *const bad_spaces[] = {"", "..", "shop/../shop", "/", ".x", "a/b"};
	struct sq_secret *s;
	char *x = sq_xstrdup("x"), *long_name = sq_xcalloc(1, 300);

	put_text("x", "hunter");
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		s = named(bad[i], SQ_SECRET_BEARER);
		look();
		holds(s, NULL, "a secret's name is no path");
		sq_secret_close(&s);
	}
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad_spaces); i++) {
		s = sq_secret_open(
		    all, bad_spaces[i], &(struct sq_push_secret){.name = x}, SQ_SECRET_BEARER);
		look();
		holds(s, NULL, "the space's name");
		sq_secret_close(&s);
	}
	memset(long_name, 'a', 299);
	cr_assert_not(sq_secret_name_good(long_name));
	long_name[253] = '\0';
	cr_assert(sq_secret_name_good(long_name));
	free(long_name);
	/* Another space's is not its own. */
	s = sq_secret_open(all, "bank", &(struct sq_push_secret){.name = x}, SQ_SECRET_BEARER);
	look();
	holds(s, NULL, "No such file");
	sq_secret_close(&s);
	free(x);
}

Test(push_secrets, without_a_folder_there_are_no_names)
{
	char *x = sq_xstrdup("x"), *file = sq_xstrdup(path_of("x"));
	struct sq_secrets *none = sq_secrets_new(NULL, NULL, NULL);
	struct sq_secret *s = sq_secret_open(
	    none, "shop", &(struct sq_push_secret){.name = x}, SQ_SECRET_BEARER);

	sq_secrets_look(none, now_ms);
	holds(s, NULL, "push.secrets-dir/shop/x: the broker has no push.secrets-dir");
	sq_secret_close(&s);
	put_text("x", "token");
	s = sq_secret_open(none, "shop", &(struct sq_push_secret){.file = file}, SQ_SECRET_BEARER);
	sq_secrets_look(none, now_ms);
	holds(s, "Bearer token", NULL);
	sq_secret_close(&s);
	sq_secrets_free(&none);
	free(x);
	free(file);
}

Test(push_secrets, its_size_is_bounded_and_it_is_a_file)
{
	char *text = sq_xmalloc(SQ_SECRET_MAX + 1);
	struct sq_secret *s;
	const struct sq_secret_value *v;
	struct sq_buf why = {0};

	memset(text, 'a', SQ_SECRET_MAX + 1);
	put("x", text, SQ_SECRET_MAX, 0600);
	s = named("x", SQ_SECRET_BEARER);
	look();
	cr_assert_eq(sq_secret_get(s, &v, &why), SQ_OK);
	sq_secret_value_put(&v);
	now_ms++;
	put("x", text, SQ_SECRET_MAX + 1, 0600);
	look();
	holds(s, NULL, "longer than its limit");
	unlink(path_of("x"));
	cr_assert_eq(mkfifo(path_of("x"), 0600), 0);
	look();
	holds(s, NULL, "not a regular file");
	sq_secret_close(&s);
	free(text);
}

Test(push_secrets, a_change_is_read_once_it_is_whole)
{
	const struct sq_secret_value *old;
	struct sq_secret *s;
	struct sq_buf why = {0};

	put_text("x", "one");
	s = named("x", SQ_SECRET_BEARER);
	sq_secrets_look(all, now_ms);
	cr_assert_eq(sq_secret_get(s, &old, &why), SQ_OK);
	now_ms += PAUSE_MS;
	put_text("x", "tw");
	sq_secrets_look(all, now_ms); /* it has changed: seen, not read */
	holds(s, "Bearer one", NULL);
	put_text("x", "two");
	now_ms += PAUSE_MS;
	sq_secrets_look(all, now_ms); /* again */
	holds(s, "Bearer one", NULL);
	sq_secrets_look(all, now_ms + SETTLE_MS); /* not more often than once a second */
	holds(s, "Bearer one", NULL);
	now_ms += PAUSE_MS;
	sq_secrets_look(all, now_ms);
	holds(s, "Bearer two", NULL);
	cr_assert_str_eq(old->text, "Bearer one", "who has it keeps it");
	sq_secret_value_put(&old);
	sq_secret_close(&s);
}

Test(push_secrets, a_new_file_that_is_being_written_is_waited_for)
{
	const struct sq_secret_value *v;
	struct sq_secret *s = named("x", SQ_SECRET_BEARER);
	struct sq_buf why = {0};
	FILE *f;

	look();
	holds(s, NULL, "push.secrets-dir/shop/x: No such file or directory");
	sq_secret_close(&s);
	f = fopen(path_of("x"), "w");
	cr_assert_eq(fchmod(fileno(f), 0600), 0);
	fputs("tok", f);
	fflush(f);
	s = named("x", SQ_SECRET_BEARER);
	sq_secrets_look(all, now_ms);
	cr_assert_eq(sq_secret_get(s, &v, &why), SQ_EAGAIN);
	fputs("en", f);
	fclose(f);
	look();
	holds(s, "Bearer token", NULL);
	sq_secret_close(&s);
}

Test(push_secrets, what_is_gone_is_no_secret_until_it_is_back)
{
	char away[600];
	struct sq_secret *s;

	put_text("x", "hunter");
	s = named("x", SQ_SECRET_BEARER);
	look();
	holds(s, "Bearer hunter", NULL);
	snprintf(away, sizeof away, "%s.away", path_of("x"));
	cr_assert_eq(rename(path_of("x"), away), 0);
	look();
	holds(s, NULL, "No such file or directory");
	cr_assert_eq(rename(away, path_of("x")), 0); /* the very same */
	look();
	holds(s, "Bearer hunter", NULL);
	now_ms++;
	put_text("x", "");
	look();
	holds(s, NULL, "is empty");
	now_ms++;
	put_text("x", "better");
	look();
	holds(s, "Bearer better", NULL);
	sq_secret_close(&s);
}

/* As kubelet mounts them: links through a folder that is swapped. */
Test(push_secrets, a_mounted_volume_is_swapped)
{
	char from[600], to[600], data[600];
	struct sq_secret *s;

	put_text("one", "one");
	put_text("two", "two");
	snprintf(data, sizeof data, "%s/data", dir);
	snprintf(to, sizeof to, "%s/data.new", dir);
	cr_assert_eq(symlink("shop/one", data), 0);
	snprintf(from, sizeof from, "%s", path_of("x"));
	cr_assert_eq(symlink("../data", from), 0);
	s = named("x", SQ_SECRET_BEARER);
	look();
	holds(s, "Bearer one", NULL);
	cr_assert_eq(symlink("shop/two", to), 0);
	cr_assert_eq(rename(to, data), 0);
	look();
	holds(s, "Bearer two", NULL);
	sq_secret_close(&s);
}

static void *
opener(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		struct sq_secret *s = named("x", SQ_SECRET_BEARER);
		const struct sq_secret_value *v;
		struct sq_buf why = {0};

		if (sq_secret_get(s, &v, &why) == SQ_OK) {
			cr_assert_str_eq(v->text, "Bearer token");
			sq_secret_value_put(&v);
		}
		sq_secret_close(&s);
		sq_buf_fini(&why);
	}
	return NULL;
}

Test(push_secrets, secrets_are_opened_and_closed_while_they_are_read)
{
	pthread_t threads[2];
	struct sq_secret *stays;

	put_text("x", "token");
	stays = named("x", SQ_SECRET_BEARER);
	for (size_t i = 0; i < SQ_ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, opener, NULL);
	for (int i = 0; i < 2000; i++)
		sq_secrets_look(all, ++now_ms);
	for (size_t i = 0; i < SQ_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	holds(stays, "Bearer token", NULL);
	sq_secret_close(&stays);
}
